//! A single value.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::value::RemoteValue;
use super::{Result, decode, encode, shared};
use crate::remote::{RemoteError, Server};

/// One value on a server: replaced as a whole, in one step. It is what [`crate::SharedValue`] is on one machine.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Address, Server, SharedValue};
/// let server = Server::open(&Address::parse("redis://127.0.0.1:6379")?)?;
/// let progress: SharedValue<(u32, String)> =
///     SharedValue::named(&server, "progress", &(0, "begun".into()))?;
/// progress.update(|(n, text)| (n + 1, text))?;
/// # Ok(()) }
/// ```
pub struct SharedValue<T> {
    raw: RemoteValue,
    of: PhantomData<fn(T) -> T>,
}

shared!(SharedValue<T>, RemoteValue);

impl<T: Serialize + DeserializeOwned> SharedValue<T> {
    /// The value of that name, which is made, and is `first`, if there is none.
    ///
    /// # Errors
    /// [`CollectionError`](super::CollectionError).
    pub fn named(server: &Server, name: &str, first: &T) -> Result<Self> {
        let raw = RemoteValue::named(server, name, encode(first)?)?;
        Ok(SharedValue { raw, of: PhantomData })
    }

    /// A new one without a name, which is there as long as somebody has it.
    ///
    /// # Errors
    /// [`CollectionError`](super::CollectionError).
    pub fn anonymous(server: &Server, first: &T) -> Result<Self> {
        let raw = RemoteValue::anonymous(server, encode(first)?)?;
        Ok(SharedValue { raw, of: PhantomData })
    }

    /// The value.
    ///
    /// # Errors
    /// [`CollectionError`](super::CollectionError).
    pub fn get(&self) -> Result<T> {
        decode(&self.raw.get()?)
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`CollectionError`](super::CollectionError).
    pub fn set(&self, value: &T) -> Result<()> {
        Ok(self.raw.set(encode(value)?)?)
    }

    /// Makes another value of it. Where another process sets it meanwhile, that is done again, with
    /// that value; so `change` must have no effect of its own. Gives the new value.
    ///
    /// # Errors
    /// [`CollectionError`](super::CollectionError).
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T> {
        loop {
            let old = self.raw.get()?;
            let new = change(decode(&old)?);
            if self.raw.exchange(&old, encode(&new)?)? {
                return Ok(new);
            }
        }
    }
}
