//! The processes of the family: one slot each, named by a serial that is never used again.
//!
//! | state | meaning |
//! |---|---|
//! | `FREE` | nobody; the serial is the last owner's, or 0 |
//! | `EMBRYO` | claimed, by an attaching process or by a parent for its fork child; no pid yet |
//! | `ALIVE` | pid, start time and namespace say who |
//! | `SWEPT` | dead; the sweeper takes back what it held |
//!
//! A serial is `generation << 12 | slot`, so it tells its slot; a slot whose generations are used up
//! is never claimed again.

use super::family::Inner;
use super::layout::{MAX_PARTICIPANTS, Participant};
use crate::error::FamilyError;
use crate::lock::{Owners, Serial};
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::fault::crash_point;
use crate::sys::process::{self, Identity};
use crate::wait::{Futex, Sleep, Woken};

pub(crate) const FREE: u64 = 0;
pub(crate) const EMBRYO: u64 = 1;
pub(crate) const ALIVE: u64 = 2;
pub(crate) const SWEPT: u64 = 3;

const SLOT_BITS: u32 = 12;
const LAST_GENERATION: u32 = (1 << (31 - SLOT_BITS)) - 1;
const _: () = assert!(1 << SLOT_BITS == MAX_PARTICIPANTS);
// The first generation is 1, so the serials below that are nobody's.
const _: () = assert!(1 << SLOT_BITS > crate::words::lock::KEPT);

/// An embryo older than this that no unregistered process could be is dead.
const EMBRYO_MS: u64 = 500;

pub(crate) fn pack(serial: Serial, state: u64) -> u64 {
    u64::from(serial) << 32 | state
}

pub(crate) fn unpack(word: u64) -> (Serial, u64) {
    ((word >> 32) as Serial, word & 0xff)
}

impl Inner {
    /// The slot of a serial.
    pub(crate) fn participant(&self, serial: Serial) -> &Participant {
        self.slot(u64::from(serial) & (MAX_PARTICIPANTS - 1))
    }

    pub(crate) fn slot(&self, slot: u64) -> &Participant {
        // The participants' table lies in the first extent, which is mapped on attach.
        self.map.at(self.map.layout.participant(slot)).expect("the first extent is mapped")
    }

    /// Claims a slot for a process to come.
    pub(crate) fn claim_slot(&self) -> Result<Serial, FamilyError> {
        for slot in 0..MAX_PARTICIPANTS {
            let p = self.slot(slot);
            let word = p.state.load(Ordering::Acquire);
            let (last, state) = unpack(word);
            let generation = (last >> SLOT_BITS) + 1;
            if state != FREE || generation > LAST_GENERATION {
                continue;
            }
            let serial = generation << SLOT_BITS | slot as Serial;
            p.since.store(process::now_ms(), Ordering::Relaxed);
            let next = pack(serial, EMBRYO);
            if p.state.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                crash_point!("attach.slot_claimed");
                // `since` may be another claimant's, a moment ago: as good.
                p.waiting_on.store(0, Ordering::Relaxed);
                for word in [&p.left, &p.ended, &p.departed].into_iter().chain(&p.name) {
                    word.store(0, Ordering::Relaxed);
                }
                return Ok(serial);
            }
        }
        Err(FamilyError::TooManyParticipants(MAX_PARTICIPANTS as usize))
    }

    /// Fills a claimed slot with this process. False if the slot was given up as dead meanwhile.
    pub(crate) fn enter_slot(&self, serial: Serial) -> bool {
        let p = self.participant(serial);
        let me = process::identity();
        p.pid.store(me.pid, Ordering::Relaxed);
        p.start.store(me.start, Ordering::Relaxed);
        p.namespace.store(me.namespace, Ordering::Relaxed);
        p.fd.store(self.fd_number(), Ordering::Relaxed);
        crash_point!("attach.identified");
        let (from, to) = (pack(serial, EMBRYO), pack(serial, ALIVE));
        let entered =
            p.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        crash_point!("attach.alive");
        entered
    }

    /// Whether the one who had this serial is gone for good. False where it can't be known.
    pub(crate) fn serial_is_dead(&self, serial: Serial) -> bool {
        if serial == self.me_or_zero() {
            return false;
        }
        let p = self.participant(serial);
        let word = p.state.load(Ordering::Acquire);
        match unpack(word) {
            (s, _) if s != serial => true,
            (_, ALIVE) => {
                let who = Identity {
                    pid: p.pid.load(Ordering::Relaxed),
                    start: p.start.load(Ordering::Relaxed),
                    namespace: p.namespace.load(Ordering::Relaxed),
                };
                let gone = process::is_gone(who)
                    || process::maps_file(who.pid, self.map.identity, p.fd.load(Ordering::Relaxed))
                        == Some(false);
                // Only the occupant of that moment was judged.
                gone && p.state.load(Ordering::Acquire) == word
            }
            (_, EMBRYO) => {
                let age = process::now_ms().saturating_sub(p.since.load(Ordering::Relaxed));
                age > EMBRYO_MS
                    && !self.has_unregistered_process()
                    && p.state.load(Ordering::Acquire) == word
            }
            _ => true,
        }
    }

    /// Whether some live process maps the arena and is not entered: it may be an embryo's.
    pub(super) fn has_unregistered_process(&self) -> bool {
        let entered: Vec<u32> = (0..MAX_PARTICIPANTS)
            .map(|s| self.slot(s))
            .filter(|p| unpack(p.state.load(Ordering::Acquire)).1 == ALIVE)
            .map(|p| p.pid.load(Ordering::Relaxed))
            .collect();
        let fd = self.fd_number();
        process::all_pids().into_iter().any(|pid| {
            !entered.contains(&pid)
                && !process::is_zombie(pid)
                && process::maps_file(pid, self.map.identity, fd) == Some(true)
        })
    }

    /// Live participants' serials, this one's included.
    pub(crate) fn serials(&self) -> impl Iterator<Item = (Serial, u64)> + '_ {
        (0..MAX_PARTICIPANTS)
            .map(|s| unpack(self.slot(s).state.load(Ordering::Acquire)))
            .filter(|&(_, state)| state != FREE)
    }
}

impl Sleep for Inner {
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: std::time::Duration) -> Woken {
        Futex.sleep(word, expected, limit)
    }
    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        Futex.wake(word, count)
    }
}

impl Owners for Inner {
    fn is_dead(&self, serial: Serial) -> bool {
        serial == 0 || self.serial_is_dead(serial)
    }
}
