//! The ring's memory: segments are blocks that belong to the queue, by the notes on them.

use std::cell::Cell;
use std::ptr::NonNull;

use super::blocks::{TRANSIT, owned, owner_of, transit};
use super::family::Inner;
use super::layout::pool::WorkerSlot;
use super::layout::{Object, PAGE};
use super::map::corrupt;
use super::objects::ObjectId;
use crate::error::ArenaError;
use crate::lock::{Held, Serial};
use crate::ring::fifo::{BlockRef, Cursor, Memory, Popped};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

const MAX_SEGMENT: u64 = 1 << 20;

/// One queue's segments, as one participant uses them.
#[derive(Debug)]
pub(crate) struct RingMemory<'a> {
    pub(crate) inner: &'a Inner,
    slot: &'a Object,
    pub(crate) id: ObjectId,
    pub(crate) me: Serial,
    /// Where the block of the message being popped is mapped.
    mapped: Cell<Option<NonNull<u8>>>,
}

/// A message taken out, whose block (if any) is mapped but not yet marked as owned.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) popped: Popped,
    pub(crate) mapped: Option<NonNull<u8>>,
}

impl<'a> RingMemory<'a> {
    pub(crate) fn new(
        inner: &'a Inner,
        slot: &'a Object,
        id: ObjectId,
        me: Serial,
    ) -> RingMemory<'a> {
        RingMemory { inner, slot, id, me, mapped: Cell::new(None) }
    }
}

impl Memory for RingMemory<'_> {
    type Error = ArenaError;

    #[inline]
    fn load(&self, at: u64) -> Result<u64, ArenaError> {
        Ok(self.inner.map.word(at)?.load(Ordering::Relaxed))
    }

    #[inline]
    fn store(&self, at: u64, value: u64) -> Result<(), ArenaError> {
        self.inner.map.word(at)?.store(value, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn copy_in(&self, at: u64, bytes: &[u8]) -> Result<(), ArenaError> {
        self.inner.map.copy_in(at, bytes)
    }

    #[inline]
    fn copy_out(&self, at: u64, len: usize, out: &mut Vec<u8>) -> Result<(), ArenaError> {
        self.inner.map.copy_out(at, len, out)
    }

    #[inline]
    fn check(&self, c: Cursor) -> Result<(), ArenaError> {
        let ok = (12..=20).contains(&c.log2())
            && c.at().is_multiple_of(8)
            && c.at() >= self.inner.map.layout.data
            && c.end() <= self.inner.map.layout.size;
        if ok { Ok(()) } else { Err(corrupt(format!("the ring's cursor {:#x}", c.0))) }
    }

    fn note_given(&self, segment: Cursor, n: u64) -> Result<(), ArenaError> {
        self.slot.pending[1].store(segment.segment(), Ordering::Relaxed);
        self.inner.note_given(segment.segment(), self.id, n, self.me)
    }

    fn note_left(&self, segment: Cursor, n: u64) -> Result<(), ArenaError> {
        self.inner.note_taken(segment.segment(), n, self.me)
    }

    fn note_taken(&self, block: BlockRef, n: u64) -> Result<(), ArenaError> {
        self.inner.check_block(block)?;
        self.inner.check_given(block, self.id, n)?;
        // Mapped before the commit: where there is no address space the message stays.
        self.mapped.set(Some(self.inner.map_block(block.at, block.len)?));
        self.inner.note_taken(block.at, n, self.me)
    }

    fn corrupt(&self, what: &'static str) -> ArenaError {
        corrupt(format!("queue {}: {what}", self.id.index))
    }
}

impl Inner {
    /// Takes a queue's tail lock. What a dead owner had noted as given, and did not commit, is its own
    /// again: the number of its message goes to the next one.
    #[inline]
    pub(crate) fn lock_tail<'a>(
        &'a self,
        slot: &'a Object,
        id: ObjectId,
        me: Serial,
    ) -> Result<Held<'a, Inner>, ArenaError> {
        let held = slot.tail_lock.lock(me, self);
        if held.inherited && slot.is_ring() {
            self.resolve_pending(slot, id)?;
        }
        Ok(held)
    }

    #[cold]
    fn resolve_pending(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        for pending in &slot.pending {
            let at = pending.load(Ordering::Relaxed);
            if at == 0 {
                continue;
            }
            let desc = self.desc(at)?;
            let (giver, _, state) = owner_of(desc.owner.load(Ordering::Acquire));
            if state == TRANSIT
                && desc.queue.load(Ordering::Relaxed) == id.pack()
                && desc.given.load(Ordering::Relaxed) == slot.tail.count()
            {
                desc.owner.store(owned(giver), Ordering::Release);
            }
        }
        Ok(())
    }

    /// Notes, before the commit, that message `n` gives the block to the queue.
    pub(crate) fn note_given(
        &self,
        at: u64,
        id: ObjectId,
        n: u64,
        me: Serial,
    ) -> Result<(), ArenaError> {
        let desc = self.desc(at)?;
        desc.taker.store(0, Ordering::Relaxed);
        desc.queue.store(id.pack(), Ordering::Relaxed);
        desc.given.store(n, Ordering::Relaxed);
        desc.owner.store(transit(me), Ordering::Release);
        Ok(())
    }

    /// Checks that message `n` does give that block to the queue: a record that names another one
    /// would make two processes its owners, each of which may see its bytes as its own.
    pub(crate) fn check_given(
        &self,
        block: BlockRef,
        id: ObjectId,
        n: u64,
    ) -> Result<(), ArenaError> {
        let desc = self.desc(block.at)?;
        let state = owner_of(desc.owner.load(Ordering::Acquire)).2;
        let given = (desc.queue.load(Ordering::Relaxed), desc.given.load(Ordering::Relaxed));
        if state == TRANSIT && given == (id.pack(), n) {
            return Ok(());
        }
        Err(corrupt(format!("message {n} names a block that it does not bring")))
    }

    /// Takes the note back: the message was not committed.
    pub(crate) fn note_kept(&self, at: u64, me: Serial) -> Result<(), ArenaError> {
        self.desc(at)?.owner.store(owned(me), Ordering::Release);
        Ok(())
    }

    fn note_taken(&self, at: u64, n: u64, me: Serial) -> Result<(), ArenaError> {
        let desc = self.desc(at)?;
        desc.taken.store(n, Ordering::Relaxed);
        desc.taker.store(u64::from(me), Ordering::Release);
        Ok(())
    }

    /// A fresh segment of about `size` bytes.
    pub(crate) fn new_segment(&self, size: u64) -> Result<Cursor, ArenaError> {
        let size = size.next_power_of_two().clamp(PAGE, MAX_SEGMENT);
        let at = self.alloc_block(size)?;
        Ok(Cursor::new(at, size.trailing_zeros()))
    }

    /// Frees the segment that a pop left behind.
    pub(crate) fn free_left(&self, left: Option<Cursor>) -> Result<(), ArenaError> {
        if let Some(left) = left {
            self.desc(left.segment())?.owner.store(owned(self.me()?), Ordering::Release);
            self.free_block(left.segment())?;
            crash_point!("get.segment_freed");
        }
        Ok(())
    }

    /// Takes the next message out as worker `index` of a pool, and says the message's number, which
    /// stands in the worker's slot before the head moves.
    ///
    /// Who is killed between the two leaves its claim on a message that is still there. The head's
    /// claimant says so: the next one finds that worker through `others` and takes the claim back.
    pub(crate) fn pop_noting(
        &self,
        slot: &Object,
        id: ObjectId,
        out: &mut Vec<u8>,
        (index, worker): (u32, &WorkerSlot),
        others: impl Fn(u32) -> Option<&'static WorkerSlot>,
    ) -> Result<Option<(u64, Taken)>, ArenaError> {
        let me = self.me()?;
        let mem = RingMemory::new(self, slot, id, me);
        let held = slot.head_lock.lock(me, self);
        let n = slot.head.count();
        resolve_claim(slot, n, others);
        if slot.tail.count() == n {
            return Ok(None);
        }
        slot.claimant.store(index + 1, Ordering::Relaxed);
        worker.intended.store(n + 1, Ordering::Release);
        crash_point!("pool.intended");
        let popped = slot.head.pop(&mem, &slot.tail, out);
        if !matches!(popped, Ok(Some(_))) {
            worker.intended.store(0, Ordering::Relaxed);
        }
        slot.claimant.store(0, Ordering::Release);
        drop(held);
        let Some(popped) = popped? else {
            return Ok(None);
        };
        crash_point!("pool.taken");
        Ok(Some((n, Taken { popped, mapped: mem.mapped.get() })))
    }

    /// The number of the task that a worker took which has ended, and had not finished.
    pub(crate) fn claimed_by(
        &self,
        slot: &Object,
        worker: &WorkerSlot,
        others: impl Fn(u32) -> Option<&'static WorkerSlot>,
    ) -> Result<Option<u64>, ArenaError> {
        let _held = slot.head_lock.lock(self.me()?, self);
        resolve_claim(slot, slot.head.count(), others);
        Ok(worker.intended.load(Ordering::Acquire).checked_sub(1))
    }

    /// Takes the next message out; its inline bytes are appended to `out`.
    #[inline]
    pub(crate) fn pop(
        &self,
        slot: &Object,
        id: ObjectId,
        out: &mut Vec<u8>,
    ) -> Result<Option<Taken>, ArenaError> {
        self.pop_if(slot, id, out, || !slot.is_cut())
    }

    /// The same of a ring that may be cut: what is left there is nobody's.
    pub(crate) fn pop_left(
        &self,
        slot: &Object,
        id: ObjectId,
        out: &mut Vec<u8>,
    ) -> Result<Option<Taken>, ArenaError> {
        self.pop_if(slot, id, out, || true)
    }

    #[inline]
    fn pop_if(
        &self,
        slot: &Object,
        id: ObjectId,
        out: &mut Vec<u8>,
        may: impl Fn() -> bool,
    ) -> Result<Option<Taken>, ArenaError> {
        let me = self.me()?;
        let mem = RingMemory::new(self, slot, id, me);
        let held = slot.head_lock.lock(me, self);
        crash_point!("get.start");
        if !may() {
            return Ok(None);
        }
        let popped = slot.head.pop(&mem, &slot.tail, out);
        drop(held);
        let Some(popped) = popped? else {
            return Ok(None);
        };
        crash_point!("get.unlocked");
        Ok(Some(Taken { popped, mapped: mem.mapped.get() }))
    }
}

/// Under the head lock: takes back the claim of a worker that was killed before message `n`, which it
/// claimed, was out.
fn resolve_claim(slot: &Object, n: u64, others: impl Fn(u32) -> Option<&'static WorkerSlot>) {
    let claimant = slot.claimant.load(Ordering::Acquire);
    if claimant == 0 {
        return;
    }
    if let Some(dead) = others(claimant - 1)
        && dead.intended.load(Ordering::Acquire) == n + 1
    {
        dead.intended.store(0, Ordering::Release);
    }
    crash_point!("pool.claim_resolved");
    slot.claimant.store(0, Ordering::Release);
}
