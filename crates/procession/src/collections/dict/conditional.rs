//! What is done only if a dict, or a value in it, is still as the caller saw it.

use super::super::heap::{Datum, Ready};
use super::super::stock::{Copied, Outdated};
use super::seek::{FindError, seek};
use super::steps::{append, lookup, make_way, remove, replace};
use super::{Key, RawDict, index, table, upkeep};
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

impl RawDict {
    /// Replaces the value at a position, if the version is `version` still. `false`: there is no entry.
    ///
    /// # Errors
    /// As [`RawDict::insert_if`].
    pub fn replace_at(
        &self,
        version: u64,
        pos: u64,
        value: &Datum<'_>,
    ) -> Result<Result<bool, Outdated>, ArenaError> {
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            let value = Ready::new(inner, value)?;
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            let Some(found) = table::read(&step, pos)? else {
                return Ok(Ok(false));
            };
            replace(&mut step, &found, value)?;
            step.commit()?;
            upkeep::do_some(&mut step, false);
            Ok(Ok(true))
        })
    }

    /// Sets a key's value to `new` if it is `old`; no `old`: if there is none; no `new`: removes it.
    /// Says whether that was so.
    ///
    /// # Errors
    /// As [`RawDict::insert`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// let (key, one, two) = (Key::plain(b"a"), Datum::plain(b"1"), Datum::plain(b"2"));
    /// assert!(dict.compare_exchange(&key, None, Some(&one))?);
    /// assert!(!dict.compare_exchange(&key, Some(&two), Some(&one))?);
    /// assert!(dict.compare_exchange(&key, Some(&one), None)? && dict.is_empty()?);
    /// # Ok(()) }
    /// ```
    pub fn compare_exchange(
        &self,
        key: &Key<'_>,
        old: Option<&Datum<'_>>,
        new: Option<&Datum<'_>>,
    ) -> Result<bool, FindError> {
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            let new = new.map(|new| Ready::new(inner, new)).transpose()?;
            let mut step = self.stock.begin()?;
            let found = seek(&step, key)?;
            let same = match (&found, old) {
                (Some(f), Some(old)) => f.entry.value.equals(&step, old)?,
                (None, None) => true,
                _ => false,
            };
            match (same, found, new) {
                (false, ..) => return Ok(false),
                (_, Some(f), Some(new)) => replace(&mut step, &f, new)?,
                (_, Some(f), None) => remove(&mut step, &f)?,
                (_, None, Some(new)) => {
                    self.add(&mut step, key, new)?;
                    return Ok(true);
                }
                (_, None, None) => return Ok(true),
            }
            step.commit()?;
            upkeep::do_some(&mut step, true);
            Ok(true)
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
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            let mut ready = Vec::with_capacity(entries.len());
            for (pos, key, value) in entries {
                ready.push((*pos, key, Ready::new(inner, value)?));
            }
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            make_way(&mut step, entries.len() as u64)?;
            index::reserve(&mut step, entries.len() as u64)?;
            for (pos, key, value) in ready {
                let there = match pos {
                    Some(pos) => table::read(&step, pos)?,
                    None => None,
                };
                let there = if there.is_some() { there } else { lookup(&step, key)? };
                match there {
                    Some(found) => replace(&mut step, &found, value)?,
                    None => append(&mut step, key, Ready::new(inner, &key.datum)?, value)?,
                }
            }
            crash_point!("dict.many_written");
            step.commit()?;
            for _ in entries {
                upkeep::do_some(&mut step, true);
            }
            Ok(Ok(()))
        })
    }

    /// The value at a position, if the version is `version` still.
    ///
    /// # Errors
    /// As [`RawDict::insert_if`].
    pub fn get_at(
        &self,
        version: u64,
        pos: u64,
        out: &mut Vec<u8>,
    ) -> Result<Result<Option<Copied>, Outdated>, ArenaError> {
        loop {
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            let Some(found) = table::read(&step, pos)? else {
                return Ok(Ok(None));
            };
            if let Some(copied) = self.copy_out(&mut step, &found, out)? {
                return Ok(Ok(Some(copied)));
            }
        }
    }
}
