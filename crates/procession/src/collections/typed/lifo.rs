//! A queue of values whose newest is taken first.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::heap::Datum;
use super::super::lifo::RawLifoQueue;
use super::super::stock::Copied;
use super::queues::{self, queue};
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, GetError, HandleError, PutError, TaskDoneError};
use crate::wait::Wait;

/// A last-in-first-out queue between processes.
///
/// Any number of producers and consumers, in any processes of the family. Values are serialised by
/// serde as MessagePack (see [`codec`](crate::codec)). A blocked caller sleeps; whoever is awake takes
/// next. A value that a `put` returned for is in the queue, whatever happens to its sender, and one that a
/// process was taking when it was killed is in the queue or was taken: never torn, lost in between or
/// delivered twice.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::LifoQueue;
/// let q: LifoQueue<String> = LifoQueue::unbounded()?;
/// q.put("first".to_string())?;
/// q.put("second".to_string())?;
/// assert_eq!(q.get()?, "second");
/// # Ok(()) }
/// ```
pub struct LifoQueue<T> {
    raw: RawLifoQueue,
    values: PhantomData<fn(T) -> T>,
}

queue!(
    LifoQueue,
    RawLifoQueue,
    "newest",
    "let taken = procession::LifoQueue::unbounded()?;\ntaken.put_many([2, 1])?;\ntaken.close();"
);

impl<T: Serialize> LifoQueue<T> {
    fn put_with(&self, value: T, patience: Patience) -> Result<(), PutError<T>> {
        let (bytes, holds, value) = queues::pack(value)?;
        let datum = Datum { holds: &holds, ..Datum::plain(&bytes) };
        queues::put(self, value, bytes.len(), patience, || self.raw.try_put(&datum))
    }
}
