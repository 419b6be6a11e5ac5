//! Queues on a server.
//!
//! A [`RemoteQueue`] carries bytes; [`Queue`], [`JoinableQueue`], [`LifoQueue`], [`PriorityQueue`] and
//! [`DeliveryQueue`] carry values. They do what those of one machine do (see [`crate::queue`] and
//! [`crate::collections`]), and what can't be the same is said here:
//!
//! - Every call goes to the server, so each may fail with a [`RemoteError`], `len` as well as `put`.
//! - A put or get is one step of the server, done once, also if the connection breaks in it and the call is sent
//!   again. Only if this client was cut off for longer than its lease, in the midst of a call, nobody knows whether
//!   that was done: [`RemoteError::OutcomeUnknown`].
//! - A message that was taken for a caller who was told an error meanwhile (Ctrl-C, a time-out) goes back to where it
//!   stood, as soon as the server is reached again. If that takes longer than this client's lease it is lost with it, as
//!   is what a killed process had been given: what must not be lost goes through a [`DeliveryQueue`].
//! - A [`DeliveryQueue`]'s messages come back when the lease of the client that had them is over. A client that is
//!   only cut off loses them as well, and is told so: [`RemoteError::LeaseLost`].
//!
//! On the server a message is one byte, its kind, and a body, which is what lies in the memory of one machine, too.
//!
//! | kind | `items` (part 2 of the object) |
//! |---|---|
//! | `queue`, `joinable_queue`, `lifo_queue` | a list of messages |
//! | `priority_queue` | a sorted set: order key, number of arrival, message; all of score 0, so ordered by their bytes |
//! | `delivery_queue` | a sorted set of numbers of arrival; the messages are in a hash, `bodies` |
//!
//! The object's own hash has `bytes` (of what waits), `todo` (what is not done), `closed` (1; 2: immediately), `seq`.

mod access;
mod delivery;
mod error;
mod iter;
mod limits;
mod message;
mod raw;
mod scripts;
mod typed;

pub use delivery::{InFlight, Ticket};
pub use error::{GetError, PutError};
pub use iter::{IntoIter, Iter, TryIter};
pub use limits::Limits;
pub use message::{NewMessage, Taken};
pub use raw::RemoteQueue;
pub use scripts::QueueKind;
pub use typed::{Delivery, DeliveryQueue, JoinableQueue, LifoQueue, PriorityQueue, Queue};

#[cfg(doc)]
use super::RemoteError;
