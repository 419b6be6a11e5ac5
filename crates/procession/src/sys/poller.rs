//! Many descriptors waited for at once: epoll(7).

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// One set of descriptors.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> rustix::io::Result<Poller> {
        epoll::create(CreateFlags::CLOEXEC).map(Poller)
    }

    /// Waits for the descriptor once: until it is readable or hung up. A descriptor that is so already
    /// is reported at once.
    pub(crate) fn arm(&self, fd: BorrowedFd<'_>, key: u64) -> rustix::io::Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ONESHOT;
        let data = EventData::new_u64(key);
        match epoll::modify(&self.0, fd, data, flags) {
            Err(Errno::NOENT) => epoll::add(&self.0, fd, data, flags),
            done => done,
        }
    }

    /// Forgets a descriptor, before it is closed.
    pub(crate) fn forget(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits for events; `each` gets their keys.
    pub(crate) fn wait(&self, mut each: impl FnMut(u64)) -> rustix::io::Result<()> {
        let mut events = Vec::<Event>::with_capacity(64);
        match epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), None) {
            Err(Errno::INTR) | Ok(_) => {}
            Err(e) => return Err(e),
        }
        for event in events {
            each(event.data.u64());
        }
        Ok(())
    }
}

/// A second descriptor for the same thing, closed on exec.
#[cfg(feature = "tokio")]
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0)
}

/// A descriptor that the caller knows to be open for as long as `'a`.
pub(crate) fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the number is not -1. Should the descriptor be closed after all, the calls above answer
    // EBADF, or speak of another one: no memory is involved.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
