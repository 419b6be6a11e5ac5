//! What a sparse heap holds is moved, a little with each operation: nodes, keys and values.
//!
//! The tree is gone through leaf by leaf. Where one has come to is only a hint, for ranks change meanwhile.

use super::super::heap::{self, MOVING, Ref};
use super::tree::{self, Path, TREE};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// How many are moved by one operation at most.
const MOVED: u32 = 6;
/// One operation of so many moves something.
const EVERY: u64 = 4;

/// After an operation that was committed.
#[inline]
pub(super) fn tidy(step: &mut Step) {
    if tree::prune(step).and_then(|()| tidy_heap(step)).is_err() {
        step.cancel();
    }
}

#[inline]
fn tidy_heap(step: &mut Step) -> Result<(), ArenaError> {
    // Whatever an operation leaves unused is less than what the moving makes of it in so many.
    let is_due = step.version().is_multiple_of(EVERY);
    if is_due && (heap::is_wasteful(step) || step.root(MOVING) != 0) {
        tidy_leaf(step)
    } else {
        Ok(())
    }
}

#[cold]
fn tidy_leaf(step: &mut Step) -> Result<(), ArenaError> {
    if step.root(tree::DEPTH) == 0 {
        step.write_root(MOVING, 0);
        return Ok(());
    }
    let hint = step.root(MOVING) >> 1;
    let mut moved = 0;
    // A node that is moved is another one: then the way is gone again.
    let path = loop {
        let path = tree::follow_hint(step, hint)?;
        let Some(at) = lonely_on(step, &path)? else {
            break path;
        };
        if moved == MOVED {
            return Ok(());
        }
        relocate(step, at)?;
        moved += 1;
    };
    let leaf = *path.leaf();
    for rank in 0..leaf.perm.count() {
        let slot = leaf.perm.slot(rank);
        leaf.node.word(step, slot)?;
        for at in [leaf.node.word_at(slot), leaf.node.rest_at(slot)] {
            if Ref(step.load(at)?).is_lonely(step)? {
                if moved == MOVED {
                    step.write_root(MOVING, hint << 1 | 1);
                    return Ok(());
                }
                relocate(step, at)?;
                moved += 1;
            }
        }
    }
    let next = path.next_leaf();
    step.write_root(MOVING, next.map_or(0, |hint| hint << 1 | 1));
    Ok(())
}

fn relocate(step: &mut Step, at: u64) -> Result<(), ArenaError> {
    let new = Ref(step.load(at)?).moved(step)?;
    step.set(at, new.0);
    step.commit_quietly()?;
    crash_point!("priority.moved");
    Ok(())
}

/// Where a ref is that is better moved: to a node on the way, or the rest of a key there.
fn lonely_on(step: &Step, path: &Path) -> Result<Option<u64>, ArenaError> {
    let refs =
        path.above().iter().flat_map(|s| [s.node.word_at(s.slot()), s.node.rest_at(s.slot())]);
    for at in std::iter::once(step.root_at(TREE)).chain(refs) {
        if Ref(step.load(at)?).is_lonely(step)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
