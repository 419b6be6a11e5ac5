//! The arena's file as this process sees it: extents of 64 MiB, mapped when first touched.
//!
//! The only place where offsets become pointers and references.
//!
//! Invariants: an extent, once mapped, stays mapped at its address for the life of the process (a
//! `Map` is never dropped); the file is sealed against shrinking; so a pointer to a range inside the
//! file is valid for ever. References are made only to [`ShmSafe`] types, which consist of atomics:
//! other processes may change them at any time.

use std::mem::{align_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::Mutex;

use super::layout::{EXTENT, Layout, ShmSafe};
use crate::error::ArenaError;
use crate::sys::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sys::memory;

#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    /// Device and inode of the file.
    pub(crate) identity: (u64, u64),
    pub(crate) layout: Layout,
    extents: Box<[AtomicPtr<u8>]>,
    growing: Mutex<()>,
}

pub(crate) fn corrupt(what: impl Into<String>) -> ArenaError {
    ArenaError::Corrupt(what.into())
}

impl Map {
    pub(crate) fn new(fd: OwnedFd, layout: Layout) -> Map {
        let extents = (0..layout.size / EXTENT).map(|_| AtomicPtr::new(null_mut())).collect();
        let identity = memory::identity(&fd).unwrap_or_default();
        Map { fd, identity, layout, extents, growing: Mutex::new(()) }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor, if it still is the arena's: a program that closes all descriptors (to become a
    /// daemon, say) closes this one too, and its number may be another file by now.
    pub(crate) fn file(&self) -> Result<BorrowedFd<'_>, ArenaError> {
        if memory::identity(self.fd()) == Some(self.identity) {
            return Ok(self.fd());
        }
        Err(ArenaError::Detached(format!(
            "descriptor {} of the arena was closed by this program; what is mapped already goes on",
            self.fd.as_raw_fd()
        )))
    }

    /// The address of a range that lies within one extent.
    #[inline]
    pub(crate) fn ptr(&self, at: u64, len: u64) -> Result<NonNull<u8>, ArenaError> {
        let (index, inside) = ((at / EXTENT) as usize, at % EXTENT);
        if len > EXTENT || inside > EXTENT - len {
            return Err(corrupt(format!("a range of {len} bytes at {at:#x} crosses an extent")));
        }
        let base = match self.extents.get(index) {
            Some(e) => e.load(Ordering::Acquire),
            None => return Err(corrupt(format!("offset {at:#x} is beyond the file"))),
        };
        let base = match NonNull::new(base) {
            Some(base) => base,
            None => self.map_slow(index)?,
        };
        // SAFETY: `inside + len` is within the mapped extent, by the checks above.
        Ok(unsafe { base.add(inside as usize) })
    }

    #[cold]
    fn map_slow(&self, index: usize) -> Result<NonNull<u8>, ArenaError> {
        let _one = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(base) = NonNull::new(self.extents[index].load(Ordering::Acquire)) {
            return Ok(base);
        }
        let base = memory::map_shared(self.file()?, index as u64 * EXTENT, EXTENT)
            .map_err(|_| no_address_space(EXTENT))?;
        self.extents[index].store(base.as_ptr(), Ordering::Release);
        Ok(base)
    }

    /// The offset of an address in what is mapped below `end`.
    pub(crate) fn find(&self, address: usize, end: u64) -> Option<u64> {
        let extents = self.extents.iter().take(end.div_ceil(EXTENT) as usize);
        extents.enumerate().find_map(|(i, base)| {
            let base = base.load(Ordering::Acquire);
            let inside = address.wrapping_sub(base.addr()) as u64;
            (!base.is_null() && inside < EXTENT).then_some(i as u64 * EXTENT + inside)
        })
    }

    /// The lock that `fork` must hold, so that the child doesn't find it taken.
    pub(crate) fn growing(&self) -> &Mutex<()> {
        &self.growing
    }

    /// A structure of shared memory.
    #[inline]
    pub(crate) fn at<T: ShmSafe>(&self, at: u64) -> Result<&T, ArenaError> {
        if !at.is_multiple_of(align_of::<T>() as u64) {
            return Err(corrupt(format!("offset {at:#x} is not aligned")));
        }
        let p = self.ptr(at, size_of::<T>() as u64)?;
        // SAFETY: in range and aligned; `ShmSafe` says that any bytes are a valid value and that
        // concurrent change is all right; the mapping lives as long as `self`.
        Ok(unsafe { p.cast::<T>().as_ref() })
    }

    /// A word of shared memory.
    #[inline]
    pub(crate) fn word(&self, at: u64) -> Result<&AtomicU64, ArenaError> {
        self.at::<AtomicU64>(at)
    }

    #[inline]
    pub(crate) fn copy_in(&self, at: u64, bytes: &[u8]) -> Result<(), ArenaError> {
        self.copy_in_parts(at, [bytes])
    }

    /// Writes several pieces, one after the other.
    #[inline]
    pub(crate) fn copy_in_parts<const N: usize>(
        &self,
        at: u64,
        parts: [&[u8]; N],
    ) -> Result<(), ArenaError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut p = self.ptr(at, len as u64)?.as_ptr();
        for part in parts {
            // SAFETY: the range of all parts is mapped and writable; nobody has a reference to these
            // bytes, which are the caller's by the protocol of who owns a block (a wrong peer can tear
            // them, no more).
            unsafe {
                std::ptr::copy_nonoverlapping(part.as_ptr(), p, part.len());
                p = p.add(part.len());
            }
        }
        Ok(())
    }

    /// Whether so many bytes are these.
    #[inline]
    pub(crate) fn equals(&self, at: u64, bytes: &[u8]) -> Result<bool, ArenaError> {
        let p = self.ptr(at, bytes.len() as u64)?.as_ptr();
        for (i, part) in bytes.chunks(64).enumerate() {
            let mut copy = [0; 64];
            // SAFETY: the source is mapped, by the check above; it may change meanwhile, so it is
            // compared as a copy.
            unsafe {
                std::ptr::copy_nonoverlapping(p.add(64 * i), copy.as_mut_ptr(), part.len());
            }
            if copy[..part.len()] != *part {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn copy_out(
        &self,
        at: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ArenaError> {
        let p = self.ptr(at, len as u64)?;
        out.reserve(len);
        // SAFETY: the source is mapped; the destination has room for `len` more bytes and is not
        // shared; after the copy they are initialised.
        unsafe {
            let end = out.as_mut_ptr().add(out.len());
            std::ptr::copy_nonoverlapping(p.as_ptr(), end, len);
            out.set_len(out.len() + len);
        }
        Ok(())
    }

    /// A mapping of its own for a run that is larger than an extent.
    pub(crate) fn map_run(&self, at: u64, len: u64) -> Result<NonNull<u8>, ArenaError> {
        if at.checked_add(len).is_none_or(|end| end > self.layout.size) || at < self.layout.data {
            return Err(corrupt(format!("a run of {len} bytes at {at:#x} is beyond the file")));
        }
        memory::map_shared(self.file()?, at, len).map_err(|_| no_address_space(len))
    }
}

pub(crate) fn no_address_space(requested: u64) -> ArenaError {
    ArenaError::Full { requested, free: 0, why: "mmap was refused: address space or RLIMIT_AS" }
}
