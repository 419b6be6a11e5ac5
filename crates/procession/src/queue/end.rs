//! The end of a queue.

use super::raw::RawQueue;
use crate::arena::layout::{CLOSED, CUT};
use crate::channel::End;
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

impl RawQueue {
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
            slot.closed.fetch_max(CLOSED, Ordering::SeqCst);
        }
        if has_bells() && inner.close_ringing(slot, self.channel.id()).is_err() {
            slot.closed.fetch_max(CLOSED, Ordering::SeqCst); // the arena is damaged
        }
        slot.items.wake_all(&inner.ringing());
        slot.room.wake_all(&inner.ringing());
    }

    /// Closes the queue, and drops what is in it: it counts as never put, so who waits for all to be done
    /// waits only for what was taken. Wakes all who wait.
    ///
    /// That is one store, after which the queue is empty for everybody. Who is killed just before it
    /// leaves the queue closed; who is killed just after it leaves memory that is given back by the next
    /// one who calls this, or with the queue.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"never read", None).unwrap();
    /// q.shut_down_now()?;
    /// assert!(q.is_empty() && q.unfinished() == 0 && q.try_get(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn shut_down_now(&self) -> Result<(), ArenaError> {
        self.close();
        let (inner, slot, id) = (self.channel.inner(), self.channel.slot(), self.channel.id());
        let me = inner.me()?;
        // Who has the tail may have looked before the queue was closed; who has it later has not.
        drop(inner.lock_tail(slot, id, me)?);
        {
            let _held = slot.head_lock.lock(me, inner);
            if !slot.is_cut() {
                slot.cut.store(slot.head.count(), Ordering::Relaxed);
                crash_point!("get.cut_noted");
                slot.closed.store(CUT, Ordering::SeqCst);
                crash_point!("get.cut");
            }
        }
        slot.all_done.wake_all(&inner.ringing());
        self.channel.drop_rest()
    }

    /// Whether the queue was closed, and no put is under way any more: what is in it is all that there will
    /// ever be. Who has found it empty looks once more after this says so. If the queue is closed it waits for
    /// who is in the midst of a put.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert!(!q.has_ended()?);
    /// q.close();
    /// assert!(q.has_ended()?);
    /// # Ok(()) }
    /// ```
    pub fn has_ended(&self) -> Result<bool, ArenaError> {
        if !self.is_closed() {
            return Ok(false);
        }
        // Who has the tail may have looked before the queue was closed; who has it later has not.
        self.channel.settle(End::Tail)?;
        Ok(true)
    }

    /// Whether [`RawQueue::close`] was called. A put may be under way still: see [`RawQueue::has_ended`].
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
