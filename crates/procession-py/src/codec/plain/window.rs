//! The bytes of a message as the decoder reads them: through private memory, never in the block
//! itself.
//!
//! Another process might scribble in the block while it is read. So a window of it is copied to
//! private memory, looked at there and moved on; what is large goes from the block straight to
//! where it belongs, and is looked at there. A message without a block is all window.

use procession::Block;
use pyo3::prelude::*;

use crate::memory;

/// How much of a block is looked at at once.
const WIDTH: usize = 16 << 10;

/// The bytes not yet read.
pub(super) struct Window<'a> {
    /// The window's bytes, of which those before `at` have been read.
    bytes: &'a mut Vec<u8>,
    at: usize,
    block: Option<&'a Block>,
    /// Where in the block the window ends.
    next: usize,
}

impl<'a> Window<'a> {
    /// Over `bytes` alone.
    #[inline]
    pub(super) fn inline(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, at: 0, block: None, next: 0 }
    }

    /// Over a block, with `bytes` for its memory.
    pub(super) fn over(block: &'a Block, bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, at: 0, block: Some(block), next: 0 }
    }

    /// Of a window that is all there is: where the unread bytes begin.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// And where they begin from now on: before its end.
    #[inline]
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
    }

    /// Whether reading may let go of the interpreter.
    #[inline]
    pub(super) fn may_detach(&self) -> bool {
        self.block.is_some()
    }

    /// How many bytes are left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at + self.behind()
    }

    /// How many of them are not in the window yet.
    #[inline]
    fn behind(&self) -> usize {
        self.block.map_or(0, |block| block.len() - self.next)
    }

    /// The next byte, which stays unread.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.see(1)?;
        Some(self.bytes[self.at])
    }

    /// The next `N` bytes, or None if there are not so many.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.see(N)?;
        let array = self.bytes[self.at..].first_chunk().copied();
        self.at += N;
        array
    }

    /// The next `len` bytes, at most as many as fit in the window, or None if there are not so
    /// many.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&[u8]> {
        self.see(len)?;
        let taken = &self.bytes[self.at..][..len];
        self.at += len;
        Some(taken)
    }

    /// Whether the next `len` bytes are better copied to their place than looked at here.
    #[inline]
    pub(super) fn is_large(&self, len: usize) -> bool {
        self.block.is_some() && len > WIDTH / 4
    }

    /// Copies the next `len` bytes to `target`; None if there are not so many. May let go of the
    /// interpreter.
    ///
    /// # Safety
    ///
    /// `target` must be valid for writes of `len` bytes and be nobody else's for the time of the
    /// call.
    pub(super) unsafe fn copy_to(
        &mut self,
        py: Python<'_>,
        target: *mut u8,
        len: usize,
    ) -> Option<()> {
        if len > self.left() {
            return None;
        }
        let here = len.min(self.bytes.len() - self.at);
        // SAFETY: `here` bytes of the window are unread, and the target has room for `len`, which
        // is as many or more.
        unsafe {
            std::ptr::copy_nonoverlapping(self.bytes[self.at..].as_ptr(), target, here);
        }
        self.at += here;
        if let Some(block) = self.block
            && here < len
        {
            // SAFETY: the rest of the target; the block has as many bytes more, by the comparison
            // with `left`.
            unsafe { memory::copy_out(py, block, self.next, target.add(here), len - here) };
            self.next += len - here;
        }
        Some(())
    }

    /// Makes sure that the window has `len` unread bytes.
    #[inline]
    fn see(&mut self, len: usize) -> Option<()> {
        if self.bytes.len() - self.at >= len { Some(()) } else { self.move_on(len) }
    }

    #[cold]
    fn move_on(&mut self, len: usize) -> Option<()> {
        let block = self.block?;
        self.bytes.drain(..self.at);
        self.at = 0;
        let old = self.bytes.len();
        let more = self.behind().min(WIDTH.max(len) - old);
        self.bytes.resize(old + more, 0);
        block.read(self.next, &mut self.bytes[old..]);
        self.next += more;
        (self.bytes.len() >= len).then_some(())
    }
}
