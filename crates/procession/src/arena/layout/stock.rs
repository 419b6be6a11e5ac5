//! The slot of an object that is made of blocks: a dict, a list, a queue in another order. What the words mean together: see
//! `arena/stock.rs`; what the roots mean, see `collections`.

use std::mem::{offset_of, size_of};

use super::{Object, ShmSafe};
use crate::lock::Lock;
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::wait::WaitWord;

/// Words that are the kind's own.
pub(crate) const ROOTS: usize = 15;
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
    /// Who waits for a change.
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
    roots: [AtomicU64; ROOTS],
    head_lock: AtomicU64,
    /// Place and value.
    pub(crate) redo: [[AtomicU64; 2]; REDO],
    /// Who has claimed the object, and until when; 0: nobody.
    pub(crate) claim: AtomicU64,
    /// Of a queue: who waits for room, until all is done, and for something to take. They lie where steps
    /// seldom write: who puts looks at the last one each time.
    pub(crate) room: WaitWord,
    pub(crate) all_done: WaitWord,
    pub(crate) items: WaitWord,
    pad: AtomicU32,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for StockSlot {}

impl StockSlot {
    #[inline]
    pub(crate) fn root(&self, i: usize) -> &AtomicU64 {
        &self.roots[i]
    }

    /// Where a root lies in the slot.
    #[inline]
    pub(crate) const fn root_at(i: usize) -> u64 {
        offset_of!(StockSlot, roots) as u64 + 8 * i as u64
    }
}

/// Cells of a queue's stage.
pub(crate) const CELLS: usize = 62;
/// Words of a cell, and bytes behind the first of them.
pub(crate) const CELL: usize = 8;
pub(crate) const CELL_BYTES: usize = 8 * (CELL - 1);

/// Where puts into a queue that is a stock are left while somebody else has its lock: a ring. What the words
/// mean: see `collections/line/stage.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stage {
    /// The producers'.
    pub(crate) lock: Lock,
    pad: AtomicU32,
    pub(crate) tail: AtomicU64,
    pub(crate) shape: AtomicU64,
    pub(crate) head_seen: AtomicU64,
    pub(crate) net_seen: AtomicU64,
    pads: [AtomicU64; 3],
    /// Changed in steps only.
    pub(crate) head: AtomicU64,
    pub(crate) holes: AtomicU64,
    more_pads: [AtomicU64; 6],
    pub(crate) cells: [[AtomicU64; CELL]; CELLS],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Stage {}

const _: () = {
    assert!(size_of::<StockSlot>() == size_of::<Object>());
    assert!(offset_of!(StockSlot, bells) == offset_of!(Object, bells));
    assert!(offset_of!(StockSlot, tail_lock) == offset_of!(Object, tail_lock));
    assert!(offset_of!(StockSlot, head_lock) == offset_of!(Object, head_lock));
    assert!(StockSlot::root_at(0) == 136 && StockSlot::root_at(ROOTS) == 256);
    assert!(size_of::<Stage>() == 4096);
};
