//! A queue of values that are delivered at least once.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::queues::{puts, queue};
use super::{decode, until};
use crate::remote::queue::delivery::{InFlight, Ticket};
use crate::remote::queue::error::{GetError, PutError};
use crate::remote::queue::iter::{IntoIter, Iter, TryIter, iterates};
use crate::remote::queue::limits::Limits;
use crate::remote::queue::message::Taken;
use crate::remote::queue::raw::RemoteQueue;
use crate::remote::queue::scripts::QueueKind;
use crate::remote::{Family, Patience, RemoteError};

/// A queue on a server, first in first out, whose values are delivered at least once.
///
/// A [`get`](DeliveryQueue::get) gives a [`Delivery`]: the value is *in flight* until [`done`](Delivery::done) is said of
/// it. If the process dies before, or is cut off from the server for longer than its lease, the value comes back to the
/// front of the queue, before all that came later, and whoever waits there takes it. Its [`count`](Delivery::count) is then
/// one more. So a value may be worked on twice: what is done with it must bear that.
///
/// A bound is of the values that wait. Those in flight do not count, and what comes back needs no room.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{DeliveryQueue, Family};
/// let family = Family::open("redis://localhost")?;
/// let jobs: DeliveryQueue<String> = family.delivery_queue("jobs", None)?;
/// jobs.put("sweep the floor".to_string())?;
/// let job = jobs.get()?;
/// assert_eq!((job.as_str(), job.count()), ("sweep the floor", 1));
/// job.done()?;
/// jobs.join()?;
/// # Ok(()) }
/// ```
pub struct DeliveryQueue<T> {
    raw: RemoteQueue,
    values: PhantomData<fn(T) -> T>,
}

queue!(DeliveryQueue, Delivery, delivery_queue);
puts!(DeliveryQueue, put_with);
iterates!(DeliveryQueue<T>, Delivery<T>);

impl<T> DeliveryQueue<T> {
    /// How many values are in flight.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn in_flight(&self) -> Result<u64, RemoteError> {
        self.raw.in_flight()
    }

    /// What is in flight, and who has it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn in_flights(&self) -> Result<Vec<InFlight>, RemoteError> {
        self.raw.in_flights()
    }

    /// How many values were put and are not done with.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn unfinished(&self) -> Result<u64, RemoteError> {
        self.raw.unfinished()
    }

    /// Waits until every value that was put is done with, by whomever.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn join(&self) -> Result<(), RemoteError> {
        self.raw.join(&Patience::forever()).map(|_| ())
    }

    /// The same, for at most `timeout`; whether all are done with.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, RemoteError> {
        self.raw.join(&Patience::of(timeout))
    }
}

impl<T: Serialize> DeliveryQueue<T> {
    /// Puts all values of a slice in order, many in one step; waits while the queue is full.
    ///
    /// # Errors
    /// As [`put`](Self::put), with the place of the first value that is not in the queue: those before it are,
    /// those behind it are not.
    pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<usize>> {
        super::put_slice(&self.raw, values, |_| Ok(Vec::new()))
    }

    fn put_with(&self, value: T, patience: &Patience<'_>) -> Result<(), PutError<T>> {
        super::put(&self.raw, value, &[], patience)
    }
}

impl<T: DeserializeOwned> DeliveryQueue<T> {
    /// Takes the first value; waits while the queue is empty.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (and empty), `Decode` (the message was of another type; it is gone), `Remote`.
    pub fn get(&self) -> Result<Delivery<T>, GetError> {
        self.get_with(&Patience::forever())
    }

    /// Takes the first value, if one waits. If none does it looks first whether one comes back.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn try_get(&self) -> Result<Delivery<T>, GetError> {
        self.get_with(&Patience::none())
    }

    /// Takes the first value; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Delivery<T>, GetError> {
        self.get_with(&Patience::of(timeout))
    }

    /// Takes the first value; waits until `deadline`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Empty`.
    pub fn get_deadline(&self, deadline: Instant) -> Result<Delivery<T>, GetError> {
        self.get_with(&until(deadline))
    }

    /// Takes at least one value, waiting for it, and at most `max` that are there.
    ///
    /// # Errors
    /// As [`get`](Self::get) for the first; a later message that does not decode is gone with its error.
    pub fn get_many(&self, max: usize) -> Result<Vec<Delivery<T>>, GetError> {
        let taken = self.raw.get_many(max, &Patience::forever())?;
        let mut all: Vec<_> = taken.iter().map(|one| self.delivery(one)).collect();
        if all.iter().any(Result::is_ok) {
            all.retain(Result::is_ok);
        }
        all.into_iter().collect()
    }

    fn get_with(&self, patience: &Patience<'_>) -> Result<Delivery<T>, GetError> {
        self.delivery(&self.raw.get(patience)?)
    }

    fn delivery(&self, taken: &Taken) -> Result<Delivery<T>, GetError> {
        let Some(ticket) = taken.ticket() else {
            return Err(RemoteError::Corrupt("a delivery without a number".into()).into());
        };
        match decode(taken) {
            Ok(value) => {
                Ok(Delivery { value: Some(value), raw: self.raw.clone(), ticket: ticket.clone() })
            }
            Err(error) => {
                // It would be so each time.
                let _ = self.raw.done(ticket)?;
                Err(error)
            }
        }
    }
}

/// A value that is in flight in this process.
///
/// Dropped without a word, after a panic for instance, it is given back; if the server can't be reached just then it
/// comes back when this process ends. In a child of a fork it is the parent's still, and dropping it does nothing.
#[must_use = "it is given back when it is dropped"]
pub struct Delivery<T> {
    value: Option<T>,
    raw: RemoteQueue,
    ticket: Ticket,
}

impl<T> Delivery<T> {
    /// How often the value was delivered, this time included: 1, unless it came back.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.ticket.count()
    }

    /// How many values were put into the queue before this one.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.ticket.number()
    }

    /// The value is done with: it does not come back. Gives it out.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it is not this process's any more; somebody else may have it by now.
    pub fn done(mut self) -> Result<T, RemoteError> {
        let value = self.value.take();
        match (self.raw.done(&self.ticket)?, value) {
            (true, Some(value)) => Ok(value),
            _ => Err(self.raw.lost(&self.ticket)),
        }
    }

    /// The value waits again, where it stood.
    ///
    /// # Errors
    /// As [`done`](Delivery::done).
    pub fn give_back(mut self) -> Result<(), RemoteError> {
        self.value = None;
        if self.raw.return_ticket(&self.ticket)? {
            Ok(())
        } else {
            Err(self.raw.lost(&self.ticket))
        }
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a delivery without a value is not to be had"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("value", &self.value)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        if self.value.is_some() {
            self.raw.drop_ticket(&self.ticket);
        }
    }
}
