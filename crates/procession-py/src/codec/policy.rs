//! What may go into an object, and come out of it: anything, or plain data only.
//!
//! To unpickle is to run what the writer wants. Who shares a named family with writers that he does not
//! trust has plain data only: nothing else is written, and what others have pickled is not unpickled. It
//! is a matter of each process's own object; what stands in shared memory says nothing of it.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::pickle::Pickled;
use super::plain::{self, Unplain};
use super::scratch::Buffers;
use super::{DecodeError, Kind, Prepared};

/// Tuples of the same tuples, of the same tuples, and so on, would have no end.
const REPEATS: u32 = 1 << 22;

/// What an object lets in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Whatever can be pickled.
    Anything,
    /// Plain data.
    PlainOnly,
}

impl Policy {
    /// Plain data only, or anything.
    #[inline]
    pub(crate) fn plain_only(plain_only: bool) -> Self {
        if plain_only { Self::PlainOnly } else { Self::Anything }
    }

    /// Prepares what is not plain at first sight.
    #[cold]
    pub(super) fn prepare<'py>(
        self,
        obj: &Bound<'py, PyAny>,
        scratch: &mut Buffers,
    ) -> PyResult<Prepared<'py>> {
        if self == Self::Anything {
            return Ok(Prepared::Pickle(Pickled::of(obj)?));
        }
        match plain::encode(obj, REPEATS, scratch) {
            Ok(()) => Ok(Prepared::Plain),
            Err(Unplain::NoMemory) => Err(PyMemoryError::new_err(())),
            Err(Unplain::Other) => Err(refuse_to_write(obj)),
        }
    }

    /// Whether a message of this kind may be read.
    #[inline]
    pub(super) fn admit(self, py: Python<'_>, kind: u8) -> Result<(), DecodeError> {
        // `Bytes` are taken for a pickle where they are met.
        let pickles = [Kind::Pickle, Kind::Buffers, Kind::SmallBuffers, Kind::Bytes];
        if self == Self::PlainOnly && pickles.iter().any(|pickle| *pickle as u8 == kind) {
            return Err(DecodeError::Python(refuse_to_read(py)));
        }
        Ok(())
    }
}

/// `pickle.PicklingError`, which says what is not plain.
fn refuse_to_write(obj: &Bound<'_, PyAny>) -> PyErr {
    static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static REFUSAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = obj.py();
    let refused = || {
        let text = REFUSAL.import(py, "procession._plain", "refusal")?.call1((obj,))?;
        let kind = ERROR.import(py, "pickle", "PicklingError")?;
        PyResult::Ok(PyErr::from_type(kind.clone(), text.unbind()))
    };
    refused().unwrap_or_else(|error| error)
}

/// `pickle.UnpicklingError`.
#[cold]
fn refuse_to_read(py: Python<'_>) -> PyErr {
    static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    const TEXT: &str = "it was pickled, and was not unpickled: plain data only is accepted here \
         (allow_pickle=False), since a pickle can run any code";
    match ERROR.import(py, "pickle", "UnpicklingError") {
        Ok(kind) => PyErr::from_type(kind.clone(), TEXT),
        Err(error) => error,
    }
}
