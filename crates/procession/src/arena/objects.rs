//! The object table: type-stable slots that handles name by index and generation.
//!
//! | state | meaning |
//! |---|---|
//! | `FREE` | in the list of free slots (or never used) |
//! | `LIVE` | in use; `kind` says as what, `refs` hold entries name it |
//! | `DYING` | its last handle is gone; `reaper` takes it apart |
//!
//! Every change of state is a redo record; taking apart goes by the same steps as `get`, so that a
//! reaper may be killed anywhere and another goes on.

use std::mem::offset_of;

use super::family::Inner;
use super::layout::{CUT, Desc, Header, Object, PAGE, ShmSafe};
use super::map::corrupt;
use super::redo::{ArenaGuard, set};
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
use crate::ring::inspect;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::fault::crash_point;

/// Words of a slot, and those before what is the kind's own.
const OBJECT_WORDS: usize = size_of::<Object>() / 8;
const KIND_WORDS: usize = offset_of!(Object, items) / 8;
const LOCKS: [usize; 2] = [offset_of!(Object, tail_lock) / 8, offset_of!(Object, head_lock) / 8];

pub(crate) const FREE: u64 = 0;
pub(crate) const LIVE: u64 = 1;
pub(crate) const DYING: u64 = 2;

/// What an object is. Queues and pipes are rings of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Kind {
    Queue = 1,
    /// One direction of a pipe.
    Pipe = 2,
    Lock = 3,
    Semaphore = 4,
    Event = 5,
    Condition = 6,
    Barrier = 7,
    /// Bytes, in the slot or in the block that `bells` names.
    Memory = 8,
    /// Blocks, see `stock.rs`.
    Dict = 9,
    List = 10,
    /// Queues that are stocks of blocks, and no rings: last in first out, and by priority.
    Lifo = 11,
    Priority = 12,
    /// The same: first in first out, and what is taken by one who dies comes back.
    Delivery = 13,
    /// A lock with a value, see `cell.rs`.
    Mutex = 14,
    /// The same, with readers.
    RwLock = 15,
}

impl Kind {
    pub(crate) const PRIMITIVES: [Kind; 7] = [
        Kind::Lock,
        Kind::Semaphore,
        Kind::Event,
        Kind::Condition,
        Kind::Barrier,
        Kind::Mutex,
        Kind::RwLock,
    ];
    pub(crate) const QUEUES: [Kind; 4] = [Kind::Queue, Kind::Lifo, Kind::Priority, Kind::Delivery];
    pub(crate) const STOCKS: [Kind; 5] =
        [Kind::Dict, Kind::List, Kind::Lifo, Kind::Priority, Kind::Delivery];
}

/// The name of an object: its slot, and which of the slot's lives is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ObjectId {
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
    pub(crate) fn unpack(word: u64) -> ObjectId {
        ObjectId { index: word as u32, generation: (word >> 32) as u32 }
    }
}

pub(crate) fn state_word(generation: u32, state: u64) -> u64 {
    u64::from(generation) << 8 | state
}

impl Inner {
    /// The slot of an object.
    pub(crate) fn object(&self, index: u32) -> Result<&Object, ArenaError> {
        if u64::from(index) >= self.map.layout.max_objects {
            return Err(corrupt(format!("{index} is no object")));
        }
        self.map.at(self.map.layout.object(u64::from(index)))
    }

    /// The slot of an object, as what its kind makes of it.
    pub(crate) fn overlay<T: ShmSafe>(&self, index: u32) -> Result<&T, ArenaError> {
        const { assert!(size_of::<T>() == size_of::<Object>()) };
        if u64::from(index) >= self.map.layout.max_objects {
            return Err(corrupt(format!("{index} is no object")));
        }
        self.map.at(self.map.layout.object(u64::from(index)))
    }

    /// A new object, counted by the hold entry at `entry`.
    pub(crate) fn create_object(
        &self,
        kind: Kind,
        limits: Limits,
        entry: u64,
    ) -> Result<ObjectId, ArenaError> {
        let guard = self.guard()?;
        self.create_object_under(&guard, kind, limits, entry)
    }

    /// The same, for who holds the arena lock.
    pub(crate) fn create_object_under(
        &self,
        guard: &ArenaGuard<'_>,
        kind: Kind,
        limits: Limits,
        entry: u64,
    ) -> Result<ObjectId, ArenaError> {
        let header = self.header();
        let free = header.object_free.load(Ordering::Relaxed);
        let used = header.objects_used.load(Ordering::Relaxed);
        let index = if free == 0 { used } else { free - 1 };
        if index >= self.map.layout.max_objects {
            let why = "the object table is used up";
            return Err(ArenaError::Full { requested: 512, free: 0, why });
        }
        let slot = self.object(index as u32)?;
        let generation = ((slot.state.load(Ordering::Relaxed) >> 8) as u32 + 1) & 0x00ff_ffff;
        // Nobody looks at a free slot's fields, so they can be written before it is in use. Its two
        // locks stay as they are: a sweep may take them by the slot's former name.
        let words: &[AtomicU64; OBJECT_WORDS] = self.overlay(index as u32)?;
        for (i, word) in words.iter().enumerate().skip(KIND_WORDS) {
            if !LOCKS.contains(&i) {
                word.store(0, Ordering::Relaxed);
            }
        }
        slot.reset(kind, limits);
        let list = if free == 0 {
            set(offset_of!(Header, objects_used) as u64, used + 1)
        } else {
            set(offset_of!(Header, object_free) as u64, slot.next_free.load(Ordering::Relaxed))
        };
        let id = ObjectId { index: index as u32, generation };
        let at = self.map.layout.object(index);
        guard.commit(&[
            list,
            set(at + offset_of!(Object, refs) as u64, 1),
            set(entry, super::holds::object_entry(id)),
            set(at + offset_of!(Object, state) as u64, state_word(generation, LIVE)),
        ])?;
        crash_point!("object.created");
        Ok(id)
    }

    /// Takes objects apart whose last handle is gone, and those that only they held.
    pub(crate) fn reap_all(&self, mut dying: Vec<u64>) -> Result<(), ArenaError> {
        while let Some(index) = dying.pop() {
            self.reap(index as u32, &mut dying)?;
        }
        Ok(())
    }

    fn reap(&self, index: u32, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
        crash_point!("object.dying");
        let slot = self.object(index)?;
        let generation = (slot.state.load(Ordering::Acquire) >> 8) as u32;
        let id = ObjectId { index, generation };
        let mut sink = Vec::new();
        while slot.is_ring()
            && let Some(message) = self.pop_left(slot, id, &mut sink)?
        {
            sink.clear();
            self.free_left(message.popped.left)?;
            if let Some(b) = message.popped.block {
                self.desc(b.at)?.owner.store(super::blocks::owned(self.me()?), Ordering::Release);
                self.free_block_into(b.at, dying)?;
            }
        }
        crash_point!("object.drained");
        if slot.has_value() {
            self.strip_cell(index, dying)?;
        } else {
            self.strip(slot, index)?;
        }
        if slot.is_stock() {
            self.strip_stock(index, dying)?;
        }
        let guard = self.guard()?;
        let at = self.map.layout.object(u64::from(index));
        let free = self.header().object_free.load(Ordering::Relaxed);
        guard.commit(&[
            set(at + offset_of!(Object, next_free) as u64, free),
            set(at + offset_of!(Object, state) as u64, state_word(generation, FREE)),
            set(at + offset_of!(Object, reaper) as u64, 0),
            set(offset_of!(Header, object_free) as u64, u64::from(index) + 1),
        ])?;
        crash_point!("object.freed");
        Ok(())
    }

    /// Frees the list of bells or the memory of an object, and the last segment of an empty ring.
    fn strip(&self, slot: &Object, index: u32) -> Result<(), ArenaError> {
        let mine = super::blocks::owned(self.me()?);
        let desc_owner = |at: u64| self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64;
        let base = self.map.layout.object(u64::from(index));
        let bells = slot.bells.load(Ordering::Relaxed);
        if bells != 0 {
            self.desc(bells)?;
            let guard = self.guard()?;
            guard.commit(&[
                set(base + offset_of!(Object, bells) as u64, 0),
                set(desc_owner(bells), mine),
            ])?;
            drop(guard);
            self.free_block(bells)?;
        }
        if !slot.is_ring() {
            return Ok(());
        }
        let last = slot.tail.cursor();
        if last.0 != 0 {
            let segment = last.segment();
            self.desc(segment)?;
            let guard = self.guard()?;
            let mut changes = vec![set(desc_owner(segment), mine)];
            for word in inspect::cursor_words(&slot.head, &slot.tail) {
                let inside = std::ptr::from_ref(word) as usize - std::ptr::from_ref(slot) as usize;
                changes.push(set(base + inside as u64, 0));
            }
            guard.commit(&changes)?;
            drop(guard);
            crash_point!("object.stripped");
            self.free_block(segment)?;
        }
        Ok(())
    }
}

impl Object {
    /// Of a slot whose own words are zero: an empty ring, a free lock, no bytes.
    fn reset(&self, kind: Kind, limits: Limits) {
        self.kind.store(kind as u64, Ordering::Relaxed);
        self.capacity[0].store(limits.messages, Ordering::Relaxed);
        self.capacity[1].store(limits.bytes, Ordering::Relaxed);
        self.closed.store(0, Ordering::Relaxed);
    }

    /// Generation and state.
    pub(crate) fn life(&self) -> (u32, u64) {
        let word = self.state.load(Ordering::Acquire);
        ((word >> 8) as u32, word & 0xff)
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind.load(Ordering::Relaxed) == kind as u64
    }

    /// Whether messages go through it.
    pub(crate) fn is_ring(&self) -> bool {
        self.is(Kind::Queue) || self.is(Kind::Pipe)
    }

    pub(crate) fn limits(&self) -> Limits {
        let [messages, bytes] = self.capacity.each_ref().map(|c| c.load(Ordering::Relaxed));
        Limits { messages, bytes }
    }

    /// Whether it is made of blocks.
    pub(crate) fn is_stock(&self) -> bool {
        Kind::STOCKS.into_iter().any(|kind| self.is(kind))
    }

    /// Whether it is a lock with a value.
    pub(crate) fn has_value(&self) -> bool {
        self.is(Kind::Mutex) || self.is(Kind::RwLock)
    }

    /// Whether what is in it is dropped.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.closed.load(Ordering::Acquire) >= CUT
    }

    /// How many messages were ever put, but for those that were dropped.
    pub(crate) fn accepted(&self) -> u64 {
        if self.is_cut() { self.cut.load(Ordering::Relaxed) } else { self.tail.count() }
    }

    /// Messages in it, exact at an instant of the call.
    pub(crate) fn len(&self) -> u64 {
        if self.is_cut() { 0 } else { inspect::len(&self.head, &self.tail) }
    }
}
