//! The only file that knows where atomics come from: `std`, or the model checker under `cfg(loom)`.
//! `ci/layers.py` forbids naming `std::sync::atomic` anywhere else.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

/// Tells the processor (or the model checker) that this thread is spinning.
#[inline]
pub(crate) fn spin_hint() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}

/// A full fence between what this thread stored before a read-modify-write that it has just done, and
/// what it loads next. On x86 that instruction is such a fence already (Intel SDM volume 3, 9.2.5), and a
/// second one costs as much again. To the compiler it is a fence everywhere.
#[inline]
pub(crate) fn fence_after_swap() {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    fence(Ordering::SeqCst);
}
