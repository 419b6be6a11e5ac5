//! What the queues that are stocks of blocks have in common: how full they are, who waits, what is done.
//!
//! A put or a get is one step. Who sleeps for something to take, or for room, is woken one at a time;
//! whoever was woken wakes the next one if there is more.

mod face;

use std::time::Instant;

pub(super) use face::face;

use super::heap::{Datum, Ready, Ref};
use super::list::Values;
use super::stock::{Copied, Refusal, Stock};
use crate::arena::doorbell::{Awaited, Spot};
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
        self.stock.slot.change.wake_one(&self.stock.lease.inner.ringing());
        if self.capacity != 0 && self.stock.slot.room.has_sleepers() && self.has_room() {
            self.stock.slot.room.wake_one(&self.stock.lease.inner.ringing());
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
        remove: impl Fn(&mut Step, Ref, S, u64) -> Result<(), ArenaError>,
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
            remove(&mut step, value, spot, len - 1)?;
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
                self.stock.slot.room.wake_one(&self.stock.lease.inner.ringing());
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
            items.wake_one(&self.stock.lease.inner.ringing());
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
        slot.change.wake_all(&self.stock.lease.inner.ringing());
        slot.room.wake_all(&self.stock.lease.inner.ringing());
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

    pub(super) fn spot(&self, what: Awaited) -> Spot<'_> {
        let slot = self.stock.slot;
        let word = match what {
            Awaited::Items => &slot.change,
            Awaited::Room => &slot.room,
            Awaited::Done => &slot.all_done,
        };
        Spot::of(self.stock.lease.inner, word)
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
            self.stock.slot.all_done.wake_all(&self.stock.lease.inner.ringing());
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
