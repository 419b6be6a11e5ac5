//! What others do with the blocks and steps of an object: finish a step that its author was killed in,
//! take the object apart, check it.

use std::collections::HashSet;
use std::mem::offset_of;

use super::{JOURNAL, PER_JOURNAL, after, owner_at};
use crate::arena::blocks::{STOCKED, owned};
use crate::arena::family::Inner;
use crate::arena::holds::entry_object;
use crate::arena::layout::Desc;
use crate::arena::layout::stock::StockSlot;
use crate::arena::map::corrupt;
use crate::arena::objects::{LIVE, ObjectId};
use crate::arena::pin::left_by_object;
use crate::arena::redo::{ArenaGuard, set};
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{Ordering, fence};
use crate::sys::fault::crash_point;

/// The readers in an owner word.
const READERS: u64 = 0x0fff_ffff << 4;

impl Inner {
    /// Checks that a block is that object's.
    pub(crate) fn stocked(&self, at: u64, id: ObjectId) -> Result<&Desc, ArenaError> {
        let desc = self.desc(at)?;
        if desc.owner.load(Ordering::Relaxed) & !READERS != STOCKED
            || desc.queue.load(Ordering::Relaxed) != id.pack()
        {
            return Err(corrupt(format!("the block at {at:#x} is not of object {}", id.index)));
        }
        Ok(desc)
    }

    /// Checks that a block is that object's, and has so many words.
    #[inline]
    pub(crate) fn stocked_words(
        &self,
        at: u64,
        words: u64,
        id: ObjectId,
    ) -> Result<(), ArenaError> {
        let len = self.stocked(at, id)?.len.load(Ordering::Relaxed);
        if words.checked_mul(8) == Some(len) {
            return Ok(());
        }
        Err(corrupt(format!("the block at {at:#x} has {len} bytes, and not {words} words")))
    }

    /// Makes the committed changes of a step.
    pub(super) fn replay_stock(&self, slot: &StockSlot, id: ObjectId) -> Result<(), ArenaError> {
        let count = slot.redo_count.load(Ordering::Relaxed);
        // The record was committed before its changes are made.
        fence(Ordering::Release);
        if count == JOURNAL {
            self.replay_journal(slot, id)?;
        } else {
            let record = slot.redo.get(..count as usize).ok_or_else(|| corrupt("a redo record"))?;
            for entry in record {
                let word = self.map.word(entry[0].load(Ordering::Relaxed))?;
                word.store(entry[1].load(Ordering::Relaxed), Ordering::Relaxed);
                crash_point!("step.half_applied");
            }
        }
        crash_point!("step.applied");
        slot.redo_count.store(0, Ordering::Release);
        Ok(())
    }

    fn replay_journal(&self, slot: &StockSlot, id: ObjectId) -> Result<(), ArenaError> {
        let (mut block, mut seen) = (slot.journal.load(Ordering::Relaxed), HashSet::new());
        while block != 0 && seen.insert(block) {
            self.stocked(block, id)?;
            let word = |i: u64| Ok(self.map.word(block + 8 * i)?.load(Ordering::Relaxed));
            for n in 1..=word(1)?.min(PER_JOURNAL) {
                self.map.word(word(2 * n)?)?.store(word(2 * n + 1)?, Ordering::Relaxed);
                crash_point!("step.half_applied");
            }
            block = word(0)?;
        }
        if block == 0 { Ok(()) } else { Err(corrupt("a journal has a cycle")) }
    }

    /// Under the object's lock, or with the object dying: finishes a step that was committed, and
    /// undoes one that was not.
    pub(super) fn mend_stock(
        &self,
        guard: &ArenaGuard<'_>,
        slot: &StockSlot,
        id: ObjectId,
        loose: &mut Vec<u64>,
    ) -> Result<(), ArenaError> {
        if slot.redo_count.load(Ordering::Acquire) != 0 {
            self.replay_stock(slot, id)?;
        }
        crash_point!("step.mended");
        self.empty_nursery(guard, slot, id, loose)
    }

    /// Makes what a step has allocated, and not committed, this process's own.
    pub(super) fn empty_nursery(
        &self,
        guard: &ArenaGuard<'_>,
        slot: &StockSlot,
        id: ObjectId,
        loose: &mut Vec<u64>,
    ) -> Result<(), ArenaError> {
        let mine = owned(self.me()?);
        let base = self.map.layout.object(u64::from(id.index));
        while let at = slot.nursery.load(Ordering::Relaxed)
            && at != 0
        {
            // A block that was taken out fails here, so a cycle ends.
            let owner = self.stocked(at, id)?.owner.load(Ordering::Relaxed);
            let next = self.map.word(after(self, at))?.load(Ordering::Relaxed);
            let head = set(base + offset_of!(StockSlot, nursery) as u64, next);
            let owner = left_by_object(owner, mine);
            guard.commit(&[head, set(owner_at(self, at), owner)])?;
            if owner == mine {
                loose.push(at);
            }
        }
        Ok(())
    }

    /// Mends the objects that the dead had locked.
    pub(crate) fn sweep_stocks(&self, dead: Serial) -> Result<(), ArenaError> {
        for index in 0..self.header().objects_used.load(Ordering::Acquire) as u32 {
            let slot: &StockSlot = self.overlay(index)?;
            let is_left = || {
                let object = self.object(index)?;
                let stock = object.life().1 == LIVE && object.is_stock();
                Ok::<_, ArenaError>(stock && slot.lock.owner() == dead)
            };
            if !is_left()? {
                continue;
            }
            crash_point!("step.left_behind");
            let mut loose = Vec::new();
            // It stays what it is while the arena lock is held.
            let guard = self.guard()?;
            if is_left()?
                && let Some(held) = slot.lock.take_from(dead, self.me()?, self)
            {
                let id = ObjectId { index, generation: self.object(index)?.life().0 };
                // A damaged one must not keep what else the dead held; who uses it next is told.
                let _ = self.mend_stock(&guard, slot, id, &mut loose);
                drop(held);
                drop(guard);
                for at in loose {
                    self.free_block(at)?;
                }
            }
        }
        Ok(())
    }

    /// Frees all that an object that nobody has any more is made of.
    pub(in crate::arena) fn strip_stock(
        &self,
        index: u32,
        dying: &mut Vec<u64>,
    ) -> Result<(), ArenaError> {
        let slot: &StockSlot = self.overlay(index)?;
        let id = ObjectId { index, generation: self.object(index)?.life().0 };
        let mine = owned(self.me()?);
        let mut loose = Vec::new();
        self.mend_stock(&self.guard()?, slot, id, &mut loose)?;
        for at in loose {
            self.free_block_into(at, dying)?;
        }
        let base = self.map.layout.object(u64::from(index));
        for (list, place) in [
            (&slot.blocks, offset_of!(StockSlot, blocks)),
            (&slot.grave, offset_of!(StockSlot, grave)),
        ] {
            while let at = list.load(Ordering::Relaxed)
                && at != 0
            {
                let guard = self.guard()?;
                let owner = self.stocked(at, id)?.owner.load(Ordering::Relaxed);
                let next = self.map.word(after(self, at))?.load(Ordering::Relaxed);
                let owner = left_by_object(owner, mine);
                guard.commit(&[set(base + place as u64, next), set(owner_at(self, at), owner)])?;
                drop(guard);
                crash_point!("step.stripped");
                if owner == mine {
                    self.free_block_into(at, dying)?;
                }
            }
        }
        Ok(())
    }

    /// Says what is wrong with an object that nobody uses, and lists its blocks.
    pub(crate) fn check_stock(
        &self,
        id: ObjectId,
        wrong: &mut Vec<String>,
        mut reach: impl FnMut(u64) -> bool,
    ) -> Result<(), ArenaError> {
        let slot: &StockSlot = self.overlay(id.index)?;
        let mut say = |what: &str| wrong.push(format!("object {}: {what}", id.index));
        if slot.lock.owner() != 0 {
            say("the lock is held");
        }
        if slot.redo_count.load(Ordering::Relaxed) != 0 {
            say("a step is not finished");
        }
        if slot.nursery.load(Ordering::Relaxed) != 0 {
            say("the nursery is not empty");
        }
        for (list, in_use) in [(&slot.blocks, true), (&slot.grave, false)] {
            let (mut at, mut last) = (list.load(Ordering::Relaxed), 0);
            while at != 0 {
                let desc = self.stocked(at, id)?;
                if !reach(at) {
                    say("a block is in two lists");
                    break;
                }
                if in_use && desc.taken.load(Ordering::Relaxed) != last {
                    say("a list of blocks does not hang together");
                }
                (last, at) = (at, desc.given.load(Ordering::Relaxed));
            }
        }
        Ok(())
    }

    /// What a block of the object holds: the objects whose handles it carries.
    pub(crate) fn held_by(&self, at: u64, desc: &Desc) -> Result<Vec<ObjectId>, ArenaError> {
        let n = desc.holds.load(Ordering::Relaxed);
        let first = desc.len.load(Ordering::Relaxed).next_multiple_of(8);
        let room = self.block_room(at)?;
        if n > room / 8 || first > room - 8 * n {
            return Err(corrupt(format!("the block at {at:#x} claims {n} hold entries")));
        }
        let entry = |i| Ok(self.map.word(at + first + 8 * i)?.load(Ordering::Relaxed));
        (0..n).map(|i| entry(i).map(entry_object)).filter_map(Result::transpose).collect()
    }
}
