//! Waiting for descriptors of any kind: poll(2).

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Waits until one of them is readable or hung up, at most so long. May return for no reason.
pub(crate) fn wait_for_any<'a>(
    fds: impl IntoIterator<Item = BorrowedFd<'a>>,
    limit: Option<Duration>,
) {
    let each = fds.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let mut fds: Vec<_> = each.collect();
    // More than the kernel's clock can count is for ever.
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let _ = poll(&mut fds, limit.as_ref());
}
