//! Memory that is an object: the same bytes for every process that has a handle, as long as one has.
//!
//! Up to [`INLINE`] bytes lie in the object's own slot, more in a block that belongs to the object
//! (as a queue's list of bells does). Nobody but the owner of a fresh object writes `capacity` and
//! `bells` of such a slot, so an address once made stays right while the object is counted.
//!
//! Invariant: a [`Place`] is made for a counted object only and lies in a mapping that lasts as long
//! as the process, or is the `Place`'s own (a run larger than an extent).

use std::mem::offset_of;
use std::ptr::NonNull;

use super::block::is_long_run;
use super::blocks::owned;
use super::family::Inner;
use super::layout::{Desc, Object, PAGE};
use super::lease::Lease;
use super::map::corrupt;
use super::objects::{Kind, ObjectId};
use super::redo::set;
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::sys::memory;

/// So many bytes from here on lie in the slot itself, aligned for anything that C knows.
const INLINE: u64 = 240;
const INLINE_AT: u64 = 272;
const _: () =
    assert!(INLINE_AT + INLINE == size_of::<Object>() as u64 && INLINE_AT.is_multiple_of(16));

/// Where an object's bytes lie in this process.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) ptr: NonNull<u8>,
    pub(crate) len: usize,
}

// SAFETY: an address, used through raw pointers only.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        if is_long_run(self.len as u64) {
            // SAFETY: such a place's mapping was made for it alone, by the invariant.
            unsafe { memory::unmap(self.ptr, (self.len as u64).next_multiple_of(PAGE)) };
        }
    }
}

impl Lease {
    /// A new object of `len` bytes, all zero.
    pub(crate) fn create_memory(inner: &'static Inner, len: u64) -> Result<Lease, ArenaError> {
        let id = inner.create_held(Kind::Memory, Limits { messages: 0, bytes: len })?;
        let lease = Lease::of_counted(inner, id)?;
        if len <= INLINE {
            let ptr = inner.map.ptr(inline_at(inner, id), INLINE)?;
            // SAFETY: the slot's own bytes, of an object whose handle nobody else has yet.
            unsafe { ptr.write_bytes(0, INLINE as usize) };
        } else {
            inner.give_memory(id, len)?;
        }
        Ok(lease)
    }

    /// Where the bytes of a memory object lie in this process.
    pub(crate) fn place(&self) -> Result<Place, ArenaError> {
        let (inner, slot) = (self.inner, self.slot);
        let len = slot.limits().bytes;
        let at = slot.bells.load(Ordering::Acquire);
        let ptr = if len <= INLINE {
            inner.map.ptr(inline_at(inner, self.id), INLINE)?
        } else if at == 0 || len > inner.block_room(at)? {
            return Err(corrupt(format!("memory of {len} bytes at {at:#x}")));
        } else {
            inner.map_block(at, len)?
        };
        Ok(Place { ptr, len: len as usize })
    }

    /// Where in the arena the bytes of a memory object lie that has a block of at most an extent.
    pub(crate) fn offset(&self) -> Result<u64, ArenaError> {
        let (len, at) = (self.slot.limits().bytes, self.slot.bells.load(Ordering::Acquire));
        if at == 0 || is_long_run(len) || len > self.inner.block_room(at)? {
            return Err(corrupt(format!("memory of {len} bytes at {at:#x}")));
        }
        Ok(at)
    }
}

fn inline_at(inner: &Inner, id: ObjectId) -> u64 {
    inner.map.layout.object(u64::from(id.index)) + INLINE_AT
}

impl Inner {
    /// Writes zeroes into a block of at most an extent that nobody else knows of.
    pub(crate) fn zero(&self, at: u64, len: u64) -> Result<(), ArenaError> {
        let ptr = self.map.ptr(at, len)?;
        // SAFETY: mapped, by the check above, and this process's own.
        unsafe { ptr.write_bytes(0, len as usize) };
        Ok(())
    }

    /// Appends the bytes of a block, of any length, to `out`.
    pub(crate) fn copy_block_out(
        &self,
        at: u64,
        len: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), ArenaError> {
        if !is_long_run(len) {
            return self.map.copy_out(at, len as usize, out);
        }
        let place = Place { ptr: self.map_block(at, len)?, len: len as usize };
        out.reserve(place.len);
        // SAFETY: the source is mapped for so long; the destination has the room, and is initialised
        // by the copy.
        unsafe {
            let end = out.as_mut_ptr().add(out.len());
            std::ptr::copy_nonoverlapping(place.ptr.as_ptr(), end, place.len);
            out.set_len(out.len() + place.len);
        }
        Ok(())
    }

    /// Makes a block of zeroes and gives it to the object.
    fn give_memory(&self, id: ObjectId, len: u64) -> Result<(), ArenaError> {
        let at = self.alloc_block(len)?;
        self.desc(at)?.len.store(len, Ordering::Relaxed);
        let zeroed = self.map_block(at, len).map(|ptr| {
            let place = Place { ptr, len: len as usize };
            // SAFETY: a fresh block, which nobody else knows of.
            unsafe { place.ptr.write_bytes(0, place.len) };
        });
        if let Err(e) = zeroed {
            self.free_block(at)?;
            return Err(e);
        }
        crash_point!("memory.filled");
        let base = self.map.layout.object(u64::from(id.index));
        let guard = self.guard()?;
        guard.commit(&[
            set(base + offset_of!(Object, bells) as u64, at),
            set(self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64, owned(0)),
        ])?;
        crash_point!("memory.given");
        Ok(())
    }
}
