//! What is still to be done when this process ends in an orderly way: atexit(3).

use std::sync::Once;

/// Registers a handler, once per process image. A killed process does not run it, nor one that ends by
/// `_exit`.
pub(crate) fn install(handler: extern "C" fn()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a plain function of an image that is never unloaded.
        let failed = unsafe { libc::atexit(handler) };
        debug_assert_eq!(failed, 0, "atexit fails only for lack of memory");
    });
}
