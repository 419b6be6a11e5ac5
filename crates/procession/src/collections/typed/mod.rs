//! Dicts, lists and single values of what serde can write.

mod delivery;
mod dict;
mod joins;
mod lifo;
mod list;
mod priority;
mod queues;
mod value;

pub use delivery::{Delivery, DeliveryError, DeliveryQueue};
pub use dict::SharedDict;
pub use lifo::LifoQueue;
pub use list::SharedList;
pub use priority::PriorityQueue;
pub use value::{NewValueError, SharedValue};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dict::{AddError, FindError, Key};
use super::heap::Datum;
use super::list::Values;
use super::stock::Copied;
use crate::arena::lease::Lease;
use crate::codec::{self, PLAIN};
use crate::error::ArenaError;
use crate::travel;

/// An operation on a collection of values was not done; the collection is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// The value or key could not be serialised.
    #[error("the value could not be serialised: {0}")]
    Encode(String),
    /// What is stored is not of this type.
    #[error("the value could not be decoded: {0}")]
    Decode(String),
    /// There is no such index.
    #[error("there is no such index")]
    NoIndex,
    /// Nothing could be added to it.
    #[error(transparent)]
    Add(AddError),
    /// A Python process has stored a key that may be equal to this one, which only Python can tell.
    #[error("the dict has a key of Python's that only Python can compare with this one")]
    Unsure,
    /// There is no memory, or the arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl From<FindError> for CollectionError {
    fn from(error: FindError) -> CollectionError {
        match error {
            FindError::Unsure => CollectionError::Unsure,
            FindError::Arena(error) => CollectionError::Arena(error),
        }
    }
}

impl From<AddError> for CollectionError {
    fn from(error: AddError) -> CollectionError {
        match error {
            AddError::Find(error) => error.into(),
            other => CollectionError::Add(other),
        }
    }
}

type Result<T> = std::result::Result<T, CollectionError>;

/// A value's bytes, and what keeps alive what the handles inside name.
struct Encoded {
    bytes: Vec<u8>,
    holds: Vec<Lease>,
}

impl Encoded {
    fn datum(&self) -> Datum<'_> {
        Datum { holds: &self.holds, ..Datum::plain(&self.bytes) }
    }

    fn key(&self) -> Key<'_> {
        Key { datum: self.datum(), ..Key::plain(&self.bytes) }
    }
}

fn encode(value: &(impl Serialize + ?Sized)) -> Result<Encoded> {
    let (bytes, holds) = travel::collect(|| codec::encode(&value));
    Ok(Encoded { bytes: bytes.map_err(CollectionError::Encode)?, holds })
}

fn encode_key(key: &(impl Serialize + ?Sized)) -> Result<Encoded> {
    let (bytes, holds) = travel::collect(|| codec::encode_key(&key));
    Ok(Encoded { bytes: bytes.map_err(CollectionError::Encode)?, holds })
}

fn decode<T: DeserializeOwned>(kind: u8, bytes: &[u8]) -> Result<T> {
    if kind != PLAIN {
        let text = format!("kind {kind} is not plain data; a Python process pickled it");
        return Err(CollectionError::Decode(text));
    }
    codec::decode(bytes).map_err(CollectionError::Decode)
}

fn decode_found<T: DeserializeOwned>(found: Option<Copied>, bytes: &[u8]) -> Result<Option<T>> {
    found.map(|copied| decode(copied.kind, bytes)).transpose()
}

fn decode_all<T: DeserializeOwned>(all: &Values) -> Result<Vec<T>> {
    all.items.iter().map(|(kind, range)| decode(*kind, &all.bytes[range.clone()])).collect()
}

/// What the three have.
macro_rules! shared {
    ($type:ident<$($p:ident),*>, $raw:ident) => {
        impl<$($p),*> Clone for $type<$($p),*> {
            fn clone(&self) -> Self {
                $type { raw: self.raw.clone(), of: PhantomData }
            }
        }

        impl<$($p),*> fmt::Debug for $type<$($p),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.raw).finish()
            }
        }

        crate::travel::travels!($type<$($p),*>, "a collection", |it| it.raw.lease());

        impl<$($p),*> $type<$($p),*> {
            /// Opens the one that a handle names. The handle does not say the types: they must be those
            /// of the other processes, or what is stored fails to decode.
            ///
            /// # Errors
            /// [`HandleError`].
            pub fn from_handle(handle: &[u8]) -> std::result::Result<Self, HandleError> {
                Ok($type { raw: $raw::from_handle(handle)?, of: PhantomData })
            }

            /// Bytes that name it anywhere in the family. They do not keep it alive.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                self.raw.handle()
            }

            /// The collection of bytes beneath.
            #[must_use]
            pub fn raw(&self) -> &$raw {
                &self.raw
            }

            /// A number that moves with each change: see [`wait_for_change`](Self::wait_for_change).
            #[must_use]
            pub fn version(&self) -> u64 {
                self.raw.version()
            }

            /// Waits until something may have changed since the version was `since`; or until the
            /// deadline, a signal, or a quarter of a second is over.
            #[must_use]
            pub fn wait_for_change(&self, since: u64, deadline: Option<Instant>) -> Wait {
                self.raw.wait_for_change(since, deadline)
            }
        }
    };
}
use shared;
