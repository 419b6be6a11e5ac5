//! What is under way in a pool, and who waits for it.
//!
//! Any thread that waits for a result takes in the reports that come meanwhile (it is then a
//! *foreground* thread), so that a result wakes the thread that wants it and no other. The taker, a
//! thread of the pool's, does it when no other thread does.
//!
//! What must hold: no lock is held while code of the user's may run, which includes the dropping of
//! an item or a result. The core's lock comes before a job's.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::code::Codes;
use super::error::PoolError;
use super::items::panic_text;
use super::job::{Claim, Job};
use super::results::Piece;
use super::tasks::Task;
use crate::channel::message::Patience;
use crate::error::ArenaError;
use crate::pool::RawPool;
use crate::sys::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// For so long after a foreground thread has left the taker expects the next one.
const RETURNS: Duration = Duration::from_millis(5);
/// How long one waits who has no memory to take in a report.
const RETRY: Duration = Duration::from_millis(20);
/// So many reports are taken in before anything else is seen to.
const MOST: u32 = 64;
/// How often an idle taker looks around, for no reason that is known.
const IDLE: Duration = Duration::from_millis(500);

/// What the core's lock protects.
#[derive(Default)]
pub(super) struct State {
    /// What is under way, by the tasks' numbers.
    pub(super) tasks: HashMap<u64, Task>,
    /// What waits for room to be dispatched.
    pub(super) queue: VecDeque<(Arc<Job>, Claim)>,
    /// Jobs that are not over, by their numbers.
    pub(super) jobs: HashMap<u64, Arc<Job>>,
    /// What a task takes, and its message and results weigh, as it was of late.
    pub(super) task_ns: f64,
    pub(super) task_bytes: f64,
    /// Workers that are to be killed for the step at which they are.
    pub(super) condemned: HashMap<u32, u64>,
    /// Why the pool does nothing more.
    pub(super) ended: Option<PoolError>,
    /// The taker sleeps, and must be woken.
    asleep: bool,
    left_at: Option<Instant>,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) started: AtomicU64,
}

pub(super) struct Core {
    pub(super) pool: RawPool,
    state: Mutex<State>,
    taker: Condvar,
    /// Moves whenever somebody who waits may go on.
    epoch: AtomicU64,
    foreground: AtomicU32,
    /// Threads that have taken a report and not yet noted whose outcomes it has.
    pub(super) collecting: AtomicU32,
    stopped: AtomicBool,
    /// The shortest time limit that is looked after, in nanoseconds.
    pub(super) watched: AtomicU64,
    pub(super) counts: Counts,
    pub(super) codes: Codes,
}

impl Core {
    pub(super) fn new(pool: RawPool) -> Core {
        Core {
            pool,
            state: Mutex::default(),
            taker: Condvar::new(),
            epoch: AtomicU64::new(0),
            foreground: AtomicU32::new(0),
            collecting: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            watched: AtomicU64::new(u64::MAX),
            counts: Counts::default(),
            codes: Codes::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn workers(&self) -> usize {
        self.pool.workers() as usize
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// An error if this process is a fork of the one that made the pool: reports are not for it.
    pub(super) fn check_home(&self) -> Result<(), PoolError> {
        if self.pool.is_owner() { Ok(()) } else { Err(PoolError::NotOwner) }
    }

    /// A job begins. One that comes too late is over at once, with the error.
    pub(super) fn enter(&self, job: &Arc<Job>) {
        let home = self.check_home();
        let ended = {
            let mut state = self.state();
            let ended = home.err().or_else(|| state.ended.clone());
            if ended.is_none() {
                state.jobs.insert(job.number, Arc::clone(job));
            }
            ended
        };
        if let Some(error) = ended {
            job.sink.abort(error);
            job.end_now();
        }
    }

    /// Whoever waits is to look again.
    pub(super) fn news(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        if self.foreground.load(Ordering::SeqCst) > 0 {
            self.pool.wake();
        }
    }

    /// Gives items their outcomes. Runs the results' code.
    pub(super) fn deliver(&self, job: &Arc<Job>, pieces: Vec<Piece<'_>>) {
        let all: usize = pieces.iter().map(Piece::len).sum();
        if all == 0 || job.is_over() {
            return;
        }
        let skipped: usize = pieces
            .iter()
            .map(|piece| if let Piece::Skipped { count, .. } = piece { *count } else { 0 })
            .sum();
        let failed = job.sink.put(job.caller, pieces);
        self.counts.done.fetch_add((all - failed - skipped) as u64, Ordering::Relaxed);
        self.counts.failed.fetch_add(failed as u64, Ordering::Relaxed);
        if failed > 0 && job.stops {
            self.stop_job(job);
        }
        if job.count(all) {
            self.settle(job);
        } else {
            self.news();
        }
    }

    /// All outcomes of a job are there.
    pub(super) fn settle(&self, job: &Arc<Job>) {
        let known = self.state().jobs.remove(&job.number);
        self.news();
        drop(known);
    }

    /// Nothing more of a job is to be begun. What waits for room is skipped at once; of the rest the
    /// workers are told.
    pub(super) fn stop_job(&self, job: &Arc<Job>) {
        if !job.stop() {
            return;
        }
        let dropped: VecDeque<_> = {
            let mut state = self.state();
            let queue = std::mem::take(&mut state.queue);
            let (its, rest): (VecDeque<_>, _) =
                queue.into_iter().partition(|(of, _)| Arc::ptr_eq(of, job));
            state.queue = rest;
            // Workers remember few: only what they may have counts.
            let waiting: usize =
                its.iter().map(|(_, claim): &(_, Claim)| claim.count as usize).sum();
            let (outcomes, known) = job.progress();
            if known > outcomes + waiting {
                self.pool.cancel(job.number);
            }
            its
        };
        for (_, claim) in dropped {
            let count = claim.count as usize;
            self.deliver(job, vec![Piece::Skipped { first: claim.first, count }]);
        }
    }

    /// Waits until `attempt` gives something, taking in reports meanwhile. None if patience ends.
    pub(super) fn wait<T>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, PoolError> {
        if let Some(value) = attempt() {
            return Ok(Some(value));
        }
        self.check_home()?;
        let _here = Foreground::enter(self);
        loop {
            let seen = self.epoch.load(Ordering::SeqCst);
            if let Some(value) = attempt() {
                return Ok(Some(value));
            }
            if self.collect_some() {
                continue;
            }
            let moved = || self.epoch.load(Ordering::SeqCst) != seen;
            if !patience.wait(|deadline| self.pool.wait_for_report(deadline, moved)) {
                return Ok(attempt());
            }
        }
    }

    /// Takes in what is there, but not for ever.
    pub(super) fn collect_ready(&self) {
        if self.check_home().is_ok() {
            let _ = (0..MOST).all(|_| self.collect_some());
        }
    }

    /// Takes in a report, if there is one. An error is nobody's who waits: without memory it stays
    /// where it is for a while, and a damaged arena is the end of the pool.
    fn collect_some(&self) -> bool {
        match self.collect_one() {
            Ok(found) => found,
            Err(ArenaError::Full { .. }) => {
                std::thread::sleep(RETRY);
                false
            }
            Err(error) => {
                self.stop(PoolError::Broken(error.to_string()));
                false
            }
        }
    }

    /// Ends it: what comes from now on is refused, and what is under way has this error.
    pub(super) fn stop(&self, error: PoolError) {
        let (jobs, dropped) = {
            let mut state = self.state();
            let error = state.ended.get_or_insert(error).clone();
            self.stopped.store(true, Ordering::SeqCst);
            let dropped = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.queue));
            let jobs = std::mem::take(&mut state.jobs);
            drop(state);
            for job in jobs.values() {
                job.sink.abort(error.clone());
                job.end_now();
            }
            (jobs, dropped)
        };
        self.pool.close();
        self.news();
        self.pool.wake();
        self.taker.notify_all();
        drop((jobs, dropped));
    }

    /// A thread's life. If code of the user's panics in it (as a result is dropped, say), the pool ends:
    /// without that thread something would never be seen.
    pub(super) fn guarded(&self, life: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(life)) {
            self.stop(PoolError::Broken(format!(
                "a thread of it panicked: {}",
                panic_text(&*panic)
            )));
        }
    }

    /// Why it does nothing more.
    pub(super) fn ended(&self) -> Option<PoolError> {
        self.state().ended.clone()
    }

    /// The taker's life: until the pool is stopped.
    pub(super) fn serve(&self) {
        while !self.is_stopped() {
            let seen = self.epoch.load(Ordering::SeqCst);
            let (busy, mine) = {
                let state = self.state();
                (!state.tasks.is_empty(), self.is_takers(&state))
            };
            if !busy || !mine {
                self.taker_sleeps();
            } else if !self.collect_some() {
                let changed = || self.epoch.load(Ordering::SeqCst) != seen || self.is_stopped();
                let _ = self.pool.wait_for_report(None, changed);
            }
        }
    }

    /// Whether the taker is to take in reports.
    fn is_takers(&self, state: &State) -> bool {
        self.foreground.load(Ordering::SeqCst) == 0
            && state.left_at.is_none_or(|at| at.elapsed() >= RETURNS)
    }

    fn taker_sleeps(&self) {
        let mut state = self.state();
        let busy = !state.tasks.is_empty();
        if (busy && self.is_takers(&state)) || self.is_stopped() {
            return;
        }
        // One who waits was there a moment ago, and may be back soon.
        let soon = busy && self.foreground.load(Ordering::SeqCst) == 0;
        state.asleep = !soon;
        let limit = if soon { RETURNS } else { IDLE };
        let slept = self.taker.wait_timeout(state, limit);
        slept.unwrap_or_else(PoisonError::into_inner).0.asleep = false;
    }

    /// Something was dispatched for which nobody may wait.
    pub(super) fn wake_taker(&self) {
        if self.state().asleep {
            self.taker.notify_all();
        }
    }
}

/// A thread that waits for results, and takes in reports.
struct Foreground<'a>(&'a Core);

impl<'a> Foreground<'a> {
    fn enter(core: &'a Core) -> Foreground<'a> {
        core.foreground.fetch_add(1, Ordering::SeqCst);
        Foreground(core)
    }
}

impl Drop for Foreground<'_> {
    fn drop(&mut self) {
        let core = self.0;
        if core.foreground.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        let mut state = core.state();
        state.left_at = Some(Instant::now());
        if !state.tasks.is_empty() && state.asleep {
            core.taker.notify_all();
        }
    }
}
