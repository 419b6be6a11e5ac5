//! The words that a step reads and changes. It reads its own changes, which nobody else does before the
//! commit.

use super::Step;
use crate::arena::layout::stock::StockSlot;
use crate::error::ArenaError;
use crate::sys::atomic::{AtomicU64, Ordering, fence};

impl Step {
    /// A word, as this step has left it.
    #[inline]
    pub(crate) fn load(&self, at: u64) -> Result<u64, ArenaError> {
        if self.count != 0 {
            return self.load_changed(at);
        }
        Ok(self.inner.map.word(at)?.load(Ordering::Relaxed))
    }

    /// Words that lie one behind the other, as this step has left them.
    #[inline]
    pub(crate) fn load_all<const N: usize>(&self, at: u64) -> Result<[u64; N], ArenaError> {
        let words: &[AtomicU64; N] = self.inner.map.at(at)?;
        let mut all = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        if self.count != 0 {
            for (place, word) in (at..).step_by(8).zip(&mut all) {
                *word = self.pending(place).unwrap_or(*word);
            }
        }
        Ok(all)
    }

    /// So many words that lie one behind the other: many at once.
    pub(crate) fn load_many(&self, at: u64, n: u64) -> Result<Vec<u64>, ArenaError> {
        let mut bytes = Vec::new();
        self.inner.copy_block_out(at, 8 * n, &mut bytes)?;
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let mut words: Vec<u64> = bytes.chunks_exact(8).map(word).collect();
        let mut change = |place: u64, value: u64| {
            if let Some(inside) = place.checked_sub(at)
                && let Some(word) = words.get_mut((inside / 8) as usize)
            {
                *word = value;
            }
        };
        match self.more.long() {
            Some(long) => long.iter().for_each(|(place, value)| change(*place, *value)),
            None => self.changes().for_each(|(place, value)| change(place, value)),
        }
        Ok(words)
    }

    /// Writes words that nothing refers to yet.
    pub(crate) fn write_many(&self, at: u64, words: &[u64]) -> Result<(), ArenaError> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.inner.map.copy_in(at, &bytes)
    }

    fn load_changed(&self, at: u64) -> Result<u64, ArenaError> {
        match self.pending(at) {
            Some(value) => Ok(value),
            None => Ok(self.inner.map.word(at)?.load(Ordering::Relaxed)),
        }
    }

    fn pending(&self, at: u64) -> Option<u64> {
        match self.more.long() {
            Some(long) => long.get(&at).copied(),
            None => self.changes().find(|c| c.0 == at).map(|c| c.1),
        }
    }

    /// A word will be `value` when the step is committed.
    #[inline]
    pub(crate) fn set(&mut self, at: u64, value: u64) {
        if self.more.long().is_none() {
            if self.count == 0 {
                // The record of the step before was crossed out before this one is written.
                fence(Ordering::Release);
            }
            let (known, free) = self.slot.redo.split_at(self.count);
            if let Some(entry) = known.iter().find(|c| c[0].load(Ordering::Relaxed) == at) {
                entry[1].store(value, Ordering::Relaxed);
                return;
            }
            if let Some(entry) = free.first() {
                entry[0].store(at, Ordering::Relaxed);
                entry[1].store(value, Ordering::Relaxed);
                self.count += 1;
                return;
            }
        }
        self.set_long(at, value);
    }

    /// The same, of a word that this step has not changed yet.
    #[inline]
    pub(crate) fn set_first(&mut self, at: u64, value: u64) {
        if self.count != 0
            && self.more.long().is_none()
            && let Some(entry) = self.slot.redo.get(self.count)
        {
            entry[0].store(at, Ordering::Relaxed);
            entry[1].store(value, Ordering::Relaxed);
            self.count += 1;
            return;
        }
        self.set(at, value);
    }

    #[inline]
    pub(crate) fn set_root_first(&mut self, i: usize, value: u64) {
        self.set_first(self.root_at(i), value);
    }

    #[cold]
    fn set_long(&mut self, at: u64, value: u64) {
        let known: Vec<_> = self.changes().collect();
        let long = &mut self.more.get().long;
        long.get_or_insert_with(|| known.into_iter().collect()).insert(at, value);
    }

    /// The changes of a step that is not long.
    #[inline]
    fn changes(&self) -> impl Iterator<Item = (u64, u64)> {
        let place = |word: &AtomicU64| word.load(Ordering::Relaxed);
        self.slot.redo[..self.count].iter().map(move |entry| (place(&entry[0]), place(&entry[1])))
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

    /// Whether a root is so already, and not only when this step is committed.
    pub(crate) fn is_root(&self, i: usize, value: u64) -> bool {
        self.slot.root(i).load(Ordering::Relaxed) == value
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

    /// The same, though this step may have changed the word before.
    pub(crate) fn write_unseen(&mut self, at: u64, value: u64) -> Result<(), ArenaError> {
        if self.pending(at).is_some() {
            self.set(at, value);
        }
        self.write(at, value)
    }
}
