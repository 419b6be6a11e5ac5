//! Queues between the threads of one process: the values themselves go through, nothing is encoded, nothing
//! lies in shared memory.
//!
//! The parts, each of which knows only those before it: `park` (one thread's sleep), `store` and `heap`
//! (orders), `line` (who waits), [`State`] (what each operation does; no lock, no sleep), [`wait()`] (the one
//! way to wait, over any [`Host`]). A host brings the lock: [`Queue`]'s is a mutex, the bindings'
//! is the interpreter's.

mod error;
mod heap;
mod line;
mod mutex;
mod park;
mod queue;
mod state;
mod store;
mod wait;

pub use error::{GetError, PutError, TooManyDone};
pub use heap::Heap;
pub use line::{Ticket, Wake, Who};
pub use park::{Parked, Parker};
pub use queue::{LifoQueue, Queue, Waiting};
pub use state::{Change, Refusal, Side, State};
pub use store::{Fifo, Lifo, Store, Unsure};
pub use wait::{Host, deliver, deliver_all, wait};

/// Whether this is the process's first thread, to which the kernel hands its signals if it can.
#[cfg(not(loom))]
#[must_use]
pub fn is_main_thread() -> bool {
    crate::sys::thread::is_main()
}

/// A number that no other thread of this process has now.
#[cfg(not(loom))]
#[must_use]
pub fn this_thread() -> u64 {
    crate::sys::thread::token()
}
