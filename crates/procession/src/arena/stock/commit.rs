//! How a step's changes are made: the record or the journal, the commit, the changes.

use std::collections::HashSet;

use super::places::Places;
use super::{JOURNAL, PER_JOURNAL, Step, after, before};
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

impl Step {
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
        if self.more.has_fresh() {
            self.keep_nursery()?;
        }
        if self.count == 0 {
            return Ok(());
        }
        let slot = self.slot;
        crash_point!("step.prepared");
        if self.more.long().is_some() {
            self.commit_long(change)?;
        } else if self.count == 1 {
            let [at, value] = slot.redo[0].each_ref().map(|word| word.load(Ordering::Relaxed));
            let word = self.inner.map.word(at)?;
            self.move_version(change);
            word.store(value, Ordering::Release);
            crash_point!("step.stored");
        } else {
            crash_point!("step.written");
            self.move_version(change);
            // The commit. Pairs with the load in `begin`.
            slot.redo_count.store(self.count as u64, Ordering::Release);
            crash_point!("step.committed");
            self.inner.replay_stock(slot, self.id)?;
        }
        self.count = 0;
        if let Some(lists) = &mut self.more.0 {
            lists.fresh.clear();
            lists.known.clear();
        }
        self.changed |= change;
        if slot.grave.load(Ordering::Relaxed) != 0 {
            self.exhume()?;
            self.buried = slot.grave.load(Ordering::Relaxed) != 0;
        }
        Ok(())
    }

    /// Just before the commit, when nothing can fail any more: who is killed in between has only said
    /// too early that something changed. A step that fails must not say so, or who tries a conditional
    /// one again would for ever be too late for itself.
    #[inline]
    fn move_version(&self, change: bool) {
        if change {
            // Whoever sees it sees what the steps before have changed.
            self.slot.version.store(self.version().wrapping_add(1), Ordering::Release);
        }
    }

    /// The nursery's blocks will be in use.
    #[cold]
    fn keep_nursery(&mut self) -> Result<(), ArenaError> {
        let lists = self.more.get();
        let (mut first, mut last) = (lists.fresh[lists.fresh.len() - 1], lists.fresh[0]);
        if !lists.discarded.is_empty() {
            let discarded: HashSet<u64> = lists.discarded.drain(..).collect();
            let kept: Vec<u64> =
                lists.fresh.iter().rev().copied().filter(|at| !discarded.contains(at)).collect();
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
    fn commit_long(&mut self, change: bool) -> Result<(), ArenaError> {
        let head = self.slot.nursery.load(Ordering::Relaxed);
        if head != 0 && self.load(before(self.inner, head))? == 0 {
            self.set(before(self.inner, head), 0);
        }
        let mut journal = Vec::new();
        let mut room = self.more.long().map_or(0, Places::len) as u64 + 2;
        while room > 0 {
            let here = room.min(PER_JOURNAL);
            journal.push(self.alloc(16 * (here + 1))?);
            room -= here;
        }
        let (first, last) = (journal[0], journal[journal.len() - 1]);
        self.set(after(self.inner, first), 0);
        self.set(self.nursery_at(), last);
        let changes = self.more.get().long.take().unwrap_or_default();
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
        self.move_version(change);
        // The commit, as in `commit`.
        self.slot.redo_count.store(JOURNAL, Ordering::Release);
        crash_point!("step.committed");
        self.inner.replay_stock(self.slot, self.id)?;
        let loose = &mut self.more.get().loose;
        self.inner.empty_nursery(&self.inner.guard()?, self.slot, self.id, loose)
    }
}
