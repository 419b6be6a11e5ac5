//! A queue of bytes: ring, locks and waiting put together.

use std::fmt;
use std::num::NonZeroU64;

use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::{Channel, Received, Refusal};
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::{INLINE_MAX, Limits, Record};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

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
        let limits = Limits { messages: capacity.map_or(0, NonZeroU64::get), bytes: 0 };
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
        crash_point!("put.unlocked");
        self.channel.slot().items.wake_one_unlocked(&self.channel.inner().ringing());
        Ok(())
    }

    #[inline]
    fn push(&self, record: &Record<'_>) -> Result<u64, Refusal> {
        let (inner, slot) = (self.channel.inner(), self.channel.slot());
        self.channel.with_segments(|fresh| {
            // This process's lock on its bells comes before the tail lock.
            let bells = slot.bells.load(Ordering::Relaxed) != 0;
            let mut bells = if bells { Some(inner.bells()) } else { None };
            self.channel.push(record, fresh, || {
                if slot.closed.load(Ordering::Relaxed) != 0 {
                    return Err(Refusal::Stopped);
                }
                if slot.bells.load(Ordering::Relaxed) != 0 {
                    let bells = bells.as_mut().ok_or(Refusal::Again)?;
                    inner.ring_all(slot, self.channel.id(), bells, inner.me()?)?;
                }
                Ok(())
            })
        })
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
        let slot = self.channel.slot();
        if received.is_some() && slot.items.has_sleepers() && self.channel.has_items() {
            slot.items.wake_one(&self.channel.inner().ringing()); // there is work for one more
        }
        if slot.bells.load(Ordering::Relaxed) != 0 {
            self.channel.inner().quiet_bell(slot, self.channel.id())?;
        }
        Ok(received)
    }

    pub(super) fn has_room(&self) -> bool {
        self.channel.has_room(0)
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
        let (inner, slot) = (self.channel.inner(), self.channel.slot());
        let has_bells = || slot.bells.load(Ordering::SeqCst) != 0;
        // Without bells it is one store. Who makes one meanwhile looks after that whether it is closed,
        // or is seen here.
        if !has_bells() {
            slot.closed.store(1, Ordering::SeqCst);
        }
        if has_bells() && inner.close_ringing(slot, self.channel.id()).is_err() {
            slot.closed.store(1, Ordering::SeqCst); // the arena is damaged
        }
        slot.items.wake_all(&inner.ringing());
        slot.room.wake_all(&inner.ringing());
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
        self.channel.slot().closed.load(Ordering::Relaxed) != 0
    }
}
