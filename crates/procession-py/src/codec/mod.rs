//! Python objects ⇄ messages.
//!
//! A message is a kind (below), some bytes that travel inline in the queue's ring, and perhaps a
//! block. What comes out is what pickle would have given; the ways differ in speed only:
//!
//! | kind | what | inline | block |
//! |---|---|---|---|
//! | `Plain` | builtin types, see [`plain`] | the MessagePack, if it fits | else it |
//! | `Pickle` | anything else | the pickle, if it fits | else it |
//! | `Buffers` | a pickle with out-of-band buffers | table, and the pickle if it fits | (pickle,) buffers |
//! | `SmallBuffers` | the same, small | table, pickle, buffers | – |
//! | `Bytes` | somebody's own bytes | they, if they fit | else they |
//! | `Data` | what a Rust program sent as plain values | they, if short | else they |
//!
//! Large bytes and strings of ASCII are copied once, from the object into the block, and once more
//! out of it.
//!
//! `Bytes` are what `Connection.send_bytes` sends: who receives an object takes them for a pickle of
//! one. The reverse is [`whole`]: any message as bytes. `Data` are bytes, however they are received.
//!
//! A message that carries handles has a block in any case, if of no bytes: the block counts them.
//! So *an empty inline part* says that the body is in the block, and not the block's presence.
//!
//! What a dict or a list stores ([`store`]) has the same kinds, and is in one piece.
//!
//! Encoding has two steps: [`prepare`] may run Python code, and its errors are the object's;
//! [`Prepared::pack`] runs none, and its errors are the arena's. Nothing of the core is locked in
//! either.

#![allow(unsafe_code)]

pub(crate) mod handles;
mod keys;
pub(crate) mod order;
mod pickle;
mod plain;
mod policy;
pub(crate) mod python;
mod scratch;
mod seen;
pub(crate) mod store;
mod text;
mod whole;
mod writer;

use procession::{Block, Family, RawQueue, Received};
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::CorruptArenaError;
use crate::memory;
use pickle::Pickled;
pub(crate) use policy::Policy;
pub(crate) use scratch::{Buffers, Scratch};
pub(crate) use whole::{Whole, pack_bytes};

/// Up to here a body travels inline; above, in a block of its own.
const INLINE_MAX: usize = RawQueue::INLINE_MAX;

/// How a message is written. The numbers are the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Plain = 1,
    Pickle = 2,
    Buffers = 3,
    SmallBuffers = 4,
    Bytes = 5,
    Data = 6,
}

impl Kind {
    fn from_wire(kind: u8) -> Option<Self> {
        use Kind::{Buffers, Bytes, Data, Pickle, Plain, SmallBuffers};
        [Plain, Pickle, Buffers, SmallBuffers, Bytes, Data]
            .into_iter()
            .find(|known| *known as u8 == kind)
    }
}

/// An object made ready to be sent: no Python code needs to run any more.
pub(crate) enum Prepared<'py> {
    /// The MessagePack stands in the scratch, but for what is large.
    Plain,
    Pickle(Pickled<'py>),
}

/// Encodes `obj`, into `scratch` as far as it is small. The errors are what pickle or the policy says
/// about the object.
#[inline]
pub(crate) fn prepare<'py>(
    obj: &Bound<'py, PyAny>,
    policy: Policy,
    scratch: &mut Buffers,
) -> PyResult<Prepared<'py>> {
    match prepare_plain(obj, scratch)? {
        Some(prepared) => Ok(prepared),
        None => policy.prepare(obj, scratch),
    }
}

/// Encodes what is plain, as far as it is small into `scratch`; None if it is not plain.
#[inline]
pub(crate) fn prepare_plain<'py>(
    obj: &Bound<'py, PyAny>,
    scratch: &mut Buffers,
) -> PyResult<Option<Prepared<'py>>> {
    match plain::encode(obj, 0, scratch) {
        Ok(()) => Ok(Some(Prepared::Plain)),
        Err(plain::Unplain::Other) => Ok(None),
        Err(plain::Unplain::NoMemory) => Err(PyMemoryError::new_err(())),
    }
}

/// Appends `obj` as one of several messages, if it is one of small plain data; `scratch.ends` says where each
/// ends.
#[inline]
pub(crate) fn prepare_more(obj: &Bound<'_, PyAny>, scratch: &mut Buffers) -> bool {
    let start = scratch.ends.last().copied().unwrap_or(0);
    let encoded = plain::append(obj, 0, scratch);
    let is_small = scratch.bytes.len() - start <= INLINE_MAX && scratch.large.is_empty();
    if encoded.is_ok() && is_small {
        scratch.ends.push(scratch.bytes.len());
        return true;
    }
    scratch.bytes.truncate(start);
    scratch.large.clear();
    false
}

/// Pickles a result that is not plain: functions and classes by reference only, as `multiprocessing`
/// has it.
pub(crate) fn pickle_result<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Prepared<'py>> {
    Ok(Prepared::Pickle(Pickled::by_reference(obj)?))
}

/// The pickle of a function, in one piece, and leases on that whose handles stand in it.
pub(crate) fn prepare_function(
    function: &Bound<'_, PyAny>,
) -> PyResult<(Vec<u8>, Vec<procession::Lease>)> {
    let (stream, leases) = handles::collect(|| pickle::dumps(function));
    Ok((stream?.as_bytes().to_vec(), leases))
}

/// What a pickle in one piece stands for.
pub(crate) fn loads<'py>(py: Python<'py>, stream: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Ok(pickle::loads(&PyBytes::new(py, stream))?)
}

/// The object of a message that has no block. It is `scratch.bytes`.
#[inline]
pub(crate) fn decode_small<'py>(
    py: Python<'py>,
    kind: u8,
    policy: Policy,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    policy.admit(py, kind)?;
    match Kind::from_wire(kind) {
        Some(Kind::Plain) => plain::decode(py, scratch),
        Some(Kind::Pickle) => pickle::loads(&PyBytes::new(py, &scratch.bytes)),
        Some(Kind::SmallBuffers) => pickle::loads_inline(py, &scratch.bytes),
        Some(Kind::Data) => Ok(PyBytes::new(py, &scratch.bytes).into_any()),
        _ => Err(DecodeError::Corrupt("unknown kind")),
    }
}

/// The objects of small plain messages that stand in `scratch.bytes` one after the other. At an error
/// those before it have gone to `each`.
pub(crate) fn decode_run<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
    each: impl FnMut(Bound<'py, PyAny>),
) -> Result<(), DecodeError> {
    plain::decode_all(py, scratch, each)
}

/// The objects of several messages of small plain data: `scratch.bytes` and `scratch.ends` are they. Where
/// one can't be decoded the others are, and the first error is said in the end.
pub(crate) fn decode_several<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
    each: impl FnMut(Bound<'py, PyAny>),
) -> Result<(), DecodeError> {
    plain::decode_each(py, scratch, each)
}

impl Prepared<'_> {
    /// Whether the message is small plain data, which needs no packing: `Kind::Plain` and
    /// `scratch.bytes` are it.
    #[inline]
    pub(crate) fn is_inline(&self, scratch: &Buffers) -> bool {
        matches!(self, Self::Plain) && scratch.bytes.len() <= INLINE_MAX && scratch.large.is_empty()
    }

    /// Gives the message its kind and its block, if it needs one. The inline part is
    /// `scratch.bytes`.
    pub(crate) fn pack(
        self,
        py: Python<'_>,
        family: Family,
        scratch: &mut Buffers,
    ) -> PyResult<(Kind, Option<Block>)> {
        match self {
            Self::Plain if self.is_inline(scratch) => Ok((Kind::Plain, None)),
            Self::Plain => {
                let block = plain::pack(py, family, scratch)?;
                Ok((Kind::Plain, Some(block)))
            }
            Self::Pickle(pickled) => pickled.pack(py, family, &mut scratch.bytes),
        }
    }
}

/// What is wrong with a message that no Procession can have written.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// Not what the format says.
    Corrupt(&'static str),
    /// Python code that the message named has failed, or memory is short.
    Python(PyErr),
}

impl From<PyErr> for DecodeError {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<DecodeError> for PyErr {
    #[cold]
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Corrupt(what) => {
                CorruptArenaError::new_err(format!("not a message of Procession: {what}"))
            }
            DecodeError::Python(error) => error,
        }
    }
}

/// Whether a message is small plain data: what [`decode_inline`] is for.
#[inline]
pub(crate) fn is_inline(message: &Received) -> bool {
    message.kind == Kind::Plain as u8 && message.block.is_none()
}

/// The object that a message of small plain data stands for.
#[inline]
pub(crate) fn decode_inline<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    plain::decode(py, scratch)
}

/// The object that a message stands for, if the policy lets it out. Its inline part is `scratch.bytes`.
pub(crate) fn decode<'py>(
    py: Python<'py>,
    message: Received,
    policy: Policy,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    if is_inline(&message) {
        return decode_inline(py, scratch);
    }
    policy.admit(py, message.kind)?;
    let kind = Kind::from_wire(message.kind).ok_or(DecodeError::Corrupt("unknown kind"))?;
    let inline = &scratch.bytes;
    match (kind, message.block) {
        (Kind::Plain, Some(block)) if inline.is_empty() => plain::decode_block(py, &block, scratch),
        (Kind::Pickle, Some(block)) if inline.is_empty() => {
            // The block goes last: it holds the handles that loading counts anew.
            pickle::loads(&bytes_of(py, &block, 0, block.len())?)
        }
        (Kind::Bytes, Some(block)) => pickle::loads_block(py, block),
        (Kind::Pickle | Kind::Bytes, _block) => pickle::loads(&PyBytes::new(py, inline)),
        (Kind::Buffers, Some(block)) => pickle::loads_over_block(py, inline, block),
        (Kind::SmallBuffers, _block) => pickle::loads_inline(py, inline),
        (Kind::Data, Some(block)) if inline.is_empty() => {
            Ok(bytes_of(py, &block, 0, block.len())?.into_any())
        }
        (Kind::Data, _block) => Ok(PyBytes::new(py, inline).into_any()),
        _ => Err(DecodeError::Corrupt("a part is missing")),
    }
}

/// `block[from..from + len]` as a new bytes object.
fn bytes_of<'py>(
    py: Python<'py>,
    block: &Block,
    from: usize,
    len: usize,
) -> Result<Bound<'py, PyBytes>, DecodeError> {
    let size = isize::try_from(len).map_err(|_| DecodeError::Corrupt("length"))?;
    // SAFETY: a new bytes object of `len` bytes that nobody else has seen; all of them are written
    // below.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        let bytes = Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyBytes>();
        let target = ffi::PyBytes_AS_STRING(bytes.as_ptr()).cast_mut().cast();
        memory::copy_out(py, block, from, target, len);
        Ok(bytes)
    }
}
