//! The entries, in the order of their insertion.
//!
//! An entry is three words: hash, key, value; without a key it is dead. Entries lie in segments of 512,
//! which a directory lists; a segment of which all entries are dead may be missing. An entry's place
//! among all is its *position*. When more entries are dead than alive, the living are moved down, in
//! order, a few with each operation.

use super::super::heap::Ref;
use super::{DIR, END};
use crate::arena::stock::Step;
use crate::error::ArenaError;

pub(super) const PER_SEGMENT: u64 = 512;
const ENTRY: u64 = 24;
const MIN_DIR: u32 = 9;

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) key: Ref,
    pub(super) value: Ref,
}

/// An entry that is alive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) pos: u64,
    /// Where it lies.
    pub(super) at: u64,
    pub(super) entry: Entry,
}

impl Found {
    pub(super) fn value_at(&self) -> u64 {
        self.at.wrapping_add(16)
    }
    pub(super) fn key_at(&self) -> u64 {
        self.at.wrapping_add(8)
    }
}

/// Where the segment of a position is listed.
fn listed_at(step: &Step, segment: u64) -> Option<u64> {
    let dir = step.root(DIR);
    (dir != 0 && segment >> (dir & 63) == 0)
        .then_some((dir >> 8).wrapping_add(segment.wrapping_mul(8)))
}

/// Where an entry lies, if its segment is there.
#[inline]
pub(super) fn entry_at(step: &Step, pos: u64) -> Result<Option<u64>, ArenaError> {
    let segment = match listed_at(step, pos / PER_SEGMENT) {
        Some(at) => step.load(at)?,
        None => 0,
    };
    Ok((segment != 0).then_some(segment.wrapping_add(pos % PER_SEGMENT * ENTRY)))
}

/// The entry at a position, if it is alive.
#[inline]
pub(super) fn read(step: &Step, pos: u64) -> Result<Option<Found>, ArenaError> {
    let Some(at) = entry_at(step, pos)? else {
        return Ok(None);
    };
    let [hash, key, value] = step.load_all(at)?;
    let entry = Entry { hash, key: Ref(key), value: Ref(value) };
    if entry.key.is_none() || pos >= step.root(END) {
        return Ok(None);
    }
    Ok(Some(Found { pos, at, entry }))
}

/// Writes an entry behind the last one, where it counts when `END` does.
pub(super) fn write_behind(step: &mut Step, pos: u64, e: &Entry) -> Result<(), ArenaError> {
    let at = place(step, pos)?;
    step.write(at, e.hash)?;
    step.write(at.wrapping_add(8), e.key.0)?;
    step.write(at.wrapping_add(16), e.value.0)
}

/// Where the entry at `pos` lies, with a segment made if there is none.
pub(super) fn place(step: &mut Step, pos: u64) -> Result<u64, ArenaError> {
    if let Some(at) = entry_at(step, pos)? {
        return Ok(at);
    }
    make_segment(step, pos / PER_SEGMENT)?;
    entry_at(step, pos)?.ok_or_else(|| step.corrupt("the directory of entries"))
}

#[cold]
fn make_segment(step: &mut Step, segment: u64) -> Result<(), ArenaError> {
    let fresh = step.alloc_zeroed(PER_SEGMENT * ENTRY)?;
    if listed_at(step, segment).is_none() {
        grow_dir(step, segment)?;
    }
    let at = listed_at(step, segment).ok_or_else(|| step.corrupt("the directory of entries"))?;
    step.set(at, fresh);
    Ok(())
}

/// A directory of twice the length.
fn grow_dir(step: &mut Step, segment: u64) -> Result<(), ArenaError> {
    let old = step.root(DIR);
    if old != 0 {
        step.inner.stocked_words(old >> 8, 1 << (old & 63), step.id)?;
    }
    let log2 = if old == 0 { MIN_DIR } else { (old as u32 & 63) + 1 };
    if segment >> log2 != 0 {
        return Err(step.corrupt("a position far beyond the end"));
    }
    let dir = step.alloc_zeroed(8 << log2)?;
    if old != 0 {
        for i in 0..1 << (old & 63) {
            step.write(dir + 8 * i, step.load((old >> 8) + 8 * i)?)?;
        }
        step.free(old >> 8)?;
    }
    step.set_root(DIR, dir << 8 | u64::from(log2));
    Ok(())
}

/// Frees a segment of which all entries are dead.
pub(super) fn free_segment(step: &mut Step, segment: u64) -> Result<(), ArenaError> {
    if let Some(at) = listed_at(step, segment) {
        let block = step.load(at)?;
        if block != 0 {
            step.free(block)?;
            step.set(at, 0);
        }
    }
    Ok(())
}

/// Where the entries end. The directory is as long as it says, so whoever goes through all positions
/// comes to an end.
pub(super) fn end(step: &Step) -> Result<u64, ArenaError> {
    let (dir, end) = (step.root(DIR), step.root(END));
    if end == 0 {
        return Ok(0);
    }
    let words = 1u64 << (dir & 63);
    step.inner.stocked_words(dir >> 8, words, step.id)?;
    if end.div_ceil(PER_SEGMENT) > words {
        return Err(step.corrupt("the end of the entries"));
    }
    Ok(end)
}
