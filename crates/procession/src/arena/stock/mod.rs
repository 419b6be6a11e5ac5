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

mod commit;
mod mend;
mod places;
mod words;

use std::collections::BTreeSet;
use std::mem::offset_of;

use crate::arena::blocks::{STOCKED, owned};
use crate::arena::family::Inner;
use crate::arena::layout::stock::StockSlot;
use crate::arena::layout::{Desc, PAGE};
use crate::arena::lease::Lease;
use crate::arena::map::corrupt;
use crate::arena::objects::ObjectId;
use crate::arena::pin::{Pin, left_by_object};
use crate::arena::redo::{Change, set};
use crate::error::ArenaError;
use crate::lock::Held;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::wait::Futex;
use places::Places;

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
    /// How many changes there are; of a long step, not 0. They stand in the slot's record, which means
    /// nothing before the commit.
    count: usize,
    /// Somebody may wait for what was committed.
    changed: bool,
    /// The commit left something in the grave.
    buried: bool,
    more: More,
}

/// What a step has that takes or leaves blocks, or changes many words. A step is moved when it begins, so
/// it is kept small.
#[derive(Debug, Default)]
struct More(Option<Box<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// All changes of a long step.
    long: Option<Places>,
    /// The nursery's blocks, oldest first, and those of them that are of no use any more.
    fresh: Vec<u64>,
    discarded: Vec<u64>,
    /// The first of them, to be found quickly when they are many.
    known: BTreeSet<u64>,
    /// Blocks that are this process's, to be freed when the lock is not held any more.
    loose: Vec<u64>,
}

impl More {
    fn get(&mut self) -> &mut Lists {
        self.0.get_or_insert_default()
    }

    #[inline]
    fn long(&self) -> Option<&Places> {
        self.0.as_ref().and_then(|lists| lists.long.as_ref())
    }

    #[inline]
    fn has_fresh(&self) -> bool {
        self.0.as_ref().is_some_and(|lists| !lists.fresh.is_empty())
    }
}

impl Step {
    /// One that has not begun. It is made where it stays, and then begun: to move it costs as much as to take
    /// the lock.
    #[inline]
    pub(crate) fn idle(lease: &Lease, slot: &'static StockSlot) -> Step {
        Step::idle_at(lease.inner, lease.id, slot)
    }

    #[inline]
    fn idle_at(inner: &'static Inner, id: ObjectId, slot: &'static StockSlot) -> Step {
        Step {
            inner,
            slot,
            id,
            at: inner.map.layout.object(u64::from(id.index)),
            held: None,
            count: 0,
            changed: false,
            buried: false,
            more: More(None),
        }
    }

    /// Begins: takes the object's lock, and mends what a dead holder left.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), ArenaError> {
        let slot = self.slot;
        // It is only waited for here in any case.
        let _ = slot.lock.is_stuck_in_turn();
        let held = slot.lock.lock(self.inner.me()?, self.inner);
        let inherited = held.inherited;
        self.held = Some(held);
        let open = slot.redo_count.load(Ordering::Acquire) | slot.nursery.load(Ordering::Relaxed);
        if inherited || open != 0 { self.mend() } else { Ok(()) }
    }

    #[cold]
    fn mend(&mut self) -> Result<(), ArenaError> {
        let guard = self.inner.guard()?;
        self.inner.mend_stock(&guard, self.slot, self.id, &mut self.more.get().loose)
    }

    /// Keeps a block to be read when the lock is released.
    pub(crate) fn pin(&self, at: u64, len: u64) -> Result<Option<Pin>, ArenaError> {
        Pin::new(self.inner, at, len, self.id)
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
            self.more.get().loose.push(at);
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
                set(desc + offset_of!(Desc, owner) as u64, STOCKED),
                set(slot + offset_of!(StockSlot, nursery) as u64, at),
            ];
            if head != 0 {
                self.inner.stocked(head, self.id)?;
                changes.push(set(before(self.inner, head), at));
            }
            guard.commit(&changes)
        });
        if linked.is_err() {
            self.more.get().loose.push(at);
        }
        linked?;
        self.more.get().fresh.push(at);
        crash_point!("step.block_given");
        Ok(())
    }

    /// The block will not be in use any more.
    pub(crate) fn free(&mut self, at: u64) -> Result<(), ArenaError> {
        self.inner.stocked(at, self.id)?;
        if self.is_fresh(at) {
            self.more.get().discarded.push(at);
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

    fn is_fresh(&mut self, at: u64) -> bool {
        let Some(lists) = &mut self.more.0 else {
            return false;
        };
        if lists.fresh.len() <= 64 {
            return lists.fresh.contains(&at);
        }
        lists.known.extend(&lists.fresh[lists.known.len()..]);
        lists.known.contains(&at)
    }

    fn bury(&mut self, at: u64) -> Result<(), ArenaError> {
        let grave = self.load(self.grave_at())?;
        self.set(after(self.inner, at), grave);
        self.set(self.grave_at(), at);
        Ok(())
    }

    /// All blocks but those of this step and the one at `kept` (0: none) will not be in use any more. It
    /// changes six words at most.
    pub(crate) fn free_all(&mut self, kept: u64) -> Result<(), ArenaError> {
        let mut head = self.load(self.blocks_at())?;
        if kept != 0 {
            self.inner.stocked(kept, self.id)?;
            let (next, prev) =
                (self.load(after(self.inner, kept))?, self.load(before(self.inner, kept))?);
            if prev == 0 && next == 0 {
                return Ok(());
            }
            if prev == 0 {
                head = next;
            } else {
                self.inner.stocked(prev, self.id)?;
                self.set(after(self.inner, prev), next);
            }
            self.set(after(self.inner, kept), 0);
            self.set(before(self.inner, kept), 0);
        }
        if head == 0 {
            return Ok(());
        }
        let grave = self.load(self.grave_at())?;
        if grave != 0 {
            let last = self.last_of(grave)?;
            self.set(after(self.inner, last), head);
        } else {
            self.set(self.grave_at(), head);
        }
        self.set(self.blocks_at(), kept);
        Ok(())
    }

    fn last_of(&self, list: u64) -> Result<u64, ArenaError> {
        // A list with a cycle comes back to where it was after some power of two of steps.
        let (mut at, mut seen) = (list, 0);
        for n in 1u64.. {
            self.inner.stocked(at, self.id)?;
            match self.load(after(self.inner, at))? {
                0 => return Ok(at),
                next if next == seen => break,
                next => at = next,
            }
            if n.is_power_of_two() {
                seen = at;
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

    /// Takes some blocks out of the grave, to be freed when the lock is released.
    #[cold]
    pub(crate) fn exhume(&mut self) -> Result<(), ArenaError> {
        let mine = owned(self.inner.me()?);
        let guard = self.inner.guard()?;
        let mut next = self.slot.grave.load(Ordering::Relaxed);
        let (mut out, mut changes) = (Vec::new(), Vec::new());
        while next != 0 && out.len() < GRAVE_BATCH {
            let at = next;
            if out.contains(&at) {
                return Err(self.corrupt("the grave has a cycle"));
            }
            let owner = self.inner.stocked(at, self.id)?.owner.load(Ordering::Relaxed);
            next = self.inner.map.word(after(self.inner, at))?.load(Ordering::Relaxed);
            out.push(at);
            changes.push(set(owner_at(self.inner, at), left_by_object(owner, mine)));
        }
        changes.push(set(self.grave_at(), next));
        guard.commit(&changes)?;
        crash_point!("step.exhumed");
        let is_mine = |(at, change): (u64, &Change)| (change.value == mine).then_some(at);
        self.more.get().loose.extend(out.into_iter().zip(&changes).filter_map(is_mine));
        Ok(())
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
        let Some(lists) = &mut self.more.0 else {
            return;
        };
        lists.long = None;
        lists.discarded.clear();
        lists.known.clear();
        if !std::mem::take(&mut lists.fresh).is_empty() {
            self.abort();
        }
    }

    /// Frees what the step has buried, a little under each lock: who has let go of memory has seen to
    /// it that it can be used again.
    #[cold]
    fn clear_grave(&self) {
        while let mut step = Step::idle_at(self.inner, self.id, self.slot)
            && step.enter().is_ok()
            && !step.is_grave_empty()
            && step.exhume().is_ok()
        {}
    }

    /// What was committed so far wakes nobody: the caller knows better who waits for it.
    #[inline]
    pub(crate) fn wake_nobody(&mut self) {
        self.changed = false;
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
                let loose = &mut self.more.get().loose;
                let _ = self.inner.empty_nursery(&guard, self.slot, self.id, loose);
            }
        }
    }
}

impl Drop for Step {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

impl Step {
    /// Ends it where it lies: to drop it before its scope ends would be to move it.
    #[inline]
    pub(crate) fn end(&mut self) {
        if self.more.has_fresh() {
            self.abort();
        }
        self.release();
        if let Some(lists) = self.more.0.take() {
            // Not while the lock is held: what these hold may die, and be taken apart.
            for at in lists.loose {
                // Nothing can be done about an error here; the sweep finds what is left.
                let _ = self.inner.free_block(at);
            }
        }
        if std::mem::take(&mut self.buried) {
            self.clear_grave();
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
