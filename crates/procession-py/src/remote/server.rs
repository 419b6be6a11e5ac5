//! `RemoteServer`: a server that this process has opened.

use std::time::Duration;

use procession::remote::{Address, Server};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::{ask, message};
use crate::error::Raise;

/// A server that does not answer is not waited for longer than this.
const LEAVING: Duration = Duration::from_millis(300);

/// A server, which was reached and spoke the right language. Use `procession.Family(url)` or
/// `procession.get_context(url)`.
#[pyclass(frozen, weakref, name = "RemoteServer", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteServer {
    address: Address,
    server: Server,
}

#[pymethods]
impl PyRemoteServer {
    #[new]
    fn new(py: Python<'_>, url: &str) -> PyResult<Self> {
        let address = Address::parse(url).map_err(Raise::raise)?;
        let server = ask(py, || Server::open(&address))?;
        Ok(Self { address, server })
    }

    /// The address of a URL, without its credentials.
    #[staticmethod]
    fn address_of(url: &str) -> PyResult<String> {
        Ok(Address::parse(url).map_err(Raise::raise)?.to_string())
    }

    /// The server of the message under way in this thread, if there is one.
    #[staticmethod]
    fn current(py: Python<'_>) -> Option<Py<Self>> {
        message::current(py)
    }

    /// Where it is, without credentials.
    #[getter]
    fn address(&self) -> String {
        self.address.to_string()
    }

    /// The URL as it was given, with the credentials.
    #[getter]
    fn _url(&self) -> &str {
        self.address.with_credentials()
    }

    #[getter]
    fn prefix(&self) -> &str {
        self.address.prefix()
    }

    /// Seconds.
    #[getter]
    fn lease(&self) -> f64 {
        self.address.lease().as_secs_f64()
    }

    /// Seconds.
    #[getter]
    fn timeout(&self) -> f64 {
        self.address.timeout().as_secs_f64()
    }

    /// What has a name: a dict of the kinds, the oldest first.
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let names = PyDict::new(py);
        for (name, kind) in ask(py, || self.server.names())? {
            names.set_item(name, kind)?;
        }
        Ok(names)
    }

    /// Removes a named object. Whether there was one.
    fn remove(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        ask(py, || self.server.remove(name))
    }

    /// Removes the object with that key. Whether it was there.
    fn destroy(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        ask(py, || self.server.destroy(key))
    }

    /// What the server has under this prefix, and who uses it.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = ask(py, || self.server.stats())?;
        let participants = PyList::empty(py);
        for client in stats.clients {
            let one = PyDict::new(py);
            one.set_item("id", client.id)?;
            one.set_item("pid", client.pid)?;
            one.set_item("name", client.host)?;
            one.set_item("lease_left", client.lease_left.as_secs_f64())?;
            let waits = client.waits.into_iter().map(|(object, _part)| object);
            one.set_item("waiting_on", waits.min())?;
            participants.append(one)?;
        }
        let all = PyDict::new(py);
        all.set_item("server", stats.server)?;
        all.set_item("used_bytes", stats.used_bytes)?;
        all.set_item("objects", stats.objects)?;
        all.set_item("participants", participants)?;
        Ok(all)
    }

    fn __repr__(&self) -> String {
        format!("<RemoteServer {}>", self.address)
    }
}

impl Drop for PyRemoteServer {
    /// Nobody here has anything on it any more.
    fn drop(&mut self) {
        let server = &self.server;
        if server.is_in_use() {
            // None at the interpreter's end, before which all servers are left.
            let _ = Python::try_attach(|py| py.detach(|| server.leave(LEAVING)));
        }
    }
}

impl PyRemoteServer {
    /// The core's.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }
}
