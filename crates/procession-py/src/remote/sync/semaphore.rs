//! `RemoteSemaphoreBase`.

use std::sync::atomic::{AtomicI32, Ordering};

use procession::remote::{Patience as Waiting, RemoteError, Semaphore};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::Arg;
use crate::blocking::Patience;
use crate::remote::there::{At, There};
use crate::remote::{PyRemoteServer, PyRemoteStop, during, interruptible};
use crate::sync::{permits, too_many};

/// The native part of a semaphore on a server. Use `procession.get_context(url).Semaphore` or
/// `procession.Family(url).semaphore`.
#[pyclass(frozen, subclass, weakref, name = "RemoteSemaphoreBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteSemaphoreBase {
    there: There<Semaphore>,
    /// Permits taken less those given back, through this object.
    taken: AtomicI32,
}

#[pymethods]
impl PyRemoteSemaphoreBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { there: There::none(), taken: AtomicI32::new(0) }
    }

    /// Makes a new semaphore; if it is bounded its value never passes the first one.
    fn _create(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        value: i32,
        bounded: bool,
    ) -> PyResult<()> {
        let value = permits(value)?;
        self.there.begin(server, |at| {
            if bounded { Semaphore::bounded(at, value) } else { Semaphore::anonymous(at, value) }
        })
    }

    /// Becomes the semaphore of that name, which is made if there is none. Of a bounded one None: as it is.
    fn _find(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        value: Option<i64>,
        bounded: bool,
    ) -> PyResult<()> {
        let permits = |value: i64| match i32::try_from(value) {
            Ok(permits) if permits >= 0 => Ok(permits.cast_unsigned()),
            _ => Err(PyValueError::new_err(format!("a semaphore can't have {value} permits"))),
        };
        let value = value.map(permits).transpose()?;
        let found = |at: &_| -> Result<Semaphore, RemoteError> {
            if bounded {
                Semaphore::named_bounded(at, name, value)
            } else {
                Semaphore::named(at, name, value.unwrap_or(1))
            }
        };
        self.there.begin(server, found)
    }

    /// Becomes the semaphore that a handle names.
    fn _attach(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        key: &str,
        bounded: bool,
    ) -> PyResult<()> {
        self.there.begin(server, |at| Semaphore::attach(at, key, bounded))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// Takes a permit; waits for one if block is true, at most timeout seconds. Whether it was had.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Arg, timeout: Arg) -> PyResult<bool> {
        self.take(py, Patience::from_args(block, timeout)?, None)
    }

    /// Waits for a permit; stop ends the wait.
    fn _acquire_unless(&self, py: Python<'_>, stop: &Bound<'_, PyRemoteStop>) -> PyResult<bool> {
        self.take(py, Patience::Until(None), Some(stop))
    }

    /// Gives a permit back, or adds one.
    ///
    /// ValueError if the value is at its maximum.
    #[allow(clippy::used_underscore_items)]
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self._give(py, 1)
    }

    /// Gives n permits back, or none if there were too many then.
    fn _give(&self, py: Python<'_>, n: u32) -> PyResult<()> {
        if !self.there.ask(py, |semaphore| semaphore.release(n, &Waiting::forever()))? {
            return Err(too_many());
        }
        self.taken.fetch_sub(n.cast_signed(), Ordering::Relaxed);
        Ok(())
    }

    /// How many permits were taken through this object, and not given back through it.
    fn _count(&self) -> i32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether there are such.
    #[allow(clippy::used_underscore_items)]
    fn _is_mine(&self) -> bool {
        self._count() > 0
    }

    /// How many permits there are at this moment.
    #[pyo3(name = "_get_value")]
    fn value(&self, py: Python<'_>) -> PyResult<u32> {
        self.there.ask(py, |semaphore| semaphore.value(&Waiting::forever()))
    }

    #[pyo3(name = "_is_zero")]
    fn is_zero(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.value(py)? == 0)
    }

    /// The most permits there may be.
    #[getter]
    fn maxvalue(&self) -> PyResult<u32> {
        Ok(self.there.get()?.max())
    }
}

impl PyRemoteSemaphoreBase {
    fn take(
        &self,
        py: Python<'_>,
        patience: Patience,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<bool> {
        let semaphore = self.there.get()?;
        let take = || interruptible(py, patience, |patience| semaphore.take(patience));
        let had = during(stop, take)?;
        if had {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        Ok(had)
    }
}
