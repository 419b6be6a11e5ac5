//! Queues between processes.
//!
//! [`Queue`] carries values; [`RawQueue`] beneath it carries bytes and blocks, and is what bindings
//! build on.
//!
//! # Blocking
//! `try_` variants never block; `_timeout` and `_deadline` variants block no longer than that; the
//! others until they can go on. A blocked caller spins for some microseconds if that has paid, then
//! sleeps.
//!
//! # Fairness and order
//! First in, first out, over all producers. Whoever is awake takes next: there is no fairness among
//! consumers, nor among producers of a full queue.
//!
//! # When a process dies
//! A message that a `put` returned for is in the queue, whatever happens to its sender. A message
//! that a `get` was taking when its process was killed is either still in the queue or was taken;
//! never torn, lost in between, or delivered twice. Who waits goes on waiting, and is not disturbed.

#[cfg(all(feature = "async", not(loom)))]
mod asynchronous;
mod batch;
mod end;
mod joinable;
mod many;
mod raw;
mod typed;
mod waiting;

pub use crate::channel::{IntoIter, Iter, Source, TryIter};
pub use joinable::JoinableQueue;
pub use raw::{RawQueue, TryPutError};
pub use typed::Queue;
