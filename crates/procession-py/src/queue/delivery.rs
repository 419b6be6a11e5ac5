//! Queues that deliver again: what is said of what was taken, and by whom.
//!
//! `get` and its like note what they have taken for the thread that called: `task_done` in the same thread
//! ends the oldest of these. What `_take` gives out is in nobody's list, and ended by its ticket.
//!
//! The lists are a thread's own. If the thread ends without a word its messages stay in flight until the
//! process ends. A child of a fork has a copy of the forking thread's, and forgets it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use procession::collections::{NotInFlight, Ticket};
use procession::{ArenaError, End, FamilyId, RawDeliveryQueue};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use super::PyQueueBase;
use super::get::await_one;
use super::store::{Store, Taken};
use crate::blocking::{self, Patience};
use crate::codec::{Scratch, store as stored};
use crate::error::Raise;

/// What a thread has taken out of a queue.
#[derive(Default)]
struct Mine {
    tickets: VecDeque<Ticket>,
    /// What it took last, done with or not.
    last: Option<Ticket>,
}

/// From so many queues on those are forgotten of which nothing is in flight.
const MANY: usize = 64;

thread_local! {
    static MINE: RefCell<HashMap<(FamilyId, u64), Mine>> = RefCell::new(HashMap::new());
}

fn with_mine<R>(queue: &RawDeliveryQueue, f: impl FnOnce(&mut Mine) -> R) -> R {
    MINE.with_borrow_mut(|all| {
        if all.len() > MANY {
            all.retain(|_, mine| !mine.tickets.is_empty());
        }
        let mine = all.entry(queue.identity()).or_default();
        if mine.last.as_ref().is_some_and(|last| !queue.took(last)) {
            *mine = Mine::default(); // the parent's
        }
        f(mine)
    })
}

/// The name of a message that is in flight in this process.
#[pyclass(frozen, name = "Ticket", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyTicket(Ticket);

#[pymethods]
impl PyTicket {
    /// How often the message was delivered, this time included.
    #[getter]
    fn count(&self) -> u32 {
        self.0.count()
    }

    /// How many messages were put before it.
    #[getter]
    fn number(&self) -> u64 {
        self.0.number()
    }
}

/// Takes one object, and notes it for this thread; None if patience ended first.
#[inline(never)]
pub(super) fn get<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    queue: &RawDeliveryQueue,
    patience: Patience,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let taken = take(slf, store, queue, patience)?;
    Ok(taken.map(|(object, ticket)| {
        with_mine(queue, |mine| {
            mine.tickets.push_back(ticket);
            mine.last = Some(ticket);
        });
        object
    }))
}

fn take<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    queue: &RawDeliveryQueue,
    patience: Patience,
) -> PyResult<Option<(Bound<'py, PyAny>, Ticket)>> {
    let py = slf.py();
    let mut scratch = Scratch::take();
    blocking::settle(py, queue, End::Head)?;
    let attempt = |store: &Store, bytes: &mut Vec<u8>| {
        let once = || store.try_get(bytes).map_err(Raise::raise);
        again(py, queue, patience, once)
    };
    let Some(Taken::InFlight(kind, _holds, ticket)) =
        await_one(slf, store, &mut scratch, patience, attempt)?
    else {
        return Ok(None);
    };
    match stored::load(py, kind, slf.get().policy(), &mut scratch) {
        Ok(object) => Ok(Some((object, ticket))),
        Err(error) => {
            let error: PyErr = error.into();
            // What can't be unpickled is gone, as in other queues: it would be so each time. What was only
            // interrupted is not.
            let said = if error.is_instance_of::<PyException>(py) {
                queue.done(&ticket)
            } else {
                queue.give_back(&ticket)
            };
            let _ = said.map_err(Raise::raise)?;
            Err(error)
        }
    }
}

/// Who does not wait, and finds nothing, looks at once whether something comes back.
fn again(
    py: Python<'_>,
    queue: &RawDeliveryQueue,
    patience: Patience,
    mut once: impl FnMut() -> PyResult<Option<Taken>>,
) -> PyResult<Option<Taken>> {
    let taken = once()?;
    let is_last = taken.is_none() && (matches!(patience, Patience::None) || queue.is_closed());
    if is_last && recover(py, queue)? != 0 { once() } else { Ok(taken) }
}

/// Brings back what the dead had; how many messages. That takes the lock, and looks at all that is in flight:
/// so without the interpreter.
pub(super) fn recover(py: Python<'_>, queue: &RawDeliveryQueue) -> PyResult<u64> {
    if queue.in_flight() == 0 {
        return Ok(0);
    }
    py.detach(|| queue.recover()).map_err(Raise::raise)
}

/// Ends the oldest message that this thread has taken.
pub(super) fn task_done(py: Python<'_>, queue: &RawDeliveryQueue) -> PyResult<()> {
    blocking::settle(py, queue, End::Head)?;
    match with_mine(queue, |mine| mine.tickets.pop_front()) {
        Some(ticket) => said(queue.done(&ticket)),
        None => Err(nothing_in_flight()),
    }
}

#[cold]
pub(crate) fn nothing_in_flight() -> PyErr {
    PyValueError::new_err("task_done() called too many times: this thread has nothing in flight")
}

#[cold]
pub(crate) fn not_redelivering() -> PyErr {
    PyValueError::new_err("the queue was not made with redeliver=True")
}

fn said(said: Result<Result<(), NotInFlight>, ArenaError>) -> PyResult<()> {
    said.map_err(Raise::raise)?.map_err(Raise::raise)
}

impl PyQueueBase {
    /// A queue that delivers again.
    pub(super) fn delivering<R>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&Store, &RawDeliveryQueue) -> PyResult<R>,
    ) -> PyResult<R> {
        let store = self.held(py)?;
        match &*store {
            Store::Delivery(queue) => f(&store, queue),
            _ => Err(not_redelivering()),
        }
    }

    pub(super) fn take_one<'py>(
        slf: &Bound<'py, Self>,
        patience: Patience,
    ) -> PyResult<Option<(Bound<'py, PyAny>, PyTicket)>> {
        slf.get().delivering(slf.py(), |store, queue| {
            let taken = take(slf, store, queue, patience)?;
            Ok(taken.map(|(object, ticket)| (object, PyTicket(ticket))))
        })
    }

    /// Reports what a ticket names as done, or gives it back.
    pub(super) fn settle_one(&self, py: Python<'_>, ticket: &PyTicket, done: bool) -> PyResult<()> {
        self.delivering(py, |_, queue| {
            blocking::settle(py, queue, End::Head)?;
            said(if done { queue.done(&ticket.0) } else { queue.give_back(&ticket.0) })
        })
    }

    /// How often the message was delivered that this thread took last; 0: it took none.
    pub(super) fn last_count(&self, py: Python<'_>) -> PyResult<u32> {
        self.delivering(py, |_, queue| {
            Ok(with_mine(queue, |mine| mine.last.map_or(0, |last| last.count())))
        })
    }
}
