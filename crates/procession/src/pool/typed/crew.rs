//! The workers of a pool, as their owner sees them, and the thread that sees that they are there.
//!
//! ```text
//! starting ──► ready ──► leaving      an orderly life
//!     ╰──────────┴── killed ──► buried by the owner, replaced by another in the same seat
//! ```

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::Core;
use super::error::PoolError;
use super::options::Initializer;
use super::seat::{Start, Worker};
use crate::error::SpawnError;
use crate::pool::Phase;
use crate::sys::atomic::Ordering;
use crate::sys::bell::Bell;
use crate::sys::readable::wait_for_any;

/// One that was told to end, by the closing of the queue or by SIGTERM, and does not is killed after
/// so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where workers do not come up, others are started after pauses from the first to the second of
/// these.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// So often in a row no process could be started, with no worker that works, until the pool gives up.
const STARTS: u32 = 10;
/// How often a limit on the time of tasks is looked after: this part of it, within bounds.
const PART: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(250);

/// What all workers are started with.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) limit: Option<u64>,
    pub(super) initializer: Option<Initializer>,
}

pub(super) struct Crew {
    pub(super) core: Arc<Core>,
    plan: Plan,
    seats: Mutex<Seats>,
    /// Has the thread look again.
    bell: Bell,
}

struct Seats {
    workers: Vec<Option<Arc<Worker>>>,
    /// Workers that did not come up, in a row, and when the next may be started.
    failures: u32,
    not_before: Option<Instant>,
}

impl Crew {
    pub(super) fn new(core: Arc<Core>, plan: Plan) -> Result<Crew, PoolError> {
        let workers = (0..core.workers()).map(|_| None).collect();
        let bell = Bell::new().map_err(|error| PoolError::Start(error.to_string()))?;
        let seats = Mutex::new(Seats { workers, failures: 0, not_before: None });
        Ok(Crew { core, plan, seats, bell })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread look again: there is a time limit, or the pool has ended.
    pub(super) fn change(&self) {
        self.bell.ring();
    }

    /// Starts a worker for each empty seat.
    pub(super) fn populate(&self) -> Result<(), PoolError> {
        let mut seats = self.seats();
        if seats.not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        seats.not_before = None;
        for index in 0..seats.workers.len() {
            if seats.workers[index].is_none() && !self.core.is_stopped() {
                let worker = self.recruit(index as u32);
                let worker = worker.map_err(|error| PoolError::Start(error.to_string()))?;
                seats.workers[index] = Some(Arc::new(worker));
                self.core.counts.started.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn recruit(&self, index: u32) -> Result<Worker, SpawnError> {
        let initializer = self.plan.initializer.as_ref();
        let start = Start {
            handle: self.core.pool.handle(index),
            limit: self.plan.limit,
            initializer: initializer
                .map(|initializer| (initializer.code, initializer.arguments.clone())),
        };
        Worker::start(start, format!("{}-{index}", self.plan.name))
    }

    /// The thread's life: until the pool is stopped.
    pub(super) fn tend(&self) {
        while !self.core.is_stopped() {
            self.bury_all();
            if let Err(error) = self.populate() {
                // The system's limits, as a rule.
                let mut seats = self.seats();
                let pause = FIRST_PAUSE * (1 << seats.failures.min(10));
                seats.not_before = Some(Instant::now() + pause.min(LAST_PAUSE));
                self.has_failed(&mut seats, &error.to_string(), STARTS);
            }
            self.sleep();
            for (index, pid) in self.core.overdue() {
                let seats = self.seats();
                if let Some(worker) = &seats.workers[index as usize]
                    && worker.pid() == pid
                {
                    worker.kill();
                }
            }
        }
    }

    fn sleep(&self) {
        let core = &self.core;
        // Who comes after this rings; who came before it is seen by the look that follows.
        core.watched.store(u64::MAX, Ordering::SeqCst);
        let shortest = core.shortest_timeout();
        let watched = shortest.map_or(u64::MAX, |limit| limit.as_nanos() as u64);
        core.watched.store(watched, Ordering::SeqCst);
        let mut limit = shortest.map(|limit| (limit / PART).clamp(SHORTEST, LONGEST));
        let seats = self.seats();
        if let Some(at) = seats.not_before {
            let pause = at.saturating_duration_since(Instant::now());
            limit = Some(limit.map_or(pause, |limit| limit.min(pause)));
        }
        let workers: Vec<_> = seats.workers.iter().flatten().map(Arc::clone).collect();
        drop(seats);
        let fds = workers.iter().map(AsFd::as_fd).chain([self.bell.read_end()]);
        wait_for_any(fds, limit);
        self.bell.silence();
    }

    /// Buries who has ended.
    fn bury_all(&self) {
        let ended: Vec<_> = {
            let mut seats = self.seats();
            let each = seats.workers.iter_mut().enumerate();
            each.filter_map(|(index, seat)| {
                let ended = seat.as_ref()?.end()?;
                Some((index as u32, seat.take()?, ended))
            })
            .collect()
        };
        for (index, worker, how) in ended {
            match self.core.bury(index, worker.pid(), how) {
                Err(error) => return self.core.stop(PoolError::Broken(error.to_string())),
                Ok(Phase::Ready | Phase::Leaving) => {
                    let mut seats = self.seats();
                    (seats.failures, seats.not_before) = (0, None);
                }
                Ok(_) => self.came_not_up(&worker.last_words()),
            }
        }
    }

    fn came_not_up(&self, why: &str) {
        let place = match &self.plan.initializer {
            Some(_) => "in its initializer",
            None => "as it started",
        };
        let text = format!("a worker died {place}; of the last one: {why}");
        self.has_failed(&mut self.seats(), &text, 3);
    }

    /// A worker did not come up: others are to come later, or the pool ends.
    fn has_failed(&self, seats: &mut Seats, what: &str, most: u32) {
        seats.failures += 1;
        let most = most.max(2 * self.core.pool.workers());
        if seats.failures < most {
            return;
        }
        let mut all = 0..self.core.pool.workers();
        if all.any(|index| self.core.pool.view(index).phase == Phase::Ready) {
            // The others can do the work.
            let pause = FIRST_PAUSE * (1 << (seats.failures - most).min(10));
            seats.not_before = Some(Instant::now() + pause.min(LAST_PAUSE));
            return;
        }
        self.core.stop(PoolError::Broken(format!("{} times in a row {what}", seats.failures)));
    }

    /// Sees the workers off after the pool was stopped: those that are at something are ended now, the
    /// others when they see that nothing is to come.
    pub(super) fn dismiss(&self) {
        let workers: Vec<_> = {
            let mut seats = self.seats();
            let taken = seats.workers.iter_mut().enumerate();
            taken.filter_map(|(index, seat)| Some((index as u32, seat.take()?))).collect()
        };
        let work_left = self.core.pool.waiting() > 0;
        for (index, worker) in &workers {
            let view = self.core.pool.view(*index);
            if work_left || view.task.is_some() || view.phase != Phase::Ready {
                worker.terminate();
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for (index, worker) in workers {
            let left = deadline.saturating_duration_since(Instant::now());
            wait_for_any([worker.as_fd()], Some(left));
            if worker.end().is_none() {
                worker.kill();
                wait_for_any([worker.as_fd()], None);
                let _ = worker.end();
            }
            let _ = self.core.pool.bury(index);
        }
    }
}
