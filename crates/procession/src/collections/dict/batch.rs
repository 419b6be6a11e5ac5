//! Entries copied out, many at once, and what is done with several of them.

use std::collections::HashMap;
use std::ops::Range;

use super::super::heap::{Datum, Ready};
use super::super::stock::{Copied, Outdated};
use super::steps::{lookup, remove, replace};
use super::table::{self, PER_SEGMENT};
use super::{Key, LEN, RawDict, SHAPE, index, upkeep};
use crate::arena::lease::Lease;
use crate::arena::stock::Step;
use crate::error::ArenaError;

/// One entry of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its position, as long as no entry is added or removed.
    pub pos: u64,
    /// Its hash.
    pub hash: u64,
    /// The key's kind.
    pub key_kind: u8,
    /// Where the key is in the batch's bytes.
    pub key: Range<usize>,
    /// The value's kind.
    pub kind: u8,
    /// Where the value is.
    pub value: Range<usize>,
}

/// Entries that were copied out in one step.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawDict, collections::{Datum, Key}};
/// let dict = RawDict::create(Family::current()?)?;
/// for n in 0..10u8 {
///     dict.insert(&Key::plain(&[n]), &Datum::plain(&[n, n]), None)?;
/// }
/// let all = dict.snapshot()?;
/// let last = all.items.last().unwrap();
/// assert_eq!((&all.bytes[last.key.clone()], &all.bytes[last.value.clone()]), (&[9][..], &[9, 9][..]));
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Keys and values.
    pub bytes: Vec<u8>,
    /// The entries, in order.
    pub items: Vec<Item>,
    /// Where the next batch begins; `None`: there is none.
    pub next: Option<u64>,
    /// The dict's shape at that moment: see [`RawDict::shape`].
    pub shape: u64,
    /// Its version at that moment.
    pub version: u64,
    /// How many entries it had.
    pub len: u64,
    /// What the handles inside name, kept alive.
    pub holds: Vec<Lease>,
}

impl Batch {
    fn add(&mut self, step: &Step, found: &table::Found) -> Result<(), ArenaError> {
        let (key, value) = (found.entry.key, found.entry.value);
        let start = self.bytes.len();
        key.read(step, &mut self.bytes)?;
        let middle = self.bytes.len();
        value.read(step, &mut self.bytes)?;
        self.items.push(Item {
            pos: found.pos,
            hash: found.entry.hash,
            key_kind: key.kind(),
            key: start..middle,
            kind: value.kind(),
            value: middle..self.bytes.len(),
        });
        Ok(())
    }
}

/// Without entries whose key comes again, at the place of the first.
pub(super) fn last_of_each<'a>(entries: &[(Key<'a>, Datum<'a>)]) -> Vec<(Key<'a>, Datum<'a>)> {
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

impl RawDict {
    /// Copies entries out, from a position on, in order: about `bytes` of them, and at least one if
    /// there is one. From one batch to the next positions hold while the shape is the same.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if shared memory was scribbled over.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// # let dict = RawDict::create(Family::current()?)?;
    /// # dict.insert(&Key::plain(b"a"), &Datum::plain(b"1"), None)?;
    /// let mut batch = dict.batch(0, 1 << 16)?;
    /// let shape = batch.shape;
    /// while let Some(next) = batch.next {
    ///     batch = dict.batch(next, 1 << 16)?;
    ///     assert_eq!(batch.shape, shape, "it changed size during the iteration");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn batch(&self, from: u64, bytes: usize) -> Result<Batch, ArenaError> {
        loop {
            let mut step = self.stock.begin()?;
            let mut batch = Batch {
                shape: step.root(SHAPE),
                version: step.version(),
                len: step.root(LEN),
                ..Batch::default()
            };
            let end = table::end(&step)?;
            let (mut pos, mut ids) = (from, Vec::new());
            while pos < end && (batch.items.is_empty() || batch.bytes.len() < bytes) {
                if table::entry_at(&step, pos)?.is_none() {
                    pos = (pos / PER_SEGMENT + 1) * PER_SEGMENT;
                    continue;
                }
                if let Some(found) = table::read(&step, pos)? {
                    batch.add(&step, &found)?;
                    ids.extend(found.entry.key.holds(&step)?);
                    ids.extend(found.entry.value.holds(&step)?);
                }
                pos += 1;
            }
            batch.next = (pos < end).then_some(pos);
            if let Some(copied) = self.stock.end(&mut step, 0, &ids) {
                batch.holds = copied.holds;
                return Ok(batch);
            }
        }
    }

    /// Copies all entries out, as they are at one moment.
    ///
    /// # Errors
    /// As [`RawDict::batch`].
    pub fn snapshot(&self) -> Result<Batch, ArenaError> {
        self.batch(0, usize::MAX)
    }

    /// Copies the entries with this hash out, whatever their keys.
    ///
    /// # Errors
    /// As [`RawDict::batch`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// for bytes in [b"one", b"two"] {
    ///     dict.insert(&Key { hash: 1, datum: Datum::plain(bytes) }, &Datum::plain(b""), None)?;
    /// }
    /// let found = dict.candidates(1)?;
    /// assert_eq!(found.items.len(), 2);
    /// dict.replace_at(found.version, found.items[1].pos, &Datum::plain(b"new"))?.unwrap();
    /// # Ok(()) }
    /// ```
    pub fn candidates(&self, hash: u64) -> Result<Batch, ArenaError> {
        loop {
            let mut step = self.stock.begin()?;
            let mut found = Vec::new();
            index::find(&step, hash, |pos| {
                // A slot that is being copied is in both tables.
                if let Some(f) = table::read(&step, pos)?
                    && f.entry.hash == hash
                    && !found.iter().any(|known: &table::Found| known.pos == pos)
                {
                    found.push(f);
                }
                Ok(false)
            })?;
            found.sort_by_key(|f| f.pos);
            let mut batch =
                Batch { shape: step.root(SHAPE), version: step.version(), ..Batch::default() };
            let mut ids = Vec::new();
            for f in &found {
                batch.add(&step, f)?;
                ids.extend(f.entry.key.holds(&step)?);
                ids.extend(f.entry.value.holds(&step)?);
            }
            batch.len = step.root(LEN);
            if let Some(copied) = self.stock.end(&mut step, 0, &ids) {
                batch.holds = copied.holds;
                return Ok(batch);
            }
        }
    }

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
    ) -> Result<bool, ArenaError> {
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            let new = new.map(|new| Ready::new(inner, new)).transpose()?;
            let mut step = self.stock.begin()?;
            let found = lookup(&step, key)?;
            let same = match (&found, old) {
                (Some(f), Some(old)) => f.entry.value.equals(&step, old)?,
                (None, None) => true,
                _ => false,
            };
            match (same, found, new) {
                (false, ..) => return Ok(false),
                (_, Some(f), Some(new)) => replace(&mut step, &f, new)?,
                (_, Some(f), None) => remove(&mut step, &f)?,
                (_, None, Some(new)) => return self.add(&mut step, key, new).map(|()| true),
                (_, None, None) => return Ok(true),
            }
            step.commit()?;
            upkeep::do_some(&mut step, true);
            Ok(true)
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
