//! What must happen around fork(2): pthread_atfork(3) handlers.

use std::sync::Once;

use super::atomic::{AtomicU32, Ordering};

/// A handler.
pub(crate) type Handler = unsafe extern "C" fn();

/// Registers the handlers, once per process image: `prepare` runs in the forking thread before the
/// fork, then `parent` and `child` in the two processes; `parent` also if the fork failed.
pub(crate) fn install(prepare: Handler, parent: Handler, child: Handler) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are plain functions of an image that is never unloaded.
        let failed = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        debug_assert_eq!(failed, 0, "pthread_atfork fails only for lack of memory");
    });
}

static FORKS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How many forks lie between this process and the first one that asked: a number that differs between a
/// process and its children, and costs no system call.
pub(crate) fn generation() -> u32 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a plain function of an image that is never unloaded.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(count)) };
        debug_assert_eq!(failed, 0, "pthread_atfork fails only for lack of memory");
    });
    FORKS.load(Ordering::Relaxed)
}

#[cfg(feature = "redis")]
static FORKED: AtomicU32 = AtomicU32::new(0);

#[cfg(feature = "redis")]
unsafe extern "C" fn count_own() {
    FORKED.fetch_add(1, Ordering::Relaxed);
}

/// How often this process and those before it have forked since somebody asked first. A child that comes of
/// a fork has all that its parent had.
#[cfg(feature = "redis")]
pub(crate) fn forks_begun() -> u32 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a plain function of an image that is never unloaded.
        let failed = unsafe { libc::pthread_atfork(Some(count_own), None, None) };
        debug_assert_eq!(failed, 0, "pthread_atfork fails only for lack of memory");
    });
    FORKED.load(Ordering::Relaxed)
}

/// The number of the child in the parent, `None` in the child.
///
/// # Safety
/// The child must touch nothing of which another thread of the parent may have been in the middle.
pub(crate) unsafe fn fork() -> std::io::Result<Option<u32>> {
    // SAFETY: the caller's promise.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid.cast_unsigned())),
    }
}
