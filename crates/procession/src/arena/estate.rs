//! What is left of those who ended: the locks that they held, and what is known of their end.
//!
//! Who ends without a word leaves its locks abandoned. Who said that it leaves
//! ([`Family::leave_cleanly`]) leaves them on purpose: a plain lock stays held, by nobody, and a
//! reentrant one is free. One with a value is abandoned in any case: nobody else could release it.
//!
//! Nothing is converted before the process is dead: its threads may use their locks to the very end.
//! Then whoever finds it dead, at a lock or in a sweep, converts what names it; a sweep does so before
//! the participant's slot, and with it what is known of its end, becomes another's.
//!
//! Invariant: a lock's words about its last holder are written under the arena lock while the lock's
//! word names that holder, who is gone; so nobody reads them at that time.

use std::fmt;

use super::family::{Family, Inner};
use super::layout::MAX_PARTICIPANTS;
use super::layout::sync::{BarrierSlot, ConditionSlot, LockSlot, RwLockSlot};
use super::objects::{Kind, LIVE};
use super::participants::{ALIVE, SWEPT, unpack};
use super::redo::ArenaGuard;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU64, Ordering, fence};
use crate::sys::fault::crash_point;
use crate::sys::process;
use crate::words::barrier::Barrier;
use crate::words::condition::Condition;
use crate::words::entries::Owner;
use crate::words::lock::{ABANDONED, FREE, KEPT};
use crate::words::rwlock::RwWords;

/// In a word about somebody's end: the wait status below is known; or it is not the process that ended.
const KNOWN: u64 = 1 << 32;
const PANICKED: u64 = 1 << 33;
const UNSAVED: u64 = 1 << 34;

/// How a process ended, or what else became of a lock's holder.
///
/// # Examples
/// ```
/// use procession::sync::Ended;
/// assert_eq!(Ended::from_wait_status(9), Some(Ended::Signalled(9)));
/// assert_eq!(Ended::from_wait_status(3 << 8), Some(Ended::Exited(3)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It did not end: one of its threads panicked while it held the lock.
    Panicked,
    /// It did not end: it changed a lock's value, and the change could not be written back.
    Unsaved,
}

impl Ended {
    /// From the status that `waitpid` gives; `None` if it is of no end.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(procession::sync::Ended::from_wait_status(0x137f), None); // stopped
    /// ```
    #[must_use]
    pub fn from_wait_status(status: i32) -> Option<Ended> {
        match (status & 0x7f, status >> 8 & 0xff) {
            (0, code) => Some(Ended::Exited(code)),
            (0x7f, _) => None,
            (signal, _) => Some(Ended::Signalled(signal)),
        }
    }

    fn word(self) -> u64 {
        match self {
            Ended::Exited(code) => KNOWN | u64::from(code.cast_unsigned() & 0xff) << 8,
            Ended::Signalled(signal) => KNOWN | u64::from(signal.cast_unsigned() & 0x7f),
            Ended::Panicked => PANICKED,
            Ended::Unsaved => UNSAVED,
        }
    }

    fn from_word(word: u64) -> Option<Ended> {
        match word {
            PANICKED => return Some(Ended::Panicked),
            UNSAVED => return Some(Ended::Unsaved),
            _ => {}
        }
        (word & KNOWN != 0).then(|| Ended::from_wait_status((word as u32).cast_signed())).flatten()
    }
}

/// A lock's last holder, which died (or panicked) holding it. What the lock protects may be half changed.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use procession::{Family, RawLock};
/// use procession::Acquired;
/// # let lock = RawLock::create(Family::current()?, false)?;
/// if let Some(Acquired::Abandoned(by)) = lock.try_acquire()? {
///     println!("process {} ({}) died with the lock", by.pid, by.name);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// Its process id, in its own pid namespace; 0 if nothing is known of it.
    pub pid: u32,
    /// What it called itself: see [`Family::set_name`].
    pub name: String,
    /// How it ended, if that could be learned.
    pub ended: Option<Ended>,
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => write!(f, "a process of which nothing is known")?,
            pid => write!(f, "process {pid}")?,
        }
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        match self.ended {
            Some(Ended::Exited(code)) => write!(f, " ended with exit code {code}"),
            Some(Ended::Signalled(signal)) => write!(f, " was ended by signal {signal}"),
            Some(Ended::Panicked) => write!(f, " panicked"),
            Some(Ended::Unsaved) => write!(f, " could not save its change"),
            None => write!(f, " ended"),
        }
    }
}

impl Abandoned {
    /// Of the lock that this process has just taken.
    pub(crate) fn of(slot: &LockSlot) -> Abandoned {
        Abandoned {
            pid: slot.last_pid.load(Ordering::Relaxed) as u32,
            name: text(&slot.last_name),
            ended: Ended::from_word(slot.last_end.load(Ordering::Relaxed)),
        }
    }

    fn write(&self, slot: &LockSlot) {
        slot.last_pid.store(u64::from(self.pid), Ordering::Relaxed);
        slot.last_end.store(self.ended.map_or(0, Ended::word), Ordering::Relaxed);
        write_text(&slot.last_name, &self.name);
    }
}

/// As whose a participant's entries are marked.
pub(crate) fn owner(serial: Serial) -> Owner {
    (serial & (MAX_PARTICIPANTS as u32 - 1)) + 1
}

/// What a name's words say. Torn while they are being written.
pub(crate) fn text(name: &[AtomicU64]) -> String {
    let bytes: Vec<u8> =
        name.iter().flat_map(|w| w.load(Ordering::Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

pub(crate) fn write_text(name: &[AtomicU64], text: &str) {
    let mut end = text.len().min(8 * name.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (i, word) in name.iter().enumerate() {
        let mut bytes = [0; 8];
        let part = text.as_bytes()[..end].get(8 * i..).unwrap_or_default();
        let n = part.len().min(8);
        bytes[..n].copy_from_slice(&part[..n]);
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
}

/// A live primitive in which the dead may have left something.
enum Primitive<'a> {
    Lock(&'a LockSlot),
    RwLock(&'a LockSlot, RwWords<'a>),
    Condition(Condition<'a>),
    Barrier(Barrier<'a>),
}

impl Primitive<'_> {
    /// Whether it names this participant; `slept_here`: that one slept at it, perhaps unnamed.
    fn is_left_by(&self, gone: Serial, slept_here: bool) -> bool {
        match self {
            Primitive::Lock(slot) => slot.word.holder() == gone,
            Primitive::RwLock(slot, words) => {
                slot.word.holder() == gone || words.readers.name(owner(gone))
            }
            Primitive::Condition(condition) => condition.entries.name(owner(gone)),
            Primitive::Barrier(barrier) => slept_here || barrier.entries.name(owner(gone)),
        }
    }
}

impl Inner {
    /// What is known of a participant that is gone, and whether it had said that it leaves.
    fn known_of(&self, gone: Serial) -> (Abandoned, bool) {
        let p = self.participant(gone);
        let pid = p.pid.load(Ordering::Relaxed);
        let told = Ended::from_word(p.ended.load(Ordering::Relaxed));
        let start = p.start.load(Ordering::Relaxed);
        let known = Abandoned {
            pid,
            name: text(&p.name),
            ended: told.or_else(|| {
                process::wait_status_of_zombie(pid, start).and_then(Ended::from_wait_status)
            }),
        };
        let left = p.left.load(Ordering::Relaxed) != 0;
        fence(Ordering::Acquire);
        // Only now: the slot may have become another's meanwhile.
        if unpack(p.state.load(Ordering::Relaxed)).0 == gone {
            (known, left)
        } else {
            (Abandoned { pid: 0, name: String::new(), ended: None }, false)
        }
    }

    /// Ends the hold of one who is gone on a lock that the caller has a handle of.
    pub(crate) fn bury_lock(&self, slot: &LockSlot, gone: Serial) -> Result<(), ArenaError> {
        let last = self.known_of(gone);
        self.end_hold(&self.guard()?, slot, gone, &last);
        Ok(())
    }

    /// The same of a lock with readers.
    pub(crate) fn bury_writer(
        &self,
        slot: &LockSlot,
        words: RwWords<'_>,
        gone: Serial,
    ) -> Result<(), ArenaError> {
        let last = self.known_of(gone).0;
        self.end_writing(&self.guard()?, slot, words, gone, &last);
        Ok(())
    }

    /// What this process leaves a lock as that goes on to live.
    pub(crate) fn last_words(&self, ended: Ended) -> Abandoned {
        let name = text(&self.participant(self.me_or_zero()).name);
        Abandoned { pid: process::identity().pid, name, ended: Some(ended) }
    }

    /// Makes a lock with readers, which the caller has for itself, abandoned by `last`.
    pub(crate) fn abandon_writing(
        &self,
        slot: &LockSlot,
        words: RwWords<'_>,
        last: &Abandoned,
    ) -> Result<(), ArenaError> {
        self.end_writing(&self.guard()?, slot, words, self.me_or_zero(), last);
        Ok(())
    }

    fn end_writing(
        &self,
        _guard: &ArenaGuard<'_>,
        slot: &LockSlot,
        words: RwWords<'_>,
        holder: Serial,
        last: &Abandoned,
    ) {
        if slot.word.holder() != holder {
            return;
        }
        let heir = words.heir(|| {
            last.write(slot);
            crash_point!("sync.lock_described");
        });
        slot.word.bury(holder, heir, &self.ringing());
        words.opened(self);
    }

    /// Makes a lock that the caller has taken abandoned by `last`.
    pub(crate) fn abandon(
        &self,
        slot: &LockSlot,
        holder: Serial,
        last: &Abandoned,
    ) -> Result<(), ArenaError> {
        self.end_hold(&self.guard()?, slot, holder, &(last.clone(), false));
        Ok(())
    }

    /// Writes down whose lock it was, and then that it is abandoned; or makes it what one leaves behind
    /// on purpose.
    fn end_hold(
        &self,
        _guard: &ArenaGuard<'_>,
        slot: &LockSlot,
        holder: Serial,
        (last, on_purpose): &(Abandoned, bool),
    ) {
        if slot.word.holder() != holder {
            return;
        }
        // The next holder may be a process with a thread of the same token, which must not take
        // itself for the owner. A plain lock, where nothing goes by the token, anybody may release
        // at this very moment, and the next holder's token must stay.
        if slot.is_reentrant() {
            slot.thread.store(0, Ordering::Relaxed);
        }
        let heir = if !on_purpose || slot.has_value() {
            last.write(slot);
            crash_point!("sync.lock_described");
            ABANDONED
        } else if slot.is_reentrant() {
            FREE
        } else {
            KEPT
        };
        slot.word.bury(holder, heir, &self.ringing());
    }

    /// What this slot is at the moment, if the dead can have left something in it. It stays so while
    /// the arena lock is held.
    fn primitive(&self, index: u32) -> Result<Option<Primitive<'_>>, ArenaError> {
        let slot = self.object(index)?;
        Ok(if slot.life().1 != LIVE {
            None
        } else if slot.is(Kind::Lock) || slot.is(Kind::Mutex) {
            Some(Primitive::Lock(self.overlay(index)?))
        } else if slot.is(Kind::RwLock) {
            let lock: &LockSlot = self.overlay(index)?;
            Some(Primitive::RwLock(lock, self.overlay::<RwLockSlot>(index)?.words(lock)))
        } else if slot.is(Kind::Condition) {
            Some(Primitive::Condition(self.overlay::<ConditionSlot>(index)?.condition()))
        } else if slot.is(Kind::Barrier) {
            Some(Primitive::Barrier(self.overlay::<BarrierSlot>(index)?.barrier()))
        } else {
            None
        })
    }

    /// What a participant that is gone held or waited on of the primitives.
    pub(crate) fn sweep_primitives(&self, dead: Serial) -> Result<(), ArenaError> {
        // Once, and under no lock: it may mean to read /proc.
        let last = self.known_of(dead);
        let slept_on = self.participant(dead).waiting_on.load(Ordering::Relaxed);
        for index in 0..self.header().objects_used.load(Ordering::Acquire) as u32 {
            let slept_here = slept_on == index + 1;
            let left = |p: &Primitive<'_>| p.is_left_by(dead, slept_here);
            if !self.primitive(index)?.is_some_and(|p| left(&p)) {
                continue;
            }
            crash_point!("sync.left_behind");
            // By now the slot may be another object's: what counts is how it is under the lock.
            let guard = self.guard()?;
            match self.primitive(index)?.filter(left) {
                Some(Primitive::Lock(slot)) => self.end_hold(&guard, slot, dead, &last),
                Some(Primitive::RwLock(slot, words)) => {
                    self.end_writing(&guard, slot, words, dead, &last.0);
                    words.bury_readers(owner(dead), self);
                }
                Some(Primitive::Condition(condition)) => condition.bury(owner(dead), self),
                Some(Primitive::Barrier(barrier)) => barrier.bury(owner(dead), slept_here, self),
                None => {}
            }
        }
        Ok(())
    }

    /// Says what is wrong with a primitive that nobody uses.
    pub(crate) fn check_primitive(
        &self,
        index: u32,
        wrong: &mut Vec<String>,
    ) -> Result<(), ArenaError> {
        let state = |slot| unpack(self.slot(slot).state.load(Ordering::Relaxed));
        let mut check_holder = |slot: &LockSlot| {
            let holder = slot.word.holder();
            let lives = state(u64::from(holder) & (MAX_PARTICIPANTS - 1)) == (holder, ALIVE);
            if ![FREE, ABANDONED, KEPT].contains(&holder) && !lives {
                wrong.push(format!("object {index}: {holder}, who is gone, holds the lock"));
            }
        };
        let owners: Vec<Owner> = match self.primitive(index)? {
            Some(Primitive::Lock(slot)) => {
                check_holder(slot);
                Vec::new()
            }
            Some(Primitive::RwLock(slot, words)) => {
                check_holder(slot);
                words.owners().collect()
            }
            Some(Primitive::Condition(condition)) => condition.owners().collect(),
            Some(Primitive::Barrier(barrier)) => barrier.owners().collect(),
            None => Vec::new(),
        };
        for owner in owners {
            let slot = u64::from(owner).wrapping_sub(1) & (MAX_PARTICIPANTS - 1);
            if state(slot).1 != ALIVE {
                wrong.push(format!("object {index}: an entry of participant {slot}, who is gone"));
            }
        }
        Ok(())
    }
}

impl Family {
    /// Says what this process is called, for those who find a lock that it left behind, and for
    /// [`Stats`](crate::Stats). The first 48 bytes count. A fork child has no name until it says one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.set_name("importer");
    /// assert_eq!(family.stats().participants[0].name, "importer");
    /// # Ok(()) }
    /// ```
    pub fn set_name(&self, name: &str) {
        let inner = self.inner();
        // Who could not join the family again after a fork has no name there.
        if let Ok(me) = inner.me() {
            write_text(&inner.participant(me).name, name);
        }
    }

    /// Says how a process ended that the caller has waited for: nobody can learn it afterwards. Who
    /// takes a lock that it left behind is told. Does nothing if the family does not know the pid.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::sync::Ended;
    /// let mut child = std::process::Command::new("true").spawn()?;
    /// let code = child.wait()?.code().unwrap_or(0);
    /// procession::Family::current()?.record_exit(child.id(), Ended::Exited(code));
    /// # Ok(()) }
    /// ```
    pub fn record_exit(&self, pid: u32, how: Ended) {
        let inner = self.inner();
        let here = process::identity().namespace;
        for p in (0..MAX_PARTICIPANTS).map(|s| inner.slot(s)) {
            let (serial, state) = unpack(p.state.load(Ordering::Acquire));
            if matches!(state, ALIVE | SWEPT)
                && serial != inner.me_or_zero()
                && p.pid.load(Ordering::Relaxed) == pid
                && p.namespace.load(Ordering::Relaxed) == here
                && inner.serial_is_dead(serial)
            {
                p.ended.store(how.word(), Ordering::Relaxed);
                return; // slots are claimed lowest first, so this was a short search
            }
        }
    }

    /// Says that this process ends now, and on purpose: the last thing that it does with the family.
    ///
    /// What it holds when it has ended it leaves so: a [`RawLock`](crate::sync::RawLock) stays held,
    /// by nobody, until some process releases it; a reentrant one is free; one that guards a value is
    /// abandoned. Threads that go on to the
    /// end keep what they have until then. A process that ends without this call, however it ends,
    /// leaves its locks abandoned. As [`Family::depart`] does, it removes the meeting place of a named family
    /// in which nobody else is.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::Family::current()?.leave_cleanly();
    /// # Ok(()) }
    /// ```
    pub fn leave_cleanly(&self) {
        let inner = self.inner();
        // Who could not join the family again after a fork holds nothing there.
        if let Ok(me) = inner.me() {
            inner.participant(me).left.store(1, Ordering::Release);
            crash_point!("sync.left");
            super::meeting::leave(inner);
        }
    }
}
