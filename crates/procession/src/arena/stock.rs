//! Objects that are made of blocks, and steps that change such an object all or not at all.
//!
//! A dict or a list has a lock, roots, and a *stock* of blocks. What a step does it does under the
//! lock: it writes new bytes where nothing refers to yet, gathers the words that change, and commits
//! them by one store of the redo record's length in the slot. A step of many words writes them into
//! blocks of its own first, the *journal*. A step that is dropped changes nothing.
//!
//! Each block is in one of three lists, by the words `given` (next) and `taken` (the one before) of
//! its descriptor, whose `queue` names the object:
//!
//! | list | meaning |
//! |---|---|
//! | `blocks` | in use |
//! | `nursery` | of the step under way; its commit makes them `blocks`, otherwise they are freed |
//! | `grave` | no longer in use; whoever comes by takes some of them out and frees them |
//!
//! A block comes into the nursery and out of the nursery or the grave by the arena's redo record,
//! together with its owner word; it moves between the lists by the step's own. So neither the sweep
//! nor the reaper needs to know what the blocks are good for.
//!
//! Who takes the lock from a dead holder first makes the step whole or undoes it: see `mend`.

use std::collections::HashMap;
use std::mem::offset_of;

use super::blocks::owned;
use super::family::Inner;
use super::layout::stock::{REDO, StockSlot};
use super::layout::{Desc, PAGE};
use super::lease::Lease;
use super::map::corrupt;
use super::objects::{LIVE, ObjectId};
use super::redo::{ArenaGuard, set};
use crate::error::ArenaError;
use crate::lock::{Held, Serial};
use crate::sys::atomic::{Ordering, fence};
use crate::sys::fault::crash_point;
use crate::wait::Futex;

/// The redo record's length when the changes stand in the journal.
const JOURNAL: u64 = u64::MAX;
/// Changes in a block of the journal, behind two words: the next block, how many changes it has.
const PER_JOURNAL: u64 = (64 << 10) / 16 - 1;
/// So many blocks leave the grave at once.
const GRAVE_BATCH: usize = 6;

/// One step of a process on an object, with the object's lock. Words are read and written through it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) inner: &'static Inner,
    pub(crate) slot: &'static StockSlot,
    pub(crate) id: ObjectId,
    /// Where the slot lies.
    at: u64,
    held: Option<Held<'static, Inner>>,
    changes: [(u64, u64); REDO],
    /// How many changes there are; of a long step, not 0.
    count: usize,
    /// All changes of a long step.
    long: Option<HashMap<u64, u64>>,
    /// The nursery's blocks, oldest first, and those of them that are of no use any more.
    fresh: Vec<u64>,
    discarded: Vec<u64>,
    /// Somebody may wait for what was committed.
    changed: bool,
    /// Blocks that are this process's, to be freed when the lock is not held any more.
    loose: Vec<u64>,
}

impl Step {
    /// Takes the object's lock, and mends what a dead holder left.
    #[inline]
    pub(crate) fn begin(lease: &Lease, slot: &'static StockSlot) -> Result<Step, ArenaError> {
        let (inner, id) = (lease.inner, lease.id);
        let held = slot.lock.lock(inner.me()?, inner);
        let inherited = held.inherited;
        let at = inner.map.layout.object(u64::from(id.index));
        let mut step = Step {
            inner,
            slot,
            id,
            at,
            held: Some(held),
            changes: [(0, 0); REDO],
            count: 0,
            long: None,
            fresh: Vec::new(),
            discarded: Vec::new(),
            changed: false,
            loose: Vec::new(),
        };
        let open = slot.redo_count.load(Ordering::Acquire) | slot.nursery.load(Ordering::Relaxed);
        if inherited || open != 0 {
            step.mend()?;
        }
        Ok(step)
    }

    #[cold]
    fn mend(&mut self) -> Result<(), ArenaError> {
        let guard = self.inner.guard()?;
        self.inner.mend_stock(&guard, self.slot, self.id, &mut self.loose)
    }

    /// A word, as this step has left it.
    #[inline]
    pub(crate) fn load(&self, at: u64) -> Result<u64, ArenaError> {
        if self.count != 0
            && let Some(value) = self.pending(at)
        {
            return Ok(value);
        }
        Ok(self.inner.map.word(at)?.load(Ordering::Relaxed))
    }

    fn pending(&self, at: u64) -> Option<u64> {
        match &self.long {
            Some(long) => long.get(&at).copied(),
            None => self.changes[..self.count].iter().find(|c| c.0 == at).map(|c| c.1),
        }
    }

    /// A word will be `value` when the step is committed.
    #[inline]
    pub(crate) fn set(&mut self, at: u64, value: u64) {
        if self.long.is_none() {
            let changes = &mut self.changes[..self.count];
            if let Some(known) = changes.iter_mut().find(|c| c.0 == at) {
                known.1 = value;
                return;
            }
            if let Some(free) = self.changes.get_mut(self.count) {
                *free = (at, value);
                self.count += 1;
                return;
            }
        }
        self.set_long(at, value);
    }

    #[cold]
    fn set_long(&mut self, at: u64, value: u64) {
        let known = &self.changes[..self.count];
        self.long.get_or_insert_with(|| known.iter().copied().collect()).insert(at, value);
    }

    #[inline]
    pub(crate) fn root(&self, i: usize) -> u64 {
        if self.count != 0
            && let Some(value) = self.pending(self.root_at(i))
        {
            return value;
        }
        self.slot.root(i).load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_root(&mut self, i: usize, value: u64) {
        self.set(self.root_at(i), value);
    }

    /// Writes a root at once: one that is only a hint, or means nothing at present.
    pub(crate) fn write_root(&self, i: usize, value: u64) {
        self.slot.root(i).store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn root_at(&self, i: usize) -> u64 {
        self.at + StockSlot::root_at(i)
    }

    /// Writes a word that nothing refers to yet.
    #[inline]
    pub(crate) fn write(&self, at: u64, value: u64) -> Result<(), ArenaError> {
        self.inner.map.word(at)?.store(value, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.slot.version.load(Ordering::Relaxed)
    }

    pub(crate) fn corrupt(&self, what: &str) -> ArenaError {
        corrupt(format!("object {}: {what}", self.id.index))
    }

    /// A fresh block, the object's if the step is committed. It is not zeroed.
    pub(crate) fn alloc(&mut self, len: u64) -> Result<u64, ArenaError> {
        // No sweep here: it would be done under this object's lock.
        let at = self.inner.alloc_once(len)?;
        self.adopt(at)?;
        Ok(at)
    }

    /// A fresh block of zeroes.
    pub(crate) fn alloc_zeroed(&mut self, len: u64) -> Result<u64, ArenaError> {
        let at = self.inner.alloc_once(len)?;
        let zeroed = self.inner.zero(at, len);
        if zeroed.is_err() {
            self.loose.push(at);
        }
        zeroed?;
        self.adopt(at)?;
        Ok(at)
    }

    /// Takes over a block of this process's.
    pub(crate) fn adopt(&mut self, at: u64) -> Result<(), ArenaError> {
        let linked = self.inner.guard().and_then(|guard| {
            let head = self.slot.nursery.load(Ordering::Relaxed);
            let (slot, desc) = (self.at, self.inner.map.layout.desc(at / PAGE));
            let mut changes = vec![
                set(desc + offset_of!(Desc, given) as u64, head),
                set(desc + offset_of!(Desc, taken) as u64, 0),
                set(desc + offset_of!(Desc, queue) as u64, self.id.pack()),
                set(desc + offset_of!(Desc, owner) as u64, owned(0)),
                set(slot + offset_of!(StockSlot, nursery) as u64, at),
            ];
            if head != 0 {
                self.inner.stocked(head, self.id)?;
                changes.push(set(before(self.inner, head), at));
            }
            guard.commit(&changes)
        });
        if linked.is_err() {
            self.loose.push(at);
        }
        linked?;
        self.fresh.push(at);
        crash_point!("step.block_given");
        Ok(())
    }

    /// The block will not be in use any more.
    pub(crate) fn free(&mut self, at: u64) -> Result<(), ArenaError> {
        self.inner.stocked(at, self.id)?;
        if self.fresh.contains(&at) {
            self.discarded.push(at);
            return Ok(());
        }
        let (next, prev) = (self.load(after(self.inner, at))?, self.load(before(self.inner, at))?);
        if prev != 0 {
            self.inner.stocked(prev, self.id)?;
            self.set(after(self.inner, prev), next);
        } else if self.load(self.blocks_at())? == at {
            self.set(self.blocks_at(), next);
        } else {
            return Err(self.corrupt("a block is not in use"));
        }
        if next != 0 {
            self.inner.stocked(next, self.id)?;
            self.set(before(self.inner, next), prev);
        }
        self.bury(at)
    }

    fn bury(&mut self, at: u64) -> Result<(), ArenaError> {
        let grave = self.load(self.grave_at())?;
        self.set(after(self.inner, at), grave);
        self.set(self.grave_at(), at);
        Ok(())
    }

    /// All blocks but those of this step will not be in use any more.
    pub(crate) fn free_all(&mut self) -> Result<(), ArenaError> {
        let head = self.load(self.blocks_at())?;
        if head == 0 {
            return Ok(());
        }
        let grave = self.load(self.grave_at())?;
        if grave != 0 {
            let last = self.last_of(grave)?;
            self.set(after(self.inner, last), head);
            self.set(self.blocks_at(), 0);
            return Ok(());
        }
        self.set(self.grave_at(), head);
        self.set(self.blocks_at(), 0);
        Ok(())
    }

    fn last_of(&self, list: u64) -> Result<u64, ArenaError> {
        let mut at = list;
        for _ in 0..self.inner.map.layout.size / PAGE {
            self.inner.stocked(at, self.id)?;
            match self.load(after(self.inner, at))? {
                0 => return Ok(at),
                next => at = next,
            }
        }
        Err(self.corrupt("a list of blocks has a cycle"))
    }

    fn blocks_at(&self) -> u64 {
        self.at + offset_of!(StockSlot, blocks) as u64
    }
    fn nursery_at(&self) -> u64 {
        self.at + offset_of!(StockSlot, nursery) as u64
    }
    fn grave_at(&self) -> u64 {
        self.at + offset_of!(StockSlot, grave) as u64
    }

    /// Makes all changes, or none if it fails or the process is killed before. The lock stays held.
    #[inline]
    pub(crate) fn commit(&mut self) -> Result<(), ArenaError> {
        self.commit_as(true)
    }

    /// The same, of what no user sees.
    pub(crate) fn commit_quietly(&mut self) -> Result<(), ArenaError> {
        self.commit_as(false)
    }

    #[inline]
    fn commit_as(&mut self, change: bool) -> Result<(), ArenaError> {
        if !self.fresh.is_empty() {
            self.keep_nursery()?;
        }
        if self.count == 0 {
            return Ok(());
        }
        let slot = self.slot;
        if change {
            // Before it: who is killed now has only said too early that something changed.
            slot.version.store(self.version() + 1, Ordering::Relaxed);
        }
        crash_point!("step.prepared");
        if self.long.is_some() {
            self.commit_long()?;
        } else if let [(at, value)] = self.changes[..self.count] {
            self.inner.map.word(at)?.store(value, Ordering::Release);
            crash_point!("step.stored");
        } else {
            // The record of the step before was crossed out before this one is written.
            fence(Ordering::Release);
            for (entry, change) in slot.redo.iter().zip(&self.changes[..self.count]) {
                entry[0].store(change.0, Ordering::Relaxed);
                entry[1].store(change.1, Ordering::Relaxed);
            }
            crash_point!("step.written");
            // The commit. Pairs with the load in `begin`.
            slot.redo_count.store(self.count as u64, Ordering::Release);
            crash_point!("step.committed");
            self.inner.replay_stock(slot, self.id)?;
        }
        self.count = 0;
        self.fresh.clear();
        self.changed |= change;
        if slot.grave.load(Ordering::Relaxed) != 0 {
            self.exhume()?;
        }
        Ok(())
    }

    /// The nursery's blocks will be in use.
    #[cold]
    fn keep_nursery(&mut self) -> Result<(), ArenaError> {
        let (mut first, mut last) = (self.fresh[self.fresh.len() - 1], self.fresh[0]);
        if !self.discarded.is_empty() {
            let discarded = std::mem::take(&mut self.discarded);
            let kept: Vec<u64> =
                self.fresh.iter().rev().copied().filter(|at| !discarded.contains(at)).collect();
            for pair in kept.windows(2) {
                self.set(after(self.inner, pair[0]), pair[1]);
                self.set(before(self.inner, pair[1]), pair[0]);
            }
            discarded.into_iter().try_for_each(|at| self.bury(at))?;
            (first, last) = match kept[..] {
                [first, .., last] => (first, last),
                [one] => (one, one),
                [] => {
                    self.set(self.nursery_at(), 0);
                    return Ok(());
                }
            };
            self.set(before(self.inner, first), 0);
        }
        let blocks = self.load(self.blocks_at())?;
        if blocks != 0 {
            self.inner.stocked(blocks, self.id)?;
            self.set(before(self.inner, blocks), last);
        }
        // The last one's next is 0 as it is, unless others were behind it.
        if blocks != 0 || self.load(after(self.inner, last))? != 0 {
            self.set(after(self.inner, last), blocks);
        }
        self.set(self.blocks_at(), first);
        self.set(self.nursery_at(), 0);
        Ok(())
    }

    /// Writes the changes into blocks. These are in the nursery, also when all changes are made: so
    /// they are freed whatever happens.
    #[cold]
    fn commit_long(&mut self) -> Result<(), ArenaError> {
        let head = self.slot.nursery.load(Ordering::Relaxed);
        if head != 0 && self.load(before(self.inner, head))? == 0 {
            self.set(before(self.inner, head), 0);
        }
        let mut journal = Vec::new();
        let mut room = self.long.as_ref().map_or(0, HashMap::len) as u64 + 2;
        while room > 0 {
            let here = room.min(PER_JOURNAL);
            journal.push(self.alloc(16 * (here + 1))?);
            room -= here;
        }
        let (first, last) = (journal[0], journal[journal.len() - 1]);
        self.set(after(self.inner, first), 0);
        self.set(self.nursery_at(), last);
        let changes = self.long.take().unwrap_or_default();
        let mut rest = changes.into_iter();
        for (i, &block) in journal.iter().enumerate() {
            let mut n = 0;
            for (at, value) in rest.by_ref().take(PER_JOURNAL as usize) {
                n += 1;
                self.write(block + 16 * n, at)?;
                self.write(block + 16 * n + 8, value)?;
            }
            self.write(block, journal.get(i + 1).copied().unwrap_or(0))?;
            self.write(block + 8, n)?;
        }
        self.slot.journal.store(first, Ordering::Relaxed);
        crash_point!("step.journalled");
        // The commit, as in `commit`.
        self.slot.redo_count.store(JOURNAL, Ordering::Release);
        crash_point!("step.committed");
        self.inner.replay_stock(self.slot, self.id)?;
        self.inner.empty_nursery(&self.inner.guard()?, self.slot, self.id, &mut self.loose)
    }

    /// Takes some blocks out of the grave, to be freed when the lock is released.
    #[cold]
    pub(crate) fn exhume(&mut self) -> Result<(), ArenaError> {
        let mine = owned(self.inner.me()?);
        let guard = self.inner.guard()?;
        let mut next = self.slot.grave.load(Ordering::Relaxed);
        let mut out = Vec::new();
        while next != 0 && out.len() < GRAVE_BATCH {
            let at = next;
            if out.contains(&at) {
                return Err(self.corrupt("the grave has a cycle"));
            }
            self.inner.stocked(at, self.id)?;
            next = self.inner.map.word(after(self.inner, at))?.load(Ordering::Relaxed);
            out.push(at);
        }
        let mut changes = vec![set(self.grave_at(), next)];
        changes.extend(out.iter().map(|at| set(owner_at(self.inner, *at), mine)));
        guard.commit(&changes)?;
        crash_point!("step.exhumed");
        self.loose.extend(out);
        Ok(())
    }

    /// Releases the lock. What the step has freed is freed when that is dropped which this gives.
    #[inline]
    pub(crate) fn finish(mut self) -> Loose {
        self.release();
        Loose(self.inner, std::mem::take(&mut self.loose))
    }

    #[inline]
    fn release(&mut self) {
        if self.held.take().is_some() && std::mem::take(&mut self.changed) {
            crash_point!("step.unlocked");
            self.slot.change.wake_all(&Futex);
        }
    }

    /// Forgets all that was not committed; the lock stays held.
    #[cold]
    pub(crate) fn cancel(&mut self) {
        self.count = 0;
        self.long = None;
        self.discarded.clear();
        if !std::mem::take(&mut self.fresh).is_empty() {
            self.abort();
        }
    }

    /// What lies in the grave is waiting to be freed.
    pub(crate) fn is_grave_empty(&self) -> bool {
        self.slot.grave.load(Ordering::Relaxed) == 0
    }

    #[cold]
    fn abort(&mut self) {
        if self.held.is_some() && self.slot.redo_count.load(Ordering::Relaxed) == 0 {
            // What can't be undone now is undone by the next one.
            if let Ok(guard) = self.inner.guard() {
                let _ = self.inner.empty_nursery(&guard, self.slot, self.id, &mut self.loose);
            }
        }
    }
}

impl Drop for Step {
    #[inline]
    fn drop(&mut self) {
        if !self.fresh.is_empty() {
            self.abort();
        }
        self.release();
        drop(Loose(self.inner, std::mem::take(&mut self.loose)));
    }
}

/// Blocks of this process's, which are freed with it. They must not be while a lock is held: what they
/// hold may die, and be taken apart.
#[must_use]
#[derive(Debug)]
pub(crate) struct Loose(&'static Inner, Vec<u64>);

impl Drop for Loose {
    #[inline]
    fn drop(&mut self) {
        for at in self.1.drain(..) {
            // Nothing can be done about an error here; the sweep finds what is left.
            let _ = self.0.free_block(at);
        }
    }
}

fn after(inner: &Inner, at: u64) -> u64 {
    inner.map.layout.desc(at / PAGE) + offset_of!(Desc, given) as u64
}
fn before(inner: &Inner, at: u64) -> u64 {
    inner.map.layout.desc(at / PAGE) + offset_of!(Desc, taken) as u64
}
fn owner_at(inner: &Inner, at: u64) -> u64 {
    inner.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64
}

impl Inner {
    /// Checks that a block is that object's.
    pub(crate) fn stocked(&self, at: u64, id: ObjectId) -> Result<&Desc, ArenaError> {
        let desc = self.desc(at)?;
        if desc.owner.load(Ordering::Relaxed) != owned(0)
            || desc.queue.load(Ordering::Relaxed) != id.pack()
        {
            return Err(corrupt(format!("the block at {at:#x} is not of object {}", id.index)));
        }
        Ok(desc)
    }

    /// Makes the committed changes of a step.
    fn replay_stock(&self, slot: &StockSlot, id: ObjectId) -> Result<(), ArenaError> {
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
        let mut block = slot.journal.load(Ordering::Relaxed);
        for _ in 0..self.map.layout.size / PAGE {
            if block == 0 {
                return Ok(());
            }
            self.stocked(block, id)?;
            let word = |i: u64| Ok(self.map.word(block + 8 * i)?.load(Ordering::Relaxed));
            for n in 1..=word(1)?.min(PER_JOURNAL) {
                self.map.word(word(2 * n)?)?.store(word(2 * n + 1)?, Ordering::Relaxed);
                crash_point!("step.half_applied");
            }
            block = word(0)?;
        }
        Err(corrupt("a journal has a cycle"))
    }

    /// Under the object's lock, or with the object dying: finishes a step that was committed, and
    /// undoes one that was not.
    fn mend_stock(
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
    fn empty_nursery(
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
            self.stocked(at, id)?;
            let next = self.map.word(after(self, at))?.load(Ordering::Relaxed);
            let head = set(base + offset_of!(StockSlot, nursery) as u64, next);
            guard.commit(&[head, set(owner_at(self, at), mine)])?;
            loose.push(at);
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
                let mended = self.mend_stock(&guard, slot, id, &mut loose);
                drop(held);
                drop(guard);
                for at in loose {
                    self.free_block(at)?;
                }
                mended?;
            }
        }
        Ok(())
    }

    /// Frees all that an object that nobody has any more is made of.
    pub(super) fn strip_stock(&self, index: u32, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
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
                self.stocked(at, id)?;
                let next = self.map.word(after(self, at))?.load(Ordering::Relaxed);
                guard.commit(&[set(base + place as u64, next), set(owner_at(self, at), mine)])?;
                drop(guard);
                crash_point!("step.stripped");
                self.free_block_into(at, dying)?;
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
        (0..n)
            .map(|i| entry(i).map(super::holds::entry_object))
            .filter_map(Result::transpose)
            .collect()
    }
}
