//! Order keys of Python objects: bytes that compare as Python's `<` would.
//!
//! Only what that is exactly true of has one: None, numbers, strings, bytes and tuples of these, and what
//! inherits their comparison unchanged (a named tuple). Everything else, `NaN` and a list among it, has
//! none and is compared by Python.

use std::ffi::c_int;

use procession::codec::order::OrderKey;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::scratch::Buffers;
use super::text;

/// The longest key that a queue takes.
const LONGEST: usize = 1 << 20;
/// Tuples in tuples in tuples, as far down as a message may go.
const DEEPEST: u32 = 64;

/// Writes the key of `obj` to `scratch.order`. False if it has none: what stands there is then without
/// meaning.
#[inline]
pub(crate) fn write_key(obj: &Bound<'_, PyAny>, scratch: &mut Buffers) -> bool {
    write(obj, scratch, false)
}

/// As [`write_key`]; but in a tuple what has no key has no order either, and what follows it does not count. The
/// first item must have one. For who has nobody to compare objects.
pub(crate) fn write_leading(obj: &Bound<'_, PyAny>, scratch: &mut Buffers) -> bool {
    write(obj, scratch, true)
}

#[inline]
fn write(obj: &Bound<'_, PyAny>, scratch: &mut Buffers, leading: bool) -> bool {
    let Buffers { order, key: spare, .. } = scratch;
    order.clear();
    if obj.is_none() {
        return false; // None < None is a TypeError, though (1, None) < (1, None) is not
    }
    let mut writer = Writer { py: obj.py(), key: order, spare, leading, is_over: false };
    // SAFETY: `obj` is alive and the interpreter attached; tuples keep what is in them alive.
    let is_exact = unsafe { writer.item(obj.as_ptr(), 0) };
    is_exact && order.as_bytes().len() <= LONGEST
}

struct Writer<'a, 'py> {
    py: Python<'py>,
    key: &'a mut OrderKey,
    spare: &'a mut Vec<u8>,
    /// Whether an item without a key is allowed behind one that has one.
    leading: bool,
    /// Whether there was one, so that nothing behind it counts.
    is_over: bool,
}

/// Whether objects of a type compare as those of its base do.
///
/// # Safety
/// Both must be types that are ready.
#[inline]
unsafe fn compares_as(kind: *mut ffi::PyTypeObject, base: *mut ffi::PyTypeObject) -> bool {
    // As addresses: where two functions share one, they do the same.
    let comparison = |kind: *mut ffi::PyTypeObject| {
        // SAFETY: the caller's promise.
        unsafe { (*kind).tp_richcompare }.map(|function| function as usize)
    };
    kind == base || comparison(kind) == comparison(base)
}

impl Writer<'_, '_> {
    /// Writes one item, or that it has no order; false if it has no key and must have one.
    ///
    /// # Safety
    /// `obj` must be alive.
    #[inline]
    unsafe fn item(&mut self, obj: *mut ffi::PyObject, depth: u32) -> bool {
        let before = self.key.as_bytes().len();
        // SAFETY: the caller's promise.
        if unsafe { self.known(obj, depth) } {
            return true;
        }
        self.leading && self.unordered(before)
    }

    /// In the place of what was written behind `before`.
    #[cold]
    fn unordered(&mut self, before: usize) -> bool {
        self.key.truncate(before);
        self.is_over = self.key.orders();
        if self.is_over {
            self.key.unordered();
        }
        self.is_over
    }

    /// Writes one item; false if it has no key.
    ///
    /// # Safety
    /// `obj` must be alive.
    #[inline]
    unsafe fn known(&mut self, obj: *mut ffi::PyObject, depth: u32) -> bool {
        // SAFETY: the flags and the comparison are looked at before a function for the type is called.
        unsafe {
            let kind = ffi::Py_TYPE(obj);
            if ffi::PyLong_Check(obj) != 0 {
                compares_as(kind, &raw mut ffi::PyLong_Type) && self.int(obj)
            } else if kind == &raw mut ffi::PyFloat_Type {
                self.key.float(ffi::PyFloat_AS_DOUBLE(obj))
            } else if ffi::PyUnicode_Check(obj) != 0 {
                compares_as(kind, &raw mut ffi::PyUnicode_Type) && self.str(obj)
            } else if ffi::PyTuple_Check(obj) != 0 {
                compares_as(kind, &raw mut ffi::PyTuple_Type) && self.tuple(obj, depth)
            } else if ffi::PyBytes_Check(obj) != 0 {
                compares_as(kind, &raw mut ffi::PyBytes_Type) && self.bytes(obj)
            } else if obj == ffi::Py_None() {
                self.key.nothing();
                true
            } else {
                self.leading && self.list(obj, depth)
            }
        }
    }

    #[inline]
    unsafe fn int(&mut self, obj: *mut ffi::PyObject) -> bool {
        let mut overflow: c_int = 0;
        // SAFETY: an int cannot fail to convert, only be too big.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(obj, &raw mut overflow) };
        if overflow == 0 {
            self.key.signed(value);
            return true;
        }
        // SAFETY: alive, the caller's promise.
        let number = unsafe { Bound::from_borrowed_ptr(self.py, obj) };
        self.big_int(&number, overflow < 0).unwrap_or(false)
    }

    /// By the methods of int itself: a subclass may have others.
    #[cold]
    fn big_int(&mut self, number: &Bound<'_, PyAny>, is_negative: bool) -> PyResult<bool> {
        let int = self.py.get_type::<pyo3::types::PyInt>();
        let bits: usize = int.call_method1("bit_length", (number,))?.extract()?;
        let amount = int.call_method1("__abs__", (number,))?;
        let amount = int.call_method1("to_bytes", (amount, bits.div_ceil(8), "big"))?;
        Ok(self.key.big(is_negative, amount.extract()?))
    }

    #[inline]
    unsafe fn str(&mut self, obj: *mut ffi::PyObject) -> bool {
        // SAFETY: a str that is alive.
        unsafe {
            if ffi::PyUnicode_GET_LENGTH(obj).cast_unsigned() > LONGEST {
                return false;
            }
            if let Some(ascii) = text::ascii(obj) {
                self.key.text_bytes(ascii);
                return true;
            }
            let is_written = text::generalized(obj, self.spare);
            self.key.text_bytes(self.spare);
            is_written
        }
    }

    unsafe fn bytes(&mut self, obj: *mut ffi::PyObject) -> bool {
        // SAFETY: a bytes object that is alive; its memory does not move.
        let bytes = unsafe {
            let len = ffi::Py_SIZE(obj).cast_unsigned();
            std::slice::from_raw_parts(ffi::PyBytes_AS_STRING(obj).cast::<u8>(), len)
        };
        if bytes.len() > LONGEST {
            return false;
        }
        self.key.bytes(bytes);
        true
    }

    /// As a tuple, which is what Rust's rows are; false if it is no list.
    ///
    /// # Safety
    /// `obj` must be alive.
    #[cold]
    unsafe fn list(&mut self, obj: *mut ffi::PyObject, depth: u32) -> bool {
        // SAFETY: the caller's promise.
        let obj = unsafe { Borrowed::from_ptr(self.py, obj) };
        let Ok(list) = obj.cast_exact::<PyList>() else {
            return false;
        };
        let items = list.to_tuple();
        // SAFETY: alive, and nobody else's.
        unsafe { self.tuple(items.as_ptr(), depth) }
    }

    unsafe fn tuple(&mut self, obj: *mut ffi::PyObject, depth: u32) -> bool {
        if depth == DEEPEST {
            return false;
        }
        self.key.begin_row();
        // SAFETY: a tuple never changes.
        unsafe {
            for index in 0..ffi::PyTuple_GET_SIZE(obj) {
                if !self.item(ffi::PyTuple_GET_ITEM(obj, index), depth + 1)
                    || self.key.as_bytes().len() > LONGEST
                {
                    return false;
                }
                if self.is_over {
                    break;
                }
            }
        }
        self.key.end_row();
        true
    }
}
