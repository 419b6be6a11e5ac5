//! One direction of messages: a ring in the arena with its locks, its life and its waiting. What a
//! queue and each direction of a pipe are made of.

mod batch;
pub(crate) mod carrier;
pub(crate) mod iter;
pub(crate) mod message;
mod peek;
pub(crate) mod scratch;
mod waiting;

use std::fmt;

pub use iter::{IntoIter, Iter, Source, TryIter};
pub use waiting::End;

use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::family::Inner;
use crate::arena::layout::Object;
use crate::arena::layout::pool::WorkerSlot;
use crate::arena::lease::{self, Lease};
use crate::arena::objects::{Kind, ObjectId};
use crate::arena::segments::{RingMemory, Taken};
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::ring::fifo::{Cursor, INLINE_MAX, Limits, PREFIX_MAX, PushError, Record};
use crate::ring::inspect;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::wait::Spin;

/// What a message brought, beside its inline bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// The sender's kind, 1 to 14.
    pub kind: u8,
    /// Its block, now this process's own.
    pub block: Option<Block>,
}

/// Why a message was not pushed.
#[derive(Debug)]
pub(crate) enum Refusal {
    Full,
    /// What came before the push said so.
    Stopped,
    /// What came before the push wants to be asked again.
    Again,
    Arena(ArenaError),
}

impl From<ArenaError> for Refusal {
    fn from(e: ArenaError) -> Refusal {
        Refusal::Arena(e)
    }
}

/// A counted handle of a ring.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) lease: Lease,
    pub(crate) limits: Limits,
    item_spin: Spin,
    room_spin: Spin,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("index", &self.lease.id.index)
            .field("len", &self.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Channel {
    fn over(lease: Lease) -> Channel {
        let limits = lease.slot.limits();
        Channel { lease, limits, item_spin: Spin::new(), room_spin: Spin::new() }
    }

    pub(crate) fn create(
        family: Family,
        kind: Kind,
        limits: Limits,
    ) -> Result<Channel, ArenaError> {
        Ok(Channel::over(Lease::create(family, kind, limits)?))
    }

    pub(crate) fn from_handle(bytes: &[u8], kind: Kind) -> Result<Channel, HandleError> {
        let lease = crate::handle::open(bytes)?;
        if !lease.slot.is(kind) {
            return Err(HandleError::Malformed);
        }
        Ok(Channel::over(lease))
    }

    /// The ring of an object that is in use.
    pub(crate) fn open(inner: &'static Inner, id: ObjectId) -> Result<Channel, HandleError> {
        inner.open_handle(id)?;
        Ok(Channel::over(Lease::of_counted(inner, id)?))
    }

    pub(crate) fn handle(&self) -> Vec<u8> {
        crate::handle::encode(&self.lease)
    }

    fn memory(&self, me: Serial) -> RingMemory<'static> {
        RingMemory::new(self.inner(), self.slot(), self.id(), me)
    }

    #[inline]
    pub(crate) fn inner(&self) -> &'static Inner {
        self.lease.inner
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static Object {
        self.lease.slot
    }

    #[inline]
    pub(crate) fn id(&self) -> ObjectId {
        self.lease.id
    }

    /// # Panics
    /// If the message is not one that a ring can carry.
    #[inline]
    pub(crate) fn check(&self, kind: u8, inline: &[u8], block: Option<&Block>) {
        self.check_longer(kind, inline, block, INLINE_MAX);
    }

    /// As [`Channel::check`], of a message with a prefix of the pool's.
    pub(crate) fn check_prefixed(&self, kind: u8, inline: &[u8], block: Option<&Block>) {
        self.check_longer(kind, inline, block, INLINE_MAX + PREFIX_MAX);
    }

    #[inline]
    fn check_longer(&self, kind: u8, inline: &[u8], block: Option<&Block>, most: usize) {
        let fits = (1..15).contains(&kind) && inline.len() <= most;
        assert!(fits, "kind {kind}, {} bytes", inline.len());
        if let Some(b) = block {
            assert!(b.belongs_to(self.inner()), "the block is another's, or was received");
        }
    }

    /// Calls `push` until it needs no further segment; the caller's block stays its own if it fails.
    #[inline]
    pub(crate) fn with_segments(
        &self,
        mut push: impl FnMut(&mut Option<Cursor>) -> Result<u64, PushError<Refusal>>,
    ) -> Result<u64, Refusal> {
        let mut fresh = None;
        let done = loop {
            match push(&mut fresh) {
                Ok(n) => break Ok(n),
                Err(PushError::NeedSegment(size)) => match self.inner().new_segment(size) {
                    Ok(segment) => {
                        if let Some(unfit) = fresh.replace(segment) {
                            self.inner().free_block(unfit.segment())?;
                        }
                    }
                    Err(e) => break Err(e.into()),
                },
                Err(PushError::Memory(Refusal::Again)) => {}
                Err(PushError::Full) => break Err(Refusal::Full),
                Err(PushError::Memory(e)) => break Err(e),
            }
        };
        if let Some(unused) = fresh {
            self.inner().free_block(unused.segment())?;
        }
        done
    }

    /// Pushes one message, and says its number: how many were pushed before it. `first` runs under the
    /// tail lock, before anything is published.
    #[inline]
    pub(crate) fn push(
        &self,
        record: &Record<'_>,
        fresh: &mut Option<Cursor>,
        first: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<u64, PushError<Refusal>> {
        let (inner, slot) = (self.inner(), self.slot());
        let me = inner.me().map_err(Refusal::Arena)?;
        let mem = RingMemory::new(inner, slot, self.id(), me);
        let _held = inner.lock_tail(slot, self.id(), me).map_err(Refusal::Arena)?;
        crash_point!("put.start");
        if slot.tail.is_full(&slot.head, self.limits, record.weight()) {
            return Err(PushError::Full);
        }
        first()?;
        if let Some(b) = record.block {
            slot.pending[0].store(b.at, Ordering::Relaxed);
            inner.note_given(b.at, self.id(), slot.tail.count(), me).map_err(Refusal::Arena)?;
            crash_point!("put.block_given");
        }
        let pushed = slot.tail.push(&mem, &slot.head, self.limits, record, fresh);
        if pushed.is_err()
            && let Some(b) = record.block
        {
            inner.note_kept(b.at, me).map_err(Refusal::Arena)?;
        }
        match pushed {
            Ok(n) => Ok(n),
            Err(PushError::Full) => Err(PushError::Full),
            Err(PushError::NeedSegment(size)) => Err(PushError::NeedSegment(size)),
            Err(PushError::Memory(e)) => Err(PushError::Memory(Refusal::Arena(e))),
        }
    }

    /// Takes the oldest message; `inline` gets its inline bytes.
    #[inline]
    pub(crate) fn pop(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        inline.clear();
        let (inner, slot) = (self.inner(), self.slot());
        let Some(taken) = inner.pop(slot, self.id(), inline)? else {
            return Ok(None);
        };
        self.received(&taken).map(Some)
    }

    /// Takes the oldest message as worker `index` of a pool, and says its number: see
    /// [`Inner::pop_noting`].
    pub(crate) fn pop_as(
        &self,
        index: u32,
        worker: &WorkerSlot,
        others: impl Fn(u32) -> Option<&'static WorkerSlot>,
        inline: &mut Vec<u8>,
    ) -> Result<Option<(u64, Received)>, ArenaError> {
        inline.clear();
        let (inner, slot) = (self.inner(), self.slot());
        let Some((n, taken)) =
            inner.pop_noting(slot, self.id(), inline, (index, worker), others)?
        else {
            return Ok(None);
        };
        Ok(Some((n, self.received(&taken)?)))
    }

    /// Makes a message that was taken out this process's own.
    #[inline]
    fn received(&self, taken: &Taken) -> Result<Received, ArenaError> {
        let inner = self.inner();
        let popped = taken.popped;
        let block = match (popped.block, taken.mapped) {
            (Some(b), Some(ptr)) => Some(Block::received(inner, b, ptr)?),
            _ => None,
        };
        crash_point!("get.block_owned");
        self.wake_for_room();
        if popped.left.is_some() {
            inner.free_left(popped.left)?;
        }
        Ok(Received { kind: popped.kind, block })
    }

    /// Gives back the memory of what is in a ring that is cut.
    pub(crate) fn drop_rest(&self) -> Result<(), ArenaError> {
        let mut sink = Vec::new();
        while let Some(taken) = self.inner().pop_left(self.slot(), self.id(), &mut sink)? {
            sink.clear();
            drop(self.received(&taken)?);
        }
        Ok(())
    }

    /// Something was taken out, and the lock released.
    #[inline]
    fn wake_for_room(&self) {
        if !self.is_bounded() {
            return;
        }
        let (slot, limits) = (self.slot(), self.limits);
        if limits.bytes != 0 && slot.is(Kind::Queue) {
            // What is room for one may be too little for another: all look.
            slot.room.wake_all(&self.inner().ringing());
        } else {
            slot.room.wake_one_unlocked(&self.inner().ringing());
        }
    }

    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.limits != Limits { messages: 0, bytes: 0 }
    }

    #[inline]
    pub(crate) fn has_items(&self) -> bool {
        self.slot().tail.count() != self.slot().head.count()
    }

    /// Whether there is room for a message of these lengths.
    pub(crate) fn has_room(&self, weight: u64) -> bool {
        !self.is_bounded()
            || inspect::has_room(&self.slot().head, &self.slot().tail, self.limits, weight)
    }

    pub(crate) fn len(&self) -> u64 {
        self.slot().len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let slot = self.slot();
        if slot.is_cut() { 0 } else { inspect::bytes(&slot.head, &slot.tail) }
    }
}

impl Family {
    /// Memory for a message. The objects of the leases in `holds` are counted into it: they live as
    /// long as the block, wherever it goes. (Objects of another family are not: who reads the message
    /// finds them if they still live.)
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
    pub fn alloc(&self, len: usize, holds: &[Lease]) -> Result<Block, ArenaError> {
        Block::alloc(self.inner(), len, &lease::ids_of(self.inner(), holds))
    }
}
