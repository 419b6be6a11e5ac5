//! A queue whose work can be waited for.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawQueue;
use super::typed::Queue;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::channel::iter::iterates;
use crate::channel::message::Patience;
use crate::error::{ArenaError, GetError, HandleError, PutError, TooManyDone};
use crate::travel::travels;

/// A [`Queue`] that knows how many of its values are done with.
///
/// Who gets a value says [`task_done`](JoinableQueue::task_done) when it is done with it;
/// [`join`](JoinableQueue::join) waits until that was said for all that were put. A worker that is killed
/// in between does not say it: somebody must for it, or put the work again and say it. It is the same as a
/// Python process's `JoinableQueue`.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::JoinableQueue;
/// let jobs = JoinableQueue::unbounded()?;
/// jobs.put_many(1..=3)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         for job in jobs.iter() {
///             assert!(job.unwrap() <= 3);
///             jobs.task_done().unwrap();
///         }
///     });
///     jobs.join();
///     jobs.close();
/// });
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JoinableQueue<T>(Queue<T>);

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        JoinableQueue(self.0.clone())
    }
}

travels!(JoinableQueue<T>, "a queue", |it| it.lease());

impl<T> JoinableQueue<T> {
    /// A queue bounded by memory only, in this process's family.
    ///
    /// # Errors
    /// As [`Queue::unbounded`].
    pub fn unbounded() -> Result<JoinableQueue<T>, HandleError> {
        Queue::unbounded().map(JoinableQueue)
    }

    /// A queue of at most `capacity` values; 0 counts as 1.
    ///
    /// # Errors
    /// As [`Queue::unbounded`].
    pub fn bounded(capacity: u64) -> Result<JoinableQueue<T>, HandleError> {
        Queue::bounded(capacity).map(JoinableQueue)
    }

    /// As [`JoinableQueue::unbounded`], in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn unbounded_in(family: Family) -> Result<JoinableQueue<T>, ArenaError> {
        Queue::unbounded_in(family).map(JoinableQueue)
    }

    /// As [`JoinableQueue::bounded`], in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn bounded_in(family: Family, capacity: u64) -> Result<JoinableQueue<T>, ArenaError> {
        Queue::bounded_in(family, capacity).map(JoinableQueue)
    }

    /// A queue of at most so many values, and so many bytes: see [`Queue::bounded_by`].
    ///
    /// # Errors
    /// As [`Queue::unbounded`].
    pub fn bounded_by(
        messages: Option<NonZeroU64>,
        bytes: Option<NonZeroU64>,
    ) -> Result<JoinableQueue<T>, HandleError> {
        Queue::bounded_by(messages, bytes).map(JoinableQueue)
    }

    /// Opens the queue that a handle names: see [`Queue::from_handle`].
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<JoinableQueue<T>, HandleError> {
        Queue::from_handle(handle).map(JoinableQueue)
    }

    /// Bytes that name the queue anywhere in the family. They do not keep it alive.
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        self.0.handle()
    }

    /// What keeps the queue alive without being a handle to use it.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.raw().lease()
    }

    /// The family that it belongs to.
    #[must_use]
    pub fn family(&self) -> Family {
        self.raw().family()
    }

    /// The queue of bytes beneath.
    #[must_use]
    pub fn raw(&self) -> &RawQueue {
        self.0.raw()
    }

    /// The same queue as one that is not joined: for who only puts, or does not count.
    #[must_use]
    pub fn as_queue(&self) -> &Queue<T> {
        &self.0
    }

    /// Says that a value that was taken is done with.
    ///
    /// # Errors
    /// [`TooManyDone`] if that was said for every value already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::JoinableQueue;
    /// let jobs = JoinableQueue::unbounded()?;
    /// jobs.put(1)?;
    /// assert_eq!(jobs.unfinished(), 1);
    /// let job = jobs.get()?;
    /// jobs.task_done()?;
    /// assert!(jobs.task_done().is_err());
    /// # Ok(()) }
    /// ```
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        self.raw().done()
    }

    /// How many values were put and are not done with.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.raw().unfinished()
    }

    /// Waits until every value that was put is done with.
    pub fn join(&self) {
        self.join_with(Patience::Endless);
    }

    /// The same, at most so long. Whether it was so.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::JoinableQueue;
    /// let jobs = JoinableQueue::unbounded()?;
    /// jobs.put(1)?;
    /// assert!(!jobs.join_timeout(std::time::Duration::from_millis(1)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_with(Patience::of(timeout))
    }

    fn join_with(&self, patience: Patience) -> bool {
        while self.unfinished() != 0 {
            if !patience.wait(|deadline| self.raw().wait_done(deadline)) {
                return self.unfinished() == 0;
            }
        }
        true
    }

    /// How many values are in the queue: exact at an instant of the call.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether the queue is empty at an instant of the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is no room at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::JoinableQueue::bounded(1)?;
    /// q.put(1)?;
    /// assert!(q.is_full());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::JoinableQueue::<u8>::unbounded()?;
    /// q.close();
    /// assert!(q.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How many values it may hold; `None`: as many as memory allows.
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        self.0.capacity()
    }

    /// Closes the queue for all processes: puts fail, gets take what is left, then fail too.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes the queue and drops what is in it, which is not waited for: see [`RawQueue::shut_down_now`].
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::JoinableQueue::unbounded()?;
    /// jobs.put_slice(&[1, 2])?;
    /// jobs.get()?;
    /// jobs.shut_down_now()?;
    /// assert_eq!(jobs.unfinished(), 1); // the one that was taken
    /// # Ok(()) }
    /// ```
    pub fn shut_down_now(&self) -> Result<(), ArenaError> {
        self.0.shut_down_now()
    }
}

impl<T> From<RawQueue> for JoinableQueue<T> {
    fn from(raw: RawQueue) -> Self {
        JoinableQueue(raw.into())
    }
}

impl<T> From<Queue<T>> for JoinableQueue<T> {
    /// The same queue, all of whose values count that were ever put.
    fn from(queue: Queue<T>) -> Self {
        JoinableQueue(queue)
    }
}

impl<T: Serialize> JoinableQueue<T> {
    /// Puts a value; waits while the queue is full.
    ///
    /// # Errors
    /// As [`Queue::put`].
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.0.put(value)
    }

    /// Puts a value if there is room at once.
    ///
    /// # Errors
    /// As [`Queue::try_put`].
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.0.try_put(value)
    }

    /// Puts a value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::put_timeout`].
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.0.put_timeout(value, timeout)
    }

    /// Puts a value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::put_deadline`].
    pub fn put_deadline(&self, value: T, deadline: Instant) -> Result<(), PutError<T>> {
        self.0.put_deadline(value, deadline)
    }

    /// Puts all values of a slice, many under one lock: see [`Queue::put_slice`].
    ///
    /// # Errors
    /// As [`Queue::put_slice`].
    pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<usize>> {
        self.0.put_slice(values)
    }

    /// Puts all values in order: see [`Queue::put_many`].
    ///
    /// # Errors
    /// As [`Queue::put_many`].
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<T>> {
        self.0.put_many(values)
    }
}

impl<T: DeserializeOwned> JoinableQueue<T> {
    /// Takes at least one value, waiting for it, and at most `max` that are there.
    ///
    /// # Errors
    /// As [`Queue::get_many`].
    pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
        self.0.get_many(max)
    }

    /// A copy of the oldest value, which stays; waits while the queue is empty.
    ///
    /// # Errors
    /// As [`Queue::peek`].
    pub fn peek(&self) -> Result<T, GetError> {
        self.0.peek()
    }

    /// A copy of the oldest value, if there is one.
    ///
    /// # Errors
    /// As [`Queue::try_peek`].
    pub fn try_peek(&self) -> Result<T, GetError> {
        self.0.try_peek()
    }

    /// A copy of the oldest value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::try_peek`].
    pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.0.peek_timeout(timeout)
    }

    /// A copy of the oldest value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::try_peek`].
    pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.0.peek_deadline(deadline)
    }

    /// Takes the oldest value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::get_deadline`].
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.0.get_deadline(deadline)
    }

    /// Takes the oldest value; waits while the queue is empty.
    ///
    /// # Errors
    /// As [`Queue::get`].
    pub fn get(&self) -> Result<T, GetError> {
        self.0.get()
    }

    /// Takes the oldest value, if there is one.
    ///
    /// # Errors
    /// As [`Queue::try_get`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.0.try_get()
    }

    /// Takes the oldest value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::get_timeout`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.0.get_timeout(timeout)
    }
}

iterates!(
    JoinableQueue<T>,
    get,
    try_get,
    "the queue",
    "let taken = procession::JoinableQueue::unbounded()?;\ntaken.put_many([1, 2])?;\ntaken.close();"
);
iterates!(
    Queue<T>,
    get,
    try_get,
    "the queue",
    "let taken = procession::Queue::unbounded()?;\ntaken.put_many([1, 2])?;\ntaken.close();"
);
