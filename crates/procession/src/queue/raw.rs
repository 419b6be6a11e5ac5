//! A queue of bytes: ring, locks and waiting put together.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::MutexGuard;

use crate::arena::bells::Bells;
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::{Channel, Received, Refusal};
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::{Cursor, INLINE_MAX, Limits, PushError, Record};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

/// What a message of no bytes weighs.
pub(super) const SMALLEST: u64 = 8;

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
#[derive(Clone)]
pub struct RawQueue {
    pub(super) channel: Channel,
}

impl fmt::Debug for RawQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawQueue")
            .field("index", &self.channel.id().index)
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

crate::travel::travels!(RawQueue, "a queue", |it| it.lease());

impl RawQueue {
    /// The longest inline part.
    pub const INLINE_MAX: usize = INLINE_MAX;

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
        RawQueue::create_limited(family, capacity, None)
    }

    /// A new queue of so many messages, and so many bytes: of records, as they lie in the ring, and of
    /// their blocks. A message that is larger than that may be in alone.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let bytes = std::num::NonZeroU64::new(100);
    /// let q = RawQueue::create_limited(Family::current()?, None, bytes)?;
    /// q.try_put(1, &[0; 60], None).unwrap();
    /// assert!(q.try_put(1, &[0; 60], None).is_err());
    /// # Ok(()) }
    /// ```
    pub fn create_limited(
        family: Family,
        messages: Option<NonZeroU64>,
        bytes: Option<NonZeroU64>,
    ) -> Result<RawQueue, ArenaError> {
        let [messages, bytes] = [messages, bytes].map(|most| most.map_or(0, NonZeroU64::get));
        let limits = Limits { messages, bytes };
        Ok(RawQueue { channel: Channel::create(family, Kind::Queue, limits)? })
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
        self.channel.handle()
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
        Ok(RawQueue { channel: Channel::from_handle(bytes, Kind::Queue)? })
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
        self.channel.lease.family()
    }

    /// What keeps the queue alive without being a handle to use it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// let message = Family::current()?.alloc(0, &[q.lease()])?; // carries q's handle
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.channel.lease.clone()
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
    pub fn try_put(
        &self,
        kind: u8,
        inline: &[u8],
        block: Option<Block>,
    ) -> Result<(), TryPutError> {
        self.channel.check(kind, inline, block.as_ref());
        let record = Record { kind, inline, block: block.as_ref().map(Block::reference) };
        match self.push(&record) {
            Ok(_) => {}
            Err(Refusal::Arena(e)) => return Err(TryPutError::Arena(e, block)),
            Err(Refusal::Full) if !self.is_closed() => return Err(TryPutError::Full(block)),
            Err(_) => return Err(TryPutError::Closed(block)),
        }
        if let Some(b) = block {
            b.given_away();
        }
        self.was_put();
        Ok(())
    }

    #[inline]
    fn push(&self, record: &Record<'_>) -> Result<u64, Refusal> {
        self.with_bells(|fresh, bells| self.channel.push(record, fresh, || self.admit(bells)))
    }

    /// Calls `push`, until it needs no further segment, with this process's lock on its bells, which comes
    /// before the tail lock.
    #[inline]
    pub(super) fn with_bells(
        &self,
        mut push: impl FnMut(
            &mut Option<Cursor>,
            &mut Option<MutexGuard<'_, Bells>>,
        ) -> Result<u64, PushError<Refusal>>,
    ) -> Result<u64, Refusal> {
        let (inner, slot) = (self.channel.inner(), self.channel.slot());
        self.channel.with_segments(|fresh| {
            let bells = slot.bells.load(Ordering::Relaxed) != 0;
            push(fresh, &mut if bells { Some(inner.bells()) } else { None })
        })
    }

    /// Under the tail lock, before anything is published.
    #[inline]
    pub(super) fn admit(&self, bells: &mut Option<MutexGuard<'_, Bells>>) -> Result<(), Refusal> {
        let (inner, slot) = (self.channel.inner(), self.channel.slot());
        if slot.closed.load(Ordering::Relaxed) != 0 {
            return Err(Refusal::Stopped);
        }
        if slot.bells.load(Ordering::Relaxed) != 0 {
            let bells = bells.as_mut().ok_or(Refusal::Again)?;
            inner.ring_all(slot, self.channel.id(), bells, inner.me()?)?;
        }
        Ok(())
    }

    /// Something was put, and the lock released: wakes who waits for it, and the next one who waits for
    /// room, if there is more.
    #[inline]
    pub(super) fn was_put(&self) {
        crash_point!("put.unlocked");
        let slot = self.channel.slot();
        slot.items.wake_one_unlocked(&self.channel.inner().ringing());
        if self.channel.is_bounded() && slot.room.has_sleepers() && self.has_room() {
            slot.room.wake_one(&self.channel.inner().ringing());
        }
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
        let received = self.channel.pop(inline)?;
        if received.is_some() {
            self.pass_on();
        }
        self.quiet_bell()?;
        Ok(received)
    }

    /// A copy of the oldest message, if there is one, which stays where it is; `inline` gets its inline
    /// bytes. Its block is a copy, too, and a block for itself.
    ///
    /// Who takes messages waits no longer than the bytes of a block take to be copied.
    ///
    /// # Errors
    /// [`ArenaError`] if there is no memory for the copy, or the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"first", None).unwrap();
    /// let mut bytes = Vec::new();
    /// assert!(q.peek(&mut bytes)?.is_some());
    /// assert_eq!(bytes, b"first");
    /// assert_eq!(q.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn peek(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        let seen = self.channel.peek(inline);
        // Who was woken for it, and only looks at it, does not keep it from others.
        self.pass_on();
        seen
    }

    /// There is work for one more.
    #[inline]
    pub(super) fn pass_on(&self) {
        let items = &self.channel.slot().items;
        if items.has_sleepers() && self.channel.has_items() {
            items.wake_one(&self.channel.inner().ringing());
        }
    }

    #[inline]
    pub(super) fn quiet_bell(&self) -> Result<(), ArenaError> {
        let slot = self.channel.slot();
        if slot.bells.load(Ordering::Relaxed) != 0 {
            self.channel.inner().quiet_bell(slot, self.channel.id())?;
        }
        Ok(())
    }

    /// Whether there is room for the smallest message.
    pub(super) fn has_room(&self) -> bool {
        self.channel.has_room(SMALLEST)
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
        self.channel.len()
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
        NonZeroU64::new(self.channel.limits.messages)
    }

    /// How many bytes it may hold, see [`RawQueue::create_limited`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// assert_eq!(RawQueue::create(Family::current()?, None)?.max_bytes(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max_bytes(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.channel.limits.bytes)
    }

    /// How many bytes are in it, as they count against that bound: exact while nobody changes it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, &[0; 60], None).unwrap();
    /// assert_eq!(q.bytes(), 64);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.channel.bytes()
    }
}
