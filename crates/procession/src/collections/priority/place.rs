//! A place for a message that only its owner can compare: found outside the lock, by bisection, and used
//! if the queue is still as it was.

use super::super::heap::{Datum, Ref};
use super::super::line::{OfferError, stored};
use super::super::stock::{Copied, Outdated};
use super::tree::{self, ODD, Path};
use super::{Parts, RawPriorityQueue, add};
use crate::arena::pin::Pin;
use crate::arena::stock::Step;
use crate::error::ArenaError;

/// A place in a queue, of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    version: u64,
    /// Where to go from each node, the topmost one's in the lowest four bits. Nodes may be moved
    /// meanwhile; their entries stay.
    ranks: u64,
}

/// The way to a place.
fn follow(step: &Step, ranks: u64) -> Result<Path, ArenaError> {
    let mut ranks = ranks;
    tree::descend(step, |node, _| {
        let rank = (ranks & 15) as usize;
        ranks >>= 4;
        Ok((node.perm(step)?, rank))
    })
}

/// What a probe found: how many entries the node at that level has, and the message that is asked about.
struct Probe {
    count: usize,
    is_leaf: bool,
    value: Option<(Copied, Option<Pin>)>,
}

impl RawPriorityQueue {
    /// Finds the place for a message behind all that are not more: `is_less` says whether the message is
    /// less than another one, whose bytes it is given. It is called about as often as a bisection needs,
    /// without any lock, and may do what it likes.
    ///
    /// # Errors
    /// The outer one is `is_less`'s, or an [`ArenaError`]; the inner one if the queue was changed
    /// meanwhile. Who has had that again and again makes a [`claim`](Self::claim) first.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{ArenaError, Family, RawPriorityQueue, collections::Datum};
    /// let q = RawPriorityQueue::create(Family::current()?, None)?;
    /// for new in [b"cc", b"a ", b"b "] {
    ///     let place = q.place(|_, other| Ok::<_, ArenaError>(&new[..] < other))?.unwrap();
    ///     q.try_put_at(&place, &Datum::plain(new))?;
    /// }
    /// assert_eq!(q.snapshot()?.bytes, b"a b cc");
    /// # Ok(()) }
    /// ```
    pub fn place<E: From<ArenaError>>(
        &self,
        mut is_less: impl FnMut(&Copied, &[u8]) -> Result<bool, E>,
    ) -> Result<Result<Place, Outdated>, E> {
        // With the lock: no step is half done, and the version is that of what is there.
        let mut step = self.line.enter_unstaged()?;
        tree::prune(&mut step)?;
        let version = step.version();
        drop(step);
        let mut bytes = Vec::new();
        let mut place = Place { version, ranks: 0 };
        for level in 0.. {
            // A child is entered if its first message is not more: so of them the first needs no look.
            let Some(here) = self.probe(&place, level, None, &mut bytes)? else {
                return Ok(Err(Outdated));
            };
            let (mut low, mut high) = (usize::from(!here.is_leaf), here.count);
            while low < high {
                let middle = usize::midpoint(low, high);
                bytes.clear();
                let Some(probe) = self.probe(&place, level, Some(middle), &mut bytes)? else {
                    return Ok(Err(Outdated));
                };
                let Some((copied, pin)) = probe.value else { break };
                if let Some(pin) = pin {
                    pin.copy_to(&mut bytes);
                }
                if is_less(&copied, &bytes)? {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            let rank = if here.is_leaf { low } else { low.saturating_sub(1) };
            place.ranks |= (rank as u64) << (4 * level);
            if here.is_leaf {
                break;
            }
        }
        Ok(Ok(place))
    }

    /// Looks at the node where a place has come to, and copies the first message of what its entry `rank`
    /// has. `None`: the queue was changed.
    fn probe(
        &self,
        place: &Place,
        level: u32,
        rank: Option<usize>,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Probe>, ArenaError> {
        let read = self.line.stock.read(|step| {
            bytes.clear();
            if step.version() != place.version {
                return Ok((None, Vec::new()));
            }
            let depth = tree::depth(step)? as u32;
            if depth == 0 {
                return Ok((Some((0, true, None)), Vec::new()));
            }
            let (mut at, mut count) = (0, 0);
            let mut ranks = place.ranks & ((1 << (4 * level)) - 1);
            ranks |= (rank.unwrap_or(0) as u64) << (4 * level);
            let path = tree::descend(step, |node, _| {
                let perm = node.perm(step)?;
                if at == level {
                    count = perm.count();
                }
                at += 1;
                let rank = (ranks & 15) as usize;
                ranks >>= 4;
                Ok((perm, rank))
            })?;
            let is_leaf = level + 1 >= depth;
            if rank.is_none() {
                return Ok((Some((count, is_leaf, None)), Vec::new()));
            }
            if path.leaf().perm.count() == 0 && stored(step)? != 0 {
                return Ok((None, Vec::new())); // a leaf was emptied meanwhile
            }
            let value: Ref = path.leaf().node.word(step, path.leaf().slot())?;
            let pin = value.read_or_pin(step, bytes)?;
            Ok((Some((count, is_leaf, Some((value.kind(), pin)))), value.holds(step)?))
        });
        let (found, holds) = read?;
        Ok(found.map(|(count, is_leaf, value)| Probe {
            count,
            is_leaf,
            value: value.map(|(kind, pin)| (Copied { kind, holds }, pin)),
        }))
    }

    /// Puts a message without a key at a place, if the queue is as it was when the place was found.
    ///
    /// # Errors
    /// [`OfferError`]: `Outdated` if it is not; `Full`, `Closed`, `Arena`.
    pub fn try_put_at(&self, place: &Place, value: &Datum<'_>) -> Result<(), OfferError> {
        let prepare = || Ok(Parts { rest: None, value: self.line.ready(value)? });
        let put = |step: &mut Step, parts: &mut Parts<'_>| {
            if step.version() != place.version {
                return Err(OfferError::Outdated);
            }
            let mut spot = None;
            if tree::depth(step)? != 0 {
                let found = *follow(step, place.ranks)?.leaf();
                if found.rank > found.perm.count() {
                    return Err(OfferError::Outdated);
                }
                spot = Some(found);
            }
            step.set_root(ODD, step.root(ODD).wrapping_add(1));
            let entry = parts.store(step, 0)?;
            Ok(add(step, spot, |step| follow(step, place.ranks), &entry)?)
        };
        self.line.put((0, value.bytes.len() as u64), prepare, put)
    }
}
