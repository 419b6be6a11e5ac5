//! tokio's reactor: no thread of this crate's.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};

use super::{lock, refused};
use crate::error::ArenaError;
use crate::sys::poller::{borrow, duplicate};

/// The runtime that this runs in, if any.
pub(super) fn current() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// A descriptor in the runtime's reactor. It is a duplicate: when the runtime lets go of it is its own
/// affair, and the number might be another's by then.
#[derive(Debug)]
pub(super) struct Alarm(Mutex<AsyncFd<OwnedFd>>);

impl Alarm {
    pub(super) fn new(fd: RawFd) -> Result<Alarm, ArenaError> {
        let fd = duplicate(borrow(fd)).map_err(|e| refused(&e.into()))?;
        #[allow(
            deprecated,
            reason = "what came for it is of tokio 1.54; an OwnedFd is sound in both"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE).map_err(|e| refused(&e))?;
        Ok(Alarm(Mutex::new(fd)))
    }

    /// Tells this waker when the descriptor becomes readable.
    pub(super) fn arm(&self, waker: &Waker) -> Result<bool, ArenaError> {
        match lock(&self.0).poll_read_ready(&mut Context::from_waker(waker)) {
            Poll::Pending => Ok(true),
            Poll::Ready(Ok(mut ready)) => {
                ready.clear_ready();
                Ok(false)
            }
            Poll::Ready(Err(e)) => Err(refused(&io::Error::other(e))),
        }
    }
}
