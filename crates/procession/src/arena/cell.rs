//! The value of a lock that has one: bytes that are replaced as a whole, by one store.
//!
//! The slot has two halves for a short value: what is new is written into the one that is not in use,
//! and then the state says that it is. A long value, or one with handles inside, has a block, which the
//! slot's `bells` names; it and the state change together, by the arena's redo record.
//!
//! | bits of the state | meaning |
//! |---|---|
//! | 0, 1 | where it is: `0` or `1`, that half; 2, the block |
//! | 2 to 15 | length in bytes, if it is in a half |
//! | 16.. | version, which moves with each write |
//!
//! What must hold: only who has the lock for itself writes. A snapshot is taken without the lock; it
//! counts if the version is the same after the copy as before, and a block is counted while it is read.

use std::mem::offset_of;

use super::block::Block;
use super::blocks::{STOCKED, owned};
use super::family::Inner;
use super::layout::sync::{MutexSlot, RwLockSlot};
use super::layout::{Desc, Object, PAGE};
use super::lease::{self, Lease};
use super::map::corrupt;
use super::objects::{Kind, ObjectId};
use super::pin::{Pin, left_by_object};
use super::redo::set;
use crate::error::ArenaError;
use crate::sys::atomic::{AtomicU64, Ordering, fence};
use crate::sys::fault::crash_point;

const PLACE: u64 = 0b11;
const IN_BLOCK: u64 = 2;
const LEN_SHIFT: u32 = 2;
const LENS: u64 = (1 << (VERSION_SHIFT - LEN_SHIFT)) - 1;
const VERSION_SHIFT: u32 = 16;

/// So often a block that stays the same is not to be had before memory is said to lack.
const TRIES: u32 = 3;

/// The state after `seen`.
fn next(seen: u64, place: u64, len: usize) -> u64 {
    let version = (seen >> VERSION_SHIFT).wrapping_add(1);
    version << VERSION_SHIFT | (len as u64) << LEN_SHIFT | place
}

pub(crate) struct Cell {
    lease: Lease,
    state: &'static AtomicU64,
    halves: [&'static [AtomicU64]; 2],
}

impl Cell {
    /// The value of a lock that this counts.
    pub(crate) fn of(lease: Lease) -> Result<Cell, ArenaError> {
        let (inner, index) = (lease.inner, lease.id.index);
        if lease.slot.is(Kind::Mutex) {
            let slot: &MutexSlot = inner.overlay(index)?;
            let halves = slot.halves.each_ref().map(<[AtomicU64; _]>::as_slice);
            return Ok(Cell { state: &slot.state, halves, lease });
        }
        let slot: &RwLockSlot = inner.overlay(index)?;
        let halves = slot.halves.each_ref().map(<[AtomicU64; _]>::as_slice);
        Ok(Cell { state: &slot.state, halves, lease })
    }

    /// Appends the value's bytes to `out`. By who has the lock, also as one of several readers.
    #[inline]
    pub(crate) fn read(&self, out: &mut Vec<u8>) -> Result<(), ArenaError> {
        let seen = self.state.load(Ordering::Acquire);
        if seen & PLACE != IN_BLOCK {
            return self.read_half(seen, out);
        }
        let (inner, id) = (self.lease.inner, self.lease.id);
        let at = self.lease.slot.bells.load(Ordering::Acquire);
        let len = inner.stocked(at, id)?.len.load(Ordering::Relaxed);
        self.check_len(at, len)?;
        inner.copy_block_out(at, len, out)
    }

    fn read_half(&self, seen: u64, out: &mut Vec<u8>) -> Result<(), ArenaError> {
        let (half, len) = (self.halves.get((seen & PLACE) as usize), seen >> LEN_SHIFT & LENS);
        let (len, from) = (len as usize, out.len());
        let half = half.filter(|half| len <= 8 * half.len());
        let half = half.ok_or_else(|| self.corrupt("the state of its value"))?;
        for word in &half[..len.div_ceil(8)] {
            out.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        out.truncate(from + len);
        Ok(())
    }

    fn check_len(&self, at: u64, len: u64) -> Result<(), ArenaError> {
        let fits = len <= self.lease.inner.block_room(at)?;
        if fits { Ok(()) } else { Err(self.corrupt("the length of its value")) }
    }

    fn corrupt(&self, what: &str) -> ArenaError {
        corrupt(format!("object {}: {what}", self.lease.id.index))
    }

    /// Appends the value's bytes, as they are at one moment, to `out`, and says what keeps the handles
    /// inside alive. Without the lock.
    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) -> Result<Option<Pin>, ArenaError> {
        let from = out.len();
        let (mut last, mut tries) = (None, 0);
        loop {
            let seen = self.state.load(Ordering::Acquire);
            out.truncate(from);
            if seen & PLACE != IN_BLOCK {
                self.read_half(seen, out)?;
                fence(Ordering::Acquire); // pairs with the one in `write_half`
                if self.state.load(Ordering::Relaxed) == seen {
                    return Ok(None);
                }
                continue;
            }
            if let Some(pin) = self.pin(seen)? {
                pin.copy_to(out);
                return Ok(Some(pin));
            }
            // Somebody is replacing it, dead or alive: it is done when the arena lock can be had.
            drop(self.lease.inner.guard()?);
            tries = if last == Some(seen) { tries + 1 } else { 0 };
            last = Some(seen);
            if tries == TRIES {
                let why = "there is no memory or address space to keep the value while it is read";
                return Err(ArenaError::Full { requested: PAGE, free: 0, why });
            }
        }
    }

    fn pin(&self, seen: u64) -> Result<Option<Pin>, ArenaError> {
        let (inner, id) = (self.lease.inner, self.lease.id);
        let at = self.lease.slot.bells.load(Ordering::Acquire);
        let still = || {
            self.state.load(Ordering::Relaxed) == seen
                && self.lease.slot.bells.load(Ordering::Relaxed) == at
        };
        let Ok(desc) = inner.stocked(at, id) else {
            return Ok(None); // replaced since
        };
        let len = desc.len.load(Ordering::Relaxed);
        // Of another block by now, perhaps; then it is not `still` so.
        if self.check_len(at, len).is_err() {
            return Ok(None);
        }
        Pin::new_if(inner, at, len, id, still)
    }

    /// Replaces the value. By who has the lock for itself; killed before the commit, it leaves the old
    /// one. `holds`: what the handles inside name.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8], holds: &[Lease]) -> Result<(), ArenaError> {
        let seen = self.state.load(Ordering::Relaxed);
        if bytes.len() <= 8 * self.halves[0].len() && holds.is_empty() {
            self.write_half(seen, bytes)
        } else {
            self.write_block(seen, bytes, holds)
        }
    }

    #[inline]
    fn write_half(&self, seen: u64, bytes: &[u8]) -> Result<(), ArenaError> {
        let place = u64::from(seen & PLACE == 0);
        // Who reads a word that is written now sees that the state has moved since this half was in use.
        fence(Ordering::Release);
        for (word, chunk) in self.halves[place as usize].iter().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        crash_point!("cell.written");
        let state = next(seen, place, bytes.len());
        if seen & PLACE == IN_BLOCK {
            return self.replace_block(0, state);
        }
        self.state.store(state, Ordering::Release);
        crash_point!("cell.stored");
        Ok(())
    }

    #[cold]
    fn write_block(&self, seen: u64, bytes: &[u8], holds: &[Lease]) -> Result<(), ArenaError> {
        let (inner, id) = (self.lease.inner, self.lease.id);
        let mut block = Block::alloc(inner, bytes.len(), &lease::ids_of(inner, holds))?;
        block.write(0, bytes);
        let at = block.reference().at;
        inner.desc(at)?.queue.store(id.pack(), Ordering::Relaxed);
        crash_point!("cell.filled");
        self.replace_block(at, next(seen, IN_BLOCK, 0))?;
        block.given_away();
        Ok(())
    }

    /// The commit where a block comes or goes (0: none comes).
    fn replace_block(&self, at: u64, state: u64) -> Result<(), ArenaError> {
        let (inner, id) = (self.lease.inner, self.lease.id);
        let base = inner.map.layout.object(u64::from(id.index));
        let mine = owned(inner.me()?);
        let guard = inner.guard()?;
        let old = self.lease.slot.bells.load(Ordering::Relaxed);
        let mut changes = vec![set(base + offset_of!(Object, bells) as u64, at)];
        if at != 0 {
            changes.push(set(owner_at(inner, at), STOCKED));
        }
        let mut freed = false;
        if old != 0 {
            let owner = inner.stocked(old, id)?.owner.load(Ordering::Relaxed);
            let owner = left_by_object(owner, mine);
            freed = owner == mine;
            changes.push(set(owner_at(inner, old), owner));
        }
        changes.push(set(base + offset_of!(MutexSlot, state) as u64, state));
        guard.commit(&changes)?;
        drop(guard);
        crash_point!("cell.replaced");
        // What can't be freed now is the sweep's.
        if freed { inner.free_block(old).or(Ok(())) } else { Ok(()) }
    }
}

fn owner_at(inner: &Inner, at: u64) -> u64 {
    inner.map.layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64
}

impl Inner {
    /// Frees the block of a value that nobody has any more.
    pub(super) fn strip_cell(&self, index: u32, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
        let slot = self.object(index)?;
        let id = ObjectId { index, generation: slot.life().0 };
        let at = slot.bells.load(Ordering::Relaxed);
        if at == 0 {
            return Ok(());
        }
        let mine = owned(self.me()?);
        let base = self.map.layout.object(u64::from(index));
        let guard = self.guard()?;
        let owner = left_by_object(self.stocked(at, id)?.owner.load(Ordering::Relaxed), mine);
        let bells = set(base + offset_of!(Object, bells) as u64, 0);
        guard.commit(&[bells, set(owner_at(self, at), owner)])?;
        drop(guard);
        crash_point!("cell.stripped");
        if owner == mine { self.free_block_into(at, dying) } else { Ok(()) }
    }
}

const _: () = assert!(offset_of!(MutexSlot, state) == offset_of!(RwLockSlot, state));
