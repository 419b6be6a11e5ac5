//! Dicts, lists and values on a server: the bases of `procession.remote.collections`' classes.
//!
//! These give and take *messages*: bytes, of which the first says the kind. What a method means, comparisons above all,
//! is made of them in Python: beside the way to the server that costs nothing.

mod dict;
mod list;
mod value;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{PyRemoteServer, ask, message};
use crate::codec::Policy;

pub(crate) use dict::PyRemoteDictBase;
pub(crate) use list::PyRemoteListBase;
pub(crate) use value::PyRemoteValueBase;

/// An object as a class keeps it: with its server, and what it lets in and out.
#[derive(Debug)]
struct Kept<T> {
    there: OnceLock<(Py<PyRemoteServer>, T)>,
    plain_only: AtomicBool,
}

impl<T: Sync> Kept<T> {
    fn new() -> Self {
        Self { there: OnceLock::new(), plain_only: AtomicBool::new(false) }
    }

    fn begin(&self, server: &Bound<'_, PyRemoteServer>, object: T) -> PyResult<()> {
        let both = (server.clone().unbind(), object);
        self.there.set(both).map_err(|_| PyRuntimeError::new_err("it was begun before"))
    }

    fn both(&self) -> PyResult<&(Py<PyRemoteServer>, T)> {
        self.there.get().ok_or_else(|| PyRuntimeError::new_err("it was not begun"))
    }

    fn object(&self) -> PyResult<&T> {
        Ok(&self.both()?.1)
    }

    fn server(&self, py: Python<'_>) -> PyResult<Py<PyRemoteServer>> {
        Ok(self.both()?.0.clone_ref(py))
    }

    /// Asks the server, without the interpreter.
    fn ask<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&T) -> Result<R, procession::remote::RemoteError> + Send,
    ) -> PyResult<R> {
        let object = self.object()?;
        ask(py, || call(object))
    }

    fn refuse_pickle(&self) {
        self.plain_only.store(true, Ordering::Release);
    }

    fn policy(&self) -> Policy {
        Policy::plain_only(self.plain_only.load(Ordering::Acquire))
    }

    fn pack<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = obj.py();
        let packed = message::encode(self.both()?.0.bind(py), obj, self.policy())?;
        Ok(PyBytes::new(py, &packed))
    }

    fn unpack<'py>(&self, py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        message::decode(self.both()?.0.bind(py), packed, self.policy())
    }

    fn unpack_parts<'py>(
        &self,
        py: Python<'py>,
        kind: u8,
        body: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        message::decode_parts(self.both()?.0.bind(py), kind, body, self.policy())
    }
}

/// Messages as they were given.
fn borrowed<'a>(messages: &'a [Bound<'_, PyBytes>]) -> Vec<&'a [u8]> {
    messages.iter().map(PyBytesMethods::as_bytes).collect()
}

/// Messages as they are given out.
fn given<'py>(py: Python<'py>, messages: &[Vec<u8>]) -> Vec<Bound<'py, PyBytes>> {
    messages.iter().map(|message| PyBytes::new(py, message)).collect()
}
