//! A single value.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::heap::Datum;
use super::super::list::RawList;
use super::{CollectionError, Result, decode_all, decode_found, encode, shared};
use crate::arena::family::Family;
use crate::codec;
use crate::error::HandleError;
use crate::travel;
use crate::wait::Wait;

/// One value between processes: replaced as a whole, in one step.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::SharedValue;
/// let progress: SharedValue<(u32, String)> = SharedValue::new(&(0, "begun".into()))?;
/// progress.update(|mut value| {
///     value.0 += 1;
///     value
/// })?;
/// assert_eq!(progress.get()?, (1, "begun".into()));
/// # Ok(()) }
/// ```
pub struct SharedValue<T> {
    /// A list of one value.
    raw: RawList,
    of: PhantomData<fn(T) -> T>,
}

shared!(SharedValue<T>, RawList);

impl<T: Serialize + DeserializeOwned> SharedValue<T> {
    /// With this value, in this process's family.
    ///
    /// # Errors
    /// [`HandleError`] as of [`SharedDict::new`](super::SharedDict::new), or if the value could not be serialised.
    pub fn new(value: &T) -> std::result::Result<Self, NewValueError> {
        SharedValue::new_in(Family::current().map_err(HandleError::from)?, value)
    }

    /// The same in a family that is not the current one.
    ///
    /// # Errors
    /// As [`SharedValue::new`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, SharedValue};
    /// # let family = Family::current()?;
    /// assert_eq!(SharedValue::new_in(family, &1)?.get()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn new_in(family: Family, value: &T) -> std::result::Result<Self, NewValueError> {
        let (bytes, holds) = travel::collect(|| codec::encode(value));
        let bytes = bytes.map_err(NewValueError::Encode)?;
        let raw = RawList::create(family).map_err(HandleError::from)?;
        raw.push(&Datum { holds: &holds, ..Datum::plain(&bytes) }).map_err(HandleError::from)?;
        Ok(SharedValue { raw, of: PhantomData })
    }

    /// The value.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn get(&self) -> Result<T> {
        let mut out = Vec::new();
        let found = self.raw.get(0, &mut out)?;
        decode_found(found, &out)?.ok_or(CollectionError::NoIndex)
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn set(&self, value: &T) -> Result<()> {
        let done = self.raw.set(0, &encode(value)?.datum())?;
        if done { Ok(()) } else { Err(CollectionError::NoIndex) }
    }

    /// Makes another value of it. Where another process sets it meanwhile, that is done again, with
    /// that value; so `change` must have no effect of its own. Gives the new value.
    ///
    /// # Errors
    /// [`CollectionError`](crate::collections::CollectionError).
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T> {
        loop {
            let now = self.raw.snapshot()?;
            let old = decode_all(&now)?.pop().ok_or(CollectionError::NoIndex)?;
            let new = change(old);
            if self.raw.set_if(now.version, 0, &encode(&new)?.datum())?.is_ok() {
                return Ok(new);
            }
        }
    }
}

/// A shared value could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewValueError {
    /// It could not be serialised.
    #[error("the value could not be serialised: {0}")]
    Encode(String),
    /// There can be no family, or there is no memory.
    #[error(transparent)]
    Handle(#[from] HandleError),
}
