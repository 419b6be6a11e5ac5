//! Processes, and what they share: queues, pipes, locks, pools, dicts and lists in shared memory, that
//! never hang and never lose. `kill -9` any process at any instant: the others go on, what it had put is
//! there, and whoever waited for it is told.
//!
//! ```
//! use procession::{Process, Queue};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     procession::init(); // first of all: in a child this runs the function and does not return
//!
//!     let jobs: Queue<(u32, String)> = Queue::bounded(100)?;
//!     let worker = Process::spawn(|jobs: Queue<(u32, String)>| jobs.get().unwrap().0 + 1, jobs.clone())?;
//!     jobs.put((41, "sweep the floor".into()))?;
//!     assert_eq!(worker.join()?, 42);
//!     Ok(())
//! }
//! ```
//!
//! # Which one
//!
//! | to | use | when a process dies |
//! |---|---|---|
//! | hand values on, in order | [`Queue`]; [`JoinableQueue`], to wait until they are done | what was put is there, what was taken is gone |
//! | the newest, or the most urgent first | [`LifoQueue`], [`PriorityQueue`] | the same |
//! | have each value worked on, whoever dies | [`DeliveryQueue`] | what it had taken and not done comes back to the front |
//! | talk with one other | [`pipe()`], [`Connection`] | the other end is told when all was read |
//! | protect a value | [`Mutex`], [`RwLock`] | the value is what was saved last; the next one is told |
//! | protect something else | [`Lock`], [`RLock`], [`Semaphore`] | the next one is told who died with it; a permit stays taken |
//! | wait for one another | [`Event`], [`Condition`], [`Barrier`] | a notification is passed on, a barrier breaks |
//! | have data in common | [`SharedDict`], [`SharedList`], [`SharedValue`] | each operation was done, or was not |
//! | run a function elsewhere | [`Process`] | [`join`](Process::join) says by which signal |
//! | run many | [`Pool`] | exactly the task under way fails, or is tried again; another worker comes |
//! | hand values on between threads | [`threads::Queue`] | nothing of it is shared |
//! | meet programs that one did not start | [`Family::open`] | the others go on; the last one out takes the name along |
//!
//! Values are whatever serde can write. They travel as MessagePack, so a Python process of the
//! family reads them as plain data, and the reverse ([`codec`]; [`Value`] if you do not know what comes). A
//! handle (a queue, a lock, a dict) is a value, too: put it into a message, a dict or the arguments of a process.
#![cfg_attr(
    feature = "bytemuck",
    doc = "Plain types can be written and read where they lie: [`PlainQueue`], [`Loan`]."
)]
#![cfg_attr(
    not(feature = "bytemuck"),
    doc = "With the feature `bytemuck`, plain types can be written and read where they lie."
)]
//!
//! # Rules that hold everywhere
//!
//! - `put` waits for ever, `try_put` not at all, `put_timeout` at most so long. So with all that can wait.
//! - An error gives back the value that could not be put, and the guard of a lock whose holder died.
//! - A handle is counted: what it names lives as long as anybody, or any message, has one. A process
//!   that is killed gives back what it had; nothing is left in the file system.
//! - After a fork both sides go on; the child is a member of the family from its birth.
//! - Memory that is used up is an error, and the queue or dict goes on.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `bytemuck` | messages of plain types in place: `PlainQueue`, `PlainConnection`, `Loan` |
//! | `async` | futures on any executor: `Queue::get_async` and its like |
//! | `tokio` | the same, by tokio's reactor inside a tokio runtime |
//! | `fault` | crash points, for this crate's own tests |
//!
//! # How it is made
//!
//! Processes that descend from one another are a [`Family`] and share one *arena*: a sparse file in memory
//! (`memfd_create`) that the kernel frees with its last process. A queue is a place in it.
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
#[cfg(all(feature = "redis", not(loom)))]
pub mod remote;
#[cfg(not(loom))]
pub mod sync;
#[cfg(all(feature = "async", not(loom)))]
mod task;
pub mod threads;
#[cfg(not(loom))]
mod travel;

#[cfg(loom)]
mod loom_tests;

#[cfg(not(loom))]
pub use arena::{
    block::Block,
    check::{ParticipantInfo, Stats},
    doorbell::{Awaited, Doorbell, Spot},
    family::{Family, FamilyId},
    lease::Lease,
};
#[cfg(not(loom))]
pub use channel::{End, Received};
#[cfg(not(loom))]
pub use codec::Value;
#[cfg(not(loom))]
pub use collections::{
    Delivery, DeliveryError, DeliveryQueue, LifoQueue, PriorityQueue, RawDeliveryQueue, RawDict,
    RawLifoQueue, RawList, RawPriorityQueue, SharedDict, SharedList, SharedValue,
};
#[cfg(not(loom))]
pub use error::{
    ArenaError, FamilyError, GetError, HandleError, JoinError, PipeError, PutError, SpawnError,
    TaskDoneError, TooManyDone,
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
