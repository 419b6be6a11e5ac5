//! `RemoteConditionBase`: the list of those who wait. The lock beside it is `procession.remote.synchronize`'s business.

use std::sync::{Mutex, MutexGuard, PoisonError};

use procession::remote::{Condition, Patience as Waiting, Place};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::Arg;
use crate::blocking::Patience;
use crate::remote::there::{At, There};
use crate::remote::{PyRemoteServer, ask, interruptible};

/// The native part of a condition on a server. Use `procession.get_context(url).Condition` or
/// `procession.Family(url).condition`.
#[pyclass(frozen, subclass, weakref, name = "RemoteConditionBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteConditionBase {
    there: There<Condition>,
}

#[pymethods]
impl PyRemoteConditionBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { there: There::none() }
    }

    /// Makes a new condition.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>) -> PyResult<()> {
        self.there.begin(server, Condition::anonymous)
    }

    /// Becomes the condition of that name, which is made if there is none, with a reentrant lock.
    fn _find(&self, server: &Bound<'_, PyRemoteServer>, name: &str) -> PyResult<()> {
        self.there.begin(server, |at| Condition::named_with_lock(at, name).map(|(it, _)| it))
    }

    /// Becomes the condition that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.there.begin(server, |at| Condition::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// Puts this thread on the list of those who wait: from now on it can be notified.
    fn _enlist(&self, py: Python<'_>) -> PyResult<PyRemoteWaiter> {
        let place = self.there.ask(py, |condition| condition.enlist(&Waiting::forever()))?;
        Ok(PyRemoteWaiter { place: Mutex::new(Some(place)) })
    }

    /// Notifies up to n of those who wait; how many it were.
    fn _notify(&self, py: Python<'_>, n: u32) -> PyResult<u32> {
        self.there.ask(py, |condition| condition.notify(n, &Waiting::forever()))
    }

    /// How many wait at this moment.
    fn _waiting(&self, py: Python<'_>) -> PyResult<u32> {
        self.there.ask(py, |condition| condition.waiting(&Waiting::forever()))
    }
}

/// One who waits, until the wait has ended. If it is dropped before, a notification that it got
/// goes to another.
#[pyclass(frozen, name = "RemoteWaiter", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteWaiter {
    place: Mutex<Option<Place>>,
}

#[pymethods]
impl PyRemoteWaiter {
    /// Waits to be notified, at most timeout seconds. It stays on the list.
    ///
    /// LeaseLost if the place was lost: another one may have been notified for it.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Arg) -> PyResult<()> {
        let patience = Patience::from_args(None, timeout)?;
        let Some(place) = self.slot().take() else {
            return Ok(());
        };
        let waited = interruptible(py, patience, |patience| place.wait(patience));
        *self.slot() = Some(place);
        waited
    }

    /// Leaves the list. Whether it was notified.
    fn leave(&self, py: Python<'_>) -> PyResult<bool> {
        let place = self.slot().take();
        match place {
            Some(place) => ask(py, || place.leave(&Waiting::forever())),
            None => Ok(false),
        }
    }

    /// Leaves the list; a notification goes to another one.
    fn withdraw(&self, py: Python<'_>) {
        let place = self.slot().take();
        py.detach(|| drop(place));
    }
}

impl PyRemoteWaiter {
    fn slot(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
