//! What is left of those who ended: the locks that they held, and what is known of their end.
//!
//! Who ends without a word leaves its locks abandoned. Who said that it leaves
//! ([`Family::leave_cleanly`]) leaves them on purpose: a plain lock stays held, by nobody, and a
//! reentrant one is free.
//!
//! Invariant: a lock's words about its last holder are written under the arena lock while the lock's
//! word names that holder, who is gone; so nobody reads them at that time.

use super::family::{Family, Inner};
use super::layout::sync::{BarrierSlot, ConditionSlot, LockSlot};
use super::layout::{MAX_PARTICIPANTS, NAME_WORDS, Name, Object};
use super::objects::{Kind, LIVE, ObjectId};
use super::participants::{ALIVE, SWEPT, unpack};
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{Ordering, fence};
use crate::sys::fault::crash_point;
use crate::sys::process;
use crate::words::entries::Owner;
use crate::words::lock::{ABANDONED, FREE, KEPT};

/// In a word about somebody's end: the wait status below is known.
const KNOWN: u64 = 1 << 32;

/// How a process ended.
///
/// # Examples
/// ```
/// use procession::sync::Ended;
/// assert_eq!(Ended::from_wait_status(9), Some(Ended::Signalled(9)));
/// assert_eq!(Ended::from_wait_status(3 << 8), Some(Ended::Exited(3)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
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
        KNOWN
            | match self {
                Ended::Exited(code) => u64::from(code.cast_unsigned() & 0xff) << 8,
                Ended::Signalled(signal) => u64::from(signal.cast_unsigned() & 0x7f),
            }
    }

    fn from_word(word: u64) -> Option<Ended> {
        (word & KNOWN != 0).then(|| Ended::from_wait_status((word as u32).cast_signed())).flatten()
    }
}

/// A lock's last holder, which died holding it. What the lock protects may be half changed.
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
pub(crate) fn text(name: &Name) -> String {
    let bytes = name.each_ref().map(|w| w.load(Ordering::Relaxed).to_le_bytes()).concat();
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

pub(crate) fn write_text(name: &Name, text: &str) {
    let mut end = text.len().min(8 * NAME_WORDS);
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

    /// Ends the hold of one who is gone on a lock.
    pub(crate) fn bury_lock(&self, slot: &LockSlot, gone: Serial) -> Result<(), ArenaError> {
        let (known, left) = self.known_of(gone);
        if left {
            let heir = if slot.is_reentrant() { FREE } else { KEPT };
            slot.word.bury(gone, heir, self);
            return Ok(());
        }
        self.abandon(slot, gone, &known)
    }

    /// Writes down whose lock it was, and then that it is abandoned.
    pub(crate) fn abandon(
        &self,
        slot: &LockSlot,
        holder: Serial,
        last: &Abandoned,
    ) -> Result<(), ArenaError> {
        let _guard = self.guard()?;
        if slot.word.holder() == holder {
            last.write(slot);
            crash_point!("sync.lock_described");
            slot.word.bury(holder, ABANDONED, self);
        }
        Ok(())
    }

    /// What a participant that is gone held or waited on of the primitives.
    pub(crate) fn sweep_primitives(&self, dead: Serial) -> Result<(), ArenaError> {
        let slept_on = self.participant(dead).waiting_on.load(Ordering::Relaxed);
        for index in 0..self.header().objects_used.load(Ordering::Acquire) {
            let index = index as u32;
            let slot = self.object(index)?;
            if slot.life().1 != LIVE {
                continue;
            }
            if slot.is(Kind::Lock) {
                let lock: &LockSlot = self.overlay(index)?;
                if lock.word.holder() == dead {
                    self.bury_lock(lock, dead)?;
                }
            } else if slot.is(Kind::Condition) {
                self.overlay::<ConditionSlot>(index)?.condition().bury(owner(dead), self);
            } else if slot.is(Kind::Barrier) {
                let barrier = self.overlay::<BarrierSlot>(index)?.barrier();
                barrier.bury(owner(dead), slept_on == index + 1, self);
            }
        }
        Ok(())
    }

    /// Says what is wrong with a primitive that nobody uses.
    pub(crate) fn check_primitive(
        &self,
        slot: &Object,
        index: u32,
        wrong: &mut Vec<String>,
    ) -> Result<(), ArenaError> {
        let state = |slot| unpack(self.slot(slot).state.load(Ordering::Relaxed));
        if slot.is(Kind::Lock) {
            let holder = self.overlay::<LockSlot>(index)?.word.holder();
            let lives = state(u64::from(holder) & (MAX_PARTICIPANTS - 1)) == (holder, ALIVE);
            if ![FREE, ABANDONED, KEPT].contains(&holder) && !lives {
                wrong.push(format!("object {index}: {holder}, who is gone, holds the lock"));
            }
        }
        let owners: Vec<Owner> = if slot.is(Kind::Condition) {
            self.overlay::<ConditionSlot>(index)?.condition().owners().collect()
        } else if slot.is(Kind::Barrier) {
            self.overlay::<BarrierSlot>(index)?.barrier().owners().collect()
        } else {
            Vec::new()
        };
        for owner in owners {
            let slot = u64::from(owner).wrapping_sub(1) & (MAX_PARTICIPANTS - 1);
            if state(slot).1 != ALIVE {
                wrong.push(format!("object {index}: an entry of participant {slot}, who is gone"));
            }
        }
        Ok(())
    }

    /// The lock with this name, if this process holds it.
    fn held_lock(&self, id: ObjectId, me: Serial) -> Option<&LockSlot> {
        let slot = self.object(id.index).ok()?;
        let is_lock = slot.life() == (id.generation, LIVE) && slot.is(Kind::Lock);
        let lock: &LockSlot = self.overlay(id.index).ok()?;
        (is_lock && lock.word.holder() == me).then_some(lock)
    }

    /// Remembers a lock of which a handle is dropped while this process holds it: no table will
    /// lead to it, and it must be seen to when this process leaves.
    pub(crate) fn remember_held(&self, id: ObjectId) {
        let me = self.me_or_zero();
        let mut handles = self.handles();
        let held = &mut handles.dropped_held;
        if held.len() >= 64 && held.len().is_power_of_two() {
            held.retain(|&id| self.held_lock(ObjectId::unpack(id), me).is_some());
        }
        held.insert(id.pack());
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
            }
        }
    }

    /// Says that this process ends now, and on purpose: the last thing that it does with the family.
    ///
    /// What it holds it leaves so: a [`RawLock`](crate::sync::RawLock) stays held, by nobody, until
    /// some process releases it; a reentrant one is free. A process that ends without this call,
    /// however it ends, leaves its locks abandoned.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::Family::current()?.leave_cleanly();
    /// # Ok(()) }
    /// ```
    pub fn leave_cleanly(&self) {
        let inner = self.inner();
        let Ok(me) = inner.me() else {
            return; // it holds nothing
        };
        // From here on it is said; the rest is for those who wait already.
        inner.participant(me).left.store(1, Ordering::Release);
        crash_point!("sync.left");
        let ids: Vec<ObjectId> = {
            let handles = inner.handles();
            let open = handles.open.iter();
            open.map(|(&index, h)| ObjectId { index, generation: h.generation })
                .chain(handles.dropped_held.iter().map(|&id| ObjectId::unpack(id)))
                .collect()
        };
        for lock in ids.into_iter().filter_map(|id| inner.held_lock(id, me)) {
            let _ = inner.bury_lock(lock, me); // or else the sweep does it
        }
    }
}
