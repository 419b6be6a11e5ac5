//! Entries copied out, many at once, and what is done with several of them.

use std::collections::BTreeMap;
use std::mem::take;
use std::ops::Range;

use super::super::heap;
use super::table::{self, Found, PER_SEGMENT};
use super::{LEN, RawDict, SHAPE, index};
use crate::arena::lease::Lease;
use crate::arena::objects::ObjectId;
use crate::arena::pin::Pin;
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
    fn of(step: &Step) -> Batch {
        Batch {
            shape: step.root(SHAPE),
            version: step.version(),
            len: step.root(LEN),
            ..Batch::default()
        }
    }

    /// Copies an entry out, but for what is `left` until the lock is released.
    fn add(
        &mut self,
        step: &Step,
        found: &Found,
        part: Part,
        left: &mut Left,
    ) -> Result<(), ArenaError> {
        let (key, value) = (found.entry.key, found.entry.value);
        let start = self.bytes.len();
        key.read(step, &mut self.bytes)?;
        left.ids.extend(key.holds(step)?);
        let middle = self.bytes.len();
        if part == Part::Entries {
            let pin = value.read_or_pin(step, &mut self.bytes)?;
            left.bytes += pin.as_ref().map_or(0, Pin::len);
            left.pins.extend(pin.map(|pin| (self.items.len(), pin)));
            left.ids.extend(value.holds(step)?);
        }
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

/// What is seen to when the lock is released: the objects whose handles were found, and long values with
/// the numbers of their items.
#[derive(Default)]
struct Left {
    ids: Vec<ObjectId>,
    pins: Vec<(usize, Pin)>,
    /// How many bytes are in these.
    bytes: usize,
}

/// A batch of more bytes has its room made beforehand.
const MANY: usize = 1 << 20;

/// What is copied out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Keys,
    Entries,
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
        self.copy_from(from, bytes, Part::Entries)
    }

    /// The same without the values: each is told as empty.
    ///
    /// # Errors
    /// As [`RawDict::batch`].
    pub fn key_batch(&self, from: u64, bytes: usize) -> Result<Batch, ArenaError> {
        self.copy_from(from, bytes, Part::Keys)
    }

    fn copy_from(&self, from: u64, bytes: usize, part: Part) -> Result<Batch, ArenaError> {
        let mut room = self.room(bytes);
        self.batch_of(|step| {
            let mut batch = Batch::of(step);
            (batch.bytes, batch.items) = take(&mut room);
            let end = table::end(step)?;
            let (mut pos, mut left) = (from, Left::default());
            while pos < end && (batch.items.is_empty() || batch.bytes.len() + left.bytes < bytes) {
                if table::entry_at(step, pos)?.is_none() {
                    pos = (pos / PER_SEGMENT + 1) * PER_SEGMENT;
                    continue;
                }
                if let Some(found) = table::read(step, pos)? {
                    batch.add(step, &found, part, &mut left)?;
                }
                pos += 1;
            }
            batch.next = (pos < end).then_some(pos);
            Ok((batch, left))
        })
    }

    /// Room for so many bytes and their items, if they are many.
    fn room(&self, bytes: usize) -> (Vec<u8>, Vec<Item>) {
        if bytes <= MANY {
            return <_>::default();
        }
        let (len, bytes) = (self.stock.peek(LEN), bytes as u64);
        let all = heap::peek_in_use(&self.stock).saturating_add(len.saturating_mul(8));
        (self.stock.room(all.min(bytes)), self.stock.room(len.min(bytes)))
    }

    fn batch_of(
        &self,
        mut read: impl FnMut(&Step) -> Result<(Batch, Left), ArenaError>,
    ) -> Result<Batch, ArenaError> {
        let ((mut batch, pins), holds) = self.stock.read(|step| {
            let (batch, left) = read(step)?;
            Ok::<_, ArenaError>(((batch, left.pins), left.ids))
        })?;
        batch.holds = holds;
        for (i, pin) in pins {
            let start = batch.bytes.len();
            pin.copy_to(&mut batch.bytes);
            batch.items[i].value = start..batch.bytes.len();
        }
        Ok(batch)
    }

    /// Copies all entries out, as they are at one moment.
    ///
    /// # Errors
    /// As [`RawDict::batch`].
    pub fn snapshot(&self) -> Result<Batch, ArenaError> {
        self.batch(0, usize::MAX)
    }

    /// Copies the entries with any of these hashes out, in order and in one step, whatever their keys.
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
    /// let found = dict.candidates(&[1, 2])?;
    /// assert_eq!(found.items.len(), 2);
    /// dict.replace_at(found.version, found.items[1].pos, &Datum::plain(b"new"))?.unwrap();
    /// # Ok(()) }
    /// ```
    pub fn candidates(&self, hashes: &[u64]) -> Result<Batch, ArenaError> {
        self.copy_hashed(hashes, Part::Entries)
    }

    /// The same without the values: each is told as empty.
    ///
    /// # Errors
    /// As [`RawDict::batch`].
    pub fn candidate_keys(&self, hashes: &[u64]) -> Result<Batch, ArenaError> {
        self.copy_hashed(hashes, Part::Keys)
    }

    fn copy_hashed(&self, hashes: &[u64], part: Part) -> Result<Batch, ArenaError> {
        self.batch_of(|step| {
            // A slot that is being copied is in both tables, and a hash may be asked for twice.
            let mut found = BTreeMap::new();
            for &hash in hashes {
                index::find(step, hash, |pos| {
                    if let Some(f) = table::read(step, pos)?.filter(|f| f.entry.hash == hash) {
                        found.insert(pos, f);
                    }
                    Ok(false)
                })?;
            }
            let (mut batch, mut left) = (Batch::of(step), Left::default());
            for f in found.values() {
                batch.add(step, f, part, &mut left)?;
            }
            Ok((batch, left))
        })
    }
}
