//! Selectable queues: a pipe per process and queue that is readable while there is something to get.
//!
//! A process that asks for a descriptor registers a *bell* in a list that belongs to the queue:
//! serial, descriptor number and inode of a pipe of its own. Who puts opens it through
//! `/proc/PID/fd`, checks the inode, remembers it, and rings.
//!
//! What must hold: a bell is rung before the message is published, under the tail lock, and silenced
//! only under that lock with the queue empty. So a writer killed in between has rung too early, never
//! too late. The process's own lock comes before the tail lock.

use std::collections::HashMap;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{MutexGuard, PoisonError};

use super::blocks::owned;
use super::family::Inner;
use super::layout::{CLOSED, Desc, Object, PAGE};
use super::objects::ObjectId;
use super::redo::set;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::bell::{self, Bell};

const ENTRY: u64 = 32;
const ENTRIES: u64 = PAGE / ENTRY;

/// This process's bells, and those of others that it has opened.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    own: HashMap<u64, Own>,
    others: HashMap<(Serial, u32), OwnedFd>,
    /// Pipes of bells that were closed, for the next ones: who had opened one has it open still.
    spare: Vec<Bell>,
}

/// So many pipes are kept.
const SPARE: usize = 16;

#[derive(Debug)]
struct Own {
    bell: Bell,
    entry: u64,
    users: Users,
}

/// Who has a bell: a program that selects on it, and so many futures.
#[derive(Debug, Default)]
struct Users {
    selects: bool,
    was_selected: bool,
    futures: usize,
}

impl Bells {
    /// A fork child has no bells: the pipes that it sees are its parent's.
    pub(crate) fn forget_inherited(&mut self) {
        self.own.clear();
        self.others.clear();
        self.spare.clear();
    }
}

/// The words of an entry: serial (0: free), descriptor, inode, rung.
struct Entry<'a> {
    serial: &'a AtomicU64,
    fd: &'a AtomicU64,
    inode: &'a AtomicU64,
    rung: &'a AtomicU64,
}

impl Inner {
    fn bell_entry(&self, at: u64) -> Result<Entry<'_>, ArenaError> {
        let word = |i: u64| self.map.word(at + 8 * i);
        Ok(Entry { serial: word(0)?, fd: word(1)?, inode: word(2)?, rung: word(3)? })
    }

    pub(crate) fn bells(&self) -> MutexGuard<'_, Bells> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The descriptor of this process's bell for a queue, in step with whether the queue is empty.
    pub(crate) fn bell(&self, slot: &Object, id: ObjectId) -> Result<RawFd, ArenaError> {
        self.use_bell(slot, id, |users| (users.selects, users.was_selected) = (true, true))
    }

    /// The same for one future more.
    #[cfg(feature = "async")]
    pub(crate) fn hold_bell(&self, slot: &Object, id: ObjectId) -> Result<RawFd, ArenaError> {
        self.use_bell(slot, id, |users| users.futures += 1)
    }

    fn use_bell(
        &self,
        slot: &Object,
        id: ObjectId,
        note: impl FnOnce(&mut Users),
    ) -> Result<RawFd, ArenaError> {
        let me = self.me()?;
        let mut bells = self.bells();
        if let Some(own) = bells.own.get_mut(&id.pack()) {
            note(&mut own.users);
            self.tune(slot, id, own, me)?;
            return Ok(own.bell.fd());
        }
        if slot.bells.load(Ordering::Acquire) == 0 {
            self.new_bell_list(slot, id)?;
        }
        let bell = match bells.spare.pop() {
            Some(bell) => bell,
            None => Bell::new()
                .map_err(|e| ArenaError::Detached(format!("no pipe could be made: {e}")))?,
        };
        let list = slot.bells.load(Ordering::Acquire);
        let held = self.lock_tail(slot, id, me)?;
        let mut free = None;
        for i in 0..ENTRIES {
            let e = self.bell_entry(list + i * ENTRY)?;
            let serial = e.serial.load(Ordering::Relaxed) as Serial;
            if serial == 0 || (serial != me && self.serial_is_dead(serial)) {
                free = Some(list + i * ENTRY);
                break;
            }
        }
        let entry = free.ok_or(ArenaError::Full {
            requested: ENTRY,
            free: 0,
            why: "128 processes select on this queue already",
        })?;
        let e = self.bell_entry(entry)?;
        e.fd.store(u64::from(bell.write_fd().cast_unsigned()), Ordering::Relaxed);
        e.inode.store(bell.inode(), Ordering::Relaxed);
        e.rung.store(0, Ordering::Relaxed);
        e.serial.store(u64::from(me), Ordering::Release);
        drop(held);
        let mut own = Own { bell, entry, users: Users::default() };
        note(&mut own.users);
        self.tune(slot, id, &own, me)?;
        let fd = own.bell.fd();
        bells.own.insert(id.pack(), own);
        Ok(fd)
    }

    fn new_bell_list(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        let at = self.alloc_block(PAGE)?;
        for i in 0..PAGE / 8 {
            self.map.word(at + 8 * i)?.store(0, Ordering::Relaxed);
        }
        let guard = self.guard()?;
        if slot.bells.load(Ordering::Acquire) != 0 {
            drop(guard);
            return self.free_block(at); // another was faster
        }
        let base = self.map.layout.object(u64::from(id.index));
        guard.commit(&[
            set(base + std::mem::offset_of!(Object, bells) as u64, at),
            set(
                self.map.layout.desc(at / PAGE) + std::mem::offset_of!(Desc, owner) as u64,
                owned(0),
            ),
        ])
    }

    /// Rings or silences this process's bell, as the queue's state demands, and says whether it is
    /// silent. A closed queue is one at which there is something to learn.
    fn tune(&self, slot: &Object, id: ObjectId, own: &Own, me: Serial) -> Result<bool, ArenaError> {
        let _held = self.lock_tail(slot, id, me)?;
        let rung = self.bell_entry(own.entry)?.rung;
        let rings = slot.len() > 0 || slot.closed.load(Ordering::SeqCst) != 0;
        match (rings, rung.load(Ordering::Relaxed) != 0) {
            (true, false) => {
                own.bell.ring();
                rung.store(1, Ordering::Relaxed);
            }
            (false, true) => {
                own.bell.silence();
                rung.store(0, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(!rings)
    }

    /// Whether this process's bell is silent, and the next message will ring it.
    #[cfg(feature = "async")]
    pub(crate) fn is_bell_silent(&self, slot: &Object, id: ObjectId) -> Result<bool, ArenaError> {
        let me = self.me()?;
        let bells = self.bells();
        match bells.own.get(&id.pack()) {
            Some(own) => self.tune(slot, id, own, me),
            None => Ok(false),
        }
    }

    /// Closes a queue that may have bells: they ring before it is closed, so that nobody who is
    /// killed in between leaves a `select` asleep beside a closed queue.
    pub(crate) fn close_ringing(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        let me = self.me()?;
        let mut bells = self.bells();
        let _held = self.lock_tail(slot, id, me)?;
        if slot.bells.load(Ordering::SeqCst) != 0 {
            self.ring_all(slot, id, &mut bells, me)?;
        }
        slot.closed.fetch_max(CLOSED, Ordering::SeqCst);
        Ok(())
    }

    /// After a get: silences this process's bell if the queue is empty now.
    #[cold]
    pub(crate) fn quiet_bell(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        if slot.len() > 0 {
            return Ok(());
        }
        let me = self.me()?;
        let bells = self.bells();
        match bells.own.get(&id.pack()) {
            Some(own) => self.tune(slot, id, own, me).map(drop),
            None => Ok(()),
        }
    }

    /// Rings all bells of a queue. Under its tail lock, before the message is published.
    #[cold]
    pub(crate) fn ring_all(
        &self,
        slot: &Object,
        id: ObjectId,
        bells: &mut Bells,
        me: Serial,
    ) -> Result<(), ArenaError> {
        let list = slot.bells.load(Ordering::Relaxed);
        for i in 0..ENTRIES {
            let e = self.bell_entry(list + i * ENTRY)?;
            let serial = e.serial.load(Ordering::Acquire) as Serial;
            if serial == 0 || e.rung.load(Ordering::Relaxed) != 0 {
                continue;
            }
            let fd = e.fd.load(Ordering::Relaxed) as u32;
            if serial == me {
                if let Some(own) = bells.own.get(&id.pack()) {
                    own.bell.ring();
                }
            } else if !self.ring_other(bells, serial, fd, e.inode.load(Ordering::Relaxed)) {
                e.serial.store(0, Ordering::Release); // its process is gone, or closed it
                continue;
            }
            e.rung.store(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn ring_other(&self, bells: &mut Bells, serial: Serial, fd: u32, inode: u64) -> bool {
        let key = (serial, fd);
        if bells.others.get(&key).is_some_and(|f| bell::inode(f) != inode) {
            bells.others.remove(&key); // the number was used again
        }
        if let std::collections::hash_map::Entry::Vacant(v) = bells.others.entry(key) {
            let pid = self.participant(serial).pid.load(Ordering::Relaxed);
            let Some(opened) = bell::open(pid, fd, inode) else {
                return false;
            };
            v.insert(opened);
        }
        if let Some(f) = bells.others.get(&key) {
            bell::ring(f);
        }
        true
    }

    /// Closes this process's bell for a queue, unless futures wait for it.
    pub(crate) fn close_bell(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        self.leave_bell(slot, id, |users| users.selects = false)
    }

    /// One future waits no more.
    #[cfg(feature = "async")]
    pub(crate) fn release_bell(&self, slot: &Object, id: ObjectId) -> Result<(), ArenaError> {
        self.leave_bell(slot, id, |users| users.futures = users.futures.saturating_sub(1))
    }

    fn leave_bell(
        &self,
        slot: &Object,
        id: ObjectId,
        note: impl FnOnce(&mut Users),
    ) -> Result<(), ArenaError> {
        let me = self.me()?;
        let mut bells = self.bells();
        let Some(own) = bells.own.get_mut(&id.pack()) else {
            return Ok(());
        };
        note(&mut own.users);
        if own.users.selects || own.users.futures > 0 {
            return Ok(());
        }
        let Some(own) = bells.own.remove(&id.pack()) else {
            return Ok(());
        };
        {
            let _held = self.lock_tail(slot, id, me)?;
            self.bell_entry(own.entry)?.serial.store(0, Ordering::Release);
        }
        // Nobody rings it any more. A program that selected on the descriptor sees it closed.
        if own.users.was_selected {
            return Ok(());
        }
        if bells.spare.len() < SPARE {
            own.bell.silence();
            bells.spare.push(own.bell);
        }
        Ok(())
    }
}
