//! A list of values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::list::RawList;
use super::{CollectionError, Encoded, Result, decode_all, decode_found, encode, shared};
use crate::arena::family::Family;
use crate::error::{ArenaError, HandleError};
use crate::wait::Wait;

/// A list between processes.
///
/// Values are serialised by serde as MessagePack (see [`codec`](crate::codec)). Each operation is one atomic step; see
/// the [module](crate::collections) for what happens when a process dies. A negative index counts from the end.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::SharedList;
/// let list: SharedList<String> = SharedList::new()?;
/// list.push(&"one".into())?;
/// list.extend(["two".into(), "three".into()])?;
/// assert_eq!(list.get(-1)?, Some("three".into()));
/// assert_eq!(list.pop(0)?, Some("one".into()));
/// assert_eq!(list.values()?, ["two", "three"]);
/// # Ok(()) }
/// ```
pub struct SharedList<T> {
    raw: RawList,
    of: PhantomData<fn(T) -> T>,
}

shared!(SharedList<T>, RawList);

impl<T> SharedList<T> {
    /// An empty one, in this process's family.
    ///
    /// # Errors
    /// As [`SharedDict::new`](super::SharedDict::new).
    pub fn new() -> std::result::Result<Self, HandleError> {
        Ok(SharedList::new_in(Family::current()?)?)
    }

    /// The same in a family that is not the current one.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, SharedList};
    /// # let family = Family::current()?;
    /// let one: SharedList<i32> = SharedList::new_in(family)?;
    /// # Ok(()) }
    /// ```
    pub fn new_in(family: Family) -> std::result::Result<Self, ArenaError> {
        Ok(SharedList { raw: RawList::create(family)?, of: PhantomData })
    }

    /// How long it is.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn len(&self) -> std::result::Result<u64, ArenaError> {
        self.raw.len()
    }

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// As [`SharedList::len`].
    pub fn is_empty(&self) -> std::result::Result<bool, ArenaError> {
        self.raw.is_empty()
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`SharedList::len`].
    pub fn clear(&self) -> std::result::Result<(), ArenaError> {
        self.raw.clear()
    }

    /// Turns it round.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn reverse(&self) -> std::result::Result<(), ArenaError> {
        self.raw.reverse()
    }
}

impl<T: Serialize> SharedList<T> {
    /// Adds a value behind the others.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn push(&self, value: &T) -> Result<()> {
        Ok(self.raw.push(&encode(value)?.datum())?)
    }

    /// Adds values behind the others, in one step.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError); then none is added.
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<()> {
        self.splice(i64::MAX, i64::MAX, values)
    }

    /// Replaces the value with this index.
    ///
    /// # Errors
    /// [`CollectionError::NoIndex`](crate::collections::CollectionError::NoIndex) if there is none.
    pub fn set(&self, index: i64, value: &T) -> Result<()> {
        let done = self.raw.set(index, &encode(value)?.datum())?;
        if done { Ok(()) } else { Err(CollectionError::NoIndex) }
    }

    /// Puts a value before the one with this index.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn insert(&self, index: i64, value: &T) -> Result<()> {
        Ok(self.raw.insert(index, &encode(value)?.datum())?)
    }

    /// Replaces the values from one index to another, not included, by these, in one step.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let list: procession::SharedList<i32> = procession::SharedList::new()?;
    /// list.extend(0..6)?;
    /// list.splice(1, -1, [7, 8])?;
    /// assert_eq!(list.values()?, [0, 7, 8, 5]);
    /// # Ok(()) }
    /// ```
    pub fn splice(&self, from: i64, to: i64, values: impl IntoIterator<Item = T>) -> Result<()> {
        let encoded = values.into_iter().map(|v| encode(&v)).collect::<Result<Vec<_>>>()?;
        let data: Vec<_> = encoded.iter().map(Encoded::datum).collect();
        Ok(self.raw.splice(from, to, &data)?)
    }
}

impl<T: DeserializeOwned> SharedList<T> {
    /// The value with this index.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn get(&self, index: i64) -> Result<Option<T>> {
        let mut out = Vec::new();
        let found = self.raw.get(index, &mut out)?;
        decode_found(found, &out)
    }

    /// Removes the value with this index, and gives it.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn pop(&self, index: i64) -> Result<Option<T>> {
        let mut out = Vec::new();
        let found = self.raw.pop(index, &mut out)?;
        decode_found(found, &out)
    }

    /// All values, as they are at one moment.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn values(&self) -> Result<Vec<T>> {
        decode_all(&self.raw.snapshot()?)
    }

    /// Sorts it by a key, stably. Where another process changes it meanwhile it is sorted again.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let list: procession::SharedList<i32> = procession::SharedList::new()?;
    /// list.extend([3, -1, 2])?;
    /// list.sort_by_key(|n| n.abs())?;
    /// assert_eq!(list.values()?, [-1, 2, 3]);
    /// # Ok(()) }
    /// ```
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&T) -> K) -> Result<()> {
        loop {
            let all = self.raw.snapshot()?;
            let values: Vec<T> = decode_all(&all)?;
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by_cached_key(|&i| key(&values[i]));
            if self.raw.reorder(all.version, &order)?.is_ok() {
                return Ok(());
            }
        }
    }
}
