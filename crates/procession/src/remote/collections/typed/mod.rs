//! Dicts, lists and single values of what serde can write.

mod dict;
mod list;
mod value;

pub use dict::SharedDict;
pub use list::SharedList;
pub use value::SharedValue;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, PLAIN};
use crate::remote::RemoteError;
use crate::travel;

/// An operation on a collection of values was not done, or nobody knows whether it was: see [`RemoteError`].
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
    /// What was to be added to is no integer of 64 bits.
    #[error("the value is no plain integer of 64 bits")]
    NoInteger,
    /// The sum is none.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
    /// A Python process has stored a key that may be equal to this one, which only Python can tell.
    #[error("the dict has a key of Python's that only Python can compare with this one")]
    Unsure,
    /// The server was not reached, or refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

type Result<T> = std::result::Result<T, CollectionError>;

/// A value as a message.
fn encode(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    message(travel::collect(|| codec::encode(&value)))
}

/// A key as a message, which is its field.
fn encode_key(key: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    message(travel::collect(|| codec::encode_key(&key)))
}

fn message<L>(encoded: (std::result::Result<Vec<u8>, String>, Vec<L>)) -> Result<Vec<u8>> {
    let (bytes, holds) = encoded;
    if !holds.is_empty() {
        let text = "a handle of something in this machine's shared memory can't go to a server";
        return Err(CollectionError::Encode(text.into()));
    }
    let mut bytes = bytes.map_err(CollectionError::Encode)?;
    bytes.insert(0, PLAIN);
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T> {
    match message.split_first() {
        Some((&PLAIN, body)) => codec::decode(body).map_err(CollectionError::Decode),
        Some((kind, _)) => Err(CollectionError::Decode(format!(
            "kind {kind} is not plain data; a Python process pickled it"
        ))),
        None => Err(CollectionError::Decode("it is empty".into())),
    }
}

fn decode_all<T: DeserializeOwned>(messages: &[Vec<u8>]) -> Result<Vec<T>> {
    messages.iter().map(|message| decode(message)).collect()
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

        impl<$($p),*> $type<$($p),*> {
            /// The one that a key names: see [`key`](Self::key). It does not say the types: they must be those of
            /// the other processes, or what is stored fails to decode.
            ///
            /// # Errors
            /// [`RemoteError::Gone`] if it is there no more.
            pub fn attach(server: &Server, key: &str) -> std::result::Result<Self, RemoteError> {
                Ok($type { raw: $raw::attach(server, key)?, of: PhantomData })
            }

            /// What names it on its server, for others: it stays when this handle goes.
            #[must_use]
            pub fn key(&self) -> &str {
                self.raw.key_to_send()
            }

            /// The collection of bytes beneath.
            #[must_use]
            pub fn raw(&self) -> &$raw {
                &self.raw
            }
        }
    };
}
use shared;
