//! A pipe's pair of sockets: unix(7). They carry no data, but one byte at most that says *look*; the
//! kernel says through them when the last copy of the other end is gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// What `poll` says of an end whose other end is gone.
const GONE: PollFlags =
    PollFlags::HUP.union(PollFlags::RDHUP).union(PollFlags::ERR).union(PollFlags::NVAL);

/// Two connected sockets, closed on exec.
pub(crate) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// Makes the other end readable. One that is full is readable already; of one that is gone the
/// caller hears otherwise.
pub(crate) fn ring(fd: impl AsFd) {
    let _ = rustix::net::send(fd, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Takes one byte out, if there is one, or all of them.
pub(crate) fn eat(fd: impl AsFd, all: bool) {
    let mut sink = [0u8; 64];
    let sink = if all { &mut sink[..] } else { &mut sink[..1] };
    loop {
        let eaten = rustix::net::recv(&fd, &mut *sink, RecvFlags::DONTWAIT);
        if !all || !matches!(eaten, Ok((n, _)) if n > 0) {
            return;
        }
    }
}

/// What a wait for readability brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// There is something to read.
    Readable,
    /// The other end is gone; there may still be something to read.
    HungUp,
    Nothing,
    Interrupted,
}

/// Waits until the socket is readable or hung up.
pub(crate) fn wait(fd: impl AsFd, limit: Duration) -> Polled {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN | PollFlags::RDHUP)];
    match poll(&mut fds, Some(&limit)) {
        Err(Errno::INTR) => Polled::Interrupted,
        Ok(1..) if fds[0].revents().intersects(GONE) => Polled::HungUp,
        Ok(1..) => Polled::Readable,
        // Also where there is no memory for a poll: as if the time were over.
        _ => Polled::Nothing,
    }
}

/// Whether the other end is gone: closed by all who had it.
pub(crate) fn is_hung_up(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0)
}

/// What tells one socket from another while it is open; `None` if it is no socket.
pub(crate) fn inode(fd: impl AsFd) -> Option<u64> {
    let stat = rustix::fs::fstat(fd).ok()?;
    (rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket)
        .then_some(stat.st_ino)
}
