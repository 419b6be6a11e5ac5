//! `EventBase`.

use procession::sync::RawEvent;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::{Arg, family, handle};
use crate::blocking::Patience;
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

/// The native part of an event. Use `procession.Event`.
#[pyclass(frozen, subclass, weakref, name = "EventBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyEventBase {
    event: Scoped<RawEvent>,
}

#[pymethods]
impl PyEventBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { event: Scoped::new() }
    }

    /// Makes a new event, not set.
    fn _create(&self) -> PyResult<()> {
        self.event.begin(RawEvent::create(family()?).map_err(Raise::raise)?)
    }

    /// Becomes the event that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.event.begin(RawEvent::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the event anywhere in its family.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let event = self.event.still()?;
        Ok(handle(py, &event.handle(), || event.lease()))
    }

    /// An object that keeps the event alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.event.still()?.lease()]))
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.event.join(scope)
    }

    /// Whether it is set.
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.event.held()?.is_set())
    }

    /// Sets it, and lets everyone through who waits.
    fn set(&self) -> PyResult<()> {
        self.event.held()?.set();
        Ok(())
    }

    /// Unsets it: who comes from now on waits.
    fn clear(&self) -> PyResult<()> {
        self.event.held()?.clear();
        Ok(())
    }

    /// Waits until it is set, at most timeout seconds. Whether it was.
    ///
    /// Who waits is let through by a set() even if a clear() follows at once.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Arg) -> PyResult<bool> {
        let patience = Patience::from_args(None, timeout)?;
        let event = self.event.held()?;
        let since = event.epoch();
        let waited = self.event.wait(
            py,
            patience,
            || Ok((event.is_set() || event.epoch() != since).then_some(())),
            |deadline| event.wait(since, deadline),
        )?;
        Ok(waited.done().is_some())
    }
}

impl PyEventBase {
    /// The event, for who waits for it.
    pub(crate) fn held(&self) -> PyResult<&RawEvent> {
        self.event.held()
    }
}
