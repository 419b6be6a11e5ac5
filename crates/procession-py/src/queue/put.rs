//! Put: encode, then one attempt; only who finds no room goes further.

use procession::{Block, End, RawQueue, TryPutError};
use pyo3::prelude::*;

use super::args::feeder_error;
use super::store::Store;
use super::{PyQueueBase, stocked};
use crate::blocking::{self, Patience};
use crate::codec::{self, Kind, Prepared, Scratch};
use crate::error::{self, Raise};

/// Puts one object; false if patience ended first.
#[inline]
pub(super) fn put_one(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    obj: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<bool> {
    let Store::Fifo(queue) = store else {
        return stocked::put(slf, store, obj, patience);
    };
    let mut scratch = Scratch::take();
    let prepared = match codec::prepare(obj, slf.get().policy(), &mut scratch) {
        Ok(prepared) => prepared,
        Err(error) => return feeder_error(slf, obj, error).map(|()| true),
    };
    if !prepared.is_inline(&scratch) {
        return put_packed(slf, queue, prepared, &mut scratch, patience);
    }
    blocking::settle(slf.py(), queue, End::Tail)?;
    match queue.try_put(Kind::Plain as u8, &scratch.bytes, None) {
        Ok(()) => Ok(true),
        Err(error) => put_slow(slf, queue, Kind::Plain, &scratch.bytes, error, patience),
    }
}

/// Puts what is not small and plain.
#[cold]
fn put_packed(
    slf: &Bound<'_, PyQueueBase>,
    queue: &RawQueue,
    prepared: Prepared<'_>,
    scratch: &mut Scratch,
    patience: Patience,
) -> PyResult<bool> {
    let (kind, block) = prepared.pack(slf.py(), queue.family(), scratch)?;
    blocking::settle(slf.py(), queue, End::Tail)?;
    match queue.try_put(kind as u8, &scratch.bytes, block) {
        Ok(()) => Ok(true),
        Err(error) => put_slow(slf, queue, kind, &scratch.bytes, error, patience),
    }
}

#[cold]
fn put_slow(
    slf: &Bound<'_, PyQueueBase>,
    queue: &RawQueue,
    kind: Kind,
    inline: &[u8],
    error: TryPutError,
    patience: Patience,
) -> PyResult<bool> {
    let mut block = refused(slf, error)?;
    let len = block.as_ref().map(Block::len);
    let put = blocking::wait(
        slf.py(),
        patience,
        || {
            PyQueueBase::still_open(slf)?;
            blocking::settle(slf.py(), queue, End::Tail)?;
            match queue.try_put(kind as u8, inline, block.take()) {
                Ok(()) => Ok(Some(())),
                Err(error) => {
                    block = refused(slf, error)?;
                    Ok(None)
                }
            }
        },
        |deadline| queue.wait_for_room_of(inline.len(), len, deadline),
    )?;
    Ok(put.done().is_some())
}

/// Gets the block back if the queue is only full.
fn refused(slf: &Bound<'_, PyQueueBase>, error: TryPutError) -> PyResult<Option<Block>> {
    match error {
        TryPutError::Full(block) => Ok(block),
        TryPutError::Closed(_) => Err(error::queue_shut_down(slf.py())),
        TryPutError::Arena(error, _) => Err(error.raise()),
    }
}
