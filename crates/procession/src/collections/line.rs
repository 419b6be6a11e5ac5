//! What the queues that are stocks of blocks have in common: how full they are, who waits, what is done.
//!
//! A put or a get is one step, but for puts that are left in the [stage](stage). Who sleeps for something to
//! take, or for room, is woken one at a time; whoever was woken wakes the next one if there is more.

mod counts;
mod face;
mod many;
mod stage;

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Instant;

pub(super) use face::face;
pub(super) use stage::stored;
use stage::{Cell, Staged};

use super::heap::{Datum, Ready, Ref};
use super::stock::{Copied, Refusal, Stock};
use crate::arena::doorbell::{Awaited, Spot};
use crate::arena::family::{Family, Inner};
use crate::arena::layout::stock::Stage;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::arena::pin::Pin;
use crate::arena::stock::Step;
use crate::error::{ArenaError, HandleError};
use crate::lock::Held;
use crate::ring::fifo::Limits;
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::wait::{Futex, SLICE, Spin, Wait, WaitWord};

/// Roots, behind the heap's: puts less gets, and puts less what was reported as done, both without what was put
/// by the stage.
pub(super) const NET: usize = 5;
const UNFINISHED: usize = 6;
/// The stage's block; who made the last step (a hint); what order keys all messages have (see
/// [`Order::shape`]) as long as there is no stage; how many bytes are in, if these are limited.
pub(super) const STAGE: usize = 11;
const LAST: usize = 12;
const SHAPE: usize = 13;
const BYTES: usize = 14;
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

/// In which order messages are taken.
pub(super) trait Order: 'static {
    const KIND: Kind;
    /// Where the next message is.
    type Spot;

    /// Any two keys of one shape can be compared; 0: of none.
    fn shape(key: &[u8]) -> u64;
    /// Stores a small message whose key has the shape of all others'.
    fn store(step: &mut Step, key: &[u8], value: &Datum<'_>) -> Result<(), ArenaError>;
    /// The message that is taken next. There is one.
    fn next(step: &Step) -> Result<(Ref, Self::Spot), ArenaError>;
    /// Lets go of it; `left` stay.
    fn remove(step: &mut Step, value: Ref, spot: Self::Spot, left: u64) -> Result<(), ArenaError>;
    /// Whether a message that came last is taken before those that are stored.
    fn is_next(step: &Step, key: &[u8]) -> Result<bool, ArenaError>;
    /// Whether a later message is taken before an earlier one.
    fn passes(later: &[u8], earlier: &[u8]) -> bool;
    /// Lets go of all that is stored.
    fn clear(step: &mut Step) -> Result<(), ArenaError>;
    /// After an operation.
    fn tidy(step: &mut Step);
}

/// A counted handle of such a queue.
pub(super) struct Line<O> {
    pub(super) stock: Stock,
    limits: Limits,
    item_spin: Spin,
    room_spin: Spin,
    /// The stage, once it was seen, and how many puts go there before it is asked who was here last.
    known_stage: OnceLock<&'static Stage>,
    at_once: AtomicU32,
    order: PhantomData<O>,
}

impl<O: Order> Clone for Line<O> {
    fn clone(&self) -> Self {
        Line::over(self.stock.clone())
    }
}

/// What was taken, beside its bytes; a long one's are still to be copied.
struct Taken {
    kind: u8,
    holds: Vec<Lease>,
    pin: Option<Pin>,
}

impl<O: Order> Line<O> {
    pub(super) fn create(family: Family, limits: Limits) -> Result<Self, ArenaError> {
        Ok(Line::over(Stock::create_limited(family, O::KIND, limits)?))
    }

    pub(super) fn from_handle(bytes: &[u8]) -> Result<Self, HandleError> {
        Ok(Line::over(Stock::from_handle(bytes, O::KIND)?))
    }

    fn over(stock: Stock) -> Self {
        Line {
            limits: stock.lease.slot.limits(),
            stock,
            item_spin: Spin::new(),
            room_spin: Spin::every(LOOK_EVERY),
            known_stage: OnceLock::new(),
            at_once: AtomicU32::new(0),
            order: PhantomData,
        }
    }

    pub(super) fn heedless(self) -> Self {
        Line::over(self.stock.heedless())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stock.lease.slot.closed.load(Ordering::Relaxed) != 0
    }

    fn last(&self) -> u64 {
        self.stock.slot.root(LAST).load(Ordering::Relaxed)
    }

    /// Says who makes a step that has begun. True: another process made the last one.
    #[inline]
    fn note(&self, step: &Step) -> Result<bool, ArenaError> {
        let (last, me) = (self.last(), u64::from(step.inner.me()?));
        if last != me {
            step.write_root(LAST, me);
        }
        Ok(last != me && last != 0)
    }

    /// Begins a step that sees all that is in.
    pub(super) fn enter_unstaged(&self) -> Result<Step, ArenaError> {
        let mut step = self.stock.begin()?;
        self.note(&step)?;
        if let Some(stage) = self.stage()? {
            self.unstage(&mut step, stage, false)?;
        }
        Ok(step)
    }

    /// Puts a message: `prepare` makes what is stored, before the lock is taken, `place` stores it and has it
    /// committed. `shape` is its key's.
    #[inline]
    pub(super) fn put<P>(
        &self,
        (shape, weight): (u64, u64),
        prepare: impl Fn() -> Result<P, ArenaError>,
        mut place: impl FnMut(&mut Step, &mut P) -> Result<(), OfferError>,
    ) -> Result<(), OfferError> {
        self.admit(self.len(), self.bytes(), weight)?;
        self.stock.attempt(|| {
            let mut parts = prepare()?;
            let mut step = self.stock.idle();
            self.stock.enter(&mut step)?;
            let is_anothers = self.note(&step)?;
            self.put_in(&mut step, (shape, weight), is_anothers, |step| place(step, &mut parts))?;
            step.end();
            Ok::<_, OfferError>(())
        })?;
        self.tell_of_items();
        Ok(())
    }

    /// Leaves a small message in the stage, if that is of use; `None`: it must be put in a step.
    #[inline]
    pub(super) fn put_small(
        &self,
        key: &[u8],
        value: &Datum<'_>,
    ) -> Option<Result<(), OfferError>> {
        if self.is_closed() {
            return Some(Err(OfferError::Closed));
        }
        match self.put_staged(key, value) {
            Ok(Staged::Not) => return None,
            Ok(Staged::Full) => return Some(Err(OfferError::Full)),
            Ok(Staged::Closed) => return Some(Err(OfferError::Closed)),
            Ok(Staged::Put) => {}
            Err(e) => return Some(Err(e.into())),
        }
        self.tell_of_items();
        Some(Ok(()))
    }

    /// The part of a put that is done with the lock.
    #[inline]
    fn put_in(
        &self,
        step: &mut Step,
        (shape, weight): (u64, u64),
        is_anothers: bool,
        place: impl FnOnce(&mut Step) -> Result<(), OfferError>,
    ) -> Result<(), OfferError> {
        let held = if let Some(stage) = self.stage()? {
            self.come_after(step, stage, shape)?
        } else {
            note_shape(step, shape);
            let is_of_use = is_anothers || stage::is_often_empty(step);
            if is_of_use && self.limits.bytes == 0 {
                stage::make_stage(step);
            }
            None
        };
        let [net, bytes, unfinished] = [NET, BYTES, UNFINISHED].map(|root| step.root(root));
        let len = net.wrapping_add(self.tail()?);
        self.admit(len, bytes, weight)?;
        place(step)?;
        step.set_root_first(NET, net.wrapping_add(1));
        step.set_root_first(UNFINISHED, unfinished.wrapping_add(1));
        if self.limits.bytes != 0 {
            step.set_root_first(BYTES, bytes.wrapping_add(weight));
        }
        step.commit()?;
        drop(held);
        O::tidy(step);
        step.wake_nobody();
        Ok(())
    }

    /// Gets behind all that is staged. What is given back keeps others from staging: in a bounded queue
    /// there is room for one only once.
    #[inline]
    fn come_after(
        &self,
        step: &mut Step,
        stage: &'static Stage,
        shape: u64,
    ) -> Result<Option<Held<'static, Inner>>, ArenaError> {
        self.unstage(step, stage, false)?;
        let is_bounded = self.limits.messages != 0;
        if !is_bounded && stage.shape.load(Ordering::Relaxed) == shape {
            return Ok(None);
        }
        let held = stage.lock.lock(step.inner.me()?, step.inner);
        self.unstage(step, stage, false)?;
        if stage.shape.load(Ordering::Relaxed) != shape {
            let only = if stored(step)? == 0 { shape } else { 0 };
            stage.shape.store(only, Ordering::Relaxed);
        }
        if !is_bounded {
            return Ok(None);
        }
        let net = step.root(NET).wrapping_add(1);
        stage.net_seen.store(net, Ordering::Relaxed);
        Ok(Some(held))
    }

    #[inline]
    fn admit(&self, len: u64, bytes: u64, weight: u64) -> Result<(), OfferError> {
        if self.is_closed() {
            return Err(OfferError::Closed);
        }
        if self.has_room_at(len, bytes, weight) { Ok(()) } else { Err(OfferError::Full) }
    }

    /// A value on its way in.
    #[inline]
    pub(super) fn ready<'a>(&self, value: &Datum<'a>) -> Result<Ready<'a>, ArenaError> {
        Ready::new(self.stock.lease.inner, value)
    }

    /// Takes the next message and appends it to `out`.
    #[inline]
    pub(super) fn get(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let taken = self.stock.attempt(|| {
            let mut taken = None;
            let mut step = self.stock.idle();
            self.stock.enter(&mut step)?;
            self.note(&step)?;
            out.truncate(start);
            self.take(&mut step, out, &mut taken)?;
            step.end();
            Ok(taken.map(|Taken { kind, holds, pin }| {
                if let Some(pin) = pin {
                    pin.copy_to(out);
                }
                Copied { kind, holds }
            }))
        });
        let taken = taken.inspect_err(|_: &ArenaError| out.truncate(start))?;
        if taken.is_some() {
            self.tell_of_room();
            self.pass_on();
        }
        Ok(taken)
    }

    /// The part of a get that is done with the lock. `taken` is the caller's, to be dropped without it.
    #[inline]
    fn take(
        &self,
        step: &mut Step,
        out: &mut Vec<u8>,
        taken: &mut Option<Taken>,
    ) -> Result<(), ArenaError> {
        if let Some(stage) = self.stage()?
            && let Some(cell) = self.take_small(step, stage)?
        {
            out.extend_from_slice(cell.value().bytes);
            *taken = Some(Taken { kind: cell.kind, holds: Vec::new(), pin: None });
            return Ok(());
        }
        let len = stored(step)?;
        if len == 0 {
            return Ok(());
        }
        let (value, spot) = O::next(step)?;
        let bytes = if self.limits.bytes == 0 { 0 } else { value.len(step)? };
        let found = taken.insert(Taken { kind: value.kind(), holds: Vec::new(), pin: None });
        found.pin = value.read_or_pin(step, out)?;
        found.holds = self.stock.keep(&value.holds(step)?)?;
        let (net, all_bytes) = (step.root(NET), step.root(BYTES));
        O::remove(step, value, spot, len - 1)?;
        step.set_root_first(NET, net.wrapping_sub(1));
        if bytes != 0 {
            step.set_root_first(BYTES, all_bytes.saturating_sub(bytes));
        }
        step.commit()?;
        O::tidy(step);
        step.wake_nobody();
        Ok(())
    }

    /// Stores what is staged, or takes out of it what is to be taken next.
    #[inline]
    fn take_small(&self, step: &mut Step, stage: &Stage) -> Result<Option<Cell>, ArenaError> {
        let cell = match self.unstage(step, stage, true) {
            Ok(None) => return Ok(None),
            Ok(Some(cell)) => {
                self.drop_head(step, stage);
                cell
            }
            Err(e) if e.lacking().is_some() => {
                step.cancel();
                match self.take_staged(step, stage)? {
                    Some(cell) => cell,
                    // What is stored comes first, or nothing is in at all.
                    None => return Ok(None),
                }
            }
            Err(e) => return Err(e),
        };
        step.set_root(NET, step.root(NET).wrapping_sub(1));
        step.commit()?;
        step.wake_nobody();
        Ok(Some(cell))
    }

    /// There is something for one more.
    #[inline]
    fn pass_on(&self) {
        let items = &self.stock.slot.items;
        if items.has_sleepers() && self.len() != 0 {
            items.wake_one(&self.stock.lease.inner.ringing());
        }
    }

    /// After one put or several.
    #[inline]
    fn tell_of_items(&self) {
        let slot = self.stock.slot;
        slot.items.wake_one(&self.stock.lease.inner.ringing());
        if self.is_bounded() && slot.room.has_sleepers() && self.has_room(0) {
            slot.room.wake_one(&self.stock.lease.inner.ringing());
        }
    }

    /// After one get or several. What is woken may need more room than there is: so, of those who wait for
    /// bytes, all are.
    #[inline]
    fn tell_of_room(&self) {
        let room = &self.stock.slot.room;
        if self.limits.bytes != 0 {
            room.wake_all(&self.stock.lease.inner.ringing());
        } else if self.limits.messages != 0 {
            room.wake_one(&self.stock.lease.inner.ringing());
        }
    }

    /// Copies the one that would be taken next.
    pub(super) fn peek(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let read = self.stock.read_in(
            || self.enter_unstaged(),
            |step| {
                out.truncate(start);
                if stored(step)? == 0 {
                    return Ok(((None, None), Vec::new()));
                }
                let (value, _) = O::next(step)?;
                let pin = value.read_or_pin(step, out)?;
                Ok(((Some(value.kind()), pin), value.holds(step)?))
            },
        );
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
        slot.items.wake_all(&self.stock.lease.inner.ringing());
        slot.room.wake_all(&self.stock.lease.inner.ringing());
    }

    pub(super) fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.len() != 0 || self.is_closed();
        self.wait(&self.stock.slot.items, Some(&self.item_spin), deadline, ready)
    }

    pub(super) fn wait_for_room(&self, weight: u64, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_room(weight) || self.is_closed();
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
            Awaited::Items => &slot.items,
            Awaited::Room => &slot.room,
            Awaited::Done => &slot.all_done,
        };
        Spot::of(self.stock.lease.inner, word)
    }
}

/// What shape all keys have, as long as there is no stage to say it.
#[inline]
fn note_shape(step: &Step, shape: u64) {
    let noted = step.root(SHAPE);
    if noted != shape {
        step.write_root(SHAPE, if step.root(NET) == 0 { shape } else { 0 });
    }
}
