//! `Pool`: worker processes of this program, and the calls that they do.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calls::Calls;
use super::core::Core;
use super::crew::{Crew, Plan};
use super::error::{PoolError, TaskError};
use super::options::{PoolBuilder, TaskOptions};
use super::scope::Scope;
use super::stats::PoolStats;
use super::stream::{Ordered, Unordered};
use super::task::Task;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::pool::RawPool;

/// Worker processes that call functions of this program.
///
/// A function is a plain one, or a closure that captures nothing; what it takes and what it gives is
/// whatever serde can write, handles of queues, locks and dicts included. The workers are fresh
/// processes of the same executable, whose `main` calls [`init`](crate::init) first.
///
/// # What becomes of a task
/// Small items go to workers together, in *chunks* of about two milliseconds, large ones alone. A
/// function that panics fails its item alone, and its worker goes on ([`TaskError::Panicked`]). When a
/// worker dies, however it does (`kill -9` at any instant), exactly the item that it was at is lost
/// ([`TaskError::WorkerLost`]), or tried again if that was asked for; what else it had goes to the
/// others, and a new worker takes its place. An item that exceeds its time limit takes its worker with
/// it ([`TaskError::TimedOut`]). Nothing hangs, and nothing is done twice that nobody asked to.
///
/// # Dropping
/// A pool that is dropped ends: workers that are at something are terminated, and what has no result
/// yet has [`PoolError::Closed`] for one. [`Pool::join`] waits for all that is under way first. Workers
/// end when the process ends that made the pool, however it does.
///
/// # Threads
/// Whichever thread waits for a result takes in what comes meanwhile. Beside these the pool has one
/// thread that waits for the deaths of workers, and, once a task is submitted, one that takes results
/// in while nobody waits.
///
/// # Examples
/// ```
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     procession::init();
///     let pool = procession::Pool::new(2)?;
///     assert_eq!(pool.map(square, 0..5)?, [0, 1, 4, 9, 16]);
///     let task = pool.submit(|(a, b)| a + b, (1, 2));
///     assert_eq!(task.join()?, 3);
///     Ok(())
/// }
/// ```
pub struct Pool {
    pub(super) core: Arc<Core>,
    pub(super) crew: Arc<Crew>,
    options: TaskOptions,
    keeper: Option<JoinHandle<()>>,
    taker: OnceLock<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Pool")
            .field("workers", &stats.workers.len())
            .field("calls", &stats.calls.len())
            .field("done", &stats.done)
            .field("ended", &self.core.ended())
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of so many workers.
    ///
    /// # Errors
    /// [`PoolError`]: more workers than there can be, or none; no memory; no process could be started.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok(()) }
    /// ```
    pub fn new(workers: usize) -> Result<Pool, PoolError> {
        Pool::builder().workers(workers).build()
    }

    /// A pool that is not as all are.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::builder().workers(2).retries(3).max_tasks_per_worker(1000).build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(super) fn make(builder: PoolBuilder) -> Result<Pool, PoolError> {
        let PoolBuilder { family, workers, name, limit, initializer, options } = builder;
        let workers = workers.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        if !(1..=RawPool::MAX_WORKERS as usize).contains(&workers) {
            return Err(PoolError::Workers(workers));
        }
        let initializer = initializer?;
        let family = match family {
            Some(family) => family,
            None => Family::current()?,
        };
        let core = Arc::new(Core::new(RawPool::create(family, workers as u32)?));
        let crew = Arc::new(Crew::new(Arc::clone(&core), Plan { name, limit, initializer })?);
        let mut pool = Pool { core, crew, options, keeper: None, taker: OnceLock::new() };
        pool.crew.populate()?;
        let crew = Arc::clone(&pool.crew);
        let keeper = std::thread::Builder::new().name("pool's keeper".into());
        let keeper = keeper.spawn(move || crew.core.guarded(|| crew.tend()));
        pool.keeper = Some(keeper.map_err(|error| PoolError::Start(error.to_string()))?);
        Ok(pool)
    }

    /// How many workers it has.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// assert_eq!(procession::Pool::new(1)?.workers(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn workers(&self) -> usize {
        self.core.workers()
    }

    /// The pool, with other options for the calls that are made through this.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::pool::TaskOptions;
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// let sum = pool.with(TaskOptions::new().retries(2)).submit(|(a, b)| a + b, (1, 2));
    /// assert_eq!(sum.join()?, 3);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with(&self, options: TaskOptions) -> Calls<'_> {
        Calls { pool: self, terms: options.0 }
    }

    fn calls(&self) -> Calls<'_> {
        self.with(self.options)
    }

    /// Has a worker call a function, and does not wait for it.
    ///
    /// Never blocks. What goes wrong, the task says. A [`Task`] that is dropped goes on by itself.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|name: String| name.len(), "four".to_string());
    /// assert_eq!(task.join()?, 4);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit<A, R>(&self, function: fn(A) -> R, arguments: A) -> Task<R>
    where
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().submit(function, arguments)
    }

    /// Has the workers call a function with each item, and waits for all results, which it gives in
    /// the items' order.
    ///
    /// Items are taken out of the iterator as there is room for them, on this thread. At the first
    /// failure nothing more is begun; when this returns nothing of it is under way any more.
    ///
    /// # Errors
    /// [`TaskError`], of the first item (by its number) that has failed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// let lengths = pool.map(|word: String| word.len(), ["one".to_string(), "three".to_string()])?;
    /// assert_eq!(lengths, [3, 5]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn map<A, R, I>(&self, function: fn(A) -> R, items: I) -> Result<Vec<R>, TaskError>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().map(function, items)
    }

    /// As [`Pool::map`], but gives the results one by one, in the items' order, as they are asked for.
    ///
    /// Each item has its own result or failure, and those behind one that has failed are done all the
    /// same. An endless iterator is welcome: items are taken out of it on the thread that calls `next`,
    /// a bounded number ahead of the results ([`TaskOptions::ahead`]).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// let squares = pool.imap(|n: u64| n * n, 0..).take(3);
    /// assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [0, 1, 4]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn imap<A, R, I>(&self, function: fn(A) -> R, items: I) -> Ordered<'_, I::IntoIter, A, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().imap(function, items)
    }

    /// As [`Pool::imap`], but gives each result as soon as it is there, with the number of its item.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// for (item, result) in pool.map_unordered(|n: usize| n * n, 0..10) {
    ///     assert_eq!(result?, item * item);
    /// }
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn map_unordered<A, R, I>(
        &self,
        function: fn(A) -> R,
        items: I,
    ) -> Unordered<'_, I::IntoIter, A, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().map_unordered(function, items)
    }

    /// Runs `body`, and waits for all tasks that it has submitted through the scope.
    ///
    /// # Errors
    /// What became of a task that has failed, and whose failure nobody has taken by
    /// [`join`](Task::join) or its kin.
    ///
    /// # Panics
    /// If `body` does, after the tasks are over.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::Queue;
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// let lines: Queue<u32> = Queue::unbounded()?;
    /// pool.scope(|scope| {
    ///     for n in 0..10 {
    ///         let task = |(lines, n): (Queue<u32>, u32)| lines.put(n).is_ok();
    ///         let _ = scope.submit(task, (lines.clone(), n));
    ///     }
    /// })?;
    /// assert_eq!(lines.len(), 10);
    /// # Ok(()) }
    /// ```
    pub fn scope<'p, T>(&'p self, body: impl FnOnce(&Scope<'p>) -> T) -> Result<T, TaskError> {
        Scope::run(self.calls(), body)
    }

    /// Waits until nothing is under way. Calls that other threads make meanwhile count.
    ///
    /// # Errors
    /// [`PoolError`] if the pool has ended.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|n: u32| n + 1, 1);
    /// pool.wait()?;
    /// assert!(task.is_done());
    /// # Ok(()) }
    /// ```
    pub fn wait(&self) -> Result<(), PoolError> {
        self.wait_with(Patience::Endless).map(drop)
    }

    /// As [`Pool::wait`], but at most so long: false if something is under way still.
    ///
    /// # Errors
    /// As [`Pool::wait`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// assert!(procession::Pool::new(1)?.wait_timeout(std::time::Duration::ZERO)?);
    /// # Ok(()) }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, PoolError> {
        self.wait_with(Patience::of(timeout))
    }

    fn wait_with(&self, patience: Patience) -> Result<bool, PoolError> {
        let idle = || self.core.state().jobs.is_empty().then_some(());
        let waited = self.core.wait(patience, idle)?.is_some();
        self.core.ended().map_or(Ok(waited), Err)
    }

    /// Waits until nothing is under way, and ends the pool and its workers.
    ///
    /// # Errors
    /// As [`Pool::wait`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|n: u32| n + 1, 1);
    /// pool.join()?;
    /// assert_eq!(task.join()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn join(self) -> Result<(), PoolError> {
        self.wait()
    }

    /// What was done, and what each worker is at.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(2)?;
    /// pool.map(|n: u32| n, 0..100)?;
    /// assert_eq!(pool.stats().done, 100);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        PoolStats::of(self)
    }

    /// From now on somebody takes results in also while nobody waits.
    pub(super) fn attend(&self) {
        self.taker.get_or_init(|| {
            let core = Arc::clone(&self.core);
            let thread = std::thread::Builder::new().name("pool's taker".into());
            // Without it results come in when somebody waits.
            Mutex::new(thread.spawn(move || core.guarded(|| core.serve())).ok())
        });
        self.core.wake_taker();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.core.check_home().is_err() {
            return; // a fork's copy: neither the threads nor the workers are its own
        }
        self.core.stop(PoolError::Closed);
        self.crew.change();
        let taker = self
            .taker
            .get()
            .and_then(|taker| taker.lock().unwrap_or_else(PoisonError::into_inner).take());
        for thread in [self.keeper.take(), taker].into_iter().flatten() {
            let _ = thread.join();
        }
        self.crew.dismiss();
    }
}

/// The name by which a task is known.
pub(super) type Caller = &'static Location<'static>;
