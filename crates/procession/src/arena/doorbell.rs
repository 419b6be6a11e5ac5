//! Doorbells: how an event loop hears of the words that its tasks wait at.
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

use std::collections::{HashMap, HashSet};
use std::mem::{offset_of, size_of};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blocks::owned;
use super::family::{Family, Inner};
use super::layout::{Desc, Header, PAGE, ShmSafe};
use super::map::corrupt;
use super::redo::set;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::bell::{self, Bell};
use crate::sys::fault::crash_point;
use crate::wait::{Futex, Sleep, WaitWord, Woken};
use crate::words::lock::LockWord;

const BLOCK: usize = 256 << 10;
const DOORS: usize = 1 << DOOR_BITS;
const BUCKET: usize = 8;
const BUCKETS: usize = (BLOCK - size_of::<Table>()) / (8 * BUCKET);
/// So far from its bucket an entry may be. (All loops that wait for one word are in one place.)
const FARTHEST: usize = 512;

const GENERATION_BITS: u32 = 25;
const DOOR_BITS: u32 = 10;
const RUNG: u64 = 1 << (GENERATION_BITS + DOOR_BITS);
const PLACE_SHIFT: u32 = GENERATION_BITS + DOOR_BITS + 1;
const GENERATIONS: u32 = (1 << GENERATION_BITS) - 1;

/// From so many bytes on a pipe may have been full, and something was not written.
const FULL: usize = PAGE as usize;

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

const _: () = assert!(size_of::<Table>() % (8 * BUCKET) == 0);

/// The bell of one event loop: a descriptor that is readable when something may have come of what it
/// listens to.
///
/// It belongs to the process that made it; in a fork child it does nothing.
///
/// # When a process dies
/// Who is killed while it rings has not rung: therefore the loop calls [`Doorbell::tick`] every 250 ms
/// while it waits, and looks at everything then.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Awaited, Doorbell, Family, RawQueue};
/// let q = RawQueue::create(Family::current()?, None)?;
/// let bell = Doorbell::new(Family::current()?)?;
/// let token = bell.listen(&q.spot(Awaited::Items)).unwrap();
/// q.spot(Awaited::Items).announce();
/// assert!(q.is_empty()); // what came before the announcement is there by now
/// q.try_put(1, b"", None).unwrap();
/// let mut rung = Vec::new();
/// bell.heard(&mut rung);
/// assert_eq!(rung, [token]);
/// bell.stop(token);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Doorbell {
    inner: &'static Inner,
    me: Serial,
    bell: Bell,
    door: usize,
    generation: u32,
    entries: Mutex<HashSet<u32>>,
}

/// What can be waited for at a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// Something to take.
    Items,
    /// Room for more.
    Room,
    /// That everything was reported as done.
    Done,
}

/// Where one can wait at an object: see [`Doorbell::listen`].
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    inner: &'static Inner,
    word: Word<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Word<'a> {
    Wait(&'a WaitWord),
    Lock(&'a LockWord),
}

impl<'a> Spot<'a> {
    pub(crate) fn of(inner: &'static Inner, word: &'a WaitWord) -> Spot<'a> {
        Spot { inner, word: Word::Wait(word) }
    }

    pub(crate) fn of_lock(inner: &'static Inner, word: &'a LockWord) -> Spot<'a> {
        Spot { inner, word: Word::Lock(word) }
    }

    /// Says that somebody waits here: the next one who brings something about rings. The caller looks
    /// again *after* this whether there is something already.
    pub fn announce(&self) {
        match self.word {
            Word::Wait(word) => word.announce(),
            Word::Lock(word) => word.announce(),
        }
    }

    fn place(&self) -> Option<u64> {
        self.inner.place_of(match self.word {
            Word::Wait(word) => word.word(),
            Word::Lock(word) => word.word(),
        })
    }
}

impl Doorbell {
    /// A new one, which listens to nothing.
    ///
    /// # Errors
    /// [`ArenaError`] if no pipe can be made, there is no memory, or 1023 loops of the family have one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Doorbell, Family};
    /// assert!(Doorbell::new(Family::current()?)?.fd() >= 0);
    /// # Ok(()) }
    /// ```
    pub fn new(family: Family) -> Result<Doorbell, ArenaError> {
        let inner = family.inner();
        let me = inner.me()?;
        inner.new_table()?;
        let bell =
            Bell::new().map_err(|e| ArenaError::Detached(format!("no pipe could be made: {e}")))?;
        let claimed = match inner.claim_door(&bell, me)? {
            None => {
                inner.sweep_now()?;
                inner.claim_door(&bell, me)?
            }
            claimed => claimed,
        };
        let why = "1023 event loops of this family wait already";
        let (door, generation) = claimed.ok_or(ArenaError::Full { requested: 32, free: 0, why })?;
        Ok(Doorbell { inner, me, bell, door, generation, entries: Mutex::default() })
    }

    /// Readable when [`Doorbell::heard`] has something to say. It does not block.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.bell.fd()
    }

    /// From now on it is rung for this spot, when somebody has [announced](Spot::announce) that he
    /// waits there. The token names the entry until it is [stopped](Doorbell::stop).
    ///
    /// `None`: the spot is of another family, or there is no place: the family's loops listen to
    /// some 28,000 things, or several hundred listen to this one. Who waits all the same hears of it at
    /// its ticks only.
    #[must_use]
    pub fn listen(&self, spot: &Spot<'_>) -> Option<u32> {
        if self.inner.me_or_zero() != self.me || !std::ptr::eq(spot.inner, self.inner) {
            return None;
        }
        let (place, table) = (spot.place()?, self.inner.table()?);
        let entry = place << PLACE_SHIFT | entry_of(self.door, self.generation);
        let number = table.enter(place, entry)?;
        crash_point!("door.entered");
        self.entries().insert(number);
        Some(number)
    }

    /// It is not rung for this any more.
    pub fn stop(&self, token: u32) {
        if !self.entries().remove(&token) || self.inner.me_or_zero() != self.me {
            return;
        }
        if let Some(entry) = self.inner.table().and_then(|table| table.entry(token)) {
            self.free(entry);
        }
    }

    fn free(&self, entry: &AtomicU64) {
        let mut seen = entry.load(Ordering::Relaxed);
        while self.owns(seen) {
            match entry.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn owns(&self, entry: u64) -> bool {
        entry & (RUNG - 1) == entry_of(self.door, self.generation)
    }

    /// Takes the tokens of what it was rung for: the caller looks at these now. May name one that was
    /// stopped, or one twice. Never blocks.
    pub fn heard(&self, rung: &mut Vec<u32>) {
        let mut bytes = [0; FULL];
        let mut total = 0;
        loop {
            let n = self.bell.hear(&mut bytes);
            let (numbers, _) = bytes[..n].as_chunks::<4>();
            for &number in numbers {
                let number = u32::from_le_bytes(number);
                if self.entries().contains(&number) {
                    rung.push(number);
                }
            }
            total += n;
            if n < FULL {
                break;
            }
        }
        if total >= FULL {
            rung.clear();
            rung.extend(&*self.entries());
        }
        self.quiet(rung);
    }

    /// After each slice of 250 ms in which something was waited for: from now on all rings count, also
    /// of those whose ringers were killed, and the family's dead are looked for. The caller announces
    /// himself at everything again, and looks.
    pub fn tick(&self) {
        if self.inner.me_or_zero() == self.me {
            let all: Vec<u32> = self.entries().iter().copied().collect();
            self.quiet(&all);
            self.inner.sweep_if_due();
        }
    }

    /// The next ring is written again.
    fn quiet(&self, numbers: &[u32]) {
        let Some(table) = self.inner.table() else {
            return;
        };
        for entry in numbers.iter().filter_map(|&number| table.entry(number)) {
            let mut seen = entry.load(Ordering::Relaxed);
            while self.owns(seen) && seen & RUNG != 0 {
                let order = Ordering::AcqRel; // what the ringer brought about is seen from here on
                match entry.compare_exchange(seen, seen & !RUNG, order, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => seen = now,
                }
            }
        }
        fence(Ordering::SeqCst);
    }

    fn entries(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        if self.inner.me_or_zero() != self.me {
            return; // a fork child's: the door is the parent's
        }
        let Some(table) = self.inner.table() else {
            return;
        };
        for entry in self.entries().iter().filter_map(|&number| table.entry(number)) {
            self.free(entry);
        }
        if let Some(door) = table.doors.get(self.door) {
            door.owner.store(u64::from(self.generation) << 32, Ordering::Release);
        }
    }
}

fn entry_of(door: usize, generation: u32) -> u64 {
    (door as u64) << GENERATION_BITS | u64::from(generation & GENERATIONS)
}

/// The table, with its entries.
#[derive(Debug, Clone, Copy)]
struct Whole<'a> {
    table: &'a Table,
    entries: &'a [[AtomicU64; BUCKET]; BUCKETS],
}

impl std::ops::Deref for Whole<'_> {
    type Target = Table;
    fn deref(&self) -> &Table {
        self.table
    }
}

// SAFETY: atomics only; an array has no padding.
unsafe impl ShmSafe for [[AtomicU64; BUCKET]; BUCKETS] {}

impl<'a> Whole<'a> {
    fn entry(self, number: u32) -> Option<&'a AtomicU64> {
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

    fn door(self, entry: u64) -> Option<&'a Door> {
        self.table.doors.get((entry >> GENERATION_BITS) as usize & (DOORS - 1))
    }

    fn enter(self, place: u64, entry: u64) -> Option<u32> {
        for (far, (i, bucket)) in self.buckets(place, FARTHEST).enumerate() {
            for (j, word) in bucket.iter().enumerate() {
                let seen = word.load(Ordering::Relaxed);
                if seen != 0 && !self.is_stale(seen) {
                    continue;
                }
                // First, so that nobody who looks for it looks too near.
                self.table.reach.fetch_max(far as u64 + 1, Ordering::SeqCst);
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

    fn table(&self) -> Option<Whole<'_>> {
        let at = self.header().listeners.load(Ordering::Acquire);
        if at == 0 {
            return None;
        }
        let table = self.map.at::<Table>(at).ok()?;
        let entries = self.map.at(at + size_of::<Table>() as u64).ok()?;
        Some(Whole { table, entries })
    }

    fn new_table(&self) -> Result<(), ArenaError> {
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
    fn claim_door(&self, bell: &Bell, me: Serial) -> Result<Option<(usize, u32)>, ArenaError> {
        let table = self.table().ok_or_else(|| corrupt("the table of listeners"))?;
        let _guard = self.guard()?;
        for (i, door) in table.doors.iter().enumerate() {
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
        for door in self.table().into_iter().flat_map(|whole| &whole.table.doors) {
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

    fn place_of(&self, word: &AtomicU32) -> Option<u64> {
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
        let reach = table.reach.load(Ordering::SeqCst) as usize;
        for (i, bucket) in table.buckets(place, reach) {
            for (j, entry) in bucket.iter().enumerate() {
                if entry.load(Ordering::Acquire) >> PLACE_SHIFT == place {
                    self.ring_one(table, entry, (i * BUCKET + j) as u32, place);
                }
            }
        }
    }

    fn ring_one(&self, table: Whole<'_>, entry: &AtomicU64, number: u32, place: u64) {
        let mut seen = entry.load(Ordering::Relaxed);
        while seen >> PLACE_SHIFT == place {
            let next = if table.is_stale(seen) { 0 } else { seen | RUNG };
            // Also if it is rung already: so the loop, when it takes that back, sees what was brought.
            match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Err(now) => seen = now,
                Ok(_) if next == 0 || seen & RUNG != 0 => return,
                Ok(_) => {
                    crash_point!("door.ringing");
                    if !self.write_to(table, seen, number) {
                        // It could not be opened now; at the next time perhaps.
                        let order = Ordering::AcqRel;
                        let _ = entry.compare_exchange(next, seen, order, Ordering::Relaxed);
                    }
                    return;
                }
            }
        }
    }

    fn write_to(&self, table: Whole<'_>, entry: u64, number: u32) -> bool {
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
