//! Shared memory files and their mappings.
//!
//! Invariant: a pointer handed out by [`map_shared`] stays valid until [`unmap`] is called with it;
//! the arena never unmaps an extent, and unmaps a run only when its one owner lets go of it. The
//! file is sealed against shrinking, so that no access within its size can fault (`SIGBUS`).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

pub(crate) const PAGE: u64 = 4096;

/// A memory file could not be had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) call: &'static str,
    pub(crate) errno: Errno,
}

fn refused(call: &'static str) -> impl Fn(Errno) -> Refused {
    move |errno| Refused { call, errno }
}

/// A new, sparse, anonymous file of about `wish` bytes: less if `RLIMIT_FSIZE` is lower, since
/// growing a file past that limit is a signal (setrlimit(2)).
pub(crate) fn create_file(wish: u64, granule: u64) -> Result<(OwnedFd, u64), Refused> {
    let fd =
        rustix::fs::memfd_create(c"procession", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(refused("memfd_create"))?;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    let size = limit.map_or(wish, |l| wish.min(l)) / granule * granule;
    rustix::fs::ftruncate(&fd, size).map_err(refused("ftruncate"))?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)
        .map_err(refused("fcntl(F_ADD_SEALS)"))?;
    Ok((fd, size))
}

/// The file's size, and whether it is sealed against shrinking.
pub(crate) fn inspect(fd: BorrowedFd<'_>) -> Result<(u64, bool), Refused> {
    let size = rustix::fs::fstat(fd).map_err(refused("fstat"))?.st_size;
    let sealed = rustix::fs::fcntl_get_seals(fd).is_ok_and(|s| s.contains(SealFlags::SHRINK));
    Ok((u64::try_from(size).unwrap_or(0), sealed))
}

/// Device and inode: what makes an open file the same one in another process.
pub(crate) fn identity(fd: impl AsFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(fd).ok().map(|s| (s.st_dev, s.st_ino))
}

/// Maps `len` bytes at `offset`, shared, and keeps them out of core dumps: dumping a sparse file
/// would allocate its holes.
pub(crate) fn map_shared(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: u64,
) -> Result<NonNull<u8>, Refused> {
    // SAFETY: a fresh mapping at an address of the kernel's choice aliases no Rust object.
    let p = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            len as usize,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::NORESERVE,
            fd,
            offset,
        )
    }
    .map_err(refused("mmap"))?;
    // SAFETY: the range was mapped just now; the advice changes no contents.
    let _ = unsafe { rustix::mm::madvise(p, len as usize, Advice::LinuxDontDump) };
    NonNull::new(p.cast()).ok_or(Refused { call: "mmap", errno: Errno::NOMEM })
}

/// Replaces the mapping of a range by another of the same file range: private (copy on write) for a
/// block that a fork shares, shared again afterwards.
///
/// # Safety
/// `at` must be the address of a mapping of this file's range, which no other thread accesses now
/// in a way that depends on it being shared.
pub(crate) unsafe fn remap(
    fd: BorrowedFd<'_>,
    at: NonNull<u8>,
    offset: u64,
    len: u64,
    private: bool,
) -> Result<(), Refused> {
    let kind = if private { MapFlags::PRIVATE } else { MapFlags::SHARED };
    // SAFETY: the caller's promise; MAP_FIXED replaces exactly the pages of that range.
    unsafe {
        rustix::mm::mmap(
            at.as_ptr().cast(),
            len as usize,
            ProtFlags::READ | ProtFlags::WRITE,
            kind | MapFlags::FIXED | MapFlags::NORESERVE,
            fd,
            offset,
        )
    }
    .map_err(refused("mmap"))?;
    // SAFETY: as in `map_shared`.
    let _ = unsafe { rustix::mm::madvise(at.as_ptr().cast(), len as usize, Advice::LinuxDontDump) };
    Ok(())
}

/// Unmaps a range.
///
/// # Safety
/// The range comes from [`map_shared`], and nothing refers to it any more.
pub(crate) unsafe fn unmap(at: NonNull<u8>, len: u64) {
    // SAFETY: the caller's promise.
    let _ = unsafe { rustix::mm::munmap(at.as_ptr().cast(), len as usize) };
}

/// Brings fresh pages into being now, so that their lack is an error here and not a signal later.
pub(crate) fn populate(
    fd: BorrowedFd<'_>,
    at: NonNull<u8>,
    offset: u64,
    len: u64,
) -> Result<(), Refused> {
    let skew = offset % PAGE;
    let span = (len + skew).next_multiple_of(PAGE);
    // SAFETY: the pages around the range belong to the same mapping; populating changes no contents.
    let done = unsafe {
        let start = at.as_ptr().sub(skew as usize);
        rustix::mm::madvise(start.cast(), span as usize, Advice::LinuxPopulateWrite)
    };
    match done {
        Ok(()) => Ok(()),
        // Before Linux 5.14 there is no such advice.
        Err(Errno::INVAL) => {
            rustix::fs::fallocate(fd, FallocateFlags::empty(), offset - skew, span)
                .map_err(refused("fallocate"))
        }
        Err(errno) => Err(Refused { call: "madvise(MADV_POPULATE_WRITE)", errno }),
    }
}

/// Where less than this is to be written, the faults are left to come one by one.
const PREFAULT_FROM: usize = 256 << 10;

/// Asks for the pages of memory that is about to be written, if it is fresh: one call instead of a
/// fault for each page, which takes more time than to fill it (MADV_POPULATE_WRITE, Linux 5.14). Memory
/// in use costs a look at one page of it.
pub(crate) fn prefault<T>(memory: &mut [MaybeUninit<T>]) {
    let (len, first) = (size_of_val(memory), memory.as_mut_ptr().cast::<u8>());
    if len < PREFAULT_FROM {
        return;
    }
    let page = PAGE as usize;
    let start = first.map_addr(|at| at.next_multiple_of(page));
    let middle = first.map_addr(|at| (at + len / 2) & !(page - 1));
    let whole = len.saturating_sub(2 * page) & !(page - 1);
    let mut present = 0;
    // SAFETY: whole pages within the slice; the first call only looks at one, the second changes no
    // contents. Both fail where the kernel does not know them, which is no loss.
    unsafe {
        if libc::mincore(middle.cast(), page, &raw mut present) == 0 && present & 1 == 0 {
            let _ = rustix::mm::madvise(start.cast(), whole, Advice::LinuxPopulateWrite);
        }
    }
}

/// Gives pages back to the kernel; they read as zero afterwards.
pub(crate) fn give_back(fd: BorrowedFd<'_>, offset: u64, len: u64) -> bool {
    let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(fd, how, offset, len).is_ok()
}

/// A page that reads as zero after any fork (`MADV_WIPEONFORK`, Linux 4.14), however it was made.
pub(crate) fn wiped_page() -> Result<NonNull<u8>, Refused> {
    let page = PAGE as usize;
    // SAFETY: a fresh anonymous mapping aliases no Rust object.
    let p = unsafe {
        rustix::mm::mmap_anonymous(
            std::ptr::null_mut(),
            page,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }
    .map_err(refused("mmap"))?;
    // SAFETY: the page was mapped just now.
    unsafe { rustix::mm::madvise(p, page, Advice::LinuxWipeOnFork) }
        .map_err(refused("madvise(MADV_WIPEONFORK)"))?;
    NonNull::new(p.cast()).ok_or(Refused { call: "mmap", errno: Errno::NOMEM })
}
