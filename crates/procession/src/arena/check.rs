//! Is the arena sound? Asked by tests, and by whoever doubts, when nobody is using it.

use std::collections::{HashMap, HashSet};

use super::blocks::{OWNED, STOCKED, TRANSIT, owner_of};
use super::family::{Family, Inner};
use super::layout::Desc;
use super::objects::{FREE, Kind, LIVE, ObjectId};
use super::participants::{ALIVE, unpack};
use super::segments::RingMemory;
use crate::error::ArenaError;
use crate::ring::inspect;
use crate::sys::atomic::Ordering;

/// One process of the family.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stats = procession::Family::current()?.stats();
/// assert_eq!(stats.participants[0].pid, std::process::id());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParticipantInfo {
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// Its name in the family, never used again.
    pub serial: u32,
    /// What it calls itself: see [`Family::set_name`].
    pub name: String,
    /// The index of the object that it sleeps on.
    pub waiting_on: Option<u32>,
}

/// What a family uses.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let family = procession::Family::current()?;
/// let q: procession::Queue<i32> = procession::Queue::unbounded()?;
/// assert_eq!(family.stats().queues, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of memory behind blocks.
    pub arena_bytes: u64,
    /// Bytes of those that lie in free blocks.
    pub idle_bytes: u64,
    /// Bytes that may be used.
    pub limit: u64,
    /// Queues that exist.
    pub queues: u64,
    /// Directions of pipes that exist: two for each that is duplex.
    pub pipes: u64,
    /// Locks (with values and without), semaphores, events, conditions and barriers that exist.
    pub primitives: u64,
    /// Dicts and lists that exist.
    pub collections: u64,
    /// The processes.
    pub participants: Vec<ParticipantInfo>,
}

impl Family {
    /// What the family uses at this moment.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{:?}", procession::Family::current()?.stats());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.inner();
        let header = inner.header();
        let participants = inner
            .serials()
            .filter(|&(_, state)| state == ALIVE)
            .map(|(serial, _)| {
                let p = inner.participant(serial);
                ParticipantInfo {
                    pid: p.pid.load(Ordering::Relaxed),
                    serial,
                    name: super::estate::text(&p.name),
                    waiting_on: p.waiting_on.load(Ordering::Relaxed).checked_sub(1),
                }
            })
            .collect();
        let count = |kind| {
            (0..header.objects_used.load(Ordering::Acquire))
                .filter_map(|i| inner.object(i as u32).ok())
                .filter(|o| o.life().1 == LIVE && o.is(kind))
                .count() as u64
        };
        Stats {
            arena_bytes: header.backed.load(Ordering::Relaxed),
            idle_bytes: header.idle.load(Ordering::Relaxed),
            limit: self.memory_limit(),
            queues: Kind::QUEUES.into_iter().map(count).sum(),
            pipes: count(Kind::Pipe),
            primitives: Kind::PRIMITIVES.into_iter().map(count).sum(),
            collections: count(Kind::Dict) + count(Kind::List),
            participants,
        }
    }

    /// Takes back now what dead members held, which otherwise happens when somebody waits, attaches
    /// or lacks memory.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::Family::current()?.sweep()?;
    /// # Ok(()) }
    /// ```
    pub fn sweep(&self) -> Result<(), ArenaError> {
        self.inner().sweep_now()?;
        self.inner().recount()
    }

    /// Everything in the arena that contradicts itself or belongs to nobody; empty if it is sound.
    /// Meaningful only while no member uses it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::Family::current()?.check().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut check = Check { inner: self.inner(), wrong: Vec::new(), reached: HashMap::new() };
        if let Err(e) = check.run() {
            check.wrong.push(e.to_string());
        }
        check.wrong
    }
}

struct Check {
    inner: &'static Inner,
    wrong: Vec<String>,
    /// Blocks that belong to objects, and how.
    reached: HashMap<u64, &'static str>,
}

impl Check {
    fn run(&mut self) -> Result<(), ArenaError> {
        let header = self.inner.header();
        if header.lock.owner() != 0 || header.redo_count.load(Ordering::Relaxed) != 0 {
            self.wrong.push("the arena lock is held".into());
        }
        let mut refs: HashMap<u64, u64> = HashMap::new();
        for index in 0..header.objects_used.load(Ordering::Acquire) {
            self.object(index as u32, &mut refs)?;
        }
        if self.inner.table_at() != 0 {
            self.reached.insert(self.inner.table_at(), "a list of bells or memory");
        }
        self.free_list()?;
        let mut counted: HashMap<u64, u64> = HashMap::new();
        if let Some(id) = super::holds::entry_object(header.directory.load(Ordering::Relaxed)) {
            counted.insert(id.pack(), 1);
        }
        let (mut backed, mut idle) = (0, 0);
        let inner = self.inner;
        inner.each_block(|at, desc| {
            let has = desc.backed.load(Ordering::Relaxed);
            backed += has;
            if desc.owner.load(Ordering::Relaxed) == 0 {
                idle += has;
                return self.free_cell(at);
            }
            self.owned_block(at, desc, &mut counted)
        })?;
        for (key, n) in &refs {
            let c = counted.remove(key).unwrap_or(0);
            if c != *n {
                self.wrong
                    .push(format!("object {}: {n} references counted, {c} found", *key as u32));
            }
        }
        for key in counted.keys() {
            self.wrong.push(format!("a hold entry names object {}, which is none", *key as u32));
        }
        for (name, book, real) in [("backed", &header.backed, backed), ("idle", &header.idle, idle)]
        {
            let book = book.load(Ordering::Relaxed);
            if book != real {
                self.wrong.push(format!("{book} bytes are booked as {name}, {real} are"));
            }
        }
        for (at, how) in std::mem::take(&mut self.reached) {
            self.wrong.push(format!("{how} at {at:#x} is not allocated"));
        }
        Ok(())
    }

    fn object(&mut self, index: u32, refs: &mut HashMap<u64, u64>) -> Result<(), ArenaError> {
        let slot = self.inner.object(index)?;
        let (generation, state) = slot.life();
        if state == FREE {
            return Ok(());
        }
        if state != LIVE {
            self.wrong.push(format!("object {index} is in state {state}"));
            return Ok(());
        }
        let id = ObjectId { index, generation };
        if slot.tail_lock.owner() != 0 || slot.head_lock.owner() != 0 {
            self.wrong.push(format!("object {index}: a lock is held"));
        }
        refs.insert(id.pack(), slot.refs.load(Ordering::Relaxed));
        let bells = slot.bells.load(Ordering::Relaxed);
        if bells != 0 {
            let value = slot.has_value();
            let how = if value { "a value" } else { "a list of bells or memory" };
            self.reached.insert(bells, how);
        }
        self.inner.check_primitive(index, &mut self.wrong)?;
        if slot.is_stock() {
            let reach = |at| self.reached.insert(at, "a collection's block").is_none();
            return self.inner.check_stock(id, &mut self.wrong, reach);
        }
        if !slot.is_ring() {
            return Ok(());
        }
        let mem = RingMemory::new(self.inner, slot, id, self.inner.me()?);
        let mut found = Vec::new();
        let walked = inspect::walk(&mem, &slot.head, &slot.tail, |what| found.push(what));
        if let Err(e) = walked {
            self.wrong.push(format!("object {index}: {e}"));
        }
        for what in found {
            let (at, how) = match what {
                Ok(block) => (block.at, "a message's block"),
                Err(cursor) => (cursor.segment(), "a segment"),
            };
            if self.reached.insert(at, how).is_some() {
                self.wrong.push(format!("{how} at {at:#x} is used twice"));
            }
        }
        Ok(())
    }

    fn free_list(&mut self) -> Result<(), ArenaError> {
        let mut seen = HashSet::new();
        let mut next = self.inner.header().object_free.load(Ordering::Relaxed);
        while next != 0 && seen.insert(next) {
            let slot = self.inner.object((next - 1) as u32)?;
            if slot.life().1 != FREE {
                self.wrong.push(format!("object {} is used and in the free list", next - 1));
            }
            next = slot.next_free.load(Ordering::Relaxed);
        }
        if next != 0 {
            self.wrong.push("the list of free objects has a cycle".into());
        }
        Ok(())
    }

    fn free_cell(&mut self, at: u64) -> Result<(), ArenaError> {
        let room = self.inner.block_room(at)?;
        if !self.inner.has_hint(at, room)? {
            self.wrong.push(format!("the free block at {at:#x} would never be found"));
        }
        Ok(())
    }

    fn owned_block(
        &mut self,
        at: u64,
        desc: &Desc,
        counted: &mut HashMap<u64, u64>,
    ) -> Result<(), ArenaError> {
        let (serial, refs, state) = owner_of(desc.owner.load(Ordering::Relaxed));
        let reached = self.reached.remove(&at);
        match (state, reached) {
            (TRANSIT, Some(_)) => {}
            (OWNED, Some("a list of bells or memory")) if serial == 0 => {}
            (STOCKED, Some("a collection's block" | "a value")) if serial == 0 && refs == 0 => {}
            (OWNED, None) if serial == 0 && refs > 0 => {}
            (OWNED, None) => {
                let word = self.inner.participant(serial).state.load(Ordering::Relaxed);
                if unpack(word) != (serial, ALIVE) {
                    self.wrong
                        .push(format!("the block at {at:#x} belongs to {serial}, who is gone"));
                }
            }
            (_, how) => self.wrong.push(format!(
                "the block at {at:#x} is in state {state} of {serial}, and is {}",
                how.unwrap_or("in no queue")
            )),
        }
        let first = at + desc.len.load(Ordering::Relaxed).next_multiple_of(8);
        for i in 0..desc.holds.load(Ordering::Relaxed).min(self.inner.block_room(at)? / 8) {
            let word = self.inner.map.word(first + 8 * i)?.load(Ordering::Relaxed);
            if let Some(id) = super::holds::entry_object(word) {
                *counted.entry(id.pack()).or_default() += 1;
            }
        }
        Ok(())
    }
}
