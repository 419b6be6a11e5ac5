//! `RemoteLockBase`: locks on a server, reentrant or not.

use procession::remote::{Abandoned, Acquired, Patience as Waiting, RawLock, ReleaseError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use super::Arg;
use crate::blocking::Patience;
use crate::error::Raise;
use crate::remote::there::{At, There};
use crate::remote::{PyRemoteServer, PyRemoteStop, ask, during, interruptible};
use crate::sync::{not_owner, too_many};

/// The native part of a lock on a server. Use `procession.get_context(url).Lock` or `procession.Family(url).lock`.
#[pyclass(frozen, subclass, weakref, name = "RemoteLockBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteLockBase {
    there: There<RawLock>,
}

impl Raise for ReleaseError {
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            ReleaseError::NotOwner => not_owner(),
            ReleaseError::Remote(error) => error.raise(),
            _ => too_many(),
        }
    }
}

#[pymethods]
impl PyRemoteLockBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { there: There::none() }
    }

    /// Makes a new lock.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>, reentrant: bool) -> PyResult<()> {
        self.there.begin(server, |at| RawLock::anonymous(at, reentrant))
    }

    /// Becomes the lock of that name, which is made if there is none.
    fn _find(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        reentrant: bool,
    ) -> PyResult<()> {
        self.there.begin(server, |at| RawLock::named(at, name, reentrant))
    }

    /// Becomes the lock that a handle names.
    fn _attach(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        key: &str,
        reentrant: bool,
    ) -> PyResult<()> {
        self.there.begin(server, |at| RawLock::attach(at, key, reentrant))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// Takes the lock; waits for it if block is true, at most timeout seconds. Whether it was had.
    ///
    /// AbandonedLockWarning if the lease of the one who held it ran out; LeaseLost if it is reentrant, and this thread
    /// had it and has lost it.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(slf: &Bound<'_, Self>, block: Arg, timeout: Arg) -> PyResult<bool> {
        Self::take(slf, RawLock::thread_here(), 1, Patience::from_args(block, timeout)?, None)
    }

    /// The same for the thread or task of that number; stop ends the wait.
    #[pyo3(signature = (thread, block=true, stop=None))]
    fn _acquire_for(
        slf: &Bound<'_, Self>,
        thread: u64,
        block: bool,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<bool> {
        let patience = if block { Patience::Until(None) } else { Patience::None };
        Self::take(slf, thread, 1, patience, stop)
    }

    /// The number of this thread, as a holder.
    #[staticmethod]
    fn _thread_here() -> u64 {
        RawLock::thread_here()
    }

    /// Takes it, as if that were done so often.
    fn _acquire_deep(slf: &Bound<'_, Self>, depth: u32) -> PyResult<()> {
        Self::take(slf, RawLock::thread_here(), depth, Patience::Until(None), None).map(drop)
    }

    /// Gives the lock back. A plain lock may be released by any process.
    ///
    /// ValueError if it is not held; AssertionError if it is reentrant and not this thread's; LeaseLost if this thread had
    /// it and has lost it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        // Not by another thread's number: this call leaves the interpreter, not its thread.
        self.there.ask(py, |lock| lock.release(&Waiting::forever())).map(drop)
    }

    /// The same for the thread or task of that number.
    fn _release_for(&self, py: Python<'_>, thread: u64) -> PyResult<()> {
        self.there.ask(py, |lock| lock.release_for(thread, &Waiting::forever())).map(drop)
    }

    /// Releases it, however often this thread has it; how often that was.
    fn _release_all(&self, py: Python<'_>) -> PyResult<u32> {
        self.there.ask(py, |lock| lock.release_all(&Waiting::forever()))
    }

    /// LeaseLost if this thread had the lock and has lost it; ValueError or AssertionError, as release(), if it does not
    /// have it for another reason. Asks the server.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let checked = self.there.ask(py, |lock| match lock.check(&Waiting::forever()) {
            Err(ReleaseError::NotHeld) if lock.is_reentrant() => Err(ReleaseError::NotOwner),
            other => other,
        });
        checked.map(drop)
    }

    /// The number of this thread's hold, greater than that of every one before; None if this thread does not have the
    /// lock, or knows that it has lost it.
    #[getter]
    fn token(&self) -> PyResult<Option<u64>> {
        Ok(self.there.get()?.token())
    }

    /// Whether somebody holds it whose lease goes on.
    fn locked(&self, py: Python<'_>) -> PyResult<bool> {
        let state = self.there.ask(py, |lock| lock.state(&Waiting::forever()))?;
        Ok(state.is_some_and(|state| state.lives))
    }

    /// How often this thread has acquired it, or 1 if another thread of this process has it.
    fn _count(&self) -> PyResult<u32> {
        let lock = self.there.get()?;
        Ok(if lock.is_mine() { lock.depth() } else { lock.depth_here().min(1) })
    }

    /// How often the thread or task of that number has acquired it.
    fn _count_of(&self, thread: u64) -> PyResult<u32> {
        Ok(self.there.get()?.depth_of(thread))
    }

    /// Whether the thread or task of that number has a hold, be it lost, and has not been told so by release().
    fn _is_noted(&self, thread: u64) -> PyResult<bool> {
        Ok(self.there.get()?.token_of(thread).is_some())
    }

    /// Whether this thread holds it, so far as it knows.
    fn _is_mine(&self) -> PyResult<bool> {
        Ok(self.there.get()?.is_mine())
    }

    /// LeaseLost if this thread had it and knows that it has lost it.
    fn _check_here(&self) -> PyResult<()> {
        let lock = self.there.get()?;
        if lock.is_lost() { Err(lock.lost().raise()) } else { Ok(()) }
    }

    fn _get_value(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(u32::from(!self.locked(py)?))
    }

    fn _is_zero(&self, py: Python<'_>) -> PyResult<bool> {
        self.locked(py)
    }

    /// Who holds it: (pid, process name), or None.
    fn _holder(&self, py: Python<'_>) -> PyResult<Option<(u32, String)>> {
        let state = self.there.ask(py, |lock| lock.state(&Waiting::forever()))?;
        let holder = state.filter(|state| state.lives).map(|state| state.holder);
        Ok(holder.map(|holder| (holder.pid, holder.name)))
    }
}

impl PyRemoteLockBase {
    fn take(
        slf: &Bound<'_, Self>,
        thread: u64,
        depth: u32,
        patience: Patience,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<bool> {
        let lock = slf.get().there.get()?;
        let acquire = || {
            interruptible(slf.py(), patience, |patience| lock.acquire_for(thread, depth, patience))
        };
        let acquired = during(stop, acquire)?;
        match acquired {
            None => Ok(false),
            Some(Acquired::Clean) => Ok(true),
            Some(Acquired::Abandoned(by)) => match tell(slf, &by) {
                Ok(()) => Ok(true),
                Err(error) => {
                    // As an error it leaves the lock as it was found.
                    ask(slf.py(), || lock.put_back_for(thread, &by, &Waiting::forever()))?;
                    Err(error)
                }
            },
        }
    }
}

/// Warns that the lock's holder did not give it back.
fn tell(lock: &Bound<'_, PyRemoteLockBase>, by: &Abandoned) -> PyResult<()> {
    static WARN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = lock.py();
    let warn = WARN.import(py, "procession.remote.synchronize", "_warn_abandoned")?;
    let holder = &by.holder;
    warn.call1((lock, holder.pid, &holder.host, &holder.name, by.panicked))?;
    Ok(())
}
