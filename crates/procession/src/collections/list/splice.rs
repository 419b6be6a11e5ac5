//! Values put in and taken out anywhere.
//!
//! Near an end of its chunk, some refs move by one; else the chunks that are concerned are written anew,
//! and take the place of the old ones in the directory.

use super::super::heap::Ref;
use super::chunks::{self, CHUNK, Chunk, Spot};
use super::dir::{self, Dir};
use super::{LEN, empty};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// So many refs are moved within a chunk.
const NEAR: u64 = 6;
/// A chunk with fewer refs is joined with the one behind it, if both fit into so much.
const SMALL: usize = 128;
const JOINED: u64 = CHUNK * 3 / 4;

/// Replaces the values `from..to` by these.
pub(super) fn splice(step: &mut Step, from: u64, to: u64, new: &[Ref]) -> Result<(), ArenaError> {
    let len = step.root(LEN);
    if from == len {
        return new.iter().try_for_each(|r| chunks::append(step, *r));
    }
    if let [r] = new
        && from == to
    {
        if put_near(step, from, *r)? {
            return Ok(());
        }
        if from == 0 && Dir::there(step)?.chunk(step, 0)?.start == 0 {
            return chunks::prepend(step, *r);
        }
    }
    if new.is_empty() && to == from + 1 {
        return remove_one(step, from);
    }
    if new.is_empty() && from == 0 && to == len {
        return empty(step);
    }
    rewrite(step, from, to, new)
}

/// Puts one in where only few refs have to move; false if that is not so.
fn put_near(step: &mut Step, index: u64, r: Ref) -> Result<bool, ArenaError> {
    let Spot { k, chunk, i } = chunks::locate(step, index)?;
    let behind = chunk.count - i;
    let grown = Chunk { count: chunk.count + 1, ..chunk };
    let dir = Dir::there(step)?;
    if behind <= NEAR && chunk.start + chunk.count < CHUNK {
        for j in (i..chunk.count).rev() {
            step.set(chunk.at(j + 1), step.load(chunk.at(j))?);
        }
        step.set(chunk.at(i), r.0);
        dir.set(step, k, chunk, grown)?;
    } else if i <= NEAR && chunk.start > 0 {
        let grown = Chunk { start: chunk.start - 1, ..grown };
        for j in 0..i {
            step.set(grown.at(j), step.load(chunk.at(j))?);
        }
        step.set(grown.at(i), r.0);
        dir.set(step, k, chunk, grown)?;
    } else {
        return Ok(false);
    }
    note_uneven(step, k)?;
    step.set_root(LEN, step.root(LEN).wrapping_add(1));
    Ok(true)
}

/// A chunk's count has changed.
fn note_uneven(step: &mut Step, k: u64) -> Result<(), ArenaError> {
    if k != 0 && k + 1 != dir::count(step)? { dir::set_even(step, false) } else { Ok(()) }
}

pub(super) fn remove_one(step: &mut Step, index: u64) -> Result<(), ArenaError> {
    let len = step.root(LEN);
    if len == 1 {
        return empty(step);
    }
    let spot = chunks::locate(step, index)?;
    let Spot { k, chunk, i } = spot;
    let behind = chunk.count - 1 - i;
    let dir = Dir::there(step)?;
    let at_end = k == 0 || k + 1 == dir.len();
    if chunk.count == 1 && at_end {
        Ref(step.load(spot.at())?).drop(step)?;
        dir::drop_end(step, k)?;
        step.free(chunk.block)?;
    } else if i.min(behind) <= NEAR && (at_end || chunk.count > SMALL as u64) {
        Ref(step.load(spot.at())?).drop(step)?;
        let shrunk = Chunk { count: chunk.count - 1, ..chunk };
        if behind <= i {
            for j in i..chunk.count - 1 {
                step.set(chunk.at(j), step.load(chunk.at(j + 1))?);
            }
            dir.set(step, k, chunk, shrunk)?;
        } else {
            for j in (0..i).rev() {
                step.set(chunk.at(j + 1), step.load(chunk.at(j))?);
            }
            dir.set(step, k, chunk, Chunk { start: chunk.start + 1, ..shrunk })?;
        }
        note_uneven(step, k)?;
    } else {
        return rewrite(step, index, index + 1, &[]);
    }
    step.set_root(LEN, len.saturating_sub(1));
    Ok(())
}

/// Writes the chunks anew that have `from..to`, with these instead. `from` is less than the length.
fn rewrite(step: &mut Step, from: u64, to: u64, new: &[Ref]) -> Result<(), ArenaError> {
    let first = chunks::locate(step, from)?;
    let last = if to > from { chunks::locate(step, to - 1)? } else { first };
    let kept_from = if to > from { last.i + 1 } else { first.i };
    let mut refs = first.chunk.refs(step, 0..first.i)?;
    refs.extend(new);
    refs.extend(last.chunk.refs(step, kept_from..last.chunk.count)?);
    let mut range = first.k..last.k + 1;
    drop_refs(step, &first, &last, kept_from)?;
    let dir = Dir::there(step)?;
    if refs.len() < SMALL && range.end < dir.len() {
        let next = dir.chunk(step, range.end)?;
        if refs.len() as u64 + next.count <= JOINED {
            refs.extend(next.refs(step, 0..next.count)?);
            range.end += 1;
        }
    }
    let old = range.clone().map(|k| dir.chunk(step, k)).collect::<Result<Vec<_>, _>>()?;
    let new_chunks = pack(step, &refs)?;
    crash_point!("list.chunks_written");
    dir::replace(step, range, &new_chunks)?;
    for chunk in old {
        step.free(chunk.block)?;
    }
    let rest = step.root(LEN).wrapping_sub(to - from);
    step.set_root(LEN, rest.wrapping_add(new.len() as u64));
    Ok(())
}

/// The refs from `first` to just before ref `end` of `last`'s chunk are not in use any more.
fn drop_refs(step: &mut Step, first: &Spot, last: &Spot, end: u64) -> Result<(), ArenaError> {
    let dir = Dir::there(step)?;
    for k in first.k..=last.k {
        let chunk = dir.chunk(step, k)?;
        let from = if k == first.k { first.i } else { 0 };
        let to = if k == last.k { end } else { chunk.count };
        for i in from..to {
            Ref(step.load(chunk.at(i))?).drop(step)?;
        }
    }
    Ok(())
}

/// Chunks with these refs: about as many in each.
pub(super) fn pack(step: &mut Step, refs: &[Ref]) -> Result<Vec<Chunk>, ArenaError> {
    let n = refs.len().div_ceil(CHUNK as usize).max(1);
    refs.chunks(refs.len().div_ceil(n).max(1)).map(|part| chunks::fresh(step, part)).collect()
}
