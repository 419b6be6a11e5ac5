//! Strings ⇄ UTF-8, straight from and into their own memory.
//!
//! Encoding does not go by `PyUnicode_AsUTF8AndSize`, which would leave a second copy in every sent
//! string that is not ASCII.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::DecodeError;
use super::plain::Unplain;
use super::writer::Writer;

/// The characters of a string as it stores them.
enum Characters<'a> {
    One(&'a [u8]),
    Two(&'a [u16]),
    Four(&'a [u32]),
}

/// # Safety
///
/// `string` must be a str that outlives the result.
#[inline]
unsafe fn characters<'a>(string: *mut ffi::PyObject) -> Option<Characters<'a>> {
    // SAFETY: after a successful READY, kind, data and length describe one immutable array.
    unsafe {
        if ffi::PyUnicode_READY(string) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let len = ffi::PyUnicode_GET_LENGTH(string).cast_unsigned();
        let data = ffi::PyUnicode_DATA(string);
        Some(match ffi::PyUnicode_KIND(string) {
            ffi::PyUnicode_1BYTE_KIND => {
                Characters::One(std::slice::from_raw_parts(data.cast(), len))
            }
            ffi::PyUnicode_2BYTE_KIND => {
                Characters::Two(std::slice::from_raw_parts(data.cast(), len))
            }
            _ => Characters::Four(std::slice::from_raw_parts(data.cast(), len)),
        })
    }
}

/// The characters of a string of ASCII.
///
/// # Safety
///
/// `string` must be a str that outlives the result.
pub(super) unsafe fn ascii<'a>(string: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    match unsafe { characters(string) } {
        Some(Characters::One(bytes)) if bytes.is_ascii() => Some(bytes),
        _ => None,
    }
}

/// Writes a string, header and all. A lone surrogate is not for MessagePack.
///
/// # Safety
///
/// `string` must be an exact str.
#[inline]
pub(super) unsafe fn write(
    out: &mut Writer<'_>,
    string: *mut ffi::PyObject,
) -> Result<(), Unplain> {
    // SAFETY: the caller's promise.
    match unsafe { characters(string) } {
        Some(Characters::One(bytes)) if bytes.is_ascii() => {
            header(out, bytes.len())?;
            out.slice(bytes)
        }
        Some(Characters::One(bytes)) => transcode(out, bytes),
        Some(Characters::Two(units)) => transcode(out, units),
        Some(Characters::Four(units)) => transcode(out, units),
        None => Err(Unplain::NoMemory),
    }
}

/// Writes the header of a string whose UTF-8 has `len` bytes.
#[inline]
pub(super) fn header(out: &mut Writer<'_>, len: usize) -> Result<(), Unplain> {
    match len {
        0..32 => out.array([0xa0 | len as u8]),
        32..0x100 => out.array([0xd9, len as u8]),
        0x100..0x1_0000 => out.marked(0xda, (len as u16).to_be_bytes()),
        _ => match u32::try_from(len) {
            Ok(len) => out.marked(0xdb, len.to_be_bytes()),
            Err(_) => Err(Unplain::Other),
        },
    }
}

/// The string as UTF-8 into `out`, lone surrogates as if they were characters: so the bytes compare as
/// the code points do. False if there is no memory.
///
/// # Safety
///
/// `string` must be a str.
#[cold]
pub(super) unsafe fn generalized(string: *mut ffi::PyObject, out: &mut Vec<u8>) -> bool {
    out.clear();
    // SAFETY: the caller's promise.
    match unsafe { characters(string) } {
        Some(Characters::One(bytes)) => generalize(bytes, out),
        Some(Characters::Two(units)) => generalize(units, out),
        Some(Characters::Four(units)) => generalize(units, out),
        None => false,
    }
}

fn generalize<U: Copy + Into<u32>>(units: &[U], out: &mut Vec<u8>) -> bool {
    if out.try_reserve(units.len() * 4).is_err() {
        return false;
    }
    for &unit in units {
        let code: u32 = unit.into();
        match char::from_u32(code) {
            Some(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            // A surrogate: the form of three bytes.
            None => out.extend([
                0xe0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]),
        }
    }
    true
}

#[cold]
fn transcode<U: Copy + Into<u32>>(out: &mut Writer<'_>, units: &[U]) -> Result<(), Unplain> {
    let mut len = 0;
    for &unit in units {
        len += char::from_u32(unit.into()).ok_or(Unplain::Other)?.len_utf8();
    }
    header(out, len)?;
    out.reserve(len)?;
    for &unit in units {
        let character = char::from_u32(unit.into()).ok_or(Unplain::Other)?;
        out.0.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

/// The string that `bytes` spell.
#[inline]
pub(super) fn read<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyAny>, DecodeError> {
    // Single characters have objects of their own, which the decoder knows.
    if bytes.len() < 2 || !bytes.is_ascii() {
        return read_slow(py, bytes);
    }
    // SAFETY: a new string of ASCII that nobody else has seen, all of whose characters are written.
    unsafe {
        let object =
            Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(bytes.len().cast_signed(), 127))?;
        let target = ffi::PyUnicode_DATA(object.as_ptr()).cast();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        Ok(object)
    }
}

#[cold]
fn read_slow<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyAny>, DecodeError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => Err(DecodeError::Corrupt("a string that is not UTF-8")),
    }
}

/// The string that `len` bytes spell which `copy` writes: copied first, looked at afterwards.
///
/// # Safety
///
/// `copy` must write all of them, or return None.
pub(super) unsafe fn read_by(
    py: Python<'_>,
    len: usize,
    copy: impl FnOnce(*mut u8) -> Option<()>,
) -> Result<Bound<'_, PyAny>, DecodeError> {
    // SAFETY: a new string that nobody else sees until all its characters are written and found to
    // be ASCII; otherwise they are read as UTF-8, and it is thrown away unseen.
    unsafe {
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(len.cast_signed(), 127))?;
        let data: *mut u8 = ffi::PyUnicode_DATA(object.as_ptr()).cast();
        copy(data).ok_or(DecodeError::Corrupt("it ends too early"))?;
        let bytes = std::slice::from_raw_parts(data, len);
        if bytes.is_ascii() { Ok(object) } else { read_slow(py, bytes) }
    }
}
