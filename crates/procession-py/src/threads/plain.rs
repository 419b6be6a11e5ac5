//! Comparing plain objects: numbers, strings, bytes, and tuples of them, of exactly these types. Python's
//! `<` for them is C code that calls nothing, so it may run where no foreign code may. What it says is what
//! `heapq` is told. For everything else the answer is [`Unsure`].

#![allow(unsafe_code)]

use std::cmp::Ordering;
use std::ptr;

use procession::threads::Unsure;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

/// An object with what its place depends on, so that most comparisons need not look at it.
#[derive(Debug)]
pub(super) struct Entry {
    key: Key,
    pub(super) item: Py<PyAny>,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    Int(i64),
    Float(f64),
    /// A tuple that begins with this.
    IntFirst(i64),
    FloatFirst(f64),
    Other,
}

/// Objects of one kind are compared with one another without a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Str,
    Bytes,
    Tuple,
    Other,
}

impl Entry {
    #[inline]
    pub(super) fn new(item: Py<PyAny>) -> Self {
        // SAFETY: `item` is alive; this looks at it and runs no code of its type.
        let key = unsafe { key_of(item.as_ptr()) };
        Self { key, item }
    }

    /// `self.item < other.item`, if that takes no foreign code.
    #[inline]
    pub(super) fn less(&self, other: &Self) -> Result<bool, Unsure> {
        match (self.key, other.key) {
            (Key::Int(a), Key::Int(b)) => Ok(a < b),
            (Key::Float(a), Key::Float(b)) => Ok(a < b),
            (Key::IntFirst(a), Key::IntFirst(b)) if a != b => Ok(a < b),
            // Not a NaN, of which the same object is taken to be equal.
            (Key::FloatFirst(a), Key::FloatFirst(b))
                if a.partial_cmp(&b).is_some_and(Ordering::is_ne) =>
            {
                Ok(a < b)
            }
            // SAFETY: both are alive, and who compares is attached.
            _ => unsafe { less(self.item.as_ptr(), other.item.as_ptr()) },
        }
    }

    /// `self.item < other.item`, whatever that takes.
    pub(super) fn less_python(&self, other: &Self, py: Python<'_>) -> PyResult<bool> {
        if let Ok(less) = self.less(other) {
            return Ok(less);
        }
        // SAFETY: both are alive. As `heapq` does it.
        match unsafe {
            ffi::PyObject_RichCompareBool(self.item.as_ptr(), other.item.as_ptr(), ffi::Py_LT)
        } {
            -1 => Err(PyErr::fetch(py)),
            less => Ok(less == 1),
        }
    }
}

/// # Safety
/// `object` is alive and the thread attached.
#[inline]
unsafe fn key_of(object: *mut PyObject) -> Key {
    // SAFETY: the caller's promise; a tuple's items live with it.
    unsafe {
        if let Some(number) = small(object) {
            Key::Int(number)
        } else if ffi::PyFloat_CheckExact(object) != 0 {
            Key::Float(ffi::PyFloat_AS_DOUBLE(object))
        } else if ffi::PyTuple_CheckExact(object) != 0 && ffi::PyTuple_GET_SIZE(object) > 0 {
            let first = ffi::PyTuple_GET_ITEM(object, 0);
            if let Some(number) = small(first) {
                Key::IntFirst(number)
            } else if ffi::PyFloat_CheckExact(first) != 0 {
                Key::FloatFirst(ffi::PyFloat_AS_DOUBLE(first))
            } else {
                Key::Other
            }
        } else {
            Key::Other
        }
    }
}

/// An int of 64 bits.
///
/// # Safety
/// As of `key_of`.
#[inline]
unsafe fn small(object: *mut PyObject) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: the caller's promise; an exact int has no `__index__` of its own, and an overflow raises nothing.
    unsafe {
        if ffi::PyLong_CheckExact(object) == 0 {
            return None;
        }
        let number = ffi::PyLong_AsLongAndOverflow(object, &raw mut overflow);
        (overflow == 0).then_some(number)
    }
}

/// # Safety
/// As of `key_of`.
unsafe fn kind_of(object: *mut PyObject) -> Kind {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::PyLong_CheckExact(object) != 0
            || ffi::PyFloat_CheckExact(object) != 0
            || ffi::PyBool_Check(object) != 0
        {
            Kind::Number
        } else if ffi::PyUnicode_CheckExact(object) != 0 {
            Kind::Str
        } else if ffi::PyBytes_CheckExact(object) != 0 {
            Kind::Bytes
        } else if ffi::PyTuple_CheckExact(object) != 0 {
            Kind::Tuple
        } else {
            Kind::Other
        }
    }
}

/// # Safety
/// As of `key_of`, for both.
unsafe fn less(a: *mut PyObject, b: *mut PyObject) -> Result<bool, Unsure> {
    // SAFETY: the caller's promise; both are tuples where they are used as such.
    unsafe {
        let kind = kind_of(a);
        if kind != kind_of(b) {
            return Err(Unsure);
        }
        match kind {
            Kind::Tuple => tuple_less(a, b),
            Kind::Other => Err(Unsure),
            _ => compare(a, b, ffi::Py_LT),
        }
    }
}

/// The first items that differ decide, as in Python.
///
/// # Safety
/// As of `key_of`; both are tuples.
unsafe fn tuple_less(a: *mut PyObject, b: *mut PyObject) -> Result<bool, Unsure> {
    // SAFETY: the caller's promise; the indices are within both.
    unsafe {
        let (len_a, len_b) = (ffi::PyTuple_GET_SIZE(a), ffi::PyTuple_GET_SIZE(b));
        for i in 0..len_a.min(len_b) {
            let (x, y) = (ffi::PyTuple_GET_ITEM(a, i), ffi::PyTuple_GET_ITEM(b, i));
            if ptr::eq(x, y) {
                continue;
            }
            let kind = kind_of(x);
            if kind != kind_of(y) || matches!(kind, Kind::Tuple | Kind::Other) {
                return Err(Unsure);
            }
            if !compare(x, y, ffi::Py_EQ)? {
                return compare(x, y, ffi::Py_LT);
            }
        }
        Ok(len_a < len_b)
    }
}

/// # Safety
/// As of `key_of`; both are of one plain kind.
unsafe fn compare(a: *mut PyObject, b: *mut PyObject, how: i32) -> Result<bool, Unsure> {
    // SAFETY: the caller's promise.
    unsafe {
        match ffi::PyObject_RichCompareBool(a, b, how) {
            -1 => {
                // No memory for a huge number: try again where exceptions are welcome.
                ffi::PyErr_Clear();
                Err(Unsure)
            }
            yes => Ok(yes == 1),
        }
    }
}
