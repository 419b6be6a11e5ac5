//! A queue of bytes: ring, locks and waiting put together.

use std::fmt;
use std::num::NonZeroU64;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use crate::arena::block::Block;
use crate::arena::family::{Family, Inner};
use crate::arena::layout::Object;
use crate::arena::objects::ObjectId;
use crate::arena::segments::RingMemory;
use crate::error::{ArenaError, HandleError, TooManyDone};
use crate::ring::fifo::{INLINE_MAX, PushError, Record};
use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::fault::crash_point;
use crate::sys::process;
use crate::wait::{Futex, SLICE, WaitWord, Woken};

/// Bounds of the adaptive spin, in looks at the condition (some 40 ns each).
const SPIN_MIN: u32 = 16;
const SPIN_MAX: u32 = 2000;

/// What a message brought, beside its inline bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// The sender's kind, 1 to 14.
    pub kind: u8,
    /// Its block, now this process's own.
    pub block: Option<Block>,
}

/// A put did not happen; the block comes back.
#[derive(Debug)]
pub enum TryPutError {
    /// The queue is full.
    Full(Option<Block>),
    /// The queue was closed.
    Closed(Option<Block>),
    /// No memory, or a damaged arena.
    Arena(ArenaError, Option<Block>),
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Something may have changed: try again.
    Again,
    /// The deadline passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// How long spinning pays, learned from how often it did.
#[derive(Debug)]
struct Spin(AtomicU32);

impl Spin {
    const fn new() -> Spin {
        Spin(AtomicU32::new(SPIN_MAX / 4))
    }

    /// Looks at `ready` for a while; true as soon as it is.
    fn until(&self, ready: impl Fn() -> bool) -> bool {
        if !process::many_cores() {
            return false;
        }
        let budget = self.0.load(Ordering::Relaxed);
        for _ in 0..budget {
            if ready() {
                self.0.store((budget * 2).min(SPIN_MAX), Ordering::Relaxed);
                return true;
            }
            spin_hint();
        }
        self.0.store((budget / 2).max(SPIN_MIN), Ordering::Relaxed);
        false
    }
}

/// A queue of messages of up to 32 KiB inline and a [`Block`] of any size.
///
/// A `RawQueue` is a counted handle; the queue lives as long as any process, or any message under
/// way, holds one.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawQueue};
/// let q = RawQueue::create(Family::current()?, None)?;
/// q.try_put(1, b"bytes", None).unwrap();
/// let mut bytes = Vec::new();
/// assert_eq!(q.try_get(&mut bytes)?.unwrap().kind, 1);
/// assert_eq!(bytes, b"bytes");
/// # Ok(()) }
/// ```
pub struct RawQueue {
    inner: &'static Inner,
    slot: &'static Object,
    id: ObjectId,
    capacity: u64,
    item_spin: Spin,
    room_spin: Spin,
}

impl fmt::Debug for RawQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawQueue")
            .field("index", &self.id.index)
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl Clone for RawQueue {
    fn clone(&self) -> RawQueue {
        // The handle is open, so another can't fail but for memory, of which none is needed.
        let _ = self.inner.open_handle(self.id);
        RawQueue::over(self.inner, self.slot, self.id)
    }
}

impl Drop for RawQueue {
    fn drop(&mut self) {
        // Nothing can be done about an error here; the sweep finds what is left.
        let _ = self.inner.close_handle(self.id);
    }
}

impl RawQueue {
    /// The longest inline part.
    pub const INLINE_MAX: usize = INLINE_MAX;

    fn over(inner: &'static Inner, slot: &'static Object, id: ObjectId) -> RawQueue {
        let capacity = slot.capacity.load(Ordering::Relaxed);
        RawQueue { inner, slot, id, capacity, item_spin: Spin::new(), room_spin: Spin::new() }
    }

    /// A new queue; `capacity` in messages, `None`: bounded by memory only.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, std::num::NonZeroU64::new(2))?;
    /// assert!(q.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, capacity: Option<NonZeroU64>) -> Result<RawQueue, ArenaError> {
        let inner = family.inner();
        let id = inner.create_held(capacity.map_or(0, NonZeroU64::get))?;
        Ok(RawQueue::over(inner, inner.object(id.index)?, id))
    }

    /// Bytes that name the queue anywhere in the family. They do not keep it alive; a message does
    /// whose block was allocated with the queue among its `holds`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// let same = RawQueue::from_handle(&q.handle())?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        crate::handle::encode(self.inner, self.id)
    }

    /// Opens the queue that a handle names, joining its family if need be.
    ///
    /// # Errors
    /// [`HandleError`] if the bytes are no handle, the queue is gone, or no member of its family can
    /// be reached.
    ///
    /// # Examples
    /// ```
    /// assert!(procession::RawQueue::from_handle(b"nonsense").is_err());
    /// ```
    pub fn from_handle(bytes: &[u8]) -> Result<RawQueue, HandleError> {
        let (inner, id) = crate::handle::open(bytes)?;
        Ok(RawQueue::over(inner, inner.object(id.index)?, id))
    }

    /// The family that it belongs to.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.family().id(), Family::current()?.id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.inner)
    }

    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// Puts a message, if there is room. When it returns `Ok` the message is in the queue.
    ///
    /// # Errors
    /// [`TryPutError`], with the block.
    ///
    /// # Panics
    /// If `kind` is not in 1 to 14, `inline` is longer than [`RawQueue::INLINE_MAX`], or the block was
    /// not allocated by [`Family::alloc`] of this queue's family.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// let mut block = Family::current()?.alloc(1 << 20, &[])?;
    /// block.write(0, b"large");
    /// q.try_put(2, b"head", Some(block)).unwrap();
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<(), TryPutError> {
        assert!((1..15).contains(&kind) && inline.len() <= INLINE_MAX, "kind {kind}, {} bytes", inline.len());
        if let Some(b) = &block {
            assert!(b.belongs_to(self.inner), "the block is another family's, or was received");
        }
        let record = Record { kind, inline, block: block.as_ref().map(Block::reference) };
        match self.push(&record) {
            Ok(()) => {}
            Err(PushError::Full) => return Err(TryPutError::Full(block)),
            Err(PushError::Memory(e)) => return Err(TryPutError::Arena(e, block)),
            Err(PushError::NeedSegment(_)) => return Err(TryPutError::Closed(block)),
        }
        if let Some(b) = block {
            b.given_away();
        }
        crash_point!("put.unlocked");
        self.slot.items.wake_one(&Futex);
        Ok(())
    }

    /// Pushes; `NeedSegment` says that the queue is closed.
    #[inline]
    fn push(&self, record: &Record<'_>) -> Result<(), PushError<ArenaError>> {
        let me = self.inner.me()?;
        let mem = RingMemory::new(self.inner, self.slot, self.id, me);
        let mut fresh = None;
        let done = loop {
            let bells = self.slot.bells.load(Ordering::Relaxed) != 0;
            let bells = if bells { Some(self.inner.bells()) } else { None };
            let held = self.inner.lock_tail(self.slot, self.id, me)?;
            crash_point!("put.start");
            if self.slot.closed.load(Ordering::Relaxed) != 0 {
                break Err(PushError::NeedSegment(0));
            }
            if self.slot.tail.is_full(&self.slot.head, self.capacity) {
                break Err(PushError::Full);
            }
            if self.slot.bells.load(Ordering::Relaxed) != 0 {
                let Some(mut bells) = bells else { continue };
                self.inner.ring_all(self.slot, self.id, &mut bells, me)?;
            }
            if let Some(b) = record.block {
                self.slot.pending[0].store(b.at, Ordering::Relaxed);
                self.inner.note_given(b.at, self.id, self.slot.tail.count(), me)?;
                crash_point!("put.block_given");
            }
            let tail = &self.slot.tail;
            let pushed = tail.push(&mem, &self.slot.head, self.capacity, record, &mut fresh);
            if pushed.is_err()
                && let Some(b) = record.block
            {
                self.inner.note_kept(b.at, me)?;
            }
            drop(held);
            match pushed {
                Ok(_) => break Ok(()),
                Err(PushError::NeedSegment(size)) => {
                    if let Some(unfit) = fresh.replace(self.inner.new_segment(size)?) {
                        self.inner.free_block(unfit.segment())?;
                    }
                }
                Err(e) => break Err(e),
            }
        };
        if let Some(unused) = fresh {
            self.inner.free_block(unused.segment())?;
        }
        done
    }

    /// Takes the oldest message, if there is one; `inline` gets its inline bytes.
    ///
    /// # Errors
    /// [`ArenaError`] if its block can't be mapped here (it stays in the queue) or the arena is
    /// damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert!(q.try_get(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_get(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        inline.clear();
        let taken = self.inner.pop(self.slot, self.id, inline)?;
        let Some(taken) = taken else {
            if self.slot.bells.load(Ordering::Relaxed) != 0 {
                self.inner.quiet_bell(self.slot, self.id)?;
            }
            return Ok(None);
        };
        let popped = taken.popped;
        let block = match (popped.block, taken.mapped) {
            (Some(b), Some(ptr)) => Some(Block::received(self.inner, b, ptr)?),
            _ => None,
        };
        crash_point!("get.block_owned");
        if self.capacity != 0 {
            self.slot.room.wake_one(&Futex);
        }
        if self.slot.items.has_sleepers() && self.has_items() {
            self.slot.items.wake_one(&Futex); // there is work for one more
        }
        if popped.left.is_some() {
            self.inner.free_left(&popped)?;
        }
        if self.slot.bells.load(Ordering::Relaxed) != 0 {
            self.inner.quiet_bell(self.slot, self.id)?;
        }
        Ok(Some(Received { kind: popped.kind, block }))
    }

    fn has_items(&self) -> bool {
        self.slot.tail.count() != self.slot.head.count()
    }

    fn has_room(&self) -> bool {
        self.capacity == 0 || self.len() < self.capacity
    }

    /// Waits until there may be a message, the queue is closed, the deadline passes, a signal comes,
    /// or a slice of 250 ms is over.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_item(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_items() || self.is_closed();
        self.wait(&self.slot.items, Some(&self.item_spin), deadline, ready)
    }

    /// Waits until there may be room, or as [`RawQueue::wait_for_item`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_room(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_room(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_room() || self.is_closed();
        self.wait(&self.slot.room, Some(&self.room_spin), deadline, ready)
    }

    /// Waits until every message that was put may be reported as done, or as
    /// [`RawQueue::wait_for_item`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_done(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_done(&self, deadline: Option<Instant>) -> Wait {
        self.wait(&self.slot.all_done, None, deadline, || self.unfinished() == 0)
    }

    fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        if spin.is_some_and(|s| s.until(&ready)) || ready() {
            return Wait::Again;
        }
        let left = deadline.map_or(SLICE, |d| d.saturating_duration_since(Instant::now()));
        if left == Duration::ZERO {
            return Wait::TimedOut;
        }
        let Ok(me) = self.inner.me() else { return Wait::Again };
        let waiting_on = &self.inner.participant(me).waiting_on;
        waiting_on.store(self.id.index + 1, Ordering::Relaxed);
        let woken = word.sleep(&Futex, left.min(SLICE), ready);
        waiting_on.store(0, Ordering::Relaxed);
        match woken {
            Woken::Interrupted => Wait::Interrupted,
            Woken::TimedOut => {
                self.inner.sweep_if_due();
                Wait::Again
            }
            Woken::Woken | Woken::Changed => Wait::Again,
        }
    }

    /// How many messages are in the queue: exact at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.len(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.slot.len()
    }

    /// Whether the queue is empty at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// assert!(RawQueue::create(Family::current()?, None)?.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue is bounded and full at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// assert!(!RawQueue::create(Family::current()?, None)?.is_full());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.has_room()
    }

    /// How many messages it may hold; `None`: as many as memory allows.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// assert_eq!(RawQueue::create(Family::current()?, None)?.capacity(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.capacity)
    }

    /// Closes the queue for all processes: puts fail, gets take what is left. Wakes all who wait.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.close();
    /// assert!(q.is_closed() && q.try_put(1, b"", None).is_err());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) {
        self.slot.closed.store(1, Ordering::SeqCst);
        self.slot.items.wake_all(&Futex);
        self.slot.room.wake_all(&Futex);
    }

    /// Whether [`RawQueue::close`] was called.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// assert!(!RawQueue::create(Family::current()?, None)?.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slot.closed.load(Ordering::Relaxed) != 0
    }

    /// Reports one message as done.
    ///
    /// # Errors
    /// [`TooManyDone`] if every message that was put is done already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"", None).unwrap();
    /// q.done()?;
    /// assert!(q.done().is_err());
    /// # Ok(()) }
    /// ```
    pub fn done(&self) -> Result<(), TooManyDone> {
        let done = &self.slot.done;
        let mut seen = done.load(Ordering::SeqCst);
        loop {
            let put = self.slot.tail.count();
            if seen >= put {
                return Err(TooManyDone);
            }
            match done.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("done.counted");
        if self.unfinished() == 0 {
            self.slot.all_done.wake_all(&Futex);
        }
        Ok(())
    }

    /// How many messages were put and not yet reported as done.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"", None).unwrap();
    /// assert_eq!(q.unfinished(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        // Done first: it never overtakes the puts.
        let done = self.slot.done.load(Ordering::SeqCst);
        self.slot.tail.count().saturating_sub(done)
    }

    /// A descriptor that is readable while there is something to get, for `poll`, `select` or an event
    /// loop. It belongs to this process; ask again after a fork and before each wait that is not
    /// level-triggered.
    ///
    /// # Errors
    /// [`ArenaError`] if no pipe can be made, or 128 processes select on the queue already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.bell()?, q.bell()?);
    /// q.close_bell();
    /// # Ok(()) }
    /// ```
    pub fn bell(&self) -> Result<RawFd, ArenaError> {
        self.inner.bell(self.slot, self.id)
    }

    /// Closes the descriptor of [`RawQueue::bell`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// RawQueue::create(Family::current()?, None)?.close_bell();
    /// # Ok(()) }
    /// ```
    pub fn close_bell(&self) {
        // An entry that stays behind is cleared by the next one who rings it in vain.
        let _ = self.inner.close_bell(self.slot, self.id);
    }
}

impl Family {
    /// Memory for a message. The queues in `holds` are counted into it: they live as long as the
    /// block, wherever it goes.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let block = procession::Family::current()?.alloc(4096, &[])?;
    /// assert_eq!(block.len(), 4096);
    /// # Ok(()) }
    /// ```
    pub fn alloc(&self, len: usize, holds: &[&RawQueue]) -> Result<Block, ArenaError> {
        let ids: Vec<ObjectId> = holds.iter().map(|q| q.id()).collect();
        Block::alloc(self.inner(), len, &ids)
    }
}
