//! A block as the process that has it sees it: an address, a length, and the duty to free it.
//!
//! Invariant: a `Block` is the only one of its process for its offset, and its owner word names this
//! participant (or, after a fork, a hold entry of this participant counts it); so its bytes are
//! reached by this process alone, or by its fork relatives through private copies.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::PoisonError;

use super::blocks::{owned, owner_of};
use super::family::Inner;
use super::layout::{EXTENT, PAGE};
use super::map::corrupt;
use super::objects::ObjectId;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::BlockRef;
use crate::sys::atomic::Ordering;
use crate::sys::memory;

/// Runs longer than an extent are mapped for themselves.
pub(crate) fn is_long_run(len: u64) -> bool {
    len > EXTENT
}

/// What a process knows of a block that it received and may keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) ptr: NonNull<u8>,
    pub(crate) len: u64,
    /// Remapped as private memory by a fork.
    pub(crate) private: bool,
    /// The hold entry that counts it, if it came by fork; 0: this process is its owner.
    pub(crate) entry: u64,
}
// SAFETY: the pointer is an address that is only used under the registry's lock.
unsafe impl Send for Kept {}

/// A piece of the arena that belongs to this process until it is put into a queue or dropped.
///
/// A received block stays where it is for as long as the `Block` lives; dropping it gives the memory
/// back to the family, whichever process made it. After a fork parent and child have it as private
/// memory, each its own. If the process dies, the others take it back.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let family = procession::Family::current()?;
/// let mut block = family.alloc(5, &[])?;
/// block.write(0, b"hello");
/// let mut copy = [0; 5];
/// block.read(0, &mut copy);
/// assert_eq!(&copy, b"hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Block {
    inner: &'static Inner,
    at: u64,
    len: usize,
    ptr: NonNull<u8>,
    origin: Origin,
    /// The participant that has it, if it was allocated: a fork child's copy is its parent's.
    mine: Serial,
}

/// How this process came by a block. A whole word, which also says that there is none: what is stored
/// as less and moved as a word has to wait for its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Origin {
    Made,
    Received,
}

// SAFETY: the bytes behind the pointer are this block's alone; `&self` methods only read them.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// A fresh block that holds counts of `holds`.
    pub(crate) fn alloc(
        inner: &'static Inner,
        len: usize,
        holds: &[ObjectId],
    ) -> Result<Block, ArenaError> {
        let entries = 8 * holds.len() as u64;
        let data = (len as u64).next_multiple_of(8);
        let at = inner.alloc_block(data + entries)?;
        let guard = Unfinished { inner, at };
        inner.desc(at)?.len.store(len as u64, Ordering::Relaxed);
        inner.hold_for_message(at, data, holds)?;
        let ptr = inner.map_block(at, len as u64)?;
        let mine = inner.me()?;
        std::mem::forget(guard);
        Ok(Block { inner, at, len, ptr, origin: Origin::Made, mine })
    }

    /// The block that a message brought, mapped and owned.
    pub(crate) fn received(
        inner: &'static Inner,
        block: BlockRef,
        ptr: NonNull<u8>,
    ) -> Result<Block, ArenaError> {
        let desc = inner.desc(block.at)?;
        let mine = inner.me()?;
        desc.owner.store(owned(mine), Ordering::Release);
        let kept = Kept { ptr, len: block.len, private: false, entry: 0 };
        inner.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(block.at, kept);
        Ok(Block {
            inner,
            at: block.at,
            len: block.len as usize,
            ptr,
            origin: Origin::Received,
            mine,
        })
    }

    /// Copies the bytes of another block, of the same length, that nobody changes meanwhile.
    pub(crate) fn copy(&mut self, view: &View) {
        assert!(view.len == self.len as u64, "{} bytes for {}", view.len, self.len);
        // SAFETY: both are mapped, the view as long as it lives, and of that length; two blocks do not
        // overlap.
        unsafe { ptr::copy_nonoverlapping(view.ptr.as_ptr(), self.ptr.as_ptr(), self.len) };
    }

    /// The same as one that was received: a fork makes it private.
    pub(crate) fn into_received(mut self) -> Block {
        let kept = Kept { ptr: self.ptr, len: self.len as u64, private: false, entry: 0 };
        self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(self.at, kept);
        self.origin = Origin::Received;
        self
    }

    fn is_received(&self) -> bool {
        self.origin == Origin::Received
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to position `at`.
    ///
    /// # Panics
    /// If they don't fit.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(
            at <= self.len && bytes.len() <= self.len - at,
            "{} bytes at {at} of a block of {}",
            bytes.len(),
            self.len
        );
        // SAFETY: in range of this block's own mapping, by the assertion and the invariant.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.ptr.as_ptr().add(at), bytes.len());
        };
    }

    /// Copies bytes from position `at` on into `out`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn read(&self, at: usize, out: &mut [u8]) {
        // SAFETY: initialised memory is a case of memory that may not be, and only bytes of the block,
        // which are, get there.
        self.read_uninit(at, unsafe { &mut *(ptr::from_mut(out) as *mut [MaybeUninit<u8>]) });
    }

    /// Copies bytes from position `at` on into memory that nobody has written yet. Where that is fresh
    /// from the kernel, its pages are asked for at once, and not one by one by faults.
    ///
    /// # Panics
    /// If there are not so many.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut block = procession::Family::current()?.alloc(5, &[])?;
    /// block.write(0, b"hello");
    /// let mut bytes = Vec::with_capacity(5);
    /// block.read_uninit(0, &mut bytes.spare_capacity_mut()[..5]);
    /// # Ok(()) }
    /// ```
    pub fn read_uninit(&self, at: usize, out: &mut [MaybeUninit<u8>]) {
        assert!(
            at <= self.len && out.len() <= self.len - at,
            "{} bytes at {at} of a block of {}",
            out.len(),
            self.len
        );
        memory::prefault(out);
        // SAFETY: in range of this block's own mapping; `out` is not in shared memory.
        unsafe {
            let from = self.ptr.as_ptr().add(at);
            ptr::copy_nonoverlapping(from, out.as_mut_ptr().cast(), out.len());
        };
    }

    /// The address of its first byte, valid and this process's own while the `Block` lives.
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Its bytes, where they lie.
    ///
    /// # Panics
    /// In a fork child, if its parent had allocated the block: there both would have it.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.assert_sole();
        // SAFETY: mapped for so long and initialised, as the kernel gives no other memory. Nobody
        // writes them while this borrow lives: in this process only `&mut self` does, by the invariant;
        // other processes have let go of the block before it came here (`given_away` consumes it, and
        // the ring's commit comes after), and a process that writes where it owns nothing is outside
        // the crash model, as one is that writes to this process by ptrace. A fork makes received
        // blocks private; what was allocated is guarded by the assertion.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// Its bytes, where they lie, to be written.
    ///
    /// # Panics
    /// As [`Block::bytes`].
    #[cfg(feature = "bytemuck")]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.assert_sole();
        // SAFETY: as in `bytes`; and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    fn assert_sole(&self) {
        assert!(
            self.is_received() || self.is_own(),
            "the block is that of the process that forked"
        );
    }

    fn is_own(&self) -> bool {
        self.inner.me_or_zero() == self.mine
    }

    /// What a record says of this block.
    pub(crate) fn reference(&self) -> BlockRef {
        BlockRef { at: self.at, len: self.len as u64 }
    }

    pub(crate) fn belongs_to(&self, inner: &'static Inner) -> bool {
        std::ptr::eq(self.inner, inner) && !self.is_received() && self.is_own()
    }

    /// The block went into a queue: only this process's mapping of it ends.
    pub(crate) fn given_away(self) {
        unmap_block(self.ptr, self.len as u64);
        std::mem::forget(self);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let kept = if self.is_received() {
            self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.at)
        } else {
            None
        };
        // Nothing can be done about an error here; the sweep finds what is left.
        let _ = self.inner.let_go(self.at, self.ptr, self.len as u64, kept);
    }
}

/// Ends this process's mapping of a block, if it has one of its own.
fn unmap_block(ptr: NonNull<u8>, len: u64) {
    if is_long_run(len) {
        // SAFETY: such a block's mapping was made for it alone, by `map_block`.
        unsafe { memory::unmap(ptr, len.next_multiple_of(PAGE)) };
    }
}

/// A message's block as one sees it who does not have it. Its bytes may be read under the lock of the
/// queue's head while the message is the next one, and never after.
#[derive(Debug)]
pub(crate) struct View {
    ptr: NonNull<u8>,
    len: u64,
}

impl Drop for View {
    fn drop(&mut self) {
        unmap_block(self.ptr, self.len);
    }
}

/// Frees a block whose making failed half-way.
struct Unfinished {
    inner: &'static Inner,
    at: u64,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = self.inner.free_block(self.at);
    }
}

impl Inner {
    /// The address of a block's bytes in this process.
    pub(crate) fn map_block(&self, at: u64, len: u64) -> Result<NonNull<u8>, ArenaError> {
        if is_long_run(len) {
            self.map.map_run(at, len.next_multiple_of(PAGE))
        } else {
            self.map.ptr(at, len)
        }
    }

    /// A view of a block that was checked.
    pub(crate) fn view(&self, block: BlockRef) -> Result<View, ArenaError> {
        Ok(View { ptr: self.map_block(block.at, block.len)?, len: block.len })
    }

    /// Checks what a record says of a block: it begins where a block may, and fits.
    pub(crate) fn check_block(&self, block: BlockRef) -> Result<(), ArenaError> {
        self.desc(block.at)?;
        if block.len > self.block_room(block.at)? {
            return Err(corrupt(format!("a block's length {}", block.len)));
        }
        Ok(())
    }

    /// Ends this process's part in a block, and frees it if nobody else has one.
    fn let_go(
        &self,
        at: u64,
        ptr: NonNull<u8>,
        len: u64,
        kept: Option<Kept>,
    ) -> Result<(), ArenaError> {
        if let Some(k) = kept
            && k.private
            && !is_long_run(len)
        {
            let file = self.map.file()?;
            // SAFETY: the block's own pages, which nothing refers to any more; they become what the
            // rest of their extent is.
            let shared = unsafe { memory::remap(file, ptr, at, len.next_multiple_of(PAGE), false) };
            shared.map_err(|_| super::map::no_address_space(len))?;
        }
        unmap_block(ptr, len);
        if let Some(k) = kept
            && k.entry != 0
        {
            return self.release_entry(k.entry);
        }
        let word = self.desc(at)?.owner.load(Ordering::Acquire);
        match owner_of(word) {
            (s, 0, super::blocks::OWNED) if s == self.me()? => self.free_block(at),
            (s, _, super::blocks::OWNED) if s == self.me()? => self.leave_to_children(at),
            _ => Ok(()), // a copy made by fork of a block that was the parent's
        }
    }
}
