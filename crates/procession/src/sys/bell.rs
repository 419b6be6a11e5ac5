//! A pipe that makes a queue selectable: readable while rung.
//!
//! A pipe, because one process can open another's through `/proc/PID/fd`; an eventfd or a socket
//! answers ENXIO there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

/// Both ends of a process's own bell.
#[derive(Debug)]
pub(crate) struct Bell {
    read: OwnedFd,
    write: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> rustix::io::Result<Bell> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Bell { read, write })
    }

    /// What `select` looks at.
    pub(crate) fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// What others open.
    pub(crate) fn write_fd(&self) -> RawFd {
        self.write.as_raw_fd()
    }

    pub(crate) fn read_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    pub(crate) fn inode(&self) -> u64 {
        inode(&self.write)
    }

    pub(crate) fn ring(&self) {
        ring(&self.write);
    }

    /// What others have told; 0: nothing. Never blocks.
    pub(crate) fn hear(&self, told: &mut [u8]) -> usize {
        rustix::io::read(&self.read, told).unwrap_or(0)
    }

    /// Takes back all rings. Never blocks.
    pub(crate) fn silence(&self) {
        let mut sink = [0u8; 64];
        while matches!(rustix::io::read(&self.read, &mut sink[..]), Ok(n) if n > 0) {}
    }
}

/// Makes a bell readable. A full pipe is readable already.
pub(crate) fn ring(fd: impl AsFd) {
    let _ = rustix::io::write(fd, &[1]);
}

/// Writes a number, whole or (into a full pipe) not at all.
pub(crate) fn tell(fd: impl AsFd, number: u32) {
    let _ = rustix::io::write(fd, &number.to_le_bytes());
}

/// Another process's bell, if it is still the one with that inode. For reading, too: else to ring when
/// that process has ended would be SIGPIPE, which some programs do not ignore.
pub(crate) fn open(pid: u32, fd: u32, inode: u64) -> Option<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    (self::inode(&fd) == inode).then_some(fd)
}

/// The pipe behind a descriptor.
pub(crate) fn inode(fd: impl AsFd) -> u64 {
    rustix::fs::fstat(fd).map_or(0, |s| s.st_ino)
}
