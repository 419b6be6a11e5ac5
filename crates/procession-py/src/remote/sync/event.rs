//! `RemoteEventBase`.

use procession::remote::{Event, Patience as Waiting};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::Arg;
use crate::blocking::Patience;
use crate::remote::there::{At, There};
use crate::remote::{PyRemoteServer, interruptible};

/// The native part of an event on a server. Use `procession.get_context(url).Event` or `procession.Family(url).event`.
#[pyclass(frozen, subclass, weakref, name = "RemoteEventBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteEventBase {
    there: There<Event>,
}

#[pymethods]
impl PyRemoteEventBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { there: There::none() }
    }

    /// Makes a new event, not set.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>) -> PyResult<()> {
        self.there.begin(server, Event::anonymous)
    }

    /// Becomes the event of that name, which is made if there is none.
    fn _find(&self, server: &Bound<'_, PyRemoteServer>, name: &str) -> PyResult<()> {
        self.there.begin(server, |at| Event::named(at, name))
    }

    /// Becomes the event that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.there.begin(server, |at| Event::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// Whether it is set.
    fn is_set(&self, py: Python<'_>) -> PyResult<bool> {
        self.there.ask(py, |event| event.is_set(&Waiting::forever()))
    }

    /// Sets it, and lets everyone through who waits.
    fn set(&self, py: Python<'_>) -> PyResult<()> {
        self.there.ask(py, Event::set)
    }

    /// Unsets it: who comes from now on waits.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.there.ask(py, Event::clear)
    }

    /// Waits until it is set, at most timeout seconds. Whether it was.
    ///
    /// Who waits is let through by a set() even if a clear() follows at once.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Arg) -> PyResult<bool> {
        let patience = Patience::from_args(None, timeout)?;
        let event = self.there.get()?;
        interruptible(py, patience, |patience| event.wait_with(patience))
    }
}
