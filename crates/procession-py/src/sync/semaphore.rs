//! `SemaphoreBase`.

use std::sync::atomic::{AtomicI32, Ordering};

use procession::sync::RawSemaphore;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::{Arg, family, handle};
use crate::blocking::Patience;
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

/// The native part of a semaphore. Use `procession.Semaphore`.
#[pyclass(frozen, subclass, weakref, name = "SemaphoreBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PySemaphoreBase {
    semaphore: Scoped<RawSemaphore>,
    /// Permits taken less those given back, through this object.
    taken: AtomicI32,
}

#[pymethods]
impl PySemaphoreBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { semaphore: Scoped::new(), taken: AtomicI32::new(0) }
    }

    /// Makes a new semaphore; its value never passes max.
    fn _create(&self, value: i32, max: i32) -> PyResult<()> {
        let (value, max) = (permits(value)?, permits(max)?);
        let made = RawSemaphore::create(family()?, value, max);
        self.semaphore.begin(made.map_err(Raise::raise)?)
    }

    /// Becomes the semaphore that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.semaphore.begin(RawSemaphore::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the semaphore anywhere in its family.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let semaphore = self.semaphore.still()?;
        Ok(handle(py, &semaphore.handle(), || semaphore.lease()))
    }

    /// An object that keeps the semaphore alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.semaphore.still()?.lease()]))
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.semaphore.join(scope)
    }

    /// Takes a permit; waits for one if block is true, at most timeout seconds. Whether it was had.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Arg, timeout: Arg) -> PyResult<bool> {
        let patience = Patience::from_args(block, timeout)?;
        let semaphore = self.semaphore.held()?;
        let had = semaphore.try_acquire()
            || self
                .semaphore
                .wait(
                    py,
                    patience,
                    || Ok(semaphore.try_acquire().then_some(())),
                    |deadline| semaphore.wait(deadline),
                )?
                .done()
                .is_some();
        if had {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        Ok(had)
    }

    /// Gives a permit back, or adds one.
    ///
    /// ValueError if the value is at its maximum.
    fn release(&self) -> PyResult<()> {
        self.semaphore.held()?.release(1).map_err(|_| too_many())?;
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives n permits back, or none if there were too many then.
    fn _give(&self, n: u32) -> PyResult<()> {
        self.semaphore.held()?.release(n).map_err(|_| too_many())?;
        self.taken.fetch_sub(n.cast_signed(), Ordering::Relaxed);
        Ok(())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, None, None)
    }

    #[pyo3(signature = (_type=None, _value=None, _traceback=None))]
    fn __exit__(&self, _type: Arg, _value: Arg, _traceback: Arg) -> PyResult<()> {
        self.release()
    }

    /// How many permits were taken through this object, and not given back through it.
    fn _count(&self) -> i32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether there are such.
    fn _is_mine(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > 0
    }

    /// How many permits there are at this moment.
    #[pyo3(name = "_get_value")]
    fn value(&self) -> PyResult<u32> {
        Ok(self.semaphore.held()?.value())
    }

    #[pyo3(name = "_is_zero")]
    fn is_zero(&self) -> PyResult<bool> {
        Ok(self.value()? == 0)
    }

    /// The most permits there may be.
    #[getter]
    fn maxvalue(&self) -> PyResult<u32> {
        Ok(self.semaphore.held()?.max())
    }
}

/// So many permits; a negative number is the standard library's error.
pub(crate) fn permits(number: i32) -> PyResult<u32> {
    const EINVAL: i32 = 22;
    u32::try_from(number).map_err(|_| PyOSError::new_err((EINVAL, "Invalid argument")))
}

/// What the standard library says of it.
#[cold]
pub(crate) fn too_many() -> PyErr {
    PyValueError::new_err("semaphore or lock released too many times")
}

impl PySemaphoreBase {
    /// The semaphore, for who waits for it.
    pub(crate) fn held(&self) -> PyResult<&RawSemaphore> {
        self.semaphore.held()
    }
}
