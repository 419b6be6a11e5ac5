//! Queues between processes, in shared memory, that never hang and never lose.
//!
//! Processes that descend from one another are a [`Family`] and share one *arena* of memory. A
//! [`Queue`] is a place in the arena; a handle to it is a few bytes that may travel to any process of
//! the family. `kill -9` any process at any instant: the others go on, and what was in the queues is
//! in the queues.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use procession::Queue;
//!
//! let jobs: Queue<(u32, String)> = Queue::bounded(100)?;
//! jobs.put((1, "sweep the floor".into()))?;
//! assert_eq!(jobs.get()?, (1, "sweep the floor".into()));
//! # Ok(()) }
//! ```
//!
//! The layers, each of which uses only those before it: `sys` (the operating system), `wait`, `lock`,
//! `ring` and `words` (algorithms over words, checked by loom), `arena` (memory and who owns it),
//! [`codec`], [`sync`], [`queue`], [`pipe`](mod@pipe), [`collections`], [`pool`] and [`named`].
#![cfg_attr(not(loom), doc(test(attr(deny(warnings), allow(unused_variables)))))]
#![cfg_attr(loom, allow(dead_code, unreachable_pub))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod lock;
mod ring;
mod sys;
mod wait;
mod words;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
mod channel;
#[cfg(not(loom))]
pub mod codec;
#[cfg(not(loom))]
pub mod collections;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
pub mod named;
pub mod pipe;
#[cfg(all(feature = "bytemuck", not(loom)))]
pub mod plain;
#[cfg(not(loom))]
pub mod pool;
#[cfg(not(loom))]
pub mod primitives;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod queue;
#[cfg(not(loom))]
pub mod sync;
#[cfg(all(feature = "async", not(loom)))]
mod task;
#[cfg(not(loom))]
mod travel;

#[cfg(loom)]
mod loom_tests;

#[cfg(not(loom))]
pub use arena::{
    block::Block,
    check::{ParticipantInfo, Stats},
    family::{Family, FamilyId},
    lease::Lease,
};
#[cfg(not(loom))]
pub use channel::{End, Received};
#[cfg(not(loom))]
pub use codec::Value;
#[cfg(not(loom))]
pub use collections::{
    LifoQueue, PriorityQueue, RawDict, RawLifoQueue, RawList, RawPriorityQueue, SharedDict,
    SharedList, SharedValue,
};
#[cfg(not(loom))]
pub use error::{
    ArenaError, FamilyError, GetError, HandleError, JoinError, PipeError, PutError, SpawnError,
    TooManyDone,
};
#[cfg(not(loom))]
pub use memory::RawMemory;
#[cfg(not(loom))]
pub use named::{Named, NamedError, NamedObject};
#[cfg(not(loom))]
pub use pipe::{Connection, RawConnection, TrySendError, pipe, simplex};
#[cfg(all(feature = "bytemuck", not(loom)))]
pub use plain::{Loan, PlainConnection, PlainQueue, PlainSlice, plain_pipe, plain_simplex};
#[cfg(not(loom))]
pub use pool::{Pool, PoolBuilder, PoolError, Task, TaskError};
#[cfg(not(loom))]
pub use primitives::{
    AbandonedGuard, Barrier, BarrierWaitResult, Condition, Event, Guard, Lock, LockError,
    LockGuard, Mutex, MutexGuard, Permit, RLock, RLockGuard, RwLock, RwLockReadGuard,
    RwLockWriteGuard, Semaphore, ValueError, Waitable,
};
#[cfg(not(loom))]
pub use process::{Fork, Process, ProcessBuilder, fork, init};
#[cfg(not(loom))]
pub use queue::{JoinableQueue, Queue, RawQueue, TryPutError};
#[cfg(not(loom))]
pub use sync::{
    Abandoned, Acquired, Arrival, BarrierRunner, BarrierWaiter, Broken, Ended, Holder, RawBarrier,
    RawCondition, RawEvent, RawLock, RawRwLock, RawSemaphore, ReleaseError, TooManyReleases,
    Waiter, WriteAttempt,
};
#[cfg(not(loom))]
pub use wait::Wait;

/// Crash points, in builds with the feature `fault` only: see [`fault::POINTS`].
#[cfg(all(feature = "fault", not(loom)))]
pub mod fault {
    pub use crate::sys::fault::{POINTS, arm, hits};
}

/// The README's example is a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
