//! A queue of bytes: ring, locks and waiting put together.

use std::fmt;
use std::num::NonZeroU64;

use super::waiting::Spin;
use crate::arena::block::Block;
use crate::arena::family::{Family, Inner};
use crate::arena::layout::Object;
use crate::arena::objects::ObjectId;
use crate::arena::segments::RingMemory;
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::{INLINE_MAX, PushError, Record};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::wait::Futex;

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
    pub(super) inner: &'static Inner,
    pub(super) slot: &'static Object,
    pub(super) id: ObjectId,
    capacity: u64,
    pub(super) item_spin: Spin,
    pub(super) room_spin: Spin,
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
    pub fn try_put(
        &self,
        kind: u8,
        inline: &[u8],
        block: Option<Block>,
    ) -> Result<(), TryPutError> {
        assert!(
            (1..15).contains(&kind) && inline.len() <= INLINE_MAX,
            "kind {kind}, {} bytes",
            inline.len()
        );
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

    pub(super) fn has_items(&self) -> bool {
        self.slot.tail.count() != self.slot.head.count()
    }

    pub(super) fn has_room(&self) -> bool {
        self.capacity == 0 || self.len() < self.capacity
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
