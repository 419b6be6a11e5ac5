//! The table of those who listen at words, instead of sleeping there: entries and doors.
//!
//! A loop has one pipe, its *door*, however many objects it waits for. Who waits at a word enters it in
//! the family's table of *listeners*, under the word's place, and announces itself on the word as a
//! sleeper does. Who wakes the sleepers of a word also looks it up there, and writes the number of each
//! entry into its door, opened through `/proc/PID/fd`: so the loop knows which word it was.
//!
//! | bits of an entry | meaning |
//! |---|---|
//! | 36.. | the word's place in the arena, in words of 4 bytes; 0: the entry is free |
//! | 35 | `RUNG`: its number is in the pipe, no need to write it again |
//! | 25..34 | the door |
//! | ..24 | the door's generation: an entry of another one is nobody's |
//!
//! What must hold: an entry is made before its word is announced at, and `RUNG` is taken back before the
//! loop looks at what it waits for. As with sleepers nothing here is needed for longer than a slice:
//! after each a loop looks at everything again, since a ringer may have been killed.

use std::collections::HashMap;
use std::mem::{offset_of, size_of};
use std::os::fd::OwnedFd;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::blocks::owned;
use super::family::Inner;
use super::layout::{Desc, Header, PAGE, ShmSafe};
use super::map::corrupt;
use super::redo::set;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::bell::{self, Bell};
use crate::sys::fault::crash_point;
use crate::wait::{Futex, Sleep, Woken};
use crate::words::listener::{self, RUNG};

const BLOCK: usize = 256 << 10;
const DOORS: usize = 1 << DOOR_BITS;
const BUCKET: usize = 8;
const BUCKETS: usize = (BLOCK - size_of::<Table>()) / (8 * BUCKET);
/// So far from its bucket an entry may be. (All loops that wait for one word are in one place.)
const FARTHEST: usize = 512;

const GENERATION_BITS: u32 = 25;
const DOOR_BITS: u32 = 10;
const _: () = assert!(RUNG == 1 << (GENERATION_BITS + DOOR_BITS));
pub(super) const PLACE_SHIFT: u32 = GENERATION_BITS + DOOR_BITS + 1;
const GENERATIONS: u32 = (1 << GENERATION_BITS) - 1;

#[derive(Debug)]
#[repr(C)]
struct Door {
    /// `generation << 32 | serial`; serial 0: free.
    owner: AtomicU64,
    fd: AtomicU64,
    inode: AtomicU64,
    pad: AtomicU64,
}

/// The table's first part; behind it, in the same block, are the entries.
#[derive(Debug)]
#[repr(C)]
struct Table {
    /// Entries lie so many buckets from their own at most.
    reach: AtomicU64,
    pad: [AtomicU64; 3],
    doors: [Door; DOORS - 1],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Table {}

const _: () = assert!(size_of::<Table>().is_multiple_of(8 * BUCKET));

pub(super) fn entry_of(door: usize, generation: u32) -> u64 {
    (door as u64) << GENERATION_BITS | u64::from(generation & GENERATIONS)
}

/// The table, with its entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listeners<'a> {
    head: &'a Table,
    entries: &'a [[AtomicU64; BUCKET]; BUCKETS],
}

// SAFETY: atomics only; an array has no padding.
unsafe impl ShmSafe for [[AtomicU64; BUCKET]; BUCKETS] {}

impl<'a> Listeners<'a> {
    pub(super) fn entry(self, number: u32) -> Option<&'a AtomicU64> {
        self.entries.get(number as usize / BUCKET)?.get(number as usize % BUCKET)
    }

    /// The buckets in which an entry for this place may be, with their numbers.
    fn buckets(
        self,
        place: u64,
        n: usize,
    ) -> impl Iterator<Item = (usize, &'a [AtomicU64; BUCKET])> {
        let first = (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        (first..first + n.min(FARTHEST)).map(move |i| (i % BUCKETS, &self.entries[i % BUCKETS]))
    }

    /// Whether the door that an entry names has another owner now, or none.
    fn is_stale(self, entry: u64) -> bool {
        let owner = self.door(entry).map_or(0, |door| door.owner.load(Ordering::Acquire));
        owner as Serial == 0 || (owner >> 32) as u32 & GENERATIONS != entry as u32 & GENERATIONS
    }

    /// The door of one who needs it no more.
    pub(super) fn leave(self, door: usize, generation: u32) {
        if let Some(door) = self.head.doors.get(door) {
            door.owner.store(u64::from(generation) << 32, Ordering::Release);
        }
    }

    fn door(self, entry: u64) -> Option<&'a Door> {
        self.head.doors.get((entry >> GENERATION_BITS) as usize & (DOORS - 1))
    }

    pub(super) fn enter(self, place: u64, entry: u64) -> Option<u32> {
        for (far, (i, bucket)) in self.buckets(place, FARTHEST).enumerate() {
            for (j, word) in bucket.iter().enumerate() {
                let seen = word.load(Ordering::Relaxed);
                if seen != 0 && !self.is_stale(seen) {
                    continue;
                }
                // First, so that nobody who looks for it looks too near.
                self.head.reach.fetch_max(far as u64 + 1, Ordering::SeqCst);
                let order = Ordering::SeqCst;
                if word.compare_exchange(seen, entry, order, Ordering::Relaxed).is_ok() {
                    return Some((i * BUCKET + j) as u32);
                }
            }
        }
        None
    }
}

/// Doors of other loops that this process has opened, by number and generation.
#[derive(Debug, Default)]
pub(crate) struct Doors(HashMap<(usize, u32), OwnedFd>);

/// Sleeps on futexes; who is woken with it is also rung for, if he listens instead of sleeping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ringing<'a>(&'a Inner);

impl Sleep for Ringing<'_> {
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) -> Woken {
        Futex.sleep(word, expected, limit)
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        let woken = Futex.wake(word, count);
        self.0.ring(word);
        woken // listeners announce themselves anew, each time
    }
}

impl Inner {
    /// How to wake those who wait at a word of a user's, sleeping or listening.
    #[inline]
    pub(crate) fn ringing(&self) -> Ringing<'_> {
        Ringing(self)
    }

    pub(super) fn table(&self) -> Option<Listeners<'_>> {
        let at = self.header().listeners.load(Ordering::Acquire);
        if at == 0 {
            return None;
        }
        let head = self.map.at::<Table>(at).ok()?;
        let entries = self.map.at(at + size_of::<Table>() as u64).ok()?;
        Some(Listeners { head, entries })
    }

    pub(super) fn new_table(&self) -> Result<(), ArenaError> {
        let word = &self.header().listeners;
        if word.load(Ordering::Acquire) != 0 {
            return self.table().map(drop).ok_or_else(|| corrupt("the table of listeners"));
        }
        let at = self.alloc_block(BLOCK as u64)?;
        for i in 0..BLOCK as u64 / 8 {
            self.map.word(at + 8 * i)?.store(0, Ordering::Relaxed);
        }
        crash_point!("door.table_made");
        let guard = self.guard()?;
        if word.load(Ordering::Acquire) != 0 {
            drop(guard);
            return self.free_block(at); // another was faster
        }
        let owner = self.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64;
        guard.commit(&[set(offset_of!(Header, listeners) as u64, at), set(owner, owned(0))])
    }

    /// A free door becomes this process's.
    pub(super) fn claim_door(
        &self,
        bell: &Bell,
        me: Serial,
    ) -> Result<Option<(usize, u32)>, ArenaError> {
        let table = self.table().ok_or_else(|| corrupt("the table of listeners"))?;
        let _guard = self.guard()?;
        for (i, door) in table.head.doors.iter().enumerate() {
            let last = door.owner.load(Ordering::Acquire);
            if last as Serial != 0 {
                continue;
            }
            let generation = ((last >> 32) as u32 + 1) & GENERATIONS;
            door.fd.store(u64::from(bell.write_fd().cast_unsigned()), Ordering::Relaxed);
            door.inode.store(bell.inode(), Ordering::Relaxed);
            crash_point!("door.described");
            door.owner.store(u64::from(generation) << 32 | u64::from(me), Ordering::Release);
            crash_point!("door.claimed");
            return Ok(Some((i, generation)));
        }
        Ok(None)
    }

    /// The doors of one who is dead are free; its entries are stale.
    pub(crate) fn sweep_doors(&self, dead: Serial) {
        for door in self.table().into_iter().flat_map(|all| &all.head.doors) {
            let owner = door.owner.load(Ordering::Acquire);
            if owner as Serial == dead {
                let free = owner >> 32 << 32;
                let order = Ordering::AcqRel;
                let _ = door.owner.compare_exchange(owner, free, order, Ordering::Relaxed);
            }
        }
    }

    /// Where the table of listeners lies; 0: there is none.
    pub(crate) fn table_at(&self) -> u64 {
        self.header().listeners.load(Ordering::Acquire)
    }

    pub(super) fn place_of(&self, word: &AtomicU32) -> Option<u64> {
        let end = self.map.layout.object(self.map.layout.max_objects);
        self.map.find(std::ptr::from_ref(word).addr(), end).map(|at| at / 4)
    }

    /// Rings for all who listen at a word. Blocks for nobody, and needs no lock but a short one of this
    /// process, under which no other is taken.
    #[inline]
    fn ring(&self, word: &AtomicU32) {
        if self.header().listeners.load(Ordering::Relaxed) != 0 {
            self.ring_slow(word);
        }
    }

    #[cold]
    fn ring_slow(&self, word: &AtomicU32) {
        fence(Ordering::SeqCst); // entries of those whose announcements the caller has seen
        let (Some(place), Some(table)) = (self.place_of(word), self.table()) else {
            return;
        };
        let reach = table.head.reach.load(Ordering::SeqCst) as usize;
        for (i, bucket) in table.buckets(place, reach) {
            for (j, entry) in bucket.iter().enumerate() {
                if entry.load(Ordering::Acquire) >> PLACE_SHIFT == place {
                    self.ring_one(table, entry, (i * BUCKET + j) as u32, place);
                }
            }
        }
    }

    fn ring_one(&self, table: Listeners<'_>, entry: &AtomicU64, number: u32, place: u64) {
        let seen = entry.load(Ordering::Relaxed);
        if table.is_stale(seen) {
            let _ = entry.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            return;
        }
        if let Some(seen) = listener::ring(entry, |seen| seen >> PLACE_SHIFT == place) {
            crash_point!("door.ringing");
            if !self.write_to(table, seen, number) {
                // It could not be opened now; at the next time perhaps.
                listener::quiet(entry, |now| now == seen | RUNG);
            }
        }
    }

    fn write_to(&self, table: Listeners<'_>, entry: u64, number: u32) -> bool {
        let mut doors = self.doors();
        let index = (entry >> GENERATION_BITS) as usize & (DOORS - 1);
        let key = (index, entry as u32 & GENERATIONS);
        if !doors.0.contains_key(&key) {
            doors.0.retain(|&(door, generation), _| !table.is_stale(entry_of(door, generation)));
            let Some(fd) = table.door(entry).and_then(|door| self.open_door(door)) else {
                return false;
            };
            doors.0.insert(key, fd);
        }
        if let Some(fd) = doors.0.get(&key) {
            bell::tell(fd, number);
        }
        true
    }

    fn open_door(&self, door: &Door) -> Option<OwnedFd> {
        let owner = door.owner.load(Ordering::Acquire) as Serial;
        let (fd, inode) = (door.fd.load(Ordering::Relaxed), door.inode.load(Ordering::Relaxed));
        let pid = self.participant(owner).pid.load(Ordering::Relaxed);
        bell::open(pid, fd as u32, inode)
    }

    pub(crate) fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doors {
    /// What the parent had opened is opened anew.
    pub(crate) fn forget_inherited(&mut self) {
        self.0.clear();
    }
}
