//! Many values set in one step.

use std::collections::HashMap;

use super::super::heap::{Datum, Ready};
use super::super::stock::Outdated;
use super::seek::{FindError, seek};
use super::steps::{append, lookup_plain, make_way, replace};
use super::table::{self, Found};
use super::{Key, RawDict, SHAPE, index, upkeep};
use crate::arena::family::Inner;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// A key, itself and its value ready to be stored.
type Prepared<'a> = (Key<'a>, Ready<'a>, Ready<'a>);

impl RawDict {
    /// Sets many values in one step: all, or none if there is no memory for all, or one is unsure. Of
    /// entries with the same key the last counts.
    ///
    /// # Errors
    /// As [`RawDict::insert`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// dict.insert_many(&[
    ///     (Key::plain(b"a"), Datum::plain(b"1")),
    ///     (Key::plain(b"b"), Datum::plain(b"2")),
    /// ])?;
    /// assert_eq!(dict.len()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn insert_many(&self, entries: &[(Key<'_>, Datum<'_>)]) -> Result<(), FindError> {
        let entries = last_of_each(entries);
        self.stock.attempt(|| {
            let mut ready = prepare(self.stock.lease.inner, entries.iter().copied())?;
            let mut step = self.stock.begin()?;
            set_all(&mut step, &mut ready, |step, i| seek(step, &entries[i].0))
        })
    }

    /// Sets many values in one step, if the version is `version` still: of the entry at a position the
    /// value is replaced, without one the key is looked up by its bytes alone, and added if that finds
    /// none. The caller knows that no other entry has an equal key.
    ///
    /// # Errors
    /// As [`RawDict::insert_if`]; then none is set.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// let (a, b) = (Key::plain(b"a"), Key::plain(b"b"));
    /// dict.insert(&a, &Datum::plain(b"1"), None)?;
    /// let seen = dict.candidates(&[a.hash, b.hash])?;
    /// let pos = Some(seen.items[0].pos);
    /// let new = [(pos, a, Datum::plain(b"2")), (None, b, Datum::plain(b"3"))];
    /// dict.update_if(seen.version, &new)?.unwrap();
    /// assert!(dict.update_if(seen.version, &new)?.is_err());
    /// # Ok(()) }
    /// ```
    pub fn update_if(
        &self,
        version: u64,
        entries: &[(Option<u64>, Key<'_>, Datum<'_>)],
    ) -> Result<Result<(), Outdated>, ArenaError> {
        self.stock.attempt(|| {
            let given = entries.iter().map(|(_, key, value)| (*key, *value));
            let mut ready = prepare(self.stock.lease.inner, given)?;
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            let there = |step: &Step, i: usize| {
                let (pos, key, _) = &entries[i];
                let there = pos.map_or(Ok(None), |pos| table::read(step, pos))?;
                if there.is_some() { Ok(there) } else { lookup_plain(step, key) }
            };
            set_all(&mut step, &mut ready, there).map(Ok)
        })
    }
}

/// Keys and values on their way in.
fn prepare<'a>(
    inner: &'static Inner,
    entries: impl ExactSizeIterator<Item = (Key<'a>, Datum<'a>)>,
) -> Result<Vec<Prepared<'a>>, ArenaError> {
    let one = |(key, value): (Key<'a>, Datum<'a>)| {
        Ok((key, Ready::new(inner, &key.datum)?, Ready::new(inner, &value)?))
    };
    entries.map(one).collect()
}

/// Sets all values; `find` tells which entry has the key with a number.
fn set_all<E: From<ArenaError>>(
    step: &mut Step,
    entries: &mut [Prepared<'_>],
    find: impl Fn(&Step, usize) -> Result<Option<Found>, E>,
) -> Result<(), E> {
    let (more, shape) = (entries.len() as u64, step.root(SHAPE));
    make_way(step, more)?;
    index::reserve(step, more)?;
    for (i, (key, ready_key, value)) in entries.iter_mut().enumerate() {
        match find(step, i)? {
            Some(found) => replace(step, &found, value)?,
            None => append(step, key, ready_key, value)?,
        }
    }
    crash_point!("dict.many_written");
    step.commit()?;
    // Where only values were replaced entries stay where they are.
    let added = step.root(SHAPE) != shape;
    (0..more).for_each(|_| upkeep::do_some(step, added));
    Ok(())
}

/// Without entries whose key comes again, at the place of the first.
fn last_of_each<'a>(entries: &[(Key<'a>, Datum<'a>)]) -> Vec<(Key<'a>, Datum<'a>)> {
    let mut places = HashMap::with_capacity(entries.len());
    let mut out: Vec<(Key<'a>, Datum<'a>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = (key.hash, key.datum.kind, key.datum.bytes);
        let place = *places.entry(name).or_insert(out.len());
        match out.get_mut(place) {
            Some(known) => known.1 = *value,
            None => out.push((*key, *value)),
        }
    }
    out
}
