//! The memory of a pool: a header, a slot for each worker, and a log for each worker.
//!
//! The words of a slot say which worker has which task, so that whoever survives can tell:
//!
//! - `intended` is the task, plus one, from before the queue's head moves until all its results are
//!   reported. A claim on a message that stayed in the queue is taken back (`pop_noting`).
//! - `progress` is how far it has come: unpacking the task, or at its `n`th item. It carries the
//!   task's number as well, and a bit by which the pool's owner *condemns* exactly this step: the
//!   worker moves on by compare-and-swap, and who is condemned moves no further. So a worker that is
//!   killed for an item's sake is never killed in the midst of the next.
//! - `logged` is how many bytes of the worker's log are results which stand nowhere else. It grows by
//!   one store when a result is whole, and is zero again when the results are in the queue. Who is
//!   killed between these two leaves them twice: the first outcome of an item counts.
//!
//! Each word has one writer (the worker, or after its end the owner), but for the condemned bit.
//!
//! The header names the calls that were cancelled last, so that workers pass over their items. It is a
//! hint: what another name has displaced is done as if nobody had said anything.

use crate::arena::family::{Family, Inner};
use crate::arena::layout::pool::{PoolHead, WorkerSlot};
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::sys::atomic::Ordering;

/// Bytes of a worker's log.
pub(super) const LOG: u64 = 16 << 10;
const SLOT: u64 = size_of::<WorkerSlot>() as u64;
/// So many workers at most: the board must fit into an extent.
pub(super) const MAX_WORKERS: u32 = 2048;

/// A pool's memory, as one process sees it.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) lease: Lease,
    at: u64,
    pub(super) workers: u32,
}

impl Board {
    pub(super) fn create(family: Family, workers: u32) -> Result<Board, ArenaError> {
        assert!((1..=MAX_WORKERS).contains(&workers), "{workers} workers");
        let inner = family.inner();
        let lease = Lease::create_memory(inner, SLOT + u64::from(workers) * (SLOT + LOG))?;
        let board = Board { at: lease.offset()?, lease, workers };
        board.head()?.owner.store(u64::from(inner.me()?), Ordering::Relaxed);
        Ok(board)
    }

    pub(super) fn from_handle(bytes: &[u8]) -> Result<Board, HandleError> {
        let lease = crate::handle::open(bytes)?;
        let len = lease.slot.limits().bytes;
        if !lease.slot.is(Kind::Memory) || len < 2 * SLOT + LOG {
            return Err(HandleError::Malformed);
        }
        let workers = ((len - SLOT) / (SLOT + LOG)).min(u64::from(MAX_WORKERS)) as u32;
        Ok(Board { at: lease.offset()?, lease, workers })
    }

    pub(super) fn inner(&self) -> &'static Inner {
        self.lease.inner
    }

    pub(super) fn head(&self) -> Result<&'static PoolHead, ArenaError> {
        self.inner().map.at(self.at)
    }

    /// Notes that the items of a call are to be passed over.
    pub(super) fn cancel(&self, call: u64) {
        let Ok(head) = self.head() else { return };
        let n = head.cancellations.load(Ordering::Relaxed) as usize % head.cancelled.len();
        head.cancelled[n].store(call + 1, Ordering::Relaxed);
        // Pairs with the load in `RawWorker::is_cancelled`: who sees the count sees the name.
        head.cancellations.fetch_add(1, Ordering::Release);
    }

    pub(super) fn owner_is_dead(&self) -> bool {
        let owner = self.head().map_or(0, |head| head.owner.load(Ordering::Relaxed) as Serial);
        self.inner().serial_is_dead(owner)
    }

    /// A worker's slot; `None` if there is no such worker.
    pub(super) fn slot(&self, index: u32) -> Option<&'static WorkerSlot> {
        if index >= self.workers {
            return None;
        }
        self.inner().map.at(self.at + SLOT * (1 + u64::from(index))).ok()
    }

    /// Where a worker's log begins.
    pub(super) fn log(&self, index: u32) -> u64 {
        self.at + SLOT * (1 + u64::from(self.workers)) + LOG * u64::from(index)
    }
}

/// How far a worker's process has come.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::pool::{Phase, RawPool};
/// let pool = RawPool::create(procession::Family::current()?, 1)?;
/// assert_eq!(pool.view(0).phase, Phase::Absent);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Nobody has the slot, or is not yet there.
    Absent = 0,
    /// It is there, and sets itself up.
    Starting = 1,
    /// It takes tasks.
    Ready = 2,
    /// It has said that it ends, between two tasks.
    Leaving = 3,
}

impl Phase {
    pub(super) fn of(slot: &WorkerSlot) -> Phase {
        match slot.phase.load(Ordering::Acquire) {
            1 => Phase::Starting,
            2 => Phase::Ready,
            3 => Phase::Leaving,
            _ => Phase::Absent,
        }
    }
}

/// How far a worker has come in its task.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::pool::{RawPool, Step};
/// let pool = RawPool::create(procession::Family::current()?, 1)?;
/// assert_eq!(pool.view(0).step, Step::Nowhere);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has not begun, or it has no task.
    Nowhere,
    /// It unpacks the task.
    Unpacking,
    /// It is at this item.
    Item(u32),
}

const CONDEMNED: u64 = 1;
/// Steps: 0 is none, 1 unpacking, `n + 2` item `n`.
const STEP_SHIFT: u32 = 1;
const STEPS: u64 = 0x7fff_ffff;

/// A progress word: `task << 32 | step << 1 | condemned`, of which the task is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress(pub(super) u64);

impl Progress {
    pub(super) fn new(task: u64, step: Step) -> Progress {
        let step = match step {
            Step::Nowhere => 0,
            Step::Unpacking => 1,
            Step::Item(n) => u64::from(n) + 2,
        };
        Progress(task << 32 | (step & STEPS) << STEP_SHIFT)
    }

    pub(super) fn is_of(self, task: u64) -> bool {
        self.0 >> 32 == task & u64::from(u32::MAX)
    }

    pub(super) fn condemned(self) -> Progress {
        Progress(self.0 | CONDEMNED)
    }

    pub(super) fn is_condemned(self) -> bool {
        self.0 & CONDEMNED != 0
    }

    pub(super) fn step(self) -> Step {
        match self.0 >> STEP_SHIFT & STEPS {
            0 => Step::Nowhere,
            1 => Step::Unpacking,
            n => Step::Item((n - 2) as u32),
        }
    }
}
