//! `RemoteEventBase`.

use procession::remote::{Event, Patience as Waiting};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{Arg, There};
use crate::blocking::Patience;
use crate::remote::{PyRemoteServer, ask, interruptible};

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

    /// What names it on its server.
    #[getter]
    fn _key(&self) -> PyResult<&str> {
        Ok(self.there.get()?.key())
    }

    /// The same, for a handle that is about to travel.
    fn _key_to_send(&self, py: Python<'_>) -> PyResult<String> {
        let it = self.there.get()?;
        Ok(py.detach(|| it.key_to_send().to_owned()))
    }

    #[getter]
    fn _server(&self, py: Python<'_>) -> PyResult<Py<PyRemoteServer>> {
        self.there.server(py)
    }

    /// Whether it is set.
    fn is_set(&self, py: Python<'_>) -> PyResult<bool> {
        let event = self.there.get()?;
        ask(py, || event.is_set(&Waiting::forever()))
    }

    /// Sets it, and lets everyone through who waits.
    fn set(&self, py: Python<'_>) -> PyResult<()> {
        let event = self.there.get()?;
        ask(py, || event.set())
    }

    /// Unsets it: who comes from now on waits.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let event = self.there.get()?;
        ask(py, || event.clear())
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
