//! `SynchronizedBase`: an object and its lock, and attributes that are read and written under it.

use std::sync::OnceLock;

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::lock::PyLockBase;

/// The native part of what wraps a shared ctypes object. Use `procession.sharedctypes`.
#[pyclass(frozen, subclass, weakref, dict, name = "SynchronizedBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PySynchronizedBase {
    pair: OnceLock<Pair>,
}

#[derive(Debug)]
struct Pair {
    object: Py<PyAny>,
    lock: Py<PyAny>,
    /// The same, if it is one of ours.
    own: Option<Py<PyLockBase>>,
}

#[pymethods]
impl PySynchronizedBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { pair: OnceLock::new() }
    }

    /// Wraps an object, once.
    fn _wrap(&self, object: Bound<'_, PyAny>, lock: Bound<'_, PyAny>) -> PyResult<()> {
        let own = lock.cast::<PyLockBase>().ok().map(|own| own.clone().unbind());
        let pair = Pair { object: object.unbind(), lock: lock.unbind(), own };
        let again = |_| PyRuntimeError::new_err("the object was wrapped already");
        self.pair.set(pair).map_err(again)
    }

    /// The object itself.
    #[getter(_obj)]
    fn wrapped(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.pair()?.object.clone_ref(py))
    }

    /// Its lock.
    #[getter(_lock)]
    fn its_lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.pair()?.lock.clone_ref(py))
    }

    /// The object itself, without the lock around it.
    fn get_obj(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.wrapped(py)
    }

    /// The lock.
    fn get_lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.its_lock(py)
    }

    /// The lock's acquire.
    #[getter]
    fn acquire<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pair()?.lock.bind(py).getattr(intern!(py, "acquire"))
    }

    /// The lock's release.
    #[getter]
    fn release<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pair()?.lock.bind(py).getattr(intern!(py, "release"))
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pair()?.lock.bind(py).call_method0(intern!(py, "__enter__"))
    }

    #[pyo3(signature = (*args))]
    fn __exit__<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        self.pair()?.lock.bind(py).call_method1(intern!(py, "__exit__"), args)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(pair) = self.pair.get() else {
            return Ok(());
        };
        visit.call(&pair.object)?;
        visit.call(&pair.own)?;
        visit.call(&pair.lock)
    }
}

impl PySynchronizedBase {
    #[inline]
    fn pair(&self) -> PyResult<&Pair> {
        self.pair.get().ok_or_else(crate::scope::unmade)
    }

    /// Calls `access` with the object, under the lock.
    #[inline]
    fn locked<'py, T>(
        &self,
        py: Python<'py>,
        access: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> PyResult<T> {
        let pair = self.pair()?;
        let object = pair.object.bind(py);
        if let Some(own) = &pair.own {
            PyLockBase::take_for_good(own.bind(py))?;
            let result = access(object);
            own.get().give_back()?;
            return result;
        }
        let lock = pair.lock.bind(py);
        lock.call_method0(intern!(py, "acquire"))?;
        let result = access(object);
        lock.call_method0(intern!(py, "release"))?;
        result
    }
}

/// An attribute of the wrapped object, read and written under the lock.
#[pyclass(frozen, name = "LockedAttribute", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyLockedAttribute {
    name: Py<PyString>,
}

#[pymethods]
impl PyLockedAttribute {
    #[new]
    fn new(name: &Bound<'_, PyString>) -> Self {
        Self { name: name.clone().unbind() }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        _owner: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        let wrapper = instance.cast::<PySynchronizedBase>()?.get();
        wrapper.locked(py, |object| object.getattr(slf.get().name.bind(py)))
    }

    fn __set__(&self, instance: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = instance.py();
        let wrapper = instance.cast::<PySynchronizedBase>()?.get();
        wrapper.locked(py, |object| object.setattr(self.name.bind(py), value))
    }

    #[expect(clippy::unused_self, reason = "the slot's signature")]
    fn __delete__(&self, _instance: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err("a shared object's attribute cannot be deleted"))
    }
}
