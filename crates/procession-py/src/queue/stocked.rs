//! Put into what is no ring but a stock of blocks: a message is one stored value.

use procession::End;
use procession::collections::OfferError;
use pyo3::prelude::*;

use super::PyQueueBase;
use super::args::feeder_error;
use super::store::Store;
use crate::blocking::{self, Patience};
use crate::codec::Scratch;
use crate::codec::store::Value;
use crate::error::{self, Raise};

/// Puts one object; false if patience ended first.
#[inline(never)]
pub(super) fn put(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    obj: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<bool> {
    let py = slf.py();
    let mut scratch = Scratch::take();
    let value = match Value::of(obj, slf.get().policy(), &mut scratch) {
        Ok(value) => value,
        Err(error) => return feeder_error(slf, obj, error).map(|()| true),
    };
    let attempt = || {
        blocking::settle(py, store, End::Tail)?;
        offered(py, store.offer(&value.datum(&scratch.bytes)))
    };
    if attempt()? {
        return Ok(true);
    }
    let attempt = || {
        PyQueueBase::still_open(slf)?;
        Ok(attempt()?.then_some(()))
    };
    let put = blocking::wait(py, patience, attempt, |deadline| store.wait_for_room(deadline))?;
    Ok(put.done().is_some())
}

/// Whether it was put; false if there is no room.
#[inline]
fn offered(py: Python<'_>, offered: Result<(), OfferError>) -> PyResult<bool> {
    match offered {
        Ok(()) => Ok(true),
        Err(OfferError::Full) => Ok(false),
        Err(OfferError::Closed) => Err(error::queue_shut_down(py)),
        Err(error) => Err(error.raise()),
    }
}
