//! Where the bytes of keys and values lie.
//!
//! A *ref* is one word that says all of it; 0 is none.
//!
//! | bits | tiny | small | large |
//! |---|---|---|---|
//! | 0..3 | 1 | 2 | 3 |
//! | 3..8 | length, at most 6 | log2 of its segment's size | – |
//! | 8..16 | kind | kind | kind |
//! | 16..64 | the bytes | where its record lies | its block |
//!
//! Small ones lie in segments, blocks of 4 KiB to 256 KiB that are filled one after the other. A
//! segment begins with the number of its bytes that are in use; a record is its length and its bytes,
//! padded to 8. A segment of which nothing is in use is freed. When less than half of all is in use,
//! what the emptier segments have is moved to the end, a little with each operation. Large ones have a
//! block of their own, which may carry handles.

mod ends;

use super::stock::Stock;
use crate::arena::block::{Block, is_long_run};
use crate::arena::family::Inner;
use crate::arena::lease::{self, Lease};
use crate::arena::objects::ObjectId;
use crate::arena::pin::Pin;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;

/// Roots: the segment being filled (`at << 8 | log2`), where it is filled, the bytes of all segments,
/// and how many of them are in use. Without a segment the others mean nothing.
pub(super) const TAIL: usize = 0;
const POS: usize = 1;
const ROOM: usize = 2;
const LIVE: usize = 3;
/// How far the moving has come, plus one; 0: nothing is being moved. Its meaning is the kind's.
pub(super) const MOVING: usize = 4;

const TINY: u64 = 1;
const SMALL: u64 = 2;
const LARGE: u64 = 3;
/// From here on a block of its own.
pub(super) const LARGE_MIN: usize = 4096;
/// From here on a value is copied out without the lock.
const PINNED_MIN: u64 = 64 << 10;
/// So many bytes are overwritten where they lie, if they have the room.
const IN_PLACE: usize = 32;
const MIN_SEGMENT: u32 = 12;
const MAX_SEGMENT: u32 = 18;
/// Bytes before the first record.
const HEAD: u64 = 16;
/// So much may lie unused before anything is moved.
const SLACK: u64 = 16 << 10;

/// Bytes to be stored.
///
/// # Examples
/// ```
/// use procession::collections::Datum;
/// assert_eq!(Datum::plain(b"\x07").kind, procession::codec::PLAIN);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Datum<'a> {
    /// The caller's word for their format; [`PLAIN`](crate::codec::PLAIN) is MessagePack.
    pub kind: u8,
    /// The bytes.
    pub bytes: &'a [u8],
    /// What the handles inside name: it lives as long as the bytes are stored.
    pub holds: &'a [Lease],
}

impl<'a> Datum<'a> {
    /// Plain data.
    #[must_use]
    pub fn plain(bytes: &'a [u8]) -> Datum<'a> {
        Datum { kind: crate::codec::PLAIN, bytes, holds: &[] }
    }
}

/// A datum on its way in: what needs a block has one. It is made before the lock is taken, and dropped
/// after it is released: blocks are allocated and freed then.
pub(super) enum Ready<'a> {
    Tiny(Ref),
    Small(u8, &'a [u8]),
    Large(u8, Block),
    Stored,
}

impl<'a> Ready<'a> {
    /// One that needs no block.
    #[inline]
    pub(super) fn light(datum: &Datum<'a>) -> Option<Ready<'a>> {
        let Datum { kind, bytes, holds } = *datum;
        (bytes.len() < LARGE_MIN && holds.is_empty())
            .then(|| Ref::tiny(kind, bytes).map_or(Ready::Small(kind, bytes), Ready::Tiny))
    }

    #[inline]
    pub(super) fn new(inner: &'static Inner, datum: &Datum<'a>) -> Result<Ready<'a>, ArenaError> {
        if let Some(light) = Ready::light(datum) {
            return Ok(light);
        }
        let ids = lease::ids_of(inner, datum.holds);
        let mut block = Block::alloc(inner, datum.bytes.len(), &ids)?;
        block.write(0, datum.bytes);
        Ok(Ready::Large(datum.kind, block))
    }

    /// Stores it.
    #[inline]
    pub(super) fn put(&mut self, step: &mut Step) -> Result<Ref, ArenaError> {
        match std::mem::replace(self, Ready::Stored) {
            Ready::Stored => Err(step.corrupt("a value is stored twice")),
            Ready::Tiny(r) => Ok(r),
            Ready::Small(kind, bytes) => append(step, kind, bytes),
            Ready::Large(kind, block) => {
                let at = block.reference().at;
                block.given_away();
                step.adopt(at)?;
                Ok(Ref(at << 16 | u64::from(kind) << 8 | LARGE))
            }
        }
    }
}

/// Makes the word at `at`, which has the ref `old`, refer to another datum.
#[inline]
pub(super) fn replace(
    step: &mut Step,
    at: u64,
    old: Ref,
    value: &mut Ready<'_>,
) -> Result<(), ArenaError> {
    if let Ready::Small(kind, bytes) = *value
        && old.overwrite(step, bytes)?
    {
        let kindless = old.0 & !(0xff << 8);
        step.set(at, kindless | u64::from(kind) << 8);
        return Ok(());
    }
    let new = value.put(step)?;
    step.set(at, new.0);
    old.drop(step)
}

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ref(pub(super) u64);

impl Ref {
    #[inline]
    pub(super) fn tiny(kind: u8, bytes: &[u8]) -> Option<Ref> {
        let mut word = [TINY as u8 | (bytes.len() as u8) << 3, kind, 0, 0, 0, 0, 0, 0];
        word.get_mut(2..2 + bytes.len())?.copy_from_slice(bytes);
        Some(Ref(u64::from_le_bytes(word)))
    }

    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) fn kind(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline]
    fn tag(self) -> u64 {
        self.0 & 7
    }

    fn at(self) -> u64 {
        self.0 >> 16
    }

    /// Bytes of a segment that a record takes.
    fn size(len: u64) -> u64 {
        8 + len.next_multiple_of(8)
    }

    /// A small one's segment, its end, and its length: all within the segment.
    #[inline]
    fn record(self, step: &Step) -> Result<(u64, u64), ArenaError> {
        let (at, log2) = (self.at(), (self.0 >> 3 & 31) as u32);
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&log2) {
            return Err(step.corrupt("a ref"));
        }
        let segment = at & !((1 << log2) - 1);
        let len = step.inner.map.word(at)?.load(Ordering::Relaxed);
        if at < segment + HEAD || len >= LARGE_MIN as u64 || at + 8 + len > segment + (1 << log2) {
            return Err(step.corrupt("a record's length"));
        }
        Ok((segment, len))
    }

    /// Appends the bytes to `out`.
    #[inline]
    pub(super) fn read(self, step: &Step, out: &mut Vec<u8>) -> Result<(), ArenaError> {
        match self.tag() {
            TINY => {
                let len = (self.0 >> 3 & 31) as usize;
                let bytes = self.0.to_le_bytes();
                out.extend_from_slice(bytes.get(2..2 + len).ok_or_else(|| step.corrupt("a ref"))?);
                Ok(())
            }
            SMALL => {
                let (_, len) = self.record(step)?;
                step.inner.map.copy_out(self.at() + 8, len as usize, out)
            }
            LARGE => {
                let len = self.large_len(step)?;
                step.inner.copy_block_out(self.at(), len, out)
            }
            _ => Err(step.corrupt("a ref")),
        }
    }

    /// The same, but a long one is only kept, to be copied when the lock is released.
    #[inline]
    pub(super) fn read_or_pin(
        self,
        step: &Step,
        out: &mut Vec<u8>,
    ) -> Result<Option<Pin>, ArenaError> {
        if self.tag() == LARGE
            && let pin @ Some(_) = self.pin(step)?
        {
            return Ok(pin);
        }
        self.read(step, out)?;
        Ok(None)
    }

    #[cold]
    fn pin(self, step: &Step) -> Result<Option<Pin>, ArenaError> {
        let len = self.large_len(step)?;
        if len < PINNED_MIN { Ok(None) } else { step.pin(self.at(), len) }
    }

    /// How many bytes there are.
    #[inline]
    pub(super) fn len(self, step: &Step) -> Result<u64, ArenaError> {
        match self.tag() {
            TINY => Ok(self.0 >> 3 & 31),
            SMALL => Ok(self.record(step)?.1),
            LARGE => self.large_len(step),
            _ => Err(step.corrupt("a ref")),
        }
    }

    fn large_len(self, step: &Step) -> Result<u64, ArenaError> {
        let desc = step.inner.stocked(self.at(), step.id)?;
        let len = desc.len.load(Ordering::Relaxed);
        if len > step.inner.block_room(self.at())? {
            return Err(step.corrupt("a block's length"));
        }
        Ok(len)
    }

    /// Whether these are its kind and bytes.
    #[inline]
    pub(super) fn equals(self, step: &Step, datum: &Datum<'_>) -> Result<bool, ArenaError> {
        if self.kind() != datum.kind {
            return Ok(false);
        }
        match self.tag() {
            TINY => Ok(Ref::tiny(datum.kind, datum.bytes) == Some(self)),
            SMALL => {
                let (_, len) = self.record(step)?;
                Ok(len == datum.bytes.len() as u64
                    && step.inner.map.equals(self.at() + 8, datum.bytes)?)
            }
            _ => {
                let len = self.large_len(step)?;
                if len != datum.bytes.len() as u64 {
                    return Ok(false);
                }
                if !is_long_run(len) {
                    return step.inner.map.equals(self.at(), datum.bytes);
                }
                let mut bytes = Vec::new();
                self.read(step, &mut bytes)?;
                Ok(bytes == datum.bytes)
            }
        }
    }

    /// The objects whose handles it carries.
    #[inline]
    pub(super) fn holds(self, step: &Step) -> Result<Vec<ObjectId>, ArenaError> {
        if self.tag() != LARGE {
            return Ok(Vec::new());
        }
        step.inner.held_by(self.at(), step.inner.stocked(self.at(), step.id)?)
    }

    /// The bytes are not in use any more.
    #[inline]
    pub(super) fn drop(self, step: &mut Step) -> Result<(), ArenaError> {
        match self.tag() {
            SMALL => {
                let (segment, len) = self.record(step)?;
                let size = Ref::size(len);
                let in_use = step.load(segment)?.checked_sub(size);
                let in_use = in_use.ok_or_else(|| step.corrupt("a segment's count"))?;
                let live = step.root(LIVE).saturating_sub(size);
                step.set(segment, in_use);
                step.set_root(LIVE, live);
                if in_use == 0 && step.root(TAIL) >> 8 != segment {
                    let room = 1 << (self.0 >> 3 & 31);
                    step.free(segment)?;
                    step.set_root(ROOM, step.root(ROOM).saturating_sub(room));
                }
                Ok(())
            }
            LARGE => step.free(self.at()),
            _ => Ok(()),
        }
    }

    /// Where the bytes of a small one lie, if there are `len` of them.
    #[inline]
    pub(super) fn bytes_at(self, step: &Step, len: u64) -> Result<u64, ArenaError> {
        if self.tag() == SMALL && self.record(step)?.1 == len {
            return Ok(self.at() + 8);
        }
        Err(step.corrupt("a ref to words"))
    }

    /// Another one with the same bytes. It has no handles.
    pub(super) fn duplicate(self, step: &mut Step) -> Result<Ref, ArenaError> {
        if self.is_none() || self.tag() == TINY {
            return Ok(self);
        }
        let mut bytes = Vec::new();
        self.read(step, &mut bytes)?;
        if self.tag() == SMALL {
            return append(step, self.kind(), &bytes);
        }
        let at = step.alloc(bytes.len() as u64)?;
        step.inner.map.copy_in(at, &bytes)?;
        Ok(Ref(at << 16 | u64::from(self.kind()) << 8 | LARGE))
    }

    /// Writes other bytes over a small one that has the same place for them, if they are few: false if
    /// that is not so.
    #[inline]
    fn overwrite(self, step: &mut Step, bytes: &[u8]) -> Result<bool, ArenaError> {
        if self.tag() != SMALL || bytes.len() > IN_PLACE {
            return Ok(false);
        }
        let (_, old) = self.record(step)?;
        if Ref::size(old) != Ref::size(bytes.len() as u64) {
            return Ok(false);
        }
        if old != bytes.len() as u64 {
            step.set(self.at(), bytes.len() as u64);
        }
        for (i, part) in (1..).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            step.set(self.at() + 8 * i, u64::from_le_bytes(word));
        }
        Ok(true)
    }

    /// Whether its segment is so empty that it is better moved.
    pub(super) fn is_lonely(self, step: &Step) -> Result<bool, ArenaError> {
        if self.tag() != SMALL {
            return Ok(false);
        }
        let (segment, _) = self.record(step)?;
        let room = 1 << (self.0 >> 3 & 31);
        Ok(step.root(TAIL) >> 8 != segment && step.load(segment)? < room / 4 * 3)
    }

    /// Moves it to the end.
    pub(super) fn moved(self, step: &mut Step) -> Result<Ref, ArenaError> {
        let mut bytes = Vec::with_capacity(64);
        self.read(step, &mut bytes)?;
        let new = append(step, self.kind(), &bytes)?;
        self.drop(step)?;
        Ok(new)
    }
}

/// Writes a record at the end of the last segment, or of a new one.
#[inline]
fn append(step: &mut Step, kind: u8, bytes: &[u8]) -> Result<Ref, ArenaError> {
    let size = Ref::size(bytes.len() as u64);
    let tail = step.root(TAIL);
    let (mut segment, mut log2) = (tail >> 8, tail as u32 & 31);
    let mut at = step.root(POS);
    if tail == 0 || at.saturating_add(size) > segment + (1 << log2) {
        (segment, log2) = new_segment(step, size)?;
        at = segment + HEAD;
    }
    let sound = (MIN_SEGMENT..=MAX_SEGMENT).contains(&log2) && segment.is_multiple_of(1 << log2);
    if !sound || at < segment + HEAD || !at.is_multiple_of(8) {
        return Err(step.corrupt("the heap's end"));
    }
    step.write(at, bytes.len() as u64)?;
    step.inner.map.copy_in(at + 8, bytes)?;
    let (in_use, live) = (step.load(segment)?, step.root(LIVE));
    step.set(segment, in_use.wrapping_add(size));
    step.set_root(POS, at + size);
    step.set_root(LIVE, live.wrapping_add(size));
    Ok(Ref(at << 16 | u64::from(kind) << 8 | u64::from(log2) << 3 | SMALL))
}

#[cold]
fn new_segment(step: &mut Step, size: u64) -> Result<(u64, u32), ArenaError> {
    let tail = step.root(TAIL);
    let (mut room, mut live) = (step.root(ROOM), step.root(LIVE));
    if tail == 0 {
        (room, live) = (0, 0);
    }
    let wanted = (room / 4).max(size + HEAD).next_power_of_two().trailing_zeros();
    let log2 = wanted.clamp(MIN_SEGMENT, MAX_SEGMENT);
    let at = step.alloc(1 << log2)?;
    step.write(at, 0)?;
    if tail != 0 && step.load(tail >> 8)? == 0 {
        step.free(tail >> 8)?;
        room = room.saturating_sub(1 << (tail & 31));
    }
    step.set_root(TAIL, at << 8 | u64::from(log2));
    step.set_root(ROOM, room.wrapping_add(1 << log2));
    step.set_root(LIVE, live);
    Ok((at, log2))
}

/// Words in a record of their own.
pub(super) fn append_words(step: &mut Step, words: &[u64]) -> Result<Ref, ArenaError> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    append(step, 0, &bytes)
}

/// Bytes of all segments.
pub(super) fn room(step: &Step) -> u64 {
    if step.root(TAIL) == 0 { 0 } else { step.root(ROOM) }
}

/// Whether more than half of it is not in use, and not all of it is the segment that is being filled,
/// out of which nothing is moved.
#[inline]
pub(super) fn is_wasteful(step: &Step) -> bool {
    let (tail, room) = (step.root(TAIL), step.root(ROOM));
    tail != 0 && room / 2 > step.root(LIVE).saturating_add(SLACK / 2) && room > 1 << (tail & 31)
}

/// Bytes in use, as it is booked.
pub(super) fn in_use(step: &Step) -> u64 {
    if step.root(TAIL) == 0 { 0 } else { step.root(LIVE) }
}

/// The same, without the lock: about so many.
pub(super) fn peek_in_use(stock: &Stock) -> u64 {
    if stock.peek(TAIL) == 0 { 0 } else { stock.peek(LIVE) }
}

/// Bytes of a segment that this one takes, and which.
pub(super) fn taken(step: &Step, r: Ref) -> Result<Option<(u64, u64)>, ArenaError> {
    if r.tag() != SMALL {
        return Ok(None);
    }
    let (segment, len) = r.record(step)?;
    Ok(Some((segment, Ref::size(len))))
}

/// What the books say else than what was found in use: bytes by segment.
pub(super) fn differences(
    step: &Step,
    found: &std::collections::HashMap<u64, u64>,
) -> Result<Vec<String>, ArenaError> {
    let mut wrong = Vec::new();
    for (&segment, &size) in found {
        let booked = step.load(segment)?;
        if booked != size {
            wrong.push(format!("{size} bytes are in use at {segment:#x}, {booked} are booked"));
        }
    }
    let all: u64 = found.values().sum();
    if all != in_use(step) {
        wrong.push(format!("{all} bytes are in use, {} are booked", in_use(step)));
    }
    Ok(wrong)
}
