//! A list of values.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::list::RemoteList;
use super::{CollectionError, Result, decode, decode_all, encode, shared};
use crate::remote::{RemoteError, Server};

/// A list on a server: what [`crate::SharedList`] is on one machine.
///
/// Values are serialised by serde as MessagePack (see [`codec`](crate::codec)). Each operation is one atomic step. A
/// negative index counts from the end.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Address, Server, SharedList};
/// let server = Server::open(&Address::parse("redis://127.0.0.1:6379")?)?;
/// let list: SharedList<String> = SharedList::anonymous(&server)?;
/// list.extend(["one".into(), "two".into()])?;
/// assert_eq!(list.pop(0)?, Some("one".into()));
/// # Ok(()) }
/// ```
pub struct SharedList<T> {
    raw: RemoteList,
    of: PhantomData<fn(T) -> T>,
}

shared!(SharedList<T>, RemoteList);

impl<T> SharedList<T> {
    /// The list of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn named(server: &Server, name: &str) -> std::result::Result<Self, RemoteError> {
        Ok(SharedList { raw: RemoteList::named(server, name)?, of: PhantomData })
    }

    /// A new one without a name, which is there as long as somebody has it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(server: &Server) -> std::result::Result<Self, RemoteError> {
        Ok(SharedList { raw: RemoteList::anonymous(server)?, of: PhantomData })
    }

    /// How long it is.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn len(&self) -> std::result::Result<u64, RemoteError> {
        self.raw.len()
    }

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_empty(&self) -> std::result::Result<bool, RemoteError> {
        self.raw.is_empty()
    }

    /// Removes all values.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn clear(&self) -> std::result::Result<(), RemoteError> {
        self.raw.clear()
    }

    /// Turns it round.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn reverse(&self) -> std::result::Result<(), RemoteError> {
        self.raw.reverse()
    }
}

impl<T: Serialize> SharedList<T> {
    /// Adds a value behind the others.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn push(&self, value: &T) -> Result<()> {
        Ok(self.raw.splice(i64::MAX, i64::MAX, [encode(value)?.as_slice()])?)
    }

    /// Adds values behind the others, in one step.
    ///
    /// # Errors
    /// [`CollectionError`]; then none is added.
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<()> {
        self.splice(i64::MAX, i64::MAX, values)
    }

    /// Replaces the value with this index.
    ///
    /// # Errors
    /// [`CollectionError::NoIndex`] if there is none.
    pub fn set(&self, index: i64, value: &T) -> Result<()> {
        let done = self.raw.set(index, encode(value)?)?;
        if done { Ok(()) } else { Err(CollectionError::NoIndex) }
    }

    /// Puts a value before the one with this index.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn insert(&self, index: i64, value: &T) -> Result<()> {
        Ok(self.raw.splice(index, index, [encode(value)?.as_slice()])?)
    }

    /// Replaces the values from one index to another, not included, by these, in one step.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn splice(&self, from: i64, to: i64, values: impl IntoIterator<Item = T>) -> Result<()> {
        let encoded = values.into_iter().map(|v| encode(&v)).collect::<Result<Vec<_>>>()?;
        Ok(self.raw.splice(from, to, encoded.iter().map(Vec::as_slice))?)
    }
}

impl<T: DeserializeOwned> SharedList<T> {
    /// The value with this index.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn get(&self, index: i64) -> Result<Option<T>> {
        self.raw.get(index)?.map(|value| decode(&value)).transpose()
    }

    /// Removes the value with this index, and gives it.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn pop(&self, index: i64) -> Result<Option<T>> {
        self.raw.pop(index)?.map(|value| decode(&value)).transpose()
    }

    /// All values, as they are at one moment.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn values(&self) -> Result<Vec<T>> {
        decode_all(&self.raw.slice(0, i64::MAX)?.items)
    }

    /// Sorts it by a key, stably. Where another process changes it meanwhile it is sorted again.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&T) -> K) -> Result<()> {
        loop {
            let all = self.raw.slice(0, i64::MAX)?;
            let values: Vec<T> = decode_all(&all.items)?;
            let mut order: Vec<u32> = (0..).take(values.len()).collect();
            order.sort_by_cached_key(|&i| key(&values[i as usize]));
            if self.raw.reorder(all.version, &order)? {
                return Ok(());
            }
        }
    }
}
