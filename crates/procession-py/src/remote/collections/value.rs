//! `RemoteValueBase`: what a value on a server is made of.

use procession::remote::RemoteValue;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::super::there::At;
use super::super::{PyRemoteServer, message};
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
        self.kept.there.begin(server, |at| RemoteValue::anonymous(at, first))
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
        self.kept.there.begin(server, |at| RemoteValue::named(at, name, first))
    }

    /// Becomes the object that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.kept.there.begin(server, |at| RemoteValue::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.kept.there.at(py, to_send)
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
