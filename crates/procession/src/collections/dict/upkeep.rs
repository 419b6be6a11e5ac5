//! What each operation does for the whole, a little at a time, after its own step is committed: copy
//! slots into a new index, move entries down over the dead, move what a sparse heap holds.
//!
//! Every part is a quiet step of its own, under the same lock. If memory lacks nothing is done.

use super::super::heap::{self, MOVING, Ref};
use super::table::{self, PER_SEGMENT};
use super::{DST, END, LEN, SRC, index};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// Entries that may be dead however few there are.
const SLACK: u64 = PER_SEGMENT;
/// Entries that one operation looks at, and moves at most.
const LOOKED_AT: u64 = 16;
const MOVED: u64 = 4;
const REFS_MOVED: u64 = 3;

/// After an operation that was committed. `shape`: it added or removed entries.
#[inline]
pub(super) fn do_some(step: &mut Step, shape: bool) {
    let busy = heap::is_wasteful(step) || step.root(MOVING) != 0;
    if (shape || busy) && some(step, shape, busy).is_err() {
        step.cancel();
    }
}

fn some(step: &mut Step, shape: bool, busy: bool) -> Result<(), ArenaError> {
    if shape {
        if !index::is_renewed(step) {
            index::copy_some(step, |step, pos| Ok(table::read(step, pos)?.map(|f| f.entry.hash)))?;
        } else if index::is_sparse(step, step.root(LEN))? {
            index::renew(step, step.root(LEN))?;
            step.commit_quietly()?;
            crash_point!("dict.index_begun");
        }
        let (len, end) = (step.root(LEN), table::end(step)?);
        if step.root(DST) != 0 {
            close_ranks(step)?;
        } else if end.saturating_sub(len) > len.saturating_add(SLACK) {
            step.set_root(DST, 1);
            step.set_root(SRC, 0);
            step.commit_quietly()?;
        }
    }
    if busy { tidy_heap(step) } else { Ok(()) }
}

/// Moves a few entries down to where dead ones are.
fn close_ranks(step: &mut Step) -> Result<(), ArenaError> {
    let (mut dst, mut src) = (step.root(DST).saturating_sub(1), step.root(SRC));
    let end = table::end(step)?;
    if dst > src || src > end {
        return Err(step.corrupt("the moving of entries"));
    }
    let mut moved = 0;
    for _ in 0..LOOKED_AT {
        if src == end || moved == MOVED {
            break;
        }
        if let Some(found) = table::read(step, src)? {
            if dst < src {
                let to = table::place(step, dst)?;
                step.commit_quietly()?; // the segment, if it is a new one
                step.write(to, found.entry.hash)?;
                step.write(to.wrapping_add(16), found.entry.value.0)?;
                step.set(to.wrapping_add(8), found.entry.key.0);
                step.set(found.key_at(), 0);
                index::change(step, found.entry.hash, src, Some(dst))?;
                moved += 1;
            }
            dst += 1;
        }
        src += 1;
        step.set_root(DST, dst + 1);
        step.set_root(SRC, src);
        if src.is_multiple_of(PER_SEGMENT) && dst <= src - PER_SEGMENT {
            table::free_segment(step, src / PER_SEGMENT - 1)?;
        }
        step.commit_quietly()?;
        crash_point!("dict.entry_moved");
    }
    if src == end {
        for segment in dst.div_ceil(PER_SEGMENT)..end.div_ceil(PER_SEGMENT) {
            table::free_segment(step, segment)?;
        }
        step.set_root(END, dst);
        step.set_root(DST, 0);
        step.commit_quietly()?;
        crash_point!("dict.ranks_closed");
    }
    Ok(())
}

/// Moves a few keys and values out of segments that are emptier than others.
fn tidy_heap(step: &mut Step) -> Result<(), ArenaError> {
    let mut pos = step.root(MOVING).saturating_sub(1);
    let end = table::end(step)?;
    let mut moved = 0;
    for _ in 0..LOOKED_AT {
        if pos >= end || moved >= REFS_MOVED {
            break;
        }
        if let Some(found) = table::read(step, pos)? {
            for at in [found.key_at(), found.value_at()] {
                let old = Ref(step.load(at)?);
                if old.is_lonely(step)? {
                    let new = old.moved(step)?;
                    step.set(at, new.0);
                    step.commit_quietly()?;
                    crash_point!("dict.bytes_moved");
                    moved += 1;
                }
            }
        }
        pos += 1;
    }
    // Where it has come to is only a hint: entries move meanwhile.
    step.write_root(MOVING, if pos >= end { 0 } else { pos + 1 });
    Ok(())
}
