//! One value on its way: what must be said of it, and what happens if nothing is.

use std::fmt;
use std::ops::Deref;

use crate::collections::delivery::{NotInFlight, RawDeliveryQueue, Ticket};
use crate::error::ArenaError;

/// A value that is in flight in this process.
///
/// Dropped without a word, after a panic for instance, it is given back. In a child of a fork it is the
/// parent's still, and dropping it does nothing.
#[must_use = "it is given back when it is dropped"]
pub struct Delivery<T> {
    value: Option<T>,
    raw: RawDeliveryQueue,
    ticket: Ticket,
}

/// Nothing was said of a delivery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// It is not in flight in this process: in a child of a fork, say.
    #[error(transparent)]
    NotInFlight(#[from] NotInFlight),
    /// The arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl<T> Delivery<T> {
    pub(super) fn new(value: T, raw: RawDeliveryQueue, ticket: Ticket) -> Delivery<T> {
        Delivery { value: Some(value), raw, ticket }
    }

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
    /// [`DeliveryError`].
    pub fn done(mut self) -> Result<T, DeliveryError> {
        let value = self.value.take();
        self.raw.done(&self.ticket)??;
        // It is taken out here and in `give_back` only, both of which consume the delivery.
        value.ok_or(DeliveryError::NotInFlight(NotInFlight))
    }

    /// The value waits again, where it stood.
    ///
    /// # Errors
    /// [`DeliveryError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::DeliveryQueue::unbounded()?;
    /// jobs.put_many([1, 2])?;
    /// jobs.get()?.give_back()?;
    /// let again = jobs.get()?;
    /// assert_eq!((*again, again.count()), (1, 2));
    /// # Ok(()) }
    /// ```
    pub fn give_back(mut self) -> Result<(), DeliveryError> {
        self.value = None;
        Ok(self.raw.give_back(&self.ticket)??)
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
            // Nothing can be done about an error here; if the process ends it comes back.
            let _ = self.raw.give_back(&self.ticket);
        }
    }
}
