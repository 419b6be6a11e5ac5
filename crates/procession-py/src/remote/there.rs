//! [`There`]: where a class keeps its object on a server.

use std::sync::OnceLock;

use procession::remote::Server;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::{PyRemoteServer, ask};
use crate::error::Raise;

/// An object of the core's on a server.
pub(crate) trait OnServer: Send + Sync {
    /// What is said of one that was never begun, and of one that is begun once more.
    const UNBEGUN: &'static str;
    const BEGUN: &'static str;

    fn key(&self) -> &str;
    fn key_to_send(&self) -> &str;
}

/// These are objects on a server, of which is said that they were not begun, or were begun before.
macro_rules! on_server {
    ($($type:ident),+: $unbegun:literal, $begun:literal) => {$(
        impl $crate::remote::there::OnServer for $type {
            const UNBEGUN: &'static str = $unbegun;
            const BEGUN: &'static str = $begun;

            fn key(&self) -> &str {
                self.key()
            }

            fn key_to_send(&self) -> &str {
                self.key_to_send()
            }
        }
    )+};
}
pub(super) use on_server;

/// A server, and an object's key on it.
pub(super) type At = (Py<PyRemoteServer>, String);

/// What a class's object has become, once, and its server.
#[derive(Debug)]
pub(super) struct There<T>(OnceLock<(Py<PyRemoteServer>, T)>);

impl<T: OnServer> There<T> {
    pub(super) const fn none() -> Self {
        Self(OnceLock::new())
    }

    /// Becomes what `make` makes on the server.
    pub(super) fn begin<E: Raise + Send>(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        make: impl FnOnce(&Server) -> Result<T, E> + Send,
    ) -> PyResult<()> {
        let at = server.get().server();
        self.begin_as(server, ask(server.py(), || make(at))?)
    }

    /// Becomes this.
    pub(super) fn begin_as(&self, server: &Bound<'_, PyRemoteServer>, made: T) -> PyResult<()> {
        let again = |_| PyRuntimeError::new_err(T::BEGUN);
        self.0.set((server.clone().unbind(), made)).map_err(again)
    }

    pub(super) fn get(&self) -> PyResult<&T> {
        Ok(&self.both()?.1)
    }

    pub(super) fn server<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyRemoteServer>> {
        Ok(self.both()?.0.bind(py))
    }

    pub(super) fn both(&self) -> PyResult<&(Py<PyRemoteServer>, T)> {
        self.0.get().ok_or_else(|| PyRuntimeError::new_err(T::UNBEGUN))
    }

    /// Asks the server, without the interpreter.
    pub(super) fn ask<R: Send, E: Raise + Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&T) -> Result<R, E> + Send,
    ) -> PyResult<R> {
        let it = self.get()?;
        ask(py, || call(it))
    }

    /// Where it is; to send: from now on others may have it.
    pub(super) fn at(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        let (server, it) = self.both()?;
        let key = if to_send { py.detach(|| it.key_to_send()) } else { it.key() };
        Ok((server.clone_ref(py), key.to_owned()))
    }
}
