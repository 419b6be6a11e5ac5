//! Things of this process alone: a fork child has none of its parent's, and makes its own.

use std::ptr;

use crate::sys::atomic::{AtomicPtr, Ordering};

/// A `T` for each process.
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static> {
    at: AtomicPtr<Of<T>>,
}

#[derive(Debug)]
struct Of<T> {
    pid: u32,
    value: T,
}

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess { at: AtomicPtr::new(ptr::null_mut()) }
    }

    /// This process's. What was the parent's is neither used nor dropped: its locks may be held by
    /// threads that do not exist here.
    pub(crate) fn get(&self) -> &'static T {
        let pid = std::process::id();
        loop {
            let seen = self.at.load(Ordering::Acquire);
            // SAFETY: null, or from `Box::into_raw` below, published once and never freed.
            if let Some(of) = unsafe { seen.as_ref() }
                && of.pid == pid
            {
                return &of.value;
            }
            let fresh = Box::into_raw(Box::new(Of { pid, value: T::default() }));
            let swapped =
                self.at.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Relaxed);
            if swapped.is_err() {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }
}
