//! A queue of values.

use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawQueue;
use crate::arena::family::Family;
use crate::channel::message::{self, Patience};
use crate::error::{ArenaError, GetError, HandleError, PutError};
use crate::travel::travels;

/// A first-in-first-out queue between processes.
///
/// Any number of producers and consumers, in any processes of the family. Values are serialised by
/// serde as MessagePack (see [`codec`](crate::codec)); a Python process of the family reads them as plain data.
/// See the [module](crate::queue) for blocking, order, and what happens when a process dies.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Queue;
/// let q: Queue<String> = Queue::unbounded()?;
/// q.put("hello".to_string())?;
/// assert_eq!(q.get()?, "hello");
/// assert_eq!(q.len(), 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    raw: RawQueue,
    values: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { raw: self.raw.clone(), values: PhantomData }
    }
}

travels!(Queue<T>, "a queue", |it| it.raw.lease());

impl<T> Queue<T> {
    /// A queue bounded by memory only, in this process's family.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// let q: procession::Queue<u8> = procession::Queue::unbounded().unwrap();
    /// ```
    pub fn unbounded() -> Result<Queue<T>, HandleError> {
        Ok(Queue::unbounded_in(Family::current()?)?)
    }

    /// The same in a family that is not the current one.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, Queue};
    /// # let family = Family::current()?;
    /// let q: Queue<u8> = Queue::unbounded_in(family)?;
    /// # Ok(()) }
    /// ```
    pub fn unbounded_in(family: Family) -> Result<Queue<T>, ArenaError> {
        Ok(RawQueue::create(family, None)?.into())
    }

    /// A queue of at most `capacity` values; 0 counts as 1.
    ///
    /// # Errors
    /// As [`Queue::unbounded`].
    ///
    /// # Examples
    /// ```
    /// let q: procession::Queue<u8> = procession::Queue::bounded(8).unwrap();
    /// assert_eq!(q.capacity(), Some(8));
    /// ```
    pub fn bounded(capacity: u64) -> Result<Queue<T>, HandleError> {
        Ok(Queue::bounded_in(Family::current()?, capacity)?)
    }

    /// The same in a family that is not the current one.
    ///
    /// # Errors
    /// As [`Queue::unbounded_in`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, Queue};
    /// # let family = Family::current()?;
    /// let q: Queue<u8> = Queue::bounded_in(family, 2)?;
    /// assert_eq!(q.capacity(), Some(2));
    /// # Ok(()) }
    /// ```
    pub fn bounded_in(family: Family, capacity: u64) -> Result<Queue<T>, ArenaError> {
        let capacity = NonZeroU64::new(capacity).unwrap_or(NonZeroU64::MIN);
        Ok(RawQueue::create(family, Some(capacity))?.into())
    }

    /// Opens the queue that a handle names. The handle does not say the type: it must be that of the
    /// other processes, or values fail to decode.
    ///
    /// # Errors
    /// [`HandleError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::Queue;
    /// let a: Queue<i32> = Queue::unbounded()?;
    /// let b: Queue<i32> = Queue::from_handle(&a.handle())?;
    /// a.put(7)?;
    /// assert_eq!(b.get()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn from_handle(handle: &[u8]) -> Result<Queue<T>, HandleError> {
        Ok(RawQueue::from_handle(handle)?.into())
    }

    /// Bytes that name the queue anywhere in the family; see [`RawQueue::handle`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(!q.handle().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        self.raw.handle()
    }

    /// The queue of bytes beneath.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(q.raw().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn raw(&self) -> &RawQueue {
        &self.raw
    }

    /// How many values are in the queue: exact at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// q.put(1)?;
    /// assert_eq!(q.len(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether the queue is empty at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(q.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether there is no room at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put(1)?;
    /// assert!(q.is_full());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::<u8>::unbounded()?;
    /// q.close();
    /// assert!(q.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// How many values it may hold; `None`: as many as memory allows.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert_eq!(q.capacity(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        self.raw.capacity().map(NonZeroU64::get)
    }

    /// Closes the queue for all processes: puts fail, gets take what is left, then fail too.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{GetError, Queue};
    /// let q: Queue<i32> = Queue::unbounded()?;
    /// q.put(1)?;
    /// q.close();
    /// assert_eq!(q.get()?, 1);
    /// assert!(matches!(q.get(), Err(GetError::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }
}

impl<T> From<RawQueue> for Queue<T> {
    fn from(raw: RawQueue) -> Self {
        Queue { raw, values: PhantomData }
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts a value; waits while the queue is full.
    ///
    /// # Errors
    /// [`PutError`], with the value: `Closed`, `Arena` (no memory), `Encode`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put(vec![1, 2, 3])?;
    /// # Ok(()) }
    /// ```
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::Endless)
    }

    /// Puts a value if there is room at once.
    ///
    /// # Errors
    /// As [`Queue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.try_put(1)?;
    /// assert!(q.try_put(2).is_err());
    /// # Ok(()) }
    /// ```
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::None)
    }

    /// Puts a value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put_timeout('x', std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::of(timeout))
    }

    /// Puts a value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put_deadline('x', std::time::Instant::now())?;
    /// # Ok(()) }
    /// ```
    pub fn put_deadline(&self, value: T, deadline: Instant) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::Until(deadline))
    }

    /// Puts all values in order; waits while the queue is full. Other producers' values may come
    /// between.
    ///
    /// # Errors
    /// As [`Queue::put`], with the value that failed; those before it are in the queue, those after
    /// it were not taken from the iterator.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put_many(0..3)?;
    /// assert_eq!(q.get_many(10)?, [0, 1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<T>> {
        values.into_iter().try_for_each(|v| self.put(v))
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest value; waits while the queue is empty.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (and empty), `Decode` (the message was of another type; it is taken),
    /// `Arena`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put(1.5)?;
    /// assert_eq!(q.get()?, 1.5);
    /// # Ok(()) }
    /// ```
    pub fn get(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::Endless)
    }

    /// Takes the oldest value, if there is one.
    ///
    /// # Errors
    /// As [`Queue::get`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{GetError, Queue};
    /// let q: Queue<i32> = Queue::unbounded()?;
    /// assert!(matches!(q.try_get(), Err(GetError::Empty)));
    /// # Ok(()) }
    /// ```
    pub fn try_get(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::None)
    }

    /// Takes the oldest value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::get`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(q.get_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        message::get(&self.raw, Patience::of(timeout))
    }

    /// Takes the oldest value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::get`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(q.get_deadline(std::time::Instant::now()).is_err());
    /// # Ok(()) }
    /// ```
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        message::get(&self.raw, Patience::Until(deadline))
    }
}
