//! The hash index: from a key's hash to positions.
//!
//! Open addressing with linear probing. A slot is `tag << 40 | position + 1`, 0 empty, or `GONE`. A table
//! of more than 8192 slots lies in blocks of so many, which a directory lists; a block is made when it
//! is first written to, and a missing one is empty. So no table, however large, is ever made at once.
//!
//! A table that is three quarters full is followed by a new one, into which the old one's slots are
//! *copied* a few with each operation; until that is done both are asked. A copy changes nothing that
//! anybody sees, so it needs no commit; who removes or moves an entry does so in both tables.

use super::{CURSOR, INDEX, OLD, USED};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

const POSITION: u64 = (1 << 40) - 1;
/// A slot whose entry was removed.
const GONE: u64 = POSITION;
pub(super) const MIN_LOG2: u32 = 9;
const BLOCK_LOG2: u32 = 13;
const MAX_LOG2: u32 = 36;

/// Spreads a hash over the word: tables are indexed by its high bits.
fn mix(hash: u64) -> u64 {
    let h = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ h >> 29
}

fn slot_of(hash: u64, pos: u64) -> u64 {
    mix(hash) << 40 | (pos + 1)
}

/// A table: `at << 8 | log2 of its slots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table(pub(super) u64);

impl Table {
    fn log2(self) -> u32 {
        self.0 as u32 & 63
    }
    pub(super) fn slots(self) -> u64 {
        1 << self.log2()
    }
    fn at(self) -> u64 {
        self.0 >> 8
    }

    pub(super) fn create(step: &mut Step, log2: u32) -> Result<Table, ArenaError> {
        let words = if log2 <= BLOCK_LOG2 { log2 } else { log2 - BLOCK_LOG2 };
        Ok(Table(step.alloc_zeroed(8 << words)? << 8 | u64::from(log2)))
    }

    /// Where a slot lies, if its block is there.
    #[inline]
    fn slot_at(self, step: &Step, i: u64) -> Result<Option<u64>, ArenaError> {
        if self.log2() <= BLOCK_LOG2 {
            return Ok(Some(self.at() + 8 * i));
        }
        let block = step.load(self.at() + 8 * (i >> BLOCK_LOG2))?;
        Ok((block != 0).then_some(block.wrapping_add(8 * (i & ((1 << BLOCK_LOG2) - 1)))))
    }

    fn slot_at_or_make(self, step: &mut Step, i: u64) -> Result<u64, ArenaError> {
        if let Some(at) = self.slot_at(step, i)? {
            return Ok(at);
        }
        let block = step.alloc_zeroed(8 << BLOCK_LOG2)?;
        step.set(self.at() + 8 * (i >> BLOCK_LOG2), block);
        Ok(block + 8 * (i & ((1 << BLOCK_LOG2) - 1)))
    }

    fn first(self, hash: u64) -> u64 {
        mix(hash) >> 24 >> (40 - self.log2())
    }

    /// The first slot for the hash whose position is as wanted: where it lies, and the position.
    #[inline]
    pub(super) fn find(
        self,
        step: &Step,
        hash: u64,
        mut wanted: impl FnMut(u64) -> Result<bool, ArenaError>,
    ) -> Result<Option<(u64, u64)>, ArenaError> {
        let (mask, tag) = (self.slots() - 1, slot_of(hash, 0) >> 40);
        let mut i = self.first(hash);
        for _ in 0..=mask {
            let Some(at) = self.slot_at(step, i)? else {
                return Ok(None);
            };
            let slot = step.load(at)?;
            if slot == 0 {
                return Ok(None);
            }
            if slot >> 40 == tag && slot != GONE && slot & POSITION != 0 {
                let pos = (slot & POSITION) - 1;
                if wanted(pos)? {
                    return Ok(Some((at, pos)));
                }
            }
            i = (i + 1) & mask;
        }
        Ok(None)
    }

    /// The first slot for the hash that is free, and whether it was never used.
    fn free_slot(self, step: &mut Step, hash: u64) -> Result<(u64, bool), ArenaError> {
        let mask = self.slots() - 1;
        let mut i = self.first(hash);
        for _ in 0..=mask {
            let at = self.slot_at_or_make(step, i)?;
            match step.load(at)? {
                0 => return Ok((at, true)),
                GONE => return Ok((at, false)),
                _ => i = (i + 1) & mask,
            }
        }
        Err(step.corrupt("the index has no free slot"))
    }

    /// Whether a slot with just this content can be found.
    fn has(self, step: &Step, hash: u64, pos: u64) -> Result<bool, ArenaError> {
        Ok(self.find(step, hash, |p| Ok(p == pos))?.is_some())
    }

    pub(super) fn free(self, step: &mut Step) -> Result<(), ArenaError> {
        if self.log2() > BLOCK_LOG2 {
            for i in 0..self.slots() >> BLOCK_LOG2 {
                let block = step.load(self.at() + 8 * i)?;
                if block != 0 {
                    step.free(block)?;
                }
            }
        }
        step.free(self.at())
    }
}

fn table(step: &Step, root: usize) -> Result<Option<Table>, ArenaError> {
    let table = Table(step.root(root));
    if table.0 == 0 {
        return Ok(None);
    }
    if !(MIN_LOG2..=MAX_LOG2).contains(&table.log2()) {
        return Err(step.corrupt("the index"));
    }
    // A search through all of it comes to an end, but after how long?
    let words = if table.log2() <= BLOCK_LOG2 { table.log2() } else { table.log2() - BLOCK_LOG2 };
    step.inner.stocked_words(table.at(), 1 << words, step.id)?;
    Ok(Some(table))
}

/// Those that there are.
#[inline]
pub(super) fn tables(step: &Step) -> impl Iterator<Item = Result<Table, ArenaError>> {
    [INDEX, OLD].into_iter().filter_map(|root| table(step, root).transpose())
}

/// The position of the entry with this hash that is wanted.
#[inline]
pub(super) fn find(
    step: &Step,
    hash: u64,
    mut wanted: impl FnMut(u64) -> Result<bool, ArenaError>,
) -> Result<Option<u64>, ArenaError> {
    for table in tables(step) {
        if let Some((_, pos)) = table?.find(step, hash, &mut wanted)? {
            return Ok(Some(pos));
        }
    }
    Ok(None)
}

/// Adds an entry; `len` is how many there are without it.
pub(super) fn insert(step: &mut Step, hash: u64, pos: u64, len: u64) -> Result<(), ArenaError> {
    let full = |step: &Step, t: Table| is_over(step.root(USED), 1, t);
    let current = match table(step, INDEX)? {
        Some(t) if !full(step, t) => t,
        _ => renew(step, len)?,
    };
    let (at, was_empty) = current.free_slot(step, hash)?;
    step.set(at, slot_of(hash, pos));
    if was_empty {
        step.set_root(USED, step.root(USED).wrapping_add(1));
    }
    Ok(())
}

fn is_over(used: u64, more: u64, table: Table) -> bool {
    used.saturating_add(more) > table.slots() / 4 * 3
}

/// Whether so many more entries do not fit.
pub(super) fn is_tight(step: &Step, more: u64) -> bool {
    step.root(INDEX) == 0 || is_over(step.root(USED), more, Table(step.root(INDEX)))
}

/// Sees to it that so many more entries fit, when nothing is being copied.
pub(super) fn reserve(step: &mut Step, more: u64) -> Result<(), ArenaError> {
    if is_tight(step, more) {
        renew(step, step.root(super::LEN).saturating_add(more))?;
    }
    Ok(())
}

/// Makes a new table for about `len` entries; the one there is becomes the old one.
pub(super) fn renew(step: &mut Step, len: u64) -> Result<Table, ArenaError> {
    let wanted = len.checked_add(1).and_then(|n| n.checked_mul(2)?.checked_next_power_of_two());
    let log2 = wanted.map_or(64, u64::trailing_zeros).max(MIN_LOG2);
    if log2 > MAX_LOG2 || step.root(OLD) != 0 {
        return Err(step.corrupt("the index is full before its time"));
    }
    let new = Table::create(step, log2)?;
    step.set_root(OLD, step.root(INDEX));
    step.set_root(CURSOR, 0);
    step.set_root(USED, 0);
    step.set_root(INDEX, new.0);
    Ok(new)
}

/// Removes an entry, or gives it another position.
pub(super) fn change(
    step: &mut Step,
    hash: u64,
    pos: u64,
    to: Option<u64>,
) -> Result<(), ArenaError> {
    let mut known = false;
    for root in [INDEX, OLD] {
        if let Some(table) = table(step, root)?
            && let Some((at, _)) = table.find(step, hash, |p| Ok(p == pos))?
        {
            known = true;
            step.set(at, to.map_or(GONE, |pos| slot_of(hash, pos)));
        }
    }
    if known { Ok(()) } else { Err(step.corrupt("an entry is not in the index")) }
}

pub(super) fn is_renewed(step: &Step) -> bool {
    step.root(OLD) == 0
}

/// Whether the table is far larger than it need be.
pub(super) fn is_sparse(step: &Step, len: u64) -> Result<bool, ArenaError> {
    let slots = table(step, INDEX)?.map_or(0, Table::slots);
    Ok(is_renewed(step) && slots > 1 << MIN_LOG2 && len < slots / 16)
}

/// Copies some slots of the old table into the new one. `hash_of` tells the hash of a position that is
/// alive.
pub(super) fn copy_some(
    step: &mut Step,
    hash_of: impl Fn(&Step, u64) -> Result<Option<u64>, ArenaError>,
) -> Result<(), ArenaError> {
    let (Some(old), Some(new)) = (table(step, OLD)?, table(step, INDEX)?) else {
        return Err(step.corrupt("the index"));
    };
    let mut cursor = step.root(CURSOR);
    let some = 16 * (old.slots() / new.slots()).max(1);
    let end = cursor.saturating_add(some).min(old.slots());
    while cursor < end {
        let Some(at) = old.slot_at(step, cursor)? else {
            cursor += 1;
            continue;
        };
        let slot = step.load(at)?;
        if slot != 0
            && slot != GONE
            && slot & POSITION != 0
            && let pos = (slot & POSITION) - 1
            && let Some(hash) = hash_of(step, pos)?
            && !new.has(step, hash, pos)?
        {
            let (to, was_empty) = new.free_slot(step, hash)?;
            // A block that was made for it must be the dict's before anything is in it.
            step.commit_quietly()?;
            if was_empty {
                // Rather too many than too few.
                step.write_root(USED, step.root(USED).wrapping_add(1));
            }
            step.write(to, slot_of(hash, pos))?;
            crash_point!("dict.slot_copied");
        }
        cursor += 1;
    }
    step.write_root(CURSOR, cursor);
    if cursor >= old.slots() {
        step.set_root(OLD, 0);
        old.free(step)?;
        step.commit_quietly()?;
        crash_point!("dict.index_renewed");
    }
    Ok(())
}
