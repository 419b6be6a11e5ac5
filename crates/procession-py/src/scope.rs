//! `Scope`: what the objects of one manager belong to, and [`Scoped`], where a class keeps its object.
//!
//! A scope is an event that is set when the manager is shut down, and a dict of what it has made. An
//! object of a scope that has ended raises `BrokenPipeError`; who waits for it is told within a slice
//! of its wait. An object without a scope, a `Lock` of one's own say, pays one comparison.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use procession::collections::{Datum, Key};
use procession::sync::RawEvent;
use procession::{End, Family, Lease, RawDict, Wait};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::blocking::{self, Ends, Patience, Waited};
use crate::codec;
use crate::error::{self, Raise};
use crate::lease::PyLease;

/// What the objects of one manager belong to. Use `procession.Manager`.
#[pyclass(frozen, weakref, name = "Scope", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyScope {
    ended: Arc<RawEvent>,
    /// A handle's bytes that say which object: the handle, and what kind of thing it is.
    members: RawDict,
}

#[pymethods]
impl PyScope {
    /// A new scope, or the one that a handle names.
    #[new]
    #[pyo3(signature = (handle=None))]
    fn new(handle: Option<&[u8]>) -> PyResult<Self> {
        let Some(handle) = handle else {
            let family = Family::current().map_err(Raise::raise)?;
            return Ok(Self {
                ended: RawEvent::create(family).map_err(Raise::raise)?.into(),
                members: RawDict::create(family).map_err(Raise::raise)?,
            });
        };
        let (ended, members) = handle.split_at(handle.len() / 2);
        Ok(Self {
            ended: RawEvent::from_handle(ended).map_err(Raise::raise)?.into(),
            members: RawDict::from_handle(members).map_err(Raise::raise)?,
        })
    }

    /// Bytes that name it anywhere in its family. A message under way in this thread counts it.
    fn _handle<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        codec::handles::note(|| self.leases());
        PyBytes::new(py, &[self.ended.handle(), self.members.handle()].concat())
    }

    /// An object that keeps it alive while it is referenced.
    fn _lease(&self) -> PyLease {
        PyLease::of(self.leases().into())
    }

    /// Notes that the object with this handle was made here, and what kind of thing it is.
    fn _add(&self, py: Python<'_>, handle: &[u8], typeid: &str) -> PyResult<()> {
        blocking::settle(py, &self.members, End::Head)?;
        let value = [handle, typeid.as_bytes()].concat();
        let key = name_of(handle)?;
        self.members.insert(&Key::plain(key), &Datum::plain(&value), None).map_err(Raise::raise)?;
        Ok(())
    }

    /// Forgets objects, by their handles.
    fn _forget(&self, py: Python<'_>, handles: Vec<Vec<u8>>) -> PyResult<()> {
        blocking::settle(py, &self.members, End::Head)?;
        for handle in handles {
            self.members.remove(&Key::plain(name_of(&handle)?)).map_err(Raise::raise)?;
        }
        Ok(())
    }

    /// What was made here and not forgotten: a list of (handle, kind of thing). It may be gone.
    fn _members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        blocking::settle(py, &self.members, End::Head)?;
        let all = self.members.snapshot().map_err(Raise::raise)?;
        let members = PyList::empty(py);
        for item in &all.items {
            let value = &all.bytes[item.value.clone()];
            let Some((handle, typeid)) = value.split_at_checked(HANDLE) else { continue };
            members.append((PyBytes::new(py, handle), String::from_utf8_lossy(typeid)))?;
        }
        Ok(members)
    }

    /// How many were made here and not forgotten.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        blocking::settle(py, &self.members, End::Head)?;
        Ok(self.members.len().map_err(Raise::raise)? as usize)
    }

    /// Ends it, for all processes.
    fn end(&self) {
        self.ended.set();
    }

    /// Whether it has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.ended.is_set()
    }
}

/// How long a handle is.
const HANDLE: usize = 64;

/// The part of a handle that says which object it is.
fn name_of(handle: &[u8]) -> PyResult<&[u8]> {
    handle
        .get(28..36)
        .filter(|_| handle.len() == HANDLE)
        .ok_or_else(|| PyRuntimeError::new_err("not a handle"))
}

impl PyScope {
    fn leases(&self) -> [Lease; 2] {
        [self.ended.lease(), self.members.lease()]
    }
}

/// Where a class keeps its object, which may belong to a scope.
#[derive(Debug)]
pub(crate) struct Scoped<T> {
    object: OnceLock<T>,
    ended: OnceLock<Arc<RawEvent>>,
}

impl<T> Scoped<T> {
    /// With nothing in it.
    pub(crate) const fn new() -> Self {
        Self { object: OnceLock::new(), ended: OnceLock::new() }
    }

    /// Becomes this object.
    pub(crate) fn begin(&self, object: T) -> PyResult<()> {
        self.object.set(object).map_err(|_| PyRuntimeError::new_err("the object was made already"))
    }

    /// Makes the object one of a scope's.
    pub(crate) fn join(&self, scope: &PyScope) -> PyResult<()> {
        let again = |_| PyRuntimeError::new_err("the object belongs to a manager already");
        self.ended.set(Arc::clone(&scope.ended)).map_err(again)
    }

    /// Another object in the same scope.
    pub(crate) fn beside<U>(&self, object: U) -> Scoped<U> {
        Scoped { object: OnceLock::from(object), ended: self.ended.clone() }
    }

    /// [`blocking::wait`], which ends when the scope does.
    pub(crate) fn wait<R>(
        &self,
        py: Python<'_>,
        patience: Patience,
        mut attempt: impl FnMut() -> PyResult<Option<R>>,
        sleep: impl Fn(Option<Instant>) -> Wait + Sync,
    ) -> PyResult<Waited<R>> {
        let attempt = || {
            self.check()?;
            attempt()
        };
        blocking::wait(py, patience, attempt, sleep)
    }

    /// Whether it is a manager's.
    pub(crate) fn is_scoped(&self) -> bool {
        self.ended.get().is_some()
    }

    /// The object, unless its scope has ended.
    #[inline]
    pub(crate) fn held(&self) -> PyResult<&T> {
        match self.raw() {
            Some(object) => Ok(object),
            None => Err(self.missing()),
        }
    }

    /// The same, if it has steps that another process may be stuck in: waits for that one without the
    /// interpreter, so that it stops this thread only.
    #[inline]
    pub(crate) fn free(&self, py: Python<'_>) -> PyResult<&T>
    where
        T: Ends,
    {
        let object = self.held()?;
        blocking::settle(py, object, End::Head)?;
        Ok(object)
    }

    /// The object, if it is there and its scope has not ended.
    #[inline]
    pub(crate) fn raw(&self) -> Option<&T> {
        if self.is_ended() { None } else { self.object.get() }
    }

    /// The object, also if its scope has ended.
    pub(crate) fn still(&self) -> PyResult<&T> {
        self.object.get().ok_or_else(unmade)
    }

    /// BrokenPipeError if its scope has ended.
    #[inline]
    pub(crate) fn check(&self) -> PyResult<()> {
        if self.is_ended() { Err(error::shut_down()) } else { Ok(()) }
    }

    #[inline]
    fn is_ended(&self) -> bool {
        self.ended.get().is_some_and(|ended| ended.is_set())
    }

    #[cold]
    fn missing(&self) -> PyErr {
        if self.is_ended() { error::shut_down() } else { unmade() }
    }
}

/// What an object says that was never begun.
#[cold]
pub(crate) fn unmade() -> PyErr {
    PyRuntimeError::new_err("__init__() of the object was not called")
}
