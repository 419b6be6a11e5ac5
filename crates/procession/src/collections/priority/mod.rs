//! A queue whose lowest message is taken first: a tree of order keys, and a heap for what is stored.
//!
//! Keys are bytes, see [`codec::order`](crate::codec::order): a put finds its place by them, behind all
//! that are not more, so equal ones are taken in the order of their arrival. What has no key (*odd*, for
//! what only its owner can compare) is put at a place that its owner has found: see `place.rs`.

mod inspect;
mod node;
mod place;
mod tidy;
mod tree;

use std::fmt;
use std::num::NonZeroU64;

pub use place::Place;

use super::heap::{Datum, Ready, Ref};
use super::line::{Line, OfferError, face};
use super::list::Values;
use super::stock::Copied;
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::codec::order;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;
use node::{Entry, Key};
use tidy::tidy;
use tree::{ODD, Path, Spot};

/// A queue of bytes between processes whose lowest message is taken first; of equal ones the first that
/// was put.
///
/// Each put and each get is one atomic step, and takes as long as a few levels of a tree. A process that
/// dies in the middle of one leaves the queue as it was before, or as it is after; who waits goes on
/// waiting.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::codec::order::order_key;
/// use procession::{Family, RawPriorityQueue, collections::Datum};
/// let q = RawPriorityQueue::create(Family::current()?, None)?;
/// q.try_put(order_key(&7)?.as_bytes(), &Datum::plain(b"seven"))?;
/// q.try_put(order_key(&1.5)?.as_bytes(), &Datum::plain(b"one and a half"))?;
/// let mut out = Vec::new();
/// assert!(q.try_get(&mut out)?.is_some());
/// assert_eq!(out, b"one and a half");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawPriorityQueue {
    line: Line,
}

face!(RawPriorityQueue, Kind::Priority);

/// The longest key.
const LONGEST: usize = 1 << 20;

/// A message on its way in: what it is ordered by, and itself.
struct Parts<'a> {
    rest: Option<Ready<'a>>,
    value: Ready<'a>,
}

impl Parts<'_> {
    /// Stores it: the value last, which is what is let go of first.
    #[inline]
    fn store(&mut self, step: &mut Step, first: u64) -> Result<Entry, ArenaError> {
        let rest = match &mut self.rest {
            Some(rest) => rest.put(step)?,
            None => Ref(0),
        };
        Ok(Entry { first, rest, word: self.value.put(step)? })
    }
}

/// Adds an entry at a place, to which `way` leads; `None`: there is nothing yet.
#[inline]
fn add(
    step: &mut Step,
    spot: Option<Spot>,
    way: impl Fn(&Step) -> Result<Path, ArenaError>,
    entry: &Entry,
) -> Result<(), ArenaError> {
    match spot {
        None => tree::begin(step, entry)?,
        Some(spot) if tree::insert(step, &spot, entry)? => {}
        Some(_) => tree::split(step, &way(step)?, entry)?,
    }
    crash_point!("priority.putting");
    Ok(())
}

const INCOMPARABLE: OfferError = OfferError::Unordered("it can't be compared with another message");

/// Whether a key is comparable with what it would stand beside, and so with all: what has the same
/// beginning stands together.
#[inline]
fn is_comparable(
    step: &Step,
    key: &Key<'_>,
    spot: &Spot,
    next: Option<Spot>,
) -> Result<bool, ArenaError> {
    let Spot { node, perm, rank } = *spot;
    let before = (rank > 0).then(|| (node, perm.slot(rank - 1)));
    let behind = if rank < perm.count() {
        Some((node, perm.slot(rank)))
    } else {
        next.map(|spot| (spot.node, spot.slot()))
    };
    for (node, slot) in before.into_iter().chain(behind) {
        let first = (node.first(step, slot)? >> 56) as u8;
        if order::are_plain_alike(first, (key.first >> 56) as u8) {
            return Ok(true);
        }
        if !order::are_comparable(&node.key(step, slot)?, key.bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl RawPriorityQueue {
    /// Puts a message, if there is room, behind all whose key is not more. The key is what an
    /// [`OrderKey`](order::OrderKey) has written. When it returns `Ok` the message is in the queue.
    ///
    /// # Errors
    /// [`OfferError`]: `Full`, `Closed`, `Arena`; `Unordered` if the key can't be compared with that of
    /// another message (a number and a text, say), `Unsure` if some message has none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawPriorityQueue, collections::{Datum, OfferError}};
    /// # use procession::codec::order::order_key;
    /// let q = RawPriorityQueue::create(Family::current()?, None)?;
    /// q.try_put(order_key(&1)?.as_bytes(), &Datum::plain(b"a"))?;
    /// let refused = q.try_put(order_key("one")?.as_bytes(), &Datum::plain(b"b"));
    /// assert!(matches!(refused, Err(OfferError::Unordered(_))));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put(&self, key: &[u8], value: &Datum<'_>) -> Result<(), OfferError> {
        if key.len() > LONGEST {
            return Err(OfferError::Unordered("its key is longer than 1 MiB"));
        }
        let key = Key::new(key);
        let rest = Datum { kind: key.head(), bytes: key.rest(), holds: &[] };
        let prepare =
            || Ok(Parts { rest: Some(self.line.ready(&rest)?), value: self.line.ready(value)? });
        let place = |step: &mut Step, parts: &mut Parts<'_>| {
            if step.root(ODD) != 0 {
                return Err(OfferError::Unsure);
            }
            let mut spot = None;
            if tree::depth(step)? != 0 {
                let (found, next) = tree::seek(step, &key)?;
                if !is_comparable(step, &key, &found, next)? {
                    return Err(INCOMPARABLE);
                }
                spot = Some(found);
            }
            let entry = parts.store(step, key.first)?;
            Ok(add(step, spot, |step| tree::way(step, &key), &entry)?)
        };
        self.line.put(prepare, place, tidy)
    }

    /// Takes the lowest message, if there is one, and appends it to `out`.
    ///
    /// # Errors
    /// [`ArenaError`] if there is no memory to count the handles in it (it stays in the queue), or the
    /// arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawPriorityQueue};
    /// let q = RawPriorityQueue::create(Family::current()?, None)?;
    /// assert!(q.try_get(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_get(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.line.get(out, tree::first, tree::remove_first, tidy)
    }

    /// Copies the message that would be taken next, and leaves it where it is.
    ///
    /// # Errors
    /// As [`RawPriorityQueue::try_get`].
    pub fn peek(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.line.peek(out, tree::first)
    }

    /// Copies all messages, as they are at one moment, in the order in which they would be taken.
    ///
    /// # Errors
    /// As [`RawPriorityQueue::try_get`].
    pub fn snapshot(&self) -> Result<Values, ArenaError> {
        self.line.snapshot(|step, each| inspect::walk(step, each))
    }
}
