//! What a fork child inherits: its identity, its counts, and private copies of received blocks.
//!
//! All is made ready before the fork, by the parent, under the serial of a participant to come (an
//! *embryo*). If the fork fails or the child is killed before it can speak for itself, the embryo is
//! recognised as dead and swept like any other.
//!
//! A fork must give ordinary private memory. A received block that the process keeps is therefore
//! remapped as a private mapping of the same file range, at its own address, in both processes, and
//! counted once more; the arena's copy is not used again before every holder is gone.
//!
//! Invariant: between `prepare` and the handlers after it the forking thread holds all process-local
//! locks of all families, so that neither side finds one taken by a thread that does not exist.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use super::bells::Bells;
use super::block::Kept;
use super::family::{Inner, Registry, all_families};
use super::holds::{ENTRIES_PER_PAGE, Handles};
use super::layout::PAGE;
use super::listeners::Doors;
use super::objects::ObjectId;
use super::recent::Recent;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::sys::memory;

/// What was made ready for the child in one family.
struct Plan {
    inner: &'static Inner,
    child: Serial,
    pages: Vec<u64>,
    /// The next entry that is free: page and place in it.
    next: u64,
    /// Object index → entry; offset of a kept block → entry.
    objects: HashMap<u32, u64>,
    blocks: HashMap<u64, u64>,
    handles: MutexGuard<'static, Handles>,
    kept: MutexGuard<'static, HashMap<u64, Kept>>,
    bells: MutexGuard<'static, Bells>,
    doors: Option<MutexGuard<'static, Doors>>,
    alloc: Option<MutexGuard<'static, Recent>>,
    growing: Option<MutexGuard<'static, ()>>,
}

struct Fork {
    plans: Vec<Plan>,
    _registry: MutexGuard<'static, Registry>,
}

thread_local! {
    static FORK: RefCell<Option<Fork>> = const { RefCell::new(None) };
}

/// Registers the fork handlers.
pub(crate) fn install() {
    crate::sys::fork::install(prepare, parent, child);
}

unsafe extern "C" fn prepare() {
    // A program that only forks and joins would otherwise never meet its dead, and run out of slots.
    let all = all_families().all.clone();
    for inner in all {
        inner.sweep_if_due();
    }
    let registry = all_families();
    let plans = registry.all.iter().map(|inner| Plan::new(inner)).collect();
    FORK.with(|f| *f.borrow_mut() = Some(Fork { plans, _registry: registry }));
}

unsafe extern "C" fn parent() {
    FORK.with(|f| f.borrow_mut().take());
}

unsafe extern "C" fn child() {
    crash_point!("fork.child");
    if let Some(fork) = FORK.with(|f| f.borrow_mut().take()) {
        for plan in fork.plans {
            plan.become_child();
        }
    }
}

fn own<T>(m: &'static std::sync::Mutex<T>) -> MutexGuard<'static, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    fn new(inner: &'static Inner) -> Plan {
        // The order in which everyone takes them.
        let handles = own(&inner.handles);
        let kept = own(&inner.kept);
        let bells = own(&inner.bells);
        let mut plan = Plan {
            inner,
            child: 0,
            pages: Vec::new(),
            next: 0,
            objects: HashMap::new(),
            blocks: HashMap::new(),
            handles,
            kept,
            bells,
            doors: None,
            alloc: None,
            growing: None,
        };
        // Without memory for this the child is born poorer: it counts for itself, if it still can.
        let _ = plan.prepare();
        plan.doors = Some(own(&inner.doors));
        plan.alloc = Some(own(&inner.alloc_lock));
        plan.growing = Some(own(inner.map.growing()));
        plan
    }

    fn prepare(&mut self) -> Result<(), ArenaError> {
        let inner = self.inner;
        inner.me()?;
        self.child = inner.claim_slot().unwrap_or(0);
        if self.child == 0 {
            return Ok(());
        }
        crash_point!("fork.embryo");
        let wanted = (self.handles.open.len() + self.kept.len()) as u64;
        for _ in 0..wanted.div_ceil(ENTRIES_PER_PAGE) {
            let page = inner.new_entry_page()?;
            inner.desc(page)?.owner.store(super::blocks::owned(self.child), Ordering::Release);
            self.pages.push(page);
        }
        let open: Vec<(u32, u32)> =
            self.handles.open.iter().map(|(&index, h)| (index, h.generation)).collect();
        for (index, generation) in open {
            let entry = self.next_entry();
            if inner.hold_object(ObjectId { index, generation }, entry)? {
                self.objects.insert(index, entry);
            }
        }
        crash_point!("fork.holds_copied");
        self.part_with_blocks()
    }

    fn next_entry(&mut self) -> u64 {
        let (page, i) = (self.next / ENTRIES_PER_PAGE, self.next % ENTRIES_PER_PAGE);
        self.next += 1;
        self.pages[page as usize] + 8 * i
    }

    /// Makes every kept block private memory, and counts it for the child.
    fn part_with_blocks(&mut self) -> Result<(), ArenaError> {
        let blocks: Vec<u64> = self.kept.keys().copied().collect();
        for at in blocks {
            let entry = self.next_entry();
            let Some(kept) = self.kept.get_mut(&at) else {
                continue;
            };
            if !kept.private {
                let len = kept.len.next_multiple_of(PAGE);
                let file = self.inner.map.file()?;
                // SAFETY: the block's own pages; other threads of this process may be reading them,
                // and go on reading the same bytes. What they write in this very moment into a
                // block may be lost to neither: they write either before or after the fork.
                unsafe { memory::remap(file, kept.ptr, at, len, true) }
                    .map_err(|_| super::map::no_address_space(len))?;
                kept.private = true;
            }
            self.inner.hold_block(at, entry)?;
            self.blocks.insert(at, entry);
            crash_point!("fork.remapped");
        }
        Ok(())
    }

    /// In the child: takes over what was made ready.
    fn become_child(mut self) {
        let inner = self.inner;
        if self.child == 0 || !inner.enter_slot(self.child) {
            // Not even a slot was free, or this process was stopped so long that it was given up.
            inner.set_me(0);
            self.objects.clear();
            self.blocks.clear();
            self.pages.clear();
            self.next = 0;
        } else {
            inner.set_me(self.child);
        }
        crash_point!("fork.child_alive");
        for (index, h) in &mut self.handles.open {
            h.entry = self.objects.get(index).copied().unwrap_or(0);
        }
        for (at, k) in self.kept.iter_mut() {
            k.entry = self.blocks.get(at).copied().unwrap_or(0);
        }
        let all = self.pages.len() as u64 * ENTRIES_PER_PAGE;
        let rest: Vec<u64> = (self.next..all)
            .map(|i| self.pages[(i / ENTRIES_PER_PAGE) as usize] + 8 * (i % ENTRIES_PER_PAGE))
            .collect();
        self.handles.free = rest;
        self.handles.pages = std::mem::take(&mut self.pages);
        self.bells.forget_inherited();
        if let Some(doors) = &mut self.doors {
            doors.forget_inherited();
        }
    }
}

impl Inner {
    /// A process that was born without the handlers' help (a raw clone) registers at first use.
    #[cold]
    pub(crate) fn rejoin_slow(&self) -> Result<Serial, ArenaError> {
        let me = self.enter().map_err(|e| ArenaError::Detached(e.to_string()))?;
        let open: Vec<(u32, u32)> = {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            handles.free.clear();
            handles.pages.clear();
            handles.open.iter().map(|(&i, h)| (i, h.generation)).collect()
        };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).forget_inherited();
        self.doors().forget_inherited();
        for (index, generation) in open {
            self.hold_again(ObjectId { index, generation })?;
        }
        Ok(me)
    }

    fn hold_again(&self, id: ObjectId) -> Result<(), ArenaError> {
        let entry = self.new_entry_page()?;
        let held = self.hold_object(id, entry)?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(h) = handles.open.get_mut(&id.index) {
            h.entry = if held { entry } else { 0 };
        }
        Ok(())
    }
}
