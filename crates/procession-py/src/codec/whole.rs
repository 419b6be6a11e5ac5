//! Messages as bytes: what `send_bytes` sends and `recv_bytes` receives.

use procession::{Block, Family, Received};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::scratch::Buffers;
use super::{DecodeError, INLINE_MAX, Kind, Policy, bytes_of, decode, pickle};
use crate::memory::{self, Room};

/// Lays bytes out as a message of `Kind::Bytes`: its inline part, and its block.
#[inline]
pub(crate) fn pack_bytes<'a>(
    py: Python<'_>,
    family: Family,
    bytes: &'a [u8],
) -> PyResult<(&'a [u8], Option<Block>)> {
    if bytes.len() <= INLINE_MAX {
        return Ok((bytes, None));
    }
    let block = memory::filled_block(py, family, bytes.len(), &[], &[(0, bytes)])?;
    Ok((&[], Some(block)))
}

/// A message as bytes: those that were sent, or a pickle of the object that was.
pub(crate) enum Whole<'a, 'py> {
    Inline(&'a [u8]),
    Block(Block),
    Pickled(Bound<'py, PyBytes>),
}

impl<'a, 'py> Whole<'a, 'py> {
    /// The message's inline part is `scratch.bytes`. A pickle without buffers is given as it is;
    /// whatever else is made one, which runs Python code.
    #[inline]
    pub(crate) fn of(
        py: Python<'py>,
        message: Received,
        scratch: &'a mut Buffers,
    ) -> Result<Self, DecodeError> {
        if ![Kind::Bytes as u8, Kind::Pickle as u8, Kind::Data as u8].contains(&message.kind) {
            let object = decode(py, message, Policy::Anything, scratch)?;
            return Ok(Self::Pickled(pickle::dumps(&object)?));
        }
        Ok(match message.block {
            Some(block) if scratch.bytes.is_empty() => Self::Block(block),
            _ => Self::Inline(&scratch.bytes),
        })
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Block(block) => block.len(),
            Self::Pickled(bytes) => bytes.as_bytes().len(),
        }
    }

    /// As a bytes object.
    #[inline]
    pub(crate) fn into_bytes(self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, DecodeError> {
        match self {
            Self::Inline(bytes) => Ok(PyBytes::new(py, bytes)),
            Self::Block(block) => bytes_of(py, &block, 0, block.len()),
            Self::Pickled(bytes) => Ok(bytes),
        }
    }

    /// Into a buffer that has room for it.
    pub(crate) fn write_to(&self, py: Python<'_>, room: &Room) {
        match self {
            Self::Inline(bytes) => room.fill(bytes),
            Self::Block(block) => room.fill_from(py, block),
            Self::Pickled(bytes) => room.fill(bytes.as_bytes()),
        }
    }
}
