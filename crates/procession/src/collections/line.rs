//! What the queues that are stocks of blocks have in common: how full they are, who waits, what is done.
//!
//! A put or a get is one step. Who sleeps for something to take, or for room, is woken one at a time;
//! whoever was woken wakes the next one if there is more.

use std::time::Instant;

use super::heap::{Datum, Ready, Ref};
use super::list::Values;
use super::stock::{Copied, Refusal, Stock};
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::error::{ArenaError, HandleError, TooManyDone};
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::wait::{Futex, SLICE, Spin, Wait, WaitWord};

/// Roots, behind the heap's: how many are in it, how many were put and are not reported as done.
pub(super) const LEN: usize = 5;
const UNFINISHED: usize = 6;
/// How often a producer looks at a full queue while it spins.
const LOOK_EVERY: u32 = 16;

/// A put did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The queue is full.
    #[error("the queue is full")]
    Full,
    /// The queue was closed.
    #[error("the queue was closed")]
    Closed,
    /// What it is ordered by can't be compared with that of what is in the queue, or is longer than
    /// 1 MiB.
    #[error("no place in the queue's order: {0}")]
    Unordered(&'static str),
    /// Something in the queue has no key: only its owner can tell what is less.
    #[error("a message in the queue has no order key: only Python can compare with it")]
    Unsure,
    /// The queue was changed meanwhile.
    #[error("it was changed meanwhile")]
    Outdated,
    /// There is no memory, or the arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl Refusal for OfferError {
    fn lacking(&self) -> Option<u64> {
        match self {
            OfferError::Arena(error) => error.lacking(),
            _ => None,
        }
    }
}

/// A counted handle of such a queue.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) stock: Stock,
    capacity: u64,
    item_spin: Spin,
    room_spin: Spin,
}

impl Line {
    pub(super) fn create(family: Family, kind: Kind, capacity: u64) -> Result<Line, ArenaError> {
        let limits = Limits { messages: capacity, bytes: 0 };
        Ok(Line::over(Stock::create_limited(family, kind, limits)?))
    }

    pub(super) fn from_handle(bytes: &[u8], kind: Kind) -> Result<Line, HandleError> {
        Ok(Line::over(Stock::from_handle(bytes, kind)?))
    }

    fn over(stock: Stock) -> Line {
        let capacity = stock.lease.slot.limits().messages;
        Line { stock, capacity, item_spin: Spin::new(), room_spin: Spin::every(LOOK_EVERY) }
    }

    pub(super) fn heedless(self) -> Line {
        Line { stock: self.stock.heedless(), ..self }
    }

    pub(super) fn len(&self) -> u64 {
        self.stock.peek(LEN)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn has_room(&self) -> bool {
        self.capacity == 0 || self.len() < self.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stock.lease.slot.closed.load(Ordering::Relaxed) != 0
    }

    /// Puts one: `prepare` makes what is stored, before the lock is taken, `place` stores it and has it
    /// committed.
    #[inline]
    pub(super) fn put<P>(
        &self,
        prepare: impl Fn() -> Result<P, ArenaError>,
        mut place: impl FnMut(&mut Step, &mut P) -> Result<(), OfferError>,
        tidy: fn(&mut Step),
    ) -> Result<(), OfferError> {
        self.admit(self.len())?;
        self.stock.attempt(|| {
            let mut parts = prepare()?;
            let mut step = self.stock.begin()?;
            let len = step.root(LEN);
            self.admit(len)?;
            place(&mut step, &mut parts)?;
            step.set_root(LEN, len.wrapping_add(1));
            step.set_root(UNFINISHED, step.root(UNFINISHED).wrapping_add(1));
            step.commit()?;
            tidy(&mut step);
            step.wake_nobody();
            drop(step);
            Ok::<_, OfferError>(())
        })?;
        self.stock.slot.change.wake_one(&Futex);
        if self.capacity != 0 && self.stock.slot.room.has_sleepers() && self.has_room() {
            self.stock.slot.room.wake_one(&Futex);
        }
        Ok(())
    }

    #[inline]
    fn admit(&self, len: u64) -> Result<(), OfferError> {
        if self.is_closed() {
            return Err(OfferError::Closed);
        }
        if self.capacity != 0 && len >= self.capacity { Err(OfferError::Full) } else { Ok(()) }
    }

    /// A value on its way in.
    #[inline]
    pub(super) fn ready<'a>(&self, value: &Datum<'a>) -> Result<Ready<'a>, ArenaError> {
        Ready::new(self.stock.lease.inner, value)
    }

    /// Takes one and appends it to `out`: `next` says which it is and where, `remove` lets go of it.
    #[inline]
    pub(super) fn get<S>(
        &self,
        out: &mut Vec<u8>,
        next: impl Fn(&Step) -> Result<(Ref, S), ArenaError>,
        remove: impl Fn(&mut Step, Ref, &S, u64) -> Result<(), ArenaError>,
        tidy: fn(&mut Step),
    ) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let taken = self.stock.attempt(|| {
            let (holds, pin);
            let mut step = self.stock.begin()?;
            let len = step.root(LEN);
            if len == 0 {
                return Ok(None);
            }
            let (value, spot) = next(&step)?;
            out.truncate(start);
            pin = value.read_or_pin(&step, out)?;
            holds = self.stock.keep(&value.holds(&step)?)?;
            remove(&mut step, value, &spot, len - 1)?;
            step.set_root(LEN, len - 1);
            step.commit()?;
            tidy(&mut step);
            step.wake_nobody();
            drop(step);
            if let Some(pin) = pin {
                pin.copy_to(out);
            }
            Ok(Some(Copied { kind: value.kind(), holds }))
        });
        let taken = taken.inspect_err(|_: &ArenaError| out.truncate(start))?;
        if taken.is_some() {
            if self.capacity != 0 {
                self.stock.slot.room.wake_one(&Futex);
            }
            self.pass_on();
        }
        Ok(taken)
    }

    /// There is something for one more.
    #[inline]
    fn pass_on(&self) {
        let items = &self.stock.slot.change;
        if items.has_sleepers() && self.len() != 0 {
            items.wake_one(&Futex);
        }
    }

    /// Copies the one that would be taken next.
    pub(super) fn peek<S>(
        &self,
        out: &mut Vec<u8>,
        next: impl Fn(&Step) -> Result<(Ref, S), ArenaError>,
    ) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let read = self.stock.read(|step| {
            out.truncate(start);
            if step.root(LEN) == 0 {
                return Ok(((None, None), Vec::new()));
            }
            let (value, _) = next(step)?;
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

    pub(super) fn close(&self) {
        let slot = self.stock.slot;
        self.stock.lease.slot.closed.store(1, Ordering::SeqCst);
        [&slot.change, &slot.room].into_iter().for_each(|word| word.wake_all(&Futex));
    }

    pub(super) fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.len() != 0 || self.is_closed();
        self.wait(&self.stock.slot.change, Some(&self.item_spin), deadline, ready)
    }

    pub(super) fn wait_for_room(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_room() || self.is_closed();
        self.wait(&self.stock.slot.room, Some(&self.room_spin), deadline, ready)
    }

    pub(super) fn wait_done(&self, deadline: Option<Instant>) -> Wait {
        self.wait(&self.stock.slot.all_done, None, deadline, || self.unfinished() == 0)
    }

    fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        let Lease { inner, id, .. } = &self.stock.lease;
        inner.wait_at(id.index, spin, deadline, SLICE, &ready, |limit| {
            word.sleep(&Futex, limit, &ready)
        })
    }

    pub(super) fn unfinished(&self) -> u64 {
        self.stock.peek(UNFINISHED)
    }

    pub(super) fn done(&self) -> Result<Result<(), TooManyDone>, ArenaError> {
        let mut step = self.stock.begin()?;
        let Some(left) = step.root(UNFINISHED).checked_sub(1) else {
            return Ok(Err(TooManyDone));
        };
        step.set_root(UNFINISHED, left);
        step.commit()?;
        step.wake_nobody();
        drop(step);
        if left == 0 {
            self.stock.slot.all_done.wake_all(&Futex);
        }
        Ok(Ok(()))
    }
}

impl Line {
    /// Copies all that `walk` goes by, in one step.
    pub(super) fn snapshot(
        &self,
        walk: impl Fn(&Step, &mut dyn FnMut(Ref) -> Result<(), ArenaError>) -> Result<(), ArenaError>,
    ) -> Result<Values, ArenaError> {
        let ((mut values, pins), holds) = self.stock.read(|step| {
            let (len, version) = (step.root(LEN), step.version());
            let mut values = Values { len, version, ..Values::default() };
            let (mut ids, mut pins) = (Vec::new(), Vec::new());
            walk(step, &mut |value| {
                let start = values.bytes.len();
                let pin = value.read_or_pin(step, &mut values.bytes)?;
                pins.extend(pin.map(|pin| (values.items.len(), pin)));
                values.items.push((value.kind(), start..values.bytes.len()));
                ids.extend(value.holds(step)?);
                Ok(())
            })?;
            Ok::<_, ArenaError>(((values, pins), ids))
        })?;
        values.holds = holds;
        for (i, pin) in pins {
            let start = values.bytes.len();
            pin.copy_to(&mut values.bytes);
            values.items[i].1 = start..values.bytes.len();
        }
        Ok(values)
    }
}

/// What both kinds of queue have.
macro_rules! face {
    ($type:ident, $kind:expr) => {
        crate::travel::travels!($type, "a queue", |it| it.lease());

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("index", &self.line.stock.lease.id.index)
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .finish_non_exhaustive()
            }
        }

        impl $type {
            /// A new queue; `capacity` in messages, `None`: bounded by memory only.
            ///
            /// # Errors
            /// [`ArenaError::Full`](crate::ArenaError::Full) if there is no place for it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, std::num::NonZeroU64::new(2))?;")]
            /// assert!(q.is_empty() && !q.is_full());
            /// # Ok(()) }
            /// ```
            pub fn create(
                family: $crate::arena::family::Family,
                capacity: Option<NonZeroU64>,
            ) -> Result<$type, ArenaError> {
                let capacity = capacity.map_or(0, NonZeroU64::get);
                Ok($type { line: Line::create(family, $kind, capacity)? })
            }

            /// Opens the queue that a handle names, joining its family if need be.
            ///
            /// # Errors
            /// [`HandleError`](crate::HandleError) if the bytes are no handle of one, it is gone, or
            /// no member of its family can be reached.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("assert!(procession::", stringify!($type), "::from_handle(b\"nonsense\").is_err());")]
            /// ```
            pub fn from_handle(bytes: &[u8]) -> Result<$type, $crate::error::HandleError> {
                Ok($type { line: Line::from_handle(bytes, $kind)? })
            }

            /// Bytes that name the queue anywhere in the family. They do not keep it alive.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                $crate::handle::encode(&self.line.stock.lease)
            }

            /// Keeps the queue alive by itself.
            #[must_use]
            pub fn lease(&self) -> $crate::arena::lease::Lease {
                self.line.stock.lease.clone()
            }

            /// The family that it belongs to.
            #[must_use]
            pub fn family(&self) -> $crate::arena::family::Family {
                self.line.stock.lease.family()
            }

            /// How many messages are in the queue: exact at an instant of the call.
            #[must_use]
            pub fn len(&self) -> u64 {
                self.line.len()
            }

            /// Whether the queue is empty at an instant of the call.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether the queue is bounded and full at an instant of the call.
            #[must_use]
            pub fn is_full(&self) -> bool {
                !self.line.has_room()
            }

            /// How many messages it may hold; `None`: as many as memory allows.
            #[must_use]
            pub fn capacity(&self) -> Option<NonZeroU64> {
                NonZeroU64::new(self.line.capacity())
            }

            /// Closes the queue for all processes: puts fail, gets take what is left. Wakes all who wait.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// q.close();
            /// assert!(q.is_closed());
            /// # Ok(()) }
            /// ```
            pub fn close(&self) {
                self.line.close();
            }

            /// Whether it was closed.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.line.is_closed()
            }

            /// Waits until there may be a message, the queue is closed, the deadline passes, a signal
            /// comes, or a slice of 250 ms is over.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, Wait, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert_eq!(q.wait_for_item(Some(std::time::Instant::now())), Wait::TimedOut);
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn wait_for_item(
                &self,
                deadline: Option<std::time::Instant>,
            ) -> $crate::wait::Wait {
                self.line.wait_for_item(deadline)
            }

            /// Waits until there may be room, or as [`wait_for_item`](Self::wait_for_item).
            #[must_use]
            pub fn wait_for_room(
                &self,
                deadline: Option<std::time::Instant>,
            ) -> $crate::wait::Wait {
                self.line.wait_for_room(deadline)
            }

            /// Waits until every message that was put may be reported as done, or as
            /// [`wait_for_item`](Self::wait_for_item).
            #[must_use]
            pub fn wait_done(&self, deadline: Option<std::time::Instant>) -> $crate::wait::Wait {
                self.line.wait_done(deadline)
            }

            /// Reports one message as done.
            ///
            /// # Errors
            /// The outer one if the arena is damaged, the inner one if every message that was put is
            /// done already.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert!(q.done()?.is_err());
            /// # Ok(()) }
            /// ```
            pub fn done(&self) -> Result<Result<(), $crate::error::TooManyDone>, ArenaError> {
                self.line.done()
            }

            /// How many messages were put and not yet reported as done.
            #[must_use]
            pub fn unfinished(&self) -> u64 {
                self.line.unfinished()
            }

            /// A number that moves with each change. What is conditional is done only while it is as it
            /// was.
            #[must_use]
            pub fn version(&self) -> u64 {
                self.line.stock.version()
            }

            /// Whether a process is in the middle of an operation, and stays there for more than some
            /// microseconds, since it was stopped perhaps, or has claimed the whole. The next operation
            /// sleeps until it goes on, or is dead.
            #[inline]
            #[must_use]
            pub fn is_stuck(&self) -> bool {
                self.line.stock.is_stuck()
            }

            /// Sleeps until nobody is in the middle of an operation.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            pub fn settle(&self) -> Result<(), ArenaError> {
                self.line.stock.settle()
            }

            /// For who asks `is_stuck` before each operation, and calls `settle` where a wait does no
            /// harm: operations by this handle begin at once, whatever another has claimed.
            #[must_use]
            pub fn heedless(self) -> $type {
                $type { line: self.line.heedless() }
            }

            /// Asks the others to wait with their operations, for `patience` (10 s at most), while this
            /// thread does something in several. `None`: another one has done so.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            pub fn claim(
                &self,
                patience: std::time::Duration,
            ) -> Result<Option<$crate::collections::Claim>, ArenaError> {
                self.line.stock.claim(patience)
            }
        }
    };
}
pub(super) use face;
