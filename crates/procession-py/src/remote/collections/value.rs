//! `RemoteValueBase`: what a value on a server is made of.

use procession::remote::RemoteValue;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::super::{PyRemoteServer, ask, message};
use super::Kept;
use crate::codec::Policy;

/// The native part of a value on a server. Use `procession.Family(url).value(name)`.
#[pyclass(frozen, subclass, weakref, name = "RemoteValueBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteValueBase {
    kept: Kept<RemoteValue>,
}

#[pymethods]
impl PyRemoteValueBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { kept: Kept::new() }
    }

    /// Makes a new value.
    fn _create(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        first: &Bound<'_, PyAny>,
        plain_only: bool,
    ) -> PyResult<()> {
        let first = message::encode(server, first, Policy::plain_only(plain_only))?;
        let at = server.get().server();
        self.kept.begin(server, ask(server.py(), || RemoteValue::anonymous(at, first))?)
    }

    /// Becomes the value of that name, which is made if there is none.
    fn _find(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        first: &Bound<'_, PyAny>,
        plain_only: bool,
    ) -> PyResult<()> {
        let first = message::encode(server, first, Policy::plain_only(plain_only))?;
        let at = server.get().server();
        self.kept.begin(server, ask(server.py(), || RemoteValue::named(at, name, first))?)
    }

    /// Becomes the object that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        let at = server.get().server();
        self.kept.begin(server, ask(server.py(), || RemoteValue::attach(at, key))?)
    }

    /// What names it on its server.
    #[getter]
    fn _key(&self) -> PyResult<&str> {
        Ok(self.kept.object()?.key())
    }

    /// The same, for a handle that is about to travel.
    fn _key_to_send(&self, py: Python<'_>) -> PyResult<String> {
        let object = self.kept.object()?;
        Ok(py.detach(|| object.key_to_send().to_owned()))
    }

    #[getter]
    fn _server(&self, py: Python<'_>) -> PyResult<Py<PyRemoteServer>> {
        self.kept.server(py)
    }

    /// From now on this process stores plain data only, and unpickles nothing that it finds.
    fn _refuse_pickle(&self) {
        self.kept.refuse_pickle();
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> bool {
        self.kept.policy() == Policy::PlainOnly
    }

    /// An object as a message.
    fn _pack<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.kept.pack(obj)
    }

    /// A message's object.
    fn _unpack<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.kept.unpack(py, message)
    }

    /// The value.
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = self.kept.ask(py, RemoteValue::get)?;
        self.kept.unpack(py, &value)
    }

    /// Replaces the value.
    fn set(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let packed = self.kept.pack(value)?.as_bytes().to_vec();
        self.kept.ask(value.py(), |it| it.set(packed))
    }
}
