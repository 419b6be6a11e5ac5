//! A single message, which stands in the object's hash.

use std::sync::Arc;

use super::handle;
use crate::remote::object::{Kind, Object};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static KIND: Kind = Kind { name: "value", parts: &[] };
static GET: Script = Script::new("reading a value", include_str!("../lua/value_get.lua"));
static SET: Script = Script::new("setting a value", include_str!("../lua/value_set.lua"));

/// A message on a server, which is replaced as a whole.
#[derive(Debug, Clone)]
pub struct RemoteValue {
    object: Arc<Object>,
}

handle!(RemoteValue);

impl RemoteValue {
    /// The value of that name, which is made, and is `first`, if there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn named(server: &Server, name: &str, first: Vec<u8>) -> Result<RemoteValue, RemoteError> {
        let (object, _) = Object::named(server, &KIND, name, &[("value", first)])?;
        Ok(RemoteValue { object: object.into() })
    }

    /// A new one without a name.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(server: &Server, first: Vec<u8>) -> Result<RemoteValue, RemoteError> {
        let (object, _) = Object::anonymous(server, &KIND, &[("value", first)])?;
        Ok(RemoteValue { object: object.into() })
    }

    /// The message.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn get(&self) -> Result<Vec<u8>, RemoteError> {
        let value = self.object.call(&GET)?.read(&Patience::forever())?.bytes(0)?;
        value.ok_or_else(|| RemoteError::Corrupt("a value without a value".into()))
    }

    /// Replaces it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn set(&self, value: Vec<u8>) -> Result<(), RemoteError> {
        self.object.call(&SET)?.arg(value).arg("0").run(&Patience::forever()).map(drop)
    }

    /// Replaces it if it is `old`. Whether it was.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn exchange(&self, old: &[u8], new: Vec<u8>) -> Result<bool, RemoteError> {
        let call = self.object.call(&SET)?.arg(new).arg("1").arg(old);
        Ok(call.run(&Patience::forever())?.int(0)? == 1)
    }
}
