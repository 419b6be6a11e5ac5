//! Waiting on a queue: for messages, for room, until all is done, or by a descriptor.

use std::os::fd::RawFd;
use std::time::Instant;

use super::raw::{RawQueue, SMALLEST, TryPutError};
use crate::arena::block::Block;
use crate::arena::doorbell::{Awaited, Spot};
use crate::arena::family::Family;
use crate::channel::carrier::{Carrier, Refused};
use crate::channel::{End, Received};
use crate::error::{ArenaError, TooManyDone};
use crate::ring::fifo::weight;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::wait::{SLICE, Wait};

impl RawQueue {
    /// Whether another process or thread is inside a put or get at this end for longer than a short
    /// spin: it was preempted there, stopped, or killed. A call would sleep; who holds a lock of his
    /// own (an interpreter's, say) calls [`RawQueue::settle`] without it first.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert!(!q.is_stuck(End::Tail));
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_stuck(&self, end: End) -> bool {
        self.channel.is_stuck(end)
    }

    /// Sleeps until that end is free; takes it back from a dead process.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawQueue};
    /// RawQueue::create(Family::current()?, None)?.settle(End::Head)?;
    /// # Ok(()) }
    /// ```
    pub fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.channel.settle(end)
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
        self.channel.wait_for_item(deadline, || self.channel.has_items() || self.is_closed())
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
        self.wait_for_weight(SMALLEST, deadline)
    }

    /// Waits until there may be room for a message with so many inline bytes and, if it has one, a block of that length,
    /// or as [`RawQueue::wait_for_item`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_room_of(10, Some(1 << 20), None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_room_of(
        &self,
        inline: usize,
        block: Option<usize>,
        deadline: Option<Instant>,
    ) -> Wait {
        self.wait_for_weight(weight(inline, block), deadline)
    }

    pub(super) fn wait_for_weight(&self, weight: u64, deadline: Option<Instant>) -> Wait {
        self.channel.let_drain(weight);
        let ready = || self.channel.has_room(weight) || self.is_closed();
        self.channel.wait_for_room(deadline, SLICE, ready)
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
        let word = &self.channel.slot().all_done;
        self.channel.wait(word, None, deadline, SLICE, || self.unfinished() == 0)
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
        let done = &self.channel.slot().done;
        let mut seen = done.load(Ordering::SeqCst);
        loop {
            let put = self.channel.slot().accepted();
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
            self.channel.slot().all_done.wake_all(&self.channel.inner().ringing());
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
        let done = self.channel.slot().done.load(Ordering::SeqCst);
        self.channel.slot().accepted().saturating_sub(done)
    }

    /// Where an event loop waits for something of this queue: see [`Doorbell`](crate::Doorbell).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Awaited, Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.spot(Awaited::Items).announce();
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn spot(&self, what: Awaited) -> Spot<'_> {
        let slot = self.channel.slot();
        let word = match what {
            Awaited::Items => &slot.items,
            Awaited::Room => &slot.room,
            Awaited::Done => &slot.all_done,
        };
        Spot::of(self.channel.inner(), word)
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
        self.channel.inner().bell(self.channel.slot(), self.channel.id())
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
        let _ = self.channel.inner().close_bell(self.channel.slot(), self.channel.id());
    }
}

impl Carrier for RawQueue {
    #[inline]
    fn family(&self) -> Family {
        self.family()
    }

    #[inline]
    fn offer(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<(), Refused> {
        self.try_put(kind, inline, block).map_err(|e| match e {
            TryPutError::Full(block) => Refused::Full(block),
            TryPutError::Closed(block) => Refused::Over(block),
            TryPutError::Arena(e, block) => Refused::Arena(e, block),
        })
    }

    fn await_room(&self, inline: usize, block: Option<usize>, deadline: Option<Instant>) -> Wait {
        self.wait_for_room_of(inline, block, deadline)
    }

    #[inline]
    fn take(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        self.try_get(inline)
    }

    fn await_message(&self, deadline: Option<Instant>) -> Wait {
        self.wait_for_item(deadline)
    }

    #[inline]
    fn is_over(&self) -> Result<bool, ArenaError> {
        self.has_ended()
    }

    fn turns_out_over(&self) -> bool {
        self.is_closed()
    }
}
