//! Memory that is shared with Python objects, and the little else that needs `unsafe` outside the
//! codec.
//!
//! - [`PySharedBlock`]: a piece of a received block as a Python buffer. The array that is built
//!   over it *is* the block: nothing is copied, and the block is freed when the last piece is
//!   collected.
//! - [`contents`]: Python's memory as bytes; [`filled_block`]: the one way from there into a block;
//!   [`Room`]: a piece of it to receive into.
//! - [`shared`]: memory that several processes write.
//! - [`duplicate`] and [`adopt`]: descriptors that come as numbers.
//! - [`Shelf`]: holds a queue's or connection's handle so that it can be given back early, at no
//!   cost for those who use it.

#![allow(unsafe_code)]

mod shared;

pub(crate) use shared::{PyMemoryBase, copy_of_shared, shared_copy};

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use procession::{ArenaError, Block, Family, Lease};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyOSError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::Raise;

/// From this size on, copies are made without the interpreter: below it, letting go costs more than
/// it gives.
const DETACH_FROM: usize = 256 << 10;

/// Whether a buffer is in one piece, in the strict sense of `memoryview`: with no gaps between the
/// items either if there are none.
fn is_one_piece(buffer: &PyUntypedBuffer) -> bool {
    match (buffer.shape(), buffer.strides()) {
        ([len], [stride]) if buffer.suboffsets().is_none() => {
            *len == 1 || stride.unsigned_abs() == buffer.item_size() && *stride >= 0
        }
        _ => buffer.is_c_contiguous(),
    }
}

/// What a buffer holds, if that is in one piece. Its owner may change it meanwhile, as with any
/// buffer that is being copied; the copy is then of the one or the other.
pub(crate) fn contents(buffer: &PyUntypedBuffer) -> Option<&[u8]> {
    if !is_one_piece(buffer) {
        return None;
    }
    if buffer.len_bytes() == 0 {
        return Some(&[]);
    }
    // SAFETY: one contiguous piece, which the view keeps in place while it is held.
    Some(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) })
}

/// A new block of `len` bytes with `parts` copied to their positions; what lies between stays as it
/// was.
///
/// `holds` are on that whose handles the message has: they are counted into the block.
pub(crate) fn filled_block(
    py: Python<'_>,
    family: Family,
    len: usize,
    holds: &[Lease],
    parts: &[(usize, &[u8])],
) -> PyResult<Block> {
    let fill = || {
        let mut block = family.alloc(len, holds)?;
        for &(at, bytes) in parts {
            block.write(at, bytes);
        }
        Ok(block)
    };
    let filled: Result<Block, ArenaError> =
        if len >= DETACH_FROM { py.detach(fill) } else { fill() };
    filled.map_err(Raise::raise)
}

/// Copies `block[from..from + len]` to `target`.
///
/// # Safety
///
/// `target` must be valid for writes of `len` bytes and be nobody else's for the time of the call.
///
/// # Panics
///
/// If the range does not lie in the block.
pub(crate) unsafe fn copy_out(
    py: Python<'_>,
    block: &Block,
    from: usize,
    target: *mut u8,
    len: usize,
) {
    if len == 0 {
        return; // the target may be null then
    }
    // SAFETY: the caller vouches for the target.
    let target = unsafe { slice::from_raw_parts_mut(target.cast::<MaybeUninit<u8>>(), len) };
    let mut copy = || block.read_uninit(from, target);
    if len >= DETACH_FROM {
        py.detach(copy);
    } else {
        copy();
    }
}

/// A Python object's memory, from some byte on, to receive a message into.
pub(crate) struct Room {
    view: PyUntypedBuffer,
    offset: usize,
}

impl Room {
    /// From byte `offset` of a buffer on. None if the buffer is not an array of one dimension, in
    /// one piece, that may be written, or does not reach so far.
    pub(crate) fn of(buffer: &Bound<'_, PyAny>, offset: usize) -> Option<Self> {
        let view = PyUntypedBuffer::get(buffer).ok()?;
        let fit = view.dimensions() == 1
            && view.item_size() > 0
            && !view.readonly()
            && is_one_piece(&view)
            && offset <= view.len_bytes();
        fit.then_some(Self { view, offset })
    }

    /// How many bytes fit.
    pub(crate) fn len(&self) -> usize {
        self.view.len_bytes() - self.offset
    }

    /// Writes a message.
    ///
    /// # Panics
    /// If it does not fit.
    pub(crate) fn fill(&self, message: &[u8]) {
        let (target, len) = self.place(message.len());
        // SAFETY: `place` gives so many bytes of the buffer; the message, in memory of our own, has
        // no fewer.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), target, len) };
    }

    /// Writes a message that is a whole block.
    ///
    /// # Panics
    /// If it does not fit.
    pub(crate) fn fill_from(&self, py: Python<'_>, block: &Block) {
        let (target, len) = self.place(block.len());
        // SAFETY: `place` gives so many bytes of the buffer. Its owner may look at them meanwhile,
        // as with any buffer that is being written.
        unsafe { copy_out(py, block, 0, target, len) };
    }

    /// Where a message of `size` bytes goes, and how many of them: as the standard library does it,
    /// from the item that the offset lies in, up to the last one that the message fills.
    fn place(&self, size: usize) -> (*mut u8, usize) {
        assert!(size <= self.len(), "{size} bytes in a room for {}", self.len());
        let to_item = |at: usize| at - at % self.view.item_size();
        let start = to_item(self.offset);
        // SAFETY: in the buffer, or at its end: `of` has compared the offset with its length.
        let target = unsafe { self.view.buf_ptr().cast::<u8>().add(start) };
        (target, (to_item(self.offset + size) - start).min(size))
    }
}

/// A piece of a received message's block: writable memory that is this process's own.
#[pyclass(frozen, name = "SharedBlock", module = "procession._core")]
pub(crate) struct PySharedBlock {
    block: Arc<Block>,
    range: Range<usize>,
}

impl PySharedBlock {
    /// The piece `range` of `block`, or None if the block is not that long.
    pub(crate) fn new(block: &Arc<Block>, range: Range<usize>) -> Option<Self> {
        (range.start <= range.end && range.end <= block.len())
            .then(|| Self { block: Arc::clone(block), range })
    }
}

#[pymethods]
impl PySharedBlock {
    fn __len__(&self) -> usize {
        self.range.len()
    }

    fn __repr__(&self) -> String {
        format!("<SharedBlock of {} bytes>", self.range.len())
    }

    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let piece = slf.get();
        // SAFETY: `new` has checked the range against the block.
        let start = unsafe { piece.block.as_mut_ptr().add(piece.range.start) };
        // SAFETY: the memory lives as long as `slf`, and is this process's own.
        unsafe { fill_view(slf, view, flags, start, piece.range.len()) }
    }
}

/// Answers a request for a view of the `len` writable bytes at `start`.
///
/// # Safety
///
/// The bytes must be valid for reads and writes as long as `owner` lives, which the view holds a
/// reference to, and be reached through raw pointers only, never through a Rust reference. `view` is
/// what CPython has passed.
unsafe fn fill_view<T>(
    owner: &Bound<'_, T>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
    start: *mut u8,
    len: usize,
) -> PyResult<()> {
    if view.is_null() {
        return Err(PyBufferError::new_err("view is null"));
    }
    let len = isize::try_from(len)?;
    // SAFETY: the caller vouches for the bytes and the view.
    let status =
        unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start.cast(), len, 0, flags) };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(owner.py())) }
}

/// Takes over a descriptor that the caller gives away.
pub(crate) fn adopt(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err("invalid handle"));
    }
    // SAFETY: not the one value that no `OwnedFd` has. Whether it is open and the caller's is the
    // caller's to know, as with `os.close`.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor of our own for what the caller's descriptor names.
pub(crate) fn duplicate(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        let bad = io::Error::from_raw_os_error(9);
        return Err(PyOSError::new_err((9, bad.to_string())));
    }
    // SAFETY: only borrowed for the call, which fails cleanly if nothing is open there.
    let theirs = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(theirs.try_clone_to_owned()?)
}

/// Holds a value that is set once, used by many, and taken away once: when the last user has left.
///
/// The state word:
///
/// | bits | meaning |
/// |---|---|
/// | `SETTING`, `READY` | a value is being stored; a value is there |
/// | `GONE` | taken away: nobody may enter any more |
/// | `DROPPED` | the value was dropped; set by exactly one |
/// | the rest | how many are using it, in units of `USER` |
///
/// Under the GIL the count is kept by plain loads and stores: guards begin and end attached.
pub(crate) struct Shelf<T> {
    state: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

const SETTING: usize = 1;
const READY: usize = 2;
const GONE: usize = 4;
const DROPPED: usize = 8;
const USER: usize = 16;

// SAFETY: the value is reached by shared reference only, from any thread (`T: Sync`), and may be
// dropped by any (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Shelf<T> {}

impl<T> Shelf<T> {
    /// With nothing on it.
    pub(crate) const fn new() -> Self {
        Self { state: AtomicUsize::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Puts the value there; gives it back if there is or was one already.
    pub(crate) fn set(&self, _py: Python<'_>, value: T) -> Result<(), T> {
        let begun = self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
            (state & (SETTING | READY | GONE) == 0).then_some(state | SETTING)
        });
        if begun.is_err() {
            return Err(value);
        }
        // SAFETY: `SETTING` is ours alone, and nobody reads before `READY`.
        unsafe { (*self.value.get()).write(value) };
        self.state.fetch_or(READY, Ordering::Release);
        Ok(())
    }

    /// The value, for as long as the guard lives; None if there is none (any more).
    #[inline]
    pub(crate) fn enter<'a>(&'a self, py: Python<'a>) -> Option<Held<'a, T>> {
        let before = self.add_user();
        let held = Held { shelf: self, attached: py };
        (before & (READY | GONE) == READY).then_some(held)
    }

    /// Whether the value was there and has been taken away.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Relaxed) & GONE != 0
    }

    /// Takes the value away, at once or when its last user leaves.
    pub(crate) fn take(&self, _py: Python<'_>) {
        let before = self.state.fetch_or(GONE, Ordering::AcqRel);
        if before / USER == 0 {
            self.drop_value();
        }
    }

    #[inline]
    fn add_user(&self) -> usize {
        if cfg!(Py_GIL_DISABLED) {
            return self.state.fetch_add(USER, Ordering::Acquire);
        }
        let before = self.state.load(Ordering::Relaxed);
        self.state.store(before + USER, Ordering::Relaxed);
        before
    }

    #[inline]
    fn remove_user(&self) -> usize {
        if cfg!(Py_GIL_DISABLED) {
            return self.state.fetch_sub(USER, Ordering::Release) - USER;
        }
        let after = self.state.load(Ordering::Relaxed) - USER;
        self.state.store(after, Ordering::Relaxed);
        after
    }

    #[cold]
    fn drop_value(&self) {
        let before = self.state.fetch_or(DROPPED, Ordering::AcqRel);
        if before & (READY | DROPPED) == READY {
            // SAFETY: ready, gone and without users; `DROPPED` lets only one come here.
            unsafe { (*self.value.get()).assume_init_drop() };
        }
    }
}

impl<T> Drop for Shelf<T> {
    fn drop(&mut self) {
        self.drop_value();
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A use of a shelf's value. Ends attached to the interpreter, as it began (the token makes it
/// `!Send`).
pub(crate) struct Held<'a, T> {
    shelf: &'a Shelf<T>,
    attached: Python<'a>,
}

impl<'a, T> Held<'a, T> {
    /// The interpreter.
    #[inline]
    pub(crate) fn py(&self) -> Python<'a> {
        self.attached
    }

    /// Whether the value was taken away meanwhile; this use of it goes on.
    pub(crate) fn is_gone(&self) -> bool {
        self.shelf.is_gone()
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `enter` gives a guard out only when the value is ready, and it stays while there
        // are users.
        unsafe { (*self.shelf.value.get()).assume_init_ref() }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let after = self.shelf.remove_user();
        if after & GONE != 0 && after / USER == 0 {
            self.shelf.drop_value();
        }
    }
}
