//! Small files that processes of one user find one another by: open(2), flock(2), rename(2).

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::fault::crash_point;

const COMMON: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// The user in whose name this process makes files.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A file whose exclusive lock this process has. The lock ends with this value or with the process.
///
/// Invariant: no fork happens while one exists (the caller sees to that), because the child would have
/// the lock as well, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Locked(File);

/// What came of an attempt to lock a file.
#[derive(Debug)]
pub(crate) enum Attempt {
    Locked(Locked),
    /// There is no such file.
    Absent,
    /// Another process has the lock.
    Busy,
    /// The file was replaced or removed meanwhile.
    Changed,
    /// It must not be used, and why.
    Unfit(String),
}

/// Opens and locks a file that must be this user's own; never waits. With `create` it is made if there is
/// none, empty.
pub(crate) fn try_lock(path: &Path, create: bool) -> io::Result<Attempt> {
    let flags = OFlags::RDWR | COMMON;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) if create => {
            // Not O_CREAT alone: in a folder of everybody the kernel may refuse that for a file that
            // exists (fs.protected_regular), and says no more than EACCES.
            let own = Mode::RUSR | Mode::WUSR;
            match rustix::fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, own) {
                Err(Errno::EXIST) => return Ok(Attempt::Changed),
                other => other?,
            }
        }
        Err(Errno::NOENT) => return Ok(Attempt::Absent),
        Err(Errno::LOOP) => return Ok(Attempt::Unfit("it is a symbolic link".into())),
        Err(Errno::ISDIR | Errno::NXIO) => {
            return Ok(Attempt::Unfit("it is no regular file".into()));
        }
        Err(Errno::ACCESS | Errno::PERM) => return refused(path),
        other => other?,
    };
    let file = File::from(fd);
    let found = file.metadata()?;
    if let Some(why) = unfit(&found) {
        return Ok(Attempt::Unfit(why));
    }
    crash_point!("family.opened");
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(Attempt::Busy),
        other => other?,
    }
    let locked = Locked(file);
    let same = |there: &Metadata| (there.dev(), there.ino()) == (found.dev(), found.ino());
    Ok(match std::fs::symlink_metadata(path) {
        Ok(there) if same(&there) => Attempt::Locked(locked),
        _ => Attempt::Changed,
    })
}

/// The file can't be opened: because it is somebody else's?
fn refused(path: &Path) -> io::Result<Attempt> {
    let found = std::fs::symlink_metadata(path)?;
    Ok(Attempt::Unfit(unfit(&found).unwrap_or_else(|| "opening it was refused".into())))
}

fn unfit(found: &Metadata) -> Option<String> {
    let (owner, user) = (found.uid(), user());
    if found.file_type().is_symlink() {
        Some("it is a symbolic link".into())
    } else if !found.is_file() {
        Some("it is no regular file".into())
    } else if owner != user {
        Some(format!("it belongs to user {owner}, and this process is user {user}'s"))
    } else if found.mode() & 0o022 != 0 {
        Some(format!("others may write to it (mode {:o})", found.mode() & 0o7777))
    } else {
        None
    }
}

impl Locked {
    /// Its bytes, at most `most`.
    pub(crate) fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        (&self.0).take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Said, and not left to the close: a child that is about to exec may have a copy.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Makes a new file with these bytes, for this user only; one that is there already is replaced.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    remove(path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | COMMON;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)
}

/// Gives a file another's name in one step. False if it is not there any more.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    absent(std::fs::rename(from, to))
}

/// Removes a file. False if there is none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    absent(std::fs::remove_file(path))
}

fn absent(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The names in a folder; none if it can't be read.
pub(crate) fn names_in(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().map(|e| e.file_name()).collect()
}
