//! Locks, semaphores, events, conditions and barriers between processes.
//!
//! Each is a place in the family's arena, named by a handle of a few bytes. A value of one of these
//! types is a counted handle: the primitive lives as long as some process, or some message under way,
//! has one. None costs a descriptor.
//!
//! # Blocking
//! What is called `try_…`, and all else that is not called `wait…`, never waits for another process.
//! A `wait…` returns when there may be something to gain, when a signal comes, at its deadline, or
//! after a quarter of a second at most ([`Wait::Again`](crate::Wait)); the caller then tries again:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use procession::{Family, RawLock};
//! let lock = RawLock::create(Family::current()?, false)?;
//! while lock.try_acquire()?.is_none() {
//!     let _ = lock.wait(None);
//! }
//! lock.release()?;
//! # Ok(()) }
//! ```
//!
//! # When a process dies
//! The reading of a dead reader ends. A lock that it held goes to the next one, who is told ([`Acquired::Abandoned`]). A semaphore's
//! permits are not given back: nobody can know what they meant. A condition passes the dead one's
//! notification on, a barrier at which it waited is broken, an event does not mind. A wake-up that
//! died with a process comes a quarter of a second later. A stopped process is alive.

mod barrier;
mod condition;
mod event;
mod lock;
mod rwlock;
mod semaphore;

pub use crate::arena::estate::{Abandoned, Ended};
pub use crate::words::barrier::Broken;
pub use barrier::{Arrival, BarrierRunner, BarrierWaiter, RawBarrier};
pub use condition::{RawCondition, Waiter};
pub use event::RawEvent;
pub use lock::{Acquired, Holder, RawLock, ReleaseError};
pub use rwlock::{RawRwLock, WriteAttempt};
pub use semaphore::{RawSemaphore, TooManyReleases};

use crate::arena::layout::ShmSafe;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::{ArenaError, HandleError};

/// A primitive's slot, which outlives the lease: objects stay where they are.
fn slot_of<T: ShmSafe>(lease: &Lease) -> Result<&'static T, ArenaError> {
    lease.inner.overlay(lease.id.index)
}

/// The lease of a handle, if it is of this kind.
fn open(bytes: &[u8], kind: Kind) -> Result<Lease, HandleError> {
    let lease = crate::handle::open(bytes)?;
    if lease.slot.is(kind) { Ok(lease) } else { Err(HandleError::Malformed) }
}

/// What every primitive has.
macro_rules! common {
    ($type:ident, $kind:expr, $make:expr) => {
        crate::travel::travels!($type, "a primitive", |it| it.lease());

        impl $type {
            /// Opens the one that a handle names, joining its family if need be.
            ///
            /// # Errors
            /// [`HandleError`](crate::HandleError) if the bytes are no handle of one, it is gone, or
            /// no member of its family can be reached.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("assert!(procession::", stringify!($type), "::from_handle(b\"nonsense\").is_err());")]
            /// ```
            pub fn from_handle(bytes: &[u8]) -> Result<$type, crate::error::HandleError> {
                Ok($type::over(crate::sync::open(bytes, $kind)?)?)
            }

            /// Bytes that name it anywhere in the family. They do not keep it alive.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", $make, ";")]
            #[doc = concat!("let same = ", stringify!($type), "::from_handle(&one.handle())?;")]
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                crate::handle::encode(&self.lease)
            }

            /// What keeps it alive without being a handle to use it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", $make, ";")]
            /// let message = Family::current()?.alloc(0, &[one.lease()])?; // carries a handle of it
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn lease(&self) -> crate::arena::lease::Lease {
                self.lease.clone()
            }

            /// The family that it belongs to.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", $make, ";")]
            /// assert_eq!(one.family().id(), Family::current()?.id());
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn family(&self) -> crate::arena::family::Family {
                self.lease.family()
            }
        }
    };
}
use common;
