//! Get: one attempt, then decode; only who finds nothing waits.

use procession::End;
use pyo3::prelude::*;

use super::store::{Store, Taken};
use super::{PyQueueBase, delivery};
use crate::blocking::{self, Patience};
use crate::codec::{self, Kind, Scratch, store as stored};
use crate::collections::note_change;
use crate::error::{self, Raise};

/// Gets one object; None if patience ended first.
#[inline]
pub(super) fn get_one<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    patience: Patience,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Store::Fifo(queue) = store else {
        return get_stored(slf, store, patience);
    };
    let mut scratch = Scratch::take();
    blocking::settle(slf.py(), queue, End::Head)?;
    let received = queue.try_get(&mut scratch.bytes);
    if let Ok(Some(message)) = &received
        && codec::is_inline(message)
    {
        return Ok(Some(codec::decode_inline(slf.py(), &mut scratch)?));
    }
    let taken = received.map_err(Raise::raise)?.map(Taken::Message);
    get_slow(slf, store, taken, &mut scratch, patience)
}

/// The same of what is no ring.
#[inline(never)]
fn get_stored<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    patience: Patience,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match store {
        Store::Priority(queue) => note_change(queue),
        Store::Delivery(queue) => return delivery::get(slf, store, queue, patience),
        _ => {}
    }
    let mut scratch = Scratch::take();
    blocking::settle(slf.py(), store, End::Head)?;
    let taken = store.try_get(&mut scratch.bytes).map_err(Raise::raise)?;
    if let Some(Taken::Stored(kind, _)) = &taken
        && *kind == Kind::Plain as u8
    {
        return Ok(Some(codec::decode_inline(slf.py(), &mut scratch)?));
    }
    get_slow(slf, store, taken, &mut scratch, patience)
}

/// What would be got next, left where it is; None if patience ended first.
pub(super) fn peek_one<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    patience: Patience,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut scratch = Scratch::take();
    let taken = await_one(slf, store, &mut scratch, patience, |store, bytes| {
        store.try_peek(bytes).map_err(Raise::raise)
    })?;
    decoded(slf, taken, &mut scratch)
}

/// Waits if nothing was received; decodes what is not small and plain.
#[cold]
fn get_slow<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    mut taken: Option<Taken>,
    scratch: &mut Scratch,
    patience: Patience,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if taken.is_none() {
        taken = await_one(slf, store, scratch, patience, |store, bytes| {
            store.try_get(bytes).map_err(Raise::raise)
        })?;
    }
    decoded(slf, taken, scratch)
}

/// Waits until `attempt` gives something.
pub(super) fn await_one(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    scratch: &mut Scratch,
    patience: Patience,
    attempt: impl Fn(&Store, &mut Vec<u8>) -> PyResult<Option<Taken>>,
) -> PyResult<Option<Taken>> {
    let py = slf.py();
    let mut look = || {
        PyQueueBase::still_open(slf)?;
        blocking::settle(py, store, End::Head)?;
        attempt(store, &mut scratch.bytes)
    };
    let look = || {
        let taken = look()?;
        // A put may be under way, in a process that is stopped there: that is waited for without the interpreter.
        if taken.is_some()
            || !store.is_closed()
            || !py.detach(|| store.has_ended()).map_err(Raise::raise)?
        {
            return Ok(taken);
        }
        // What was put before the end is there by now.
        look()?.map(Some).ok_or_else(|| error::queue_shut_down(py))
    };
    let waited = blocking::wait(py, patience, look, |deadline| store.wait_for_item(deadline));
    Ok(waited?.done())
}

fn decoded<'py>(
    slf: &Bound<'py, PyQueueBase>,
    taken: Option<Taken>,
    scratch: &mut Scratch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let policy = slf.get().policy();
    Ok(match taken {
        Some(Taken::Message(message)) => Some(codec::decode(slf.py(), message, policy, scratch)?),
        // What its handles name is let go of when the object that they became counts it itself.
        Some(Taken::Stored(kind, _holds) | Taken::InFlight(kind, _holds, _)) => {
            Some(stored::load(slf.py(), kind, policy, scratch)?)
        }
        None => None,
    })
}
