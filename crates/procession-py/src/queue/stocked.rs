//! Put into what is no ring but a stock of blocks: a message is one stored value.
//!
//! By priority it finds its place by its order key, without anything being decoded. What has none, and
//! what comes while such a one is in the queue, is compared by Python, in this process: `obj < other` for
//! about as many others as a bisection needs, each of them unpickled for it, while nothing is locked. It
//! is put only if the queue is still the same then, so a comparison that raises has changed nothing.

use procession::collections::{Copied, Datum, OfferError};
use procession::{ArenaError, End, RawPriorityQueue};
use pyo3::prelude::*;

use super::PyQueueBase;
use super::args::feeder_error;
use super::store::Store;
use crate::blocking::{self, Patience};
use crate::codec::store::{self, Value};
use crate::codec::{Policy, Scratch, order};
use crate::collections::{note_change, settle};
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
    let has_key = matches!(store, Store::Priority(_)) && order::write_key(obj, &mut scratch);
    let value = match Value::of(obj, slf.get().policy(), &mut scratch) {
        Ok(value) => value,
        Err(error) => return feeder_error(slf, obj, error).map(|()| true),
    };
    let attempt = || {
        blocking::settle(py, store, End::Tail)?;
        let value = value.datum(&scratch.bytes);
        let offered = match store {
            Store::Lifo(queue) => queue.try_put(&value),
            Store::Delivery(queue) => queue.try_put(&value),
            Store::Priority(queue) => {
                let key = has_key.then(|| scratch.order.as_bytes());
                return put_in_order(slf, queue, key, obj, &value);
            }
            Store::Fifo(_) => unreachable!("a ring carries messages"),
        };
        is_in(py, offered)
    };
    if attempt()? {
        return Ok(true);
    }
    let attempt = || {
        PyQueueBase::still_open(slf)?;
        Ok(attempt()?.then_some(()))
    };
    let len = value.datum(&scratch.bytes).bytes.len() as u64;
    let sleep = |deadline| store.wait_for_room_of(len, deadline);
    let put = blocking::wait(py, patience, attempt, sleep)?;
    Ok(put.done().is_some())
}

/// Whether it was put; false if there is no room.
#[inline]
fn is_in(py: Python<'_>, offered: Result<(), OfferError>) -> PyResult<bool> {
    match offered {
        Ok(()) => Ok(true),
        Err(OfferError::Full) => Ok(false),
        Err(OfferError::Closed) => Err(error::queue_shut_down(py)),
        Err(error) => Err(error.raise()),
    }
}

/// Puts it behind all that are not more.
#[inline]
fn put_in_order(
    slf: &Bound<'_, PyQueueBase>,
    queue: &RawPriorityQueue,
    key: Option<&[u8]>,
    obj: &Bound<'_, PyAny>,
    value: &Datum<'_>,
) -> PyResult<bool> {
    note_change(queue);
    if let Some(key) = key {
        match queue.try_put(key, value) {
            // Python says what it says of the two, or there is something that only Python can compare.
            Err(OfferError::Unordered(_) | OfferError::Unsure) => {}
            offered => return is_in(slf.py(), offered),
        }
    }
    put_by_comparison(slf, queue, obj, value)
}

#[cold]
fn put_by_comparison(
    slf: &Bound<'_, PyQueueBase>,
    queue: &RawPriorityQueue,
    obj: &Bound<'_, PyAny>,
    value: &Datum<'_>,
) -> PyResult<bool> {
    let (py, policy) = (slf.py(), slf.get().policy());
    settle(py, queue, || {
        if queue.is_closed() {
            return Err(error::queue_shut_down(py));
        }
        if queue.is_full() {
            return Ok(Some(false)); // before anything is compared
        }
        let is_less = |other: &Copied, bytes: &[u8]| {
            let other = load(py, other, bytes, policy)?;
            obj.lt(other).map_err(Failed)
        };
        let Ok(place) = queue.place(is_less).map_err(|Failed(error)| error)? else {
            return Ok(None);
        };
        match queue.try_put_at(&place, value) {
            Err(OfferError::Outdated) => Ok(None),
            offered => is_in(py, offered).map(Some),
        }
    })
}

fn load<'py>(
    py: Python<'py>,
    copied: &Copied,
    bytes: &[u8],
    policy: Policy,
) -> Result<Bound<'py, PyAny>, Failed> {
    let mut scratch = Scratch::take();
    store::load_from(py, copied.kind, bytes, policy, &mut scratch)
        .map_err(|error| Failed(error.into()))
}

/// A comparison was not made, or has raised.
struct Failed(PyErr);

impl From<ArenaError> for Failed {
    fn from(error: ArenaError) -> Self {
        Self(error.raise())
    }
}
