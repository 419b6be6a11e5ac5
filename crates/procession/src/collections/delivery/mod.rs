//! A queue whose messages are delivered at least once: what a process has taken and not reported as done
//! when it dies comes back to the front.
//!
//! All messages lie in the order of their arrival, in chunks; taking one moves nothing, it clears a bit
//! and writes down who took it. So the line is always in the order of arrival, whatever comes back, and
//! each of these is one step of a few words. See `chunk.rs` for what lies where, `steps.rs` for the steps,
//! `back.rs` for what happens when somebody dies.
//!
//! Invariants: no message in a chunk before `HEAD` waits; each chunk but the last one is full; a message is
//! in flight exactly while its bit is 0 and its taker is not; `UNFINISHED` counts all, `LEN` and `BYTES`
//! those that wait.

mod back;
mod chunk;
mod inspect;
mod steps;
mod waiting;

use std::fmt;
use std::num::NonZeroU64;

pub use inspect::InFlight;

use super::heap::{Datum, Ready};
use super::line::OfferError;
use super::stock::{Copied, Stock};
use crate::arena::family::{Family, FamilyId};
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::sys::clock;
use crate::sys::fault::crash_point;
use crate::wait::Spin;

/// Roots, behind the heap's: how many wait, how many are not done, the first chunk, the first one in which
/// a message may wait, the last one, the number of the next message, the bytes of those that wait, a
/// chunk that is kept, and who is dead and is being dispossessed. The 13th is `LOOKED`.
const LEN: usize = 5;
const UNFINISHED: usize = 6;
const FIRST: usize = 7;
const HEAD: usize = 8;
const LAST: usize = 9;
const NEXT: usize = 10;
const BYTES: usize = 11;
const SPARE: usize = 12;
const RETURNING: usize = 14;

/// In the slot's word about the queue's end: nothing more comes in; what is in it is dropped.
const SHUT: u64 = 1;
const DROPPED: u64 = 2;

/// So many messages are dropped under the lock at once.
const DROPPED_AT_ONCE: u64 = 1024;

/// A queue of bytes between processes, first in first out, whose messages are delivered at least once.
///
/// A message that is taken is *in flight* until [`done`](RawDeliveryQueue::done) is said of it. If the process
/// that took it ends before, however it ends, the message comes back to the front, before all that
/// came later: once for each death, with a [count](Ticket::count) of how often it was taken. Whoever waits for a message
/// notices the death within a quarter of a second.
///
/// The limits count what waits: not what is in flight, and what comes back needs no room.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawDeliveryQueue, collections::Datum};
/// let q = RawDeliveryQueue::create(Family::current()?, None)?;
/// q.try_put(&Datum::plain(b"one"))?;
/// let mut out = Vec::new();
/// let (_, ticket) = q.try_take(&mut out)?.expect("it is there");
/// assert_eq!((&out[..], ticket.count(), q.len(), q.in_flight()), (&b"one"[..], 1, 0, 1));
/// q.give_back(&ticket)?.unwrap();
/// let (_, ticket) = q.try_take(&mut out)?.expect("it is there again");
/// assert_eq!(ticket.count(), 2);
/// q.done(&ticket)?.unwrap();
/// assert_eq!(q.unfinished(), 0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawDeliveryQueue {
    stock: Stock,
    limits: Limits,
    item_spin: Spin,
    room_spin: Spin,
}

crate::travel::travels!(RawDeliveryQueue, "a queue", |it| it.lease());

/// Names a message that is in flight in this process.
///
/// It is of no use elsewhere, nor in a child of a fork, nor when the message is done with or has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    chunk: u64,
    number: u64,
    serial: Serial,
    count: u32,
}

impl Ticket {
    /// How often the message was taken, this time included: 1 unless it came back.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many messages were put into the queue before this one.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The message of a ticket is not in flight in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the message is not in flight in this process: it was done or given back, or another one took it"
)]
pub struct NotInFlight;

impl fmt::Debug for RawDeliveryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawDeliveryQueue")
            .field("index", &self.stock.lease.id.index)
            .field("len", &self.len())
            .field("in_flight", &self.in_flight())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl RawDeliveryQueue {
    /// A new queue; `capacity` in messages, `None`: bounded by memory only.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    pub fn create(
        family: Family,
        capacity: Option<NonZeroU64>,
    ) -> Result<RawDeliveryQueue, ArenaError> {
        RawDeliveryQueue::create_limited(family, capacity, None)
    }

    /// The same; `bytes` is a limit of what all messages that wait have together. A message of more than
    /// that may be in alone.
    ///
    /// # Errors
    /// As [`RawDeliveryQueue::create`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue};
    /// # use std::num::NonZeroU64;
    /// let q = RawDeliveryQueue::create_limited(Family::current()?, None, NonZeroU64::new(1 << 20))?;
    /// assert!(q.has_room(2 << 20));
    /// # Ok(()) }
    /// ```
    pub fn create_limited(
        family: Family,
        messages: Option<NonZeroU64>,
        bytes: Option<NonZeroU64>,
    ) -> Result<RawDeliveryQueue, ArenaError> {
        let limits = Limits {
            messages: messages.map_or(0, NonZeroU64::get),
            bytes: bytes.map_or(0, NonZeroU64::get),
        };
        Ok(RawDeliveryQueue::over(Stock::create_limited(family, Kind::Delivery, limits)?))
    }

    /// Opens the queue that a handle names, joining its family if need be.
    ///
    /// # Errors
    /// [`HandleError`] if the bytes are no handle of one, it is gone, or no member of its family can be
    /// reached.
    ///
    /// # Examples
    /// ```
    /// assert!(procession::RawDeliveryQueue::from_handle(b"nonsense").is_err());
    /// ```
    pub fn from_handle(bytes: &[u8]) -> Result<RawDeliveryQueue, HandleError> {
        Ok(RawDeliveryQueue::over(Stock::from_handle(bytes, Kind::Delivery)?))
    }

    fn over(stock: Stock) -> RawDeliveryQueue {
        let limits = stock.lease.slot.limits();
        let room_spin = Spin::every(waiting::LOOK_EVERY);
        RawDeliveryQueue { stock, limits, item_spin: Spin::new(), room_spin }
    }

    /// Bytes that name the queue anywhere in the family. They do not keep it alive.
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        crate::handle::encode(&self.stock.lease)
    }

    /// Keeps the queue alive by itself.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.stock.lease.clone()
    }

    /// The family that it belongs to.
    #[must_use]
    pub fn family(&self) -> Family {
        self.stock.lease.family()
    }

    /// What tells this queue from all others.
    #[must_use]
    pub fn identity(&self) -> (FamilyId, u64) {
        (self.family().id(), self.stock.lease.id.pack())
    }

    /// Takes the lock, and ends what somebody was killed in: bringing back what another one had, or
    /// dropping what is left.
    #[inline]
    fn begin(&self) -> Result<Step, ArenaError> {
        let mut step = self.stock.begin()?;
        loop {
            if step.root(RETURNING) != 0 {
                back::resume(&mut step)?;
                step.wake_nobody();
                self.wake_all();
            }
            if step.root(LEN) == 0 || !self.is_dropped() {
                return Ok(step);
            }
            for _ in 0..step.root(LEN).min(DROPPED_AT_ONCE) {
                steps::drop_next(&mut step)?;
            }
            step.wake_nobody();
            drop(step);
            if self.unfinished() == 0 {
                self.stock.slot.all_done.wake_all(&self.stock.lease.inner.ringing());
            }
            step = self.stock.begin()?;
        }
    }

    fn is_dropped(&self) -> bool {
        self.stock.lease.slot.closed.load(Ordering::Relaxed) & DROPPED != 0
    }

    /// Puts a message, if there is room. When it returns `Ok` the message is in the queue.
    ///
    /// # Errors
    /// [`OfferError`]: `Full`, `Closed`, `Arena`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue, collections::{Datum, OfferError}};
    /// let q = RawDeliveryQueue::create(Family::current()?, std::num::NonZeroU64::new(1))?;
    /// q.try_put(&Datum::plain(b"a"))?;
    /// assert!(matches!(q.try_put(&Datum::plain(b"b")), Err(OfferError::Full)));
    /// # Ok(()) }
    /// ```
    pub fn try_put(&self, value: &Datum<'_>) -> Result<(), OfferError> {
        let len = value.bytes.len() as u64;
        self.admit(self.stock.peek(LEN), self.stock.peek(BYTES), len)?;
        self.stock.attempt(|| {
            let mut ready = Ready::new(self.stock.lease.inner, value)?;
            let mut step = self.begin()?;
            self.admit(step.root(LEN), step.root(BYTES), len)?;
            let last = step.root(LAST);
            let stored = ready.put(&mut step)?;
            steps::push(&mut step, stored, len)?;
            step.commit()?;
            // The last chunk may have been empty, and is not the last one any more.
            steps::tidy(&mut step, last);
            step.wake_nobody();
            drop(step);
            Ok::<_, OfferError>(())
        })?;
        self.stock.slot.change.wake_one(&self.stock.lease.inner.ringing());
        self.pass_on_room();
        Ok(())
    }

    /// Takes the first message that waits, if there is one, and appends it to `out`. From then on it is in
    /// flight in this process.
    ///
    /// # Errors
    /// [`ArenaError`] if there is no memory to count the handles in it (it waits on), or the arena is
    /// damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue};
    /// let q = RawDeliveryQueue::create(Family::current()?, None)?;
    /// assert!(q.try_take(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn try_take(&self, out: &mut Vec<u8>) -> Result<Option<(Copied, Ticket)>, ArenaError> {
        self.recover_if_due()?;
        let start = out.len();
        let me = self.stock.lease.inner.me()?;
        let taken = self.stock.attempt(|| {
            let (holds, pin);
            let mut step = self.begin()?;
            if step.root(LEN) == 0 {
                return Ok(None);
            }
            let spot = steps::next(&step)?;
            out.truncate(start);
            pin = spot.value.read_or_pin(&step, out)?;
            holds = self.stock.keep(&spot.value.holds(&step)?)?;
            let ticket = steps::take(&mut step, &spot, me, clock::coarse_ms())?;
            step.wake_nobody();
            drop(step);
            if let Some(pin) = pin {
                pin.copy_to(out);
            }
            Ok(Some((Copied { kind: spot.value.kind(), holds }, ticket)))
        });
        let taken = taken.inspect_err(|_: &ArenaError| out.truncate(start))?;
        if taken.is_some() {
            self.wake_for_room();
            self.pass_on();
        }
        Ok(taken)
    }

    /// Copies the message that would be taken next, and leaves it where it is. It does not count as
    /// taken.
    ///
    /// # Errors
    /// As [`RawDeliveryQueue::try_take`].
    pub fn peek(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.recover_if_due()?;
        drop(self.begin()?);
        let start = out.len();
        let read = self.stock.read(|step| {
            out.truncate(start);
            if step.root(LEN) == 0 {
                return Ok(((None, None), Vec::new()));
            }
            let value = steps::next(step)?.value;
            let pin = value.read_or_pin(step, out)?;
            Ok(((Some(value.kind()), pin), value.holds(step)?))
        });
        let ((kind, pin), holds) = read.inspect_err(|_: &ArenaError| out.truncate(start))?;
        if let Some(pin) = pin {
            pin.copy_to(out);
        }
        // Who was woken for it, and only looked at it, does not keep it from others.
        self.pass_on();
        Ok(kind.map(|kind| Copied { kind, holds }))
    }

    /// Whether this process has taken it, and not one that this is a fork of. It may be done with.
    #[must_use]
    pub fn took(&self, ticket: &Ticket) -> bool {
        self.stock.lease.inner.me().is_ok_and(|me| me == ticket.serial)
    }

    /// Reports a message as done: it is in the queue no more, and its memory is free. It never needs
    /// memory itself.
    ///
    /// # Errors
    /// The outer one if the arena is damaged, the inner one if the message is not in flight in this
    /// process.
    pub fn done(&self, ticket: &Ticket) -> Result<Result<(), NotInFlight>, ArenaError> {
        if ticket.serial != self.stock.lease.inner.me()? {
            return Ok(Err(NotInFlight));
        }
        let mut step = self.begin()?;
        let Some((chunk, i)) = steps::find(&step, ticket)? else {
            return Ok(Err(NotInFlight));
        };
        steps::end(&mut step, chunk, i)?;
        crash_point!("delivery.ending");
        step.commit()?;
        steps::tidy(&mut step, chunk.0);
        let left = step.root(UNFINISHED);
        step.wake_nobody();
        drop(step);
        if left == 0 {
            self.stock.slot.all_done.wake_all(&self.stock.lease.inner.ringing());
        }
        Ok(Ok(()))
    }

    /// Makes a message wait again that this process has in flight: where it stood, before all that came
    /// later. Its count stays; who takes it next is one more. After
    /// [`shut_down_now`](RawDeliveryQueue::shut_down_now) it is dropped.
    ///
    /// # Errors
    /// As [`RawDeliveryQueue::done`].
    pub fn give_back(&self, ticket: &Ticket) -> Result<Result<(), NotInFlight>, ArenaError> {
        if ticket.serial != self.stock.lease.inner.me()? {
            return Ok(Err(NotInFlight));
        }
        let mut step = self.begin()?;
        let Some((chunk, i)) = steps::find(&step, ticket)? else {
            return Ok(Err(NotInFlight));
        };
        steps::put_back(&mut step, chunk, i)?;
        crash_point!("delivery.giving_back");
        step.commit()?;
        step.wake_nobody();
        drop(step);
        if self.is_dropped() {
            drop(self.begin()?);
        }
        self.stock.slot.change.wake_one(&self.stock.lease.inner.ringing());
        Ok(Ok(()))
    }

    /// Shuts the queue down for all processes: puts fail, what waits can still be taken. Wakes all who
    /// wait.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue};
    /// let q = RawDeliveryQueue::create(Family::current()?, None)?;
    /// q.close();
    /// assert!(q.is_closed());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) {
        self.stock.lease.slot.closed.fetch_or(SHUT, Ordering::SeqCst);
        self.wake_all();
    }

    /// The same, and drops what waits, and what comes back later: each such message counts as done. What is
    /// in flight can still be reported as done.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn shut_down_now(&self) -> Result<(), ArenaError> {
        self.stock.lease.slot.closed.fetch_or(SHUT | DROPPED, Ordering::SeqCst);
        crash_point!("delivery.shut_down");
        drop(self.begin()?);
        self.wake_all();
        Ok(())
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.stock.lease.slot.closed.load(Ordering::Relaxed) != 0
    }
}
