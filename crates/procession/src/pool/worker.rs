//! A pool, as one of its workers sees it.

use std::fmt;
use std::time::{Duration, Instant};

use super::board::{Board, LOG, Phase, Progress, Step};
use super::report::{ENTRY, HEAD, LOG_KIND, OPEN, RUN, entry_head, log_head, single_head};
use super::{PushError, push};
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::layout::pool::{PoolHead, WorkerSlot};
use crate::arena::objects::Kind;
use crate::channel::{Channel, End, Received};
use crate::error::{ArenaError, HandleError};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::fault::crash_point;
use crate::sys::{clock, process};
use crate::wait::{Futex, Wait};

/// A task that this worker has taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawTask {
    /// How many were pushed before it.
    pub number: u64,
    /// Its message.
    pub message: Received,
}

/// Where the time of a task went.
#[derive(Debug, Default, Clone, Copy)]
pub struct Spent {
    /// From when it was taken to its end.
    pub busy: Duration,
    /// Of that: in unpacking it, and in packing what came out.
    pub coding: Duration,
    /// In waiting for it.
    pub waited: Duration,
}

/// One worker of a pool: used by one thread at a time.
///
/// The example of [`RawPool`](super::RawPool) shows it at work. None of its methods but
/// [`RawWorker::wait_for_task`] waits for another process.
pub struct RawWorker {
    tasks: Channel,
    reports: Channel,
    board: Board,
    index: u32,
    slot: &'static WorkerSlot,
    head: &'static PoolHead,
    /// What the progress word says, unless it is condemned.
    progress: AtomicU64,
    run: Run,
}

/// The run at the end of the log, which the next outcome may join. One thread uses it.
#[derive(Default)]
struct Run {
    /// Where its entry begins.
    at: AtomicU64,
    /// Its first item.
    first: AtomicU64,
    /// Who may join it: see [`Run::key`]; 0 if there is none.
    next: AtomicU64,
}

impl Run {
    #[inline]
    fn key(item: u64, tag: u8) -> u64 {
        1 << 63 | item << 8 | u64::from(tag)
    }
}

impl fmt::Debug for RawWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWorker").field("index", &self.index).finish_non_exhaustive()
    }
}

impl RawWorker {
    /// Becomes the worker that a handle of [`RawPool::handle`](super::RawPool::handle) names.
    ///
    /// # Errors
    /// [`HandleError`] if the bytes are no such handle, or the pool is gone.
    ///
    /// # Examples
    /// ```
    /// assert!(procession::pool::RawWorker::from_handle(b"no handle").is_err());
    /// ```
    pub fn from_handle(bytes: &[u8]) -> Result<RawWorker, HandleError> {
        let (index, rest) = bytes.split_first_chunk().ok_or(HandleError::Malformed)?;
        let index = u32::from_le_bytes(*index);
        let part = |n: usize| {
            let len = crate::handle::LEN;
            rest.get(n * len..(n + 1) * len).ok_or(HandleError::Malformed)
        };
        let board = Board::from_handle(part(2)?)?;
        let slot = board.slot(index).ok_or(HandleError::Malformed)?;
        let head = board.head()?;
        let tasks = Channel::from_handle(part(0)?, Kind::Queue)?;
        let reports = Channel::from_handle(part(1)?, Kind::Queue)?;
        slot.pid.store(u64::from(process::identity().pid), Ordering::Relaxed);
        slot.phase.store(Phase::Starting as u64, Ordering::Release);
        let progress = AtomicU64::new(0);
        Ok(RawWorker { tasks, reports, board, index, slot, head, progress, run: Run::default() })
    }

    /// The family that it belongs to.
    #[must_use]
    pub fn family(&self) -> Family {
        self.board.lease.family()
    }

    /// Says that it is set up.
    pub fn ready(&self) {
        self.slot.phase.store(Phase::Ready as u64, Ordering::Release);
    }

    /// Says that it ends on purpose, between two tasks.
    pub fn leave(&self) {
        self.slot.phase.store(Phase::Leaving as u64, Ordering::Release);
    }

    /// Takes the next task, if there is one; `inline` gets its inline bytes.
    ///
    /// # Errors
    /// [`ArenaError`] if its block can't be mapped here (it stays in the queue) or the arena is
    /// damaged.
    pub fn take(&self, inline: &mut Vec<u8>) -> Result<Option<RawTask>, ArenaError> {
        if !self.tasks.has_items() {
            inline.clear();
            return Ok(None);
        }
        let board = &self.board;
        let taken = self.tasks.pop_as(self.index, self.slot, |i| board.slot(i), inline)?;
        let Some((number, message)) = taken else {
            return Ok(None);
        };
        self.slot.since.store(clock::coarse_ms(), Ordering::Relaxed);
        self.set_progress(Progress::new(number, Step::Unpacking));
        crash_point!("pool.started");
        let items = &self.tasks.slot().items;
        if items.has_sleepers() && self.tasks.has_items() {
            items.wake_one(&Futex); // there is work for one more
        }
        Ok(Some(RawTask { number, message }))
    }

    fn set_progress(&self, to: Progress) {
        self.progress.store(to.0, Ordering::Relaxed);
        self.slot.progress.store(to.0, Ordering::Release);
    }

    /// Waits until there may be a task, the pool is closed, the deadline passes, a signal comes, or a
    /// slice of 250 ms is over.
    #[must_use]
    pub fn wait_for_task(&self, deadline: Option<Instant>) -> Wait {
        self.tasks.wait_for_item(deadline, || self.tasks.has_items() || self.is_closed())
    }

    /// Whether no more tasks are to come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tasks.slot().closed.load(Ordering::Relaxed) != 0
    }

    /// Whether the items of a call are to be passed over: see
    /// [`RawPool::cancel`](super::RawPool::cancel).
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self, call: u64) -> bool {
        self.head.cancellations.load(Ordering::Acquire) > 0 && self.is_among_cancelled(call)
    }

    fn is_among_cancelled(&self, call: u64) -> bool {
        self.head.cancelled.iter().any(|word| word.load(Ordering::Relaxed) == call + 1)
    }

    /// Whether the process that owns the pool has ended.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.board.owner_is_dead()
    }

    /// Says that it begins with an item of its task, and gives the time, in milliseconds of a clock
    /// with a tick of some. `None`: it was condemned at the one before, and must end.
    #[inline]
    #[must_use]
    pub fn start(&self, item: u32) -> Option<u64> {
        let seen = self.progress.load(Ordering::Relaxed);
        let next = Progress(seen & !u64::from(u32::MAX) | Progress::new(0, Step::Item(item)).0);
        let now = clock::coarse_ms();
        self.slot.since.store(now, Ordering::Relaxed);
        let moved = self.move_on(next);
        crash_point!("pool.started");
        moved.then_some(now)
    }

    /// False if the step before was condemned.
    #[inline]
    fn move_on(&self, next: Progress) -> bool {
        // One thread works at a time: no need for one instruction.
        let seen = self.progress.load(Ordering::Relaxed);
        self.progress.store(next.0, Ordering::Relaxed);
        let word = &self.slot.progress;
        word.compare_exchange(seen, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Logs an item's outcome, which is from then on not lost if this process is killed. False if
    /// there is no room: [`RawWorker::flush`] makes some. `tag` is less than 128.
    ///
    /// `joins`: its bytes say themselves where they end, so that outcomes with this tag of items that
    /// follow each other need one entry for all: see [`Entry::is_run`](super::Entry::is_run).
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    #[inline]
    pub fn log(&self, item: u32, tag: u8, bytes: &[u8], joins: bool) -> Result<bool, ArenaError> {
        let logged = self.slot.logged.load(Ordering::Relaxed);
        let (map, log) = (&self.board.inner().map, self.board.log(self.index));
        let next = self.run.next.load(Ordering::Relaxed);
        let after = if joins && next == Run::key(u64::from(item), tag) {
            let after = logged.saturating_add(bytes.len() as u64);
            if after > LOG {
                return Ok(false);
            }
            map.copy_in(log + logged, bytes)?;
            after
        } else {
            let after = logged.saturating_add((ENTRY + bytes.len()) as u64);
            if after > LOG {
                return Ok(false);
            }
            if next != 0 {
                self.end_run(logged, next as u8)?;
            }
            let head = if joins {
                self.run.at.store(logged, Ordering::Relaxed);
                self.run.first.store(u64::from(item), Ordering::Relaxed);
                entry_head(item, tag | RUN, OPEN)
            } else {
                entry_head(item, tag, bytes.len())
            };
            map.copy_in_parts(log + logged, [&head, bytes])?;
            after
        };
        let next = if joins { Run::key(u64::from(item) + 1, tag) } else { 0 };
        self.run.next.store(next, Ordering::Relaxed);
        self.slot.logged.store(after, Ordering::Release);
        crash_point!("pool.logged");
        Ok(true)
    }

    /// Writes down where a run ends, since something else follows it. It is what was true before.
    fn end_run(&self, logged: u64, tag: u8) -> Result<(), ArenaError> {
        let at = self.run.at.load(Ordering::Relaxed);
        let len = logged.saturating_sub(at + ENTRY as u64) as usize;
        let head = entry_head(self.run.first.load(Ordering::Relaxed) as u32, tag | RUN, len);
        self.board.inner().map.copy_in(self.board.log(self.index) + at, &head)?;
        crash_point!("pool.run_ended");
        Ok(())
    }

    /// Reports what is logged. `elapsed`: since the task began.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory; what is logged stays so.
    pub fn flush(&self, task: u64, elapsed: Duration) -> Result<(), ArenaError> {
        self.report_log(task, false, elapsed)
    }

    fn report_log(&self, task: u64, finished: bool, elapsed: Duration) -> Result<(), ArenaError> {
        let logged = self.slot.logged.load(Ordering::Relaxed).min(LOG) as usize;
        let mut inline = Vec::with_capacity(HEAD + logged);
        inline.extend_from_slice(&log_head(task, finished, elapsed));
        self.board.inner().map.copy_out(self.board.log(self.index), logged, &mut inline)?;
        push(&self.reports, LOG_KIND, &inline, None).map_err(|PushError(e, _)| e)?;
        self.wake_owner();
        crash_point!("pool.flushed");
        self.run.next.store(0, Ordering::Relaxed);
        self.slot.logged.store(0, Ordering::Release);
        Ok(())
    }

    /// Reports one outcome as a message of its own; `kind` is 1 to 7.
    ///
    /// # Errors
    /// [`PushError`], with the block.
    ///
    /// # Panics
    /// As [`RawPool::push`](super::RawPool::push).
    pub fn report(
        &self,
        (task, item, tag): (u64, u32, u8),
        (kind, inline, block): (u8, &[u8], Option<Block>),
    ) -> Result<(), PushError> {
        let mut bytes = Vec::with_capacity(HEAD + inline.len());
        bytes.extend_from_slice(&single_head(task, item, tag));
        bytes.extend_from_slice(inline);
        push(&self.reports, kind, &bytes, block)?;
        self.wake_owner();
        crash_point!("pool.reported");
        Ok(())
    }

    /// Wakes all of the owner's threads that wait for reports: whose it is they only see together.
    fn wake_owner(&self) {
        self.reports.slot().items.wake_all(&Futex);
    }

    /// Reports what is logged and that the task is done, after `elapsed`: the worker is free. False: it
    /// was condemned at the last item, and must end.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory: call it again.
    pub fn finish(&self, task: u64, elapsed: Duration) -> Result<bool, ArenaError> {
        self.report_log(task, true, elapsed)?;
        if !self.move_on(Progress(0)) {
            return Ok(false); // whoever buries this worker is to find the task
        }
        self.slot.intended.store(0, Ordering::Release);
        crash_point!("pool.finished");
        Ok(true)
    }

    /// Counts a task that was done, for who looks at the pool.
    pub fn count(&self, items: u64, spent: &Spent) {
        let add = |word: &AtomicU64, more: u64| {
            word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.slot.tasks, 1);
        add(&self.slot.items, items);
        add(&self.slot.busy, spent.busy.as_nanos() as u64);
        add(&self.slot.coding, spent.coding.as_nanos() as u64);
        add(&self.slot.waited, spent.waited.as_nanos() as u64);
    }

    /// Whether a task, or the way of a report, is held up by another process for longer than a short
    /// spin: see [`RawQueue::is_stuck`](crate::RawQueue::is_stuck).
    #[inline]
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.tasks.is_stuck(End::Head) || self.reports.is_stuck(End::Tail)
    }

    /// Sleeps until nobody is.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn settle(&self) -> Result<(), ArenaError> {
        self.tasks.settle(End::Head)?;
        self.reports.settle(End::Tail)
    }
}
