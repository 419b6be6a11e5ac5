//! What is done only if a dict, or a value in it, is still as the caller saw it.

use super::super::heap::{Datum, Ready};
use super::super::stock::{Copied, Outdated};
use super::seek::{FindError, seek};
use super::steps::{add, remove, replace};
use super::{Key, RawDict, table, upkeep};
use crate::error::ArenaError;

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
            let mut value = Ready::new(inner, value)?;
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            let Some(found) = table::read(&step, pos)? else {
                return Ok(Ok(false));
            };
            replace(&mut step, &found, &mut value)?;
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
            let mut new = new.map(|new| Ready::new(inner, new)).transpose()?;
            self.with_key(key, |step, ready_key| {
                let found = seek(step, key)?;
                let same = match (&found, old) {
                    (Some(f), Some(old)) => f.entry.value.equals(step, old)?,
                    (None, None) => true,
                    _ => false,
                };
                match (&found, &mut new) {
                    _ if !same => return Ok(Some(false)),
                    (None, None) => return Ok(Some(true)),
                    (None, Some(new)) => {
                        return Ok(add(step, key, ready_key, new)?.then_some(true));
                    }
                    (Some(f), Some(new)) => replace(step, f, new)?,
                    (Some(f), None) => remove(step, f)?,
                }
                step.commit()?;
                upkeep::do_some(step, new.is_none());
                Ok(Some(true))
            })
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
        let found = self.glimpse(out, |step| {
            if step.version() != version {
                return Err(GetError::Outdated);
            }
            Ok(table::read(step, pos)?)
        });
        match found {
            Ok(glimpse) => Ok(Ok(glimpse.found.map(|(_, copied)| copied))),
            Err(GetError::Outdated) => Ok(Err(Outdated)),
            Err(GetError::Arena(error)) => Err(error),
        }
    }
}

/// Why a value was not read.
enum GetError {
    Outdated,
    Arena(ArenaError),
}

impl From<ArenaError> for GetError {
    fn from(error: ArenaError) -> GetError {
        GetError::Arena(error)
    }
}
