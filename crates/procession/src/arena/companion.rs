//! An object that another one has, for all its life: the lock of a dict for those who use it.
//!
//! The word `bells` of such an object, which is no ring, names a block of its own with one hold entry.
//! The block becomes the object's together with the word, by a redo record, and is freed when the
//! object is taken apart. So of several who make a companion at the same time one has made it.

use std::mem::offset_of;

use super::block::Block;
use super::blocks::owned;
use super::layout::{Desc, Object, PAGE};
use super::lease::Lease;
use super::map::corrupt;
use super::objects::ObjectId;
use super::redo::set;
use crate::error::{ArenaError, HandleError};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

impl Lease {
    /// The companion of this object, the same one for every process; `make` makes it if there is none.
    pub(crate) fn companion(
        &self,
        make: impl FnOnce() -> Result<Lease, ArenaError>,
    ) -> Result<Lease, ArenaError> {
        if let Some(known) = self.known_companion()? {
            return Ok(known);
        }
        let made = make()?;
        crash_point!("companion.made");
        if self.give_companion(made.id)? {
            return Ok(made);
        }
        self.known_companion()?.ok_or_else(|| self.not_there())
    }

    fn known_companion(&self) -> Result<Option<Lease>, ArenaError> {
        let (inner, at) = (self.inner, self.slot.bells.load(Ordering::Acquire));
        if at == 0 {
            return Ok(None);
        }
        let desc = inner.desc(at)?;
        if desc.owner.load(Ordering::Acquire) != owned(0) {
            return Err(self.not_there());
        }
        let [id] = inner.held_by(at, desc)?[..] else {
            return Err(self.not_there());
        };
        match inner.open_handle(id) {
            Ok(()) => Lease::of_counted(inner, id).map(Some),
            Err(HandleError::Arena(e)) => Err(e),
            Err(_) => Err(self.not_there()),
        }
    }

    /// False if another was faster.
    fn give_companion(&self, companion: ObjectId) -> Result<bool, ArenaError> {
        let inner = self.inner;
        let block = Block::alloc(inner, 0, &[companion])?;
        let at = block.reference().at;
        let object = inner.map.layout.object(u64::from(self.id.index));
        let guard = inner.guard()?;
        let is_first = self.slot.bells.load(Ordering::Relaxed) == 0;
        if is_first {
            // In this order: who sees the word looks at the block without a lock.
            guard.commit(&[
                set(inner.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64, owned(0)),
                set(object + offset_of!(Object, bells) as u64, at),
            ])?;
        }
        drop(guard);
        if is_first {
            crash_point!("companion.given");
            block.given_away();
        }
        Ok(is_first)
    }

    fn not_there(&self) -> ArenaError {
        corrupt(format!("the companion of object {}", self.id.index))
    }
}
