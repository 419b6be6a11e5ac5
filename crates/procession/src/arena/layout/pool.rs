//! A worker's slot in the memory of its pool. What the words mean together: see `pool/board.rs`.

use std::mem::size_of;

use super::ShmSafe;
use crate::sys::atomic::AtomicU64;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct WorkerSlot {
    /// How far its process has come: `Phase`.
    pub(crate) phase: AtomicU64,
    pub(crate) pid: AtomicU64,
    /// The number of the task that it takes or has, plus one. Written before the queue's head moves.
    pub(crate) intended: AtomicU64,
    /// How far it has come in that task: `Progress`.
    pub(crate) progress: AtomicU64,
    /// When it began with that, in milliseconds of the coarse monotonic clock.
    pub(crate) since: AtomicU64,
    /// How many bytes of its log are results that it has not reported yet.
    pub(crate) logged: AtomicU64,
    /// Tasks and items done by it and by those that had the slot before it.
    pub(crate) tasks: AtomicU64,
    pub(crate) items: AtomicU64,
    /// Nanoseconds spent in tasks, of these in unpacking and packing, and in waiting for tasks.
    pub(crate) busy: AtomicU64,
    pub(crate) coding: AtomicU64,
    pub(crate) waited: AtomicU64,
    pad: [AtomicU64; 21],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for WorkerSlot {}

const _: () = assert!(size_of::<WorkerSlot>() == 256);

/// What the owner of a pool says.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct PoolHead {
    /// The serial of the process that made it.
    pub(crate) owner: AtomicU64,
    /// How many calls were cancelled.
    pub(crate) cancellations: AtomicU64,
    /// The last of them, in turn: which call, plus one.
    pub(crate) cancelled: [AtomicU64; 30],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for PoolHead {}

const _: () = assert!(size_of::<PoolHead>() == 256);
