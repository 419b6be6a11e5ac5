//! Python objects → MessagePack.

use std::ffi::c_int;

use procession::{Block, Family};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{FROZENSET, MAX_DEPTH, SET, TUPLE, Unplain};
use crate::codec::INLINE_MAX;
use crate::codec::scratch::Buffers;
use crate::codec::seen::Seen;
use crate::codec::text;
use crate::codec::writer::Writer;
use crate::memory;

/// Bytes and ASCII of this length on are not copied into the scratch: no message with them is
/// inline.
const LARGE: usize = INLINE_MAX;
/// Strings of this length on keep their identity within a message.
const LONG: usize = 64;

/// Writes `obj` to `scratch.bytes`, or says why not; the bytes are then without meaning. What never
/// changes is as good as its copy: where it is met again it is written again, up to `repeats` times.
#[inline]
pub(in crate::codec) fn encode(
    obj: &Bound<'_, PyAny>,
    repeats: u32,
    scratch: &mut Buffers,
) -> Result<(), Unplain> {
    scratch.clear();
    let result = append(obj, repeats, scratch);
    if result.is_err() {
        scratch.clear();
    }
    result
}

/// The same behind what `scratch.bytes` has already.
#[inline]
pub(in crate::codec) fn append(
    obj: &Bound<'_, PyAny>,
    repeats: u32,
    scratch: &mut Buffers,
) -> Result<(), Unplain> {
    let mut encoder = Encoder {
        py: obj.py(),
        out: Writer(&mut scratch.bytes),
        large: &mut scratch.large,
        large_len: 0,
        seen: &mut scratch.seen,
        depth: 0,
        repeats,
    };
    // SAFETY: `obj` is alive and the interpreter attached; see `Encoder`.
    let result = unsafe { encoder.value(obj.as_ptr()) };
    scratch.seen.clear();
    result
}

/// Appends a key that is equal to another one just if its bytes are: a string, bytes, an int, None,
/// a float that no int equals, or a tuple of these. Others are `Unplain::Other`.
#[inline]
pub(in crate::codec) fn encode_key(
    obj: &Bound<'_, PyAny>,
    out: &mut Vec<u8>,
) -> Result<(), Unplain> {
    let mut encoder = Encoder {
        py: obj.py(),
        out: Writer(out),
        large: &mut Vec::new(),
        large_len: 0,
        seen: &mut Seen::default(),
        depth: 0,
        repeats: 0,
    };
    // SAFETY: `obj` is alive and the interpreter attached; see `Encoder`.
    unsafe { encoder.key(obj.as_ptr()) }
}

/// A large bytes object or string of ASCII, which goes from its own memory straight into the
/// message's block.
pub(in crate::codec) struct Large {
    /// How many of `scratch.bytes` go before it.
    at: usize,
    object: Py<PyAny>,
}

impl Large {
    /// What goes into the block.
    fn contents<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        let object = self.object.bind(py);
        match object.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes(),
            // SAFETY: what is not bytes is an exact str of ASCII, and lives as long as `self`.
            Err(_) => unsafe { text::ascii(object.as_ptr()) }.unwrap_or_default(),
        }
    }
}

/// The message that was encoded to `scratch`, piece by piece.
pub(in crate::codec) fn pieces<'a>(
    py: Python<'a>,
    scratch: &'a Buffers,
) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(0).chain(scratch.large.iter().map(|large| large.at));
    let large = scratch.large.iter().map(Some).chain([None]);
    starts.zip(large).flat_map(move |(start, large)| match large {
        Some(large) => [&scratch.bytes[start..large.at], large.contents(py)],
        None => [&scratch.bytes[start..], &[]],
    })
}

/// Moves the message that was encoded to `scratch` into a block.
pub(in crate::codec) fn pack(
    py: Python<'_>,
    family: Family,
    scratch: &mut Buffers,
) -> PyResult<Block> {
    let mut len = 0;
    let parts: Vec<(usize, &[u8])> = pieces(py, scratch)
        .map(|piece| {
            len += piece.len();
            (len - piece.len(), piece)
        })
        .collect();
    let block = memory::filled_block(py, family, len, &[], &parts);
    scratch.clear();
    block
}

/// Walks an object.
///
/// Its `unsafe` functions ask for a live object, of the exact type that they are named for, and an
/// attached interpreter. What a container holds lives while nothing changes the container, and
/// nothing does: no function called here runs Python code or the garbage collector, or lets go of
/// the GIL.
struct Encoder<'a, 'py> {
    py: Python<'py>,
    out: Writer<'a>,
    /// What is left out of `out`, and its length.
    large: &'a mut Vec<Large>,
    large_len: usize,
    seen: &'a mut Seen,
    depth: u32,
    repeats: u32,
}

impl Encoder<'_, '_> {
    #[inline]
    unsafe fn value(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the type is compared before a function for it is called; see `Encoder` for the
        // rest.
        unsafe {
            let kind = ffi::Py_TYPE(obj);
            if kind == &raw mut ffi::PyLong_Type {
                self.int(obj)
            } else if kind == &raw mut ffi::PyUnicode_Type {
                self.str(obj)
            } else if kind == &raw mut ffi::PyFloat_Type {
                let bits = ffi::PyFloat_AS_DOUBLE(obj).to_bits();
                self.out.marked(0xcb, bits.to_be_bytes())
            } else if obj == ffi::Py_None() {
                self.out.array([0xc0])
            } else if obj == ffi::Py_True() {
                self.out.array([0xc3])
            } else if obj == ffi::Py_False() {
                self.out.array([0xc2])
            } else if kind == &raw mut ffi::PyBytes_Type {
                self.bytes(obj)
            } else {
                self.container(obj, kind)
            }
        }
    }

    /// The same value as `value` writes, but in one form only, and in one piece.
    #[inline]
    unsafe fn key(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: as in `value`.
        unsafe {
            let kind = ffi::Py_TYPE(obj);
            if kind == &raw mut ffi::PyUnicode_Type {
                text::write(&mut self.out, obj)
            } else if kind == &raw mut ffi::PyLong_Type {
                self.int(obj)
            } else if kind == &raw mut ffi::PyTuple_Type {
                self.key_tuple(obj)
            } else if kind == &raw mut ffi::PyBytes_Type {
                let bytes = self.bytes_header(obj)?;
                self.out.slice(bytes)
            } else if kind == &raw mut ffi::PyFloat_Type
                && ffi::PyFloat_AS_DOUBLE(obj).fract().abs() > 0.0
            {
                self.value(obj)
            } else if obj == ffi::Py_None() {
                self.out.array([0xc0])
            } else {
                Err(Unplain::Other)
            }
        }
    }

    unsafe fn key_tuple(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unplain::Other);
        }
        let body = self.extension(TUPLE)?;
        // SAFETY: a tuple never changes.
        unsafe {
            let len = ffi::PyTuple_GET_SIZE(obj);
            self.array_header(len.cast_unsigned())?;
            for index in 0..len {
                self.key(ffi::PyTuple_GET_ITEM(obj, index))?;
            }
        }
        self.depth -= 1;
        self.end_extension(&body)
    }

    unsafe fn container(
        &mut self,
        obj: *mut ffi::PyObject,
        kind: *mut ffi::PyTypeObject,
    ) -> Result<(), Unplain> {
        if cfg!(Py_GIL_DISABLED) {
            return Err(Unplain::Other);
        }
        // SAFETY: as in `value`.
        unsafe {
            if kind == &raw mut ffi::PyDict_Type {
                self.enter(obj)?;
                self.dict(obj)?;
            } else if kind == &raw mut ffi::PyTuple_Type {
                self.tuple(obj)?;
            } else if kind == &raw mut ffi::PyList_Type {
                self.enter(obj)?;
                self.list(obj)?;
            } else if kind == &raw mut ffi::PySet_Type {
                self.enter(obj)?;
                self.set(obj, SET)?;
            } else if kind == &raw mut ffi::PyFrozenSet_Type {
                self.enter(obj)?;
                self.set(obj, FROZENSET)?;
            } else {
                return Err(Unplain::Other);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Goes down into a container, if it is met for the first time.
    #[inline]
    unsafe fn enter(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unplain::Other);
        }
        // SAFETY: the caller's promise.
        unsafe { self.first_time(obj) }
    }

    /// Only a second reference makes a second meeting possible. (An immortal object's count is
    /// huge: remembered too.)
    #[inline]
    unsafe fn first_time(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the caller's promise.
        if unsafe { ffi::Py_REFCNT(obj) } > 1 && !self.seen.insert(obj as usize) {
            // SAFETY: the caller's promise.
            return unsafe { self.second_time(obj) };
        }
        Ok(())
    }

    #[cold]
    unsafe fn second_time(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the caller's promise.
        let kind = unsafe { ffi::Py_TYPE(obj) };
        let unchanging = [
            &raw mut ffi::PyUnicode_Type,
            &raw mut ffi::PyBytes_Type,
            &raw mut ffi::PyTuple_Type,
            &raw mut ffi::PyFrozenSet_Type,
        ];
        if self.repeats == 0 || !unchanging.contains(&kind) {
            return Err(Unplain::Other);
        }
        self.repeats -= 1;
        Ok(())
    }

    #[inline]
    unsafe fn int(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        let mut overflow: c_int = 0;
        // SAFETY: an exact int cannot fail to convert, only be too big.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(obj, &raw mut overflow) };
        if overflow != 0 {
            // SAFETY: as this function's own.
            return unsafe { self.big_int(obj, overflow) };
        }
        let bits = value.cast_unsigned();
        match value {
            // Both fix forms are the number's own low byte.
            -32..128 => self.out.array([bits as u8]),
            128..0x100 => self.out.array([0xcc, bits as u8]),
            0x100..0x1_0000 => self.out.marked(0xcd, (bits as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.out.marked(0xce, (bits as u32).to_be_bytes()),
            0x1_0000_0000.. => self.out.marked(0xcf, value.to_be_bytes()),
            -0x80..-32 => self.out.array([0xd0, bits as u8]),
            -0x8000..-0x80 => self.out.marked(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.out.marked(0xd2, (value as i32).to_be_bytes()),
            _ => self.out.marked(0xd3, value.to_be_bytes()),
        }
    }

    #[cold]
    unsafe fn big_int(&mut self, obj: *mut ffi::PyObject, sign: c_int) -> Result<(), Unplain> {
        if sign < 0 {
            return Err(Unplain::Other);
        }
        // SAFETY: a positive int; one too big for 64 bits raises, which is cleared.
        let value = unsafe {
            let value = ffi::PyLong_AsUnsignedLongLong(obj);
            if value == u64::MAX && !ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_Clear();
                return Err(Unplain::Other);
            }
            value
        };
        self.out.marked(0xcf, value.to_be_bytes())
    }

    #[inline]
    unsafe fn str(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the caller's promise.
        unsafe {
            let len = ffi::PyUnicode_GET_LENGTH(obj).cast_unsigned();
            if len >= LONG {
                self.first_time(obj)?;
                if len >= LARGE && text::ascii(obj).is_some() {
                    text::header(&mut self.out, len)?;
                    return self.leave_out(obj, len);
                }
            }
            text::write(&mut self.out, obj)
        }
    }

    unsafe fn bytes(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the caller's promise.
        let bytes = unsafe {
            if ffi::PyBytes_Size(obj).cast_unsigned() >= LONG {
                self.first_time(obj)?;
            }
            self.bytes_header(obj)?
        };
        if bytes.len() >= LARGE {
            // SAFETY: as this function's own.
            return unsafe { self.leave_out(obj, bytes.len()) };
        }
        self.out.slice(bytes)
    }

    /// Writes the header, and gives the bytes.
    unsafe fn bytes_header<'b>(&mut self, obj: *mut ffi::PyObject) -> Result<&'b [u8], Unplain> {
        // SAFETY: an exact bytes object's memory does not change while it lives.
        let bytes: &[u8] = unsafe {
            let len = ffi::PyBytes_Size(obj).cast_unsigned();
            std::slice::from_raw_parts(ffi::PyBytes_AS_STRING(obj).cast(), len)
        };
        match bytes.len() {
            len @ 0..0x100 => self.out.array([0xc4, len as u8])?,
            len @ 0x100..0x1_0000 => self.out.marked(0xc5, (len as u16).to_be_bytes())?,
            len => self.out.marked(0xc6, u32_of(len)?.to_be_bytes())?,
        }
        Ok(bytes)
    }

    /// Notes that the contents of `obj` belong here.
    #[cold]
    unsafe fn leave_out(&mut self, obj: *mut ffi::PyObject, len: usize) -> Result<(), Unplain> {
        self.large.try_reserve(1).map_err(|_| Unplain::NoMemory)?;
        self.large.push(Large {
            at: self.out.0.len(),
            // SAFETY: the caller's promise; the reference counted here keeps the object until it is
            // copied.
            object: unsafe { Bound::from_borrowed_ptr(self.py, obj) }.unbind(),
        });
        self.large_len += len;
        Ok(())
    }

    unsafe fn list(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the list does not change meanwhile, so that each index below its size holds an
        // object.
        unsafe {
            let len = ffi::PyList_GET_SIZE(obj);
            self.array_header(len.cast_unsigned())?;
            for index in 0..len {
                self.value(ffi::PyList_GET_ITEM(obj, index))?;
            }
        }
        Ok(())
    }

    unsafe fn tuple(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: a tuple never changes.
        unsafe {
            let len = ffi::PyTuple_GET_SIZE(obj);
            if len == 0 {
                // There is only one of them: it may stand anywhere any number of times.
                self.depth += 1;
            } else {
                self.enter(obj)?;
            }
            let body = self.extension(TUPLE)?;
            self.array_header(len.cast_unsigned())?;
            for index in 0..len {
                self.value(ffi::PyTuple_GET_ITEM(obj, index))?;
            }
            self.end_extension(&body)
        }
    }

    unsafe fn dict(&mut self, obj: *mut ffi::PyObject) -> Result<(), Unplain> {
        // SAFETY: the dict does not change meanwhile; `PyDict_Next` lends its keys and values.
        unsafe {
            match ffi::PyDict_Size(obj).cast_unsigned() {
                len @ 0..16 => self.out.array([0x80 | len as u8])?,
                len @ 16..0x1_0000 => self.out.marked(0xde, (len as u16).to_be_bytes())?,
                len => self.out.marked(0xdf, u32_of(len)?.to_be_bytes())?,
            }
            let (mut position, mut key, mut value) =
                (0, std::ptr::null_mut(), std::ptr::null_mut());
            while ffi::PyDict_Next(obj, &raw mut position, &raw mut key, &raw mut value) != 0 {
                self.value(key)?;
                self.value(value)?;
            }
        }
        Ok(())
    }

    /// A set's table is walked by hand: an iterator would be a new object, whose making may start
    /// the collector.
    unsafe fn set(&mut self, obj: *mut ffi::PyObject, extension: u8) -> Result<(), Unplain> {
        let body = self.extension(extension)?;
        // SAFETY: the table has `mask + 1` entries. One without a key is unused; one whose hash is
        // -1, which no object has, is a removed one.
        unsafe {
            let set = obj.cast::<ffi::PySetObject>();
            self.array_header((*set).used.cast_unsigned())?;
            let entries = std::slice::from_raw_parts((*set).table, (*set).mask.cast_unsigned() + 1);
            for entry in entries {
                if !entry.key.is_null() && entry.hash != -1 {
                    self.value(entry.key)?;
                }
            }
        }
        self.end_extension(&body)
    }

    #[inline]
    fn array_header(&mut self, len: usize) -> Result<(), Unplain> {
        match len {
            0..16 => self.out.array([0x90 | len as u8]),
            16..0x1_0000 => self.out.marked(0xdc, (len as u16).to_be_bytes()),
            _ => self.out.marked(0xdd, u32_of(len)?.to_be_bytes()),
        }
    }

    /// Begins an extension; its length is filled in by `end_extension`.
    #[inline]
    fn extension(&mut self, kind: u8) -> Result<Body, Unplain> {
        self.out.array([0xc9, 0, 0, 0, 0, kind])?;
        Ok(Body { at: self.out.0.len(), large_before: self.large_len })
    }

    #[inline]
    fn end_extension(&mut self, body: &Body) -> Result<(), Unplain> {
        let large = self.large_len - body.large_before;
        let len = u32_of(self.out.0.len() - body.at + large)?;
        self.out.0[body.at - 5..body.at - 1].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }
}

/// Where an extension's body begins.
struct Body {
    at: usize,
    large_before: usize,
}

/// A length as MessagePack can say it.
#[inline]
fn u32_of(len: usize) -> Result<u32, Unplain> {
    u32::try_from(len).map_err(|_| Unplain::Other)
}
