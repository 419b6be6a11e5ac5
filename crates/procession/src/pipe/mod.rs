//! Connections: the two ends of a pipe between processes.
//!
//! [`Connection`] carries values; [`RawConnection`] beneath it carries bytes and blocks, and is what
//! bindings build on. [`pipe`] makes two ends that both send and receive, [`simplex`] one that
//! receives and one that sends.
//!
//! Data goes through rings in shared memory, one for each direction. A pair of sockets says who
//! lives, and wakes who sleeps: so an end can be waited for with `poll`, and travels to other
//! processes like any descriptor, with [`RawConnection::handle`] beside it. A program that neither
//! waits long nor asks for the descriptor makes no system call at all.
//!
//! # Blocking
//! `send` waits while 16,384 messages or 2 MiB are under way in its direction; a message that is
//! alone may be of any size. `recv` waits for a message. Both spin for some microseconds if that has
//! paid, then sleep.
//!
//! # When a process dies
//! An end is closed when the last copy of its descriptor is, by a `drop` or by the end of the process
//! however it comes. Then `recv` at the other end takes what was sent before, and reports the end of
//! it; `send` reports that nobody will read. A message whose `send` returned is whole; one that was
//! being sent when its process was killed is either whole or not there.

pub(crate) mod bell;

#[cfg(all(feature = "async", not(loom)))]
mod asynchronous;
#[cfg(not(loom))]
mod carrier;
#[cfg(not(loom))]
mod raw;
#[cfg(not(loom))]
mod travel;
#[cfg(not(loom))]
mod typed;
#[cfg(not(loom))]
mod waiting;

#[cfg(not(loom))]
pub use raw::{RawConnection, TrySendError};
#[cfg(not(loom))]
pub use typed::{Connection, pipe, simplex};
