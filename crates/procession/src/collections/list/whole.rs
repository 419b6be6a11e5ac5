//! Values copied out, many at once, and lists changed as a whole.

use std::mem::take;
use std::ops::Range;

use super::super::heap::{self, Datum, Ref};
use super::super::stock::Outdated;
use super::dir::{self, Dir};
use super::{LEN, RawList, chunks, empty, range_of};
use crate::arena::lease::Lease;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// Values that were copied out in one step.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use procession::{Family, RawList, collections::Datum};
/// let list = RawList::create(Family::current()?)?;
/// list.extend(&[Datum::plain(b"a"), Datum::plain(b"bc")])?;
/// let all = list.snapshot()?;
/// let second = &all.items[1];
/// assert_eq!((second.0, &all.bytes[second.1.clone()]), (procession::codec::PLAIN, &b"bc"[..]));
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Values {
    /// The values' bytes.
    pub bytes: Vec<u8>,
    /// Of each value its kind, and where it is.
    pub items: Vec<(u8, Range<usize>)>,
    /// The index of the first of them.
    pub from: u64,
    /// How long the list was.
    pub len: u64,
    /// Its version at that moment.
    pub version: u64,
    /// What the handles inside name, kept alive.
    pub holds: Vec<Lease>,
}

/// A slice of more values has its room made beforehand.
const MANY: u64 = 1 << 14;

impl RawList {
    /// Copies the values of a slice out, in one step.
    ///
    /// # Errors
    /// As [`RawList::get`].
    pub fn slice(&self, from: i64, to: i64) -> Result<Values, ArenaError> {
        let mut room = self.room(from, to);
        let ((mut values, pins), holds) = self.stock.read(|step| {
            let len = step.root(LEN);
            let range = range_of(from, to, len);
            let mut values =
                Values { from: range.start, len, version: step.version(), ..Values::default() };
            (values.bytes, values.items) = take(&mut room);
            let (mut ids, mut pins) = (Vec::new(), Vec::new());
            let mut index = range.start;
            let mut spot = (index < range.end).then(|| chunks::locate(step, index)).transpose()?;
            while let Some(s) = spot.take() {
                for i in s.i..s.chunk.count.min(s.i + range.end - index) {
                    let value = Ref(step.load(s.chunk.at(i))?);
                    let start = values.bytes.len();
                    let pin = value.read_or_pin(step, &mut values.bytes)?;
                    pins.extend(pin.map(|pin| (values.items.len(), pin)));
                    values.items.push((value.kind(), start..values.bytes.len()));
                    ids.extend(value.holds(step)?);
                    index += 1;
                }
                if index < range.end {
                    let k = s.k + 1;
                    spot = Some(chunks::Spot { k, chunk: Dir::there(step)?.chunk(step, k)?, i: 0 });
                }
            }
            Ok::<_, ArenaError>(((values, pins), ids))
        })?;
        values.holds = holds;
        for (i, pin) in pins {
            let start = values.bytes.len();
            pin.copy_to(&mut values.bytes);
            values.items[i].1 = start..values.bytes.len();
        }
        Ok(values)
    }

    /// Room for the values of a slice, if they are many.
    fn room(&self, from: i64, to: i64) -> (Vec<u8>, Vec<(u8, Range<usize>)>) {
        let len = self.stock.peek(LEN);
        let range = range_of(from, to, len);
        let n = range.end - range.start;
        if n <= MANY {
            return <_>::default();
        }
        let each = heap::peek_in_use(&self.stock) / len + 8;
        (self.stock.room(n.saturating_mul(each)), self.stock.room(n))
    }

    /// Copies all values out, as they are at one moment.
    ///
    /// # Errors
    /// As [`RawList::get`].
    pub fn snapshot(&self) -> Result<Values, ArenaError> {
        self.slice(0, i64::MAX)
    }

    /// Replaces all values, if the version is `version` still.
    ///
    /// # Errors
    /// As [`RawList::set_if`].
    pub fn replace_all(
        &self,
        version: u64,
        values: &[Datum<'_>],
    ) -> Result<Result<(), Outdated>, ArenaError> {
        self.stock.attempt(|| {
            let mut values = self.ready(values)?;
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            empty(&mut step)?;
            for value in &mut values {
                let r = value.put(&mut step)?;
                chunks::append(&mut step, r)?;
            }
            crash_point!("list.replacing");
            step.commit()?;
            Ok(Ok(()))
        })
    }

    /// Gives the values another order, if the version is `version` still: first comes the one whose
    /// index `order` says first, and so on. The values themselves are not moved.
    ///
    /// # Errors
    /// As [`RawList::set_if`].
    ///
    /// # Panics
    /// If `order` does not name each value of that version just once.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList, collections::Datum};
    /// let list = RawList::create(Family::current()?)?;
    /// list.extend(&[Datum::plain(b"b"), Datum::plain(b"c"), Datum::plain(b"a")])?;
    /// list.reorder(list.version(), &[2, 0, 1])?.unwrap();
    /// assert_eq!(list.snapshot()?.bytes, b"abc");
    /// # Ok(()) }
    /// ```
    pub fn reorder(
        &self,
        version: u64,
        order: &[usize],
    ) -> Result<Result<(), Outdated>, ArenaError> {
        let mut named = vec![false; order.len()];
        for &i in order {
            let named = named.get_mut(i).filter(|named| !**named);
            *named.expect("the order of a list names each index once") = true;
        }
        let may = |step: &Step| step.version() == version;
        self.rearrange(may, |refs| {
            assert_eq!(refs.len(), order.len(), "the order of a list of another length");
            order.iter().map(|&i| refs[i]).collect()
        })
    }

    /// Turns the list round.
    ///
    /// # Errors
    /// As [`RawList::push`].
    pub fn reverse(&self) -> Result<(), ArenaError> {
        self.rearrange(|_| true, |refs| refs.iter().rev().copied().collect()).map(drop)
    }

    fn rearrange(
        &self,
        may: impl Fn(&Step) -> bool,
        arrange: impl Fn(&[Ref]) -> Vec<Ref>,
    ) -> Result<Result<(), Outdated>, ArenaError> {
        self.stock.attempt(|| {
            let mut step = self.stock.begin()?;
            if !may(&step) {
                return Ok(Err(Outdated));
            }
            let n = dir::count(&step)?;
            let mut refs = Vec::new();
            for k in 0..n {
                let chunk = Dir::there(&step)?.chunk(&step, k)?;
                refs.extend(chunk.refs(&step, 0..chunk.count)?);
                step.free(chunk.block)?;
            }
            if refs.len() as u64 != step.root(LEN) {
                return Err(step.corrupt("the chunks' counts"));
            }
            if n > 0 {
                let new = chunks::full(&mut step, &arrange(&refs))?;
                dir::replace(&mut step, 0..n, &new)?;
            }
            crash_point!("list.rearranging");
            step.commit()?;
            Ok(Ok(()))
        })
    }
}
