//! Many small messages at once: one lock, one commit, one wake-up.

use super::{Channel, Refusal};
use crate::error::ArenaError;
use crate::ring::batch::{Batch, PoppedRun};
use crate::ring::fifo::{Cursor, PushError};
use crate::sys::fault::crash_point;

impl Channel {
    /// Pushes some messages of a batch, at least one, and says how many. `first` and `fresh` as of
    /// [`Channel::push`].
    pub(crate) fn push_run(
        &self,
        batch: Batch<'_>,
        fresh: &mut Option<Cursor>,
        first: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<u64, PushError<Refusal>> {
        let (inner, slot) = (self.inner(), self.slot());
        let me = inner.me().map_err(Refusal::Arena)?;
        let mem = self.memory(me);
        let _held = inner.lock_tail(slot, self.id(), me).map_err(Refusal::Arena)?;
        crash_point!("put.start");
        // Also where it is full: whether it is closed is asked first.
        first()?;
        slot.tail.push_run(&mem, &slot.head, self.limits, batch, fresh).map_err(|e| match e {
            PushError::Full => PushError::Full,
            PushError::NeedSegment(size) => PushError::NeedSegment(size),
            PushError::Memory(e) => PushError::Memory(Refusal::Arena(e)),
        })
    }

    /// Takes messages of a kind that have no block, at most `max`: see
    /// [`Head::pop_run`](crate::ring::fifo::Head::pop_run).
    pub(crate) fn pop_run(
        &self,
        kind: u8,
        max: usize,
        out: (&mut Vec<u8>, &mut Vec<usize>),
    ) -> Result<Option<u64>, ArenaError> {
        let (inner, slot) = (self.inner(), self.slot());
        let me = inner.me()?;
        let mem = self.memory(me);
        let held = slot.head_lock.lock(me, inner);
        crash_point!("get.start");
        if slot.is_cut() {
            return Ok(None);
        }
        let popped = slot.head.pop_run(&mem, &slot.tail, kind, max as u64, out);
        drop(held);
        let Some(PoppedRun { count, left }) = popped? else {
            return Ok(None);
        };
        crash_point!("get.unlocked");
        if count > 0 {
            self.wake_for_room();
        }
        inner.free_left(left)?;
        Ok(Some(count))
    }
}
