//! Looking for keys, of which bytes do not always tell whether they are equal.

use super::super::stock::{Copied, Refusal};
use super::steps::search;
use super::table::{self, Found};
use super::{Key, LEN, RawDict, index};
use crate::arena::stock::Step;
use crate::codec::PLAIN;
use crate::error::ArenaError;

/// The hash of keys that may equal a key of any other hash. No [`hash`](super::super::hash) is this.
pub const OPAQUE: u64 = 0x0bad_c0de_0bad_c0de;

/// What was asked of a dict about a key was not done; the dict is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// No key has the same hash, kind and bytes, but one may be equal all the same: one of another kind
    /// than [`PLAIN`] with its hash or with [`OPAQUE`]; or, if the key asked for is not plain, any with
    /// its hash or with `OPAQUE`, and if it is itself `OPAQUE`, any at all.
    ///
    /// The caller compares it with these ([`RawDict::candidates`], [`RawDict::snapshot`]), and then does
    /// what it wants if the version is still theirs: by position if one is equal, otherwise by
    /// [`RawDict::insert_if`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawDict};
    /// use procession::collections::{Datum, FindError, Key, OPAQUE};
    /// let dict = RawDict::create(Family::current()?)?;
    /// let strange = Key { hash: OPAQUE, datum: Datum { kind: 2, bytes: b"half", holds: &[] } };
    /// dict.insert(&strange, &Datum::plain(b"1"), None)?;
    /// assert!(dict.contains(&strange)?);
    ///
    /// let plain = Key::plain(b"0.5");
    /// assert!(matches!(dict.contains(&plain), Err(FindError::Unsure)));
    /// let found = dict.candidates(&[plain.hash, OPAQUE])?;
    /// assert_eq!(&found.bytes[found.items[0].key.clone()], b"half");
    /// dict.replace_at(found.version, found.items[0].pos, &Datum::plain(b"2"))?.unwrap();
    /// # Ok(()) }
    /// ```
    #[error("only who made the keys can tell whether the dict has this one")]
    Unsure,
    /// There is no memory, or the arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl Refusal for FindError {
    fn lacking(&self) -> Option<u64> {
        match self {
            FindError::Arena(error) => error.lacking(),
            FindError::Unsure => None,
        }
    }
}

/// The entry with this key, if that can be told.
#[inline]
pub(super) fn seek(step: &Step, key: &Key<'_>) -> Result<Option<Found>, FindError> {
    let is_plain = key.datum.kind == PLAIN;
    let mut unsure = !is_plain && may_equal_all(step, key);
    for table in index::tables(step) {
        let table = table?;
        let note = |f: &Found| unsure |= !is_plain || f.entry.key.kind() != PLAIN;
        if let found @ Some(_) = search(step, table, key, note)? {
            return Ok(found);
        }
        unsure |= any_opaque(step, table)?;
    }
    if unsure { Err(FindError::Unsure) } else { Ok(None) }
}

fn may_equal_all(step: &Step, key: &Key<'_>) -> bool {
    key.hash == OPAQUE && step.root(LEN) != 0
}

/// Whether any entry of a table has the hash `OPAQUE`.
#[inline]
fn any_opaque(step: &Step, table: index::Table) -> Result<bool, ArenaError> {
    let is_opaque = |pos| Ok(table::read(step, pos)?.is_some_and(|f| f.entry.hash == OPAQUE));
    Ok(table.find(step, OPAQUE, is_opaque)?.is_some())
}

/// What a dict had of a key at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Glimpse {
    /// Its version at that moment.
    pub version: u64,
    /// The entry's position, and what was copied out of it; `None`: there was none.
    pub found: Option<(u64, Copied)>,
}

impl RawDict {
    /// Appends the value of a key to `out`, and says what the conditional operations have to be told.
    ///
    /// # Errors
    /// As [`RawDict::contains`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::{Datum, Key}};
    /// let dict = RawDict::create(Family::current()?)?;
    /// let (key, mut out) = (Key::plain(b"a"), Vec::new());
    /// let none = dict.find(&key, &mut out)?;
    /// assert!(none.found.is_none());
    /// dict.insert_if(none.version, &key, &Datum::plain(b"1"))?.unwrap();
    /// let one = dict.find(&key, &mut out)?;
    /// dict.replace_at(one.version, one.found.unwrap().0, &Datum::plain(b"2"))?.unwrap();
    /// # Ok(()) }
    /// ```
    pub fn find(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Glimpse, FindError> {
        self.glimpse(out, |step| seek(step, key))
    }

    /// What there is of the entry that `find` finds.
    #[inline]
    pub(super) fn glimpse<E: From<ArenaError>>(
        &self,
        out: &mut Vec<u8>,
        find: impl Fn(&Step) -> Result<Option<Found>, E>,
    ) -> Result<Glimpse, E> {
        let start = out.len();
        let read = self.stock.read(|step| {
            out.truncate(start);
            let (found, mut pin, mut ids) = (find(step)?, None, Vec::new());
            if let Some(found) = &found {
                pin = found.entry.value.read_or_pin(step, out)?;
                ids = found.entry.value.holds(step)?;
            }
            Ok(((step.version(), found, pin), ids))
        });
        let ((version, found, pin), holds) = read.inspect_err(|_: &E| out.truncate(start))?;
        if let Some(pin) = pin {
            pin.copy_to(out);
        }
        let found = found.map(|f| (f.pos, Copied { kind: f.entry.value.kind(), holds }));
        Ok(Glimpse { version, found })
    }
}
