//! A queue whose newest message is taken first: a stack of refs, and a heap for what they refer to.
//!
//! The refs lie in blocks of 511, each of which names the one below; all but the top one are full. One
//! empty block is kept, so that a queue that goes to and fro at a block's end allocates nothing. The heap
//! is a stack as well: it ends where the newest value does.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU64;

use super::heap::{self, Datum, MOVING, Ready, Ref, TAIL};
use super::line::{Line, OfferError, Order, STAGE, face, stored};
use super::list::Values;
use super::stock::Copied;
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// Roots: the top block, and one that is kept.
const TOP: usize = 7;
const SPARE: usize = 8;
/// Refs in a block, behind the word that names the block below.
const PER_BLOCK: u64 = 511;

/// A queue of bytes between processes whose newest message is taken first.
///
/// Each put and each get is one atomic step. A process that dies in the middle of one leaves the queue as
/// it was before, or as it is after; who waits goes on waiting.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawLifoQueue, collections::Datum};
/// let q = RawLifoQueue::create(Family::current()?, None)?;
/// q.try_put(&Datum::plain(b"one"))?;
/// q.try_put(&Datum::plain(b"two"))?;
/// let mut out = Vec::new();
/// assert!(q.try_get(&mut out)?.is_some());
/// assert_eq!(out, b"two");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawLifoQueue {
    line: Line<Newest>,
}

face!(RawLifoQueue);

struct Newest;

impl Order for Newest {
    const KIND: Kind = Kind::Lifo;
    type Spot = u64;

    #[inline]
    fn shape(_: &[u8]) -> u64 {
        1
    }
    #[inline]
    fn store(step: &mut Step, _: &[u8], value: &Datum<'_>) -> Result<(), ArenaError> {
        let mut value = Ready::light(value).ok_or_else(|| step.corrupt("a staged message"))?;
        put(step, &mut value)
    }
    #[inline]
    fn next(step: &Step) -> Result<(Ref, u64), ArenaError> {
        let (block, at) = top(step, stored(step)?)?;
        Ok((Ref(step.load(at)?), block))
    }
    #[inline]
    fn remove(step: &mut Step, value: Ref, block: u64, left: u64) -> Result<(), ArenaError> {
        pop(step, value, block, left)
    }
    #[inline]
    fn is_next(_: &Step, _: &[u8]) -> Result<bool, ArenaError> {
        Ok(true)
    }
    fn passes(_: &[u8], _: &[u8]) -> bool {
        true
    }
    fn clear(step: &mut Step) -> Result<(), ArenaError> {
        step.free_all(step.root(STAGE))?;
        for root in [TOP, SPARE, TAIL, MOVING] {
            if step.root(root) != 0 {
                step.set_root(root, 0);
            }
        }
        crash_point!("lifo.clearing");
        Ok(())
    }
    /// What is taken is the newest, which lies at the heap's end: nothing needs to be moved.
    #[inline]
    fn tidy(_: &mut Step) {}
}

/// The top block, and where in it the last of `len` refs lies.
fn top(step: &Step, len: u64) -> Result<(u64, u64), ArenaError> {
    let block = step.root(TOP);
    step.inner.stocked_words(block, PER_BLOCK + 1, step.id)?;
    Ok((block, block + 8 * (len.wrapping_sub(1) % PER_BLOCK + 1)))
}

#[inline]
fn put(step: &mut Step, value: &mut Ready<'_>) -> Result<(), ArenaError> {
    let r = value.put(step)?;
    push(step, r)?;
    crash_point!("lifo.putting");
    Ok(())
}

fn push(step: &mut Step, r: Ref) -> Result<(), ArenaError> {
    let len = stored(step)?.wrapping_add(1);
    if len % PER_BLOCK == 1 {
        let mut block = step.root(SPARE);
        if block == 0 {
            block = step.alloc(8 * (PER_BLOCK + 1))?;
        } else {
            step.inner.stocked_words(block, PER_BLOCK + 1, step.id)?;
            step.set_root(SPARE, 0);
        }
        step.write(block, step.root(TOP))?;
        step.write(block + 8, r.0)?;
        step.set_root(TOP, block);
        return Ok(());
    }
    // What lies above the length means nothing yet.
    let at = top(step, len)?.1;
    step.write(at, r.0)
}

/// Lets go of the newest one.
#[inline]
fn pop(step: &mut Step, value: Ref, block: u64, left: u64) -> Result<(), ArenaError> {
    if left.is_multiple_of(PER_BLOCK) {
        step.set_root(TOP, step.load(block)?);
        if step.root(SPARE) == 0 {
            step.set_root(SPARE, block);
        } else {
            step.free(block)?;
        }
    }
    value.drop_newest(step)?;
    crash_point!("lifo.taking");
    Ok(())
}

impl RawLifoQueue {
    /// Puts a message, if there is room. When it returns `Ok` the message is in the queue.
    ///
    /// # Errors
    /// [`OfferError`]: `Full`, `Closed`, `Arena`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLifoQueue, collections::{Datum, OfferError}};
    /// let q = RawLifoQueue::create(Family::current()?, std::num::NonZeroU64::new(1))?;
    /// q.try_put(&Datum::plain(b"a"))?;
    /// assert!(matches!(q.try_put(&Datum::plain(b"b")), Err(OfferError::Full)));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put(&self, value: &Datum<'_>) -> Result<(), OfferError> {
        if let Some(done) = self.line.put_small(&[], value) {
            return done;
        }
        let place = |step: &mut Step, value: &mut Ready<'_>| Ok(put(step, value)?);
        self.line.put((1, value.bytes.len() as u64), || self.line.ready(value), place)
    }

    /// Puts messages, as [`try_put`](Self::try_put) each, until one is refused; others wake once for many. Says
    /// how many were put, and why no more.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLifoQueue, collections::{Datum, OfferError}};
    /// let q = RawLifoQueue::create(Family::current()?, std::num::NonZeroU64::new(2))?;
    /// let (put, ended) = q.try_put_many(&[b"a", b"b", b"c"].map(|b| Datum::plain(b)));
    /// assert!(put == 2 && matches!(ended, Err(OfferError::Full)));
    /// # Ok(()) }
    /// ```
    pub fn try_put_many(&self, values: &[Datum<'_>]) -> (usize, Result<(), OfferError>) {
        self.line.put_many(
            values.len(),
            |i| (1, values[i].bytes.len() as u64),
            |i| self.line.ready(&values[i]),
            |step, _, value| Ok(put(step, value)?),
        )
    }

    /// Takes the newest message, if there is one, and appends it to `out`.
    ///
    /// # Errors
    /// [`ArenaError`] if there is no memory to count the handles in it (it stays in the queue), or the
    /// arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLifoQueue};
    /// let q = RawLifoQueue::create(Family::current()?, None)?;
    /// assert!(q.try_get(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_get(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.line.get(out)
    }

    /// Copies the message that would be taken next, and leaves it where it is.
    ///
    /// # Errors
    /// As [`RawLifoQueue::try_get`].
    pub fn peek(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.line.peek(out)
    }

    /// Copies all messages, as they are at one moment, in the order in which they would be taken.
    ///
    /// # Errors
    /// As [`RawLifoQueue::try_get`].
    pub fn snapshot(&self) -> Result<Values, ArenaError> {
        self.line.snapshot(|step, each| {
            walk(step, |r, _| each(r))?;
            Ok(())
        })
    }

    /// Everything in the queue that contradicts itself; empty if it is sound.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if it cannot even be read.
    pub fn check(&self) -> Result<Vec<String>, ArenaError> {
        let step = self.line.enter_unstaged()?;
        let mut segments: HashMap<u64, u64> = HashMap::new();
        let mut blocks = HashSet::new();
        let bottom = walk(&step, |r, block| {
            blocks.insert(block);
            if let Some((segment, size)) = heap::taken(&step, r)? {
                *segments.entry(segment).or_default() += size;
            }
            Ok(())
        })?;
        let mut wrong = heap::differences(&step, &segments)?;
        let spare = step.root(SPARE);
        wrong.extend(self.line.faults(&step)?);
        if bottom != 0 || blocks.contains(&spare) {
            wrong.push("the blocks' chain".into());
        }
        if spare != 0 {
            step.inner.stocked(spare, step.id)?;
        }
        Ok(wrong)
    }
}

/// All refs, the newest first, and their blocks. Says what the last block names as the one below.
fn walk(
    step: &Step,
    mut each: impl FnMut(Ref, u64) -> Result<(), ArenaError>,
) -> Result<u64, ArenaError> {
    let (mut left, mut block) = (stored(step)?, step.root(TOP));
    let mut seen = HashSet::new();
    while left != 0 {
        if !seen.insert(block) {
            return Err(step.corrupt("the chain of blocks has a cycle"));
        }
        step.inner.stocked_words(block, PER_BLOCK + 1, step.id)?;
        for i in (1..=(left - 1) % PER_BLOCK + 1).rev() {
            each(Ref(step.load(block + 8 * i)?), block)?;
            left -= 1;
        }
        block = step.load(block)?;
    }
    Ok(block)
}
