//! Values of a queue: many at once, and a look at the next one; both bounds.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawQueue;
use super::typed::Queue;
use crate::arena::family::Family;
use crate::channel::carrier::Carrier;
use crate::channel::message::{self, Patience};
use crate::channel::scratch::Scratch;
use crate::codec::{self, PLAIN};
use crate::error::{ArenaError, GetError, HandleError, PutError};

/// So many values are encoded before they are put.
const CHUNK: usize = 256;

impl<T> Queue<T> {
    /// A queue of at most so many values, and so many bytes: see [`RawQueue::create_limited`].
    ///
    /// # Errors
    /// As [`Queue::unbounded`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded_by(None, std::num::NonZeroU64::new(1 << 20))?;
    /// q.put(vec![0u8; 1 << 19])?;
    /// assert!(q.try_put(vec![0u8; 1 << 20]).is_err());
    /// # Ok(()) }
    /// ```
    pub fn bounded_by(
        messages: Option<NonZeroU64>,
        bytes: Option<NonZeroU64>,
    ) -> Result<Queue<T>, HandleError> {
        Ok(RawQueue::create_limited(Family::current()?, messages, bytes)?.into())
    }

    /// Closes the queue and drops what is in it: see [`RawQueue::shut_down_now`].
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{GetError, Queue};
    /// let q: Queue<i32> = Queue::unbounded()?;
    /// q.put(1)?;
    /// q.shut_down_now()?;
    /// assert!(matches!(q.get(), Err(GetError::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn shut_down_now(&self) -> Result<(), ArenaError> {
        self.raw().shut_down_now()
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts all values of a slice in order, many under one lock; waits while the queue is full. Other
    /// producers' values may come between.
    ///
    /// # Errors
    /// As [`Queue::put`], with the place of the first value that is not in the queue: those before it are,
    /// those behind it are not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put_slice(&[1, 2, 3])?;
    /// assert_eq!(q.get_many(10)?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<usize>> {
        let mut ends = Vec::new();
        let mut done = 0;
        while done < values.len() {
            let mut bytes = Scratch::take();
            ends.clear();
            // What needs a block, or can't be encoded, is put by itself, when its turn comes.
            let run = &values[done..values.len().min(done + CHUNK)];
            for value in run {
                let start = bytes.len();
                if !message::pack_inline(value, &mut bytes) {
                    bytes.truncate(start);
                    break;
                }
                ends.push(bytes.len());
            }
            if ends.is_empty() {
                drop(bytes);
                message::put(self.raw(), &values[done], Patience::Endless)
                    .map_err(|e| e.map(|_| done))?;
                done += 1;
                continue;
            }
            self.raw().put_all(PLAIN, &bytes, &ends).map_err(|e| e.map(|n| done + n))?;
            done += ends.len();
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes at least one value, waiting for it, and at most `max` that are there, many under one lock.
    ///
    /// # Errors
    /// As [`Queue::get`] for the first; a later message that does not decode is lost with its error, and
    /// any other error is left for the next call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put_many([1, 2, 3])?;
    /// assert_eq!(q.get_many(2)?, [1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
        let mut out = Vec::new();
        if max == 0 {
            return Ok(out);
        }
        out.push(self.get()?);
        let mut ends = Vec::new();
        let mut taken = 1;
        while taken < max {
            let mut bytes = Scratch::take();
            match self.raw().try_get_many(PLAIN, max - taken, &mut bytes, &mut ends) {
                Ok(Some(0)) => {
                    drop(bytes);
                    match self.try_get() {
                        Ok(value) => out.push(value),
                        Err(GetError::Decode(_)) => {}
                        Err(_) => break,
                    }
                    taken += 1;
                }
                Ok(Some(n)) => {
                    taken += n;
                    let mut start = 0;
                    for &end in &ends {
                        out.extend(codec::decode(&bytes[start..end]).ok());
                        start = end;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        Ok(out)
    }

    /// A copy of the value that [`Queue::get`] would return, which stays where it is; waits while the queue
    /// is empty.
    ///
    /// # Errors
    /// As [`Queue::get`]; a message of another type stays, too.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::unbounded()?;
    /// q.put(1)?;
    /// assert_eq!(q.peek()?, 1);
    /// assert_eq!(q.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn peek(&self) -> Result<T, GetError> {
        self.peek_with(Patience::Endless)
    }

    /// The same, if there is a value.
    ///
    /// # Errors
    /// As [`Queue::peek`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
    /// assert!(q.try_peek().is_err());
    /// # Ok(()) }
    /// ```
    pub fn try_peek(&self) -> Result<T, GetError> {
        self.peek_with(Patience::None)
    }

    /// The same; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::try_peek`].
    pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.peek_with(Patience::of(timeout))
    }

    /// The same; waits until `deadline`.
    ///
    /// # Errors
    /// As [`Queue::try_peek`].
    pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.peek_with(Patience::Until(deadline))
    }

    fn peek_with(&self, patience: Patience) -> Result<T, GetError> {
        let mut inline = Scratch::take();
        loop {
            let mut seen = self.raw().peek(&mut inline)?;
            let is_over = seen.is_none() && self.raw().is_over()?;
            if is_over {
                seen = self.raw().peek(&mut inline)?;
            }
            if let Some(message) = seen {
                return message::unpack(&message, &inline);
            }
            if is_over {
                return Err(GetError::Closed);
            }
            if !patience.wait(|deadline| self.raw().await_message(deadline)) {
                return Err(GetError::Empty);
            }
        }
    }
}
