//! A dict of values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::dict::{Item, RawDict};
use super::{Encoded, Result, decode, decode_found, encode, encode_key, shared};
use crate::arena::family::Family;
use crate::error::{ArenaError, HandleError};
use crate::wait::Wait;

/// Takes in and gives out such keys and values, and owns none.
type Of<K, V> = PhantomData<(fn(K) -> K, fn(V) -> V)>;

/// A dict between processes, in the order of insertion.
///
/// Keys and values are serialised by serde as MessagePack (see [`codec`](crate::codec)); keys are equal if their bytes
/// are, so integers and texts are equal as one expects. Each operation is one atomic step; see the
/// [module](crate::collections) for what happens when a process dies.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::SharedDict;
/// let ages: SharedDict<String, u32> = SharedDict::new()?;
/// ages.insert("Ada", &36)?;
/// let same: SharedDict<String, u32> = SharedDict::from_handle(&ages.handle())?;
/// assert_eq!(same.get("Ada")?, Some(36));
/// assert_eq!(same.remove("Ada")?, Some(36));
/// assert!(ages.is_empty()?);
/// # Ok(()) }
/// ```
pub struct SharedDict<K, V> {
    raw: RawDict,
    of: Of<K, V>,
}

shared!(SharedDict<K, V>, RawDict);

impl<K, V> SharedDict<K, V> {
    /// An empty one, in this process's family.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new() -> std::result::Result<Self, HandleError> {
        Ok(SharedDict::new_in(Family::current()?)?)
    }

    /// The same in a family that is not the current one.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, SharedDict};
    /// # let family = Family::current()?;
    /// let one: SharedDict<String, i32> = SharedDict::new_in(family)?;
    /// # Ok(()) }
    /// ```
    pub fn new_in(family: Family) -> std::result::Result<Self, ArenaError> {
        Ok(SharedDict { raw: RawDict::create(family)?, of: PhantomData })
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn len(&self) -> std::result::Result<u64, ArenaError> {
        self.raw.len()
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`SharedDict::len`].
    pub fn is_empty(&self) -> std::result::Result<bool, ArenaError> {
        self.raw.is_empty()
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// As [`SharedDict::len`].
    pub fn clear(&self) -> std::result::Result<(), ArenaError> {
        self.raw.clear()
    }
}

impl<K: Serialize, V: Serialize + DeserializeOwned> SharedDict<K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>> {
        let (key, mut out) = (encode_key(key)?, Vec::new());
        let found = self.raw.get(&key.key(), &mut out)?;
        decode_found(found, &out)
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn contains<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool> {
        Ok(self.raw.contains(&encode_key(key)?.key())?)
    }

    /// Sets the value of a key, and says whether that is a new one.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<bool> {
        let (key, value) = (encode_key(key)?, encode(value)?);
        Ok(self.raw.insert(&key.key(), &value.datum(), None)?.is_none())
    }

    /// The value of a key, which is set to `value` if there is none.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn get_or_insert<Q: Serialize + ?Sized>(&self, key: &Q, value: V) -> Result<V> {
        let (key, bytes, mut out) = (encode_key(key)?, encode(&value)?, Vec::new());
        let found = self.raw.set_default(&key.key(), &bytes.datum(), &mut out)?;
        Ok(decode_found(found, &out)?.unwrap_or(value))
    }

    /// Removes an entry, and gives its value.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError); a value that does not decode is removed all the same.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>> {
        let (key, mut out) = (encode_key(key)?, Vec::new());
        let found = self.raw.pop(&key.key(), &mut out)?;
        decode_found(found, &out)
    }

    /// Sets many values in one step.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError); then none is set.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let squares: procession::SharedDict<u32, u32> = procession::SharedDict::new()?;
    /// squares.extend((0..100).map(|n| (n, n * n)))?;
    /// assert_eq!(squares.get(&9)?, Some(81));
    /// # Ok(()) }
    /// ```
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let encoded = entries.into_iter().map(|(k, v)| Ok((encode_key(&k)?, encode(&v)?)));
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let entries: Vec<_> = encoded.iter().map(|(k, v)| (k.key(), v.datum())).collect();
        Ok(self.raw.insert_many(&entries)?)
    }

    /// Sets a key's value to `new` if it is `old`, where `None` is no value at all. Says whether it was.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let owners: procession::SharedDict<u32, String> = procession::SharedDict::new()?;
    /// assert!(owners.compare_exchange(&1, None, Some(&"me".into()))?);
    /// assert!(!owners.compare_exchange(&1, None, Some(&"you".into()))?);
    /// # Ok(()) }
    /// ```
    pub fn compare_exchange<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        old: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool> {
        let key = encode_key(key)?;
        let (old, new) = (old.map(encode).transpose()?, new.map(encode).transpose()?);
        let (old, new) = (old.as_ref().map(Encoded::datum), new.as_ref().map(Encoded::datum));
        Ok(self.raw.compare_exchange(&key.key(), old.as_ref(), new.as_ref())?)
    }

    /// Adds to an integer, which is 0 if the key is not there, and says what it is then.
    ///
    /// # Errors
    /// [`CollectionError::Add`](crate::collections::CollectionError::Add) if it is no integer of 64 bits, or would not be one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hits: procession::SharedDict<String, i64> = procession::SharedDict::new()?;
    /// hits.add("page", 1)?;
    /// assert_eq!(hits.add("page", 1)?, 2);
    /// # Ok(()) }
    /// ```
    pub fn add<Q: Serialize + ?Sized>(&self, key: &Q, delta: i64) -> Result<i64> {
        Ok(self.raw.add_to(&encode_key(key)?.key(), delta)?)
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> SharedDict<K, V> {
    /// All entries, as they are at one moment.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let d: procession::SharedDict<u8, u8> = procession::SharedDict::new()?;
    /// d.extend([(2, 20), (1, 10)])?;
    /// assert_eq!(d.entries()?, [(2, 20), (1, 10)]);
    /// # Ok(()) }
    /// ```
    pub fn entries(&self) -> Result<Vec<(K, V)>> {
        let all = self.raw.snapshot()?;
        let entry = |i: &Item| {
            let key = decode(i.key_kind, &all.bytes[i.key.clone()])?;
            Ok((key, decode(i.kind, &all.bytes[i.value.clone()])?))
        };
        all.items.iter().map(entry).collect()
    }

    /// Removes the entry that was added last.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn pop_last(&self) -> Result<Option<(K, V)>> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let popped = self.raw.pop_last(&mut key, &mut value)?;
        popped.map(|(kind, c)| Ok((decode(kind, &key)?, decode(c.kind, &value)?))).transpose()
    }
}
