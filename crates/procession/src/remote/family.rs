//! All that has a name on a server, under one prefix.

use super::object;
use super::{Address, RemoteError, Server};

/// What [`crate::Family`] is on one machine: where names lead to queues, locks and collections.
///
/// Cheap to clone; in each process there is one client of the server, which all objects of it share.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::Family;
/// let family = Family::open("redis://localhost/0?prefix=jobs")?;
/// let q = family.queue::<u32>("numbers", None)?;
/// q.put(7)?;
/// assert_eq!(family.names()?, [("numbers".into(), "queue".into())]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Family {
    server: Server,
}

impl Family {
    /// Connects to the server at that [address](Address).
    ///
    /// # Errors
    /// [`RemoteError::Address`], [`RemoteError::Unreachable`].
    pub fn open(url: &str) -> Result<Family, RemoteError> {
        Ok(Family { server: Server::open(&Address::parse(url)?)? })
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What has a name, with its kind, the oldest first.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn names(&self) -> Result<Vec<(String, String)>, RemoteError> {
        object::names(&self.server)
    }

    /// Removes what has that name, for everybody. Whether there was something.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn remove(&self, name: &str) -> Result<bool, RemoteError> {
        object::remove(&self.server, name)
    }
}

impl From<Server> for Family {
    fn from(server: Server) -> Family {
        Family { server }
    }
}
