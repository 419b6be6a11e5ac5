//! What is under way in a pool, and who waits for it.
//!
//! Any thread that waits for a result takes in the reports that come meanwhile (it is then a
//! *foreground* thread), so that the result of an `apply` wakes the thread that called it and no
//! other. The handler's thread does it when no other thread does, and runs the callbacks.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use procession::pool::RawPool;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError};
use pyo3::prelude::*;

use super::gather::Gather;
use super::job::Job;
use super::tasks::Task;
use crate::blocking::{self, Patience};

/// For so long after a foreground thread has left the handler expects the next one.
const RETURNS: Duration = Duration::from_millis(5);
/// How long a handler waits for memory, before it tries again to take in a report.
const RETRY: Duration = Duration::from_millis(100);
/// How often an idle handler looks around, for no reason that is known.
const IDLE: Duration = Duration::from_millis(500);

/// What the core's lock protects.
#[derive(Default)]
pub(super) struct State {
    /// What is under way, by the tasks' numbers.
    pub(super) tasks: HashMap<u64, Task>,
    /// Jobs that may have something to claim.
    pub(super) queue: VecDeque<Arc<Job>>,
    /// Jobs whose callbacks are to be run.
    pub(super) called: VecDeque<Arc<Job>>,
    /// Those that were stopped, and of which the callbacks are to be told, once they have their error.
    last: Vec<Arc<Job>>,
    told: bool,
    /// Jobs that are not over.
    pub(super) jobs: Vec<Arc<Job>>,
    /// What a task takes, and its message and results weigh, as it was of late.
    pub(super) task_ns: f64,
    pub(super) task_bytes: f64,
    /// Workers that are to be killed for the step at which they are.
    pub(super) condemned: HashMap<u32, u64>,
    /// The handler sleeps long and must be woken; or it waits for reports, and must be called away.
    asleep: bool,
    watching: bool,
    left_at: Option<Instant>,
}

/// What was under way as a pool was stopped.
pub(super) struct Rest {
    pub(super) jobs: Vec<Arc<Job>>,
    _tasks: HashMap<u64, Task>,
    _called: VecDeque<Arc<Job>>,
}

pub(super) struct Core {
    pub(super) pool: RawPool,
    state: Mutex<State>,
    handler: Condvar,
    feeder: Condvar,
    /// A feeder waits for room.
    hungry: AtomicBool,
    /// Moves whenever somebody who waits may go on.
    epoch: AtomicU64,
    foreground: AtomicUsize,
    /// Threads that have taken a report and not yet noted whose outcomes it has.
    pub(super) collecting: AtomicUsize,
    pub(super) stopped: AtomicBool,
    /// No bounds on what is fed: nobody will take results before all is done.
    pub(super) endless: AtomicBool,
    pub(super) done_items: AtomicU64,
}

impl Core {
    pub(super) fn new(pool: RawPool) -> Self {
        Self {
            pool,
            state: Mutex::default(),
            handler: Condvar::new(),
            feeder: Condvar::new(),
            hungry: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            foreground: AtomicUsize::new(0),
            collecting: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            endless: AtomicBool::new(false),
            done_items: AtomicU64::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn workers(&self) -> usize {
        self.pool.workers() as usize
    }

    pub(super) fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Relaxed)
    }

    /// An error if this process is a fork of the one that made the pool: reports are not for it.
    pub(super) fn check_home(&self) -> PyResult<()> {
        if self.pool.is_owner() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "this pool belongs to the process that made it, and this one is a fork of that: make a \
             pool here",
        ))
    }

    /// A job begins.
    pub(super) fn enter(&self, py: Python<'_>, job: &Arc<Job>, waits: bool) -> PyResult<()> {
        {
            let mut state = self.state();
            state.jobs.push(Arc::clone(job));
            Self::queue_job(&mut state, job);
        }
        self.pump(py)?;
        if !waits {
            self.wake_handler();
        }
        Ok(())
    }

    /// Puts a job into the queue, if it is not there.
    fn queue_job(state: &mut State, job: &Arc<Job>) {
        let mut work = job.work();
        if !work.queued && !work.over {
            work.queued = true;
            state.queue.push_back(Arc::clone(job));
        }
    }

    /// A job may have something to claim.
    pub(super) fn more_work(&self, job: &Arc<Job>) {
        let mut state = self.state();
        Self::queue_job(&mut state, job);
    }

    /// Results of a stream were taken, so that there is room for more.
    pub(super) fn more_room(&self, py: Python<'_>, job: &Arc<Job>) -> PyResult<()> {
        self.more_work(job);
        self.call_feeders();
        self.pump(py)
    }

    /// There may be room for what feeders have.
    pub(super) fn call_feeders(&self) {
        if self.hungry.load(Ordering::SeqCst) {
            let _state = self.state();
            self.hungry.store(false, Ordering::SeqCst);
            self.feeder.notify_all();
        }
    }

    /// Sleeps until there may be room for another item. Without the interpreter.
    pub(super) fn wait_for_room(&self, job: &Job) {
        let state = self.state();
        self.hungry.store(true, Ordering::SeqCst);
        if !job.may_feed(self.is_endless()) && !self.stopped.load(Ordering::Acquire) {
            // Who takes a job's last result by dropping it does not call: hence the limit.
            drop(self.feeder.wait_timeout(state, IDLE));
        }
    }

    /// Whoever waits is to look again.
    pub(super) fn news(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        if self.foreground.load(Ordering::SeqCst) > 0 {
            self.pool.wake();
        }
    }

    /// All outcomes of a job are there.
    pub(super) fn settle(&self, job: &Arc<Job>) {
        let called = {
            let failed = matches!(job.work().gather, Gather::List { failure: Some(_), .. });
            if failed { job.error_callback.is_some() } else { job.callback.is_some() }
        };
        let (mut state, source) = (self.state(), job.work().take_source());
        if called {
            state.called.push_back(Arc::clone(job));
            drop(state);
            self.wake_handler();
        } else {
            drop(state);
            self.release(job);
        }
        drop(source);
    }

    /// Lets those go on who wait for a job.
    fn release(&self, job: &Arc<Job>) {
        let holder = job.work().get_ready();
        self.state().jobs.retain(|other| !Arc::ptr_eq(other, job));
        self.news();
        drop(holder);
    }

    /// Runs the callbacks that are due. Their errors are nobody's to catch.
    fn run_callbacks(&self, py: Python<'_>) {
        loop {
            let Some(job) = self.state().called.pop_front() else {
                return;
            };
            let called = {
                let work = job.work();
                let Gather::List { values, single, failure } = &work.gather else {
                    continue;
                };
                let value = values.as_ref().map(|values| values.clone_ref(py));
                match (failure, value) {
                    (Some((_, error)), _) => {
                        Some((&job.error_callback, error.clone_ref(py), false))
                    }
                    (None, Some(value)) => Some((&job.callback, value.into_any(), *single)),
                    (None, None) => None,
                }
            };
            if let Some((Some(callback), argument, single)) = called {
                let argument = argument.into_bound(py);
                let argument = if single { argument.get_item(0) } else { Ok(argument) };
                let result = argument.and_then(|argument| callback.call1(py, (argument,)));
                if let Err(error) = result {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }
            self.release(&job);
        }
    }

    /// Waits until `attempt` gives something, taking in reports meanwhile. None if patience ends.
    pub(super) fn wait<T>(
        &self,
        py: Python<'_>,
        patience: Patience,
        mut attempt: impl FnMut() -> PyResult<Option<T>>,
    ) -> PyResult<Option<T>> {
        self.check_home()?;
        let _here = Foreground::enter(self);
        let seen = AtomicU64::new(0);
        let waited = blocking::wait(
            py,
            patience,
            || {
                seen.store(self.epoch.load(Ordering::SeqCst), Ordering::Relaxed);
                if let Some(value) = attempt()? {
                    return Ok(Some(value));
                }
                self.collect(py)?;
                attempt()
            },
            |deadline| {
                self.pool.wait_for_report(deadline, || {
                    self.epoch.load(Ordering::SeqCst) != seen.load(Ordering::Relaxed)
                })
            },
        )?;
        Ok(waited.done())
    }

    /// Whether nothing is under way, and no callback due.
    pub(super) fn is_idle(&self) -> bool {
        self.state().jobs.is_empty()
    }

    pub(super) fn wake_handler(&self) {
        let state = self.state();
        if state.watching {
            drop(state);
            self.epoch.fetch_add(1, Ordering::SeqCst);
            self.pool.wake();
        } else if state.asleep || self.stopped.load(Ordering::Relaxed) {
            self.handler.notify_all();
        }
    }

    /// Ends it: what comes from now on is refused. Gives what was under way; the jobs whose callbacks
    /// for errors are to be run (`tell`) are the handler's last.
    pub(super) fn stop(&self, tell: bool) -> Rest {
        let mut state = self.state();
        let again = self.stopped.swap(true, Ordering::SeqCst);
        state.queue.clear();
        let jobs = std::mem::take(&mut state.jobs);
        // What the first stop has to tell is told.
        let called = if again { VecDeque::new() } else { std::mem::take(&mut state.called) };
        if tell {
            let told = jobs.iter().filter(|job| job.error_callback.is_some());
            state.last.extend(told.map(Arc::clone));
        }
        Rest { jobs, _tasks: std::mem::take(&mut state.tasks), _called: called }
    }

    /// The jobs that [`Core::stop`] gave have their error.
    pub(super) fn tell_later(&self, tell: bool) {
        {
            let mut state = self.state();
            if tell {
                let last = std::mem::take(&mut state.last);
                state.called.extend(last);
            }
            state.told = true;
        }
        self.news();
        self.pool.wake();
        self.wake_handler();
        self.feeder.notify_all();
    }

    /// The handler's life: until the pool is stopped.
    pub(super) fn serve(&self, py: Python<'_>) -> PyResult<()> {
        self.serve_while_open(py)?; // of an error `stop` is the answer, and then another `serve`
        while !self.state().told {
            py.detach(|| std::thread::sleep(Duration::from_millis(1))); // `stop` is under way
        }
        self.run_callbacks(py);
        Ok(())
    }

    fn serve_while_open(&self, py: Python<'_>) -> PyResult<()> {
        while !self.stopped.load(Ordering::Acquire) {
            self.run_callbacks(py);
            let busy = !self.state().tasks.is_empty();
            if busy && self.is_mine() {
                match self.collect(py) {
                    // It stays where it is until there is memory.
                    Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
                        py.detach(|| std::thread::sleep(RETRY));
                    }
                    collected => collected?,
                }
                self.run_callbacks(py);
            }
            py.detach(|| self.handler_sleeps());
        }
        Ok(())
    }

    /// Whether the handler is to take in reports.
    fn is_mine(&self) -> bool {
        self.foreground.load(Ordering::SeqCst) == 0
            && self.state().left_at.is_none_or(|at| at.elapsed() >= RETURNS)
    }

    fn handler_sleeps(&self) {
        let mine = self.is_mine();
        let mut state = self.state();
        if !state.called.is_empty() || self.stopped.load(Ordering::Acquire) {
            return;
        }
        if !state.tasks.is_empty() && mine {
            state.watching = true;
            let seen = self.epoch.load(Ordering::SeqCst);
            drop(state);
            let changed = || {
                self.epoch.load(Ordering::SeqCst) != seen || self.stopped.load(Ordering::Relaxed)
            };
            let _ = self.pool.wait_for_report(None, changed);
            self.state().watching = false;
            return;
        }
        let absent = self.foreground.load(Ordering::SeqCst) == 0;
        // Soon back from the foreground, or woken for a reason.
        let short = !state.tasks.is_empty() && absent;
        state.asleep = !short;
        let limit = if short { RETURNS } else { IDLE };
        let (mut state, _) =
            self.handler.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        state.asleep = false;
    }
}

/// A thread that waits for results, and takes in reports.
struct Foreground<'a>(&'a Core);

impl<'a> Foreground<'a> {
    fn enter(core: &'a Core) -> Self {
        core.foreground.fetch_add(1, Ordering::SeqCst);
        Self(core)
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
            core.handler.notify_all();
        }
    }
}
