//! The memory behind blocks: fetched when a block is first used, given back when a lot lies idle.
//!
//! Fresh pages are brought into being by one system call whose failure is an error here, and not a
//! signal at some later access; a limit is looked at first. Against the control group's OOM killer
//! this is best effort: the limit is read, others may be faster.

use std::ptr::NonNull;
use std::sync::PoisonError;

use super::blocks::owned;
use super::family::Inner;
use super::layout::{Desc, PAGE, SPAN};
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::sys::{limits, memory, process};

/// This much may lie idle before freed blocks are given back to the kernel.
pub(super) const IDLE_KEEP: u64 = 256 << 20;
/// Smaller blocks are not worth the system call.
pub(super) const GIVE_BACK_MIN: u64 = 64 << 10;

impl Inner {
    /// Gives the bytes `had..len` of the block memory.
    pub(super) fn back(&self, at: u64, desc: &Desc, had: u64, len: u64) -> Result<(), ArenaError> {
        let to = len.next_multiple_of(PAGE);
        let more = to - had;
        let header = self.header();
        let backed = header.backed.fetch_add(more, Ordering::Relaxed) + more;
        crash_point!("alloc.charged");
        let limit = self.limit(backed);
        let full = |free, why| ArenaError::Full { requested: len, free, why };
        let done = if backed > limit {
            Err(full(limit.saturating_sub(backed - more), "memory limit"))
        } else {
            self.map.file().and_then(|file| {
                let populated = self.with_mapping(at, len, |p| {
                    // SAFETY: `had <= len`, both within the block's mapping.
                    let p = unsafe { p.add(had as usize) };
                    memory::populate(file, p, at + had, more)
                })?;
                populated.map_err(|_| full(0, "the kernel has no more pages"))
            })
        };
        if done.is_err() {
            header.backed.fetch_sub(more, Ordering::Relaxed);
            return done;
        }
        desc.backed.store(to, Ordering::Relaxed);
        crash_point!("alloc.backed");
        Ok(())
    }

    /// Runs `f` with the block's address: an extent's, or a mapping for the moment.
    fn with_mapping<T>(
        &self,
        at: u64,
        len: u64,
        f: impl FnOnce(NonNull<u8>) -> T,
    ) -> Result<T, ArenaError> {
        if !super::block::is_long_run(len) {
            return Ok(f(self.map.ptr(at, len)?));
        }
        let p = self.map.map_run(at, len.next_multiple_of(PAGE))?;
        let done = f(p);
        // SAFETY: mapped above, and `f` is done with it.
        unsafe { memory::unmap(p, len.next_multiple_of(PAGE)) };
        Ok(done)
    }

    /// The limit in force: the one set, or most of what is left, read again as the arena grows.
    pub(crate) fn limit(&self, backed: u64) -> u64 {
        let set = self.header().limit.load(Ordering::Relaxed);
        if set != 0 {
            return set;
        }
        let (known, valid_to) =
            (self.auto_limit.load(Ordering::Relaxed), self.auto_valid.load(Ordering::Relaxed));
        if known != 0
            && backed <= valid_to
            && process::now_ms() / 256 == self.auto_at.load(Ordering::Relaxed)
        {
            return known;
        }
        let left = limits::memory_left();
        let limit = backed.saturating_add(left - left / 8);
        self.auto_limit.store(limit, Ordering::Relaxed);
        self.auto_valid.store(backed.saturating_add(left / 16), Ordering::Relaxed);
        self.auto_at.store(process::now_ms() / 256, Ordering::Relaxed);
        limit
    }

    pub(crate) fn give_back(&self, at: u64, desc: &Desc, backed: u64) -> bool {
        let Ok(file) = self.map.file() else { return false };
        if !memory::give_back(file, at, backed.next_multiple_of(PAGE)) {
            return false;
        }
        desc.backed.store(0, Ordering::Relaxed);
        self.header().backed.fetch_sub(backed, Ordering::Relaxed);
        crash_point!("free.given_back");
        true
    }

    /// Takes idle memory of other blocks, until `wanted` bytes were found.
    pub(crate) fn reclaim(&self, wanted: u64) -> Result<(), ArenaError> {
        let mut found = 0;
        let me = self.me()?;
        let mut idle = Vec::new();
        self.each_block(|at, desc| {
            if desc.owner.load(Ordering::Relaxed) == 0 && desc.backed.load(Ordering::Relaxed) > 0 {
                idle.push(at);
            }
            Ok(())
        })?;
        for at in idle {
            if found >= wanted {
                break;
            }
            let desc = self.desc(at)?;
            let got = {
                let _one = self.alloc_lock.lock().unwrap_or_else(PoisonError::into_inner);
                self.participant(me).log.store(at / PAGE + 1, Ordering::Relaxed);
                desc.owner
                    .compare_exchange(0, owned(me), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            };
            if got {
                let backed = desc.backed.load(Ordering::Relaxed);
                self.header().idle.fetch_sub(backed, Ordering::Relaxed);
                if backed > 0 && self.give_back(at, desc, backed) {
                    found += backed;
                }
                let room = self.block_room(at)?;
                if room > SPAN { self.free_run(at, room / SPAN)? } else { self.free_block(at)? }
            }
        }
        Ok(())
    }

    /// Counts anew what is backed and idle, and looks for free cells from the start: the dead may have
    /// been killed between a change and its entry in the books.
    pub(crate) fn recount(&self) -> Result<(), ArenaError> {
        let (mut backed, mut idle) = (0, 0);
        self.each_block(|_, desc| {
            let has = desc.backed.load(Ordering::Relaxed);
            backed += has;
            idle += if desc.owner.load(Ordering::Relaxed) == 0 { has } else { 0 };
            Ok(())
        })?;
        self.header().backed.store(backed, Ordering::Relaxed);
        self.header().idle.store(idle, Ordering::Relaxed);
        for hint in &self.header().span_hint {
            hint.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}
