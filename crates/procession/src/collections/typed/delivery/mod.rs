//! A queue of values that are delivered at least once.

mod one;

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

pub use one::{Delivery, DeliveryError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::delivery::{InFlight, RawDeliveryQueue};
use super::super::line::OfferError;
use super::{CollectionError, decode, encode};
use crate::arena::family::Family;
use crate::channel::iter::{IntoIter, Iter, Sealed, Source, TryIter};
use crate::channel::message::Patience;
use crate::error::{ArenaError, GetError, HandleError, PutError};

/// A queue between processes, first in first out, whose values are delivered at least once.
///
/// A [`get`](DeliveryQueue::get) gives a [`Delivery`]: the value is *in flight* until
/// [`done`](Delivery::done) is said of it. If the process dies before (killed, crashed, or ended without a
/// word), the value comes back to the front of the queue, before all that came later, and whoever waits there
/// takes it: after a quarter of a second at the latest. Its [`count`](Delivery::count) is then one more.
/// So a value whose process died just before it said so is worked on twice: what is done with it must
/// bear that.
///
/// A bound is of the values that wait. Those in flight do not count, and what comes back needs no room.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::DeliveryQueue;
/// let jobs = DeliveryQueue::unbounded()?;
/// jobs.put("sweep the floor".to_string())?;
/// let job = jobs.get()?;
/// assert_eq!((job.as_str(), job.count(), jobs.in_flight()), ("sweep the floor", 1, 1));
/// job.done()?;
/// jobs.join();
/// # Ok(()) }
/// ```
pub struct DeliveryQueue<T> {
    raw: RawDeliveryQueue,
    values: PhantomData<fn(T) -> T>,
}

impl<T> Clone for DeliveryQueue<T> {
    fn clone(&self) -> Self {
        DeliveryQueue { raw: self.raw.clone(), values: PhantomData }
    }
}

impl<T> fmt::Debug for DeliveryQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeliveryQueue").field(&self.raw).finish()
    }
}

crate::travel::travels!(DeliveryQueue<T>, "a queue", |it| it.raw.lease());

impl<T> From<RawDeliveryQueue> for DeliveryQueue<T> {
    fn from(raw: RawDeliveryQueue) -> Self {
        DeliveryQueue { raw, values: PhantomData }
    }
}

impl<T> DeliveryQueue<T> {
    /// A queue bounded by memory only, in this process's family.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn unbounded() -> Result<Self, HandleError> {
        Ok(Self::unbounded_in(Family::current()?)?)
    }

    /// The same, in another family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn unbounded_in(family: Family) -> Result<Self, ArenaError> {
        Ok(RawDeliveryQueue::create(family, None)?.into())
    }

    /// A queue in which at most `capacity` values wait; 0 counts as 1.
    ///
    /// # Errors
    /// As [`unbounded`](Self::unbounded).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::DeliveryQueue::bounded(1)?;
    /// jobs.put(1)?;
    /// let one = jobs.get()?;
    /// jobs.try_put(2)?; // what is in flight does not count
    /// assert!(jobs.try_put(3).is_err());
    /// # Ok(()) }
    /// ```
    pub fn bounded(capacity: u64) -> Result<Self, HandleError> {
        Ok(Self::bounded_in(Family::current()?, capacity)?)
    }

    /// The same, in another family.
    ///
    /// # Errors
    /// As [`unbounded_in`](Self::unbounded_in).
    pub fn bounded_in(family: Family, capacity: u64) -> Result<Self, ArenaError> {
        let capacity = NonZeroU64::new(capacity).unwrap_or(NonZeroU64::MIN);
        Ok(RawDeliveryQueue::create(family, Some(capacity))?.into())
    }

    /// A queue in which at most `messages` values of together at most `bytes` encoded bytes wait. A value
    /// of more than that may wait alone.
    ///
    /// # Errors
    /// As [`unbounded`](Self::unbounded).
    pub fn bounded_by(
        messages: Option<NonZeroU64>,
        bytes: Option<NonZeroU64>,
    ) -> Result<Self, HandleError> {
        Ok(RawDeliveryQueue::create_limited(Family::current()?, messages, bytes)?.into())
    }

    /// Opens the queue that a handle names. The handle does not say the type: it must be that of the other
    /// processes, or values fail to decode.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<Self, HandleError> {
        Ok(RawDeliveryQueue::from_handle(handle)?.into())
    }

    /// Bytes that name the queue anywhere in the family. They do not keep it alive.
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        self.raw.handle()
    }

    /// The queue of bytes beneath.
    #[must_use]
    pub fn raw(&self) -> &RawDeliveryQueue {
        &self.raw
    }

    /// How many values wait: exact at an instant of the call.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether no value waits at an instant of the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether the queue is bounded and full at an instant of the call.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// How many values may wait in it; `None`: as many as memory allows.
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        self.raw.capacity().map(NonZeroU64::get)
    }

    /// How many values are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.raw.in_flight()
    }

    /// What is in flight, and in which process.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn in_flights(&self) -> Result<Vec<InFlight>, ArenaError> {
        self.raw.in_flights()
    }

    /// How many values were put and are not done with.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.raw.unfinished()
    }

    /// Waits until every value that was put is done with, in whatever process.
    pub fn join(&self) {
        while self.unfinished() != 0 {
            let _ = self.raw.wait_done(None);
        }
    }

    /// The same, for at most `timeout`; whether all are done with.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::DeliveryQueue::unbounded()?;
    /// jobs.put(1)?;
    /// assert!(!jobs.join_timeout(std::time::Duration::ZERO));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        let patience = Patience::of(timeout);
        while self.unfinished() != 0 {
            if !patience.wait(|deadline| self.raw.wait_done(deadline)) {
                return self.unfinished() == 0;
            }
        }
        true
    }

    /// Shuts the queue down for all processes: puts fail, gets take what is left, then fail too.
    pub fn close(&self) {
        self.raw.close();
    }

    /// The same, and drops what waits, and what comes back later; it counts as done.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn shut_down_now(&self) -> Result<(), ArenaError> {
        self.raw.shut_down_now()
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

impl<T: Serialize> DeliveryQueue<T> {
    /// Puts a value; waits while the queue is full.
    ///
    /// # Errors
    /// [`PutError`], with the value.
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_with(value, Patience::Endless)
    }

    /// Puts a value if there is room at once.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_with(value, Patience::None)
    }

    /// Puts a value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_with(value, Patience::of(timeout))
    }

    /// Puts a value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    pub fn put_deadline(&self, value: T, deadline: Instant) -> Result<(), PutError<T>> {
        self.put_with(value, Patience::Until(deadline))
    }

    /// Puts all values, one by one; waits while the queue is full.
    ///
    /// # Errors
    /// As [`put`](Self::put), with the value that failed; those before it are in the queue, those after it
    /// were not taken from the iterator.
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<T>> {
        values.into_iter().try_for_each(|value| self.put(value))
    }

    fn put_with(&self, value: T, patience: Patience) -> Result<(), PutError<T>> {
        let encoded = match encode(&value) {
            Ok(encoded) => encoded,
            Err(CollectionError::Encode(why)) => return Err(PutError::Encode(value, why)),
            Err(e) => return Err(PutError::Encode(value, e.to_string())),
        };
        let len = encoded.bytes.len() as u64;
        loop {
            match self.raw.try_put(&encoded.datum()) {
                Ok(()) => return Ok(()),
                Err(OfferError::Closed) => return Err(PutError::Closed(value)),
                Err(OfferError::Arena(e)) => return Err(PutError::Arena(value, e)),
                Err(_) => {}
            }
            if !patience.wait(|deadline| self.raw.wait_for_room_of(len, deadline)) {
                return Err(PutError::Full(value));
            }
        }
    }
}

impl<T: DeserializeOwned> DeliveryQueue<T> {
    /// Takes the first value; waits while the queue is empty.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (and empty), `Decode` (the message was of another type; it is gone), `Arena`.
    pub fn get(&self) -> Result<Delivery<T>, GetError> {
        self.get_with(Patience::Endless)
    }

    /// Takes the first value, if one waits. If none does it looks first whether one comes back.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn try_get(&self) -> Result<Delivery<T>, GetError> {
        self.get_with(Patience::None)
    }

    /// Takes the first value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Delivery<T>, GetError> {
        self.get_with(Patience::of(timeout))
    }

    /// Takes the first value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn get_deadline(&self, deadline: Instant) -> Result<Delivery<T>, GetError> {
        self.get_with(Patience::Until(deadline))
    }

    /// Takes at least one value, waiting for it, and at most `max` that are there.
    ///
    /// # Errors
    /// As [`get`](Self::get) for the first; an error at a later one ends the batch.
    pub fn get_many(&self, max: usize) -> Result<Vec<Delivery<T>>, GetError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut all = vec![self.get()?];
        all.extend(self.try_iter().map_while(Result::ok).take(max - 1));
        Ok(all)
    }

    /// What comes until the queue is shut down and empty. It waits for each.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::DeliveryQueue::unbounded()?;
    /// jobs.put_many([1, 2])?;
    /// jobs.close();
    /// for job in jobs.iter() {
    ///     assert!(job?.done()? <= 2);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn iter(&self) -> Iter<'_, Self> {
        Iter::new(self)
    }

    /// What is there now; it waits for nothing.
    pub fn try_iter(&self) -> TryIter<'_, Self> {
        TryIter::new(self)
    }

    fn get_with(&self, patience: Patience) -> Result<Delivery<T>, GetError> {
        loop {
            // Asked before empty: what was put before the closing is there by then.
            let closed = self.is_closed();
            let found = self.take()?;
            if let Some(found) = found {
                return Ok(found);
            }
            // Who does not wait looks at once whether something comes back.
            if (closed || matches!(patience, Patience::None)) && self.raw.recover()? != 0 {
                continue;
            }
            if closed {
                return Err(GetError::Closed);
            }
            if !patience.wait(|deadline| self.raw.wait_for_item(deadline)) {
                return Err(GetError::Empty);
            }
        }
    }

    fn take(&self) -> Result<Option<Delivery<T>>, GetError> {
        let mut bytes = Vec::new();
        let Some((copied, ticket)) = self.raw.try_take(&mut bytes)? else {
            return Ok(None);
        };
        match decode(copied.kind, &bytes) {
            Ok(value) => Ok(Some(Delivery::new(value, self.raw.clone(), ticket))),
            Err(e) => {
                // It would be so each time.
                let _ = self.raw.done(&ticket)?;
                Err(GetError::Decode(match e {
                    CollectionError::Decode(why) => why,
                    e => e.to_string(),
                }))
            }
        }
    }
}

impl<T> Sealed for DeliveryQueue<T> {}

impl<T: DeserializeOwned> Source for DeliveryQueue<T> {
    type Item = Delivery<T>;

    fn next_item(&self) -> Result<Delivery<T>, GetError> {
        self.get()
    }

    fn next_item_if_any(&self) -> Result<Delivery<T>, GetError> {
        self.try_get()
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a DeliveryQueue<T> {
    type Item = Result<Delivery<T>, GetError>;
    type IntoIter = Iter<'a, DeliveryQueue<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: DeserializeOwned> IntoIterator for DeliveryQueue<T> {
    type Item = Result<Delivery<T>, GetError>;
    type IntoIter = IntoIter<DeliveryQueue<T>>;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter::new(self)
    }
}
