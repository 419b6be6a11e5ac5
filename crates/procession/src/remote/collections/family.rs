//! Dicts, lists and values by their names.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CollectionError, SharedDict, SharedList, SharedValue};
use crate::remote::{Family, RemoteError};

/// The objects that have this name on the server; each is made if there is none of that name. The calls are those
/// of [`crate::Family`].
///
/// All may fail with [`RemoteError::WrongKind`] if the name is that of something else, and as the connection may.
impl Family {
    /// A dictionary.
    ///
    /// # Errors
    /// As above.
    pub fn dict<K, V>(&self, name: &str) -> Result<SharedDict<K, V>, RemoteError>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        SharedDict::named(self.server(), name)
    }

    /// A list.
    ///
    /// # Errors
    /// As above.
    pub fn list<T>(&self, name: &str) -> Result<SharedList<T>, RemoteError>
    where
        T: Serialize + DeserializeOwned,
    {
        SharedList::named(self.server(), name)
    }

    /// A value; it is `initial` if it is new.
    ///
    /// # Errors
    /// As above, and if `initial` cannot be serialised.
    pub fn value<T>(&self, name: &str, initial: &T) -> Result<SharedValue<T>, CollectionError>
    where
        T: Serialize + DeserializeOwned,
    {
        SharedValue::named(self.server(), name, initial)
    }
}
