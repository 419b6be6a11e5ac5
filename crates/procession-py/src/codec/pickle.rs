//! Everything that is not plain goes by pickle, protocol 5, with the buffers out of band.
//!
//! `procession.reduction.dumps(obj)` gives the pickle and a list of `PickleBuffer`s; `pickle.loads`
//! gives the object back. A buffer arrives as writable memory that is the receiver's own; where
//! pickle says that it was read-only, the pickle itself makes it so again.
//!
//! The inline part of a message with buffers, all numbers little-endian:
//!
//! ```text
//! u64  length of the pickle
//! u64  number of buffers
//! u64… length of each buffer
//! …    the pickle, unless it stands in the block   (SmallBuffers: then the buffers, one after another)
//! ```
//!
//! In the block the pickle, if it is there, comes first; each buffer begins at the next multiple of
//! 64. If even the table does not fit inline, the inline part is one u64: how long this whole part
//! is, at the block's front.

use std::ops::Range;
use std::sync::Arc;

use procession::{Block, Family, Lease};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyMemoryError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList};

use super::{DecodeError, INLINE_MAX, Kind, bytes_of, handles};
use crate::memory::{self, PySharedBlock};

/// Where buffers begin: a cache line, and what vector code likes.
const ALIGN: usize = 64;
const WORD: usize = size_of::<u64>();

/// A pickled object.
pub(crate) struct Pickled<'py> {
    stream: Bound<'py, PyBytes>,
    buffers: Vec<PyBuffer<u8>>,
    /// On that whose handles stand in the pickle.
    handles: Vec<Lease>,
}

impl<'py> Pickled<'py> {
    /// Pickles `obj`. Runs Python code.
    pub(super) fn of(obj: &Bound<'py, PyAny>) -> PyResult<Self> {
        static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Self::with(DUMPS.import(obj.py(), "procession.reduction", "dumps")?, obj)
    }

    /// Pickles `obj`; what cannot be found by name is an error. Runs Python code.
    pub(super) fn by_reference(obj: &Bound<'py, PyAny>) -> PyResult<Self> {
        static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Self::with(DUMPS.import(obj.py(), "procession.reduction", "dumps_by_reference")?, obj)
    }

    fn with(dumps: &Bound<'py, PyAny>, obj: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = obj.py();
        let (result, handles) = handles::collect(|| dumps.call1((obj,)));
        let (stream, buffers): (Bound<'py, PyBytes>, Bound<'py, PyList>) = result?.extract()?;
        let buffers = buffers
            .iter()
            .map(|buffer| PyBuffer::get(&buffer.call_method0(intern!(py, "raw"))?))
            .collect::<PyResult<_>>()?;
        Ok(Self { stream, buffers, handles })
    }

    /// Lays the message out: what is small into `inline`, the rest into a block.
    pub(super) fn pack(
        self,
        py: Python<'_>,
        family: Family,
        inline: &mut Vec<u8>,
    ) -> PyResult<(Kind, Option<Block>)> {
        let stream = self.stream.as_bytes();
        inline.clear();
        if self.buffers.is_empty() {
            if stream.len() > INLINE_MAX {
                let len = stream.len();
                let block = memory::filled_block(py, family, len, &self.handles, &[(0, stream)])?;
                return Ok((Kind::Pickle, Some(block)));
            }
            inline.extend_from_slice(stream);
            return Ok((Kind::Pickle, self.counting_block(py, family)?));
        }
        let small = self.table_len() + stream.len() + self.buffers_len();
        if small <= INLINE_MAX {
            self.write_whole(inline);
            return Ok((Kind::SmallBuffers, self.counting_block(py, family)?));
        }
        let block = self.pack_block(py, family, inline)?;
        Ok((Kind::Buffers, Some(block)))
    }

    /// A message with handles has a block, which counts them.
    fn counting_block(&self, py: Python<'_>, family: Family) -> PyResult<Option<Block>> {
        if self.handles.is_empty() {
            return Ok(None);
        }
        memory::filled_block(py, family, 0, &self.handles, &[]).map(Some)
    }

    fn pack_block(&self, py: Python<'_>, family: Family, inline: &mut Vec<u8>) -> PyResult<Block> {
        let stream = self.stream.as_bytes();
        let mut table = Vec::new();
        self.write_table(&mut table);
        let mut parts = Vec::with_capacity(self.buffers.len() + 2);
        let mut at = 0;
        let mut part = |bytes, align: usize| {
            let start = at_multiple(at, align);
            parts.push((start, bytes));
            at = start + <[u8]>::len(bytes);
        };
        if table.len() > INLINE_MAX {
            inline.extend_from_slice(&((table.len() + stream.len()) as u64).to_le_bytes());
            part(&table, 1);
            part(stream, 1);
        } else {
            inline.extend_from_slice(&table);
            if table.len() + stream.len() <= INLINE_MAX {
                inline.extend_from_slice(stream);
            } else {
                part(stream, 1);
            }
        }
        for buffer in &self.buffers {
            part(contents(buffer), ALIGN);
        }
        memory::filled_block(py, family, at, &self.handles, &parts)
    }

    /// Writes all into one byte string, as `SmallBuffers` has it.
    pub(super) fn write_whole(&self, out: &mut Vec<u8>) {
        self.write_table(out);
        out.extend_from_slice(self.stream.as_bytes());
        for buffer in &self.buffers {
            out.extend_from_slice(contents(buffer));
        }
    }

    /// What the handles in it name.
    pub(super) fn into_handles(self) -> Vec<Lease> {
        self.handles
    }

    /// The pickle, if it is all there is.
    pub(super) fn only_stream(&self) -> Option<&[u8]> {
        self.buffers.is_empty().then(|| self.stream.as_bytes())
    }

    fn table_len(&self) -> usize {
        WORD * (2 + self.buffers.len())
    }

    fn buffers_len(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.len_bytes()).sum()
    }

    fn write_table(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.stream.as_bytes().len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.buffers.len() as u64).to_le_bytes());
        for buffer in &self.buffers {
            out.extend_from_slice(&(buffer.len_bytes() as u64).to_le_bytes());
        }
    }
}

/// What a buffer holds: `PickleBuffer.raw` gives one contiguous piece.
fn contents(buffer: &PyBuffer<u8>) -> &[u8] {
    memory::contents(buffer).expect("contiguous")
}

fn at_multiple(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

/// Unpickles. Runs Python code.
pub(super) fn loads<'py>(stream: &Bound<'py, PyBytes>) -> Result<Bound<'py, PyAny>, DecodeError> {
    Ok(unpickler(stream.py())?.call1((stream,))?)
}

/// Unpickles what a whole block holds, where it lies.
pub(super) fn loads_block(py: Python<'_>, block: Block) -> Result<Bound<'_, PyAny>, DecodeError> {
    let all = 0..block.len();
    let block = PySharedBlock::new(&Arc::new(block), all).ok_or(DecodeError::Corrupt("length"))?;
    Ok(unpickler(py)?.call1((block,))?)
}

/// The bytes that the standard library would send for an object. Runs Python code.
pub(super) fn dumps<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static PICKLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let pickler = PICKLER.import(obj.py(), "procession.reduction", "Pickler")?;
    let stream = pickler.call_method1(intern!(obj.py(), "dumps"), (obj,))?;
    let stream = PyBuffer::<u8>::get(&stream)?;
    Ok(PyBytes::new(obj.py(), contents(&stream)))
}

fn loads_with<'py>(
    stream: &Bound<'py, PyBytes>,
    buffers: &Bound<'py, PyList>,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let py = stream.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "buffers"), buffers)?;
    Ok(unpickler(py)?.call((stream,), Some(&keywords))?)
}

fn unpickler(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "_pickle", "loads")
}

/// The table of a message with buffers, checked against nothing yet.
struct Table {
    stream: usize,
    buffers: Vec<usize>,
}

impl Table {
    /// Reads the table and returns what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (stream, rest) = number(bytes)?;
        let (count, mut rest) = number(rest)?;
        if count > rest.len() / WORD {
            return Err(DecodeError::Corrupt("number of buffers"));
        }
        let mut buffers = Vec::new();
        buffers.try_reserve_exact(count).map_err(|_| PyMemoryError::new_err(()))?;
        for _ in 0..count {
            let (len, next) = number(rest)?;
            buffers.push(len);
            rest = next;
        }
        Ok((Self { stream, buffers }, rest))
    }
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), DecodeError> {
    let (word, rest) = bytes.split_first_chunk::<WORD>().ok_or(DecodeError::Corrupt("table"))?;
    let number =
        usize::try_from(u64::from_le_bytes(*word)).map_err(|_| DecodeError::Corrupt("table"))?;
    Ok((number, rest))
}

/// A `SmallBuffers` message.
pub(super) fn loads_inline<'py>(
    py: Python<'py>,
    inline: &[u8],
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let short = DecodeError::Corrupt;
    let (table, rest) = Table::read(inline)?;
    let (stream, mut rest) =
        rest.split_at_checked(table.stream).ok_or(short("length of the pickle"))?;
    let buffers = PyList::empty(py);
    for len in table.buffers {
        let (data, next) = rest.split_at_checked(len).ok_or(short("length of a buffer"))?;
        buffers.append(PyByteArray::new(py, data))?;
        rest = next;
    }
    loads_with(&PyBytes::new(py, stream), &buffers)
}

/// A `Buffers` message: the buffers stay where they are.
pub(super) fn loads_over_block<'py>(
    py: Python<'py>,
    inline: &[u8],
    block: Block,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let mut at = 0;
    let front;
    let (table, rest) = if inline.len() == WORD {
        let (len, _) = number(inline)?;
        let len = within(&block, 0, len)?.end;
        front = bytes_of(py, &block, 0, len)?;
        at = len;
        Table::read(front.as_bytes())?
    } else {
        Table::read(inline)?
    };
    let stream = if rest.len() == table.stream {
        PyBytes::new(py, rest)
    } else if rest.is_empty() {
        at = within(&block, 0, table.stream)?.end;
        bytes_of(py, &block, 0, at)?
    } else {
        return Err(DecodeError::Corrupt("length of the pickle"));
    };
    let block = Arc::new(block);
    let buffers = PyList::empty(py);
    for len in table.buffers {
        let range = within(&block, at_multiple(at, ALIGN), len)?;
        at = range.end;
        let piece =
            PySharedBlock::new(&block, range).ok_or(DecodeError::Corrupt("place of a buffer"))?;
        buffers.append(Bound::new(py, piece)?)?;
    }
    drop(block);
    loads_with(&stream, &buffers)
}

/// `len` bytes from `at`, if they lie in the block.
fn within(block: &Block, at: usize, len: usize) -> Result<Range<usize>, DecodeError> {
    match at.checked_add(len) {
        Some(end) if end <= block.len() => Ok(at..end),
        _ => Err(DecodeError::Corrupt("length of a part")),
    }
}
