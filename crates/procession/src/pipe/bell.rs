//! When the reading socket must be made readable, so that nobody sleeps beside a message.
//!
//! A word in the arena, changed under the ring's tail lock only:
//!
//! | bit | name | meaning |
//! |---|---|---|
//! | 0 | `ARMED` | no byte is in the socket: who publishes rings first. Else there is one |
//! | 1 | `UNSURE` | somebody is, or was killed, between the byte and the word |
//! | 2 | `KEPT` | somebody selects: readers arm as soon as the ring is empty |
//!
//! What must hold: the ring is not empty ⇒ a byte is in the socket, or will be before the message is
//! published. So a bell is rung before the commit, and armed only with the ring empty; who is
//! killed in between has rung too early, never too late. Nobody who neither sleeps nor selects ever
//! makes a system call for it.
//!
//! Bytes that are not the bell's (descriptors that a program sends through the socket by itself)
//! stay where they are: exactly one byte is eaten, unless a killed process left it unsure.

use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::fault::crash_point;

const ARMED: u32 = 1;
const UNSURE: u32 = 2;
const KEPT: u32 = 4;

/// The socket, from the side of whoever acts.
pub(crate) trait Wire {
    /// Puts one byte in. Never blocks.
    fn ring(&self);
    /// Takes one byte out, or all. Never blocks.
    fn eat(&self, all: bool);
}

/// The word. In the arena zeroed memory is a bell whose byte is in the socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bell<'a>(pub(crate) &'a AtomicU32);

impl Bell<'_> {
    /// Before a message is published.
    #[inline]
    pub(crate) fn ring(self, wire: &impl Wire) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen & ARMED != 0 {
            self.ring_slow(seen, wire);
        }
    }

    #[cold]
    fn ring_slow(self, seen: u32, wire: &impl Wire) {
        self.0.store(seen | UNSURE, Ordering::Relaxed);
        crash_point!("bell.ringing");
        wire.ring();
        crash_point!("bell.rung");
        // Found unsure, it stays so: there may be two bytes now.
        self.0.store(seen & !ARMED, Ordering::Relaxed);
    }

    /// With the ring empty: the next message will ring.
    pub(crate) fn arm(self, wire: &impl Wire) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen & (ARMED | UNSURE) == ARMED {
            return;
        }
        self.0.store(seen | ARMED | UNSURE, Ordering::Relaxed);
        crash_point!("bell.arming");
        wire.eat(seen & UNSURE != 0);
        crash_point!("bell.eaten");
        self.0.store((seen | ARMED) & !UNSURE, Ordering::Relaxed);
    }

    /// From now on readiness is kept at every instant.
    pub(crate) fn keep(self) {
        self.0.fetch_or(KEPT, Ordering::Relaxed);
    }

    /// Whether an empty ring must be armed now. Asked without the lock.
    #[inline]
    pub(crate) fn wants_arming(self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen & KEPT != 0 && seen & (ARMED | UNSURE) != ARMED
    }
}
