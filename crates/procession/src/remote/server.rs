//! A server as objects know it: in each process that uses it there is one client of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::client::{Client, locked};
use super::{Address, RemoteError, object, pulse};
use crate::sys::atomic::Ordering;
use crate::sys::per_process::PerProcess;

static CLIENTS: PerProcess<Mutex<HashMap<String, Arc<Client>>>> = PerProcess::new();

/// A Valkey or Redis server. Cheap to clone, and good in fork children, each of which has connections of its own.
#[derive(Clone, Debug)]
pub struct Server {
    address: Arc<Address>,
}

impl Server {
    /// Connects, and looks whether it is a server that can be used. Tries for the address's `timeout`.
    pub fn open(address: &Address) -> Result<Server, RemoteError> {
        let server = Server { address: Arc::new(address.clone()) };
        server.client()?;
        Ok(server)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The names and kinds of the objects that have names, the oldest first.
    pub fn names(&self) -> Result<Vec<(String, String)>, RemoteError> {
        object::names(self)
    }

    /// Removes the object of that name, for everybody. Whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, RemoteError> {
        object::remove(self, name)
    }

    /// Removes the object with that key, for everybody. Whether it was there.
    pub fn destroy(&self, key: &str) -> Result<bool, RemoteError> {
        object::destroy(self, key)
    }

    /// Leaves it: what this process holds there is free at once, and objects that nobody else has are removed. Whatever
    /// is used afterwards connects anew. Tries for `limit`.
    pub fn leave(&self, limit: Duration) {
        let client = locked(CLIENTS.get()).remove(self.address.with_credentials());
        if let Some(client) = client {
            leave(&client, limit);
        }
    }

    /// Whether this process has a connection to it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.present_client().is_some()
    }

    /// This process's client, if there is one.
    pub(crate) fn present_client(&self) -> Option<Arc<Client>> {
        locked(CLIENTS.get()).get(self.address.with_credentials()).cloned()
    }

    /// This process's client, which is made if there is none.
    pub(crate) fn client(&self) -> Result<Arc<Client>, RemoteError> {
        let clients = CLIENTS.get();
        let url = self.address.with_credentials();
        let known = locked(clients).get(url).filter(|client| !client.has_ended()).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let fresh = Arc::new(Client::open(Arc::clone(&self.address))?);
        let client = {
            let mut clients = locked(clients);
            match clients.get(url) {
                Some(other) if !other.has_ended() => Arc::clone(other),
                _ => {
                    clients.insert(url.to_string(), Arc::clone(&fresh));
                    Arc::clone(&fresh)
                }
            }
        };
        if Arc::ptr_eq(&client, &fresh) {
            pulse::begin(&client);
        } else {
            leave(&fresh, Duration::from_millis(100));
        }
        Ok(client)
    }
}

/// Leaves all servers: what this process held there is free at once, and objects that nobody else has are removed.
/// For the end of a process; whatever is used afterwards connects anew. Tries for `limit` for each server.
pub fn leave_all(limit: Duration) {
    let all: Vec<_> = locked(CLIENTS.get()).drain().map(|(_, client)| client).collect();
    for client in all {
        leave(&client, limit);
    }
}

fn leave(client: &Client, limit: Duration) {
    client.ended.store(true, Ordering::Release);
    let unused: Vec<_> = {
        let mut kept = locked(&client.kept);
        let forks = crate::sys::fork::forks_begun();
        let alone = kept.drain().filter(|(_, one)| !one.shared && one.forks == forks);
        alone.map(|(_, one)| one.keys).collect()
    };
    locked(&client.graves).extend(unused);
    let mut slot = client.take_slot();
    let connection = slot.connection.take().map(Ok);
    let connection = connection.unwrap_or_else(|| client.address().connect(limit));
    let Ok(mut connection) = connection else { return };
    let _ = connection
        .set_read_timeout(Some(limit))
        .and_then(|()| connection.set_write_timeout(Some(limit)));
    // A server that does not answer is not waited for again and again.
    let hangs =
        |done: Result<(), redis::RedisError>| done.is_err_and(|error| error.code().is_none());
    if hangs(pulse::resolve(client, &mut connection, limit))
        || hangs(pulse::bury(client, &mut connection))
    {
        return client.life().end();
    }
    let life = client.life();
    // The pulse hears that it is over.
    let wake = life.channel(client.address());
    if hangs(redis::cmd("PUBLISH").arg(wake).arg("").exec(&mut connection)) {
        return life.end();
    }
    life.leave(&mut connection);
}
