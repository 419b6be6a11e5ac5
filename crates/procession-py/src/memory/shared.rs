//! `MemoryBase`: memory of the arena as a Python buffer that several processes write.

use std::ffi::c_int;
use std::sync::OnceLock;

use procession::{Family, RawMemory};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::{DETACH_FROM, fill_view};
use crate::codec;
use crate::error::Raise;

/// Bytes that every process with a handle sees, as a writable buffer. Use `procession.heap`.
#[pyclass(frozen, subclass, weakref, name = "SharedMemoryBase", module = "procession._core")]
#[derive(Debug, Default)]
pub(crate) struct PyMemoryBase {
    memory: OnceLock<RawMemory>,
}

#[pymethods]
impl PyMemoryBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Makes new memory of so many bytes, all zero.
    fn _create(&self, py: Python<'_>, size: usize) -> PyResult<()> {
        let family = Family::current().map_err(Raise::raise)?;
        let make = || RawMemory::create(family, size);
        let made = if size >= DETACH_FROM { py.detach(make) } else { make() };
        self.begin(made.map_err(Raise::raise)?)
    }

    /// Becomes the memory that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.begin(RawMemory::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the memory anywhere in its family. A message under way in this thread
    /// counts it.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let memory = self.held()?;
        codec::handles::note(|| [memory.lease()]);
        Ok(PyBytes::new(py, &memory.handle()))
    }

    /// An object that keeps the memory alive while it is referenced.
    fn _lease(&self) -> PyResult<crate::lease::PyLease> {
        Ok(crate::lease::PyLease::of(vec![self.held()?.lease()]))
    }

    fn __len__(&self) -> usize {
        self.memory.get().map_or(0, RawMemory::len)
    }

    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let memory = slf.get().held()?;
        // SAFETY: the memory lives as long as `slf`: it is set once and never taken away.
        unsafe { fill_view(slf, view, flags, memory.as_mut_ptr(), memory.len()) }
    }
}

impl PyMemoryBase {
    fn begin(&self, memory: RawMemory) -> PyResult<()> {
        let again = |_| PyRuntimeError::new_err("the memory was made already");
        self.memory.set(memory).map_err(again)
    }

    fn held(&self) -> PyResult<&RawMemory> {
        self.memory.get().ok_or_else(|| PyRuntimeError::new_err("the memory was not made yet"))
    }
}

/// New shared memory with these bytes in it.
pub(crate) fn shared_copy(
    family: Family,
    bytes: &[u8],
) -> Result<RawMemory, procession::ArenaError> {
    let memory = RawMemory::create(family, bytes.len())?;
    // SAFETY: so many bytes, which nobody else knows of yet.
    unsafe { memory.as_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(memory)
}

/// What shared memory holds, where all agree that nobody writes there any more.
pub(crate) fn copy_of_shared(memory: &RawMemory) -> Vec<u8> {
    let mut bytes = vec![0; memory.len()];
    // SAFETY: so many bytes, mapped while `memory` lives, into memory of our own.
    unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(memory.as_mut_ptr(), bytes.len()) };
    bytes
}
