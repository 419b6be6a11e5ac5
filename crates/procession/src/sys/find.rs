//! Which living process has a file open: proc(5).

use std::collections::HashSet;
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

/// Looks at all processes, until a listing has none that is new: one that was listed may fork, and end
/// before its turn.
fn find_process<T>(mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
    let mut seen = HashSet::new();
    loop {
        let mut new: Vec<u32> = process::all_pids();
        new.retain(|&pid| seen.insert(pid));
        if new.is_empty() {
            return None;
        }
        if let Some(found) = new.into_iter().find_map(&mut look) {
            return Some(found);
        }
    }
}

/// Opens an arena's file by any process that has it open and may be looked at.
pub(crate) fn open_anywhere(file: (u64, u64)) -> Option<(u32, OwnedFd)> {
    find_process(|pid| Some((pid, open_at(pid, file)?)))
}

fn open_at(pid: u32, file: (u64, u64)) -> Option<OwnedFd> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors.flatten().find_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        if !link.to_str()?.starts_with("/memfd:procession") {
            return None;
        }
        open_link(entry.path().to_str()?, file).ok()?
    })
}

/// A living process that has an arena's file mapped; and its descriptor, if that can be opened after
/// all.
pub(crate) fn mapped_by(file: (u64, u64)) -> Option<(u32, Option<OwnedFd>)> {
    find_process(|pid| {
        let maps = process::maps_file(pid, file, u32::MAX) == Some(true);
        maps.then(|| (pid, open_at(pid, file)))
    })
}
