//! Puts that do not wait for the queue's lock: what is small is left in a ring beside the queue, its
//! *stage*, and whoever has the lock next puts it where it belongs.
//!
//! A queue has a stage as soon as one process puts while another one has used the queue last, or when it is empty
//! again and again: what is put into an empty queue is staged as well, and taken from there. From then on who
//! puts takes the stage's lock only and writes one cell: of the queue's own words, which a getter in another
//! process changes all the time, it touches none. If the stage is full, it takes the queue's lock and empties
//! the stage itself. Every step empties the stage before it does anything else: so a message is in the queue as
//! soon as its put has returned, and those that are equal keep the order of their arrival.
//!
//! | word | what |
//! |---|---|
//! | `lock` | of the producers; who holds the queue's may wait for it, never the other way round |
//! | `tail` | how many were ever put here: the commit of a put |
//! | `head` | how many of them have left: moved by the step that stores them |
//! | `shape` | what order keys a message must have to be put here; 0: none may be |
//! | `holes` | cells between `head` and `tail` that were taken where they lay |
//! | `net_seen` | of a bounded queue: not less than its root `NET` |
//!
//! A cell is a word (bytes of the key, of the value, its kind, whether it was taken), the key and the value.
//!
//! The queue counts with `NET`, puts less gets without what ever came by the stage; so with `tail` it
//! gives the length, and moving a message out of the stage changes neither.

use std::mem::offset_of;

use super::super::heap::Datum;
use super::{Line, NET, Order, SHAPE, STAGE};
use crate::arena::layout::stock::{CELL_BYTES, CELLS, Stage};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

/// So many puts are staged before it is asked again who was at the queue last.
const AT_ONCE: u32 = 32;
/// A queue that is empty after so many steps gets a stage.
const OFTEN: u64 = 64;
/// In a cell's first word.
const TAKEN: u64 = 1 << 24;

/// A message as it is staged.
pub(super) struct Cell {
    bytes: [u8; CELL_BYTES],
    key: usize,
    end: usize,
    pub(super) kind: u8,
    is_taken: bool,
}

impl Cell {
    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key]
    }
    pub(super) fn value(&self) -> Datum<'_> {
        Datum { kind: self.kind, bytes: &self.bytes[self.key..self.end], holds: &[] }
    }
}

/// What became of a put.
pub(super) enum Staged {
    Put,
    Full,
    Closed,
    /// It must be put in a step.
    Not,
}

/// How many cells are to be looked at: those from `head` on, of `tail` in all.
fn span(step: &Step, stage: &Stage) -> Result<(u64, u64), ArenaError> {
    // Pairs with the commit in `push`.
    let (head, tail) = (stage.head.load(Ordering::Relaxed), stage.tail.load(Ordering::Acquire));
    if tail.wrapping_sub(head) > CELLS as u64 {
        return Err(step.corrupt("a stage's counts"));
    }
    Ok((head, tail))
}

fn cell(step: &Step, stage: &Stage, n: u64) -> Result<Cell, ArenaError> {
    let words = stage.cells[(n % CELLS as u64) as usize].each_ref();
    let [first, words @ ..] = words.map(|word| word.load(Ordering::Relaxed));
    let mut bytes = [0; CELL_BYTES];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let [key, value, kind, _, ..] = first.to_le_bytes();
    let (key, end) = (usize::from(key), usize::from(key) + usize::from(value));
    if end > CELL_BYTES {
        return Err(step.corrupt("a staged message"));
    }
    Ok(Cell { bytes, key, end, kind, is_taken: first & TAKEN != 0 })
}

impl<O: Order> Line<O> {
    /// The stage, if there is one.
    #[inline]
    pub(super) fn stage(&self) -> Result<Option<&'static Stage>, ArenaError> {
        if let Some(stage) = self.known_stage.get() {
            return Ok(Some(stage));
        }
        // Pairs with the commit of the step that made it.
        let at = self.stock.slot.root(STAGE).load(Ordering::Acquire);
        if at == 0 { Ok(None) } else { self.find_stage(at).map(Some) }
    }

    #[cold]
    fn find_stage(&self, at: u64) -> Result<&'static Stage, ArenaError> {
        let inner = self.stock.lease.inner;
        inner.stocked_words(at, size_of::<Stage>() as u64 / 8, self.stock.lease.id)?;
        let stage = inner.map.at(at)?;
        let _ = self.known_stage.set(stage);
        Ok(stage)
    }

    /// Whether somebody else was at the queue last: then it is better not to touch its words.
    #[inline]
    pub(super) fn is_anothers(&self) -> bool {
        let puts = self.at_once.load(Ordering::Relaxed);
        if puts != 0 {
            self.at_once.store(puts - 1, Ordering::Relaxed);
            return true;
        }
        let (last, me) = (self.last(), self.stock.lease.inner.me().map_or(0, u64::from));
        let is_anothers = last != 0 && last != me;
        if is_anothers {
            self.at_once.store(AT_ONCE, Ordering::Relaxed);
        }
        is_anothers
    }

    /// Whether a put had better go into the stage. Into a queue that is empty it should: whoever takes it next
    /// finds it there, and it is never stored.
    #[inline]
    fn is_of_use(&self, stage: &Stage) -> bool {
        let is_empty = || {
            let net = self.stock.slot.root(NET).load(Ordering::Relaxed);
            net.wrapping_add(stage.tail.load(Ordering::Relaxed)) == 0
        };
        self.is_anothers() || is_empty()
    }

    /// Puts a message into the stage, if that is of use.
    #[inline]
    pub(super) fn put_staged(&self, key: &[u8], value: &Datum<'_>) -> Result<Staged, ArenaError> {
        let Some(stage) = self.stage()? else {
            return Ok(Staged::Not);
        };
        let is_small = key.len() + value.bytes.len() <= CELL_BYTES && value.holds.is_empty();
        if !is_small || self.stock.slot.claim.load(Ordering::Relaxed) != 0 || !self.is_of_use(stage)
        {
            return Ok(Staged::Not);
        }
        self.push(stage, key, value)
    }

    /// Whether a put would have to wait for somebody who is stopped, perhaps.
    #[inline]
    pub(in crate::collections) fn is_stuck_to_put(&self) -> bool {
        match self.stage() {
            Ok(Some(stage)) if self.is_of_use(stage) => stage.lock.is_stuck(),
            _ => self.stock.is_stuck(),
        }
    }

    /// Sleeps until it would not.
    pub(in crate::collections) fn settle_to_put(&self) -> Result<(), ArenaError> {
        match self.stage()? {
            Some(stage) if stage.lock.is_stuck() => {
                let inner = self.stock.lease.inner;
                drop(stage.lock.lock(inner.me()?, inner));
                Ok(())
            }
            _ => self.stock.settle(),
        }
    }

    /// Whether the queue was closed, and no put is under way any more.
    pub(in crate::collections) fn has_ended(&self) -> Result<bool, ArenaError> {
        if !self.is_closed() {
            return Ok(false);
        }
        // A stage that is made later is found only by those who see that it is closed.
        drop(self.stock.begin()?);
        if let Some(stage) = self.stage()? {
            let inner = self.stock.lease.inner;
            drop(stage.lock.lock(inner.me()?, inner));
        }
        Ok(true)
    }

    #[inline]
    fn push(&self, stage: &Stage, key: &[u8], value: &Datum<'_>) -> Result<Staged, ArenaError> {
        let inner = self.stock.lease.inner;
        let held = stage.lock.lock(inner.me()?, inner);
        if self.is_closed() {
            return Ok(Staged::Closed);
        }
        if stage.shape.load(Ordering::Relaxed) != O::shape(key) {
            return Ok(Staged::Not);
        }
        let tail = stage.tail.load(Ordering::Relaxed);
        let is_full = |head: u64| tail.wrapping_sub(head) >= CELLS as u64;
        if is_full(stage.head_seen.load(Ordering::Relaxed)) {
            // Pairs with the commit of the step: it has read what is overwritten here.
            let head = stage.head.load(Ordering::Acquire);
            stage.head_seen.store(head, Ordering::Relaxed);
            if is_full(head) {
                self.at_once.store(0, Ordering::Relaxed);
                return Ok(Staged::Not);
            }
        }
        if self.limits.messages != 0 && !self.admits_one(stage, tail) {
            return Ok(Staged::Full);
        }
        let mut bytes = [0; CELL_BYTES];
        bytes[..key.len()].copy_from_slice(key);
        bytes[key.len()..][..value.bytes.len()].copy_from_slice(value.bytes);
        let first =
            u64::from(value.kind) << 16 | (value.bytes.len() as u64) << 8 | key.len() as u64;
        let words = &stage.cells[(tail % CELLS as u64) as usize];
        words[0].store(first, Ordering::Relaxed);
        for (word, part) in words[1..].iter().zip(bytes.chunks_exact(8)) {
            word.store(part.try_into().map_or(0, u64::from_le_bytes), Ordering::Relaxed);
        }
        crash_point!("stage.written");
        stage.tail.store(tail.wrapping_add(1), Ordering::Release);
        crash_point!("stage.put");
        drop(held);
        Ok(Staged::Put)
    }

    /// Whether a bounded queue has room. Under the stage's lock, so that only gets come meanwhile.
    #[inline]
    fn admits_one(&self, stage: &Stage, tail: u64) -> bool {
        if stage.net_seen.load(Ordering::Relaxed).wrapping_add(tail) < self.limits.messages {
            return true;
        }
        let net = self.stock.slot.root(NET).load(Ordering::Relaxed);
        stage.net_seen.store(net, Ordering::Relaxed);
        net.wrapping_add(tail) < self.limits.messages
    }

    /// Stores what is staged, as of now. With `but_last`, what was staged last is given back instead if it
    /// would be taken next.
    #[inline]
    pub(super) fn unstage(
        &self,
        step: &mut Step,
        stage: &Stage,
        but_last: bool,
    ) -> Result<Option<Cell>, ArenaError> {
        let (mut head, tail) = span(step, stage)?;
        while head != tail {
            let cell = cell(step, stage, head)?;
            head = head.wrapping_add(1);
            if cell.is_taken {
                let holes = stage.holes.load(Ordering::Relaxed).saturating_sub(1);
                step.set(self.stage_at(offset_of!(Stage, holes)), holes);
            } else if but_last && head == tail && comes_next::<O>(step, cell.key())? {
                return Ok(Some(cell));
            } else {
                O::store(step, cell.key(), &cell.value())?;
                crash_point!("stage.storing");
            }
            step.set_first(self.stage_at(offset_of!(Stage, head)), head);
            step.commit()?;
        }
        Ok(None)
    }

    /// Lets go of the cell at the head, which [`Line::unstage`] has given back.
    pub(super) fn drop_head(&self, step: &mut Step, stage: &Stage) {
        let head = stage.head.load(Ordering::Relaxed).wrapping_add(1);
        step.set(self.stage_at(offset_of!(Stage, head)), head);
    }

    /// There is no memory to store what is staged: finds what is to be taken next if that is staged, and lets
    /// go of it where it lies.
    #[cold]
    pub(super) fn take_staged(
        &self,
        step: &mut Step,
        stage: &Stage,
    ) -> Result<Option<Cell>, ArenaError> {
        let (head, tail) = span(step, stage)?;
        let mut found: Option<(u64, Cell)> = None;
        for n in 0..tail.wrapping_sub(head) {
            let n = head.wrapping_add(n);
            let cell = cell(step, stage, n)?;
            let is_before =
                found.as_ref().is_none_or(|(_, found)| O::passes(cell.key(), found.key()));
            if !cell.is_taken && is_before {
                found = Some((n, cell));
            }
        }
        let Some((n, cell)) = found else {
            return Ok(None);
        };
        if !comes_next::<O>(step, cell.key())? {
            return Ok(None);
        }
        let index = (n % CELLS as u64) as usize;
        let word = stage.cells[index][0].load(Ordering::Relaxed) | TAKEN;
        step.set(self.stage_at(offset_of!(Stage, cells) + 64 * index), word);
        let holes = stage.holes.load(Ordering::Relaxed).wrapping_add(1);
        step.set(self.stage_at(offset_of!(Stage, holes)), holes);
        Ok(Some(cell))
    }

    /// Where a word of the stage lies.
    fn stage_at(&self, offset: usize) -> u64 {
        self.stock.slot.root(STAGE).load(Ordering::Relaxed).wrapping_add(offset as u64)
    }

    /// Forgets all that is staged, and says how many messages that were. With both locks.
    pub(super) fn clear_stage(&self, step: &mut Step, stage: &Stage) -> Result<u64, ArenaError> {
        let (head, tail) = span(step, stage)?;
        let holes = stage.holes.load(Ordering::Relaxed);
        if head != tail {
            step.set(self.stage_at(offset_of!(Stage, head)), tail);
            step.set(self.stage_at(offset_of!(Stage, holes)), 0);
        }
        Ok(tail.wrapping_sub(head).saturating_sub(holes))
    }

    /// What is wrong with the stage.
    pub(in crate::collections) fn faults(&self, step: &Step) -> Result<Vec<String>, ArenaError> {
        let mut wrong = Vec::new();
        if let Some(stage) = self.stage()? {
            let (head, tail) = span(step, stage)?;
            let mut holes = 0;
            for n in 0..tail.wrapping_sub(head) {
                let cell = cell(step, stage, head.wrapping_add(n))?;
                holes += u64::from(cell.is_taken);
                let shape = stage.shape.load(Ordering::Relaxed);
                if !cell.is_taken && O::shape(cell.key()) != shape {
                    wrong.push("a staged message's key".into());
                }
            }
            if holes != stage.holes.load(Ordering::Relaxed) {
                wrong.push(format!("{holes} staged messages were taken, others are counted"));
            }
        }
        Ok(wrong)
    }
}

/// Whether a queue without a stage is empty, after so many steps that it should have one.
#[inline]
pub(super) fn is_often_empty(step: &Step) -> bool {
    step.root(NET) == 0 && step.version() >= OFTEN
}

/// Makes a stage, if one is of use and there is memory.
#[cold]
pub(super) fn make_stage(step: &mut Step) {
    let made = step.alloc_zeroed(size_of::<Stage>() as u64).and_then(|at| {
        step.write(at + offset_of!(Stage, shape) as u64, step.root(SHAPE))?;
        step.write(at + offset_of!(Stage, net_seen) as u64, step.root(NET))?;
        step.set_root(STAGE, at);
        step.commit_quietly()?;
        crash_point!("stage.made");
        Ok(())
    });
    if made.is_err() {
        step.cancel();
    }
}

/// Whether a message that came last would be taken before all that is stored.
#[inline]
fn comes_next<O: Order>(step: &Step, key: &[u8]) -> Result<bool, ArenaError> {
    Ok(super::stored(step)? == 0 || O::is_next(step, key)?)
}

/// How many messages are stored.
#[inline]
pub(in crate::collections) fn stored(step: &Step) -> Result<u64, ArenaError> {
    let (net, at) = (step.root(NET), step.root(STAGE));
    if at == 0 {
        return Ok(net);
    }
    let word = |offset: usize| step.load(at.wrapping_add(offset as u64));
    let gone = word(offset_of!(Stage, head))?.wrapping_add(word(offset_of!(Stage, holes))?);
    Ok(net.wrapping_add(gone))
}
