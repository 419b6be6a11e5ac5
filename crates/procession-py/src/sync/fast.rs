//! `acquire`, `release` and `with` of a lock, as CPython calls them.
//!
//! The common case, a free lock, costs two atomic operations, some 12 ns; PyO3's way into a method
//! (counting attachments, parsing arguments) costs as much again. So these four methods are C
//! functions, which do that case, and leave every other to `LockBase._acquire` and `_release`.
//!
//! Invariant: CPython calls them attached, through a method descriptor of `LockBase`, which has
//! checked that `slf` is one.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use procession::RawLock;
use pyo3::PyTypeInfo;
use pyo3::ffi::{self, PyMethodDef, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::lock::PyLockBase;

/// Calls `f` with the lock.
///
/// # Safety
/// By the module's invariant.
#[inline]
unsafe fn with_lock(slf: *mut PyObject, f: impl FnOnce(&RawLock) -> bool) -> bool {
    // SAFETY: attached, and a `LockBase`, by the invariant.
    unsafe {
        let slf = Borrowed::from_ptr(Python::assume_attached(), slf);
        slf.cast_unchecked::<PyLockBase>().get().raw().is_some_and(f)
    }
}

unsafe extern "C" fn acquire(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the invariant.
    if count == 0 && names.is_null() && unsafe { with_lock(slf, RawLock::try_acquire_free) } {
        // SAFETY: attached.
        return unsafe { ffi::Py_NewRef(ffi::Py_True()) };
    }
    // SAFETY: the arguments as they came.
    unsafe { call(slf, c"_acquire", args, count, names) }
}

unsafe extern "C" fn enter(slf: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    // SAFETY: no arguments.
    unsafe { acquire(slf, ptr::null(), 0, ptr::null_mut()) }
}

unsafe extern "C" fn release(slf: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    // SAFETY: the invariant.
    if unsafe { with_lock(slf, |lock| lock.release().is_ok()) } {
        // SAFETY: attached.
        return unsafe { ffi::Py_NewRef(ffi::Py_None()) };
    }
    // SAFETY: no arguments. It fails once more, and says why.
    unsafe { call(slf, c"_release", ptr::null(), 0, ptr::null_mut()) }
}

unsafe extern "C" fn exit(
    slf: *mut PyObject,
    _exception: *mut *mut PyObject,
    _count: ffi::Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: no arguments.
    unsafe { release(slf, ptr::null_mut()) }
}

/// Calls `LockBase`'s own method, whatever a subclass has under that name.
#[cold]
unsafe fn call(
    slf: *mut PyObject,
    method: &CStr,
    args: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: attached; the arguments are the caller's: `count` of them, and one for each name; and
    // `method` is released once.
    unsafe {
        let class = PyLockBase::type_object_raw(Python::assume_attached());
        let method = ffi::PyObject_GetAttrString(class.cast(), method.as_ptr());
        if method.is_null() {
            return method;
        }
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        let total = (count + named).cast_unsigned();
        let mut all = Vec::with_capacity(total + 1);
        all.push(slf);
        if total > 0 {
            all.extend_from_slice(std::slice::from_raw_parts(args, total));
        }
        let positional = count.cast_unsigned() + 1;
        let result = ffi::PyObject_Vectorcall(method, all.as_ptr(), positional, names);
        ffi::Py_DECREF(method);
        result
    }
}

struct Methods([PyMethodDef; 4]);

// SAFETY: never written.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods([
    PyMethodDef {
        ml_name: c"acquire".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: acquire },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: c"acquire($self, block=True, timeout=None)\n--\n\n\
Takes the lock; waits for it if block is true, at most timeout seconds. Whether it was had.\n\n\
AbandonedLockWarning if the one who held it was killed."
            .as_ptr(),
    },
    PyMethodDef {
        ml_name: c"release".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: release },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"release($self)\n--\n\n\
Gives the lock back. A plain lock may be released by any process.\n\n\
ValueError if it is not held; AssertionError if it is reentrant and not this thread's."
            .as_ptr(),
    },
    PyMethodDef {
        ml_name: c"__enter__".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: enter },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"__enter__($self)\n--\n\nTakes the lock.".as_ptr(),
    },
    PyMethodDef {
        ml_name: c"__exit__".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: exit },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: c"__exit__($self, *exc_info)\n--\n\nGives the lock back.".as_ptr(),
    },
]);

/// Gives `LockBase` these methods.
pub(crate) fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    for method in &METHODS.0 {
        // SAFETY: the definition lives as long as the program, and its texts are C strings.
        let (name, descriptor) = unsafe {
            let definition = ptr::from_ref(method).cast_mut();
            let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
            let descriptor = Bound::from_owned_ptr_or_err(class.py(), descriptor)?;
            (CStr::from_ptr(method.ml_name), descriptor)
        };
        class.setattr(name.to_string_lossy().as_ref(), descriptor)?;
    }
    Ok(())
}
