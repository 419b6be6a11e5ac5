//! Objects on a server: what their classes have in common.
//!
//! - [`server`]: `RemoteServer`, a server that this process has opened; [`error`]: what can go wrong;
//! - [`message`]: Python objects ⇄ messages;
//! - [`there`]: where a class keeps its object;
//! - [`queue`] and so on: the bases of the classes of `procession.remote`.
//!
//! All that goes to the server goes through [`interruptible`].

mod collections;
mod error;
mod message;
mod pool;
mod queue;
mod server;
mod stop;
mod sync;
mod there;

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use procession::remote;
use pyo3::prelude::*;

pub(crate) use collections::{PyRemoteDictBase, PyRemoteListBase, PyRemoteValueBase};
pub(crate) use error::{LeaseLost, OutcomeUnknownError, ServerUnreachableError};
pub(crate) use message::{decode, encode};
pub(crate) use pool::{PyRemotePoolOwner, PyRemotePoolWorker, remote_decode, remote_encode};
pub(crate) use queue::{PyRemoteMessage, PyRemoteQueueBase, PyRemoteTaken, PyRemoteTicket};
pub(crate) use server::PyRemoteServer;
pub(crate) use stop::{PyRemoteStop, RemoteStopped, during};
pub(crate) use sync::{
    PyRemoteBarrierBase, PyRemoteConditionBase, PyRemoteEventBase, PyRemoteLockBase,
    PyRemoteSemaphoreBase, PyRemoteWaiter,
};

use crate::blocking::Patience;
use crate::error::Raise;

/// Makes a call to a server without the interpreter, which may wait as long as `patience` says. A signal
/// ends it (Ctrl-C), by the exception that its handler raises.
pub(crate) fn interruptible<T: Send, E: Raise + Send>(
    py: Python<'_>,
    patience: Patience,
    call: impl FnOnce(&remote::Patience<'_>) -> Result<T, E> + Send,
) -> PyResult<T> {
    interruptible_if(py, patience, &|_| Ok(()), call)
}

/// The same; an error of `check`, which is asked now and then, ends it too.
pub(crate) fn interruptible_if<T: Send, E: Raise + Send>(
    py: Python<'_>,
    patience: Patience,
    check: &(dyn Fn(Python<'_>) -> PyResult<()> + Sync),
    call: impl FnOnce(&remote::Patience<'_>) -> Result<T, E> + Send,
) -> PyResult<T> {
    match try_interruptible(py, patience, check, call)? {
        Ok(value) => Ok(value),
        Err(error) => Err(error.raise()),
    }
}

/// The same, for who looks at the error himself.
pub(crate) fn try_interruptible<T: Send, E: Send>(
    py: Python<'_>,
    patience: Patience,
    check: &(dyn Fn(Python<'_>) -> PyResult<()> + Sync),
    call: impl FnOnce(&remote::Patience<'_>) -> Result<T, E> + Send,
) -> PyResult<Result<T, E>> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let interrupt = || {
        let checked = Python::try_attach(|py| py.check_signals().and_then(|()| check(py)));
        match checked {
            Some(Ok(())) => false,
            // The interpreter has ended: this is a daemon's thread, which won't come back there.
            None => true,
            Some(Err(error)) => {
                *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                true
            }
        }
    };
    let until = match patience {
        Patience::None => Some(Instant::now()),
        Patience::Until(until) => until,
    };
    let patience = remote::Patience { until, interrupt: Some(&interrupt) };
    let result = py.detach(|| call(&patience));
    let raised = raised.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, raised) {
        (Err(_), Some(error)) => Err(error),
        (Ok(value), Some(error)) => {
            // It came too late: what was done is not to be lost.
            error.write_unraisable(py, None);
            Ok(Ok(value))
        }
        (result, None) => Ok(result),
    }
}

thread_local! {
    /// What a signal's handler has raised while a call was under way that has no patience of its own.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Asked by the core, in such calls.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method alone is not general enough"
)]
fn signalled() -> bool {
    match Python::try_attach(|py| py.check_signals()) {
        Some(Ok(())) => false,
        None => true, // as above
        Some(Err(error)) => {
            RAISED.set(Some(error));
            true
        }
    }
}

/// Such calls are interrupted by signals from now on.
pub(crate) fn begin() {
    remote::set_interrupt(signalled);
}

/// A call that answers at once, if the server does. A signal ends it, too.
pub(crate) fn ask<T: Send, E: Raise + Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, E> + Send,
) -> PyResult<T> {
    let result = py.detach(call);
    match (result, RAISED.take()) {
        (Err(_), Some(error)) => Err(error),
        (result, _) => result.map_err(Raise::raise),
    }
}

/// Leaves all servers that this process has opened: what it holds there is free at once. Tries for so many seconds
/// each.
#[pyfunction]
pub(crate) fn leave_servers(py: Python<'_>, seconds: f64) {
    let limit = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
    py.detach(|| remote::leave_all(limit));
}

/// Says that this process ends on purpose: the Locks that it holds stay held, its RLocks are free. Tries for so many
/// seconds for each.
#[pyfunction]
pub(crate) fn leave_locks(py: Python<'_>, seconds: f64) {
    let limit = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
    py.detach(|| remote::leave_locks(limit));
}
