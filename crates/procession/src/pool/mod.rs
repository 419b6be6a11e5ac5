//! Tasks for worker processes, and their results.
//!
//! [`Pool`] calls functions of this program in other processes. The rest of this page is about what it is
//! made of, which is for those who build one of their own (Python's is over the same).
//!
//! One process owns the pool: it pushes tasks, takes reports and sees to it that there are workers. A
//! *task* is a message with some *items*; a worker takes it, says at which item it is, and reports
//! each item's outcome. What a task and an outcome mean is the caller's.
//!
//! # When a worker dies
//! What it did is known exactly: the outcomes that it had reported or logged, the item at which it
//! was, and what it had not begun. [`RawPool::bury`] says so, once its process has ended. Nothing is
//! decided here: the caller declares the item lost, or pushes it again, and pushes the rest again.
//!
//! # When the owner dies
//! A worker that waits learns it from [`RawWorker::is_orphan`].

mod board;
mod report;
mod typed;
mod worker;

use std::fmt;
use std::time::Instant;

pub use board::{Phase, Step};
pub use report::{Arrived, Entries, Entry, Report};
pub use typed::{
    CallStats, Calls, Ordered, Pool, PoolBuilder, PoolError, PoolStats, Scope, Task, TaskError,
    TaskId, TaskOptions, Unordered, WorkerStats,
};
pub use worker::{RawTask, RawWorker, Spent};

use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::{Channel, End, Refusal};
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::{Limits, Record};
use crate::sys::atomic::Ordering;
use crate::wait::{Futex, Wait};
use board::{Board, LOG, Progress};

const UNBOUNDED: Limits = Limits { messages: 0, bytes: 0 };

/// A pool, as the process sees it that owns it.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Family;
/// use procession::pool::{RawPool, RawWorker, Report};
///
/// let pool = RawPool::create(Family::current()?, 1)?;
/// assert_eq!(pool.push(1, b"two items", None).unwrap(), 0);
///
/// let worker = RawWorker::from_handle(&pool.handle(0))?; // in another process, as a rule
/// worker.ready();
/// let mut bytes = Vec::new();
/// let task = worker.take(&mut bytes)?.unwrap();
/// assert_eq!((task.number, &bytes[..]), (0, &b"two items"[..]));
/// for item in 0..2 {
///     assert!(worker.start(item).is_some());
///     assert!(worker.log(item, 7, b"done", false)?);
/// }
/// assert!(worker.finish(task.number, std::time::Duration::ZERO)?);
///
/// let report = pool.try_report(&mut bytes)?.unwrap();
/// assert!(report.task == 0 && matches!(report.what, Report::Log { finished: true, .. }));
/// # Ok(()) }
/// ```
pub struct RawPool {
    tasks: Channel,
    reports: Channel,
    board: Board,
    owner: Serial,
}

impl fmt::Debug for RawPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPool")
            .field("workers", &self.workers())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A task was not pushed; the block comes back.
#[derive(Debug)]
pub struct PushError(pub ArenaError, pub Option<Block>);

/// What a worker is at: a glance, of which each part is from its own moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// How far its process has come.
    pub phase: Phase,
    /// Its process id; 0 while nobody is there.
    pub pid: u32,
    /// The task that it has.
    pub task: Option<u64>,
    /// How far it has come in it.
    pub step: Step,
    /// For how many milliseconds it has been at that; the clock has a tick of some.
    pub age_ms: u64,
    /// How many tasks were done in this slot, by all who ever had it.
    pub tasks: u64,
    /// How many items.
    pub items: u64,
    /// Nanoseconds spent in tasks.
    pub busy_ns: u64,
    /// Nanoseconds of these spent in unpacking them and packing what came out.
    pub coding_ns: u64,
    /// Nanoseconds spent in waiting for tasks.
    pub waited_ns: u64,
}

/// What a worker has left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// How far its process had come.
    pub phase: Phase,
    /// The task that it had.
    pub task: Option<u64>,
    /// How far it had come in it.
    pub step: Step,
    /// Whether that step was condemned: see [`RawPool::condemn`].
    pub condemned: bool,
    /// Outcomes that it had logged and perhaps not reported: see [`Entries`].
    pub log: Vec<u8>,
}

impl RawPool {
    /// The longest prefix that a task may have beside an inline part of 32 KiB.
    pub const PREFIX_MAX: usize = crate::ring::fifo::PREFIX_MAX;
    /// How many workers a pool may have.
    pub const MAX_WORKERS: u32 = board::MAX_WORKERS;

    /// A pool with places for so many workers.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Panics
    /// If it is none, or more than [`RawPool::MAX_WORKERS`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, pool::RawPool};
    /// assert_eq!(RawPool::create(Family::current()?, 4)?.workers(), 4);
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, workers: u32) -> Result<RawPool, ArenaError> {
        Ok(RawPool {
            owner: family.inner().me()?,
            tasks: Channel::create(family, Kind::Queue, UNBOUNDED)?,
            reports: Channel::create(family, Kind::Queue, UNBOUNDED)?,
            board: Board::create(family, workers)?,
        })
    }

    /// How many workers it has places for.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.board.workers
    }

    /// Whether this process made it, and is not a fork of the one that did.
    #[inline]
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.board.inner().me_or_zero() == self.owner
    }

    /// Bytes by which a process becomes worker `index`: see [`RawWorker::from_handle`]. They do not
    /// keep the pool alive; [`RawPool::leases`] do.
    #[must_use]
    pub fn handle(&self, index: u32) -> Vec<u8> {
        let mut bytes = index.to_le_bytes().to_vec();
        bytes.extend(self.tasks.handle());
        bytes.extend(self.reports.handle());
        bytes.extend(crate::handle::encode(&self.board.lease));
        bytes
    }

    /// What keeps the pool alive for a worker that is being started.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        vec![self.tasks.lease.clone(), self.reports.lease.clone(), self.board.lease.clone()]
    }

    /// The family that it belongs to.
    #[must_use]
    pub fn family(&self) -> Family {
        self.board.lease.family()
    }

    /// Pushes a task, and says its number: how many were pushed before it. `kind` is 1 to 7.
    ///
    /// # Errors
    /// [`PushError`], with the block.
    ///
    /// # Panics
    /// If the message is not one: see [`RawQueue::try_put`](crate::RawQueue::try_put). Its inline part
    /// may be longer by [`RawPool::PREFIX_MAX`].
    pub fn push(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<u64, PushError> {
        let n = push(&self.tasks, kind, inline, block)?;
        self.tasks.slot().items.wake_one(&Futex);
        Ok(n)
    }

    /// How many tasks wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.tasks.len()
    }

    /// Takes the next report; `inline` gets what belongs to it.
    ///
    /// # Errors
    /// [`ArenaError`]: the arena is damaged, or a block cannot be mapped.
    pub fn try_report(&self, inline: &mut Vec<u8>) -> Result<Option<Arrived>, ArenaError> {
        match self.reports.pop(inline)? {
            Some(message) => Arrived::read(message, inline).map(Some),
            None => Ok(None),
        }
    }

    /// Whether there is a report.
    #[must_use]
    pub fn has_report(&self) -> bool {
        self.reports.has_items()
    }

    /// Waits until there may be a report or `ready`, the deadline passes, a signal comes, or a slice
    /// of 250 ms is over. Who makes `ready` true calls [`RawPool::wake`].
    #[must_use]
    pub fn wait_for_report(&self, deadline: Option<Instant>, ready: impl Fn() -> bool) -> Wait {
        self.reports.wait_for_item(deadline, || self.reports.has_items() || ready())
    }

    /// Wakes all who wait for reports.
    pub fn wake(&self) {
        self.reports.slot().items.wake_all(&Futex);
    }

    /// Has workers pass over what they have not begun of a call: see [`RawWorker::is_cancelled`]. Of
    /// the calls that were cancelled the last 30 are remembered. One thread at a time.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, pool::{RawPool, RawWorker}};
    /// # let pool = RawPool::create(Family::current()?, 1)?;
    /// let worker = RawWorker::from_handle(&pool.handle(0))?;
    /// assert!(!worker.is_cancelled(7));
    /// pool.cancel(7);
    /// assert!(worker.is_cancelled(7) && !worker.is_cancelled(8));
    /// (10..39).for_each(|call| pool.cancel(call));
    /// assert!(worker.is_cancelled(7) && worker.is_cancelled(38));
    /// pool.cancel(39);
    /// assert!(!worker.is_cancelled(7) && worker.is_cancelled(39));
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self, call: u64) {
        self.board.cancel(call);
    }

    /// No more tasks are to come: a worker that finds none ends.
    pub fn close(&self) {
        self.tasks.slot().closed.store(1, Ordering::SeqCst);
        self.tasks.slot().items.wake_all(&Futex);
    }

    /// Whether the owner's end of the tasks ([`End::Tail`]) or of the reports ([`End::Head`]) is held up
    /// by another process for longer than a short spin: see
    /// [`RawQueue::is_stuck`](crate::RawQueue::is_stuck).
    #[inline]
    #[must_use]
    pub fn is_stuck(&self, end: End) -> bool {
        self.own(end).is_stuck(end)
    }

    /// Sleeps until it is not.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.own(end).settle(end)
    }

    fn own(&self, end: End) -> &Channel {
        match end {
            End::Tail => &self.tasks,
            End::Head => &self.reports,
        }
    }

    /// What a worker is at.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn view(&self, index: u32) -> View {
        let slot = self.board.slot(index).expect("a worker of this pool");
        let task = slot.intended.load(Ordering::Acquire).checked_sub(1);
        let progress = Progress(slot.progress.load(Ordering::Acquire));
        let since = slot.since.load(Ordering::Relaxed);
        View {
            phase: Phase::of(slot),
            pid: slot.pid.load(Ordering::Relaxed) as u32,
            task,
            step: task.filter(|&n| progress.is_of(n)).map_or(Step::Nowhere, |_| progress.step()),
            age_ms: crate::sys::clock::coarse_ms().saturating_sub(since),
            tasks: slot.tasks.load(Ordering::Relaxed),
            items: slot.items.load(Ordering::Relaxed),
            busy_ns: slot.busy.load(Ordering::Relaxed),
            coding_ns: slot.coding.load(Ordering::Relaxed),
            waited_ns: slot.waited.load(Ordering::Relaxed),
        }
    }

    /// Forbids a worker to go on after this step of this task. False if it is there no more.
    ///
    /// After it the worker may be killed: what it is killed in is this step, or nothing.
    #[must_use]
    pub fn condemn(&self, index: u32, task: u64, step: Step) -> bool {
        let Some(slot) = self.board.slot(index) else {
            return false;
        };
        let there = Progress::new(task, step);
        slot.progress
            .compare_exchange(there.0, there.condemned().0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
            && slot.intended.load(Ordering::Acquire) == task + 1
    }

    /// Takes the remains of a worker whose process has ended, and makes its slot free for another.
    ///
    /// All reports that it had handed in can be had by then: take them first.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Panics
    /// If there is no such worker.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, pool::{RawPool, RawWorker, Step}};
    /// # let pool = RawPool::create(Family::current()?, 1)?;
    /// pool.push(1, b"three items", None).unwrap();
    /// let worker = RawWorker::from_handle(&pool.handle(0))?;
    /// worker.take(&mut Vec::new())?;
    /// assert!(worker.start(0).is_some() && worker.log(0, 0, b"", false)? && worker.start(1).is_some());
    /// drop(worker); // and its process is killed
    /// let remains = pool.bury(0)?;
    /// assert_eq!((remains.task, remains.step), (Some(0), Step::Item(1)));
    /// # Ok(()) }
    /// ```
    pub fn bury(&self, index: u32) -> Result<Remains, ArenaError> {
        let slot = self.board.slot(index).expect("a worker of this pool");
        let task =
            self.board.inner().claimed_by(self.tasks.slot(), slot, |i| self.board.slot(i))?;
        let progress = Progress(slot.progress.load(Ordering::Acquire));
        let begun = task.is_some_and(|n| progress.is_of(n));
        let mut log = Vec::new();
        let logged = slot.logged.load(Ordering::Acquire);
        if begun && logged <= LOG {
            self.board.inner().map.copy_out(self.board.log(index), logged as usize, &mut log)?;
        }
        let remains = Remains {
            phase: Phase::of(slot),
            task,
            step: if begun { progress.step() } else { Step::Nowhere },
            condemned: begun && progress.is_condemned(),
            log,
        };
        for word in [&slot.phase, &slot.pid, &slot.progress, &slot.logged, &slot.intended] {
            word.store(0, Ordering::Release);
        }
        Ok(remains)
    }
}

/// Pushes a message. Whom it wakes is the caller's.
fn push(
    channel: &Channel,
    kind: u8,
    inline: &[u8],
    block: Option<Block>,
) -> Result<u64, PushError> {
    channel.check_prefixed(kind, inline, block.as_ref());
    let record = Record { kind, inline, block: block.as_ref().map(Block::reference) };
    let pushed = channel.with_segments(|fresh| channel.push(&record, fresh, || Ok(())));
    let n = match pushed {
        Ok(n) => n,
        Err(Refusal::Arena(e)) => return Err(PushError(e, block)),
        Err(_) => unreachable!("neither bounded nor stopped"),
    };
    if let Some(b) = block {
        b.given_away();
    }
    Ok(n)
}
