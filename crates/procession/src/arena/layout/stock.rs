//! The slot of an object that is made of blocks: a dict, a list, a queue in another order. What the words mean together: see
//! `arena/stock.rs`; what the roots mean, see `collections`.

use std::mem::{offset_of, size_of};

use super::{Object, ShmSafe};
use crate::lock::Lock;
use crate::sys::atomic::AtomicU64;
use crate::wait::WaitWord;

/// Words that are the kind's own.
pub(crate) const ROOTS: usize = 16;
/// The root of a queue that delivers again that says when somebody last looked who is dead: 0, to have it
/// done at once.
pub(crate) const LOOKED: usize = 13;
/// Changes that the slot's redo record has room for.
pub(crate) const REDO: usize = 14;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct StockSlot {
    common: [AtomicU64; 8],
    pub(crate) lock: Lock,
    /// Who waits for a change; of a queue, for something to take.
    pub(crate) change: WaitWord,
    /// Moves with each change.
    pub(crate) version: AtomicU64,
    bells: AtomicU64,
    /// Its blocks: a list, by the descriptors' words.
    pub(crate) blocks: AtomicU64,
    /// Blocks of the step under way, which are the object's if it is committed.
    pub(crate) nursery: AtomicU64,
    /// Blocks to be freed.
    pub(crate) grave: AtomicU64,
    /// The block with the changes of a long step.
    pub(crate) journal: AtomicU64,
    /// How many changes of the record are committed; 0: none.
    pub(crate) redo_count: AtomicU64,
    tail_lock: AtomicU64,
    roots: [AtomicU64; 15],
    head_lock: AtomicU64,
    /// Place and value.
    pub(crate) redo: [[AtomicU64; 2]; REDO],
    /// Who has claimed the object, and until when; 0: nobody.
    pub(crate) claim: AtomicU64,
    /// Of a queue: who waits for room, and until all is done.
    pub(crate) room: WaitWord,
    pub(crate) all_done: WaitWord,
    last_root: AtomicU64,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for StockSlot {}

impl StockSlot {
    #[inline]
    pub(crate) fn root(&self, i: usize) -> &AtomicU64 {
        self.roots.get(i).unwrap_or(&self.last_root)
    }

    /// Where a root lies in the slot.
    #[inline]
    pub(crate) const fn root_at(i: usize) -> u64 {
        let roots = offset_of!(StockSlot, roots) as u64;
        if i < ROOTS - 1 { roots + 8 * i as u64 } else { offset_of!(StockSlot, last_root) as u64 }
    }
}

const _: () = {
    assert!(size_of::<StockSlot>() == size_of::<Object>());
    assert!(offset_of!(StockSlot, bells) == offset_of!(Object, bells));
    assert!(offset_of!(StockSlot, tail_lock) == offset_of!(Object, tail_lock));
    assert!(offset_of!(StockSlot, head_lock) == offset_of!(Object, head_lock));
    assert!(StockSlot::root_at(0) == 136 && StockSlot::root_at(ROOTS - 1) == 504);
};
