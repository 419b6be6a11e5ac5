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
use super::line::{Line, OfferError, Order, face};
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
    line: Line<Lowest>,
}

face!(RawPriorityQueue);

struct Lowest;

impl Order for Lowest {
    const KIND: Kind = Kind::Priority;
    type Spot = Spot;

    #[inline]
    fn shape(key: &[u8]) -> u64 {
        order::shape(key)
    }
    #[inline]
    fn store(step: &mut Step, key: &[u8], value: &Datum<'_>) -> Result<(), ArenaError> {
        let key = Key::new(key);
        let rest = key.rest_datum();
        let (Some(rest), Some(value)) = (Ready::light(&rest), Ready::light(value)) else {
            return Err(step.corrupt("a staged message"));
        };
        put(step, &key, &mut Parts { rest: Some(rest), value }, false).map_err(|e| match e {
            OfferError::Arena(e) => e,
            e => step.corrupt(&e.to_string()),
        })
    }
    #[inline]
    fn next(step: &Step) -> Result<(Ref, Spot), ArenaError> {
        tree::first(step)
    }
    #[inline]
    fn remove(step: &mut Step, value: Ref, spot: Spot, left: u64) -> Result<(), ArenaError> {
        tree::remove_first(step, value, spot, left)
    }
    #[inline]
    fn is_next(step: &Step, key: &[u8]) -> Result<bool, ArenaError> {
        tree::is_before_first(step, &Key::new(key))
    }
    fn passes(later: &[u8], earlier: &[u8]) -> bool {
        later < earlier
    }
    fn clear(step: &mut Step) -> Result<(), ArenaError> {
        tree::empty(step)
    }
    #[inline]
    fn tidy(step: &mut Step) {
        tidy(step);
    }
}

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

/// Puts a message where its key belongs. `is_new`: it must be seen whether it can be.
#[inline]
fn put(
    step: &mut Step,
    key: &Key<'_>,
    parts: &mut Parts<'_>,
    is_new: bool,
) -> Result<(), OfferError> {
    if is_new && step.root(ODD) != 0 {
        return Err(OfferError::Unsure);
    }
    let mut spot = None;
    if tree::depth(step)? != 0 {
        let (found, next) = tree::seek(step, key)?;
        if is_new && !is_comparable(step, key, &found, next)? {
            return Err(INCOMPARABLE);
        }
        spot = Some(found);
    }
    let entry = parts.store(step, key.first)?;
    Ok(add(step, spot, |step| tree::way(step, key), &entry)?)
}

const TOO_LONG: OfferError = OfferError::Unordered("its key is longer than 1 MiB");
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
            return Err(TOO_LONG);
        }
        if let Some(done) = self.line.put_small(key, value) {
            return done;
        }
        let weight = (order::shape(key), value.bytes.len() as u64);
        let key = Key::new(key);
        let place = |step: &mut Step, parts: &mut Parts<'_>| put(step, &key, parts, true);
        self.line.put(weight, || self.parts(&key, value), place)
    }

    #[inline]
    fn parts<'a>(&self, key: &Key<'a>, value: &Datum<'a>) -> Result<Parts<'a>, ArenaError> {
        Ok(Parts {
            rest: Some(self.line.ready(&key.rest_datum())?),
            value: self.line.ready(value)?,
        })
    }

    /// Puts messages, as [`try_put`](Self::try_put) each, until one is refused; others wake once for many. Says
    /// how many were put, and why no more.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawPriorityQueue, collections::Datum};
    /// # use procession::codec::order::order_key;
    /// let q = RawPriorityQueue::create(Family::current()?, None)?;
    /// let (two, one) = (order_key(&2)?, order_key(&1)?);
    /// let both = [(two.as_bytes(), Datum::plain(b"b")), (one.as_bytes(), Datum::plain(b"a"))];
    /// assert_eq!(q.try_put_many(&both).0, 2);
    /// assert_eq!(q.try_get_many(9)?.bytes, b"ab");
    /// # Ok(()) }
    /// ```
    pub fn try_put_many(&self, messages: &[(&[u8], Datum<'_>)]) -> (usize, Result<(), OfferError>) {
        let fits = messages.iter().take_while(|(key, _)| key.len() <= LONGEST).count();
        let (put, ended) = self.line.put_many(
            fits,
            |i| (order::shape(messages[i].0), messages[i].1.bytes.len() as u64),
            |i| self.parts(&Key::new(messages[i].0), &messages[i].1),
            |step, i, parts| put(step, &Key::new(messages[i].0), parts, true),
        );
        let ended = if put == messages.len() { ended } else { ended.and(Err(TOO_LONG)) };
        (put, ended)
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
        self.line.get(out)
    }

    /// Copies the message that would be taken next, and leaves it where it is.
    ///
    /// # Errors
    /// As [`RawPriorityQueue::try_get`].
    pub fn peek(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        self.line.peek(out)
    }

    /// Copies all messages, as they are at one moment, in the order in which they would be taken.
    ///
    /// # Errors
    /// As [`RawPriorityQueue::try_get`].
    pub fn snapshot(&self) -> Result<Values, ArenaError> {
        self.line.snapshot(|step, each| inspect::walk(step, each))
    }
}
