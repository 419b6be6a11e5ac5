//! What changes in one step: a message comes in, is taken, is done with, comes back.

use super::super::heap::{self, MOVING, Ref};
use super::chunk::{Chunk, Entry, PER_CHUNK, Taker, waits};
use super::{BYTES, FIRST, HEAD, LAST, LEN, NEXT, SPARE, Ticket, UNFINISHED};
use crate::arena::layout::PAGE;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::fault::crash_point;

/// So many messages are looked at by one operation, and so many moved, while the heap is sparse.
const LOOKED_AT: u64 = 16;
const MOVED: u32 = 3;

/// A message that waits.
pub(super) struct Spot {
    chunk: Chunk,
    i: u64,
    entry: Entry,
    pub(super) value: Ref,
}

fn add(step: &mut Step, root: usize, n: u64) {
    step.set_root(root, step.root(root).wrapping_add(n));
}

fn subtract(step: &mut Step, root: usize, n: u64) -> Result<(), ArenaError> {
    let left = step.root(root).checked_sub(n).ok_or_else(|| step.corrupt("the books"))?;
    step.set_root(root, left);
    Ok(())
}

/// Adds a message at the end.
pub(super) fn push(step: &mut Step, value: Ref, len: u64) -> Result<(), ArenaError> {
    let (number, last) = (step.root(NEXT), step.root(LAST));
    let mut chunk = Chunk(last);
    let mut i = PER_CHUNK;
    if last != 0 {
        chunk = Chunk::of(step, last)?;
        i = number.wrapping_sub(chunk.first(step)?);
    }
    if i >= PER_CHUNK {
        chunk = new_chunk(step, last, number)?;
        i = 0;
    }
    chunk.entry(i).write(step, value)?;
    chunk.set_waiting(step, i)?;
    let live = chunk.live(step)?;
    step.set(chunk.live_at(), live.wrapping_add(1));
    step.set_root(NEXT, number.wrapping_add(1));
    for (root, n) in [(LEN, 1), (UNFINISHED, 1), (BYTES, len)] {
        add(step, root, n);
    }
    crash_point!("delivery.putting");
    Ok(())
}

fn new_chunk(step: &mut Step, last: u64, number: u64) -> Result<Chunk, ArenaError> {
    let at = match step.root(SPARE) {
        0 => Chunk::alloc(step)?,
        spare => {
            step.set_root(SPARE, 0);
            Chunk::of(step, spare)?.0
        }
    };
    let chunk = Chunk::begin(step, at, last, number)?;
    if last == 0 {
        step.set_root(FIRST, at);
        step.set_root(HEAD, at);
    } else {
        step.set(Chunk(last).next_at(), at);
    }
    step.set_root(LAST, at);
    Ok(chunk)
}

/// The message that is taken next; there must be one. In chunks before the head none waits.
pub(super) fn next(step: &Step) -> Result<Spot, ArenaError> {
    let mut chunk = Chunk::of(step, step.root(HEAD))?;
    loop {
        if let Some(i) = chunk.first_waiting(step)? {
            let entry = chunk.entry(i);
            return Ok(Spot { chunk, i, entry, value: entry.value(step)? });
        }
        chunk = chunk.following(step)?.ok_or_else(|| step.corrupt("a message is missing"))?;
    }
}

/// From now on it is in flight here. Nobody else looks at when it was taken before it is.
pub(super) fn take(
    step: &mut Step,
    spot: &Spot,
    me: Serial,
    now: u64,
) -> Result<Ticket, ArenaError> {
    let count = spot.entry.taker(step)?.count.saturating_add(1);
    spot.entry.write_since(step, now)?;
    step.set(spot.entry.taker_at(), Taker { serial: me, count }.word());
    leave_line(step, spot)?;
    let number = spot.chunk.first(step)?.wrapping_add(spot.i);
    crash_point!("delivery.taking");
    step.commit()?;
    crash_point!("delivery.taken");
    Ok(Ticket { chunk: spot.chunk.0, number, serial: me, count })
}

/// It does not wait any more.
fn leave_line(step: &mut Step, spot: &Spot) -> Result<(), ArenaError> {
    spot.chunk.clear_waiting(step, spot.i)?;
    if step.root(HEAD) != spot.chunk.0 {
        step.set_root(HEAD, spot.chunk.0);
    }
    subtract(step, LEN, 1)?;
    let len = spot.value.len(step)?;
    subtract(step, BYTES, len)
}

/// Where the message of a ticket is in flight; `None`: it is not, or not there.
pub(super) fn find(step: &Step, ticket: &Ticket) -> Result<Option<(Chunk, u64)>, ArenaError> {
    // A chunk that has messages is not freed: so if this one was, the message is not in flight.
    if step.inner.stocked_words(ticket.chunk, PAGE / 8, step.id).is_err() {
        return Ok(None);
    }
    let chunk = Chunk(ticket.chunk);
    let i = ticket.number.wrapping_sub(chunk.first(step)?);
    if i >= chunk.filled(step, step.root(NEXT))? || waits(&chunk.maps(step)?, i) {
        return Ok(None);
    }
    let taker = chunk.entry(i).taker(step)?;
    let is_it = taker == Taker { serial: ticket.serial, count: ticket.count };
    Ok(is_it.then_some((chunk, i)))
}

/// A message is done with: its bytes go.
pub(super) fn end(step: &mut Step, chunk: Chunk, i: u64) -> Result<(), ArenaError> {
    let entry = chunk.entry(i);
    entry.value(step)?.drop_last(step)?;
    step.set(entry.taker_at(), 0);
    let live = chunk.live(step)?.checked_sub(1).ok_or_else(|| step.corrupt("a chunk's count"))?;
    step.set(chunk.live_at(), live);
    subtract(step, UNFINISHED, 1)
}

/// A message that is in flight waits again, where it stood.
pub(super) fn put_back(step: &mut Step, chunk: Chunk, i: u64) -> Result<(), ArenaError> {
    chunk.set_waiting(step, i)?;
    come_back(step, chunk, 1, chunk.entry(i).value(step)?.len(step)?)
}

/// So many messages of a chunk, with so many bytes, wait again.
pub(super) fn come_back(
    step: &mut Step,
    chunk: Chunk,
    n: u64,
    bytes: u64,
) -> Result<(), ArenaError> {
    add(step, LEN, n);
    add(step, BYTES, bytes);
    let head = Chunk::of(step, step.root(HEAD))?;
    if chunk.first(step)? < head.first(step)? {
        step.set_root(HEAD, chunk.0);
    }
    Ok(())
}

/// Drops the message that would be taken next: it counts as done.
pub(super) fn drop_next(step: &mut Step) -> Result<(), ArenaError> {
    let spot = next(step)?;
    // By itself, so that what follows has room in the record: it must not need memory.
    if step.root(HEAD) != spot.chunk.0 {
        step.set_root(HEAD, spot.chunk.0);
        step.commit_quietly()?;
    }
    leave_line(step, &spot)?;
    end(step, spot.chunk, spot.i)?;
    crash_point!("delivery.dropping");
    step.commit()?;
    tidy(step, spot.chunk.0);
    Ok(())
}

/// After an operation that was committed: a chunk without messages goes, and what a sparse heap has is
/// moved, a little each time.
#[inline]
pub(super) fn tidy(step: &mut Step, chunk: u64) {
    if drop_if_empty(step, chunk).and_then(|()| tidy_heap(step)).is_err() {
        step.cancel();
    }
}

/// Its block is kept for the next one, if none is.
fn drop_if_empty(step: &mut Step, at: u64) -> Result<(), ArenaError> {
    if at == 0 || at == step.root(LAST) {
        return Ok(());
    }
    let chunk = Chunk::of(step, at)?;
    if chunk.live(step)? != 0 {
        return Ok(());
    }
    let (next, prev) = (chunk.next(step)?, chunk.prev(step)?);
    Chunk::of(step, next)?;
    step.set(Chunk(next).prev_at(), prev);
    if prev == 0 {
        step.set_root(FIRST, next);
    } else {
        Chunk::of(step, prev)?;
        step.set(Chunk(prev).next_at(), next);
    }
    if step.root(HEAD) == at {
        step.set_root(HEAD, next);
    }
    if step.root(MOVING) & !(PAGE - 1) == at {
        step.set_root(MOVING, next);
    }
    if step.root(SPARE) == 0 {
        step.set_root(SPARE, at);
    } else {
        step.free(at)?;
    }
    crash_point!("delivery.chunk_dropped");
    step.commit_quietly()
}

/// The cursor is a chunk's place, which ends in zeroes, and how many messages of it were looked at.
#[inline]
fn tidy_heap(step: &mut Step) -> Result<(), ArenaError> {
    if heap::is_wasteful(step) || step.root(MOVING) != 0 { tidy_some(step) } else { Ok(()) }
}

#[cold]
fn tidy_some(step: &mut Step) -> Result<(), ArenaError> {
    let cursor = match step.root(MOVING) {
        0 => step.root(FIRST),
        cursor => cursor,
    };
    if cursor == 0 {
        return Ok(());
    }
    let (chunk, from) = (Chunk::of(step, cursor & !(PAGE - 1))?, cursor % PAGE);
    let filled = chunk.filled(step, step.root(NEXT))?;
    let maps = chunk.maps(step)?;
    let mut moved = 0;
    for i in from..filled.min(from + LOOKED_AT) {
        let entry = chunk.entry(i);
        let is_there = waits(&maps, i) || entry.taker(step)?.serial != 0;
        if is_there && entry.value(step)?.is_lonely(step)? {
            if moved == MOVED {
                step.write_root(MOVING, chunk.0 + i);
                return Ok(());
            }
            let new = entry.value(step)?.moved(step)?;
            step.set(entry.0, new.0);
            step.commit_quietly()?;
            crash_point!("delivery.moved");
            moved += 1;
        }
    }
    let done = from + LOOKED_AT;
    step.write_root(MOVING, if done < filled { chunk.0 + done } else { chunk.next(step)? });
    Ok(())
}
