//! How many messages and bytes are in a queue, how many are not done with, and whether there is room.

use super::{BYTES, Line, NET, Order, UNFINISHED};
use crate::error::{ArenaError, TooManyDone};
use crate::sys::atomic::{Ordering, fence};

/// How often both of two words are looked at until they are seen as they were at one moment.
const LOOKS: u32 = 100;

impl<O: Order> Line<O> {
    #[inline]
    pub(in crate::collections) fn len(&self) -> u64 {
        self.with_staged(NET)
    }

    pub(in crate::collections) fn unfinished(&self) -> u64 {
        self.with_staged(UNFINISHED)
    }

    /// How many messages were ever put by the stage.
    #[inline]
    pub(super) fn tail(&self) -> Result<u64, ArenaError> {
        Ok(self.stage()?.map_or(0, |stage| stage.tail.load(Ordering::Acquire)))
    }

    /// A count that has two parts: a root, which is changed by steps, and what was staged, which only grows.
    /// If no step has begun to commit between two looks at the root, and it was the same both times, then it was
    /// so all the time, for a step changes it by one or not at all, and is over when the next one begins.
    #[inline]
    fn with_staged(&self, root: usize) -> u64 {
        let (slot, root) = (self.stock.slot, self.stock.slot.root(root));
        let Ok(Some(stage)) = self.stage() else {
            return root.load(Ordering::Acquire);
        };
        let mut sum = 0;
        for _ in 0..LOOKS {
            let version = slot.version.load(Ordering::Acquire);
            let part = root.load(Ordering::Acquire);
            sum = part.wrapping_add(stage.tail.load(Ordering::Acquire));
            fence(Ordering::Acquire);
            if root.load(Ordering::Relaxed) == part
                && slot.version.load(Ordering::Relaxed) == version
            {
                return sum;
            }
        }
        // Others are that busy: about so many. It is never less than none.
        if sum > u64::MAX / 2 { 0 } else { sum }
    }

    pub(in crate::collections) fn capacity(&self) -> u64 {
        self.limits.messages
    }

    pub(in crate::collections) fn max_bytes(&self) -> u64 {
        self.limits.bytes
    }

    pub(in crate::collections) fn bytes(&self) -> u64 {
        self.stock.peek(BYTES)
    }

    #[inline]
    pub(super) fn is_bounded(&self) -> bool {
        self.limits.messages != 0 || self.limits.bytes != 0
    }

    /// Whether a message of so many bytes finds room.
    pub(in crate::collections) fn has_room(&self, weight: u64) -> bool {
        !self.is_bounded() || self.has_room_at(self.len(), self.bytes(), weight)
    }

    /// One that is larger than the limit may be in alone.
    #[inline]
    pub(super) fn has_room_at(&self, len: u64, bytes: u64, weight: u64) -> bool {
        let limits = self.limits;
        (limits.messages == 0 || len < limits.messages)
            && (limits.bytes == 0 || len == 0 || bytes.saturating_add(weight) <= limits.bytes)
    }

    pub(in crate::collections) fn done(&self) -> Result<Result<(), TooManyDone>, ArenaError> {
        let mut step = self.stock.begin()?;
        self.note(&step)?;
        let (own, staged) = (step.root(UNFINISHED), self.tail()?);
        let Some(left) = own.wrapping_add(staged).checked_sub(1) else {
            return Ok(Err(TooManyDone));
        };
        step.set_root(UNFINISHED, own.wrapping_sub(1));
        step.commit()?;
        step.wake_nobody();
        drop(step);
        if left == 0 {
            self.stock.slot.all_done.wake_all(&self.stock.lease.inner.ringing());
        }
        Ok(Ok(()))
    }
}
