//! What must happen around fork(2): pthread_atfork(3) handlers.

use std::sync::Once;

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
