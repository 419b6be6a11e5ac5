//! Doorbells: how an event loop hears of the words that its tasks wait at. See `listeners.rs`.

use std::collections::HashSet;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::family::{Family, Inner};
use super::layout::PAGE;
use super::listeners::{PLACE_SHIFT, entry_of};
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::bell::Bell;
use crate::sys::fault::crash_point;
use crate::wait::WaitWord;
use crate::words::listener::{self, RUNG};
use crate::words::lock::LockWord;

/// From so many bytes on a pipe may have been full, and something was not written.
const FULL: usize = PAGE as usize;

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
            listener::quiet(entry, |seen| self.owns(seen));
        }
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
        table.leave(self.door, self.generation);
    }
}
