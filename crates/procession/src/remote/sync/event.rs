//! An event.

use std::fmt;
use std::time::Duration;

use crate::remote::object::{Kind, Object};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static EVENT: Kind = Kind { name: "event", parts: &["waiters"] };
const WAITERS: usize = 2;

static SET: Script = Script::new("setting an event", include_str!("../lua/event_set.lua"));
static WAIT: Script = Script::new("waiting for an event", include_str!("../lua/event_wait.lua"));

/// A flag that processes on any number of machines wait for.
///
/// Who waits when it is set goes on, also if it is cleared at once. It does not mind deaths.
pub struct Event {
    object: Object,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("key", &self.object.key()).finish_non_exhaustive()
    }
}

impl Event {
    /// The event of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`], and those of the connection.
    pub fn named(server: &Server, name: &str) -> Result<Event, RemoteError> {
        Ok(Event { object: Object::named(server, &EVENT, name, &[])?.0 })
    }

    /// A new event without a name, not set.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn anonymous(server: &Server) -> Result<Event, RemoteError> {
        Ok(Event { object: Object::anonymous(server, &EVENT, &[])?.0 })
    }

    /// The event with that [key](Event::key).
    ///
    /// # Errors
    /// [`RemoteError::Gone`], and those of the connection.
    pub fn attach(server: &Server, key: &str) -> Result<Event, RemoteError> {
        Ok(Event { object: Object::attach(server, &EVENT, key)?.0 })
    }

    super::of_object!();

    /// Sets it, and lets everyone go on who waits.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn set(&self) -> Result<(), RemoteError> {
        self.make(true, &Patience::forever())
    }

    /// Unsets it.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn clear(&self) -> Result<(), RemoteError> {
        self.make(false, &Patience::forever())
    }

    /// Sets it or unsets it.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn make(&self, set: bool, patience: &Patience<'_>) -> Result<(), RemoteError> {
        self.object.call(&SET)?.int(set.into()).run(patience).map(drop)
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn is_set(&self, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        Ok(self.object.call(&WAIT)?.arg("").arg("").read(patience)?.int(0)? == 1)
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn wait(&self) -> Result<(), RemoteError> {
        while !self.wait_with(&Patience::forever())? {}
        Ok(())
    }

    /// Waits until it is set, at most `timeout`. Whether it was.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, RemoteError> {
        self.wait_with(&Patience::of(timeout))
    }

    /// Waits until it is set, or patience ends. Whether it was.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn wait_with(&self, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        let mut times = String::new();
        let set = self.object.wait(WAITERS, patience, |member| {
            let call = self.object.call(&WAIT)?.arg(member.unwrap_or("")).arg(&times);
            let reply = call.read(patience)?;
            if reply.int(0)? == 1 {
                return Ok(Some(()));
            }
            if times.is_empty() {
                times = reply.int(1)?.to_string();
            }
            Ok(None)
        })?;
        Ok(set.is_some())
    }
}
