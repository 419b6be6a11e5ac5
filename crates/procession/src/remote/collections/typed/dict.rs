//! A dict of values.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::dict::{Added, Exchanged, RemoteDict, Seen, key_in_field};
use super::{CollectionError, Result, decode, encode, encode_key, shared};
use crate::codec;
use crate::remote::{RemoteError, Server};

/// Takes in and gives out such keys and values, and owns none.
type Of<K, V> = PhantomData<(fn(K) -> K, fn(V) -> V)>;

/// A dict on a server, in the order of insertion: what [`crate::SharedDict`] is on one machine.
///
/// Keys and values are serialised by serde as MessagePack (see [`codec`](crate::codec)); keys are equal if their bytes
/// are. Each operation is one atomic step.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Address, Server, SharedDict};
/// let server = Server::open(&Address::parse("redis://127.0.0.1:6379")?)?;
/// let ages: SharedDict<String, u32> = SharedDict::named(&server, "ages")?;
/// ages.insert("Ada", &36)?;
/// assert_eq!(ages.get("Ada")?, Some(36));
/// # Ok(()) }
/// ```
pub struct SharedDict<K, V> {
    raw: RemoteDict,
    of: Of<K, V>,
}

shared!(SharedDict<K, V>, RemoteDict);

impl<K, V> SharedDict<K, V> {
    /// The dict of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn named(server: &Server, name: &str) -> std::result::Result<Self, RemoteError> {
        Ok(SharedDict { raw: RemoteDict::named(server, name)?, of: PhantomData })
    }

    /// A new one without a name, which is there as long as somebody has it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(server: &Server) -> std::result::Result<Self, RemoteError> {
        Ok(SharedDict { raw: RemoteDict::anonymous(server)?, of: PhantomData })
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn len(&self) -> std::result::Result<u64, RemoteError> {
        self.raw.len()
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_empty(&self) -> std::result::Result<bool, RemoteError> {
        self.raw.is_empty()
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn clear(&self) -> std::result::Result<(), RemoteError> {
        self.raw.clear()
    }
}

impl<K: Serialize, V: Serialize + DeserializeOwned> SharedDict<K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>> {
        value(self.raw.get(&encode_key(key)?)?)
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn contains<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool> {
        self.raw.contains(&encode_key(key)?)?.ok_or(CollectionError::Unsure)
    }

    /// Sets the value of a key, and says whether that is a new one.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<bool> {
        self.raw.set(&encode_key(key)?, encode(value)?)?.ok_or(CollectionError::Unsure)
    }

    /// The value of a key, which is set to `value` if there is none.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn get_or_insert<Q: Serialize + ?Sized>(&self, key: &Q, value: V) -> Result<V> {
        let found = self.raw.set_default(&encode_key(key)?, encode(&value)?)?;
        Ok(self::value(found)?.unwrap_or(value))
    }

    /// Removes an entry, and gives its value.
    ///
    /// # Errors
    /// [`CollectionError`]; a value that does not decode is removed all the same.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>> {
        value(self.raw.pop(&encode_key(key)?)?)
    }

    /// Sets many values in one step.
    ///
    /// # Errors
    /// [`CollectionError`]; then none is set.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let encoded = entries.into_iter().map(|(k, v)| Ok((encode_key(&k)?, encode(&v)?)));
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let set = self.raw.update(encoded.iter().map(|(k, v)| (k.as_slice(), v.as_slice())))?;
        if set { Ok(()) } else { Err(CollectionError::Unsure) }
    }

    /// Sets a key's value to `new` if it is `old`, where `None` is no value at all. Says whether it was.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn compare_exchange<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        old: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool> {
        let (old, new) = (old.map(encode).transpose()?, new.map(encode).transpose()?);
        match self.raw.exchange(&encode_key(key)?, old.as_deref(), new.as_deref())? {
            Exchanged::Done => Ok(true),
            Exchanged::Is(_) => Ok(false),
            Exchanged::Unsure => Err(CollectionError::Unsure),
        }
    }

    /// Adds to an integer, which is 0 if the key is not there, and says what it is then.
    ///
    /// # Errors
    /// [`CollectionError::NoInteger`] if it is no integer of 64 bits, [`CollectionError::Overflow`] if the sum is none.
    pub fn add<Q: Serialize + ?Sized>(&self, key: &Q, delta: i64) -> Result<i64> {
        let (key, summand) = (encode_key(key)?, encode(&delta)?);
        let mut is = match self.raw.add(&key, &summand, true)? {
            Added::Sum(sum) => return whole(&sum),
            Added::NotHere(is) => is,
            Added::Unsure => return Err(CollectionError::Unsure),
        };
        // Beyond what the server can add: here, unless another process comes in between.
        loop {
            let old = is.as_deref().map_or(Ok(0), whole)?;
            let sum = old.checked_add(delta).ok_or(CollectionError::Overflow)?;
            match self.raw.exchange(&key, is.as_deref(), Some(&encode(&sum)?))? {
                Exchanged::Done => return Ok(sum),
                Exchanged::Is(other) => is = other,
                Exchanged::Unsure => return Err(CollectionError::Unsure),
            }
        }
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> SharedDict<K, V> {
    /// All entries, as they are at one moment.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn entries(&self) -> Result<Vec<(K, V)>> {
        let all = self.raw.snapshot(true)?;
        all.fields.iter().zip(&all.values).map(|(k, v)| Ok((key(k)?, decode(v)?))).collect()
    }

    /// Removes the entry that was added last.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub fn pop_last(&self) -> Result<Option<(K, V)>> {
        self.raw.pop_last()?.map(|(k, v)| Ok((key(&k)?, decode(&v)?))).transpose()
    }
}

fn value<V: DeserializeOwned>(seen: Seen) -> Result<Option<V>> {
    match seen {
        Seen::Nothing => Ok(None),
        Seen::Value(value) => decode(&value).map(Some),
        Seen::Unsure => Err(CollectionError::Unsure),
    }
}

/// The key of a field. One that Python compares may be plain data all the same, such as 1.0.
fn key<K: DeserializeOwned>(field: &[u8]) -> Result<K> {
    let Some((kind, body)) = key_in_field(field) else {
        return Err(CollectionError::Decode("a field that no key has".into()));
    };
    if kind & !64 != codec::PLAIN {
        let text = format!("kind {kind} is not plain data; a Python process pickled it");
        return Err(CollectionError::Decode(text));
    }
    codec::decode(body).map_err(CollectionError::Decode)
}

fn whole(message: &[u8]) -> Result<i64> {
    match message.split_first() {
        Some((&codec::PLAIN, body)) => {
            codec::decode_integer(body).ok_or(CollectionError::NoInteger)
        }
        _ => Err(CollectionError::NoInteger),
    }
}
