//! How full the queue is, and who waits for what.
//!
//! Who sleeps for a message, or for room, is woken one at a time; whoever was woken wakes the next one if
//! there is more. Before a sleep, and after each slice of it, one looks who has died.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::back::LOOK_MS;
use super::{BYTES, LEN, RawDeliveryQueue, UNFINISHED};
use crate::arena::doorbell::{Awaited, Spot};
use crate::arena::lease::Lease;
use crate::collections::line::OfferError;
use crate::wait::{Futex, SLICE, Spin, Wait, WaitWord};

/// How often a producer looks at a full queue while it spins.
pub(super) const LOOK_EVERY: u32 = 16;

impl RawDeliveryQueue {
    /// How many messages wait: exact at an instant of the call.
    #[must_use]
    pub fn len(&self) -> u64 {
        if self.is_dropped() { 0 } else { self.stock.peek(LEN) }
    }

    /// Whether no message waits at an instant of the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the messages that wait have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        if self.is_dropped() { 0 } else { self.stock.peek(BYTES) }
    }

    /// How many messages were put and are not done with: those that wait and those in flight.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.stock.peek(UNFINISHED)
    }

    /// How many messages are in flight, about: they were taken, and neither done nor given back, by
    /// processes that live as far as anybody knows.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.unfinished().saturating_sub(self.stock.peek(LEN))
    }

    /// How many messages may wait in it; `None`: as many as memory allows.
    #[must_use]
    pub fn capacity(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.limits.messages)
    }

    /// How many bytes the messages that wait in it may have; `None`: as many as memory allows.
    #[must_use]
    pub fn max_bytes(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.limits.bytes)
    }

    /// Whether the queue is bounded, and there is no room for another byte at an instant of the call.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.has_room(1)
    }

    /// Whether a message of so many bytes could be put.
    #[must_use]
    pub fn has_room(&self, len: u64) -> bool {
        self.fits(self.len(), self.bytes(), len)
    }

    #[inline]
    fn fits(&self, waiting: u64, bytes: u64, len: u64) -> bool {
        let room = self.limits.messages == 0 || waiting < self.limits.messages;
        let alone = self.limits.bytes == 0 || waiting == 0;
        room && (alone || bytes.saturating_add(len) <= self.limits.bytes)
    }

    #[inline]
    pub(super) fn admit(&self, waiting: u64, bytes: u64, len: u64) -> Result<(), OfferError> {
        if self.is_closed() {
            return Err(OfferError::Closed);
        }
        if self.fits(waiting, bytes, len) { Ok(()) } else { Err(OfferError::Full) }
    }

    /// There is something for one more.
    #[inline]
    pub(super) fn pass_on(&self) {
        let items = &self.stock.slot.change;
        if items.has_sleepers() && !self.is_empty() {
            items.wake_one(&self.stock.lease.inner.ringing());
        }
    }

    /// There is room for one more.
    #[inline]
    pub(super) fn pass_on_room(&self) {
        let room = &self.stock.slot.room;
        let is_bounded = self.limits.messages != 0 || self.limits.bytes != 0;
        if is_bounded && room.has_sleepers() && !self.is_full() {
            self.wake_for_room();
        }
    }

    /// Of those who wait for room one may need more of it than another.
    #[inline]
    pub(super) fn wake_for_room(&self) {
        if self.limits.bytes != 0 {
            self.stock.slot.room.wake_all(&self.stock.lease.inner.ringing());
        } else if self.limits.messages != 0 {
            self.stock.slot.room.wake_one(&self.stock.lease.inner.ringing());
        }
    }

    pub(super) fn wake_all(&self) {
        let slot = self.stock.slot;
        for word in [&slot.change, &slot.room, &slot.all_done] {
            word.wake_all(&self.stock.lease.inner.ringing());
        }
    }

    /// Waits until there may be a message, the queue is shut down, the deadline passes, a signal comes,
    /// or a slice of 250 ms is over.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue, Wait};
    /// let q = RawDeliveryQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_item(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        let ready = || !self.is_empty() || self.is_closed();
        self.wait(&self.stock.slot.change, Some(&self.item_spin), deadline, ready)
    }

    /// Waits until there may be room, or as [`wait_for_item`](RawDeliveryQueue::wait_for_item).
    #[must_use]
    pub fn wait_for_room(&self, deadline: Option<Instant>) -> Wait {
        self.wait_for_room_of(0, deadline)
    }

    /// The same, for a message of so many bytes.
    #[must_use]
    pub fn wait_for_room_of(&self, len: u64, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_room(len) || self.is_closed();
        self.wait(&self.stock.slot.room, Some(&self.room_spin), deadline, ready)
    }

    /// Waits until every message that was put may be reported as done, or as
    /// [`wait_for_item`](RawDeliveryQueue::wait_for_item).
    #[must_use]
    pub fn wait_done(&self, deadline: Option<Instant>) -> Wait {
        self.wait(&self.stock.slot.all_done, None, deadline, || self.unfinished() == 0)
    }

    /// Where an event loop waits for something of this queue: see [`Doorbell`](crate::Doorbell). Nobody
    /// rings when a process dies: who waits so calls [`recover_if_due`](RawDeliveryQueue::recover_if_due)
    /// now and then.
    #[must_use]
    pub fn spot(&self, what: Awaited) -> Spot<'_> {
        let slot = self.stock.slot;
        let word = match what {
            Awaited::Items => &slot.change,
            Awaited::Room => &slot.room,
            Awaited::Done => &slot.all_done,
        };
        Spot::of(self.stock.lease.inner, word)
    }

    fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        if !ready() {
            // An error of the arena's is found again by whoever looks next, and told.
            let _ = self.recover_if_due();
        }
        // While something is in flight one looks more often.
        let slice = if self.in_flight() == 0 { SLICE } else { Duration::from_millis(LOOK_MS) };
        let Lease { inner, id, .. } = &self.stock.lease;
        inner.wait_at(id.index, spin, deadline, slice, &ready, |limit| {
            word.sleep(&Futex, limit, &ready)
        })
    }

    /// Whether a process is in the middle of an operation, and stays there for more than some
    /// microseconds, since it was stopped perhaps. The next operation sleeps until it goes on, or is dead.
    #[inline]
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stock.is_stuck()
    }

    /// Sleeps until nobody is in the middle of an operation.
    ///
    /// # Errors
    /// [`ArenaError`](crate::ArenaError) if the arena is damaged.
    pub fn settle(&self) -> Result<(), crate::error::ArenaError> {
        self.stock.settle()
    }
}
