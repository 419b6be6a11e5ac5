//! Many readers or one writer: the word of a lock, which the writer takes, and a list of those who read.
//!
//! An entry of the list is 0, or its owner (see `entries`) and above it how many readers that one has.
//! A reader counts itself in, and looks whether there is a writer; a writer takes the word, and looks
//! whether there is a reader. So one of them sees the other, and it is the reader who gives way: a
//! writer that comes lets no further reader in, and waits only for those that are there.
//!
//! | phase | the word names somebody who | if that one is gone |
//! |---|---|---|
//! | `PENDING` | waits for the readers, or has finished | the lock is free |
//! | `WRITING` | writes | it is abandoned |
//! | `STALE` | waits for the readers of a lock that was abandoned before | it is abandoned, as before |
//!
//! What must hold: while the word says `FREE` the phase is `PENDING`, and while it says `ABANDONED` the
//! phase is `STALE`; so a writer that is killed before it writes changes nothing.

use std::time::Duration;

use super::entries::{Entries, OWNER_BITS, Owner, owner_of};
use super::lock::{ABANDONED, Debt, FREE, LockWord, Taking};
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, Ordering, fence};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, WaitWord, Woken};

pub(crate) const PENDING: u32 = 0;
pub(crate) const WRITING: u32 = 1;
pub(crate) const STALE: u32 = 2;

const ONE: u32 = 1 << OWNER_BITS;
const MOST: u32 = (1 << (32 - OWNER_BITS)) - 1;

fn count_of(entry: u32) -> u32 {
    entry >> OWNER_BITS
}

/// Where those sleep who wait for something else than the word. In the arena, zeroed memory.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Doors {
    /// Readers, until no writer is there and there is a place for them.
    gate: WaitWord,
    /// The writer that has the word, until no reader is there.
    drained: WaitWord,
}

impl Doors {
    #[cfg(loom)]
    pub(crate) fn new() -> Doors {
        Doors { gate: WaitWord::new(), drained: WaitWord::new() }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RwWords<'a> {
    pub(crate) word: &'a LockWord,
    pub(crate) phase: &'a AtomicU32,
    pub(crate) doors: &'a Doors,
    pub(crate) readers: Entries<'a>,
}

/// What came of an attempt to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Taken {
        abandoned: bool,
    },
    /// Somebody writes, or is about to.
    Refused,
    /// Other processes read at all places.
    NoPlace,
}

impl<'a> RwWords<'a> {
    /// Reads, if nobody writes or waits to. `first`: the entry to try first.
    pub(crate) fn try_read(self, owner: Owner, first: u32, how: &impl Sleep) -> Reading {
        if !self.word.may_be_had() {
            return Reading::Refused;
        }
        if !self.count_in(owner, first) {
            return Reading::NoPlace;
        }
        crash_point!("rw.counted");
        fence(Ordering::SeqCst); // pairs with the one in `try_begin`
        match self.word.holder() {
            FREE => Reading::Taken { abandoned: false },
            ABANDONED => Reading::Taken { abandoned: true },
            _ => {
                self.end_read(owner, first, how);
                Reading::Refused
            }
        }
    }

    fn count_in(self, owner: Owner, first: u32) -> bool {
        self.from(first).any(|entry| {
            let mut seen = entry.load(Ordering::Relaxed);
            while seen == 0 || (owner_of(seen) == owner && count_of(seen) < MOST) {
                let next = if seen == 0 { owner | ONE } else { seen + ONE };
                match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(now) => seen = now,
                }
            }
            false
        })
    }

    fn from(self, first: u32) -> impl Iterator<Item = &'a AtomicU32> {
        let n = self.readers.0.iter().map(|part| part.len()).sum::<usize>();
        let first = first as usize % n;
        self.readers.iter().skip(first).chain(self.readers.iter().take(first))
    }

    /// Ends one reading of the owner's; false if it does not read.
    pub(crate) fn end_read(self, owner: Owner, first: u32, how: &impl Sleep) -> bool {
        for entry in self.from(first) {
            let mut seen = entry.load(Ordering::Relaxed);
            while owner_of(seen) == owner {
                let next = if count_of(seen) <= 1 { 0 } else { seen - ONE };
                match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => {
                        crash_point!("rw.counted_out");
                        if next == 0 {
                            self.wake_after_reader(how);
                        }
                        return true;
                    }
                    Err(now) => seen = now,
                }
            }
        }
        false
    }

    fn wake_after_reader(self, how: &impl Sleep) {
        self.doors.drained.wake_one(how);
        if self.doors.gate.has_sleepers() {
            self.doors.gate.wake_all(how); // there is a place
        }
    }

    /// Takes the word: from now on nobody begins to read.
    pub(crate) fn claim(self, me: Serial, debt: &Debt) -> Taking {
        let taking = self.word.take(me, debt);
        if matches!(taking, Taking::Taken { .. }) {
            crash_point!("rw.claimed");
        }
        taking
    }

    /// Writes, if no reader is left; by who has the word.
    pub(crate) fn try_begin(self) -> bool {
        fence(Ordering::SeqCst); // pairs with the one in `try_read`
        let drained = self.is_drained();
        if drained {
            self.phase.store(WRITING, Ordering::Relaxed);
            crash_point!("rw.writing");
        }
        drained
    }

    pub(crate) fn is_drained(self) -> bool {
        self.readers.iter().all(|entry| entry.load(Ordering::Acquire) == 0)
    }

    /// Whether who has the word writes.
    pub(crate) fn is_written(self) -> bool {
        self.phase.load(Ordering::Relaxed) == WRITING
    }

    /// Who has the word, and never wrote, gives it back.
    pub(crate) fn give_back(self, me: Serial, how: &impl Sleep) {
        if self.phase.load(Ordering::Relaxed) == STALE {
            self.word.bury(me, ABANDONED, how);
        } else {
            self.word.give(how);
        }
        self.doors.gate.wake_all(how);
    }

    /// Ends the writing.
    pub(crate) fn end_write(self, how: &impl Sleep) {
        self.phase.store(PENDING, Ordering::Relaxed);
        crash_point!("rw.finished");
        self.word.give(how);
        crash_point!("rw.free");
        self.doors.gate.wake_all(how);
    }

    /// What the word becomes when its holder is gone; `describe` writes down who that was, if it is to
    /// be known. By one at a time, who calls `opened` when the word says so.
    pub(crate) fn heir(self, describe: impl FnOnce()) -> Serial {
        match self.phase.load(Ordering::Relaxed) {
            PENDING => FREE,
            STALE => ABANDONED,
            _ => {
                describe();
                self.phase.store(STALE, Ordering::Relaxed);
                ABANDONED
            }
        }
    }

    /// The word may be had again: lets the readers know.
    pub(crate) fn opened(self, how: &impl Sleep) {
        self.doors.gate.wake_all(how);
    }

    /// Ends the reading of one who is gone.
    pub(crate) fn bury_readers(self, gone: Owner, how: &impl Sleep) {
        for entry in self.readers.iter() {
            if owner_of(entry.load(Ordering::Acquire)) == gone {
                entry.store(0, Ordering::Release);
                crash_point!("rw.reader_buried");
                self.wake_after_reader(how);
            }
        }
    }

    /// How many read.
    pub(crate) fn reading(self) -> u32 {
        self.readers.iter().map(|entry| count_of(entry.load(Ordering::Relaxed))).sum()
    }

    /// Whose the entries are.
    pub(crate) fn owners(self) -> impl Iterator<Item = Owner> {
        let seen = self.readers.iter().map(|entry| owner_of(entry.load(Ordering::Relaxed)));
        seen.filter(|&owner| owner != 0)
    }

    /// Whether a reader may try.
    pub(crate) fn is_open_to(self, owner: Owner) -> bool {
        let fits = |entry: &AtomicU32| {
            let seen = entry.load(Ordering::Relaxed);
            seen == 0 || (owner_of(seen) == owner && count_of(seen) < MOST)
        };
        self.word.may_be_had() && self.readers.iter().any(fits)
    }

    /// Sleeps until a reader may try.
    pub(crate) fn sleep_to_read(self, how: &impl Sleep, limit: Duration, owner: Owner) -> Woken {
        self.doors.gate.sleep(how, limit, || self.is_open_to(owner))
    }

    /// Sleeps until no reader is left.
    pub(crate) fn sleep_to_write(self, how: &impl Sleep, limit: Duration) -> Woken {
        self.doors.drained.sleep(how, limit, || self.is_drained())
    }
}
