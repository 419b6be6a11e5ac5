//! `ConditionBase`: the list of those who wait. The lock beside it is `procession.synchronize`'s
//! business.

use std::sync::{Mutex, MutexGuard, PoisonError};

use procession::sync::{RawCondition, Waiter};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::{Arg, family, handle};
use crate::blocking::Patience;
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

/// The native part of a condition. Use `procession.Condition`.
#[pyclass(frozen, subclass, weakref, name = "ConditionBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyConditionBase {
    condition: Scoped<RawCondition>,
}

#[pymethods]
impl PyConditionBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { condition: Scoped::new() }
    }

    /// Makes a new condition.
    fn _create(&self) -> PyResult<()> {
        self.condition.begin(RawCondition::create(family()?).map_err(Raise::raise)?)
    }

    /// Becomes the condition that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.condition.begin(RawCondition::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the condition anywhere in its family.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let condition = self.condition.still()?;
        Ok(handle(py, &condition.handle(), || condition.lease()))
    }

    /// An object that keeps the condition alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.condition.still()?.lease()]))
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.condition.join(scope)
    }

    /// Puts this thread on the list of those who wait: from now on it can be notified.
    fn _enlist(&self) -> PyResult<PyWaiter> {
        let waiter = self.condition.held()?.enlist().map_err(Raise::raise)?;
        Ok(PyWaiter { waiter: self.condition.beside(Mutex::new(Some(waiter))) })
    }

    /// Notifies up to n of those who wait; how many it were.
    fn _notify(&self, n: u32) -> PyResult<u32> {
        self.condition.held()?.notify(n).map_err(Raise::raise)
    }

    /// How many wait at this moment.
    fn _waiting(&self) -> PyResult<u32> {
        Ok(self.condition.held()?.waiting())
    }
}

/// One who waits, until the wait has ended. If it is dropped before, a notification that it got
/// goes to another.
#[pyclass(frozen, name = "Waiter", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyWaiter {
    waiter: Scoped<Mutex<Option<Waiter>>>,
}

#[pymethods]
impl PyWaiter {
    /// Waits to be notified, at most timeout seconds. It stays on the list.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Arg) -> PyResult<()> {
        let patience = Patience::from_args(None, timeout)?;
        let Some(waiter) = self.take() else {
            return Ok(());
        };
        let waited = self.waiter.wait(
            py,
            patience,
            || Ok(waiter.is_notified().then_some(())),
            |deadline| waiter.wait(deadline),
        );
        *self.slot()? = Some(waiter);
        waited.map(drop)
    }

    /// Leaves the list. Whether it was notified.
    fn leave(&self) -> bool {
        self.take().is_some_and(Waiter::leave)
    }

    /// Leaves the list; a notification goes to another one.
    fn withdraw(&self) {
        drop(self.take());
    }
}

impl PyWaiter {
    fn slot(&self) -> PyResult<MutexGuard<'_, Option<Waiter>>> {
        Ok(self.waiter.still()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> Option<Waiter> {
        self.slot().ok()?.take()
    }
}
