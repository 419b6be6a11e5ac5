//! Where processes that share no ancestor meet: a small file for each named family.
//!
//! The file names a member of the family, at whom the arena is opened through `/proc/PID/fd`. The arena
//! itself is anonymous memory, as always: it is gone with its last process, and the file without it
//! means nothing.
//!
//! The file `procession-UID.NAME` lies in `/dev/shm`, or in the folder that `PROCESSION_FAMILY_DIR` names.
//! It is read and replaced under its `flock` only, which ends with its holder. Whoever has the lock of
//! the file that *now* has the name (another inode: try again) may
//! - make the family, if nobody lives in the one that is named, and write that down;
//! - join it, and write itself down: the newest member is the most likely to live;
//! - remove the file, if nobody else lives in it.
//!
//! A new text is written beside the file, as `procession-UID..NAME`, and renamed: so there is never half
//! of one, wherever its author is killed. Members enter before the lock is released, so that the last one
//! out sees who has just come.
//!
//! Invariant: the registry is locked while a file is, and never the other way round: so no fork copies
//! the lock into a child. Nothing is waited for meanwhile but the file system and `/proc`.

mod record;
mod stale;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use record::Record;

use super::family::{Family, Inner, Registry, try_all_families};
use super::layout::VERSION;
use super::participants::{ALIVE, EMBRYO};
use crate::error::FamilyError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;
use crate::sys::file::{self, Attempt, Locked};
use crate::sys::{exit, find, process};

const FOLDER: &str = "/dev/shm";
const FOLDER_VARIABLE: &str = "PROCESSION_FAMILY_DIR";
const NAME_MAX: usize = 100;
/// No file is that long.
const RECORD_MAX: u64 = 4096;
/// Who has the lock is at work for some milliseconds; for so long it may be stopped.
const PATIENCE_MS: u64 = 10_000;
/// At the end of a process nothing may take long.
const LAST_PATIENCE_MS: u64 = 200;
const NAPS: [Duration; 4] = [
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
];

/// A family's meeting place.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    name: String,
}

/// The folder of all meeting places, and how this user's begin.
fn folder() -> (PathBuf, String) {
    let set = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty());
    (set.map_or_else(|| FOLDER.into(), PathBuf::from), format!("procession-{}.", file::user()))
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits)
}

impl Place {
    fn of(name: &str) -> Result<Place, FamilyError> {
        if !is_name(name) {
            return Err(FamilyError::Name(name.into()));
        }
        let (folder, prefix) = folder();
        Ok(Place { path: folder.join(prefix + name), name: name.into() })
    }

    fn trouble(&self, why: impl Into<String>) -> FamilyError {
        FamilyError::Meeting { path: self.path.clone(), why: why.into() }
    }

    /// Locks the file, made if need be.
    fn lock(&self, create: bool) -> Result<Attempt, FamilyError> {
        match file::try_lock(&self.path, create) {
            Ok(Attempt::Unfit(why)) => Err(self.trouble(format!(
                "{why}; remove it, choose another name, or another folder by {FOLDER_VARIABLE}"
            ))),
            Ok(attempt) => Ok(attempt),
            Err(e) => Err(self.trouble(format!(
                "{e}; {FOLDER_VARIABLE} can name another folder, which this user may write to"
            ))),
        }
    }

    /// Does something with the file locked. `None`: there is none.
    fn turn<R>(
        &self,
        patience_ms: u64,
        create: bool,
        act: impl FnOnce(&mut Registry, &Locked) -> Result<R, FamilyError>,
    ) -> Result<Option<R>, FamilyError> {
        let start = process::now_ms();
        let mut naps = NAPS.into_iter();
        let mut nap = NAPS[0];
        loop {
            if let Some(mut registry) = try_all_families() {
                match self.lock(create)? {
                    Attempt::Locked(locked) => {
                        crash_point!("family.locked");
                        return act(&mut registry, &locked).map(Some);
                    }
                    Attempt::Absent => return Ok(None),
                    _ => {}
                }
            }
            if process::now_ms() - start >= patience_ms {
                return Err(
                    self.trouble("another process has locked it all the time: is it stopped?")
                );
            }
            nap = naps.next().unwrap_or(nap);
            process::nap(nap);
        }
    }

    fn read(&self, locked: &Locked) -> Result<Option<Record>, FamilyError> {
        let bytes = locked.read(RECORD_MAX).map_err(|e| self.trouble(e.to_string()))?;
        Record::parse(&bytes).map_err(|why| self.trouble(why))
    }

    /// The arena of a record, opened at the member that it names or at any other, and that one's pid.
    /// `None`: nobody lives in it any more.
    fn find(&self, record: &Record) -> Result<Option<(u32, OwnedFd)>, FamilyError> {
        let (me, member) = (process::identity(), record.member);
        if me.start == 0 {
            return Err(self.trouble("/proc must be mounted and readable for this user"));
        }
        if me.namespace != member.namespace {
            return Err(self.trouble(format!(
                "process {} of another pid namespace (a container's) has written it, whose processes \
                 can't be reached from here; if none of them lives, remove it",
                member.pid
            )));
        }
        if process::start_time(member.pid) == Some(member.start) {
            match find::open_descriptor(member.pid, record.fd, record.file) {
                Ok(Some(fd)) => return Ok(Some((member.pid, fd))),
                Ok(None) => {}
                Err(_) if process::is_zombie(member.pid) => {}
                Err(e) => {
                    return Err(self.trouble(format!(
                        "process {} is in the family, but /proc/{0}/fd/{} was refused ({e}): a user's \
                         processes must be allowed to look at one another (hidepid, a sandbox or \
                         prctl(PR_SET_DUMPABLE) forbids it)",
                        member.pid, record.fd
                    )));
                }
            }
        }
        if let Some(found) = find::open_anywhere(record.file) {
            return Ok(Some(found));
        }
        match find::mapped_by(record.file) {
            None => Ok(None),
            Some((pid, Some(fd))) => Ok(Some((pid, fd))),
            Some((pid, None)) => Err(self.trouble(format!(
                "process {pid} is in the family, but has closed the arena's descriptor: nobody can join \
                 until it ends"
            ))),
        }
    }

    fn draft(&self) -> PathBuf {
        self.path.with_file_name(format!("procession-{}..{}", file::user(), self.name))
    }

    fn write_draft(&self, text: &str) -> Result<(), FamilyError> {
        file::write_new(&self.draft(), text.as_bytes()).map_err(|e| self.trouble(e.to_string()))?;
        crash_point!("family.drafted");
        Ok(())
    }

    /// Writes down that this process is in the family. The caller has the lock.
    fn write(&self, inner: &Inner) -> Result<(), FamilyError> {
        let text = Record::of(inner).text();
        self.write_draft(&text)?;
        while !file::rename(&self.draft(), &self.path).map_err(|e| self.trouble(e.to_string()))? {
            self.write_draft(&text)?; // somebody has cleaned up
        }
        crash_point!("family.recorded");
        Ok(())
    }

    /// Joins the family, or makes it: `true`. The caller has the lock.
    fn meet(
        &self,
        registry: &mut Registry,
        locked: &Locked,
    ) -> Result<(&'static Inner, bool), FamilyError> {
        if let Some(record) = self.read(locked)?
            && let Some((pid, fd)) = self.find(&record)?
        {
            if record.layout != VERSION {
                let (name, theirs) = (self.name.clone(), record.layout);
                return Err(FamilyError::OtherVersion { name, pid, theirs, ours: VERSION });
            }
            let inner = match registry.all.iter().copied().find(|i| i.map.identity == record.file) {
                Some(inner) => inner,
                None => Inner::adopt(fd, Some(record.family))?
                    .ok_or_else(|| self.trouble(format!("process {pid} is in another family")))?,
            };
            crash_point!("family.joined");
            registry.enter(&self.path, inner);
            // Who is not written down is found all the same.
            let _ = self.write(inner);
            return Ok((inner, false));
        }
        // If the file was removed under a family that this process is in, that one goes on.
        if let Some((_, inner)) = registry.named.iter().find(|(path, _)| *path == self.path) {
            self.write(inner)?;
            return Ok((inner, false));
        }
        // If there is no room for the file it is known now, before there is an arena.
        self.write_draft(&" ".repeat(RECORD_MAX as usize))?;
        let inner = Inner::create(&self.name)?;
        registry.enter(&self.path, inner);
        crash_point!("family.entered");
        self.write(inner)?;
        Ok((inner, true))
    }

    /// Counts this process as gone, and removes the file if nobody else is there.
    fn leave(&self, inner: &Inner) {
        let me = inner.me_or_zero();
        if me == 0 {
            return; // a raw clone that never used it
        }
        let departed = &inner.participant(me).departed;
        let done = self.turn(LAST_PATIENCE_MS, false, |_, locked| {
            departed.store(1, Ordering::Release);
            crash_point!("family.departed");
            let is_ours = self.read(locked)?.is_some_and(|record| record.family == inner.id);
            if is_ours && inner.is_deserted() {
                file::remove(&self.path).map_err(|e| self.trouble(e.to_string()))?;
                crash_point!("family.removed");
            }
            Ok(())
        });
        // Without the lock the file stays, and the next one to make a family here removes it.
        if !matches!(done, Ok(Some(()))) {
            departed.store(1, Ordering::Release);
        }
    }
}

impl Registry {
    fn enter(&mut self, path: &Path, inner: &'static Inner) {
        if !self.all.iter().any(|i| std::ptr::eq(*i, inner)) {
            self.all.push(inner);
        }
        if !self.named.iter().any(|(p, i)| p == path && std::ptr::eq(*i, inner)) {
            self.named.push((path.into(), inner));
        }
        inner.participant(inner.me_or_zero()).departed.store(0, Ordering::Release);
    }
}

impl Inner {
    /// Whether nobody is in the family but this process and who is about to end. The registry is locked:
    /// this process is not about to fork.
    fn is_deserted(&self) -> bool {
        let me = self.me_or_zero();
        let others = || self.serials().filter(|&(serial, _)| serial != me);
        let stays = |serial| {
            self.participant(serial).departed.load(Ordering::Acquire) == 0
                && !self.serial_is_dead(serial)
        };
        if others().any(|(serial, state)| state == ALIVE && stays(serial)) {
            return false;
        }
        // An embryo is of a process that lives and has the arena already, or of none.
        !others().any(|(_, state)| state == EMBRYO) || !self.has_unregistered_process()
    }
}

extern "C" fn depart() {
    Family::depart();
}

/// Leaves a family, if it has a name.
pub(super) fn leave(inner: &'static Inner) {
    let named = try_all_families().map(|registry| registry.named.clone());
    for (path, _) in named.unwrap_or_default().into_iter().filter(|(_, i)| std::ptr::eq(*i, inner))
    {
        Place { path, name: Family::of(inner).name().unwrap_or_default() }.leave(inner);
    }
}

/// Notes that this process has come to a family by another way than its meeting place. If the last one
/// who had come by that has gone meanwhile, the file is made again.
pub(super) fn came_in(registry: &mut Registry, inner: &'static Inner) {
    let Some(name) = Family::of(inner).name() else { return };
    let Ok(place) = Place::of(&name) else { return };
    exit::install(depart);
    registry.enter(&place.path, inner);
    // All this is for those who come later: nothing here is this process's trouble.
    let Ok(Attempt::Locked(locked)) = place.lock(true) else { return };
    let is_free = match place.read(&locked) {
        Ok(None) => true,
        Ok(Some(record)) => record.family == inner.id || matches!(place.find(&record), Ok(None)),
        Err(_) => false,
    };
    if is_free {
        let _ = place.write(inner);
    }
}

impl Family {
    /// Joins the family of this name, or makes it if nobody is in it: a family of processes that need
    /// not descend from one another, all of one user, in any language.
    ///
    /// They meet at a small file in `/dev/shm`, or in the folder that the environment variable
    /// `PROCESSION_FAMILY_DIR` names. It says only where the family is: memory and objects are gone with
    /// the last process, however that ended, and the last one to end in an orderly way removes the
    /// file. Which process makes a family that many open at the same time does not matter to any of them.
    ///
    /// A name has 1 to 100 of the characters `A` to `Z`, `a` to `z`, `0` to `9`, `.`, `_` and `-`, and
    /// does not begin with a dot. The family does not become this process's [current](Family::current)
    /// one; queues and other objects are found in it by [their names](Family::queue).
    ///
    /// # Errors
    /// [`FamilyError::Name`], [`FamilyError::Meeting`] if the file can't be used and why,
    /// [`FamilyError::OtherVersion`] if the family's processes have another version of Procession, or as
    /// of [`Family::current`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::Family;
    /// # let name = format!("example-{}", std::process::id());
    /// # let name = name.as_str();
    /// let family = Family::open(name)?; // "jobs", say
    /// assert_eq!(family.name().as_deref(), Some(name));
    /// assert_eq!(Family::open(name)?.id(), family.id());
    /// # Ok(()) }
    /// ```
    pub fn open(name: &str) -> Result<Family, FamilyError> {
        let place = Place::of(name)?;
        super::fork::install();
        exit::install(depart);
        let met = place.turn(PATIENCE_MS, true, |registry, locked| place.meet(registry, locked))?;
        let (inner, is_new) = met.ok_or_else(|| place.trouble("it can't be made"))?;
        if is_new {
            stale::clean(&place);
        } else {
            inner.sweep_if_due();
        }
        Ok(Family::of(inner))
    }

    /// Says that this process ends now: where it is the last of a [named](Family::open) family the
    /// meeting place is removed. Called at the end of every process that returns from `main` or calls
    /// `exit`; who ends by `_exit` may call it before.
    ///
    /// # Examples
    /// ```
    /// procession::Family::depart(); // does nothing: this process is in no named family
    /// ```
    pub fn depart() {
        let all = try_all_families().map(|registry| registry.all.clone());
        all.unwrap_or_default().into_iter().for_each(leave);
    }
}
