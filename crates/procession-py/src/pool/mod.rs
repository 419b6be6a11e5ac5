//! What `procession.pool` is made of: dispatch, the worker's loop, and results.
//!
//! ```text
//! owner    job ─ claim ─► chunk ─ encode ─► task queue ─► worker: decode, call, encode
//!          job ◄─ store ─ decode ◄────── report queue ◄────── log, or message of its own
//! ```
//!
//! - [`owner`]: `PoolBase`, the face of it all; [`core`]: what is under way, and who waits;
//! - [`job`]: one call: its items, and how they are cut into chunks; [`gather`]: its results;
//!   [`result`]: `JobBase`, the face of that; [`tasks`]: which chunks are under way;
//! - [`dispatch`]: chunks → tasks; [`collect`]: reports → results; [`loss`]: workers that ended;
//! - [`worker`]: `WorkerBase`, the loop in the worker; [`call`]: the task as both see it.
//!
//! What must hold: no lock is held while Python code may run, which includes the dropping of an
//! object. Where two locks are needed, the core's comes before a job's.

mod call;
mod collect;
mod core;
mod dispatch;
mod gather;
mod job;
mod loss;
mod owner;
mod result;
mod tasks;
mod worker;

pub(crate) use owner::PyPoolBase;
pub(crate) use result::PyJobBase;
pub(crate) use worker::PyWorkerBase;
