//! The values' refs, in chunks of at most 512, which a directory lists: see `dir.rs`.
//!
//! | bits of a directory's word | meaning |
//! |---|---|
//! | 0..10 | how many refs the chunk has |
//! | 10..20 | its slot of the first of them |
//! | 20.. | its page |

use std::ops::Range;

use super::super::heap::Ref;
use super::dir::{self, Dir};
use super::{EVEN, LEN};
use crate::arena::layout::PAGE;
use crate::arena::stock::Step;
use crate::error::ArenaError;

pub(super) const CHUNK: u64 = 512;

/// A chunk as the directory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) block: u64,
    pub(super) start: u64,
    pub(super) count: u64,
}

impl Chunk {
    pub(super) fn of(word: u64) -> Chunk {
        Chunk { block: (word >> 20) * PAGE, start: word >> 10 & 1023, count: word & 1023 }
    }

    pub(super) fn word(self) -> u64 {
        (self.block / PAGE) << 20 | self.start << 10 | self.count
    }

    #[inline]
    pub(super) fn is_sound(self) -> bool {
        self.block != 0 && self.count != 0 && self.start + self.count <= CHUNK
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

/// Where the value with this index is, which is less than the length.
#[inline]
pub(super) fn locate(step: &Step, index: u64) -> Result<Spot, ArenaError> {
    let (dir, mut i) = (Dir::there(step)?, index);
    if step.root(EVEN) != 0 {
        let chunk0 = dir.chunk(step, 0)?;
        let (k, chunk) = if i < chunk0.count {
            (0, chunk0)
        } else {
            let k = 1 + (i - chunk0.count) / CHUNK;
            i = (i - chunk0.count) % CHUNK;
            (k, dir.chunk(step, k)?)
        };
        if i >= chunk.count {
            return Err(step.corrupt("the chunks' counts"));
        }
        return Ok(Spot { k, chunk, i });
    }
    let (k, chunk, i) = dir.search(step, i)?;
    Ok(Spot { k, chunk, i })
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
    if !append_in_chunk(step, r)? {
        let new = fresh(step, &[r])?;
        dir::add(step, new, false)?;
    }
    step.set_root(LEN, step.root(LEN).wrapping_add(1));
    Ok(())
}

/// False if the last chunk has no room.
#[inline]
fn append_in_chunk(step: &mut Step, r: Ref) -> Result<bool, ArenaError> {
    let Some(dir) = Dir::of(step)?.filter(|dir| dir.len() != 0) else {
        return Ok(false);
    };
    let last = dir.chunk(step, dir.len() - 1)?;
    if last.start + last.count >= CHUNK {
        return Ok(false);
    }
    step.write(last.at(last.count), r.0)?;
    dir.set(step, dir.len() - 1, last, Chunk { count: last.count + 1, ..last })?;
    Ok(true)
}

/// Adds a ref before all others, in a chunk of its own.
pub(super) fn prepend(step: &mut Step, r: Ref) -> Result<(), ArenaError> {
    let block = step.alloc(8 * CHUNK)?;
    let new = Chunk { block, start: CHUNK - 1, count: 1 };
    step.write(new.at(0), r.0)?;
    dir::add(step, new, true)?;
    step.set_root(LEN, step.root(LEN).wrapping_add(1));
    Ok(())
}

/// Chunks with these refs, all full but the last.
pub(super) fn full(step: &mut Step, refs: &[Ref]) -> Result<Vec<Chunk>, ArenaError> {
    refs.chunks(CHUNK as usize).map(|part| fresh(step, part)).collect()
}
