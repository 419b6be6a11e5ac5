//! Taking back what the dead held.
//!
//! Done on attach, after each slice of a sleep, and before memory is said to lack. One sweeper per
//! dead participant; if the sweeper is killed, another goes on: every step may be done twice.

use super::blocks::{OWNED, TRANSIT, owner_of};
use super::family::Inner;
use super::layout::stock::{LOOKED, StockSlot};
use super::layout::{Object, PAGE};
use super::objects::{DYING, Kind, LIVE, ObjectId};
use super::participants::{ALIVE, EMBRYO, FREE, SWEPT, pack, unpack};
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::sys::process;

/// Sweeps that nobody asked for come at most this often, over the whole family.
const SWEEP_MS: u64 = 200;

impl Inner {
    /// Looks for the dead, unless somebody did just now. Errors are left to the next one.
    pub(crate) fn sweep_if_due(&self) {
        if self.me_or_zero() == 0 {
            return; // can't, and must not take the turn of one who can
        }
        let last = &self.header().last_sweep;
        let (seen, now) = (last.load(Ordering::Relaxed), process::now_ms());
        if now.saturating_sub(seen) >= SWEEP_MS
            && last.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let _ = self.sweep_now();
        }
    }

    /// Looks for the dead and takes back what they held.
    pub(crate) fn sweep_now(&self) -> Result<(), ArenaError> {
        let me = self.me()?;
        let others: Vec<(Serial, u64)> = self.serials().filter(|&(s, _)| s != me).collect();
        for (serial, state) in others {
            if state == SWEPT || self.serial_is_dead(serial) {
                self.sweep(serial, me)?;
            }
        }
        Ok(())
    }

    fn sweep(&self, dead: Serial, me: Serial) -> Result<(), ArenaError> {
        let slot = self.participant(dead);
        let before = slot.sweeper.load(Ordering::Acquire);
        if before == me || (before != 0 && !self.serial_is_dead(before)) {
            return Ok(()); // under way
        }
        if slot.sweeper.compare_exchange(before, me, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Ok(());
        }
        let word = slot.state.load(Ordering::Acquire);
        let mine = match unpack(word) {
            (s, SWEPT) if s == dead => true,
            (s, ALIVE | EMBRYO) if s == dead => slot
                .state
                .compare_exchange(word, pack(dead, SWEPT), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok(),
            _ => false,
        };
        if mine {
            crash_point!("sweep.claimed");
            // If it died with a change committed and not applied, that change comes first.
            drop(self.guard()?);
            self.sweep_transit(dead)?;
            crash_point!("sweep.transit_done");
            self.sweep_primitives(dead)?;
            self.sweep_doors(dead);
            self.sweep_stocks(dead)?;
            crash_point!("sweep.primitives_done");
            self.sweep_owned(dead)?;
            crash_point!("sweep.owned_done");
            self.sweep_dying(dead)?;
            crash_point!("sweep.objects_done");
            self.sweep_log(dead)?;
            self.recount()?;
            slot.state.store(pack(dead, FREE), Ordering::Release);
            crash_point!("sweep.slot_freed");
            self.hasten_deliveries()?;
        }
        let _ = slot.sweeper.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
        Ok(())
    }

    /// Who waits at a queue that delivers again looks at once what the dead one had taken. Without this it
    /// does so a little later.
    fn hasten_deliveries(&self) -> Result<(), ArenaError> {
        for index in 0..self.header().objects_used.load(Ordering::Acquire) as u32 {
            let object = self.object(index)?;
            if object.is(Kind::Delivery) && object.life().1 == LIVE {
                let slot: &StockSlot = self.overlay(index)?;
                slot.root(LOOKED).store(0, Ordering::Relaxed);
                slot.change.wake_all(&self.ringing());
                slot.all_done.wake_all(&self.ringing());
            }
        }
        Ok(())
    }

    /// Blocks between a process and a queue: who has them is decided by the queue's counts.
    fn sweep_transit(&self, dead: Serial) -> Result<(), ArenaError> {
        let mut found = Vec::new();
        self.each_block(|at, desc| {
            let (serial, _, state) = owner_of(desc.owner.load(Ordering::Acquire));
            let took = desc.taker.load(Ordering::Acquire) == u64::from(dead);
            if state == TRANSIT && (serial == dead || took) {
                found.push(at);
            }
            Ok(())
        })?;
        for at in found {
            self.sweep_one_transit(dead, at)?;
        }
        Ok(())
    }

    fn sweep_one_transit(&self, dead: Serial, at: u64) -> Result<(), ArenaError> {
        let me = self.me()?;
        let desc = self.desc(at)?;
        let id = ObjectId::unpack(desc.queue.load(Ordering::Acquire));
        let Ok(slot) = self.object(id.index) else {
            return Ok(());
        };
        // Both locks: a block may be given and taken by the dead.
        let _tail = self.lock_tail(slot, id, me)?;
        let _head = slot.head_lock.lock(me, self);
        let (serial, _, state) = owner_of(desc.owner.load(Ordering::Acquire));
        if state != TRANSIT || desc.queue.load(Ordering::Acquire) != id.pack() {
            return Ok(());
        }
        let lives = slot.life().0 == id.generation && matches!(slot.life().1, LIVE | DYING);
        let arrived = lives && slot.tail.count() > desc.given.load(Ordering::Relaxed);
        let took = desc.taker.load(Ordering::Relaxed) == u64::from(dead)
            && slot.head.count() > desc.taken.load(Ordering::Relaxed);
        let back = if arrived { took } else { serial == dead };
        if back {
            // It is the dead one's, to be freed with the rest of what it owned.
            desc.owner.store(super::blocks::owned(dead), Ordering::Release);
        }
        Ok(())
    }

    fn sweep_owned(&self, dead: Serial) -> Result<(), ArenaError> {
        let mut found = Vec::new();
        self.each_block(|at, desc| {
            let (serial, _, state) = owner_of(desc.owner.load(Ordering::Acquire));
            if state == OWNED && serial == dead {
                found.push(at);
            }
            Ok(())
        })?;
        for at in found {
            match owner_of(self.desc(at)?.owner.load(Ordering::Acquire)) {
                (s, 0, OWNED) if s == dead => self.free_block(at)?,
                (s, _, OWNED) if s == dead => self.leave_to_children(at)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Objects that the dead was taking apart.
    fn sweep_dying(&self, dead: Serial) -> Result<(), ArenaError> {
        let me = u64::from(self.me()?);
        let mut found = Vec::new();
        for index in 0..self.header().objects_used.load(Ordering::Acquire) {
            let slot: &Object = self.object(index as u32)?;
            if slot.life().1 == DYING && slot.reaper.load(Ordering::Acquire) == u64::from(dead) {
                slot.reaper.store(me, Ordering::Release);
                found.push(index);
            }
        }
        self.reap_all(found)
    }

    /// The block whose hint the dead may have taken along.
    fn sweep_log(&self, dead: Serial) -> Result<(), ArenaError> {
        let log = &self.participant(dead).log;
        let page = log.load(Ordering::Acquire);
        if page != 0 {
            let at = (page - 1) * PAGE;
            if let (Ok(desc), Ok(room)) = (self.desc(at), self.block_room(at)) {
                if desc.owner.load(Ordering::Acquire) == 0 {
                    self.hint_free(at, room)?;
                }
            } else if let Ok(desc) = self.desc(at) {
                // An idle run that was cut up while the dead tried to take it.
                let (mine, free) = (super::blocks::owned(dead), 0);
                let _ =
                    desc.owner.compare_exchange(mine, free, Ordering::AcqRel, Ordering::Relaxed);
            }
            log.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}
