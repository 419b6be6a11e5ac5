//! Counting in place.

use super::super::heap::{Datum, Ready};
use super::seek::{FindError, seek};
use super::steps::{add, replace};
use super::{Key, RawDict, upkeep};
use crate::codec::{self, PLAIN};

/// Why nothing was added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The value is no integer of 64 bits.
    #[error("the value is no plain integer of 64 bits")]
    NoInteger,
    /// The sum is none.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
    /// Only the caller can tell whether there is such a key; or the arena refused.
    #[error(transparent)]
    Find(#[from] FindError),
}

impl RawDict {
    /// Adds to a plain integer, which is 0 if the key is not there, and says what it is then.
    ///
    /// # Errors
    /// [`AddError`]; the dict is as before.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict, collections::Key};
    /// let dict = RawDict::create(Family::current()?)?;
    /// assert_eq!(dict.add_to(&Key::plain(b"hits"), 2)?, 2);
    /// assert_eq!(dict.add_to(&Key::plain(b"hits"), -5)?, -3);
    /// # Ok(()) }
    /// ```
    pub fn add_to(&self, key: &Key<'_>, delta: i64) -> Result<i64, AddError> {
        let inner = self.stock.lease.inner;
        let mut bytes = Vec::new();
        let done = self.stock.attempt(|| {
            self.with_key(key, |step, ready_key| {
                let found = seek(step, key)?;
                let mut old = 0;
                if let Some(f) = &found {
                    bytes.clear();
                    f.entry.value.read(step, &mut bytes)?;
                    match codec::decode_integer(&bytes) {
                        Some(n) if f.entry.value.kind() == PLAIN => old = n,
                        _ => return Ok(Some(Err(AddError::NoInteger))),
                    }
                }
                let Some(sum) = old.checked_add(delta) else {
                    return Ok(Some(Err(AddError::Overflow)));
                };
                let Ok(text) = codec::encode(&sum) else {
                    return Ok(Some(Err(AddError::NoInteger)));
                };
                // An integer needs no block.
                let mut value = Ready::new(inner, &Datum::plain(&text))?;
                if let Some(found) = found {
                    replace(step, &found, &mut value)?;
                    step.commit()?;
                    upkeep::do_some(step, false);
                    return Ok(Some(Ok(sum)));
                }
                Ok(add(step, key, ready_key, &mut value)?.then_some(Ok(sum)))
            })
        });
        done.map_err(|error: FindError| AddError::Find(error))?
    }
}
