//! A block of a dict's or a list's that is read without the object's lock.
//!
//! Under the lock the reader counts itself in the block's owner word, with a hold entry of its own, as a
//! fork child does. While it is counted the block is not freed: if the object lets go of it, it belongs
//! to its readers, and the last one frees it. What lies in such a block is never changed. So a long value
//! is copied while others work on the object, also one that they have just replaced.

use std::ptr;
use std::sync::PoisonError;

use super::blocks::owner_of;
use super::bytes::Place;
use super::family::Inner;
use super::objects::ObjectId;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;
use crate::sys::memory;

/// Keeps a block, and knows where it is mapped.
#[derive(Debug)]
pub(crate) struct Pin {
    inner: &'static Inner,
    place: Place,
    entry: u64,
}

impl Pin {
    /// With the object's lock held. `None`: there is no memory for an entry, or no address space.
    pub(crate) fn new(
        inner: &'static Inner,
        at: u64,
        len: u64,
        id: ObjectId,
    ) -> Result<Option<Pin>, ArenaError> {
        inner.stocked(at, id)?;
        Pin::new_if(inner, at, len, id, || true)
    }

    /// Without the object's lock: `None` as well if the block is not `still` the object's, which is
    /// asked under the arena lock.
    pub(crate) fn new_if(
        inner: &'static Inner,
        at: u64,
        len: u64,
        id: ObjectId,
        still: impl Fn() -> bool,
    ) -> Result<Option<Pin>, ArenaError> {
        let Ok(ptr) = inner.map_block(at, len) else {
            return Ok(None);
        };
        let place = Place { ptr, len: len as usize };
        let mut handles = inner.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match inner.take_entry(&mut handles, false) {
            Err(ArenaError::Full { .. }) => return Ok(None),
            taken => taken?,
        };
        let still = || still() && inner.stocked(at, id).is_ok();
        let held = inner.hold_block_if(at, entry, still);
        if !matches!(held, Ok(true)) {
            handles.free.push(entry);
        }
        if !held? {
            return Ok(None);
        }
        crash_point!("pin.taken");
        Ok(Some(Pin { inner, place, entry }))
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.place.len
    }

    /// Appends the bytes to `out`. Without any lock: it may take long.
    pub(crate) fn copy_to(&self, out: &mut Vec<u8>) {
        crash_point!("pin.copying");
        let len = self.place.len;
        out.reserve(len);
        let room = &mut out.spare_capacity_mut()[..len];
        memory::prefault(room);
        // SAFETY: the place is mapped while it exists, and its bytes do not change while the block is
        // held; the destination has the room, is not shared, and is initialised by the copy.
        unsafe {
            ptr::copy_nonoverlapping(self.place.ptr.as_ptr(), room.as_mut_ptr().cast(), len);
            out.set_len(out.len() + len);
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        crash_point!("pin.released");
        // Nothing can be done about an error here; the sweep finds what is left.
        let _ = self.inner.release_entry(self.entry);
        let mut handles = self.inner.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.free.push(self.entry);
    }
}

/// A block's owner word when its object lets go of it: the readers', if there are any, or `mine`.
pub(super) fn left_by_object(owner: u64, mine: u64) -> u64 {
    match owner_of(owner).1 {
        0 => mine,
        readers => super::blocks::owned(0) | readers << 4,
    }
}
