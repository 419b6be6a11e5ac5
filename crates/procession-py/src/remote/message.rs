//! Python objects ⇄ messages on a server.
//!
//! They are encoded as what dicts and lists store: one byte says the kind. What is in this machine's shared
//! memory can't be named on another one, so that is an error. While pickle runs for a message, this says
//! ([`current`]) by which server it goes or came: a handle of an object there need say no more.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::PyRemoteServer;
use crate::codec::store::{self, Name, Value};
use crate::codec::{Buffers, DecodeError, Policy, Scratch};

thread_local! {
    static SERVER: RefCell<Option<Py<PyRemoteServer>>> = const { RefCell::new(None) };
}

/// Puts the outer message's server back, whatever happens.
struct Outer(Option<Py<PyRemoteServer>>);

impl Outer {
    fn put_by(server: &Bound<'_, PyRemoteServer>) -> Self {
        Self(SERVER.replace(Some(server.clone().unbind())))
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        // Not dropped while it is borrowed: that may run Python code.
        let ours = SERVER.replace(self.0.take());
        drop(ours);
    }
}

/// The server of the message under way in this thread, if there is one.
pub(super) fn current(py: Python<'_>) -> Option<Py<PyRemoteServer>> {
    SERVER.with_borrow(|server| server.as_ref().map(|server| server.clone_ref(py)))
}

/// Encodes an object into `scratch.bytes`, and returns its kind. The errors are what pickle or the policy says
/// about it.
pub(crate) fn encode_into(
    server: &Bound<'_, PyRemoteServer>,
    obj: &Bound<'_, PyAny>,
    policy: Policy,
    scratch: &mut Buffers,
) -> PyResult<u8> {
    let outer = Outer::put_by(server);
    let value = Value::of(obj, policy, scratch);
    drop(outer);
    value?.without_handles().ok_or_else(|| not_from_here(obj.py()))
}

/// Encodes a dict's key into `scratch.key`, and returns its kind and what else there is to know of it.
pub(super) fn encode_key(
    server: &Bound<'_, PyRemoteServer>,
    key: &Bound<'_, PyAny>,
    policy: Policy,
    scratch: &mut Buffers,
) -> PyResult<(u8, Name)> {
    let outer = Outer::put_by(server);
    let name = Name::of(key, policy, scratch);
    drop(outer);
    let name = name?;
    let kind = name.without_handles().ok_or_else(|| not_from_here(key.py()))?;
    Ok((kind, name))
}

/// The object of a message whose bytes are `scratch.bytes`, if the policy lets it out.
pub(crate) fn decode_in<'py>(
    server: &Bound<'py, PyRemoteServer>,
    kind: u8,
    policy: Policy,
    scratch: &mut Buffers,
) -> PyResult<Bound<'py, PyAny>> {
    let _outer = Outer::put_by(server);
    Ok(store::load(server.py(), kind, policy, scratch)?)
}

/// An object as one piece: its kind, then its bytes.
pub(crate) fn encode(
    server: &Bound<'_, PyRemoteServer>,
    obj: &Bound<'_, PyAny>,
    policy: Policy,
) -> PyResult<Vec<u8>> {
    let mut scratch = Scratch::take();
    let kind = encode_into(server, obj, policy, &mut scratch)?;
    let mut message = Vec::with_capacity(1 + scratch.bytes.len());
    message.push(kind);
    message.extend_from_slice(&scratch.bytes);
    Ok(message)
}

/// The object of such a piece, if the policy lets it out.
pub(crate) fn decode<'py>(
    server: &Bound<'py, PyRemoteServer>,
    message: &[u8],
    policy: Policy,
) -> PyResult<Bound<'py, PyAny>> {
    let (kind, body) = message.split_first().ok_or(DecodeError::Corrupt("it is empty"))?;
    decode_parts(server, *kind, body, policy)
}

/// The same of its two parts.
pub(crate) fn decode_parts<'py>(
    server: &Bound<'py, PyRemoteServer>,
    kind: u8,
    body: &[u8],
    policy: Policy,
) -> PyResult<Bound<'py, PyAny>> {
    let mut scratch = Scratch::take();
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(body);
    decode_in(server, kind, policy, &mut scratch)
}

/// `pickle.PicklingError`.
#[cold]
fn not_from_here(py: Python<'_>) -> PyErr {
    static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    const TEXT: &str = "a queue, lock, pipe or other object that is in this machine's shared memory can't go to a \
         server: make it by the server's own context or family (procession.get_context(url), procession.Family(url))";
    match ERROR.import(py, "pickle", "PicklingError") {
        Ok(kind) => PyErr::from_type(kind.clone(), TEXT),
        Err(error) => error,
    }
}
