//! A value that one thread at a time may touch: under the interpreter's lock where it has one, which costs
//! nothing, else under a mutex.
//!
//! What is done inside neither runs Python code nor lets go of the interpreter, by the rules of
//! `procession::threads`; a flag turns a breach into a panic. So the lock is free whenever a fork happens or
//! the garbage collector looks: both are done by a thread that is attached and not inside.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use procession::threads::is_main_thread;
use pyo3::ffi;
use pyo3::prelude::*;

#[cfg(not(Py_GIL_DISABLED))]
mod imp {
    use std::cell::{Cell, UnsafeCell};

    use super::Python;

    #[derive(Debug)]
    pub(crate) struct Guarded<T> {
        inside: Cell<bool>,
        value: UnsafeCell<T>,
    }

    // SAFETY: used by attached threads only, of which there is one at a time.
    unsafe impl<T: Send> Sync for Guarded<T> {}

    struct Inside<'a>(&'a Cell<bool>);

    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }

    impl<T> Guarded<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self { inside: Cell::new(false), value: UnsafeCell::new(value) }
        }

        /// Does something with the value.
        #[inline]
        pub(crate) fn with<R>(&self, _py: Python<'_>, act: impl FnOnce(&mut T) -> R) -> R {
            self.now(act).expect("Python code ran inside a thread queue")
        }

        /// The same for the garbage collector, which is attached and must not say so; `None` if somebody
        /// is inside.
        #[inline]
        pub(crate) fn now<R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
            if self.inside.replace(true) {
                return None;
            }
            let _inside = Inside(&self.inside);
            // SAFETY: one thread is attached, it is this one, and the flag says that it is not inside already.
            Some(act(unsafe { &mut *self.value.get() }))
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod imp {
    use std::sync::{Mutex, PoisonError, TryLockError};

    use super::Python;

    #[derive(Debug)]
    pub(crate) struct Guarded<T> {
        value: Mutex<T>,
    }

    impl<T> Guarded<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self { value: Mutex::new(value) }
        }

        /// Does something with the value. Held for nanoseconds, by attached threads only; so never while the
        /// world is stopped, as it is around a fork.
        #[inline]
        pub(crate) fn with<R>(&self, _py: Python<'_>, act: impl FnOnce(&mut T) -> R) -> R {
            act(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
        }

        /// The same for the garbage collector; `None` if somebody is inside.
        pub(crate) fn now<R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
            match self.value.try_lock() {
                Ok(mut value) => Some(act(&mut value)),
                Err(TryLockError::Poisoned(error)) => Some(act(&mut error.into_inner())),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }
}

pub(crate) use imp::Guarded;

/// An exception out of a call whose outcome nobody gets is raised a moment later, in the main thread, where
/// the handlers of signals run. In any other it is only told.
pub(crate) fn raise_later(py: Python<'_>, error: PyErr) {
    extern "C" fn raise(error: *mut c_void) -> c_int {
        // SAFETY: called once, attached, with the box from below.
        unsafe {
            let error = Box::from_raw(error.cast::<PyErr>());
            error.restore(Python::assume_attached());
        }
        -1
    }
    if !is_main_thread() {
        return error.write_unraisable(py, None);
    }
    let error = Box::into_raw(Box::new(error));
    // SAFETY: attached. If there are too many calls already the box is ours again.
    unsafe {
        if ffi::Py_AddPendingCall(Some(raise), error.cast()) != 0 {
            Box::from_raw(error).write_unraisable(py, None);
        }
    }
}
