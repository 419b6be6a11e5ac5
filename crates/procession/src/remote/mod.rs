//! The same names beyond one machine, on a Valkey or Redis server.
//!
//! One implementation for Rust and Python. What stands on the server is described in `docs/remote-keys.md`; here
//! is who does what:
//!
//! | file | what |
//! |---|---|
//! | `address` | the URL |
//! | `server`, `client`, `life` | one client for each process and server; what the server knows it by |
//! | `pulse`, `waiters` | its thread: renews the lease, hears wake-ups |
//! | `script`, `call`, `reply` | one atomic step on the server, done exactly once |
//! | `bounds` | what a server takes at once |
//! | `object` | keys under one name; waiting |
//! | `collections` | dicts, lists and single values |
//! | `probe` | single commands, for the doctor |
//! | `family` | objects that have names |
//! | `queue/` | queues |
//! | `sync/` | locks and their kin |
//! | `pool` | pools whose workers are anywhere |
//! | `lua/` | the steps themselves |

mod address;
mod bounds;
mod call;
mod client;
mod collections;
mod error;
mod family;
mod life;
mod object;
mod patience;
pub mod pool;
mod probe;
mod pulse;
pub mod queue;
mod reply;
mod resp;
mod script;
mod server;
mod stats;
mod stop;
mod sync;
#[cfg(test)]
mod tests;
mod waiters;

pub use address::Address;
pub use collections::{
    Added, Candidates, CollectionError, Entries, Exchanged, RemoteDict, RemoteList, RemoteValue,
    Seen, Settled, SharedDict, SharedList, SharedValue, Slice, Values, key_in_field,
};
pub use error::RemoteError;
pub use family::Family;
pub use patience::{Patience, set_interrupt};
pub use probe::{Answer, Probe, ProbeError};
pub use queue::{
    Delivery, DeliveryQueue, GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue,
};
pub use server::{Server, leave_all};
pub use stats::{ClientStats, Stats};
pub use stop::Stop;
pub use sync::{
    Abandoned, AbandonedGuard, Acquired, Barrier, BarrierError, BarrierWaitResult, Condition,
    Event, Guard, Holder, Lock, LockError, LockGuard, Passage, Permit, Place, RLock, RLockGuard,
    RawLock, ReleaseError, Semaphore, State, Waitable, leave_locks, set_name,
};
