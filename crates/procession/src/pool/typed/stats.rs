//! What a pool does, at a glance.

use std::panic::Location;
use std::time::Duration;

use super::error::TaskId;
use super::pool::Pool;
use crate::pool::{Phase, Step};
use crate::sys::atomic::Ordering;

/// What a pool has done, and what it is at: each number from its own moment.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// assert_eq!(pool.map(|n: u32| n, 0..5)?.len(), 5);
/// let stats = pool.stats();
/// assert_eq!((stats.done, stats.failed, stats.calls.len(), stats.workers.len()), (5, 0, 0, 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Items that were done, and whose results are there.
    pub done: u64,
    /// Items that failed, in whichever way.
    pub failed: u64,
    /// How often an item's worker died under it, or was killed for its time limit.
    pub lost: u64,
    /// How often an item was tried again after that.
    pub retried: u64,
    /// Processes that were started so far.
    pub started: u64,
    /// Chunks that are under way, and that wait for room to be.
    pub chunks: usize,
    /// Calls that are not over.
    pub calls: Vec<CallStats>,
    /// One for each worker.
    pub workers: Vec<WorkerStats>,
}

/// How far a call has come.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let mut results = pool.imap(|n: u32| n, 0..);
/// results.next();
/// let stats = pool.stats();
/// assert!(stats.calls[0].done >= 1 && stats.calls[0].caller.line() > 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStats {
    /// Where in the program it was made.
    pub caller: &'static Location<'static>,
    /// Items that have a result or have failed.
    pub done: usize,
    /// Items that were taken out of its iterator so far.
    pub taken: usize,
}

/// What a worker is at.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// pool.map(|n: u32| n, 0..5)?;
/// assert_eq!(pool.stats().workers.iter().map(|worker| worker.items).sum::<u64>(), 5);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// How far its process has come.
    pub phase: Phase,
    /// Its process id; 0 while nobody is there.
    pub pid: u32,
    /// The task that it is at.
    pub task: Option<TaskId>,
    /// For how long, as exactly as a clock with a tick of some milliseconds tells.
    pub age: Duration,
    /// How many chunks were done in its place, by all who ever had it.
    pub chunks: u64,
    /// How many items.
    pub items: u64,
    /// How long they worked.
    pub busy: Duration,
    /// How long they waited for work.
    pub waited: Duration,
}

impl PoolStats {
    pub(super) fn of(pool: &Pool) -> PoolStats {
        let core = &pool.core;
        let (chunks, mut calls) = {
            let state = core.state();
            let calls: Vec<_> = state.jobs.values().map(std::sync::Arc::clone).collect();
            (state.tasks.len() + state.queue.len(), calls)
        };
        calls.sort_unstable_by_key(|job| job.number);
        let calls = calls.iter().map(|job| {
            let (done, taken) = job.progress();
            CallStats { caller: job.caller, done, taken }
        });
        let count = |counter: &crate::sys::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        PoolStats {
            done: count(&core.counts.done),
            failed: count(&core.counts.failed),
            lost: count(&core.counts.lost),
            retried: count(&core.counts.retried),
            started: count(&core.counts.started),
            chunks,
            calls: calls.collect(),
            workers: (0..core.pool.workers()).map(|index| worker(pool, index)).collect(),
        }
    }
}

fn worker(pool: &Pool, index: u32) -> WorkerStats {
    let view = pool.core.pool.view(index);
    let state = pool.core.state();
    let task = view.task.and_then(|number| state.tasks.get(&number)).map(|task| {
        let step = if let Step::Item(item) = view.step { item as usize } else { 0 };
        TaskId { caller: task.job.caller, item: task.first + step }
    });
    WorkerStats {
        phase: view.phase,
        pid: view.pid,
        task,
        age: Duration::from_millis(view.age_ms),
        chunks: view.tasks,
        items: view.items,
        busy: Duration::from_nanos(view.busy_ns),
        waited: Duration::from_nanos(view.waited_ns),
    }
}
