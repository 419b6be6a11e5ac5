//! A child process as its parent sees it: pidfd_open(2), waitid(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};

/// A process, by a descriptor: its number may be another's once it has been waited for.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    fd: OwnedFd,
    /// It had gone before it could be opened; the descriptor is a pipe's that is hung up.
    gone: bool,
}

impl Child {
    /// Of a child that was just started.
    pub(crate) fn open(pid: u32) -> io::Result<Child> {
        let number = Pid::from_raw(pid.cast_signed()).ok_or(Errno::SRCH)?;
        match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            // It has ended, and nobody waits for it: SIGCHLD is ignored.
            Err(Errno::SRCH) => {
                let (fd, _) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
                Ok(Child { pid, fd, gone: true })
            }
            Ok(fd) => Ok(Child { pid, fd, gone: false }),
            Err(e) => {
                // Whom nobody could wait for must not run: no descriptor is left, or the kernel is old.
                let _ = rustix::process::kill_process(number, Signal::KILL);
                let _ = rustix::process::waitpid(Some(number), WaitOptions::empty());
                Err(e.into())
            }
        }
    }

    /// Readable when it has ended.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether it has ended, or does so until the deadline (`None`: ever). A signal ends no wait.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            // More than the kernel's clock can count is for ever.
            let left = left.and_then(|d| Timespec::try_from(d).ok());
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], left.as_ref()) {
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
                Ok(0) if deadline.is_some_and(|d| d > Instant::now()) => {}
                Ok(n) => return Ok(n > 0),
            }
        }
    }

    /// How it ended, which [`Child::wait`] must have said that it has. It stays a zombie unless `reap`.
    /// `None` if somebody else has waited for it: then nobody knows.
    pub(crate) fn status(&self, reap: bool) -> io::Result<Option<ExitStatus>> {
        if self.gone {
            return Ok(None);
        }
        // Not NOHANG: one that is traced has ended for its parent a moment later than for others.
        let keep = if reap { WaitIdOptions::empty() } else { WaitIdOptions::NOWAIT };
        let ended = loop {
            match rustix::process::waitid(WaitId::PidFd(self.fd()), WaitIdOptions::EXITED | keep) {
                Err(Errno::INTR) => {}
                Err(Errno::CHILD | Errno::SRCH) => return Ok(None),
                ended => break ended?,
            }
        };
        // In the words of wait(2), which the standard library knows.
        let word = |status: rustix::process::WaitIdStatus| {
            let core = if status.dumped() { 0x80 } else { 0 };
            let signal = status.terminating_signal().unwrap_or(0);
            status.exit_status().map_or(signal | core, |code| (code & 0xff) << 8)
        };
        Ok(ended.map(|status| ExitStatus::from_raw(word(status))))
    }

    /// Sends a signal; whether it was still there.
    pub(crate) fn signal(&self, kill: bool) -> io::Result<bool> {
        if self.gone {
            return Ok(false);
        }
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        match rustix::process::pidfd_send_signal(&self.fd, signal) {
            Err(Errno::SRCH) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }
}
