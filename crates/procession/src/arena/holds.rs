//! Counted references: who keeps an object (or, after a fork, a block) alive.
//!
//! A reference is a *hold entry*, a word in a block whose owner answers for it: a participant's own
//! pages of entries, one entry for each object that the process has handles of; or the end of a
//! message's block, for the handles inside the message. Whoever frees the block releases its
//! entries, so the dead, lost messages and dropped ones need no rule of their own. Entry and count
//! change together, by a redo record.
//!
//! Entry: 0 none; `generation << 36 | index << 4 | 1` an object; `page << 4 | 2` a block.

use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::PoisonError;

use super::blocks::{OWNED, STOCKED, owned, owner_of};
use super::family::Inner;
use super::layout::{Desc, Object, PAGE};
use super::map::corrupt;
use super::objects::{DYING, Kind, LIVE, ObjectId, state_word};
use super::redo::set;
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

const TAG_OBJECT: u64 = 1;
const TAG_BLOCK: u64 = 2;
pub(crate) const ENTRIES_PER_PAGE: u64 = PAGE / 8;

pub(crate) fn object_entry(id: ObjectId) -> u64 {
    u64::from(id.generation) << 36 | u64::from(id.index) << 4 | TAG_OBJECT
}
pub(crate) fn block_entry(at: u64) -> u64 {
    (at / PAGE) << 4 | TAG_BLOCK
}

/// One object that this process has handles of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handle {
    pub(crate) generation: u32,
    /// How many handles.
    pub(crate) count: u64,
    /// Where the entry is.
    pub(crate) entry: u64,
}

/// What this process holds.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    pub(crate) open: HashMap<u32, Handle>,
    /// Entries that are free, and the pages that they lie in.
    pub(crate) free: Vec<u64>,
    pub(crate) pages: Vec<u64>,
}

impl Inner {
    /// `sweep`: if memory lacks, what the dead held is taken first.
    pub(super) fn take_entry(&self, handles: &mut Handles, sweep: bool) -> Result<u64, ArenaError> {
        if handles.free.is_empty() {
            let page = if sweep { self.alloc_block(PAGE)? } else { self.alloc_once(PAGE)? };
            self.empty_entries(page)?;
            handles.pages.push(page);
            handles.free.extend((0..ENTRIES_PER_PAGE).rev().map(|i| page + 8 * i));
        }
        handles.free.pop().ok_or_else(|| corrupt("no entry in a fresh page"))
    }

    /// A page of empty entries, owned by this participant.
    pub(crate) fn new_entry_page(&self) -> Result<u64, ArenaError> {
        let page = self.alloc_block(PAGE)?;
        self.empty_entries(page)?;
        Ok(page)
    }

    fn empty_entries(&self, page: u64) -> Result<(), ArenaError> {
        for i in 0..ENTRIES_PER_PAGE {
            self.map.word(page + 8 * i)?.store(0, Ordering::Relaxed);
        }
        let desc = self.desc(page)?;
        desc.len.store(0, Ordering::Relaxed);
        desc.holds.store(ENTRIES_PER_PAGE, Ordering::Release);
        Ok(())
    }

    /// A new object with one handle in this process.
    pub(crate) fn create_held(&self, kind: Kind, limits: Limits) -> Result<ObjectId, ArenaError> {
        self.me()?; // before any lock: a raw clone registers here
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.take_entry(&mut handles, true)?;
        let made = self.create_object(kind, limits, entry);
        let id = made.inspect_err(|_| handles.free.push(entry))?;
        handles.open.insert(id.index, Handle { generation: id.generation, count: 1, entry });
        Ok(id)
    }

    /// One more handle of this process.
    pub(crate) fn open_handle(&self, id: ObjectId) -> Result<(), HandleError> {
        self.me()?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(h) = handles.open.get_mut(&id.index)
            && h.generation == id.generation
        {
            h.count += 1;
            return Ok(());
        }
        let entry = self.take_entry(&mut handles, true)?;
        match self.hold_object(id, entry) {
            Ok(true) => {}
            Ok(false) => {
                handles.free.push(entry);
                return Err(HandleError::Gone);
            }
            Err(e) => return Err(e.into()),
        }
        crash_point!("hold.taken");
        handles.open.insert(id.index, Handle { generation: id.generation, count: 1, entry });
        Ok(())
    }

    /// One handle less.
    pub(crate) fn close_handle(&self, id: ObjectId) -> Result<(), ArenaError> {
        self.me()?;
        let entry = {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(h) = handles.open.get_mut(&id.index) else {
                return Ok(());
            };
            if h.generation != id.generation {
                return Ok(());
            }
            h.count -= 1;
            if h.count > 0 {
                return Ok(());
            }
            let entry = h.entry;
            handles.open.remove(&id.index);
            entry
        };
        if entry == 0 {
            return Ok(());
        }
        self.release_entry(entry)?;
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).free.push(entry);
        // If it lives on, it may be the dead who keep it.
        self.sweep_if_due();
        Ok(())
    }

    /// Counts an object into the entry; false if it is gone.
    pub(crate) fn hold_object(&self, id: ObjectId, entry: u64) -> Result<bool, ArenaError> {
        let guard = self.guard()?;
        let slot = self.object(id.index)?;
        if slot.life() != (id.generation, LIVE) {
            return Ok(false);
        }
        let refs = slot.refs.load(Ordering::Relaxed) + 1;
        let at = self.map.layout.object(u64::from(id.index));
        guard.commit(&[
            set(at + offset_of!(Object, refs) as u64, refs),
            set(entry, object_entry(id)),
        ])?;
        Ok(true)
    }

    /// Counts a block into the entry of another who reads it: a fork child, a reader without the lock.
    pub(crate) fn hold_block(&self, at: u64, entry: u64) -> Result<(), ArenaError> {
        self.hold_block_if(at, entry, || true).map(drop)
    }

    /// The same, if something is so under the arena lock; whether it was.
    pub(crate) fn hold_block_if(
        &self,
        at: u64,
        entry: u64,
        still: impl Fn() -> bool,
    ) -> Result<bool, ArenaError> {
        let guard = self.guard()?;
        if !still() {
            return Ok(false);
        }
        let owner = self.desc(at)?.owner.load(Ordering::Relaxed);
        let place = self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64;
        guard.commit(&[set(place, owner + (1 << 4)), set(entry, block_entry(at))])?;
        Ok(true)
    }

    /// Counts the handles inside a message into the end of its block.
    pub(crate) fn hold_for_message(
        &self,
        at: u64,
        data: u64,
        holds: &[ObjectId],
    ) -> Result<(), ArenaError> {
        let desc = self.desc(at)?;
        for i in 0..holds.len() as u64 {
            self.map.word(at + data + 8 * i)?.store(0, Ordering::Relaxed);
        }
        desc.holds.store(holds.len() as u64, Ordering::Release);
        for (i, id) in holds.iter().enumerate() {
            if !self.hold_object(*id, at + data + 8 * i as u64)? {
                return Err(ArenaError::Detached(
                    "a handle in the message is of a dead object".into(),
                ));
            }
            crash_point!("hold.message");
        }
        Ok(())
    }

    /// Releases the entries behind a block's data.
    pub(crate) fn release_holds_of(
        &self,
        at: u64,
        desc: &Desc,
        room: u64,
        dying: &mut Vec<u64>,
    ) -> Result<(), ArenaError> {
        let n = desc.holds.load(Ordering::Acquire);
        if n == 0 {
            return Ok(());
        }
        let first = desc.len.load(Ordering::Relaxed).next_multiple_of(8);
        if n > room / 8 || first > room - 8 * n {
            return Err(corrupt(format!("the block at {at:#x} claims {n} hold entries")));
        }
        for i in 0..n {
            self.release_entry_into(at + first + 8 * i, dying)?;
        }
        desc.holds.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Releases one entry, and takes apart what nobody holds any more.
    pub(crate) fn release_entry(&self, entry: u64) -> Result<(), ArenaError> {
        let mut dying = Vec::new();
        self.release_entry_into(entry, &mut dying)?;
        self.reap_all(dying)
    }

    fn release_entry_into(&self, entry: u64, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
        let word = self.map.word(entry)?.load(Ordering::Acquire);
        match word & 0xf {
            0 if word == 0 => Ok(()),
            TAG_OBJECT => {
                let index = (word >> 4) as u32;
                self.release_object(entry, index, (word >> 36) as u32, dying)
            }
            TAG_BLOCK => self.release_block(entry, (word >> 4).saturating_mul(PAGE), dying),
            _ => Err(corrupt(format!("the hold entry at {entry:#x}"))),
        }
    }

    fn release_object(
        &self,
        entry: u64,
        index: u32,
        generation: u32,
        dying: &mut Vec<u64>,
    ) -> Result<(), ArenaError> {
        let me = self.me()?;
        let guard = self.guard()?;
        let slot = self.object(index)?;
        if slot.life() != (generation, LIVE) {
            return guard.commit(&[set(entry, 0)]);
        }
        let at = self.map.layout.object(u64::from(index));
        let refs = slot.refs.load(Ordering::Relaxed).saturating_sub(1);
        let refs_word = set(at + offset_of!(Object, refs) as u64, refs);
        if refs > 0 {
            guard.commit(&[refs_word, set(entry, 0)])?;
        } else {
            guard.commit(&[
                refs_word,
                set(at + offset_of!(Object, reaper) as u64, u64::from(me)),
                set(at + offset_of!(Object, state) as u64, state_word(generation, DYING)),
                set(entry, 0),
            ])?;
            dying.push(u64::from(index));
        }
        crash_point!("hold.released");
        Ok(())
    }

    fn release_block(&self, entry: u64, at: u64, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
        let me = self.me()?;
        let guard = self.guard()?;
        let (serial, refs, state) = owner_of(self.desc(at)?.owner.load(Ordering::Relaxed));
        if ![OWNED, STOCKED].contains(&state) || refs == 0 {
            return guard.commit(&[set(entry, 0)]);
        }
        let place = self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64;
        if state == STOCKED {
            return guard.commit(&[set(place, (refs - 1) << 4 | STOCKED), set(entry, 0)]);
        }
        let last = serial == 0 && refs == 1;
        let owner = if last { owned(me) } else { owned(serial) | (refs - 1) << 4 };
        guard.commit(&[set(place, owner), set(entry, 0)])?;
        drop(guard);
        if last { self.free_block_into(at, dying) } else { Ok(()) }
    }

    /// The owner of a block that fork children have, too, lets go of it.
    pub(crate) fn leave_to_children(&self, at: u64) -> Result<(), ArenaError> {
        let guard = self.guard()?;
        let (serial, refs, state) = owner_of(self.desc(at)?.owner.load(Ordering::Relaxed));
        let place = self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64;
        if state == OWNED && refs > 0 {
            return guard.commit(&[set(place, owned(0) | refs << 4)]);
        }
        drop(guard);
        if state == OWNED && serial == self.me()? { self.free_block(at) } else { Ok(()) }
    }
}

/// The object that an entry names.
pub(crate) fn entry_object(word: u64) -> Option<ObjectId> {
    let id = ObjectId { index: (word >> 4) as u32, generation: (word >> 36) as u32 };
    (word & 0xf == TAG_OBJECT).then_some(id)
}
