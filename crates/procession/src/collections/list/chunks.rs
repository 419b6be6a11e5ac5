//! The values' refs, in chunks of at most 512, which a directory lists.
//!
//! | bits of a directory's word | meaning |
//! |---|---|
//! | 0..10 | how many refs the chunk has |
//! | 10..20 | its slot of the first of them |
//! | 20.. | its page |
//!
//! A list is *even* while all chunks but the first and the last are full: then an index tells its chunk.

use std::ops::Range;

use super::super::heap::Ref;
use super::{CHUNKS, DIR, EVEN, FIRST, LEN};
use crate::arena::layout::PAGE;
use crate::arena::stock::Step;
use crate::error::ArenaError;

pub(super) const CHUNK: u64 = 512;
const MIN_DIR: u32 = 9;

/// A chunk as the directory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) block: u64,
    pub(super) start: u64,
    pub(super) count: u64,
}

impl Chunk {
    fn of(word: u64) -> Chunk {
        Chunk { block: (word >> 20) * PAGE, start: word >> 10 & 1023, count: word & 1023 }
    }

    pub(super) fn word(self) -> u64 {
        (self.block / PAGE) << 20 | self.start << 10 | self.count
    }

    /// Where its ref `i` lies.
    pub(super) fn at(self, i: u64) -> u64 {
        self.block + 8 * (self.start + i)
    }

    pub(super) fn refs(self, step: &Step, range: Range<u64>) -> Result<Vec<Ref>, ArenaError> {
        range.map(|i| Ok(Ref(step.load(self.at(i))?))).collect()
    }
}

/// A place in the list: which chunk, what it is, which of its refs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) k: u64,
    pub(super) chunk: Chunk,
    pub(super) i: u64,
}

impl Spot {
    pub(super) fn at(&self) -> u64 {
        self.chunk.at(self.i)
    }
}

/// Where the directory lists chunk `k`.
pub(super) fn listed_at(step: &Step, k: u64) -> Result<u64, ArenaError> {
    let (dir, place) = (step.root(DIR), step.root(FIRST).wrapping_add(k));
    if dir == 0 || place >> (dir & 63) != 0 {
        return Err(step.corrupt("the directory of chunks"));
    }
    Ok((dir >> 8).wrapping_add(place.wrapping_mul(8)))
}

#[inline]
pub(super) fn chunk(step: &Step, k: u64) -> Result<Chunk, ArenaError> {
    let chunk = Chunk::of(step.load(listed_at(step, k)?)?);
    if chunk.block == 0 || chunk.start + chunk.count > CHUNK || chunk.count == 0 {
        return Err(step.corrupt("a chunk"));
    }
    Ok(chunk)
}

pub(super) fn set_chunk(step: &mut Step, k: u64, chunk: Chunk) -> Result<(), ArenaError> {
    step.set(listed_at(step, k)?, chunk.word());
    Ok(())
}

/// Before all chunks are gone through: the directory is as long as it says, so that comes to an end.
fn check_dir(step: &Step) -> Result<(), ArenaError> {
    let dir = step.root(DIR);
    if dir == 0 { Ok(()) } else { step.inner.stocked_words(dir >> 8, 1 << (dir & 63), step.id) }
}

/// How many chunks there are: as many as the directory has room for.
#[inline]
pub(super) fn count(step: &Step) -> Result<u64, ArenaError> {
    let dir = step.root(DIR);
    if dir == 0 {
        return Ok(0);
    }
    let (n, room) = (step.root(CHUNKS), 1 << (dir & 63));
    if step.root(FIRST).checked_add(n).is_none_or(|end| end > room) {
        return Err(step.corrupt("the number of chunks"));
    }
    Ok(n)
}

/// Where the value with this index is, which is less than the length.
#[inline]
pub(super) fn locate(step: &Step, index: u64) -> Result<Spot, ArenaError> {
    let mut i = index;
    if step.root(EVEN) != 0 {
        let chunk0 = chunk(step, 0)?;
        let (k, chunk) = if i < chunk0.count {
            (0, chunk0)
        } else {
            let k = 1 + (i - chunk0.count) / CHUNK;
            i = (i - chunk0.count) % CHUNK;
            (k, chunk(step, k)?)
        };
        if i >= chunk.count || k >= step.root(CHUNKS) {
            return Err(step.corrupt("the chunks' counts"));
        }
        return Ok(Spot { k, chunk, i });
    }
    check_dir(step)?;
    for k in 0..count(step)? {
        let chunk = chunk(step, k)?;
        if i < chunk.count {
            return Ok(Spot { k, chunk, i });
        }
        i -= chunk.count;
    }
    Err(step.corrupt("the chunks' counts"))
}

/// Makes the list's chunks `range` into these, which are not full of holes.
pub(super) fn replace(step: &mut Step, range: Range<u64>, new: &[Chunk]) -> Result<(), ArenaError> {
    let (all, n) = (count(step)?, new.len() as u64);
    if range.start > range.end || range.end > all {
        return Err(step.corrupt("the number of chunks"));
    }
    let total = all - (range.end - range.start) + n;
    let inner = |k: u64| k != 0 && k + 1 != total;
    let full = (range.start..).zip(new).all(|(k, c)| !inner(k) || c.count == CHUNK);
    let even = n == total || step.root(EVEN) != 0;
    if range.end - range.start == n {
        for (k, c) in range.zip(new) {
            set_chunk(step, k, *c)?;
        }
    } else {
        let mut words = Vec::new();
        for k in 0..range.start {
            words.push(step.load(listed_at(step, k)?)?);
        }
        words.extend(new.iter().map(|c| c.word()));
        for k in range.end..all {
            words.push(step.load(listed_at(step, k)?)?);
        }
        new_dir(step, &words)?;
    }
    set_even(step, even && full);
    Ok(())
}

fn set_even(step: &mut Step, even: bool) {
    if step.root(EVEN) != u64::from(even) {
        step.set_root(EVEN, u64::from(even));
    }
}

/// A directory of these words, with room behind them.
fn new_dir(step: &mut Step, words: &[u64]) -> Result<(), ArenaError> {
    let log2 = (2 * words.len()).next_power_of_two().trailing_zeros().max(MIN_DIR);
    let dir = step.alloc(8 << log2)?;
    for (i, word) in (0..).zip(words) {
        step.write(dir + 8 * i, *word)?;
    }
    let old = step.root(DIR);
    if old != 0 {
        step.free(old >> 8)?;
    }
    step.set_root(DIR, dir << 8 | u64::from(log2));
    step.set_root(FIRST, 0);
    step.set_root(CHUNKS, words.len() as u64);
    Ok(())
}

/// A chunk with these refs, at its beginning.
pub(super) fn fresh(step: &mut Step, refs: &[Ref]) -> Result<Chunk, ArenaError> {
    let block = step.alloc(8 * CHUNK)?;
    let chunk = Chunk { block, start: 0, count: refs.len() as u64 };
    for (i, r) in (0..).zip(refs) {
        step.write(chunk.at(i), r.0)?;
    }
    Ok(chunk)
}

/// Adds a ref behind all others.
#[inline]
pub(super) fn append(step: &mut Step, r: Ref) -> Result<(), ArenaError> {
    let n = count(step)?;
    if n != 0 {
        let last = chunk(step, n - 1)?;
        if last.start + last.count < CHUNK {
            step.write(last.at(last.count), r.0)?;
            set_chunk(step, n - 1, Chunk { count: last.count + 1, ..last })?;
            step.set_root(LEN, step.root(LEN).wrapping_add(1));
            return Ok(());
        }
    }
    append_chunk(step, r)
}

#[cold]
fn append_chunk(step: &mut Step, r: Ref) -> Result<(), ArenaError> {
    let n = count(step)?;
    let new = fresh(step, &[r])?;
    let dir = step.root(DIR);
    // The last chunk is not the last any more.
    let was_even = n == 0 || step.root(EVEN) != 0;
    let even = was_even && (n < 2 || chunk(step, n - 1)?.count == CHUNK);
    if dir != 0 && step.root(FIRST).saturating_add(n) >> (dir & 63) == 0 {
        step.set_root(CHUNKS, n + 1);
        let at = listed_at(step, n)?;
        step.set(at, new.word());
    } else {
        let mut words = Vec::new();
        for k in 0..n {
            words.push(step.load(listed_at(step, k)?)?);
        }
        words.push(new.word());
        new_dir(step, &words)?;
    }
    set_even(step, even);
    step.set_root(LEN, step.root(LEN).wrapping_add(1));
    Ok(())
}

/// Takes the first or the last chunk out of the directory, and frees it.
pub(super) fn drop_end(step: &mut Step, spot: &Spot) -> Result<(), ArenaError> {
    let n = count(step)?;
    step.set_root(CHUNKS, n.saturating_sub(1));
    if spot.k == 0 {
        step.set_root(FIRST, step.root(FIRST).wrapping_add(1));
    }
    step.free(spot.chunk.block)
}

/// Chunks with these refs, all full but the last.
pub(super) fn full(step: &mut Step, refs: &[Ref]) -> Result<Vec<Chunk>, ArenaError> {
    refs.chunks(CHUNK as usize).map(|part| fresh(step, part)).collect()
}
