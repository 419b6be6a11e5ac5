//! Calls of many items, which come out of an iterator as there is room for them.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::calls::Begun;
use super::error::TaskError;
use super::job::Claim;
use super::pool::Pool;
use super::results::Boxed;
use crate::channel::message::Patience;

/// For so long items are taken out of an iterator before anything else is seen to.
const FEEDING: Duration = Duration::from_millis(2);
/// So many at most before the clock is looked at.
const GLANCE: usize = 64;

/// A call whose items and results flow.
pub(super) struct Flow<'p, I, A, R> {
    pool: &'p Pool,
    begun: Begun<R>,
    items: I,
    /// The iterator has ended; and the call was told that no more items come.
    fed: bool,
    ended: bool,
    /// This process cannot have results, and was told so.
    refused: bool,
    /// So many items more than results that were taken may be claimed.
    ahead: Option<usize>,
    taken: usize,
    there: VecDeque<(usize, Boxed<R>)>,
    of: PhantomData<fn(A)>,
}

impl<'p, I: Iterator<Item = A>, A: Send + 'static, R> Flow<'p, I, A, R> {
    pub(super) fn new(pool: &'p Pool, begun: Begun<R>, items: I, ahead: Option<usize>) -> Self {
        let of = PhantomData;
        let (fed, ended, refused) = (false, false, false);
        let there = VecDeque::new();
        Flow { pool, begun, items, fed, ended, refused, ahead, taken: 0, there, of }
    }

    /// How many items may be taken now, to go together.
    fn wanted(&self) -> usize {
        let (core, job) = (&self.pool.core, &self.begun.job);
        if self.fed || job.is_over() || job.is_stopped() || !core.has_room() {
            return 0;
        }
        let under_way = job.known() - self.taken;
        let room = self.ahead.map_or(usize::MAX, |ahead| ahead.saturating_sub(under_way));
        let left = match self.items.size_hint() {
            (least, Some(most)) if least == most => Some(most),
            _ => None,
        };
        job.chunk(left, room, core.workers(), self.ahead)
    }

    /// Whether no more items will be taken, and nobody was told.
    fn is_at_end(&self) -> bool {
        !self.ended && (self.fed || self.begun.job.is_stopped())
    }

    /// Takes items and dispatches them, while there is room and a little time.
    fn feed(&mut self) {
        let (core, job) = (&{ self.pool }.core, Arc::clone(&self.begun.job));
        let start = Instant::now();
        loop {
            let count = self.wanted();
            if count == 0 {
                break;
            }
            let items = self.take(count);
            let first = job.add(items.len(), false);
            if let Ok(count @ 1..) = u32::try_from(items.len()) {
                core.submit(&job, Claim { first, count, items: Box::new(items) });
            }
            if start.elapsed() >= FEEDING {
                break;
            }
        }
        if self.is_at_end() {
            self.ended = true;
            if job.end() {
                core.settle(&job);
            }
        }
    }

    /// At most so many items; fewer if they take their time.
    fn take(&mut self, count: usize) -> Vec<A> {
        let mut taken = Vec::with_capacity(count.min(4096));
        let start = Instant::now();
        let mut glance = 1;
        while taken.len() < count {
            let some = glance.min(count - taken.len());
            let before = taken.len();
            taken.extend(self.items.by_ref().take(some));
            if taken.len() < before + some {
                self.fed = true;
                break;
            }
            if start.elapsed() >= FEEDING {
                break;
            }
            glance = (glance * 2).min(GLANCE);
        }
        taken
    }

    /// Feeds, and waits until `attempt` gives something or there is room for more items. While the
    /// iterator takes its time, this thread is not one that waits: others take reports in.
    fn wait<T>(&mut self, mut attempt: impl FnMut(&Begun<R>) -> Option<T>) -> Result<T, TaskError> {
        let core = &{ self.pool }.core;
        loop {
            self.feed();
            core.collect_ready();
            let found = core.wait(Patience::Endless, || match attempt(&self.begun) {
                None if self.is_at_end() || self.wanted() > 0 => Some(None),
                None => None,
                found => Some(found),
            })?;
            if let Some(found) = found.flatten() {
                return Ok(found);
            }
        }
    }

    /// Waits for all results.
    pub(super) fn all(mut self) -> Result<Vec<R>, TaskError> {
        self.wait(|begun| begun.job.is_over().then_some(()))?;
        self.begun.results.take_all()
    }

    fn next(&mut self) -> Option<(usize, Result<R, TaskError>)> {
        if !self.there.is_empty() {
            // Whoever takes his time between two results keeps the workers busy all the same.
            self.pool.core.collect_ready();
            self.feed();
        } else if !self.refused {
            let there = self.wait(|begun| {
                // In this order: what came last is there by then.
                let over = begun.job.is_over();
                let there = begun.results.take_there();
                (over || !there.is_empty()).then_some(there)
            });
            match there {
                Ok(there) => {
                    self.taken += there.len();
                    self.there = there;
                }
                Err(error) => {
                    self.refused = true;
                    return Some((self.taken, Err(error)));
                }
            }
        }
        let (item, result) = self.there.pop_front()?;
        Some((item, result.map_err(|error| *error)))
    }
}

impl<I, A, R> Drop for Flow<'_, I, A, R> {
    fn drop(&mut self) {
        let job = &self.begun.job;
        if job.is_over() {
            return;
        }
        // Nobody waits for it any more: what has not begun is not to.
        let core = &self.pool.core;
        self.begun.results.abandon();
        core.stop_job(job);
        if job.end() {
            core.settle(job);
        } else {
            self.pool.attend();
        }
    }
}

impl<I, A, R> fmt::Debug for Flow<'_, I, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, known) = self.begun.job.progress();
        f.debug_struct("Flow")
            .field("caller", &format_args!("{}", self.begun.job.caller))
            .field("claimed", &known)
            .field("done", &done)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// The results of [`Pool::imap`](super::Pool::imap), in the items' order.
///
/// Dropping it cancels what has not begun.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let mut halves = pool.imap(|n: u32| 10 / n, [5, 0, 2]);
/// assert_eq!(halves.next().unwrap()?, 2);
/// assert!(halves.next().unwrap().is_err());
/// assert_eq!(halves.next().unwrap()?, 5);
/// # Ok(()) }
/// ```
pub struct Ordered<'p, I, A, R>(pub(super) Flow<'p, I, A, R>);

impl<I, A, R> fmt::Debug for Ordered<'_, I, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ordered").field(&self.0).finish()
    }
}

impl<I: Iterator<Item = A>, A: Send + 'static, R> Iterator for Ordered<'_, I, A, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(_, result)| result)
    }
}

/// The results of [`Pool::map_unordered`](super::Pool::map_unordered), as they come, each with the
/// number of its item.
///
/// Dropping it cancels what has not begun.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let (item, half) = pool.map_unordered(|n: u32| 10 / n, [5]).next().unwrap();
/// assert_eq!((item, half?), (0, 2));
/// # Ok(()) }
/// ```
pub struct Unordered<'p, I, A, R>(pub(super) Flow<'p, I, A, R>);

impl<I, A, R> fmt::Debug for Unordered<'_, I, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unordered").field(&self.0).finish()
    }
}

impl<I: Iterator<Item = A>, A: Send + 'static, R> Iterator for Unordered<'_, I, A, R> {
    type Item = (usize, Result<R, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
