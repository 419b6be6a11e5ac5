//! One thread that waits for descriptors, on behalf of futures of any executor. It starts with the
//! first future that must wait, and stays.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, Weak};

use super::{Watch, lock, refused};
use crate::error::ArenaError;
use crate::sys::poller::{Poller, borrow};

/// What the thread and the watches share.
#[derive(Debug)]
pub(super) struct Reactor {
    poller: Poller,
    watches: Mutex<HashMap<u64, Weak<Watch>>>,
}

impl Reactor {
    pub(super) fn start() -> io::Result<Arc<Reactor>> {
        let reactor = Arc::new(Reactor { poller: Poller::new()?, watches: Mutex::default() });
        let run = Arc::clone(&reactor);
        std::thread::Builder::new().name("procession-async".into()).spawn(move || run.run())?;
        Ok(reactor)
    }

    fn run(&self) {
        loop {
            let waited = self.poller.wait(|key| {
                // One that ended meanwhile is not there, or its descriptor is another's, who looks in vain.
                let watch = lock(&self.watches).get(&key).and_then(Weak::upgrade);
                if let Some(watch) = watch {
                    watch.told();
                }
            });
            if waited.is_err() {
                return; // the program has closed what is not its own
            }
        }
    }
}

/// The thread, told to look at a descriptor.
#[derive(Debug)]
pub(super) struct Alarm {
    reactor: Arc<Reactor>,
    fd: RawFd,
}

impl Alarm {
    pub(super) fn new(reactor: Arc<Reactor>, fd: RawFd) -> Alarm {
        Alarm { reactor, fd }
    }

    fn key(&self) -> u64 {
        u64::from(self.fd.cast_unsigned())
    }

    pub(super) fn begin(&self, watch: &Arc<Watch>) {
        lock(&self.reactor.watches).insert(self.key(), Arc::downgrade(watch));
    }

    pub(super) fn arm(&self) -> Result<bool, ArenaError> {
        let armed = self.reactor.poller.arm(borrow(self.fd), self.key());
        armed.map(|()| true).map_err(|e| refused(&e.into()))
    }

    pub(super) fn end(&self) {
        lock(&self.reactor.watches).remove(&self.key());
        self.reactor.poller.forget(borrow(self.fd));
    }
}
