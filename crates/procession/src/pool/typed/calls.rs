//! The calls that a pool does.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::TaskError;
use super::items::Packer;
use super::job::{Claim, Job, Terms};
use super::pool::{Caller, Pool};
use super::results::{Order, Results, Sink};
use super::stream::{Flow, Ordered, Unordered};
use super::task::Task;
use crate::sys::atomic::Ordering;

/// A pool, with options of its own for the calls that are made through this: see [`Pool::with`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::pool::TaskOptions;
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let stubborn = pool.with(TaskOptions::new().retries(5));
/// assert_eq!(stubborn.map(|n: u32| n + 1, 0..3)?, [1, 2, 3]);
/// assert_eq!(stubborn.imap(|n: u32| n + 1, 0..3).count(), 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct Calls<'p> {
    pub(super) pool: &'p Pool,
    pub(super) terms: Terms,
}

impl fmt::Debug for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("pool", self.pool).field("terms", &self.terms).finish()
    }
}

/// So many items more than results that were taken are at most taken out of an iterator.
const AHEAD: usize = 8192;

/// A call that has begun.
pub(super) struct Begun<R> {
    pub(super) job: Arc<Job>,
    pub(super) results: Arc<Results<R>>,
}

impl<'p> Calls<'p> {
    fn begin<A, R>(
        &self,
        function: fn(A) -> R,
        caller: Caller,
        order: Order,
        stops: bool,
    ) -> Begun<R>
    where
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let core = &self.pool.core;
        let results = Arc::new(Results::new(order));
        let named = (caller, core.codes.of(function));
        let pack = Box::new(Packer::<A>::new());
        let sink: Arc<dyn Sink> = Arc::<Results<R>>::clone(&results);
        let job = Job::new(named, self.terms, stops, pack, sink);
        core.enter(&job);
        if let Some(limit) = self.terms.timeout
            && (limit.as_nanos() as u64) < core.watched.load(Ordering::SeqCst)
        {
            self.pool.crew.change(); // from now on somebody has to look at the clock
        }
        Begun { job, results }
    }

    /// As [`Pool::submit`].
    #[track_caller]
    pub fn submit<A, R>(&self, function: fn(A) -> R, arguments: A) -> Task<R>
    where
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let Begun { job, results } = self.begin(function, Location::caller(), Order::List, false);
        let core = &self.pool.core;
        if !job.is_over() {
            job.add(1, true);
            core.submit(&job, Claim { first: 0, count: 1, items: Box::new(vec![arguments]) });
            self.pool.attend();
        }
        Task { core: Arc::clone(core), job, results }
    }

    /// As [`Pool::map`].
    ///
    /// # Errors
    /// As [`Pool::map`].
    #[track_caller]
    pub fn map<A, R, I>(&self, function: fn(A) -> R, items: I) -> Result<Vec<R>, TaskError>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let begun = self.begin(function, Location::caller(), Order::List, true);
        Flow::new(self.pool, begun, items.into_iter(), None).all()
    }

    /// As [`Pool::imap`].
    #[track_caller]
    pub fn imap<A, R, I>(&self, function: fn(A) -> R, items: I) -> Ordered<'p, I::IntoIter, A, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let begun = self.begin(function, Location::caller(), Order::Items, false);
        let ahead = self.terms.ahead.unwrap_or(AHEAD);
        Ordered(Flow::new(self.pool, begun, items.into_iter(), Some(ahead)))
    }

    /// As [`Pool::map_unordered`].
    #[track_caller]
    pub fn map_unordered<A, R, I>(
        &self,
        function: fn(A) -> R,
        items: I,
    ) -> Unordered<'p, I::IntoIter, A, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let begun = self.begin(function, Location::caller(), Order::Any, false);
        let ahead = self.terms.ahead.unwrap_or(AHEAD);
        Unordered(Flow::new(self.pool, begun, items.into_iter(), Some(ahead)))
    }
}
