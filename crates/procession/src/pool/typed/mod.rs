//! Pools for Rust programs: what the raw ones are made for.
//!
//! ```text
//! owner    flow ─ chunk ─ encode ─► task queue ─► worker: decode, call, encode
//!          results ◄─ decode ◄───── report queue ◄─── log, or a message of its own
//! ```
//!
//! - [`pool`], [`options`], [`calls`], [`task`], [`stream`], [`scope`], [`stats`]: the face of it;
//! - [`core`]: what is under way, and who waits; [`crew`]: the workers' processes; [`seat`]: one of them;
//! - [`job`]: one call; [`items`]: its items, of whichever type; [`results`]: its results; [`tasks`]:
//!   which chunks are under way;
//! - [`dispatch`]: chunks → tasks; [`collect`]: reports → results; [`loss`]: workers that ended;
//! - [`work`]: the loop in the worker; [`wire`], [`code`]: a task as both see it.

mod calls;
mod code;
mod collect;
mod core;
mod crew;
mod dispatch;
mod error;
mod items;
mod job;
mod loss;
mod options;
mod pool;
mod results;
mod scope;
mod seat;
mod stats;
mod stream;
mod task;
mod tasks;
mod wire;
mod work;

pub use calls::Calls;
pub use error::{PoolError, TaskError, TaskId};
pub use options::{PoolBuilder, TaskOptions};
pub use pool::Pool;
pub use scope::Scope;
pub use stats::{CallStats, PoolStats, WorkerStats};
pub use stream::{Ordered, Unordered};
pub use task::Task;
