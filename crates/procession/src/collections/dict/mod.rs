//! A dict of bytes: a table of entries in their order, a hash index, a heap for keys and values.
//!
//! Roots, beside the heap's: how many entries there are, where they end, a number that moves when
//! entries are added or removed, the directory of entries, the index with its used slots, the old index
//! with how far it is copied, and where entries are moved to (plus one; 0: none is moved) and from.

mod batch;
mod conditional;
mod index;
mod inspect;
mod many;
mod numbers;
mod seek;
mod steps;
mod table;
mod upkeep;

use std::fmt;
use std::mem::take;

pub use batch::{Batch, Item};
pub use numbers::AddError;
pub use seek::{FindError, Glimpse, OPAQUE};

use super::heap::{Datum, Ready};
use super::stock::{Copied, Outdated, Refusal, Stock, common};
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;
use seek::seek;
use steps::{add, empty, last, lookup_plain, remove, replace};
use table::{Entry, Found};

const LEN: usize = 5;
const END: usize = 6;
const SHAPE: usize = 7;
const DIR: usize = 8;
const INDEX: usize = 9;
const USED: usize = 10;
const OLD: usize = 11;
const CURSOR: usize = 12;
const DST: usize = 13;
const SRC: usize = 14;

/// A key: equal to another if hash, kind and bytes are.
///
/// Two *plain* ones are different if these are not equal. Of a key of another kind only the caller can
/// tell whether it equals one with other bytes: see [`FindError::Unsure`]. The hash of such a key must
/// be that of every key that it may equal, or else [`OPAQUE`].
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Its hash.
    pub hash: u64,
    /// Its kind and bytes.
    pub datum: Datum<'a>,
}

impl<'a> Key<'a> {
    /// Of plain data, hashed by [`hash`](super::hash).
    #[must_use]
    pub fn plain(bytes: &'a [u8]) -> Key<'a> {
        Key { hash: super::hash(bytes), datum: Datum::plain(bytes) }
    }
}

/// A dict of bytes that any number of processes share.
///
/// Each operation is one atomic step. A process that dies in the middle of one leaves the dict as it
/// was before, or as it is after. Entries stand in the order of their insertion.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawDict, collections::{Datum, Key}};
/// let dict = RawDict::create(Family::current()?)?;
/// assert!(dict.insert(&Key::plain(b"key"), &Datum::plain(b"value"), None)?.is_none());
///
/// let mut out = Vec::new();
/// let found = dict.get(&Key::plain(b"key"), &mut out)?.unwrap();
/// assert_eq!((found.kind, &out[..]), (procession::codec::PLAIN, &b"value"[..]));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawDict {
    stock: Stock,
}

common!(RawDict, Kind::Dict);

impl fmt::Debug for RawDict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawDict")
            .field("index", &self.stock.lease.id.index)
            .field("len", &self.stock.slot.root(LEN))
            .finish_non_exhaustive()
    }
}

impl RawDict {
    /// The dict that this counts.
    pub(crate) fn of(lease: Lease) -> Result<RawDict, ArenaError> {
        Ok(RawDict { stock: Stock::of(lease, Kind::Dict)? })
    }

    /// How many entries there are.
    pub fn len(&self) -> Result<u64, ArenaError> {
        Ok(self.stock.begin()?.root(LEN))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> Result<bool, ArenaError> {
        Ok(self.len()? == 0)
    }

    /// Bytes that small keys and values take, with their padding.
    pub fn heap_bytes(&self) -> Result<u64, ArenaError> {
        Ok(super::heap::in_use(&self.stock.begin()?))
    }

    /// A number that moves when entries are added or removed, and not when values are replaced.
    pub fn shape(&self) -> Result<u64, ArenaError> {
        Ok(self.stock.begin()?.root(SHAPE))
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// [`FindError::Unsure`] if only the caller can tell, [`ArenaError::Corrupt`] if shared memory was
    /// scribbled over.
    pub fn contains(&self, key: &Key<'_>) -> Result<bool, FindError> {
        Ok(seek(&self.stock.begin()?, key)?.is_some())
    }

    /// Appends the value of a key to `out`.
    ///
    /// # Errors
    /// As [`RawDict::contains`].
    pub fn get(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Option<Copied>, FindError> {
        Ok(self.find(key, out)?.found.map(|(_, copied)| copied))
    }

    /// Sets the value of a key, and says whether there was one: it is appended to `old`, if that is
    /// asked for.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory, else as [`RawDict::contains`]; the dict is as before.
    pub fn insert(
        &self,
        key: &Key<'_>,
        value: &Datum<'_>,
        old: Option<&mut Vec<u8>>,
    ) -> Result<Option<Copied>, FindError> {
        self.set(key, value, old, |_| true, seek).map(Result::unwrap_or_default)
    }

    /// The same, if the version is `version` still. Never unsure: the caller knows that no other entry
    /// of that version has an equal key.
    ///
    /// # Errors
    /// The outer one is [`ArenaError::Full`] or [`ArenaError::Corrupt`], the inner one says that the
    /// version is another.
    pub fn insert_if(
        &self,
        version: u64,
        key: &Key<'_>,
        value: &Datum<'_>,
    ) -> Result<Result<Option<Copied>, Outdated>, ArenaError> {
        self.set(key, value, None, |step| step.version() == version, lookup_plain)
    }

    fn set<E: Refusal>(
        &self,
        key: &Key<'_>,
        value: &Datum<'_>,
        mut old: Option<&mut Vec<u8>>,
        may: impl Fn(&Step) -> bool,
        find: impl Fn(&Step, &Key<'_>) -> Result<Option<Found>, E>,
    ) -> Result<Result<Option<Copied>, Outdated>, E> {
        let inner = self.stock.lease.inner;
        let start = old.as_ref().map_or(0, |old| old.len());
        let done = self.stock.attempt(|| {
            let (mut new, mut pin, mut holds) = (Ready::new(inner, value)?, None, Vec::new());
            let done = self.with_key(key, |step, ready_key| {
                if !may(step) {
                    return Ok(Some(Err(Outdated)));
                }
                let Some(found) = find(step, key)? else {
                    return Ok(add(step, key, ready_key, &mut new)?.then_some(Ok(None)));
                };
                let had = found.entry.value;
                if let Some(old) = old.as_deref_mut() {
                    old.truncate(start);
                    pin = had.read_or_pin(step, old)?;
                    holds = self.stock.keep(&had.holds(step)?)?;
                }
                replace(step, &found, &mut new)?;
                step.commit()?;
                upkeep::do_some(step, false);
                Ok(Some(Ok(Some(Copied { kind: had.kind(), holds: take(&mut holds) }))))
            });
            if let (Ok(_), Some(pin), Some(old)) = (&done, pin, old.as_deref_mut()) {
                pin.copy_to(old);
            }
            done
        });
        if let (Err(_), Some(old)) = (&done, old) {
            old.truncate(start);
        }
        done
    }

    /// Does what may add a key, with the key ready to be stored. One that needs a block has it at the
    /// second attempt only, when `act` has said, by `None`, that it needs it.
    #[inline]
    fn with_key<'a, R, E: From<ArenaError>>(
        &self,
        key: &Key<'a>,
        mut act: impl FnMut(&mut Step, &mut Option<Ready<'a>>) -> Result<Option<R>, E>,
    ) -> Result<R, E> {
        let mut ready = Ready::light(&key.datum);
        loop {
            let mut step = self.stock.begin()?;
            if let Some(done) = act(&mut step, &mut ready)? {
                return Ok(done);
            }
            drop(step);
            ready = Some(Ready::new(self.stock.lease.inner, &key.datum)?);
        }
    }

    /// The value of a key, which is set to `value` if there is none. `None`: it was set.
    ///
    /// # Errors
    /// As [`RawDict::insert`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// let mut out = Vec::new();
    /// assert!(dict.set_default(&Key::plain(b"a"), &Datum::plain(b"1"), &mut out)?.is_none());
    /// assert!(dict.set_default(&Key::plain(b"a"), &Datum::plain(b"2"), &mut out)?.is_some());
    /// assert_eq!(out, b"1");
    /// # Ok(()) }
    /// ```
    pub fn set_default(
        &self,
        key: &Key<'_>,
        value: &Datum<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Copied>, FindError> {
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            loop {
                if let found @ Some(_) = self.get(key, out)? {
                    return Ok(found);
                }
                // The value's block is made outside the lock.
                let mut value = Ready::new(inner, value)?;
                let added: Result<_, FindError> =
                    self.with_key(key, |step, ready_key| match seek(step, key)? {
                        Some(_) => Ok(Some(false)),
                        None => Ok(add(step, key, ready_key, &mut value)?.then_some(true)),
                    });
                if added? {
                    return Ok(None);
                }
            }
        })
    }

    /// Removes an entry, and says whether there was one.
    ///
    /// # Errors
    /// As [`RawDict::insert`].
    pub fn remove(&self, key: &Key<'_>) -> Result<bool, FindError> {
        Ok(self.take(|step| seek(step, key), |_| true, None)?.unwrap_or_default().is_some())
    }

    /// Removes an entry, whose value is appended to `out`.
    ///
    /// # Errors
    /// As [`RawDict::remove`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// dict.insert(&Key::plain(b"a"), &Datum::plain(b"1"), None)?;
    /// let mut out = Vec::new();
    /// assert!(dict.pop(&Key::plain(b"a"), &mut out)?.is_some());
    /// assert!(dict.pop(&Key::plain(b"a"), &mut out)?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn pop(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Option<Copied>, FindError> {
        Ok(self.take(|step| seek(step, key), |_| true, Some((None, out)))?.unwrap_or_default())
    }

    /// Removes the entry that was added last; its key and value are appended. The kind of the key comes
    /// with it.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if shared memory was scribbled over.
    pub fn pop_last(
        &self,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<Option<(u8, Copied)>, ArenaError> {
        let kind = std::cell::Cell::new(0);
        let found = |step: &Step| {
            let found = last(step)?;
            found.inspect(|f| kind.set(f.entry.key.kind()));
            Ok(found)
        };
        let copied = self.take(found, |_| true, Some((Some(key), value)))?.unwrap_or_default();
        Ok(copied.map(|copied| (kind.get(), copied)))
    }

    /// Removes the entry at a position, if the version is `version` still.
    ///
    /// # Errors
    /// As [`RawDict::insert_if`].
    pub fn remove_at(
        &self,
        version: u64,
        pos: u64,
        out: &mut Vec<u8>,
    ) -> Result<Result<Option<Copied>, Outdated>, ArenaError> {
        let may = |step: &Step| step.version() == version;
        self.take(|step| table::read(step, pos), may, Some((None, out)))
    }

    fn take<E: Refusal>(
        &self,
        find: impl Fn(&Step) -> Result<Option<Found>, E>,
        may: impl Fn(&Step) -> bool,
        mut out: Option<(Option<&mut Vec<u8>>, &mut Vec<u8>)>,
    ) -> Result<Result<Option<Copied>, Outdated>, E> {
        let starts = out.as_ref().map(|(k, v)| (k.as_ref().map_or(0, |k| k.len()), v.len()));
        let done = self.stock.attempt(|| {
            let (mut holds, mut pin) = (Vec::new(), None);
            let mut step = self.stock.begin()?;
            if !may(&step) {
                return Ok(Err(Outdated));
            }
            let Some(found) = find(&step)? else {
                return Ok(Ok(None));
            };
            let Entry { key, value, .. } = found.entry;
            if let (Some((k, v)), Some(starts)) = (&mut out, starts) {
                let mut ids = value.holds(&step)?;
                v.truncate(starts.1);
                pin = value.read_or_pin(&step, v)?;
                if let Some(k) = k {
                    k.truncate(starts.0);
                    key.read(&step, k)?;
                    ids.extend(key.holds(&step)?);
                }
                holds = self.stock.keep(&ids)?;
            }
            remove(&mut step, &found)?;
            crash_point!("dict.removing");
            step.commit()?;
            upkeep::do_some(&mut step, true);
            drop(step);
            if let (Some(pin), Some((_, v))) = (pin, &mut out) {
                pin.copy_to(v);
            }
            Ok(Ok(Some(Copied { kind: value.kind(), holds })))
        });
        if let (Err(_), Some((k, v)), Some(starts)) = (&done, out, starts) {
            v.truncate(starts.1);
            if let Some(k) = k {
                k.truncate(starts.0);
            }
        }
        done
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// As [`RawDict::pop_last`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// dict.insert(&Key::plain(b"a"), &Datum::plain(b"1"), None)?;
    /// dict.clear()?;
    /// assert!(dict.is_empty()?);
    /// # Ok(()) }
    /// ```
    pub fn clear(&self) -> Result<(), ArenaError> {
        let mut step = self.stock.begin()?;
        if step.root(END) == 0 {
            return Ok(());
        }
        empty(&mut step)?;
        crash_point!("dict.clearing");
        step.commit()
    }
}
