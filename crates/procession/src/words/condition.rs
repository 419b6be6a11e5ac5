//! A condition: who waits for a notification, oldest first.
//!
//! | entry | from | by whom |
//! |---|---|---|
//! | free | | |
//! | `WAITING` | free | the waiter, who enlists |
//! | `ASLEEP` | `WAITING` | the waiter: who notifies it must wake it |
//! | `NOTIFIED` | `WAITING`, `ASLEEP` | who notifies |
//! | free | any | the waiter, who leaves; the sweep, if the waiter is dead |
//!
//! Above the state stands a ticket: the order in which waiters came. Who finds no free entry is in the
//! *crowd*: it waits for a number to move, which every notification moves.
//!
//! What must hold: the sweep notifies another before it frees a dead waiter's `NOTIFIED`; killed in
//! between, it notifies one too many, and never one too few.

use std::time::Duration;

use super::entries::{Entries, OWNER_BITS, Owner, owner_of};
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, WaitWord, Woken};

const STATE: u32 = 0b11 << OWNER_BITS;
const WAITING: u32 = 0b01 << OWNER_BITS;
const ASLEEP: u32 = 0b10 << OWNER_BITS;
const NOTIFIED: u32 = 0b11 << OWNER_BITS;
const TICKET_SHIFT: u32 = OWNER_BITS + 2;
const TICKETS: u32 = 1 << (32 - TICKET_SHIFT);

fn is_waiting(entry: u32) -> bool {
    entry & STATE == WAITING || entry & STATE == ASLEEP
}

fn with_state(entry: u32, state: u32) -> u32 {
    (entry & !STATE) | state
}

/// The words that are no entries. In the arena, zeroed memory is a condition nobody waits for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Desk {
    /// Tickets given so far.
    tickets: AtomicU32,
    /// Notifications so far.
    calls: AtomicU32,
    crowd: WaitWord,
}

impl Desk {
    #[cfg(loom)]
    pub(crate) fn new() -> Desk {
        Desk { tickets: AtomicU32::new(0), calls: AtomicU32::new(0), crowd: WaitWord::new() }
    }
}

/// Where a waiter waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// At an entry, which it made this.
    Entry(&'a AtomicU32, u32),
    /// In the crowd, for the number to be another.
    Crowd(u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) entries: Entries<'a>,
}

impl<'a> Condition<'a> {
    pub(crate) fn enlist(self, owner: Owner) -> Place<'a> {
        let calls = self.desk.calls.load(Ordering::Acquire);
        let ticket = self.desk.tickets.fetch_add(1, Ordering::AcqRel) % TICKETS;
        let value = owner | WAITING | ticket << TICKET_SHIFT;
        let place = self.entries.claim(ticket, value);
        crash_point!("sync.enlisted");
        place.map_or(Place::Crowd(calls), |entry| Place::Entry(entry, value))
    }

    pub(crate) fn is_notified(self, place: Place<'_>) -> bool {
        match place {
            Place::Entry(entry, value) => {
                let seen = entry.load(Ordering::Acquire);
                seen != value && seen != with_state(value, ASLEEP)
            }
            Place::Crowd(calls) => self.desk.calls.load(Ordering::Acquire) != calls,
        }
    }

    /// Sleeps until notified.
    pub(crate) fn sleep(self, how: &impl Sleep, limit: Duration, place: Place<'_>) -> Woken {
        match place {
            Place::Entry(entry, value) => {
                let asleep = with_state(value, ASLEEP);
                let order = Ordering::AcqRel;
                match entry.compare_exchange(value, asleep, order, Ordering::Relaxed) {
                    Err(seen) if seen != asleep => Woken::Changed,
                    _ => how.sleep(entry, asleep, limit),
                }
            }
            Place::Crowd(_) => self.desk.crowd.sleep(how, limit, || self.is_notified(place)),
        }
    }

    /// Leaves the list. Whether it had been notified.
    pub(crate) fn leave(self, place: Place<'_>) -> bool {
        let Place::Entry(entry, value) = place else {
            return self.is_notified(place);
        };
        let mut seen = entry.load(Ordering::Acquire);
        // An entry with another ticket is another's: whatever happened, this one's wait is over.
        while (seen ^ value) & !STATE == 0 {
            match entry.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("sync.unlisted");
        seen & STATE == NOTIFIED || (seen ^ value) & !STATE != 0
    }

    /// Notifies the `n` who have waited longest; how many it were. The crowd is notified in any case,
    /// and not counted.
    pub(crate) fn notify(self, n: u32, how: &impl Sleep) -> u32 {
        let mut there: Vec<(u32, &AtomicU32, u32)> = Vec::new();
        for entry in self.entries.iter() {
            let seen = entry.load(Ordering::Acquire);
            if is_waiting(seen) {
                there.push((seen >> TICKET_SHIFT, entry, seen));
            }
        }
        // Read after the entries: all their tickets are older.
        let next = self.desk.tickets.load(Ordering::Acquire);
        there.sort_unstable_by_key(|&(ticket, ..)| ticket.wrapping_sub(next) % TICKETS);
        let mut count = 0;
        for (_, entry, seen) in there {
            if count == n {
                break;
            }
            count += u32::from(notify_one(entry, seen, how));
        }
        self.desk.calls.fetch_add(1, Ordering::AcqRel);
        crash_point!("sync.called");
        self.desk.crowd.wake_all(how);
        count
    }

    /// How many wait at entries.
    pub(crate) fn waiting(self) -> u32 {
        self.owners().count() as u32
    }

    /// Whose the waiting entries are.
    pub(crate) fn owners(self) -> impl Iterator<Item = Owner> {
        let seen = self.entries.iter().map(|entry| entry.load(Ordering::Relaxed));
        seen.filter(|&entry| is_waiting(entry)).map(owner_of)
    }

    /// Ends the waits of one who is gone; what it was notified of goes to another.
    pub(crate) fn bury(self, gone: Owner, how: &impl Sleep) {
        // First those that could be notified in vain.
        for notified in [false, true] {
            for entry in self.entries.iter() {
                let seen = entry.load(Ordering::Acquire);
                let is_notified = seen & STATE == NOTIFIED;
                if owner_of(seen) != gone || is_notified != notified {
                    continue;
                }
                if is_notified {
                    self.notify(1, how);
                    crash_point!("sync.passed_on");
                }
                // If it was notified just now, the second round finds it.
                let _ = entry.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }
}

/// Notifies the waiter at an entry, if it is the one that was seen there.
fn notify_one(entry: &AtomicU32, mut seen: u32, how: &impl Sleep) -> bool {
    loop {
        let next = with_state(seen, NOTIFIED);
        match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            // It has gone to sleep meanwhile.
            Err(now) if now == with_state(seen, ASLEEP) => seen = now,
            Err(_) => return false,
        }
    }
    crash_point!("sync.notified");
    if seen & STATE == ASLEEP {
        how.wake(entry, 1);
    }
    true
}
