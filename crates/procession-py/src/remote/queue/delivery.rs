//! Queues that deliver again: what is said of what was taken, and by whom.
//!
//! As at home: `get` and its like note what they have taken for the thread that called, and `task_done` in the same
//! thread ends the oldest of these; what `_take` gives out is in nobody's list. The lists are a thread's own. A
//! child of a fork is another client of the server, and forgets its parent's.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use procession::collections::NotInFlight;
use procession::remote::queue::{RemoteQueue, Taken, Ticket};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use super::{PyRemoteQueueBase, PyRemoteTaken, get};
use crate::error::Raise;
use crate::queue::{Row, nothing_in_flight};
use crate::remote::ask;

/// What a thread has taken out of a queue.
#[derive(Default)]
struct Mine {
    process: u32,
    tickets: VecDeque<Ticket>,
    /// How often that was delivered which it took last.
    last: u32,
}

/// From so many queues on those are forgotten of which nothing is in flight.
const MANY: usize = 64;

thread_local! {
    /// Of each queue, by what tells it from all others.
    static MINE: RefCell<HashMap<String, Mine>> = RefCell::new(HashMap::new());
}

fn with_mine<R>(slf: &PyRemoteQueueBase, f: impl FnOnce(&mut Mine) -> R) -> PyResult<R> {
    let (server, queue) = slf.there.both()?;
    let name = format!("{} {}", server.get().server().address(), queue.key());
    Ok(MINE.with_borrow_mut(|all| {
        if all.len() > MANY {
            all.retain(|_, mine| !mine.tickets.is_empty());
        }
        let mine = all.entry(name).or_default();
        let process = std::process::id();
        if mine.process != process {
            *mine = Mine { process, ..Mine::default() };
        }
        f(mine)
    }))
}

/// The name of a message that is in flight in this process.
#[pyclass(frozen, name = "RemoteTicket", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteTicket(Ticket);

#[pymethods]
impl PyRemoteTicket {
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

impl PyRemoteTicket {
    pub(super) fn settle(&self, py: Python<'_>, queue: &RemoteQueue, done: bool) -> PyResult<()> {
        settle(py, queue, &self.0, done)
    }
}

fn settle(py: Python<'_>, queue: &RemoteQueue, ticket: &Ticket, done: bool) -> PyResult<()> {
    let said = || if done { queue.done(ticket) } else { queue.return_ticket(ticket) };
    if ask(py, said)? { Ok(()) } else { Err(NotInFlight.raise()) }
}

/// The object of a message that was taken, which is noted for this thread if there is something to be said of it.
pub(super) fn opened<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    taken: &PyRemoteTaken,
) -> PyResult<Bound<'py, PyAny>> {
    let object = decoded(slf, taken.taken())?;
    if let Some(ticket) = taken.taken().ticket() {
        with_mine(slf.get(), |mine| {
            mine.last = ticket.count();
            mine.tickets.push_back(ticket.clone());
        })?;
    }
    Ok(object)
}

/// The same; its ticket is given out instead.
pub(super) fn with_ticket<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    taken: &PyRemoteTaken,
) -> PyResult<(Bound<'py, PyAny>, PyRemoteTicket)> {
    let object = decoded(slf, taken.taken())?;
    let ticket = taken.taken().ticket().cloned();
    let ticket = ticket.ok_or_else(|| PyRuntimeError::new_err("a message without a ticket"))?;
    Ok((object, PyRemoteTicket(ticket)))
}

fn decoded<'py>(slf: &Bound<'py, PyRemoteQueueBase>, taken: &Taken) -> PyResult<Bound<'py, PyAny>> {
    get::object(slf, taken).or_else(|error| {
        let py = slf.py();
        if let Some(ticket) = taken.ticket() {
            // What can't be unpickled is gone, as in other queues: it would be so each time. What was only
            // interrupted is not.
            settle(py, slf.get().queue()?, ticket, error.is_instance_of::<PyException>(py))?;
        }
        Err(error)
    })
}

/// Ends the oldest message that this thread has taken.
pub(super) fn task_done(py: Python<'_>, slf: &PyRemoteQueueBase) -> PyResult<()> {
    let queue = slf.delivering()?;
    match with_mine(slf, |mine| mine.tickets.pop_front())? {
        Some(ticket) => settle(py, queue, &ticket, true),
        None => Err(nothing_in_flight()),
    }
}

/// How often the message was delivered that this thread took last; 0: it took none.
pub(super) fn last_count(slf: &PyRemoteQueueBase) -> PyResult<u32> {
    slf.delivering()?;
    with_mine(slf, |mine| mine.last)
}

/// All that is in flight.
pub(super) fn rows(py: Python<'_>, queue: &RemoteQueue) -> PyResult<Vec<Row>> {
    let all = ask(py, || queue.in_flights())?;
    let row = |one: procession::remote::queue::InFlight| {
        let name = one.host.unwrap_or_default();
        (one.pid.unwrap_or(0), name, one.count, one.since.as_secs_f64(), one.bytes, one.number)
    };
    Ok(all.into_iter().map(row).collect())
}
