//! A queue of values whose lowest is taken first.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::heap::Datum;
use super::super::priority::RawPriorityQueue;
use super::super::stock::Copied;
use super::queues::{self, queue};
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::codec::order::{OrderKey, order_key};
use crate::error::{ArenaError, GetError, HandleError, PutError, TaskDoneError};
use crate::wait::Wait;

/// A queue between processes whose lowest value is taken first; of equal ones the one that was put first.
///
/// Values are ordered as `#[derive(PartialOrd, Ord)]` would order them, by what they serialise as:
/// numbers, texts, options (`None` first), tuples, sequences, and structs and enums of these, field by
/// field. [`std::cmp::Reverse`] serialises as its content and so changes nothing: for the highest first,
/// or any other order, give a priority beside the value by
/// [`put_with_priority`](PriorityQueue::put_with_priority), a negative number for example. A put or get
/// takes longer with the logarithm of the length only.
///
/// Any number of producers and consumers, in any processes of the family. Values are serialised by
/// serde as MessagePack (see [`codec`](crate::codec)); a blocked caller sleeps. A value that a `put`
/// returned for is in the queue, whatever happens to its sender, and one that a process was taking when it
/// was killed is in the queue or was taken: never torn, lost in between or delivered twice.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::PriorityQueue;
/// let jobs: PriorityQueue<(f64, String)> = PriorityQueue::bounded(100)?;
/// jobs.put((2.0, "sweep the floor".into()))?;
/// jobs.put((0.5, "open the window".into()))?;
/// assert_eq!(jobs.get()?.1, "open the window");
/// # Ok(()) }
/// ```
pub struct PriorityQueue<T> {
    raw: RawPriorityQueue,
    values: PhantomData<fn(T) -> T>,
}

queue!(
    PriorityQueue,
    RawPriorityQueue,
    "lowest",
    "let taken = procession::PriorityQueue::unbounded()?;\ntaken.put_many([2, 1])?;\ntaken.close();"
);

impl<T: Serialize> PriorityQueue<T> {
    fn put_with(&self, value: T, patience: Patience) -> Result<(), PutError<T>> {
        let key = order_key(&value);
        self.put_keyed(value, key, patience)
    }

    /// Puts a value that is ordered by something else; waits while the queue is full. All that is put into
    /// one queue should have priorities of one type.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PriorityQueue::unbounded()?;
    /// for (weight, name) in [(1.5, "light"), (30.0, "heavy")] {
    ///     q.put_with_priority(&-weight, name.to_string())?; // the heaviest first
    /// }
    /// assert_eq!(q.get()?, "heavy");
    /// # Ok(()) }
    /// ```
    pub fn put_with_priority<P: Serialize + ?Sized>(
        &self,
        priority: &P,
        value: T,
    ) -> Result<(), PutError<T>> {
        self.put_keyed(value, order_key(priority), Patience::Endless)
    }

    /// The same, if there is room at once.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    pub fn try_put_with_priority<P: Serialize + ?Sized>(
        &self,
        priority: &P,
        value: T,
    ) -> Result<(), PutError<T>> {
        self.put_keyed(value, order_key(priority), Patience::None)
    }

    /// The same; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    pub fn put_with_priority_timeout<P: Serialize + ?Sized>(
        &self,
        priority: &P,
        value: T,
        timeout: Duration,
    ) -> Result<(), PutError<T>> {
        self.put_keyed(value, order_key(priority), Patience::of(timeout))
    }

    fn put_keyed(
        &self,
        value: T,
        key: Result<OrderKey, String>,
        patience: Patience,
    ) -> Result<(), PutError<T>> {
        let key = match key {
            Ok(key) => key,
            Err(why) => return Err(PutError::Unordered(value, why)),
        };
        let (bytes, holds, value) = queues::pack(value)?;
        let datum = Datum { holds: &holds, ..Datum::plain(&bytes) };
        let offer = || self.raw.try_put(key.as_bytes(), &datum);
        queues::put(self, value, bytes.len(), patience, offer)
    }
}
