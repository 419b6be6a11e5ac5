//! Plain values ⇄ messages.

use std::any::type_name;
use std::ops::Deref;

use bytemuck::Pod;

use super::loan::PlainSlice;
use crate::arena::block::Block;
use crate::channel::Received;
use crate::channel::carrier::Carrier;
use crate::channel::message::Patience;
use crate::channel::scratch::Scratch;
use crate::codec::{self, BYTES, DATA, PLAIN};
use crate::error::{ArenaError, GetError, PutError};

/// Up to here a message is copied through the ring. Beyond, a block of its own costs less: a round trip
/// with 2 KiB takes 1.9 µs so, and 3.3 through the ring.
pub(super) const COPIED_MAX: usize = 1024;

/// What can be sent at all: it has bytes, and a block is aligned for it.
pub(super) const fn assert_sendable<T>() {
    assert!(size_of::<T>() > 0, "a plain message has bytes");
    assert!(align_of::<T>() <= 4096, "memory of the arena is aligned to pages only");
}

/// Sends bytes that are copied.
#[inline]
pub(super) fn put(
    carrier: &impl Carrier,
    bytes: &[u8],
    wait: Patience,
) -> Result<(), PutError<()>> {
    let sent = if bytes.len() <= COPIED_MAX {
        carrier.put(DATA, bytes, None, wait)
    } else {
        let mut block =
            carrier.family().alloc(bytes.len(), &[]).map_err(|e| PutError::Arena((), e))?;
        block.write(0, bytes);
        carrier.put(DATA, &[], Some(block), wait)
    };
    sent.map_err(|e| e.with(()))
}

/// Receives a message that is one value.
#[inline]
pub(super) fn get<T: Pod>(carrier: &impl Carrier, patience: Patience) -> Result<T, GetError> {
    let mut inline = Scratch::take();
    let message = carrier.get(&mut inline, patience)?;
    value(&message, &inline)
}

/// The value that a message is.
#[inline]
pub(super) fn value<T: Pod>(message: &Received, inline: &[u8]) -> Result<T, GetError> {
    const { assert_sendable::<T>() };
    let (bytes, _) = content(message, inline)?;
    if bytes.len() != size_of::<T>() {
        return Err(other_length::<T>(bytes.len(), "one"));
    }
    Ok(bytemuck::pod_read_unaligned(bytes))
}

/// Receives a message that is any number of values.
pub(super) fn get_slice<T: Pod>(
    carrier: &impl Carrier,
    patience: Patience,
) -> Result<PlainSlice<T>, GetError> {
    let mut inline = Scratch::take();
    let message = carrier.get(&mut inline, patience)?;
    slice(message, &inline)
}

/// The values that a message is.
pub(super) fn slice<T: Pod>(message: Received, inline: &[u8]) -> Result<PlainSlice<T>, GetError> {
    const { assert_sendable::<T>() };
    let (bytes, lead) = content(&message, inline)?;
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        return Err(other_length::<T>(bytes.len(), "a whole number of"));
    }
    // In place if it is a block's, and lies there as it must.
    if message.block.is_none() || lead % align_of::<T>() != 0 {
        return Ok(PlainSlice::copied(bytemuck::allocation::pod_collect_to_vec(bytes)));
    }
    let block = message.block.map(|block| PlainSlice::in_place(block, lead));
    block.ok_or(GetError::Empty)
}

/// The bytes of a message, and how many stand before them.
#[inline]
fn content<'a>(message: &'a Received, inline: &'a [u8]) -> Result<(&'a [u8], usize), GetError> {
    let whole = message.block.as_ref().map_or(inline, Block::bytes);
    match message.kind {
        DATA | BYTES => Ok((whole, 0)),
        _ => content_of_other(message.kind, whole),
    }
}

#[cold]
fn content_of_other(kind: u8, whole: &[u8]) -> Result<(&[u8], usize), GetError> {
    if kind != PLAIN {
        return Err(GetError::Decode(format!("kind {kind} is no message of plain values")));
    }
    let (lead, bytes) = codec::bytes_in(whole).ok_or_else(|| {
        GetError::Decode("a message of encoded data, which is not bytes alone".into())
    })?;
    Ok((bytes, lead))
}

#[cold]
fn other_length<T>(len: usize, wanted: &str) -> GetError {
    let (name, size) = (type_name::<T>(), size_of::<T>());
    GetError::Decode(format!("a message of {len} bytes is not {wanted} {name} ({size} bytes)"))
}

/// The length in bytes of so many values.
pub(super) fn bytes_of_many<T>(len: usize) -> Result<usize, ArenaError> {
    len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or(
        ArenaError::Full {
            requested: u64::MAX,
            free: 0,
            why: "that many values have no length in bytes",
        },
    )
}

/// Values that lie in a block, or in this process's memory.
pub(super) enum Place<T> {
    Copied(Vec<T>),
    /// With how many bytes stand before them.
    Block(Block, usize),
}

impl<T: Pod> Deref for Place<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Place::Copied(values) => values,
            Place::Block(block, lead) => bytemuck::cast_slice(&block.bytes()[*lead..]),
        }
    }
}

impl<T: Pod> std::ops::DerefMut for Place<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Place::Copied(values) => values,
            Place::Block(block, lead) => bytemuck::cast_slice_mut(&mut block.bytes_mut()[*lead..]),
        }
    }
}
