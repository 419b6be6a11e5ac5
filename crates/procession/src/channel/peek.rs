//! A look at the message that would be taken next.
//!
//! What lies in the ring is copied under the head's lock. A block is copied into a new one, which is made
//! without the lock, as are handles of the objects inside; then the lock is taken again, and if the message
//! is the next one still its bytes are copied. So who takes messages waits for no more than that copy, and
//! nobody ever reads a block that has another owner.

use super::{Channel, Received};
use crate::arena::block::Block;
use crate::arena::lease::Lease;
use crate::arena::map::corrupt;
use crate::arena::objects::ObjectId;
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::BlockRef;
use crate::sys::fault::crash_point;

/// The next message, but for what is in its block.
struct Front {
    n: u64,
    kind: u8,
    /// And whose handles are inside.
    block: Option<(BlockRef, Vec<ObjectId>)>,
}

impl Channel {
    /// A copy of the oldest message, which stays where it is.
    pub(crate) fn peek(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        loop {
            inline.clear();
            let Some(Front { n, kind, block }) = self.front(inline)? else {
                return Ok(None);
            };
            let Some((block, ids)) = block else {
                return Ok(Some(Received { kind, block: None }));
            };
            // Taken meanwhile, by another who has got on: look at the one behind it.
            if let Some(copy) = self.copy_of(n, block, &ids)? {
                return Ok(Some(Received { kind, block: Some(copy) }));
            }
        }
    }

    fn front(&self, inline: &mut Vec<u8>) -> Result<Option<Front>, ArenaError> {
        let (inner, slot) = (self.inner(), self.slot());
        let me = inner.me()?;
        let _held = slot.head_lock.lock(me, inner);
        if slot.is_cut() {
            return Ok(None);
        }
        let Some((n, popped)) = slot.head.front(&self.memory(me), &slot.tail, inline)? else {
            return Ok(None);
        };
        let mut block = None;
        if let Some(b) = popped.block {
            inner.check_block(b)?;
            inner.check_given(b, self.id(), n)?;
            block = Some((b, inner.held_by(b.at, inner.desc(b.at)?)?));
        }
        Ok(Some(Front { n, kind: popped.kind, block }))
    }

    /// A copy of message `n`'s block; `None` if the message was taken meanwhile.
    fn copy_of(
        &self,
        n: u64,
        block: BlockRef,
        ids: &[ObjectId],
    ) -> Result<Option<Block>, ArenaError> {
        let (inner, slot) = (self.inner(), self.slot());
        let mut leases = Vec::with_capacity(ids.len());
        for id in ids {
            match inner.open_handle(*id) {
                Ok(()) => leases.push(Lease::of_counted(inner, *id)?),
                Err(HandleError::Arena(e)) => return Err(e),
                Err(_) if !self.is_next(n)? => return Ok(None),
                Err(_) => return Err(corrupt(format!("message {n}: a handle of a dead object"))),
            }
        }
        let mut copy = Block::alloc(inner, block.len as usize, ids)?;
        let view = inner.view(block)?;
        {
            let _held = slot.head_lock.lock(inner.me()?, inner);
            if !slot.head.is_next(n) || slot.is_cut() {
                return Ok(None);
            }
            crash_point!("get.peeking");
            copy.copy(&view);
        }
        Ok(Some(copy.into_received()))
    }

    fn is_next(&self, n: u64) -> Result<bool, ArenaError> {
        let (inner, slot) = (self.inner(), self.slot());
        let _held = slot.head_lock.lock(inner.me()?, inner);
        Ok(slot.head.is_next(n) && !slot.is_cut())
    }
}
