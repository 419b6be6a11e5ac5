//! Locks and their kin for Rust programs: blocking, with guards, and with values inside.
//!
//! | type | what it is |
//! |---|---|
//! | [`Lock`], [`RLock`] | exclusion alone; the same lock as a Python process's `Lock` and `RLock` |
//! | [`Mutex`], [`RwLock`] | a value that lies in the arena, and is written back when the guard goes |
//! | [`Semaphore`], [`Event`], [`Condition`], [`Barrier`] | as those of `multiprocessing`, and the same as a Python process's |
//!
//! Each of them is a counted handle, is cloned cheaply, and travels in messages, collections and a
//! process's arguments. [`sync`](crate::sync) has what lies beneath: the same without blocking.
//!
//! # Blocking
//! `op()` waits for ever, `try_op()` never, `op_timeout(duration)` for so long at most. A signal does
//! not end a wait. A time-out beyond the clock's range is none.
//!
//! # When a process dies
//! A lock whose holder died, by `kill -9` or however else, is neither a hang nor silence: within half a
//! second the next one gets [`LockError::Abandoned`], which says whose it was and what became of that
//! one, and has the guard inside. A value is whole in any case: it is what was saved last.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use procession::{LockError, Mutex};
//! let total = Mutex::new(&0u64)?;
//! let mut guard = match total.lock() {
//!     Err(LockError::Abandoned(left)) => {
//!         eprintln!("{}", left.holder()); // "process 4711 (importer) was ended by signal 9"
//!         left.into_guard()
//!     }
//!     other => other?,
//! };
//! *guard += 1;
//! # Ok(()) }
//! ```
//!
//! # Panics
//! A guard that goes because its thread panics leaves the lock abandoned, too ([`Ended::Panicked`]), as
//! the standard library's mutex is poisoned; a value that was changed meanwhile is not written back.
//! An [`AbandonedGuard`] that is dropped, by `?` say, leaves the lock to the next one as it was: who
//! goes on says so by [`into_guard`](AbandonedGuard::into_guard).
//!
//! # Fork
//! What the parent holds stays the parent's: a guard that a fork child has inherited does nothing.

mod barrier;
mod condition;
mod error;
mod event;
mod hold;
mod lock;
mod mutex;
mod rlock;
mod rwlock;
mod semaphore;
mod value;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condition::{Condition, Waitable};
pub use error::{AbandonedGuard, Guard, LockError, ValueError};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore};

#[cfg(doc)]
use crate::sync::Ended;

/// What each of them has. `|it| raw`: what is beneath it, which has a handle and a lease.
macro_rules! primitive {
    ($type:ident $(<$($p:ident),*>)?, $what:literal, |$it:ident| $raw:expr) => {
        crate::travel::travels!($type $(<$($p),*>)?, $what, |$it| $raw.lease());

        impl$(<$($p),*>)? Clone for $type$(<$($p),*>)? {
            fn clone(&self) -> Self {
                $type { core: std::sync::Arc::clone(&self.core) $(, of: std::marker::PhantomData::<fn($($p),*) -> $($p),*>)? }
            }
        }

        impl$(<$($p),*>)? $type$(<$($p),*>)? {
            /// Bytes that name it anywhere in the family. They do not keep it alive.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                let $it = self;
                $raw.handle()
            }

            /// The family that it belongs to.
            #[must_use]
            pub fn family(&self) -> crate::arena::family::Family {
                let $it = self;
                $raw.family()
            }

            /// What keeps it alive without being a handle to use it.
            #[must_use]
            pub fn lease(&self) -> crate::arena::lease::Lease {
                let $it = self;
                $raw.lease()
            }
        }
    };
}
use primitive;
