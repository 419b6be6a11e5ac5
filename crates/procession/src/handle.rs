//! Handles as bytes: which family, which object, and where a member of the family can be found.
//!
//! 64 bytes, little-endian: tag `PQ01`, descriptor number (4), family id (16), a member's pid (4),
//! object index (4), generation (4), zero (4), the member's start time (8), device (8), inode (8) of
//! the arena's file. The member is the process that made the bytes; who is not in the family yet
//! opens the arena through `/proc/PID/fd` and checks that it is the one that is meant.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use crate::arena::family::{Family, FamilyId};
use crate::arena::lease::Lease;
use crate::arena::objects::ObjectId;
use crate::error::HandleError;
use crate::sys::{memory, process};

const TAG: &[u8; 4] = b"PQ01";
pub(crate) const LEN: usize = 64;

pub(crate) fn encode(lease: &Lease) -> Vec<u8> {
    let Lease { inner, id, .. } = lease;
    let me = process::identity();
    let mut out = Vec::with_capacity(LEN);
    out.extend_from_slice(TAG);
    out.extend_from_slice(&inner.fd_number().to_le_bytes());
    out.extend_from_slice(&inner.id.0);
    for word in [me.pid, id.index, id.generation, 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for word in [me.start, inner.map.identity.0, inner.map.identity.1] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out
}

struct Parsed {
    fd: u32,
    family: FamilyId,
    pid: u32,
    object: ObjectId,
    start: u64,
    file: (u64, u64),
}

fn parse(bytes: &[u8]) -> Option<Parsed> {
    if bytes.len() != LEN || !bytes.starts_with(TAG) {
        return None;
    }
    let small = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let large = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(Parsed {
        fd: small(4)?,
        family: FamilyId(bytes[8..24].try_into().ok()?),
        pid: small(24)?,
        object: ObjectId { index: small(28)?, generation: small(32)? },
        start: large(40)?,
        file: (large(48)?, large(56)?),
    })
}

/// The process that made a handle, and its arena's file: device and inode.
pub(crate) struct Maker {
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) file: (u64, u64),
}

pub(crate) fn maker(bytes: &[u8]) -> Option<Maker> {
    parse(bytes).map(|Parsed { pid, start, file, .. }| Maker { pid, start, file })
}

/// A lease on the object that a handle names.
pub(crate) fn open(bytes: &[u8]) -> Result<Lease, HandleError> {
    let handle = parse(bytes).ok_or(HandleError::Malformed)?;
    let family = Family::find_or_attach(handle.family, || find(&handle))?;
    let inner = family.inner();
    if u64::from(handle.object.index) >= inner.map.layout.max_objects {
        return Err(HandleError::Malformed);
    }
    inner.open_handle(handle.object)?;
    Ok(Lease::of_counted(inner, handle.object)?)
}

/// Opens the arena of the member that the handle names.
fn find(handle: &Parsed) -> Result<OwnedFd, HandleError> {
    let outside = |why: String| HandleError::Outside { pid: handle.pid, why };
    if process::start_time(handle.pid) != Some(handle.start) {
        return Err(outside("that process has ended, or runs in another pid namespace".into()));
    }
    let path = format!("/proc/{}/fd/{}", handle.pid, handle.fd);
    let fd =
        rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|e| {
            outside(format!("{path}: {e}; /proc must be mounted and readable for this user"))
        })?;
    if memory::identity(&fd) != Some(handle.file) {
        return Err(outside(format!("{path} is another file by now")));
    }
    Ok(fd)
}
