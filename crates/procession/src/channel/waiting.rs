//! Waiting at one end of a channel.

use std::time::{Duration, Instant};

use super::Channel;
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
use crate::ring::inspect;
use crate::wait::{Futex, SLICE, Spin, Wait, WaitWord};

/// What part of a full ring a producer lets drain, and how often it looks meanwhile.
const DRAIN: u64 = 32;
const LOOK_EVERY: u32 = 16;

/// The two ends of a channel, each of which has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where messages are put.
    Tail,
    /// Where they are taken.
    Head,
}

impl Channel {
    #[inline]
    pub(crate) fn is_stuck(&self, end: End) -> bool {
        match end {
            End::Tail => self.slot().tail_lock.is_stuck(),
            End::Head => self.slot().head_lock.is_stuck(),
        }
    }

    pub(crate) fn settle(&self, end: End) -> Result<(), ArenaError> {
        let me = self.inner().me()?;
        match end {
            End::Tail => drop(self.inner().lock_tail(self.slot(), self.id(), me)?),
            End::Head => drop(self.slot().head_lock.lock(me, self.inner())),
        }
        Ok(())
    }

    /// Lets the consumers of a full ring get a little ahead, if they are at it: else producer and
    /// consumer go on in lockstep, one message at a time, each on the other's cache lines.
    pub(crate) fn let_drain(&self, weight: u64) {
        let most = self.limits;
        let most = Limits {
            messages: most.messages - most.messages / DRAIN,
            bytes: most.bytes - most.bytes / DRAIN,
        };
        let (head, tail) = (&self.slot().head, &self.slot().tail);
        self.room_spin.until_every(LOOK_EVERY, || inspect::has_room(head, tail, most, weight));
    }

    pub(crate) fn item_spin(&self) -> &Spin {
        &self.item_spin
    }

    /// Waits until `ready`, for a message.
    pub(crate) fn wait_for_item(
        &self,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        self.wait(&self.slot().items, Some(&self.item_spin), deadline, SLICE, ready)
    }

    /// Waits until `ready`, for room; at most for `slice`.
    pub(crate) fn wait_for_room(
        &self,
        deadline: Option<Instant>,
        slice: Duration,
        ready: impl Fn() -> bool,
    ) -> Wait {
        self.wait(&self.slot().room, Some(&self.room_spin), deadline, slice, ready)
    }

    /// Waits on a word until `ready`, the deadline, a signal, or a slice is over.
    pub(crate) fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        slice: Duration,
        ready: impl Fn() -> bool,
    ) -> Wait {
        let inner = self.inner();
        inner.wait_at(self.id().index, spin, deadline, slice, &ready, |limit| {
            word.sleep(&Futex, limit, &ready)
        })
    }
}
