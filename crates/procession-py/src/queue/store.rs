//! What a queue's messages lie in: one of the core's queues, behind one face.
//!
//! [`Fifo`](Store::Fifo) is a ring and carries messages; the others are stocks of blocks and store
//! values, see [`super::stocked`]. What all have is here; put and get tell them apart.

use std::num::NonZeroU64;
use std::os::fd::RawFd;
use std::time::Instant;

use procession::collections::{Copied, Ticket};
use procession::{
    ArenaError, Awaited, End, Family, HandleError, Lease, RawDeliveryQueue, RawLifoQueue,
    RawPriorityQueue, RawQueue, Received, Spot, Wait,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use super::delivery;
use crate::blocking::{self, Ends};
use crate::error::Raise;

/// In which order messages come out. A queue's handle does not say it: its place in the arena does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Fifo,
    Lifo,
    Priority,
    /// As they came, and again if who took one dies.
    Delivery,
}

impl Order {
    /// All of them, those first that are opened most.
    const ALL: [Self; 4] = [Self::Fifo, Self::Lifo, Self::Priority, Self::Delivery];

    /// By the name that `_create` is given.
    pub(crate) fn named(name: &str) -> PyResult<Self> {
        Ok(match name {
            "fifo" => Self::Fifo,
            "lifo" => Self::Lifo,
            "priority" => Self::Priority,
            "delivery" => Self::Delivery,
            _ => return Err(PyValueError::new_err(format!("no order of a queue: {name}"))),
        })
    }
}

/// The core's queue behind a Python object.
#[derive(Debug)]
pub(crate) enum Store {
    Fifo(RawQueue),
    Lifo(RawLifoQueue),
    Priority(RawPriorityQueue),
    Delivery(RawDeliveryQueue),
}

/// The same call of whichever it is.
macro_rules! each {
    ($store:expr, $queue:ident => $call:expr) => {
        match $store {
            Store::Fifo($queue) => $call,
            Store::Lifo($queue) => $call,
            Store::Priority($queue) => $call,
            Store::Delivery($queue) => $call,
        }
    };
}

impl Store {
    /// A new queue.
    pub(crate) fn create(
        family: Family,
        order: Order,
        capacity: Option<NonZeroU64>,
        max_bytes: Option<NonZeroU64>,
    ) -> Result<Self, ArenaError> {
        Ok(match order {
            Order::Fifo => Self::Fifo(RawQueue::create_limited(family, capacity, max_bytes)?),
            // Heedless: an operation waits for others' claims without the interpreter, in `settle`.
            Order::Lifo => {
                let queue = RawLifoQueue::create_limited(family, capacity, max_bytes)?;
                Self::Lifo(queue.heedless())
            }
            Order::Priority => {
                let queue = RawPriorityQueue::create_limited(family, capacity, max_bytes)?;
                Self::Priority(queue.heedless())
            }
            Order::Delivery => {
                Self::Delivery(RawDeliveryQueue::create_limited(family, capacity, max_bytes)?)
            }
        })
    }

    /// The queue that a handle names, whatever its order.
    pub(crate) fn from_handle(handle: &[u8]) -> Result<Self, HandleError> {
        let mut found = Err(HandleError::Malformed);
        for order in Order::ALL {
            found = match order {
                Order::Fifo => RawQueue::from_handle(handle).map(Self::Fifo),
                Order::Lifo => RawLifoQueue::from_handle(handle).map(|q| Self::Lifo(q.heedless())),
                Order::Priority => {
                    RawPriorityQueue::from_handle(handle).map(|q| Self::Priority(q.heedless()))
                }
                Order::Delivery => RawDeliveryQueue::from_handle(handle).map(Self::Delivery),
            };
            if !matches!(found, Err(HandleError::Malformed)) {
                break; // or it is a queue of another order
            }
        }
        found
    }

    pub(crate) fn handle(&self) -> Vec<u8> {
        each!(self, queue => queue.handle())
    }

    pub(crate) fn lease(&self) -> Lease {
        each!(self, queue => queue.lease())
    }

    pub(super) fn len(&self) -> u64 {
        each!(self, queue => queue.len())
    }

    /// The same, with what the dead had.
    pub(super) fn len_now(&self, py: Python<'_>) -> u64 {
        if let Self::Delivery(queue) = self {
            // An error is told to who puts or gets.
            let _ = delivery::recover(py, queue);
        }
        self.len()
    }

    pub(super) fn is_full(&self) -> bool {
        each!(self, queue => queue.is_full())
    }

    pub(crate) fn capacity(&self) -> Option<NonZeroU64> {
        each!(self, queue => queue.capacity())
    }

    /// How many bytes it may hold.
    pub(super) fn max_bytes(&self) -> Option<NonZeroU64> {
        each!(self, queue => queue.max_bytes())
    }

    pub(super) fn close(&self) {
        each!(self, queue => queue.close());
    }

    /// Closes it, and drops what is in it, which nobody waits for then.
    pub(super) fn shut_down_now(&self) -> Result<(), ArenaError> {
        match self {
            Self::Fifo(queue) => queue.shut_down_now(),
            Self::Lifo(queue) => queue.shut_down_now().map(drop),
            Self::Priority(queue) => queue.shut_down_now().map(drop),
            Self::Delivery(queue) => queue.shut_down_now(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        each!(self, queue => queue.is_closed())
    }

    /// Whether it was closed, and no put is under way any more; waits for one that is.
    pub(super) fn has_ended(&self) -> Result<bool, ArenaError> {
        match self {
            Self::Fifo(queue) => queue.has_ended(),
            Self::Lifo(queue) => queue.has_ended(),
            Self::Priority(queue) => queue.has_ended(),
            // Who puts and who gets take the same lock.
            Self::Delivery(queue) => Ok(queue.is_closed()),
        }
    }

    pub(super) fn family(&self) -> Family {
        each!(self, queue => queue.family())
    }

    /// Where event loops wait.
    pub(super) fn spot(&self, what: Awaited) -> Spot<'_> {
        each!(self, queue => queue.spot(what))
    }

    pub(super) fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        each!(self, queue => queue.wait_for_item(deadline))
    }

    /// Waits for room for a stored value of so many bytes.
    pub(super) fn wait_for_room_of(&self, len: u64, deadline: Option<Instant>) -> Wait {
        match self {
            Self::Fifo(queue) => queue.wait_for_room(deadline),
            Self::Lifo(queue) => queue.wait_for_room_of(len, deadline),
            Self::Priority(queue) => queue.wait_for_room_of(len, deadline),
            Self::Delivery(queue) => queue.wait_for_room_of(len, deadline),
        }
    }

    pub(super) fn wait_done(&self, deadline: Option<Instant>) -> Wait {
        each!(self, queue => queue.wait_done(deadline))
    }

    pub(super) fn unfinished(&self) -> u64 {
        each!(self, queue => queue.unfinished())
    }

    /// Reports one message as done.
    pub(super) fn done(&self, py: Python<'_>) -> PyResult<()> {
        if !matches!(self, Self::Fifo(_)) {
            blocking::settle(py, self, End::Head)?;
        }
        match self {
            Self::Fifo(queue) => queue.done(), // without the lock
            Self::Lifo(queue) => queue.done().map_err(Raise::raise)?,
            Self::Priority(queue) => queue.done().map_err(Raise::raise)?,
            Self::Delivery(queue) => return delivery::task_done(py, queue),
        }
        .map_err(Raise::raise)
    }

    /// A descriptor that is readable while there is something to get.
    pub(super) fn bell(&self) -> PyResult<RawFd> {
        match self {
            Self::Fifo(queue) => queue.bell().map_err(Raise::raise),
            Self::Lifo(_) | Self::Priority(_) | Self::Delivery(_) => Err(PyOSError::new_err(
                "only a queue that is first in first out, without redeliver=True, has a descriptor to wait for: \
                     call get(timeout=seconds), in a thread if need be, or await aget()",
            )),
        }
    }

    pub(super) fn close_bell(&self) {
        if let Self::Fifo(queue) = self {
            queue.close_bell();
        }
    }
}

impl Ends for Store {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        each!(self, queue => Ends::is_stuck(queue, end))
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        each!(self, queue => Ends::settle(queue, end))
    }
}

/// What was taken out of a store, its bytes apart.
pub(super) enum Taken {
    /// A message of a ring.
    Message(Received),
    /// A stored value: its kind, and what keeps alive what its handles name.
    Stored(u8, Vec<Lease>),
    /// The same, with what is to be said of it.
    InFlight(u8, Vec<Lease>, Ticket),
}

impl Store {
    /// Takes the next one, if there is one; its bytes are appended to `bytes`.
    #[inline]
    pub(super) fn try_get(&self, bytes: &mut Vec<u8>) -> Result<Option<Taken>, ArenaError> {
        match self {
            Self::Fifo(queue) => Ok(queue.try_get(bytes)?.map(Taken::Message)),
            Self::Lifo(queue) => Ok(queue.try_get(bytes)?.map(stored)),
            Self::Priority(queue) => Ok(queue.try_get(bytes)?.map(stored)),
            Self::Delivery(queue) => Ok(queue
                .try_take(bytes)?
                .map(|(copied, ticket)| Taken::InFlight(copied.kind, copied.holds, ticket))),
        }
    }
}

impl Store {
    /// Copies what would be taken next, if there is something.
    pub(super) fn try_peek(&self, bytes: &mut Vec<u8>) -> Result<Option<Taken>, ArenaError> {
        let found = match self {
            Self::Fifo(queue) => return Ok(queue.peek(bytes)?.map(Taken::Message)),
            Self::Lifo(queue) => queue.peek(bytes)?,
            Self::Priority(queue) => queue.peek(bytes)?,
            Self::Delivery(queue) => queue.peek(bytes)?,
        };
        Ok(found.map(stored))
    }
}

fn stored(copied: Copied) -> Taken {
    Taken::Stored(copied.kind, copied.holds)
}
