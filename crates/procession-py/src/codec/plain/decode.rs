//! MessagePack → Python objects. The bytes are not trusted.
//!
//! A length is compared with what is left of the message before anything is allocated for it (an
//! element takes a byte at least), nesting is limited, and only plain objects are ever hashed or
//! compared: no Python code runs.

use procession::Block;
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes};

use super::window::Window;
use super::{FROZENSET, MAX_DEPTH, SET, TUPLE};
use crate::codec::keys::Keys;
use crate::codec::scratch::Buffers;
use crate::codec::{DecodeError, text};

/// The value that the message in `scratch.bytes` holds.
#[inline]
pub(in crate::codec) fn decode<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let Buffers { bytes, keys, .. } = scratch;
    run(py, Window::inline(bytes), keys)
}

/// The value that the message in a block holds.
pub(in crate::codec) fn decode_block<'py>(
    py: Python<'py>,
    block: &Block,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let Buffers { bytes, keys, .. } = scratch;
    run(py, Window::over(block, bytes), keys)
}

/// The values that `scratch.bytes` holds, one after the other; they go to `each`.
pub(in crate::codec) fn decode_all<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
    mut each: impl FnMut(Bound<'py, PyAny>),
) -> Result<(), DecodeError> {
    let Buffers { bytes, keys, .. } = scratch;
    let mut decoder = Decoder { py, window: Window::inline(bytes), keys, depth: 0 };
    while decoder.window.left() > 0 {
        each(decoder.value().map_err(|stop| stop.explain(py))?);
    }
    Ok(())
}

/// The values that the messages in `scratch.bytes` hold, one after the other, which end where
/// `scratch.ends` says; they go to `each`. What is wrong with one keeps no other back: the first error is
/// said in the end.
pub(in crate::codec) fn decode_each<'py>(
    py: Python<'py>,
    scratch: &mut Buffers,
    mut each: impl FnMut(Bound<'py, PyAny>),
) -> Result<(), DecodeError> {
    let Buffers { bytes, ends, keys, .. } = scratch;
    let mut decoder = Decoder { py, window: Window::inline(bytes), keys, depth: 0 };
    let mut first = Ok(());
    for &end in &*ends {
        let error = match decoder.value() {
            Ok(value) if decoder.window.at() == end => {
                each(value);
                continue;
            }
            Ok(_) => DecodeError::Corrupt("more or less than one value"),
            Err(stop) => stop.explain(py),
        };
        first = first.and(Err(error));
        decoder.depth = 0;
        decoder.window.go_to(end);
    }
    first
}

#[inline]
fn run<'py>(
    py: Python<'py>,
    window: Window<'_>,
    keys: &mut Keys,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    let mut decoder = Decoder { py, window, keys, depth: 0 };
    match decoder.value() {
        Ok(value) if decoder.window.left() == 0 => Ok(value),
        Ok(_) => Err(DecodeError::Corrupt("more than one value")),
        Err(stop) => Err(stop.explain(py)),
    }
}

/// Why decoding ends early. Small, since every value is returned beside it.
enum Stop {
    Corrupt(&'static str),
    /// A Python exception is set.
    Raised,
}

impl Stop {
    #[cold]
    fn from(py: Python<'_>, error: DecodeError) -> Self {
        match error {
            DecodeError::Corrupt(what) => Self::Corrupt(what),
            DecodeError::Python(error) => {
                error.restore(py);
                Self::Raised
            }
        }
    }

    #[cold]
    fn explain(self, py: Python<'_>) -> DecodeError {
        match self {
            Self::Corrupt(what) => DecodeError::Corrupt(what),
            Self::Raised => {
                let error = PyErr::fetch(py);
                if error.is_instance_of::<PyMemoryError>(py) {
                    DecodeError::Python(error)
                } else {
                    DecodeError::Corrupt("a key that cannot be one")
                }
            }
        }
    }
}

const TRUNCATED: Stop = Stop::Corrupt("it ends too early");

type Decoded<'py> = Result<Bound<'py, PyAny>, Stop>;

struct Decoder<'a, 'py> {
    py: Python<'py>,
    window: Window<'a>,
    keys: &'a mut Keys,
    depth: u32,
}

impl<'py> Decoder<'_, 'py> {
    #[inline]
    fn value(&mut self) -> Decoded<'py> {
        let [marker] = self.array()?;
        match marker {
            0x00..0x80 => self.int(i64::from(marker)),
            0xe0.. => self.int(i64::from(marker.cast_signed())),
            0xa0..0xc0 => self.str(usize::from(marker & 0x1f)),
            0x90..0xa0 => self.list(usize::from(marker & 0x0f)),
            0x80..0x90 => self.dict(usize::from(marker & 0x0f)),
            0xc0 => Ok(self.py.None().into_bound(self.py)),
            0xc2 => Ok(self.singleton(false)),
            0xc3 => Ok(self.singleton(true)),
            0xcb => {
                let value = f64::from_be_bytes(self.array()?);
                // SAFETY: attached; gives a new float or null with an exception.
                unsafe { self.owned(ffi::PyFloat_FromDouble(value)) }
            }
            _ => self.long_form(marker),
        }
    }

    /// Values whose marker is followed by a number or a length.
    fn long_form(&mut self, marker: u8) -> Decoded<'py> {
        match marker {
            0xc4 | 0xd9 | 0xc7 | 0xcc => {
                let [number] = self.array()?;
                self.sized(marker, u64::from(number))
            }
            0xc5 | 0xda | 0xc8 | 0xcd | 0xdc | 0xde => {
                let number = u16::from_be_bytes(self.array()?);
                self.sized(marker, u64::from(number))
            }
            0xc6 | 0xdb | 0xc9 | 0xce | 0xdd | 0xdf => {
                let number = u32::from_be_bytes(self.array()?);
                self.sized(marker, u64::from(number))
            }
            0xcf => {
                let number = u64::from_be_bytes(self.array()?);
                self.sized(marker, number)
            }
            0xd0 => {
                let number = i8::from_be_bytes(self.array()?);
                self.int(i64::from(number))
            }
            0xd1 => {
                let number = i16::from_be_bytes(self.array()?);
                self.int(i64::from(number))
            }
            0xd2 => {
                let number = i32::from_be_bytes(self.array()?);
                self.int(i64::from(number))
            }
            0xd3 => {
                let number = i64::from_be_bytes(self.array()?);
                self.int(number)
            }
            0xca => {
                let value = f64::from(f32::from_be_bytes(self.array()?));
                // SAFETY: attached; gives a new float or null with an exception.
                unsafe { self.owned(ffi::PyFloat_FromDouble(value)) }
            }
            0xd4..0xd9 => self.extension(1 << (marker - 0xd4)),
            _ => Err(Stop::Corrupt("unknown marker")),
        }
    }

    /// A marker and the number after it.
    #[inline]
    fn sized(&mut self, marker: u8, number: u64) -> Decoded<'py> {
        match marker {
            0xcc..0xd0 => {
                // SAFETY: attached; gives an int or null with an exception.
                unsafe { self.owned(ffi::PyLong_FromUnsignedLongLong(number)) }
            }
            0xc4..0xc7 => self.bytes(number as usize),
            0xc7..0xca => self.extension(number as usize),
            0xd9..0xdc => self.str(number as usize),
            0xdc..0xde => self.list(number as usize),
            _ => self.dict(number as usize),
        }
    }

    #[inline]
    fn int(&self, value: i64) -> Decoded<'py> {
        // SAFETY: attached; gives an int or null with an exception.
        unsafe { self.owned(ffi::PyLong_FromLongLong(value)) }
    }

    #[inline]
    fn singleton(&self, value: bool) -> Bound<'py, PyAny> {
        PyBool::new(self.py, value).to_owned().into_any()
    }

    #[inline]
    fn str(&mut self, len: usize) -> Decoded<'py> {
        if self.window.is_large(len) {
            return self.large_str(len);
        }
        let bytes = self.window.take(len).ok_or(TRUNCATED)?;
        text::read(self.py, bytes).map_err(|error| Stop::from(self.py, error))
    }

    #[cold]
    fn large_str(&mut self, len: usize) -> Decoded<'py> {
        if len > self.window.left() {
            return Err(TRUNCATED);
        }
        // SAFETY: `copy_to` writes all of the `len` bytes that it is asked for, or none.
        let read = unsafe {
            text::read_by(self.py, len, |target| self.window.copy_to(self.py, target, len))
        };
        read.map_err(|error| Stop::from(self.py, error))
    }

    fn bytes(&mut self, len: usize) -> Decoded<'py> {
        if !self.window.is_large(len) {
            let bytes = self.window.take(len).ok_or(TRUNCATED)?;
            return Ok(PyBytes::new(self.py, bytes).into_any());
        }
        if len > self.window.left() {
            return Err(TRUNCATED);
        }
        // SAFETY: a new bytes object of `len` bytes that nobody else has seen; all of them are
        // written.
        unsafe {
            let size = len.cast_signed();
            let object = self.owned(ffi::PyBytes_FromStringAndSize(std::ptr::null(), size))?;
            let target = ffi::PyBytes_AS_STRING(object.as_ptr()).cast_mut().cast();
            self.window.copy_to(self.py, target, len).ok_or(TRUNCATED)?;
            Ok(object)
        }
    }

    #[inline]
    fn list(&mut self, len: usize) -> Decoded<'py> {
        self.down(len)?;
        // SAFETY: each place of the new list is filled once; on an early end the rest are null, as
        // a list allows.
        let list = unsafe {
            let list = self.owned(ffi::PyList_New(len.cast_signed()))?;
            self.hide(&list);
            for index in 0..len {
                let item = self.value()?;
                ffi::PyList_SET_ITEM(list.as_ptr(), index.cast_signed(), item.into_ptr());
            }
            self.show(&list);
            list
        };
        self.depth -= 1;
        Ok(list)
    }

    #[inline]
    fn dict(&mut self, len: usize) -> Decoded<'py> {
        self.down(len.saturating_mul(2))?;
        // SAFETY: attached; the objects live for the calls.
        let dict = unsafe {
            let dict = self.owned(ffi::PyDict_New())?;
            for _ in 0..len {
                let key = self.key()?;
                let value = self.value()?;
                if ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) != 0 {
                    return Err(Stop::Raised);
                }
            }
            dict
        };
        self.depth -= 1;
        Ok(dict)
    }

    /// A dict's key: mostly a short string that was one before.
    #[inline]
    fn key(&mut self) -> Decoded<'py> {
        let Some(marker @ 0xa0..0xc0) = self.window.peek() else {
            return self.value();
        };
        let bytes = self.window.take(1 + usize::from(marker & 0x1f)).ok_or(TRUNCATED)?;
        match self.keys.get(self.py, &bytes[1..]) {
            Some(key) => Ok(key),
            None => text::read(self.py, &bytes[1..]).map_err(|error| Stop::from(self.py, error)),
        }
    }

    /// A tuple or set: `len` bytes after the type are one array.
    fn extension(&mut self, len: usize) -> Decoded<'py> {
        let [kind] = self.array()?;
        let end = self.window.left().checked_sub(len).ok_or(TRUNCATED)?;
        let [marker] = self.array()?;
        let count = match marker {
            0x90..0xa0 => usize::from(marker & 0x0f),
            0xdc => usize::from(u16::from_be_bytes(self.array()?)),
            0xdd => u32::from_be_bytes(self.array()?) as usize,
            _ => return Err(Stop::Corrupt("an extension that is no array")),
        };
        let value = match kind {
            TUPLE => self.tuple(count)?,
            SET | FROZENSET => self.set(count, kind == FROZENSET)?,
            _ => return Err(Stop::Corrupt("unknown extension")),
        };
        if self.window.left() != end {
            return Err(Stop::Corrupt("an extension of another length"));
        }
        Ok(value)
    }

    #[inline]
    fn tuple(&mut self, len: usize) -> Decoded<'py> {
        self.down(len)?;
        // SAFETY: each place of the new tuple is filled once, before anybody sees it; on an early
        // end the rest are null, as a tuple allows.
        let tuple = unsafe {
            let tuple = self.owned(ffi::PyTuple_New(len.cast_signed()))?;
            if len > 0 {
                self.hide(&tuple);
            }
            for index in 0..len {
                let item = self.value()?;
                ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index.cast_signed(), item.into_ptr());
            }
            if len > 0 {
                self.show(&tuple);
            }
            tuple
        };
        self.depth -= 1;
        Ok(tuple)
    }

    fn set(&mut self, len: usize, frozen: bool) -> Decoded<'py> {
        self.down(len)?;
        // SAFETY: attached; a frozenset may be added to as long as nobody else refers to it.
        let set = unsafe {
            let new = if frozen {
                ffi::PyFrozenSet_New(std::ptr::null_mut())
            } else {
                ffi::PySet_New(std::ptr::null_mut())
            };
            let set = self.owned(new)?;
            for _ in 0..len {
                let item = self.value()?;
                if ffi::PySet_Add(set.as_ptr(), item.as_ptr()) != 0 {
                    return Err(Stop::Raised);
                }
            }
            set
        };
        self.depth -= 1;
        Ok(set)
    }

    /// Hides a list or tuple with empty places from the collector, through which other threads
    /// could find it when reading lets go of the interpreter.
    ///
    /// # Safety
    ///
    /// `container` must be new, and `show` must follow once it is filled.
    #[inline]
    unsafe fn hide(&self, container: &Bound<'py, PyAny>) {
        if self.window.may_detach() {
            // SAFETY: a new container of a type that the collector knows.
            unsafe { ffi::PyObject_GC_UnTrack(container.as_ptr().cast()) };
        }
    }

    /// # Safety
    ///
    /// `container` must have been hidden, and be filled.
    #[inline]
    unsafe fn show(&self, container: &Bound<'py, PyAny>) {
        if self.window.may_detach() {
            // SAFETY: hidden before, and not tracked since.
            unsafe { ffi::PyObject_GC_Track(container.as_ptr().cast()) };
        }
    }

    /// Goes down into a container whose elements take `least` bytes at least.
    #[inline]
    fn down(&mut self, least: usize) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::Corrupt("nested too deeply"));
        }
        if least > self.window.left() {
            return Err(TRUNCATED);
        }
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.window.array().ok_or(TRUNCATED)
    }

    /// # Safety
    ///
    /// `object` must be a new reference, or null with an exception set.
    #[inline]
    unsafe fn owned(&self, object: *mut ffi::PyObject) -> Decoded<'py> {
        // SAFETY: the caller's promise.
        unsafe { Bound::from_owned_ptr_or_opt(self.py, object) }.ok_or(Stop::Raised)
    }
}
