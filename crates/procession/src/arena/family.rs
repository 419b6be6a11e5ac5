//! A family: the processes that share an arena, as one of them sees it.
//!
//! A process makes a family at first use, is born into its parent's by fork, or joins one through an
//! inherited descriptor or through `/proc/PID/fd` of a member. What it joined it never leaves before
//! it ends.
//!
//! Invariant: an [`Inner`] is made once per process and family and lives for ever; `identity` points
//! into a page that reads as zero after any fork, so a process never acts under its parent's serial.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::bells::Bells;
use super::block::Kept;
use super::holds::Handles;
use super::layout::{EXTENT, FILE_SIZE, Header, Layout, MAGIC, VERSION};
use super::listeners::Doors;
use super::map::Map;
use super::recent::Recent;
use crate::error::{ArenaError, FamilyError};
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::memory::{self, Refused};
use crate::sys::process;

/// What this process knows of a family.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) map: Map,
    pub(crate) id: FamilyId,
    identity: NonNull<AtomicU32>,
    pub(crate) auto_limit: AtomicU64,
    pub(crate) auto_valid: AtomicU64,
    pub(crate) auto_at: AtomicU64,
    pub(crate) handles: Mutex<Handles>,
    pub(crate) kept: Mutex<HashMap<u64, Kept>>,
    pub(crate) bells: Mutex<Bells>,
    pub(crate) doors: Mutex<Doors>,
    pub(crate) alloc_lock: Mutex<Recent>,
}

// SAFETY: `identity` points to an atomic in a page that is never unmapped.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// The families of this process.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) all: Vec<&'static Inner>,
    /// Those that have a name, by their meeting places.
    pub(crate) named: Vec<(PathBuf, &'static Inner)>,
    current: Option<&'static Inner>,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { all: Vec::new(), named: Vec::new(), current: None });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All families of this process; nothing changes there while the guard lives.
pub(crate) fn all_families() -> MutexGuard<'static, Registry> {
    registry()
}

/// The same; `None` if a thread is at work there.
pub(crate) fn try_all_families() -> Option<MutexGuard<'static, Registry>> {
    match REGISTRY.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A family's identity: random, the same in all its processes.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(procession::Family::current()?.id().to_string().len(), 32);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FamilyId(pub(crate) [u8; 16]);

impl FamilyId {
    fn of(header: &Header) -> FamilyId {
        let words = header.id.each_ref().map(|w| w.load(Ordering::Relaxed).to_le_bytes());
        let mut id = [0; 16];
        id[..8].copy_from_slice(&words[0]);
        id[8..].copy_from_slice(&words[1]);
        FamilyId(id)
    }

    /// What [`FamilyId::to_string`] gives.
    pub(super) fn parse(text: &str) -> Option<FamilyId> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut id = [0; 16];
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(FamilyId(id))
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// The processes that share one arena.
///
/// Fork children are members from birth; other processes join by [`Family::attach_fd`] or by opening
/// a handle. When the last member ends, however it ends, the kernel frees everything.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let family = procession::Family::current()?;
/// assert_eq!(family.id(), procession::Family::current()?.id());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct Family(&'static Inner);

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({})", self.0.id)
    }
}

fn refused(r: Refused) -> FamilyError {
    let hint = match r.call {
        "memfd_create" => "the kernel (3.17 or newer) or the sandbox must allow memfd_create",
        "ftruncate" => "RLIMIT_FSIZE is too low for an arena; it needs at least 128 MiB",
        "mmap" => "RLIMIT_AS or the sandbox leaves no address space for shared memory",
        "madvise(MADV_WIPEONFORK)" => "Linux 4.14 or newer is needed",
        _ => "the sandbox must allow it",
    };
    FamilyError::Refused { call: r.call, source: r.errno.into(), hint }
}

impl Inner {
    pub(crate) fn header(&self) -> &Header {
        self.map.at(0).expect("the first extent is mapped")
    }

    pub(crate) fn fd_number(&self) -> u32 {
        self.map.fd().as_raw_fd().cast_unsigned()
    }

    /// This process's serial.
    #[inline]
    pub(crate) fn me(&self) -> Result<Serial, ArenaError> {
        match self.me_or_zero() {
            0 => self.rejoin_slow(),
            me => Ok(me),
        }
    }

    #[inline]
    pub(crate) fn me_or_zero(&self) -> Serial {
        // SAFETY: the invariant: the page lives for ever.
        unsafe { self.identity.as_ref() }.load(Ordering::Relaxed)
    }

    pub(crate) fn set_me(&self, me: Serial) {
        // SAFETY: as above.
        unsafe { self.identity.as_ref() }.store(me, Ordering::Relaxed);
    }

    /// Becomes a participant.
    pub(crate) fn enter(&self) -> Result<Serial, FamilyError> {
        loop {
            let serial = self.claim_slot()?;
            if self.enter_slot(serial) {
                self.set_me(serial);
                return Ok(serial);
            }
        }
    }

    fn open(fd: OwnedFd, size: u64) -> Result<Map, FamilyError> {
        let layout = Layout::new(size).ok_or_else(|| {
            FamilyError::Layout(format!("the file's size {size} (RLIMIT_FSIZE may be too low)"))
        })?;
        let map = Map::new(fd, layout);
        // The header's and the participants' extent is mapped for good.
        map.ptr(0, EXTENT).map_err(|e| FamilyError::Layout(e.to_string()))?;
        Ok(map)
    }

    fn make(map: Map) -> Result<&'static Inner, FamilyError> {
        let page = memory::wiped_page().map_err(refused)?;
        let mut inner = Inner {
            map,
            id: FamilyId([0; 16]),
            identity: page.cast(),
            auto_limit: AtomicU64::new(0),
            auto_valid: AtomicU64::new(0),
            auto_at: AtomicU64::new(0),
            handles: Mutex::default(),
            kept: Mutex::default(),
            bells: Mutex::default(),
            doors: Mutex::default(),
            alloc_lock: Mutex::default(),
        };
        inner.id = FamilyId::of(inner.header());
        super::fork::install();
        let inner: &'static Inner = Box::leak(Box::new(inner));
        inner.enter()?;
        Ok(inner)
    }

    /// Makes a family; the name is empty if it has none.
    pub(super) fn create(name: &str) -> Result<&'static Inner, FamilyError> {
        let (fd, size) = memory::create_file(FILE_SIZE, EXTENT).map_err(refused)?;
        let map = Inner::open(fd, size)?;
        let header: &Header = map.at(0).map_err(|e| FamilyError::Layout(e.to_string()))?;
        let id = process::random_id();
        for (word, bytes) in header.id.iter().zip(id.chunks_exact(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().unwrap_or_default()), Ordering::Relaxed);
        }
        header.version.store(VERSION, Ordering::Relaxed);
        header.size.store(size, Ordering::Relaxed);
        header.spans_used.store(map.layout.first_span(), Ordering::Relaxed);
        super::estate::write_text(&header.name, name);
        header.magic.store(MAGIC, Ordering::Release);
        Inner::make(map)
    }

    /// Joins the family whose arena the file is, and looks for the dead there; `None` if it is not the
    /// one that is meant.
    fn attach(fd: OwnedFd, meant: Option<FamilyId>) -> Result<Option<&'static Inner>, FamilyError> {
        let inner = Inner::adopt(fd, meant)?;
        inner.inspect(|inner| inner.sweep_if_due());
        Ok(inner)
    }

    /// The same, without waiting for anybody.
    pub(super) fn adopt(
        fd: OwnedFd,
        meant: Option<FamilyId>,
    ) -> Result<Option<&'static Inner>, FamilyError> {
        use std::os::fd::AsFd;
        let (size, sealed) = memory::inspect(fd.as_fd()).map_err(refused)?;
        if !sealed || !size.is_multiple_of(EXTENT) || size == 0 {
            return Err(FamilyError::Layout("the descriptor is no arena".into()));
        }
        let map = Inner::open(fd, size)?;
        let header: &Header = map.at(0).map_err(|e| FamilyError::Layout(e.to_string()))?;
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(FamilyError::Layout("the descriptor is no arena".into()));
        }
        let version = header.version.load(Ordering::Relaxed);
        if version != VERSION || header.size.load(Ordering::Relaxed) != size {
            let text = format!("it has layout version {version}, this program needs {VERSION}");
            return Err(FamilyError::Layout(text));
        }
        if meant.is_some_and(|id| id != FamilyId::of(header)) {
            return Ok(None);
        }
        Inner::make(map).map(Some)
    }
}

impl Family {
    pub(crate) fn inner(self) -> &'static Inner {
        self.0
    }

    pub(crate) fn of(inner: &'static Inner) -> Family {
        Family(inner)
    }

    /// This process's family, made now if it has none.
    ///
    /// # Errors
    /// [`FamilyError`] if the kernel or a sandbox refuses shared memory.
    ///
    /// # Examples
    /// ```
    /// let family = procession::Family::current().unwrap();
    /// ```
    pub fn current() -> Result<Family, FamilyError> {
        let mut registry = registry();
        if let Some(inner) = registry.current {
            return Ok(Family(inner));
        }
        let inner = Inner::create("")?;
        registry.all.push(inner);
        registry.current = Some(inner);
        Ok(Family(inner))
    }

    /// This process's family, if it has one.
    ///
    /// # Examples
    /// ```
    /// assert!(procession::Family::existing().is_none());
    /// ```
    #[must_use]
    pub fn existing() -> Option<Family> {
        registry().current.map(Family)
    }

    /// All families that this process is a member of.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Family;
    /// assert!(Family::all().is_empty());
    /// assert_eq!(Family::current()?.id(), Family::all()[0].id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn all() -> Vec<Family> {
        registry().all.iter().copied().map(Family).collect()
    }

    /// Makes this process a member of the family whose arena `fd` is; it becomes the current one.
    ///
    /// # Errors
    /// [`FamilyError::AlreadyMember`] if it is a member of another already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// let fd = family.fd().try_clone_to_owned()?;
    /// assert_eq!(procession::Family::attach_fd(fd)?.id(), family.id());
    /// # Ok(()) }
    /// ```
    pub fn attach_fd(fd: OwnedFd) -> Result<Family, FamilyError> {
        let mut registry = registry();
        let file = memory::identity(&fd);
        let known = registry.all.iter().copied().find(|i| Some(i.map.identity) == file);
        match (registry.current, known) {
            (Some(current), Some(known)) if std::ptr::eq(current, known) => {
                return Ok(Family(known));
            }
            (Some(_), _) => return Err(FamilyError::AlreadyMember),
            _ => {}
        }
        let inner = match known {
            Some(inner) => inner,
            None => Inner::attach(fd, None)?.ok_or(FamilyError::AlreadyMember)?,
        };
        if known.is_none() {
            registry.all.push(inner);
            super::meeting::came_in(&mut registry, inner);
        }
        registry.current = Some(inner);
        Ok(Family(inner))
    }

    /// Makes this the [current](Family::current) family of this process, and of the children that it
    /// forks later: of a [named](Family::open) family that is said by nobody else.
    ///
    /// # Errors
    /// [`FamilyError::AlreadyMember`] if another one is the current one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Family;
    /// let family = Family::current()?;
    /// assert!(family.make_current().is_ok());
    /// # Ok(()) }
    /// ```
    pub fn make_current(self) -> Result<(), FamilyError> {
        let mut registry = registry();
        match registry.current {
            Some(current) if !std::ptr::eq(current, self.0) => Err(FamilyError::AlreadyMember),
            _ => {
                registry.current = Some(self.0);
                Ok(())
            }
        }
    }

    /// The family with this name if this process is a member, or else the one that `open` finds.
    pub(crate) fn find_or_attach(
        id: FamilyId,
        open: impl FnOnce() -> Result<OwnedFd, crate::error::HandleError>,
    ) -> Result<Family, crate::error::HandleError> {
        let mut registry = registry();
        if let Some(inner) = registry.all.iter().copied().find(|i| i.id == id) {
            return Ok(Family(inner));
        }
        let inner =
            Inner::attach(open()?, Some(id))?.ok_or(crate::error::HandleError::Malformed)?;
        registry.all.push(inner);
        super::meeting::came_in(&mut registry, inner);
        // A process without a family of its own belongs to the first that it meets, but for those where
        // strangers meet.
        if registry.current.is_none() && Family(inner).name().is_none() {
            registry.current = Some(inner);
        }
        Ok(Family(inner))
    }

    /// The arena's descriptor, to be inherited by a new process. It is closed on exec unless the
    /// caller says otherwise.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::AsRawFd;
    /// assert!(procession::Family::current()?.fd().as_raw_fd() >= 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.map.fd()
    }

    /// The family's name.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{}", procession::Family::current()?.id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn id(&self) -> FamilyId {
        self.0.id
    }

    /// Sets how many bytes of memory the arena may use, for all its processes. `None`: seven eighths
    /// of what the control group or the host has left, read again as the arena grows.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.set_memory_limit(Some(64 << 20));
    /// assert_eq!(family.memory_limit(), 64 << 20);
    /// # Ok(()) }
    /// ```
    pub fn set_memory_limit(&self, limit: Option<u64>) {
        self.0.header().limit.store(limit.map_or(0, |l| l.max(1)), Ordering::Relaxed);
    }

    /// How many bytes of memory the arena may use now.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::Family::current()?.memory_limit() > 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.0.limit(self.0.header().backed.load(Ordering::Relaxed))
    }
}
