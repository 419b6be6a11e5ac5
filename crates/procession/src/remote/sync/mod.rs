//! Locks, semaphores, events, conditions and barriers on a server, for many machines.
//!
//! They mean what those at home ([`primitives`](crate::primitives)) mean, with these differences:
//!
//! - **A lock is a lease.** Whoever holds it holds it while his process renews its lease (the address's `lease`, 10 s). A process
//!   that is killed, stopped, or cut off for so long loses it, and the next one gets it and is told
//!   ([`LockError::Abandoned`]). One that comes back is told as well: [`RemoteError::LeaseLost`] at the release, at
//!   [`RawLock::check`], and at acquiring a reentrant lock once more.
//! - **A hold has a number**, the fencing token, greater than all before. A resource that remembers the greatest can
//!   refuse whoever comes late.
//! - Every operation may fail: see [`RemoteError`].
//! - The permits of a dead client's semaphore are not given back, its place at a condition is passed over, and a barrier at
//!   which it waits is broken, within its lease.

mod barrier;
mod condition;
mod error;
mod event;
mod family;
mod holds;
mod lock;
mod raw;
mod rlock;
mod semaphore;
mod who;

pub use barrier::{Barrier, BarrierError, BarrierWaitResult, Passage};
pub use condition::{Condition, Place, Waitable};
pub use error::{AbandonedGuard, Guard, LockError, ReleaseError};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use raw::{Acquired, RawLock, State, leave_locks};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{Permit, Semaphore};
pub use who::{Abandoned, Holder, set_name};

use super::RemoteError;
use super::object::{Object, Params};
use super::reply::Reply;

/// What everything over an `object` has.
macro_rules! of_object {
    () => {
        /// Its key on the server.
        #[must_use]
        pub fn key(&self) -> &str {
            self.object.key()
        }

        /// The same, for a handle that is about to travel: from now on others may have it.
        #[must_use]
        pub fn key_to_send(&self) -> &str {
            self.object.key_to_send()
        }

        /// Its name, if it has one.
        #[must_use]
        pub fn name(&self) -> Option<String> {
            self.object.name()
        }

        /// The server that it is on.
        #[must_use]
        pub fn server(&self) -> &$crate::remote::Server {
            self.object.server()
        }
    };
}
use of_object;

/// That what somebody had of an object is lost.
fn lost(object: &Object, kind: &str) -> RemoteError {
    let what = match object.name() {
        Some(name) => format!("the {kind} {name:?}"),
        None => format!("the {kind} {}", object.key()),
    };
    RemoteError::LeaseLost { what, lease: object.server().address().lease() }
}

/// Tells the holds of one thread at a time, and places in lines, apart.
fn ticket() -> u64 {
    use crate::sys::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A number among an object's parameters.
fn number_in(params: &Params, name: &str) -> Result<u32, RemoteError> {
    let text = params.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| RemoteError::Corrupt(format!("{name} is no number")))
}

/// A number that is small and not negative.
fn count(reply: &Reply, i: usize) -> Result<u32, RemoteError> {
    let number = u32::try_from(reply.int(i)?);
    number.map_err(|_| RemoteError::Corrupt(format!("part {i} of an answer is no such number")))
}

/// An error if what has that name was made otherwise than it is wanted.
fn differs(name: &str, what: &'static str, found: u32, wanted: u32) -> Result<(), RemoteError> {
    if found == wanted {
        return Ok(());
    }
    let (name, found, wanted) = (name.to_string(), found.to_string(), wanted.to_string());
    Err(RemoteError::Differs { name, what, found, wanted })
}
