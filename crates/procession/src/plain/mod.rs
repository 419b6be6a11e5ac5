//! Messages of plain types, as they lie in memory: nothing is encoded, and large ones are not copied.
//!
//! A [`PlainQueue`] and a [`PlainConnection`] carry values of types for which any bytes are a value and
//! every byte is part of it: [`bytemuck::Pod`], which `derive` gives to structs of numbers. With the
//! feature `bytemuck`.
//!
//! | | one value | several | in place |
//! |---|---|---|---|
//! | send | [`put`](PlainQueue::put) | [`put_slice`](PlainQueue::put_slice) | [`loan`](PlainQueue::loan), write, [`put_loan`](PlainQueue::put_loan) |
//! | receive | [`get`](PlainQueue::get) | [`get_slice`](PlainQueue::get_slice) | [`get_slice`](PlainQueue::get_slice) |
//!
//! Each sending goes with each receiving: a message is a number of bytes. A [`Loan`] is memory of the
//! arena that is lent to the sender; sent, it is the receiver's, as a [`PlainSlice`], without a copy on
//! the way. Messages of up to 1 KiB are copied through the ring, which costs less than a block.
//!
//! A message whose length is not that of what it is taken for is an error, [`GetError::Decode`], that
//! says both lengths. What the bytes mean is an agreement between the processes, as is that they run on
//! one machine: numbers travel in its byte order. A Python process of the family receives `bytes`; what
//! it puts as `bytes` is received here as well.
//!
//! # When a process dies
//! As [queues](crate::queue) and [connections](mod@crate::pipe). A loan that was not sent, and a message
//! that was received, go back to the family with their process.
//!
//! # fork
//! A received message is private memory of parent and child, each its own. A loan stays its process's:
//! a child that was forked meanwhile must not use it, and panics if it does.
//!
//! [`GetError::Decode`]: crate::GetError::Decode

#[cfg(feature = "async")]
mod asynchronous;
mod connection;
mod loan;
mod message;
mod queue;
mod receiving;

pub use connection::{PlainConnection, plain_pipe, plain_simplex};
pub use loan::{Loan, PlainSlice};
pub use queue::PlainQueue;
