//! A semaphore.

use std::fmt;
use std::time::Duration;

use super::{differs, number_in};
use crate::remote::object::{Kind, Object, Params};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static SEMAPHORE: Kind = Kind { name: "semaphore", parts: &["waiters"] };
static BOUNDED: Kind = Kind { name: "bounded_semaphore", parts: &["waiters"] };
/// As many permits as a semaphore can have.
const PERMITS_MAX: u32 = i32::MAX.cast_unsigned();
const WAITERS: usize = 2;

static ACQUIRE: Script =
    Script::new("acquiring a permit", include_str!("../lua/semaphore_acquire.lua"));
static RELEASE: Script =
    Script::new("releasing a permit", include_str!("../lua/semaphore_release.lua"));
static UNDO: Script =
    Script::new("giving a permit back", include_str!("../lua/semaphore_undo.lua"));
static VALUE: Script = Script::new("counting permits", include_str!("../lua/semaphore_value.lua"));

/// A number of permits between processes on any number of machines.
///
/// There is no order among those who wait. The permits of a process that ended are not given back: nobody can
/// know what they meant.
pub struct Semaphore {
    object: Object,
    max: u32,
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("key", &self.object.key()).finish_non_exhaustive()
    }
}

impl Semaphore {
    /// The semaphore of that name, which has so many permits if it is new; more may be released later.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`], and those of the connection.
    pub fn named(server: &Server, name: &str, permits: u32) -> Result<Semaphore, RemoteError> {
        let params = params(permits.min(PERMITS_MAX), PERMITS_MAX);
        Semaphore::over(Object::named(server, &SEMAPHORE, name, &params)?)
    }

    /// The semaphore of that name that never has more than so many permits; `None`: as it is, and one if it is new.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`]; [`RemoteError::Differs`] if it has another number; and those of the connection.
    pub fn named_bounded(
        server: &Server,
        name: &str,
        permits: Option<u32>,
    ) -> Result<Semaphore, RemoteError> {
        let first = permits.unwrap_or(1);
        let object = Object::named(server, &BOUNDED, name, &params(first, first))?;
        let semaphore = Semaphore::over(object)?;
        if let Some(permits) = permits {
            differs(name, "maximum", semaphore.max, permits)?;
        }
        Ok(semaphore)
    }

    /// A new semaphore without a name, with so many permits; more may be released later.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn anonymous(server: &Server, permits: u32) -> Result<Semaphore, RemoteError> {
        let params = params(permits.min(PERMITS_MAX), PERMITS_MAX);
        Semaphore::over(Object::anonymous(server, &SEMAPHORE, &params)?)
    }

    /// A new one without a name that never has more permits than at first.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn bounded(server: &Server, permits: u32) -> Result<Semaphore, RemoteError> {
        Semaphore::over(Object::anonymous(server, &BOUNDED, &params(permits, permits))?)
    }

    /// The semaphore with that [key](Semaphore::key), be it bounded or not.
    ///
    /// # Errors
    /// [`RemoteError::Gone`], and those of the connection.
    pub fn attach(server: &Server, key: &str, bounded: bool) -> Result<Semaphore, RemoteError> {
        let kind = if bounded { &BOUNDED } else { &SEMAPHORE };
        Semaphore::over(Object::attach(server, kind, key)?)
    }

    fn over((object, params): (Object, Params)) -> Result<Semaphore, RemoteError> {
        let max = number_in(&params, "max")?;
        Ok(Semaphore { object, max })
    }

    super::of_object!();

    /// The most permits there may be.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Takes a permit; waits for one.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn acquire(&self) -> Result<Permit<'_>, RemoteError> {
        loop {
            if let Some(permit) = self.permit(&Patience::forever())? {
                return Ok(permit);
            }
        }
    }

    /// Takes a permit, if there is one.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn try_acquire(&self) -> Result<Option<Permit<'_>>, RemoteError> {
        self.permit(&Patience::none())
    }

    /// Takes a permit; waits for one at most `timeout`.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<Permit<'_>>, RemoteError> {
        self.permit(&Patience::of(timeout))
    }

    fn permit(&self, patience: &Patience<'_>) -> Result<Option<Permit<'_>>, RemoteError> {
        let taken = self.take(patience)?;
        Ok(taken.then(|| Permit { semaphore: self, process: std::process::id() }))
    }

    /// Takes a permit that has no guard. Whether there was one before patience ended. One round trip, if there is one.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn take(&self, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        let taken = self.object.wait(WAITERS, patience, |member| {
            let call = self.object.call(&ACQUIRE)?.arg(member.unwrap_or("")).undo(&UNDO);
            Ok((call.run(patience)?.int(0)? == 1).then_some(()))
        })?;
        Ok(taken.is_some())
    }

    /// Gives so many permits, taken or not. False, and none is given, if there would be too many.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn release(&self, permits: u32, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        Ok(self.object.call(&RELEASE)?.int(permits.into()).run(patience)?.int(0)? == 1)
    }

    /// How many permits there are at this moment.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn value(&self, patience: &Patience<'_>) -> Result<u32, RemoteError> {
        let value = self.object.call(&VALUE)?.read(patience)?.int(0)?;
        u32::try_from(value).map_err(|_| RemoteError::Corrupt("a semaphore's value".into()))
    }
}

fn params(permits: u32, max: u32) -> [(&'static str, Vec<u8>); 2] {
    [("value", permits.to_string().into_bytes()), ("max", max.to_string().into_bytes())]
}

/// A permit of a [`Semaphore`], given back when it is dropped; though not by a fork child, nor by a
/// process that is killed, nor if the server is not reached.
#[must_use = "the permit is given back when it is dropped"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    process: u32,
}

impl Permit<'_> {
    /// Keeps the permit for good: somebody else [releases](Semaphore::release) one for it, or nobody.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Too many only if somebody released more than was taken.
            let _ = self.semaphore.release(1, &Patience::forever());
        }
    }
}
