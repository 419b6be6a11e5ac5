//! A value that all threads may read, and that nobody waits for: there is no lock that a fork child could inherit
//! from a thread which it does not have.

use std::ptr;

use crate::sys::atomic::{AtomicPtr, Ordering};

/// A value, or none yet. One that is replaced is not freed, so this is for what is said seldom.
#[derive(Debug)]
pub(crate) struct Published<T: 'static> {
    at: AtomicPtr<T>,
}

impl<T: Send + Sync> Published<T> {
    pub(crate) const fn new() -> Published<T> {
        Published { at: AtomicPtr::new(ptr::null_mut()) }
    }

    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or from `Box::into_raw` below, whole when it was published, and never freed.
        unsafe { self.at.load(Ordering::Acquire).as_ref() }
    }

    pub(crate) fn set(&self, value: T) {
        self.at.store(Box::into_raw(Box::new(value)), Ordering::Release);
    }

    /// The value, which is made if there is none. Several threads may make one; the first counts.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &'static T {
        if let Some(there) = self.get() {
            return there;
        }
        let fresh = Box::into_raw(Box::new(make()));
        let swapped =
            self.at.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire);
        match swapped {
            // SAFETY: it was published just now, and is never freed.
            Ok(_) => unsafe { &*fresh },
            Err(first) => {
                // SAFETY: nobody else has seen the fresh one; the first one is as in `get`.
                unsafe {
                    drop(Box::from_raw(fresh));
                    &*first
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_first_one_made_is_everybodys() {
        for _ in 0..100 {
            let (published, gate) = (Published::new(), Barrier::new(4));
            assert!(published.get().is_none());
            let seen: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|i| {
                        let (published, gate) = (&published, &gate);
                        scope.spawn(move || {
                            gate.wait();
                            *published.get_or_make(|| i)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
            published.set(9);
            assert_eq!((published.get(), published.get_or_make(|| 1)), (Some(&9), &9));
        }
    }
}
