//! Dicts, lists and values on a server: the bases of `procession.remote.collections`' classes.
//!
//! These give and take *messages*: bytes, of which the first says the kind. What a method means, comparisons above all,
//! is made of them in Python: beside the way to the server that costs nothing.

mod dict;
mod list;
mod value;

use std::sync::atomic::{AtomicBool, Ordering};

use procession::remote::{RemoteDict, RemoteError, RemoteList, RemoteValue};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::message;
use super::there::{OnServer, There, on_server};
use crate::codec::Policy;

pub(crate) use dict::PyRemoteDictBase;
pub(crate) use list::PyRemoteListBase;
pub(crate) use value::PyRemoteValueBase;

on_server! { RemoteDict, RemoteList, RemoteValue: "it was not begun", "it was begun before" }

/// An object as a class keeps it, with what it lets in and out.
#[derive(Debug)]
struct Kept<T> {
    there: There<T>,
    plain_only: AtomicBool,
}

impl<T: OnServer> Kept<T> {
    fn new() -> Self {
        Self { there: There::none(), plain_only: AtomicBool::new(false) }
    }

    /// Asks the server, without the interpreter.
    fn ask<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&T) -> Result<R, RemoteError> + Send,
    ) -> PyResult<R> {
        self.there.ask(py, call)
    }

    fn refuse_pickle(&self) {
        self.plain_only.store(true, Ordering::Release);
    }

    fn policy(&self) -> Policy {
        Policy::plain_only(self.plain_only.load(Ordering::Acquire))
    }

    fn pack<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = obj.py();
        let packed = message::encode(self.there.server(py)?, obj, self.policy())?;
        Ok(PyBytes::new(py, &packed))
    }

    fn unpack<'py>(&self, py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        message::decode(self.there.server(py)?, packed, self.policy())
    }

    fn unpack_parts<'py>(
        &self,
        py: Python<'py>,
        kind: u8,
        body: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        message::decode_parts(self.there.server(py)?, kind, body, self.policy())
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
