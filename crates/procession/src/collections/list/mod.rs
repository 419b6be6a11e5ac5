//! A list of bytes: chunks of refs, and a heap for the values.
//!
//! Roots, beside the heap's: the length, the directory of chunks, where in it the first chunk stands, how
//! many there are, and whether they are even (see `dir.rs`).

mod assemble;
mod chunks;
mod dir;
mod inspect;
mod splice;
mod whole;

use std::fmt;
use std::ops::Range;

pub use assemble::Part;
pub use whole::Values;

use super::heap::{self, Datum, MOVING, Ready, Ref, TAIL};
use super::stock::{Copied, Outdated, Stock, common};
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

const LEN: usize = 5;
const DIR: usize = 6;
const FIRST: usize = 7;
const CHUNKS: usize = 8;
const EVEN: usize = 9;

/// Refs that one operation looks at, and moves at most, when the heap is sparse.
const LOOKED_AT: u64 = 16;
const MOVED: u64 = 3;

/// A list of bytes that any number of processes share.
///
/// Each operation is one atomic step. A process that dies in the middle of one leaves the list as it
/// was before, or as it is after. Indices are Python's: a negative one counts from the end.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawList, collections::Datum};
/// let list = RawList::create(Family::current()?)?;
/// list.push(&Datum::plain(b"one"))?;
/// list.push(&Datum::plain(b"two"))?;
/// let mut out = Vec::new();
/// assert!(list.get(-1, &mut out)?.is_some());
/// assert_eq!(out, b"two");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawList {
    stock: Stock,
}

common!(RawList, Kind::List);

impl fmt::Debug for RawList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawList")
            .field("index", &self.stock.lease.id.index)
            .field("len", &self.stock.slot.root(LEN))
            .finish_non_exhaustive()
    }
}

/// An index of Python's as one from the beginning, if there is such a value.
fn index_of(i: i64, len: u64) -> Option<u64> {
    let at = if i < 0 { i.checked_add_unsigned(len)? } else { i };
    u64::try_from(at).ok().filter(|at| *at < len)
}

/// An end of a slice of Python's.
fn bound_of(i: i64, len: u64) -> u64 {
    let at = if i < 0 { i.saturating_add_unsigned(len) } else { i };
    u64::try_from(at).unwrap_or(0).min(len)
}

fn range_of(from: i64, to: i64, len: u64) -> Range<u64> {
    let from = bound_of(from, len);
    from..bound_of(to, len).max(from)
}

/// Gives all memory back. What the roots that are not set here mean depends on those that are.
fn empty(step: &mut Step) -> Result<(), ArenaError> {
    step.free_all(0)?;
    for root in [LEN, DIR, TAIL, MOVING] {
        if step.root(root) != 0 {
            step.set_root(root, 0);
        }
    }
    Ok(())
}

/// After an operation that was committed: moves a little of what a sparse heap holds.
#[inline]
fn tidy(step: &mut Step) {
    if (heap::is_wasteful(step) || step.root(MOVING) != 0) && tidy_heap(step).is_err() {
        step.cancel();
    }
}

#[cold]
fn tidy_heap(step: &mut Step) -> Result<(), ArenaError> {
    let (mut index, mut moved) = (step.root(MOVING).saturating_sub(1), 0);
    let len = step.root(LEN);
    let end = index.saturating_add(LOOKED_AT).min(len);
    while index < end && moved < MOVED {
        let spot = chunks::locate(step, index)?;
        for i in spot.i..spot.chunk.count.min(spot.i + end - index) {
            let at = spot.chunk.at(i);
            let old = Ref(step.load(at)?);
            if old.is_lonely(step)? {
                let new = old.moved(step)?;
                step.set(at, new.0);
                step.commit_quietly()?;
                crash_point!("list.bytes_moved");
                moved += 1;
            }
            index += 1;
            if moved == MOVED {
                break;
            }
        }
    }
    // Where it has come to is only a hint: values move meanwhile.
    step.write_root(MOVING, if index >= len { 0 } else { index + 1 });
    Ok(())
}

impl RawList {
    /// How long it is.
    pub fn len(&self) -> Result<u64, ArenaError> {
        Ok(self.stock.begin()?.root(LEN))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> Result<bool, ArenaError> {
        Ok(self.len()? == 0)
    }

    fn ready<'a>(&self, values: &[Datum<'a>]) -> Result<Vec<Ready<'a>>, ArenaError> {
        values.iter().map(|value| Ready::new(self.stock.lease.inner, value)).collect()
    }

    /// Adds a value behind the others.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory; the list is as before.
    pub fn push(&self, value: &Datum<'_>) -> Result<(), ArenaError> {
        self.stock.attempt(|| {
            let mut value = Ready::new(self.stock.lease.inner, value)?;
            let mut step = self.stock.begin()?;
            let r = value.put(&mut step)?;
            chunks::append(&mut step, r)?;
            crash_point!("list.appending");
            step.commit()?;
            tidy(&mut step);
            Ok(())
        })
    }

    /// Adds values behind the others: all, or none if there is no memory for all.
    ///
    /// # Errors
    /// As [`RawList::push`].
    pub fn extend(&self, values: &[Datum<'_>]) -> Result<(), ArenaError> {
        self.splice(i64::MAX, i64::MAX, values)
    }

    /// Appends the value with this index to `out`; `None`: there is none.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if shared memory was scribbled over.
    pub fn get(&self, index: i64, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let read = self.stock.read(|step| {
            out.truncate(start);
            let Some(index) = index_of(index, step.root(LEN)) else {
                return Ok(((None, None), Vec::new()));
            };
            let value = Ref(step.load(chunks::locate(step, index)?.at())?);
            let pin = value.read_or_pin(step, out)?;
            Ok(((Some(value.kind()), pin), value.holds(step)?))
        });
        let ((kind, pin), holds) = read.inspect_err(|_: &ArenaError| out.truncate(start))?;
        if let Some(pin) = pin {
            pin.copy_to(out);
        }
        Ok(kind.map(|kind| Copied { kind, holds }))
    }

    /// Replaces the value with this index; false if there is none.
    ///
    /// # Errors
    /// As [`RawList::push`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList, collections::Datum};
    /// let list = RawList::create(Family::current()?)?;
    /// assert!(!list.set(0, &Datum::plain(b"a"))?);
    /// list.push(&Datum::plain(b"a"))?;
    /// assert!(list.set(-1, &Datum::plain(b"b"))?);
    /// # Ok(()) }
    /// ```
    pub fn set(&self, index: i64, value: &Datum<'_>) -> Result<bool, ArenaError> {
        self.set_when(index, value, |_| true).map(Result::unwrap_or_default)
    }

    /// The same, if the version is `version` still.
    ///
    /// # Errors
    /// The outer one as [`RawList::push`], the inner one if the version is another.
    pub fn set_if(
        &self,
        version: u64,
        index: i64,
        value: &Datum<'_>,
    ) -> Result<Result<bool, Outdated>, ArenaError> {
        self.set_when(index, value, |step| step.version() == version)
    }

    fn set_when(
        &self,
        index: i64,
        value: &Datum<'_>,
        may: impl Fn(&Step) -> bool,
    ) -> Result<Result<bool, Outdated>, ArenaError> {
        self.stock.attempt(|| {
            let mut value = Ready::new(self.stock.lease.inner, value)?;
            let mut step = self.stock.begin()?;
            if !may(&step) {
                return Ok(Err(Outdated));
            }
            let Some(index) = index_of(index, step.root(LEN)) else {
                return Ok(Ok(false));
            };
            let at = chunks::locate(&step, index)?.at();
            let old = Ref(step.load(at)?);
            heap::replace(&mut step, at, old, &mut value)?;
            crash_point!("list.setting");
            step.commit()?;
            tidy(&mut step);
            Ok(Ok(true))
        })
    }

    /// Puts a value before the one with this index.
    ///
    /// # Errors
    /// As [`RawList::push`].
    pub fn insert(&self, index: i64, value: &Datum<'_>) -> Result<(), ArenaError> {
        self.splice(index, index, &[*value])
    }

    /// Removes the value with this index, and appends it to `out`; `None`: there is none.
    ///
    /// # Errors
    /// As [`RawList::push`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList, collections::Datum};
    /// let list = RawList::create(Family::current()?)?;
    /// list.push(&Datum::plain(b"a"))?;
    /// let mut out = Vec::new();
    /// assert!(list.pop(-1, &mut out)?.is_some() && list.pop(-1, &mut out)?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn pop(&self, index: i64, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
        let start = out.len();
        let done = self.stock.attempt(|| {
            let (holds, pin);
            let mut step = self.stock.begin()?;
            let Some(index) = index_of(index, step.root(LEN)) else {
                return Ok(None);
            };
            let value = Ref(step.load(chunks::locate(&step, index)?.at())?);
            out.truncate(start);
            pin = value.read_or_pin(&step, out)?;
            holds = self.stock.keep(&value.holds(&step)?)?;
            splice::remove_one(&mut step, index)?;
            crash_point!("list.removing");
            step.commit()?;
            tidy(&mut step);
            drop(step);
            if let Some(pin) = pin {
                pin.copy_to(out);
            }
            Ok(Some(Copied { kind: value.kind(), holds }))
        });
        done.inspect_err(|_: &ArenaError| out.truncate(start))
    }

    /// Replaces the values from one index to another, not included, by these. Indices are those of a
    /// slice of Python's; `i64::MAX` is the end.
    ///
    /// # Errors
    /// As [`RawList::push`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList, collections::Datum};
    /// let list = RawList::create(Family::current()?)?;
    /// list.extend(&[Datum::plain(b"a"); 5])?;
    /// list.splice(1, -1, &[Datum::plain(b"b")])?;
    /// assert_eq!(list.snapshot()?.bytes, b"aba");
    /// # Ok(()) }
    /// ```
    pub fn splice(&self, from: i64, to: i64, values: &[Datum<'_>]) -> Result<(), ArenaError> {
        self.splice_when(from, to, values, |_| true).map(drop)
    }

    /// The same, if the version is `version` still.
    ///
    /// # Errors
    /// As [`RawList::set_if`].
    pub fn splice_if(
        &self,
        version: u64,
        from: i64,
        to: i64,
        values: &[Datum<'_>],
    ) -> Result<Result<(), Outdated>, ArenaError> {
        self.splice_when(from, to, values, |step| step.version() == version)
    }

    fn splice_when(
        &self,
        from: i64,
        to: i64,
        values: &[Datum<'_>],
        may: impl Fn(&Step) -> bool,
    ) -> Result<Result<(), Outdated>, ArenaError> {
        self.stock.attempt(|| {
            let mut values = self.ready(values)?;
            let mut step = self.stock.begin()?;
            if !may(&step) {
                return Ok(Err(Outdated));
            }
            let range = range_of(from, to, step.root(LEN));
            let n = values.len() as u64 + range.end - range.start;
            let mut new = Vec::with_capacity(values.len());
            for value in &mut values {
                new.push(value.put(&mut step)?);
            }
            if n > 0 {
                splice::splice(&mut step, range.start, range.end, &new)?;
            }
            crash_point!("list.splicing");
            step.commit()?;
            (0..n).for_each(|_| tidy(&mut step));
            Ok(Ok(()))
        })
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`RawList::get`].
    pub fn clear(&self) -> Result<(), ArenaError> {
        let mut step = self.stock.begin()?;
        if step.root(LEN) == 0 {
            return Ok(());
        }
        empty(&mut step)?;
        crash_point!("list.clearing");
        step.commit()
    }
}
