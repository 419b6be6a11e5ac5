//! Locks and their kin on a server: what the classes of `procession.remote.synchronize` are made of. One class a file.
//!
//! An object is made empty, and becomes a new primitive (`_create`), the one of a name (`_find`) or the one that a handle
//! names (`_attach`), once.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;

use std::sync::OnceLock;

use procession::remote::Server;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

pub(crate) use barrier::PyRemoteBarrierBase;
pub(crate) use condition::{PyRemoteConditionBase, PyRemoteWaiter};
pub(crate) use event::PyRemoteEventBase;
pub(crate) use lock::PyRemoteLockBase;
pub(crate) use semaphore::PyRemoteSemaphoreBase;

use super::{PyRemoteServer, ask};
use crate::error::Raise;

/// An optional argument.
type Arg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// What an object has become, and its server.
#[derive(Debug)]
struct There<T>(OnceLock<(Py<PyRemoteServer>, T)>);

impl<T> There<T> {
    fn none() -> Self {
        Self(OnceLock::new())
    }

    /// Becomes what `make` makes on the server, once.
    fn begin<E: Raise + Send>(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        make: impl FnOnce(&Server) -> Result<T, E> + Send,
    ) -> PyResult<()>
    where
        T: Send,
    {
        let at = server.get().server();
        let made = ask(server.py(), || make(at))?;
        let again = |_| PyRuntimeError::new_err("the object was made already");
        self.0.set((server.clone().unbind(), made)).map_err(again)
    }

    fn get(&self) -> PyResult<&T> {
        Ok(&self.both()?.1)
    }

    fn server(&self, py: Python<'_>) -> PyResult<Py<PyRemoteServer>> {
        Ok(self.both()?.0.clone_ref(py))
    }

    fn both(&self) -> PyResult<&(Py<PyRemoteServer>, T)> {
        self.0.get().ok_or_else(|| PyRuntimeError::new_err("__init__() was not called"))
    }
}
