//! A queue of values whose lowest is taken first.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::joins::joins;
use super::queues::{gets, puts, queue};
use super::until;
use crate::codec::order::{OrderKey, order_key};
use crate::remote::queue::error::{GetError, PutError};
use crate::remote::queue::iter::{IntoIter, Iter, TryIter, iterates};
use crate::remote::queue::limits::Limits;
use crate::remote::queue::raw::RemoteQueue;
use crate::remote::queue::scripts::QueueKind;
use crate::remote::{Family, Patience, RemoteError};

/// A queue on a server whose lowest value is taken first; of equal ones the one that was put first.
///
/// Values are ordered as [`crate::PriorityQueue`] orders them: by what they serialise as. For any other order give a
/// priority beside the value by [`put_with_priority`](PriorityQueue::put_with_priority).
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Family, PriorityQueue};
/// let family = Family::open("redis://localhost")?;
/// let jobs: PriorityQueue<(f64, String)> = family.priority_queue("jobs", None)?;
/// jobs.put((2.0, "sweep the floor".into()))?;
/// jobs.put((0.5, "open the window".into()))?;
/// assert_eq!(jobs.get()?.1, "open the window");
/// # Ok(()) }
/// ```
pub struct PriorityQueue<T> {
    raw: RemoteQueue,
    values: PhantomData<fn(T) -> T>,
}

queue!(PriorityQueue, Priority, priority_queue);
puts!(PriorityQueue, put_with);
gets!(PriorityQueue, "lowest");
joins!(PriorityQueue);

impl<T: Serialize> PriorityQueue<T> {
    /// Puts all values of a slice, many in one step; waits while the queue is full.
    ///
    /// # Errors
    /// As [`put`](Self::put), with the place of the first value that is not in the queue: those before it are,
    /// those behind it are not.
    pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<usize>> {
        super::put_slice(&self.raw, values, |value| Ok(order_key(value)?.as_bytes().to_vec()))
    }

    fn put_with(&self, value: T, patience: &Patience<'_>) -> Result<(), PutError<T>> {
        let key = order_key(&value);
        self.put_keyed(value, key, patience)
    }

    /// Puts a value that is ordered by something else; waits while the queue is full. All that is put into
    /// one queue should have priorities of one type.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_with_priority<P: Serialize + ?Sized>(
        &self,
        priority: &P,
        value: T,
    ) -> Result<(), PutError<T>> {
        self.put_keyed(value, order_key(priority), &Patience::forever())
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
        self.put_keyed(value, order_key(priority), &Patience::none())
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
        self.put_keyed(value, order_key(priority), &Patience::of(timeout))
    }

    fn put_keyed(
        &self,
        value: T,
        key: Result<OrderKey, String>,
        patience: &Patience<'_>,
    ) -> Result<(), PutError<T>> {
        match key {
            Ok(key) => super::put(&self.raw, value, key.as_bytes(), patience),
            Err(why) => Err(PutError::Unordered(value, why)),
        }
    }
}
