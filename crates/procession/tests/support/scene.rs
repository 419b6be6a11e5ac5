//! A server of the test's own, with locks and their kin on it.

use std::thread;
use std::time::{Duration, Instant};

use procession::remote::{
    Abandoned, Address, Event, Guard, Lock, LockError, LockGuard, RLock, RemoteError, Server,
};

use super::{Forked, LIMIT as LONG, server};

pub const MOMENT: Duration = Duration::from_millis(5);
pub const NAME: &str = "it";

/// A server and this process's way to it.
pub struct Scene {
    pub host: server::Server,
    pub server: Server,
}

impl Scene {
    pub fn new(query: &str) -> Scene {
        Scene::on(server::Server::start(), query)
    }

    pub fn on(host: server::Server, query: &str) -> Scene {
        let server = Server::open(&Address::parse(&host.url("t", query)).unwrap()).unwrap();
        Scene { host, server }
    }

    pub fn lock(&self) -> Lock {
        Lock::named(&self.server, NAME).unwrap()
    }

    pub fn rlock(&self) -> RLock {
        RLock::named(&self.server, NAME).unwrap()
    }

    pub fn event(&self, name: &str) -> Event {
        Event::named(&self.server, name).unwrap()
    }

    pub fn size(&self, command: &str, part: &str) -> usize {
        self.host.ask(&[command, &format!("t:n:{NAME}:{part}")])[0].parse().unwrap()
    }

    pub fn until_waiting(&self, n: usize) {
        until(|| self.size("ZCARD", "waiters") == n);
    }

    /// As if this process had not been heard of for its lease.
    pub fn lose_lease(&self) {
        for key in self.host.keys("t:client") {
            self.host.ask(&["DEL", &key]);
        }
    }
}

pub fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never came true");
        thread::yield_now();
    }
}

pub fn take(lock: &Lock) -> LockGuard {
    lock.acquire_timeout(LONG).unwrap()
}

pub fn abandoned<G: Guard>(taken: Result<G, LockError<G>>) -> (Abandoned, G) {
    match taken {
        Err(LockError::Abandoned(left)) => (left.holder().clone(), left.into_guard()),
        Ok(_) => panic!("not told that the holder's lease ran out"),
        Err(other) => panic!("{other}"),
    }
}

pub fn is_lost<T>(result: &Result<T, RemoteError>) -> bool {
    matches!(result, Err(RemoteError::LeaseLost { .. }))
}

pub fn ends_well(child: &Forked) {
    assert_eq!(child.wait(), 0);
}
