//! Which living process has a file open: proc(5).

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{memory, process};

/// Opens a process's descriptor, if it is this very file. `None`: it is another, or there is none.
pub(crate) fn open_descriptor(pid: u32, fd: u32, file: (u64, u64)) -> io::Result<Option<OwnedFd>> {
    open_link(&format!("/proc/{pid}/fd/{fd}"), file)
}

fn open_link(path: &str, file: (u64, u64)) -> io::Result<Option<OwnedFd>> {
    let gone = |e| match e {
        Errno::NOENT | Errno::SRCH | Errno::NXIO => Ok(None),
        e => Err(io::Error::from(e)),
    };
    match rustix::fs::stat(path) {
        Ok(s) if (s.st_dev, s.st_ino) == file => {}
        Ok(_) => return Ok(None),
        Err(e) => return gone(e),
    }
    match rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        // It may be another one by now.
        Ok(fd) => Ok((memory::identity(&fd) == Some(file)).then_some(fd)),
        Err(e) => gone(e),
    }
}

/// Opens an arena's file by any process that has it open and may be looked at.
pub(crate) fn open_anywhere(file: (u64, u64)) -> Option<(u32, OwnedFd)> {
    process::all_pids().into_iter().find_map(|pid| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        descriptors.flatten().find_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            if !link.to_str()?.starts_with("/memfd:procession") {
                return None;
            }
            let fd = open_link(entry.path().to_str()?, file).ok()??;
            Some((pid, fd))
        })
    })
}

/// A living process that has an arena's file mapped, and no descriptor of it.
pub(crate) fn mapped_by(file: (u64, u64)) -> Option<u32> {
    let maps = |&pid: &u32| process::maps_file(pid, file, u32::MAX) == Some(true);
    process::all_pids().into_iter().find(maps)
}
