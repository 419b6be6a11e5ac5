//! A first-in-first-out ring of records in chained segments: many producers, many consumers, bounded
//! by count or unbounded, and whole at every instant.
//!
//! Two-lock queue after Michael and Scott (1996): producers share the tail lock, consumers the head
//! lock (both outside this file). Each side's only commit is one store to its 64-bit count:
//!
//! ```text
//! { head: n, tail: m }        n..m are the messages that are in
//! push: record written, place[(m + 1) & 1] written, then  tail: m + 1
//! pop:  record copied,  place[(n + 1) & 1] written, then  head: n + 1
//! ```
//!
//! The place and the byte total that belong to a count are kept twice and chosen by the count's
//! lowest bit, so that the store of the count switches all at once. Who is killed before that store
//! has done nothing; who is killed after it has done all.
//!
//! A record is a 4-byte header (length, kind, flags), the names of its block if it has one, and the
//! inline bytes, padded to 8. A record that does not fit ends its segment with a jump to the next.
//! What must hold: a cursor always has room for a jump (16 bytes) behind it.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::fault::crash_point;

/// Records carry up to this many bytes inline; more goes into a block.
pub(crate) const INLINE_MAX: usize = 32 * 1024;
/// And a pool's up to so many more, which say what the message is about.
pub(crate) const PREFIX_MAX: usize = 4 * 1024;

const JUMP_SIZE: u64 = 16;
pub(super) const JUMP_KIND: u32 = 0xf;
pub(super) const HAS_BLOCK: u32 = 1 << 4;

/// Header: `length << 8 | flags << 4 | kind`; a kind of 0 is none.
fn header(kind: u8, len: usize, block: bool) -> u32 {
    ((len as u32) << 8) | if block { HAS_BLOCK } else { 0 } | u32::from(kind)
}

/// A place in a segment: `offset << 8 | log2(segment size)`; 0 is none. Segments lie at multiples of
/// their size, so the place tells the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) u64);

impl Cursor {
    pub(crate) fn new(at: u64, log2: u32) -> Cursor {
        Cursor((at << 8) | u64::from(log2))
    }
    pub(crate) fn at(self) -> u64 {
        self.0 >> 8
    }
    pub(crate) fn log2(self) -> u32 {
        (self.0 & 0xff) as u32
    }
    pub(crate) fn size(self) -> u64 {
        1 << self.log2()
    }
    pub(crate) fn segment(self) -> u64 {
        self.at() & !(self.size() - 1)
    }
    pub(crate) fn end(self) -> u64 {
        self.segment() + self.size()
    }
    pub(super) fn advanced(self, by: u64) -> Cursor {
        Cursor(self.0 + (by << 8))
    }
    /// Room for `size` bytes and a jump behind them.
    pub(super) fn fits(self, size: u64) -> bool {
        self.at() + size + JUMP_SIZE <= self.end()
    }
}

/// What a record says of the block it carries: an offset and a length, checked by the taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockRef {
    pub(crate) at: u64,
    pub(crate) len: u64,
}

/// One end of a ring.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Side {
    pub(super) count: AtomicU64,
    pub(super) cursor: [AtomicU64; 2],
    /// Bytes that ever passed this end.
    pub(super) bytes: [AtomicU64; 2],
    /// The other side's count and bytes, seen once: never larger than the real ones.
    pub(super) other_seen: AtomicU64,
    pub(super) other_bytes: AtomicU64,
}

/// How much may be in a ring; 0: no bound. A message that is alone may be of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// The producers' end, on cache lines of its own.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Tail(pub(super) Side);

/// The consumers' end.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Head(pub(super) Side);

impl std::ops::Deref for Tail {
    type Target = Side;
    fn deref(&self) -> &Side {
        &self.0
    }
}

impl std::ops::Deref for Head {
    type Target = Side;
    fn deref(&self) -> &Side {
        &self.0
    }
}

impl Side {
    #[cfg(loom)]
    fn new() -> Side {
        let word = || AtomicU64::new(0);
        Side {
            count: word(),
            cursor: [word(), word()],
            bytes: [word(), word()],
            other_seen: word(),
            other_bytes: word(),
        }
    }

    /// How many messages ever passed this end.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Where the next message passes.
    pub(crate) fn cursor(&self) -> Cursor {
        let n = self.count.load(Ordering::Relaxed);
        Cursor(self.cursor[(n & 1) as usize].load(Ordering::Relaxed))
    }

    /// How many bytes ever passed this end; under its lock exact, else one message behind or ahead.
    pub(super) fn bytes(&self) -> u64 {
        let n = self.count.load(Ordering::Acquire);
        self.bytes[(n & 1) as usize].load(Ordering::Relaxed)
    }

    /// The commit of message `n`, of `size` bytes: the next one's place is `cursor`. Who sees the
    /// count sees all that came before.
    #[inline]
    fn commit(&self, n: u64, cursor: Cursor, size: u64) {
        let bytes = self.bytes[(n & 1) as usize].load(Ordering::Relaxed).wrapping_add(size);
        self.commit_to(n, 1, (cursor, bytes));
    }

    /// The commit of `k` messages, an odd number, from `n` on: the next one's place and all bytes
    /// before it.
    #[inline]
    pub(super) fn commit_to(&self, n: u64, k: u64, (cursor, bytes): (Cursor, u64)) {
        let next = ((n + k) & 1) as usize;
        self.bytes[next].store(bytes, Ordering::Relaxed);
        self.cursor[next].store(cursor.0, Ordering::Relaxed);
        crash_point!("ring.placed");
        self.count.store(n + k, Ordering::Release);
    }
}

/// Shared memory as the ring sees it. Offsets come from the ring and are checked by the memory.
pub(crate) trait Memory {
    type Error;
    /// The 8 bytes at `at` (a multiple of 8).
    fn load(&self, at: u64) -> Result<u64, Self::Error>;
    /// Writes 8 bytes.
    fn store(&self, at: u64, value: u64) -> Result<(), Self::Error>;
    fn copy_in(&self, at: u64, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Appends `len` bytes from `at` to `out`.
    fn copy_out(&self, at: u64, len: usize, out: &mut Vec<u8>) -> Result<(), Self::Error>;
    /// Checks that `c` lies in a segment of this queue.
    fn check(&self, c: Cursor) -> Result<(), Self::Error>;
    /// Notes on a fresh segment, before the commit, that it is given to this queue by message `n`.
    fn note_given(&self, segment: Cursor, n: u64) -> Result<(), Self::Error>;
    /// Notes on a segment, before the commit, that the taker of message `n` leaves it behind.
    fn note_left(&self, segment: Cursor, n: u64) -> Result<(), Self::Error>;
    /// Notes on a block, before the commit, who takes it with message `n`.
    fn note_taken(&self, block: BlockRef, n: u64) -> Result<(), Self::Error>;
    /// The ring contradicts itself.
    fn corrupt(&self, what: &'static str) -> Self::Error;
}

/// Why a push did not happen.
#[derive(Debug)]
pub(crate) enum PushError<E> {
    Full,
    /// A new segment of at least this size is needed: allocate it outside the lock and come again.
    NeedSegment(u64),
    Memory(E),
}

impl<E> From<E> for PushError<E> {
    fn from(e: E) -> Self {
        PushError::Memory(e)
    }
}

/// A message to be pushed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) inline: &'a [u8],
    pub(crate) block: Option<BlockRef>,
}

/// How long a record is.
fn record_size(inline: usize, has_block: bool) -> u64 {
    let lead = if has_block { 24 } else { 4 };
    (lead + inline as u64).next_multiple_of(8)
}

impl Record<'_> {
    pub(super) fn size(&self) -> u64 {
        record_size(self.inline.len(), self.block.is_some())
    }
    /// What counts against [`Limits::bytes`]: the record and its block.
    pub(crate) fn weight(&self) -> u64 {
        self.size() + self.block.map_or(0, |b| b.len)
    }
}

/// [`Record::weight`] of a message with so many inline bytes and a block of that length. If it said less,
/// who waits for room would find some and yet put nothing, and if it said more, sleep where there is room.
#[cfg(not(loom))]
pub(crate) fn weight(inline: usize, block: Option<usize>) -> u64 {
    record_size(inline, block.is_some()) + block.unwrap_or(0) as u64
}

/// What a pop brought, beside the inline bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Popped {
    pub(crate) kind: u8,
    pub(crate) block: Option<BlockRef>,
    /// The segment that was left behind; its memory is the popper's now.
    pub(crate) left: Option<Cursor>,
}

impl Tail {
    #[cfg(loom)]
    pub(crate) fn new() -> Tail {
        Tail(Side::new())
    }

    /// Whether there is no room for `weight` bytes more. Under the tail lock.
    #[inline]
    pub(crate) fn is_full(&self, head: &Head, limits: Limits, weight: u64) -> bool {
        let n = self.count.load(Ordering::Relaxed);
        let bytes = self.bytes[(n & 1) as usize].load(Ordering::Relaxed);
        self.is_full_at((n, bytes), head, limits, weight)
    }

    /// The same where so many messages and bytes have passed, with those of a run that are not committed.
    #[inline]
    pub(super) fn is_full_at(
        &self,
        (n, bytes): (u64, u64),
        head: &Head,
        limits: Limits,
        weight: u64,
    ) -> bool {
        if limits == (Limits { messages: 0, bytes: 0 }) {
            return false;
        }
        let is_full = |count: u64, seen: u64| {
            let there = n.wrapping_sub(count);
            let after = bytes.wrapping_sub(seen).saturating_add(weight);
            (limits.messages != 0 && there >= limits.messages)
                || (limits.bytes != 0 && there != 0 && after > limits.bytes)
        };
        let seen = (&self.other_seen, &self.other_bytes);
        if !is_full(seen.0.load(Ordering::Relaxed), seen.1.load(Ordering::Relaxed)) {
            return false;
        }
        // pairs with the commit in `pop`: what it read is out of the segments
        let count = head.count.load(Ordering::Acquire);
        // One that is newer than the count is as good.
        let gone = head.bytes[(count & 1) as usize].load(Ordering::Relaxed);
        seen.0.store(count, Ordering::Relaxed);
        seen.1.store(gone, Ordering::Relaxed);
        is_full(count, gone)
    }

    /// Pushes one record. Under the tail lock. `fresh` is a segment to use if one is needed; it is
    /// taken only if it was used.
    #[inline]
    pub(crate) fn push<M: Memory>(
        &self,
        mem: &M,
        head: &Head,
        limits: Limits,
        record: &Record<'_>,
        fresh: &mut Option<Cursor>,
    ) -> Result<u64, PushError<M::Error>> {
        let n = self.count.load(Ordering::Relaxed);
        if self.is_full(head, limits, record.weight()) {
            return Err(PushError::Full);
        }
        let size = record.size();
        let mut cursor = Cursor(self.cursor[(n & 1) as usize].load(Ordering::Relaxed));
        if cursor.0 == 0 || !cursor.fits(size) {
            cursor = Self::next_segment(mem, head, n, cursor, size, fresh)?;
        } else {
            mem.check(cursor)?;
        }
        write(mem, cursor.at(), record)?;
        crash_point!("put.copied");
        self.commit(n, cursor.advanced(size), record.weight());
        crash_point!("put.committed");
        Ok(n)
    }

    #[cold]
    pub(super) fn next_segment<M: Memory>(
        mem: &M,
        head: &Head,
        n: u64,
        cursor: Cursor,
        size: u64,
        fresh: &mut Option<Cursor>,
    ) -> Result<Cursor, PushError<M::Error>> {
        let need = (size + JUMP_SIZE).next_power_of_two();
        let Some(next) = fresh.filter(|s| s.fits(size)) else {
            // Grow while the consumers are more than a segment behind, else stay small.
            let behind = cursor.0 != 0 && {
                let h = head.count.load(Ordering::Acquire);
                let at = head.cursor[(h & 1) as usize].load(Ordering::Relaxed);
                Cursor(at).segment() != cursor.segment()
            };
            let grown = if behind { cursor.size() * 2 } else { 0 };
            return Err(PushError::NeedSegment(need.max(grown)));
        };
        mem.note_given(next, n)?;
        crash_point!("put.segment_noted");
        if cursor.0 == 0 {
            // The first segment: nobody looks at the head's cursor before there is a message.
            let h = head.count.load(Ordering::Relaxed);
            head.cursor[(h & 1) as usize].store(next.0, Ordering::Relaxed);
        } else {
            mem.check(cursor)?;
            mem.store(cursor.at(), u64::from(JUMP_KIND))?;
            mem.store(cursor.at() + 8, next.0)?;
        }
        crash_point!("put.jump_written");
        *fresh = None;
        Ok(next)
    }
}

#[inline]
pub(super) fn write<M: Memory>(mem: &M, at: u64, record: &Record<'_>) -> Result<(), M::Error> {
    let head = header(record.kind, record.inline.len(), record.block.is_some());
    // The first 8 bytes in one store: the header and up to 4 bytes of what follows it.
    let mut first = [0u8; 8];
    first[..4].copy_from_slice(&head.to_le_bytes());
    if let Some(b) = record.block {
        mem.store(at, u64::from_le_bytes(first))?;
        mem.store(at + 8, b.at)?;
        mem.store(at + 16, b.len)?;
        return mem.copy_in(at + 24, record.inline);
    }
    let near = record.inline.len().min(4);
    first[4..4 + near].copy_from_slice(&record.inline[..near]);
    mem.store(at, u64::from_le_bytes(first))?;
    if record.inline.len() > 4 { mem.copy_in(at + 8, &record.inline[4..]) } else { Ok(()) }
}

impl Head {
    #[cfg(loom)]
    pub(crate) fn new() -> Head {
        Head(Side::new())
    }

    /// Pops one record; `out` gets its inline bytes. Under the head lock. `None`: empty.
    #[inline]
    pub(crate) fn pop<M: Memory>(
        &self,
        mem: &M,
        tail: &Tail,
        out: &mut Vec<u8>,
    ) -> Result<Option<Popped>, M::Error> {
        let n = self.count.load(Ordering::Relaxed);
        if n == self.other_seen.load(Ordering::Relaxed) {
            let t = tail.count.load(Ordering::Acquire); // pairs with the commit
            self.other_seen.store(t, Ordering::Relaxed);
            if n == t {
                return Ok(None);
            }
        }
        let mut cursor = Cursor(self.cursor[(n & 1) as usize].load(Ordering::Relaxed));
        mem.check(cursor)?;
        let mut left = None;
        let mut first = mem.load(cursor.at())?;
        if first as u32 == JUMP_KIND {
            let next = Cursor(mem.load(cursor.at() + 8)?);
            mem.check(next)?;
            mem.note_left(cursor, n)?;
            crash_point!("get.segment_noted");
            left = Some(cursor);
            cursor = next;
            first = mem.load(cursor.at())?;
        }
        let (popped, size) = read(mem, cursor, first, out)?;
        crash_point!("get.copied");
        if let Some(b) = popped.block {
            mem.note_taken(b, n)?;
            crash_point!("get.block_noted");
        }
        let weight = size + popped.block.map_or(0, |b| b.len);
        self.commit(n, cursor.advanced(size), weight);
        crash_point!("get.committed");
        Ok(Some(Popped { left, ..popped }))
    }
}

#[inline]
pub(super) fn read<M: Memory>(
    mem: &M,
    cursor: Cursor,
    first: u64,
    out: &mut Vec<u8>,
) -> Result<(Popped, u64), M::Error> {
    let head = first as u32;
    let (kind, len) = ((head & 0xf) as u8, (head >> 8) as usize);
    if kind == 0 || u32::from(kind) == JUMP_KIND || len > INLINE_MAX + PREFIX_MAX {
        return Err(mem.corrupt("a record's header"));
    }
    let has_block = head & HAS_BLOCK != 0;
    let size = record_size(len, has_block);
    if !cursor.fits(size) {
        return Err(mem.corrupt("a record's length"));
    }
    let at = cursor.at();
    let mut block = None;
    if has_block {
        block = Some(BlockRef { at: mem.load(at + 8)?, len: mem.load(at + 16)? });
        mem.copy_out(at + 24, len, out)?;
    } else {
        out.extend_from_slice(&first.to_le_bytes()[4..4 + len.min(4)]);
        if len > 4 {
            mem.copy_out(at + 8, len - 4, out)?;
        }
    }
    Ok((Popped { kind, block, left: None }, size))
}
