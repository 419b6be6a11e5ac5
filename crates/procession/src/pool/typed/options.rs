//! How a pool is made, and how its tasks are to be done.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::code::Code;
use super::error::PoolError;
use super::items;
use super::job::Terms;
use super::pool::Pool;
use crate::arena::family::Family;
use crate::arena::lease::Lease;

/// How tasks are to be done: their pool's [`PoolBuilder`] says it for all, [`Pool::with`] for some.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use procession::pool::TaskOptions;
/// let patient = TaskOptions::new().timeout(Duration::from_secs(60)).retries(2);
/// let lazy = TaskOptions::new().chunk(1).ahead(16);
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct TaskOptions(pub(super) Terms);

impl TaskOptions {
    /// No limit, no retries.
    pub fn new() -> TaskOptions {
        TaskOptions::default()
    }

    /// An item that takes longer than this fails with [`TaskError::TimedOut`](super::TaskError), and
    /// its worker is killed, and replaced. Items that go together have so long each.
    pub fn timeout(mut self, limit: Duration) -> TaskOptions {
        self.0.timeout = Some(limit);
        self
    }

    /// An item whose worker dies under it is tried again, so often. Without this it fails with
    /// [`TaskError::WorkerLost`](super::TaskError): nothing runs twice that nobody asked to.
    pub fn retries(mut self, retries: u32) -> TaskOptions {
        self.0.retries = retries;
        self
    }

    /// At most so many items go to a worker together. Without this as many do as take about two
    /// milliseconds.
    pub fn chunk(mut self, items: usize) -> TaskOptions {
        self.0.chunk = Some(items.max(1));
        self
    }

    /// At most so many items more than results that were taken are taken out of the iterator of
    /// `imap` or `map_unordered`: 8192 if this is not said.
    pub fn ahead(mut self, items: usize) -> TaskOptions {
        self.0.ahead = Some(items.max(1));
        self
    }
}

/// What each worker does before its first task.
pub(super) struct Initializer {
    pub(super) code: Code,
    pub(super) arguments: Vec<u8>,
    /// On what the arguments name.
    _leases: Vec<Lease>,
}

/// A pool to be made: see [`Pool::builder`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use procession::{Family, Pool};
/// procession::init();
/// let pool = Pool::builder()
///     .workers(2)
///     .name("counter")
///     .family(Family::current()?)
///     .initializer(|greeting: String| println!("{greeting}"), "hello".to_string())
///     .max_tasks_per_worker(10_000)
///     .retries(1)
///     .task_timeout(Duration::from_secs(60))
///     .build()?;
/// assert_eq!(pool.map(|n: u32| n + 1, 0..3)?, [1, 2, 3]);
/// # Ok(()) }
/// ```
#[must_use]
pub struct PoolBuilder {
    pub(super) family: Option<Family>,
    pub(super) workers: Option<usize>,
    pub(super) name: String,
    pub(super) limit: Option<u64>,
    pub(super) initializer: Result<Option<Initializer>, PoolError>,
    pub(super) options: TaskOptions,
}

impl std::fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl PoolBuilder {
    pub(super) fn new() -> PoolBuilder {
        PoolBuilder {
            family: None,
            workers: None,
            name: "pool".into(),
            limit: None,
            initializer: Ok(None),
            options: TaskOptions::new(),
        }
    }

    /// So many worker processes; without this as many as there are processors for this process.
    pub fn workers(mut self, workers: usize) -> PoolBuilder {
        self.workers = Some(workers);
        self
    }

    /// The family in which the pool is, and its workers: without this the current one.
    pub fn family(mut self, family: Family) -> PoolBuilder {
        self.family = Some(family);
        self
    }

    /// What the workers are called, with a number behind it, by who finds a lock that one left behind.
    pub fn name(mut self, name: &str) -> PoolBuilder {
        name.clone_into(&mut self.name);
        self
    }

    /// Each worker calls this before its first task. If it panics the worker ends, and another is
    /// started; several times in a row, and the pool ends with [`PoolError::Broken`].
    #[expect(clippy::needless_pass_by_value, reason = "as `submit` and `Process::spawn` have it")]
    pub fn initializer<A>(mut self, function: fn(A), arguments: A) -> PoolBuilder
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        let mut bytes = Vec::new();
        self.initializer = match items::encode(&arguments, &mut bytes) {
            Ok(leases) => Ok(Some(Initializer {
                code: Code::of_initializer(function),
                arguments: bytes,
                _leases: leases,
            })),
            Err(error) => Err(PoolError::Initializer(error)),
        };
        self
    }

    /// A worker that has done so many items ends, and another takes its place.
    pub fn max_tasks_per_worker(mut self, items: u64) -> PoolBuilder {
        self.limit = Some(items.max(1));
        self
    }

    /// As [`TaskOptions::retries`], for all tasks.
    pub fn retries(mut self, retries: u32) -> PoolBuilder {
        self.options = self.options.retries(retries);
        self
    }

    /// As [`TaskOptions::timeout`], for all tasks.
    pub fn task_timeout(mut self, limit: Duration) -> PoolBuilder {
        self.options = self.options.timeout(limit);
        self
    }

    /// Makes the pool and starts its workers. It does not wait for them to come up.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn build(self) -> Result<Pool, PoolError> {
        Pool::make(self)
    }
}
