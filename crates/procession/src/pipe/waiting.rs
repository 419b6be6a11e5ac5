//! Waiting on a connection: for a message, for room, or by a descriptor.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::raw::{Incoming, RawConnection};
use crate::channel::{Channel, End};
use crate::error::ArenaError;
use crate::ring::fifo::weight;
use crate::sys::atomic::Ordering;
use crate::sys::socket::{self, Polled};
use crate::wait::{SLICE, Wait};

/// A sender that waits for room looks this often whether a killed reader will ever make any.
pub(super) const ROOM_SLICE: Duration = Duration::from_millis(50);

impl RawConnection {
    /// Waits until there may be room for a message with so many inline bytes and, if it has one, a
    /// block of that length, the other end is gone, the deadline passes, a signal comes, or some 50 ms are over.
    ///
    /// # Panics
    /// If the connection is not writable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection, Wait};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert_eq!(a.wait_for_room(10, None, None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_room(
        &self,
        inline: usize,
        block: Option<usize>,
        deadline: Option<Instant>,
    ) -> Wait {
        let channel = self.sending();
        let closes = channel.slot().closes.load(Ordering::Acquire);
        if self.is_hung_up() {
            return Wait::HungUp;
        }
        let weight = weight(inline, block);
        channel.let_drain(weight);
        channel.wait_for_room(deadline, ROOM_SLICE, || {
            channel.has_room(weight) || channel.slot().closes.load(Ordering::Relaxed) != closes
        })
    }

    /// Whether a message of these lengths, which was just sent, is as good as received: it fits into
    /// what may be under way, or it is not there any more. Who wants a send to end like one into a pipe
    /// of the kernel's, with the rest of a long message on its way, waits for this by
    /// [`RawConnection::wait_for_room`].
    ///
    /// # Panics
    /// If the connection is not writable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// let family = Family::current()?;
    /// a.try_send(1, b"", Some(family.alloc(1 << 24, &[])?)).unwrap();
    /// assert!(!a.is_absorbed(0, Some(1 << 24)));
    /// assert!(b.try_recv(&mut Vec::new())?.is_some());
    /// assert!(a.is_absorbed(0, Some(1 << 24)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_absorbed(&self, inline: usize, block: Option<usize>) -> bool {
        let (channel, weight) = (self.sending(), weight(inline, block));
        weight <= channel.limits.bytes || channel.has_room(weight)
    }

    /// Whether there is a message to take at this moment.
    ///
    /// # Panics
    /// If the connection is not readable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// a.try_send(1, b"", None).unwrap();
    /// assert!(b.has_message());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn has_message(&self) -> bool {
        let channel = self.receiving();
        if channel.has_items() {
            return true;
        }
        // An error is a damaged arena: the next attempt to receive says so.
        let _ = self.keep_quiet(channel);
        false
    }

    /// If somebody selects on the empty connection, its descriptor must not be readable. Where a
    /// sender is stuck it may stay so for a while: that is a look in vain, and no wait.
    #[inline]
    pub(super) fn keep_quiet(&self, channel: &Channel) -> Result<(), ArenaError> {
        if RawConnection::bell(channel).wants_arming()
            && !channel.has_items()
            && !channel.is_stuck(End::Tail)
        {
            self.arm()?;
        }
        Ok(())
    }

    /// Whether the other end is gone: closed by all who had it. What it sent before may still be
    /// there; look once more after this said so.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(!a.is_hung_up());
    /// drop(b);
    /// assert!(a.is_hung_up());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        if self.is_over.load(Ordering::Relaxed) {
            return true;
        }
        let is_over = socket::is_hung_up(self.fd());
        if is_over {
            self.is_over.store(true, Ordering::Relaxed);
        }
        is_over
    }

    /// Whether the other end was seen to be gone before now. Makes no system call.
    pub(super) fn knows_of_hang_up(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until there may be a message, the other end is gone, the deadline passes, a signal
    /// comes, or a slice of 250 ms is over.
    ///
    /// # Panics
    /// If the connection is not readable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection, Wait};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert_eq!(a.wait_for_message(Some(std::time::Instant::now())), Wait::TimedOut);
    /// drop(b);
    /// assert_eq!(a.wait_for_message(None), Wait::HungUp);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_message(&self, deadline: Option<Instant>) -> Wait {
        let channel = self.receiving();
        if channel.item_spin().until(|| channel.has_items()) || channel.has_items() {
            return Wait::Again;
        }
        if self.is_hung_up() {
            return Wait::HungUp;
        }
        let start = Instant::now();
        let left = deadline.map_or(SLICE, |d| d.saturating_duration_since(start));
        if left.is_zero() {
            return Wait::TimedOut;
        }
        // An error is a damaged arena: the next attempt to receive says so.
        let (Ok(true), Ok(me)) = (self.arm(), channel.inner().me()) else {
            return Wait::Again;
        };
        let waiting_on = &channel.inner().participant(me).waiting_on;
        waiting_on.store(channel.id().index + 1, Ordering::Relaxed);
        let polled = socket::wait(self.fd(), left.min(SLICE));
        waiting_on.store(0, Ordering::Relaxed);
        channel.item_spin().learn(start.elapsed());
        match polled {
            Polled::Readable => Wait::Again,
            Polled::Interrupted => Wait::Interrupted,
            Polled::HungUp => {
                self.is_over.store(true, Ordering::Relaxed);
                Wait::HungUp
            }
            Polled::Nothing => {
                channel.inner().sweep_if_due();
                Wait::Again
            }
        }
    }

    /// Prepares for one `poll` on [`RawConnection::fd`]: the next message will make it readable.
    /// False if there is a message already.
    ///
    /// Takes an internal lock; who holds a lock of his own (an interpreter's, say) calls this without
    /// it.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Panics
    /// If the connection is not readable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(b.arm()?);
    /// a.try_send(1, b"", None).unwrap();
    /// assert!(!b.arm()?);
    /// # Ok(()) }
    /// ```
    pub fn arm(&self) -> Result<bool, ArenaError> {
        let channel = self.receiving();
        if channel.has_items() {
            return Ok(false);
        }
        let me = channel.inner().me()?;
        let _held = channel.inner().lock_tail(channel.slot(), channel.id(), me)?;
        if channel.has_items() {
            return Ok(false);
        }
        RawConnection::bell(channel).arm(&self.line());
        Ok(true)
    }

    /// The descriptor for `select`, `poll` or an event loop: from now on it is readable whenever
    /// there is a message, or the other end is gone, and costs system calls to be kept so. As
    /// [`RawConnection::arm`], it takes an internal lock.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(a.selectable_fd()? >= 0);
    /// # Ok(()) }
    /// ```
    pub fn selectable_fd(&self) -> Result<RawFd, ArenaError> {
        if let Some(Incoming(channel)) = &self.incoming {
            let me = channel.inner().me()?;
            let _held = channel.inner().lock_tail(channel.slot(), channel.id(), me)?;
            let bell = RawConnection::bell(channel);
            bell.keep();
            if !channel.has_items() {
                bell.arm(&self.line());
            }
        }
        Ok(self.fd().as_raw_fd())
    }

    /// Whether another process or thread is inside a send (`End::Tail`) or a receive (`End::Head`) at
    /// this end for longer than a short spin; see [`RawQueue::is_stuck`](crate::RawQueue::is_stuck).
    ///
    /// # Panics
    /// If the connection has no such side.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(!a.is_stuck(End::Tail));
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_stuck(&self, end: End) -> bool {
        match end {
            End::Tail => self.sending().is_stuck(end),
            End::Head => self.receiving().is_stuck(end),
        }
    }

    /// Sleeps until that side is free; takes it back from a dead process.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Panics
    /// If the connection has no such side.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawConnection};
    /// RawConnection::pair(Family::current()?, true)?.0.settle(End::Head)?;
    /// # Ok(()) }
    /// ```
    pub fn settle(&self, end: End) -> Result<(), ArenaError> {
        match end {
            End::Tail => self.sending().settle(end),
            End::Head => self.receiving().settle(end),
        }
    }
}
