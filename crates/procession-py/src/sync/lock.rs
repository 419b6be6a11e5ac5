//! `LockBase`: locks, reentrant or not.
//!
//! Who gets a lock whose holder was killed is told by a warning. If the program makes an exception
//! of that, the lock goes back as it was found, since who gets an exception does not have the lock.

use procession::sync::{Abandoned, Acquired, Ended, RawLock, ReleaseError};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::semaphore::too_many;
use super::{Arg, family, handle};
use crate::blocking::Patience;
use crate::error::Raise;
use crate::family::introduce;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

/// The native part of a lock. Use `procession.Lock` and `procession.RLock`.
#[pyclass(frozen, subclass, weakref, name = "LockBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyLockBase {
    lock: Scoped<RawLock>,
}

#[pymethods]
impl PyLockBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { lock: Scoped::new() }
    }

    /// Makes a new lock.
    fn _create(&self, reentrant: bool) -> PyResult<()> {
        self.begin(RawLock::create(family()?, reentrant).map_err(Raise::raise)?)
    }

    /// Becomes the lock that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.begin(RawLock::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the lock anywhere in its family.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let lock = self.lock.still()?;
        Ok(handle(py, &lock.handle(), || lock.lease()))
    }

    /// An object that keeps the lock alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.lock.still()?.lease()]))
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.lock.join(scope)
    }

    /// Takes the lock; waits for it if block is true, at most timeout seconds. Whether it was had.
    ///
    /// AbandonedLockWarning if the one who held it was killed.
    #[pyo3(signature = (block=None, timeout=None, *, blocking=None), text_signature = "($self, block=True, timeout=None)")]
    fn _acquire(slf: &Bound<'_, Self>, block: Arg, timeout: Arg, blocking: Arg) -> PyResult<bool> {
        let patience = if slf.get().lock.is_scoped() {
            Patience::as_threading(block.or(blocking), timeout)?
        } else if blocking.is_some() {
            let text = "acquire() got an unexpected keyword argument 'blocking'";
            return Err(PyTypeError::new_err(text));
        } else {
            Patience::from_args(block, timeout)?
        };
        Self::take(slf, patience)
    }

    /// Gives the lock back. A plain lock may be released by any process.
    ///
    /// ValueError if it is not held; AssertionError if it is reentrant and not this thread's.
    fn _release(&self) -> PyResult<()> {
        self.give_back()
    }

    /// Whether some process holds it.
    #[pyo3(name = "locked")]
    fn is_held(&self) -> PyResult<bool> {
        Ok(self.lock.held()?.is_held())
    }

    /// How often this thread has acquired it, or 1 if another thread of this process has it.
    fn _count(&self) -> PyResult<u32> {
        let lock = self.lock.held()?;
        Ok(if lock.is_mine() { lock.depth() } else { u32::from(lock.is_held_here()) })
    }

    /// Whether this thread holds it.
    fn _is_mine(&self) -> PyResult<bool> {
        Ok(self.lock.held()?.is_mine())
    }

    fn _get_value(&self) -> PyResult<u32> {
        Ok(u32::from(!self.lock.held()?.is_held()))
    }

    fn _is_zero(&self) -> PyResult<bool> {
        self.is_held()
    }

    /// Who holds it, as far as it is known: (pid, process name), or None.
    fn _holder(&self) -> PyResult<Option<(u32, String)>> {
        Ok(self.lock.held()?.holder().map(|holder| (holder.pid, holder.name)))
    }
}

impl PyLockBase {
    fn begin(&self, lock: RawLock) -> PyResult<()> {
        introduce(lock.family());
        self.lock.begin(lock)
    }

    /// The lock, if it was made.
    #[inline]
    pub(super) fn raw(&self) -> Option<&RawLock> {
        self.lock.raw()
    }

    /// The same, for who waits for it.
    pub(crate) fn held(&self) -> PyResult<&RawLock> {
        self.lock.held()
    }

    /// Takes the lock, however long that takes.
    #[inline]
    pub(super) fn take_for_good(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::take(slf, Patience::Until(None)).map(drop)
    }

    /// Releases it.
    #[inline]
    pub(super) fn give_back(&self) -> PyResult<()> {
        let lock = self.lock.held()?;
        lock.release().map_err(|error| self.unreleased(lock, error))
    }

    /// A manager's locks are `threading`'s in what they raise.
    #[cold]
    fn unreleased(&self, lock: &RawLock, error: ReleaseError) -> PyErr {
        match error {
            _ if self.lock.is_scoped() => PyRuntimeError::new_err(if lock.is_reentrant() {
                "cannot release un-acquired lock"
            } else {
                "release unlocked lock"
            }),
            ReleaseError::NotOwner => not_owner(),
            _ => too_many(),
        }
    }

    #[inline]
    fn take(slf: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        let lock = slf.get().lock.held()?;
        match lock.try_acquire() {
            Ok(Some(Acquired::Clean)) => Ok(true),
            Ok(other) => Self::take_slow(slf, lock, other, patience),
            Err(error) => Err(error.raise()),
        }
    }

    #[cold]
    fn take_slow(
        slf: &Bound<'_, Self>,
        lock: &RawLock,
        acquired: Option<Acquired>,
        patience: Patience,
    ) -> PyResult<bool> {
        let acquired = match acquired {
            Some(acquired) => Some(acquired),
            None => slf
                .get()
                .lock
                .wait(
                    slf.py(),
                    patience,
                    || lock.try_acquire().map_err(Raise::raise),
                    |deadline| lock.wait(deadline),
                )?
                .done(),
        };
        match acquired {
            None => Ok(false),
            Some(Acquired::Clean) => Ok(true),
            Some(Acquired::Abandoned(by)) => {
                tell(slf, &by).inspect_err(|_| lock.put_back(&by))?;
                Ok(true)
            }
        }
    }
}

#[cold]
pub(crate) fn not_owner() -> PyErr {
    PyAssertionError::new_err("attempt to release recursive lock not owned by thread")
}

/// Warns that the lock's holder has gone without giving it back.
fn tell(lock: &Bound<'_, PyLockBase>, by: &Abandoned) -> PyResult<()> {
    static WARN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = lock.py();
    let warn = WARN.import(py, "procession.synchronize", "_warn_abandoned")?;
    let code = by.ended.and_then(|ended| match ended {
        Ended::Exited(code) => Some(code),
        Ended::Signalled(signal) => Some(-signal),
        _ => None, // it lives on: a Rust program that panicked
    });
    warn.call1((lock, by.pid, &by.name, code))?;
    Ok(())
}
