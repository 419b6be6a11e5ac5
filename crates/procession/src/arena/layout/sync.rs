//! The primitives' slots: an [`Object`] whose own words mean something else.
//!
//! Its first 64 bytes, `bells` (0 here), and the two locks (free, but for a sweep that takes them by
//! a stale name) are the object's in every kind.

use std::mem::{offset_of, size_of};

use super::{Name, Object, ShmSafe};
use crate::arena::objects::Kind;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::words::barrier::{Barrier, Gate};
use crate::words::condition::{Condition, Desk};
use crate::words::entries::Entries;
use crate::words::event::EventWords;
use crate::words::lock::LockWord;
use crate::words::permits::Permits;
use crate::words::rwlock::{Doors, RwWords};

/// What all objects have.
type Common = [AtomicU64; 8];
/// Among these: `Object::capacity`, which says of a lock whether it is reentrant, and `Object::kind`.
const CAPACITY: usize = offset_of!(Object, capacity) / 8;
const KIND: usize = offset_of!(Object, kind) / 8;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct LockSlot {
    common: Common,
    pub(crate) word: LockWord,
    /// How often its holder has taken it.
    pub(crate) depth: AtomicU32,
    /// The thread of the holder.
    pub(crate) thread: AtomicU64,
    bells: AtomicU64,
    /// Who left it abandoned: pid, and how that one ended. Written under the arena lock, before the
    /// word says so.
    pub(crate) last_pid: AtomicU64,
    pub(crate) last_end: AtomicU64,
    pad: [AtomicU64; 3],
    tail_lock: AtomicU64,
    pub(crate) last_name: Name,
    pad2: [AtomicU64; 41],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for LockSlot {}

impl LockSlot {
    pub(crate) fn is_reentrant(&self) -> bool {
        self.common[CAPACITY].load(Ordering::Relaxed) != 0
    }

    /// Whether it guards a value, which only its holder releases it from.
    pub(crate) fn has_value(&self) -> bool {
        let kind = self.common[KIND].load(Ordering::Relaxed);
        kind == Kind::Mutex as u64 || kind == Kind::RwLock as u64
    }
}

/// What a lock with a value has between the lock's words: see `cell.rs`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct MutexSlot {
    lock: [AtomicU64; 13],
    pub(crate) state: AtomicU64,
    pad: [AtomicU64; 19],
    pub(crate) halves: [[AtomicU64; 15]; 2],
    pad2: AtomicU64,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for MutexSlot {}

/// The same of a lock with readers. The lock's `depth` is the phase.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RwLockSlot {
    lock: [AtomicU64; 13],
    pub(crate) state: AtomicU64,
    doors: Doors,
    pad: [AtomicU64; 8],
    between: [AtomicU32; 18],
    head_lock: AtomicU64,
    behind: [AtomicU32; 30],
    pub(crate) halves: [[AtomicU64; 8]; 2],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for RwLockSlot {}

impl RwLockSlot {
    /// At how many places processes may read at a time.
    pub(crate) const PLACES: usize = 48;

    pub(crate) fn words<'a>(&'a self, lock: &'a LockSlot) -> RwWords<'a> {
        let readers = Entries([&self.between, &self.behind, &[]]);
        RwWords { word: &lock.word, phase: &lock.depth, doors: &self.doors, readers }
    }
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct SemaphoreSlot {
    common: Common,
    pub(crate) permits: Permits,
    pad: [AtomicU64; 55],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for SemaphoreSlot {}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct EventSlot {
    common: Common,
    pub(crate) words: EventWords,
    pad: [AtomicU64; 55],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for EventSlot {}

/// The places for entries: all that the other fields leave.
type Near = [AtomicU32; 10];
type Between = [AtomicU32; 30];
type Behind = [AtomicU32; 62];

#[derive(Debug)]
#[repr(C)]
pub(crate) struct ConditionSlot {
    common: Common,
    desk: Desk,
    pad: AtomicU32,
    bells: AtomicU64,
    near: Near,
    tail_lock: AtomicU64,
    between: Between,
    head_lock: AtomicU64,
    behind: Behind,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for ConditionSlot {}

impl ConditionSlot {
    pub(crate) fn condition(&self) -> Condition<'_> {
        let entries = Entries([&self.near, &self.between, &self.behind]);
        Condition { desk: &self.desk, entries }
    }
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct BarrierSlot {
    common: Common,
    gate: Gate,
    bells: AtomicU64,
    near: Near,
    tail_lock: AtomicU64,
    between: Between,
    head_lock: AtomicU64,
    behind: Behind,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for BarrierSlot {}

impl BarrierSlot {
    pub(crate) fn barrier(&self) -> Barrier<'_> {
        let entries = Entries([&self.near, &self.between, &self.behind]);
        let parties = self.common[CAPACITY].load(Ordering::Relaxed) as u32;
        Barrier { gate: &self.gate, entries, parties }
    }
}

const _: () = {
    const SIZE: usize = size_of::<Object>();
    assert!(size_of::<LockSlot>() == SIZE);
    assert!(size_of::<SemaphoreSlot>() == SIZE);
    assert!(size_of::<EventSlot>() == SIZE);
    assert!(offset_of!(LockSlot, word) == offset_of!(Object, items));
    assert!(offset_of!(LockSlot, bells) == offset_of!(Object, bells));
    assert!(offset_of!(LockSlot, tail_lock) == offset_of!(Object, tail_lock));
    assert!(offset_of!(LockSlot, pad2) <= offset_of!(Object, head_lock));
    assert!(size_of::<MutexSlot>() == SIZE);
    assert!(offset_of!(MutexSlot, state) == offset_of!(LockSlot, pad));
    assert!(offset_of!(MutexSlot, halves) > offset_of!(Object, head_lock));
    assert!(size_of::<RwLockSlot>() == SIZE);
    assert!(offset_of!(RwLockSlot, state) == offset_of!(LockSlot, pad));
    assert!(offset_of!(RwLockSlot, pad) == offset_of!(LockSlot, tail_lock) - 8);
    assert!(offset_of!(RwLockSlot, between) == offset_of!(LockSlot, pad2));
    assert!(offset_of!(RwLockSlot, head_lock) == offset_of!(Object, head_lock));
    assert!(size_of::<ConditionSlot>() == SIZE);
    assert!(offset_of!(ConditionSlot, bells) == offset_of!(Object, bells));
    assert!(offset_of!(ConditionSlot, tail_lock) == offset_of!(Object, tail_lock));
    assert!(offset_of!(ConditionSlot, head_lock) == offset_of!(Object, head_lock));
    assert!(size_of::<BarrierSlot>() == SIZE);
    assert!(offset_of!(BarrierSlot, bells) == offset_of!(Object, bells));
    assert!(offset_of!(BarrierSlot, tail_lock) == offset_of!(Object, tail_lock));
    assert!(offset_of!(BarrierSlot, head_lock) == offset_of!(Object, head_lock));
};
