//! Many messages at one end with one commit, and a look at the next one.
//!
//! A *run* is what is pushed or popped together: messages without blocks, bounded by count and bytes so
//! that others get their turn at the lock. The place that belongs to a count is chosen by its lowest
//! bit, so a commit must change that bit: a run of an even number is committed as all but its last, and
//! its last. Who is killed before the first of the two stores has done nothing.
//!
//! ```text
//! run of k, odd:   records written, place written,  tail: m + k
//! run of k, even:  the same with k - 1, then with 1
//! ```
//!
//! What a run notes beforehand it notes for one message, as a single push or pop does: a fresh segment for
//! the run's first, since only that one is taken back from a dead owner of the tail lock; the segment
//! that is left for the message behind the jump, whose next taker notes it anew: what is committed without that
//! message ends before the jump.

#[cfg(not(loom))]
use super::fifo::Popped;
use super::fifo::{
    Cursor, HAS_BLOCK, Head, JUMP_KIND, Limits, Memory, PushError, Record, Side, Tail, read, write,
};
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

/// A run has at most so many messages, and ends with the one that brings it to so many bytes.
#[cfg(not(loom))]
const RUN_MAX: u64 = 256;
#[cfg(loom)]
const RUN_MAX: u64 = 3;
const RUN_BYTES: u64 = 64 * 1024;

/// Messages of one kind without blocks: their bytes, one after the other, and where each ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) kind: u8,
    pub(crate) bytes: &'a [u8],
    /// Where the first begins.
    pub(crate) start: usize,
    pub(crate) ends: &'a [usize],
}

impl<'a> Batch<'a> {
    fn records(self) -> impl Iterator<Item = Record<'a>> {
        let starts = std::iter::once(self.start).chain(self.ends.iter().copied());
        let inline = starts.zip(self.ends).map(move |(start, &end)| &self.bytes[start..end]);
        inline.map(move |inline| Record { kind: self.kind, inline, block: None })
    }
}

/// Where the next message of a side passes, and how many bytes passed before it.
#[derive(Debug, Clone, Copy)]
struct Place {
    cursor: Cursor,
    bytes: u64,
}

impl Place {
    fn advanced(self, size: u64) -> Place {
        Place { cursor: self.cursor.advanced(size), bytes: self.bytes.wrapping_add(size) }
    }
}

/// `k` messages from number `n` on, which end at `end`; all but the last end at `last`, which may be a jump
/// before that one.
#[derive(Debug, Clone, Copy)]
struct Run {
    n: u64,
    k: u64,
    last: Place,
    end: Place,
}

impl Run {
    fn at(side: &Side) -> Run {
        let n = side.count.load(Ordering::Relaxed);
        let place = Place { cursor: side.cursor(), bytes: side.bytes() };
        Run { n, k: 0, last: place, end: place }
    }

    /// The next message begins at `cursor` and has this size.
    fn grow(&mut self, cursor: Cursor, size: u64) {
        self.last = self.end;
        self.end = Place { cursor, ..self.end }.advanced(size);
        self.k += 1;
    }

    fn is_long(&self, begun: u64) -> bool {
        self.k >= RUN_MAX || self.end.bytes.wrapping_sub(begun) >= RUN_BYTES
    }

    fn commit(self, side: &Side) {
        let place = |p: Place| (p.cursor, p.bytes);
        if self.k % 2 == 1 {
            return side.commit_to(self.n, self.k, place(self.end));
        }
        // Nobody finds the last record of a run that is only said to be shorter.
        side.commit_to(self.n, self.k - 1, place(self.last));
        crash_point!("ring.run_halved");
        side.commit_to(self.n + self.k - 1, 1, place(self.end));
    }
}

impl Tail {
    /// Pushes as many of the batch as make a run, at least one. Under the tail lock; `fresh` as in
    /// [`Tail::push`].
    pub(crate) fn push_run<M: Memory>(
        &self,
        mem: &M,
        head: &Head,
        limits: Limits,
        batch: Batch<'_>,
        fresh: &mut Option<Cursor>,
    ) -> Result<u64, PushError<M::Error>> {
        let mut run = Run::at(self);
        let begun = run.end.bytes;
        for record in batch.records() {
            let passed = (run.n + run.k, run.end.bytes);
            if run.is_long(begun) || self.is_full_at(passed, head, limits, record.weight()) {
                break;
            }
            let size = record.size();
            let mut cursor = run.end.cursor;
            if cursor.0 == 0 || !cursor.fits(size) {
                if run.k > 0 {
                    break;
                }
                cursor = Self::next_segment(mem, head, run.n, cursor, size, fresh)?;
            } else if run.k == 0 {
                mem.check(cursor)?;
            }
            write(mem, cursor.at(), &record)?;
            run.grow(cursor, size);
        }
        if run.k == 0 {
            return Err(PushError::Full);
        }
        crash_point!("put.run_copied");
        run.commit(self);
        crash_point!("put.committed");
        Ok(run.k)
    }
}

/// What a pop of a run brought, beside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoppedRun {
    /// How many messages; 0: the next one does not belong into such a run.
    pub(crate) count: u64,
    /// The segment that was left behind; its memory is the popper's now.
    pub(crate) left: Option<Cursor>,
}

impl Head {
    /// How many messages there are, up to `max`.
    fn there(&self, n: u64, tail: &Tail, max: u64) -> u64 {
        let seen = self.other_seen.load(Ordering::Relaxed).wrapping_sub(n);
        if seen >= max {
            return max;
        }
        let t = tail.count.load(Ordering::Acquire); // pairs with the commit
        self.other_seen.store(t, Ordering::Relaxed);
        t.wrapping_sub(n).min(max)
    }

    /// Pops messages of this kind without blocks, at most `max`: `out` gets their bytes, `ends` where
    /// each ends. Under the head lock. `None`: empty.
    pub(crate) fn pop_run<M: Memory>(
        &self,
        mem: &M,
        tail: &Tail,
        kind: u8,
        max: u64,
        (out, ends): (&mut Vec<u8>, &mut Vec<usize>),
    ) -> Result<Option<PoppedRun>, M::Error> {
        let mut run = Run::at(self);
        let there = self.there(run.n, tail, max.clamp(1, RUN_MAX));
        if there == 0 {
            return Ok(None);
        }
        let begun = run.end.bytes;
        let mut left = None;
        mem.check(run.end.cursor)?;
        while run.k < there && !run.is_long(begun) {
            let Some((cursor, first)) = step(mem, &run, left.is_none())? else {
                break;
            };
            if (first & 0xf) as u8 != kind || first as u32 & HAS_BLOCK != 0 {
                break;
            }
            let start = out.len();
            let size = match read(mem, cursor, first, out) {
                Ok((_, size)) => size,
                // Those before it are whole: whoever comes for this one hears of it.
                Err(_) if run.k > 0 => {
                    out.truncate(start);
                    break;
                }
                Err(e) => return Err(e),
            };
            if cursor.segment() != run.end.cursor.segment() {
                mem.note_left(run.end.cursor, run.n + run.k)?;
                crash_point!("get.segment_noted");
                left = Some(run.end.cursor);
            }
            ends.push(out.len());
            run.grow(cursor, size);
        }
        if run.k == 0 {
            return Ok(Some(PoppedRun { count: 0, left: None }));
        }
        crash_point!("get.run_copied");
        run.commit(self);
        crash_point!("get.committed");
        Ok(Some(PoppedRun { count: run.k, left }))
    }

    /// Copies what lies in the record that would be popped next: its number, kind and block, and the
    /// inline bytes to `out`. Under the head lock. `None`: empty.
    #[cfg(not(loom))]
    pub(crate) fn front<M: Memory>(
        &self,
        mem: &M,
        tail: &Tail,
        out: &mut Vec<u8>,
    ) -> Result<Option<(u64, Popped)>, M::Error> {
        let run = Run::at(self);
        if self.there(run.n, tail, 1) == 0 {
            return Ok(None);
        }
        mem.check(run.end.cursor)?;
        let Some((cursor, first)) = step(mem, &run, true)? else {
            return Ok(None);
        };
        let (popped, _) = read(mem, cursor, first, out)?;
        Ok(Some((run.n, popped)))
    }

    /// Whether message `n` is the next one. Under the head lock.
    #[cfg(not(loom))]
    pub(crate) fn is_next(&self, n: u64) -> bool {
        self.count.load(Ordering::Relaxed) == n
    }
}

/// Where the next record of a run begins, and its first 8 bytes. `None`: it lies in another segment, and
/// may not.
fn step<M: Memory>(mem: &M, run: &Run, may_jump: bool) -> Result<Option<(Cursor, u64)>, M::Error> {
    let cursor = run.end.cursor;
    let first = mem.load(cursor.at())?;
    if first as u32 != JUMP_KIND {
        return Ok(Some((cursor, first)));
    }
    if !may_jump {
        return Ok(None);
    }
    let next = Cursor(mem.load(cursor.at() + 8)?);
    mem.check(next)?;
    Ok(Some((next, mem.load(next.at())?)))
}
