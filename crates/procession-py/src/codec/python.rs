//! `encode` and `decode`: the codec by itself, for tests and for a look at what travels.

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::pickle::{self, Pickled};
use super::plain::{self, Unplain};
use super::{DecodeError, Kind, Scratch};

/// The message that `obj` would be, in one piece: a byte for the kind, then the body.
#[pyfunction]
pub(crate) fn encode<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut scratch = Scratch::take();
    let mut message = Vec::new();
    match plain::encode(obj, 0, &mut scratch) {
        Ok(()) => {
            message.push(Kind::Plain as u8);
            for piece in plain::pieces(obj.py(), &scratch) {
                message.extend_from_slice(piece);
            }
            scratch.large.clear();
        }
        Err(Unplain::NoMemory) => return Err(PyMemoryError::new_err(())),
        Err(Unplain::Other) => {
            let pickled = Pickled::of(obj)?;
            if let Some(stream) = pickled.only_stream() {
                message.push(Kind::Pickle as u8);
                message.extend_from_slice(stream);
            } else {
                message.push(Kind::SmallBuffers as u8);
                pickled.write_whole(&mut message);
            }
        }
    }
    Ok(PyBytes::new(obj.py(), &message))
}

/// The object that `encode` gave these bytes for. ValueError if it cannot have been.
#[pyfunction]
pub(crate) fn decode<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let object = match message.split_first() {
        Some((&kind, body)) => match Kind::from_wire(kind) {
            Some(Kind::Plain) => {
                let mut scratch = Scratch::take();
                scratch.bytes.extend_from_slice(body);
                plain::decode(py, &mut scratch)
            }
            Some(Kind::Pickle) => pickle::loads(&PyBytes::new(py, body)),
            Some(Kind::SmallBuffers) => pickle::loads_inline(py, body),
            _ => Err(DecodeError::Corrupt("unknown kind")),
        },
        None => Err(DecodeError::Corrupt("it is empty")),
    };
    object.map_err(|error| match error {
        DecodeError::Corrupt(what) => PyValueError::new_err(what),
        DecodeError::Python(error) => error,
    })
}
