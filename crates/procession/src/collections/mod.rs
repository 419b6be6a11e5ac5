//! Dicts and lists that processes share, at the speed of memory.
//!
//! Each is an object of the arena, named by a handle of a few bytes, and lives as long as some process,
//! some message under way or some other collection has a handle. [`RawDict`] and [`RawList`] store
//! bytes; [`SharedDict`], [`SharedList`] and [`SharedValue`] store what serde can write.
//!
//! # Steps
//! Every operation is one atomic step under the object's own lock, under which bytes are copied and
//! nothing else is done. A process that is killed in the middle of one leaves the object as before it,
//! or as after it; who comes next goes on at once, or after some milliseconds if the dead one had the
//! lock. Where there is no memory for a step it fails, and has changed nothing.
//!
//! # Memory
//! What is removed or replaced goes back to the arena. Nothing large is ever rebuilt at once: each
//! operation does a little of it. The smallest dict that is not empty has 24 KiB, the smallest list 12.
//! Collections that have handles of one another in a circle keep one another alive until the family
//! ends.
//!
//! # Waiting
//! A step of one entry takes less than a microsecond, one of many as long as they take; others wait for
//! it. A long value is copied in and out while others work. Who is stopped in the middle of a step
//! (SIGSTOP, a debugger) is waited for, who is killed is not. No operation may be called by a handler of
//! a signal that has interrupted another one.

mod claim;
mod delivery;
mod dict;
mod heap;
mod lifo;
mod line;
mod list;
mod priority;
mod stock;
mod typed;

pub use claim::Claim;
pub use delivery::{InFlight, NotInFlight, RawDeliveryQueue, Ticket};
pub use dict::{AddError, Batch, FindError, Glimpse, Item, Key, OPAQUE, RawDict};
pub use heap::Datum;
pub use lifo::RawLifoQueue;
pub use line::OfferError;
pub use list::{Part, RawList, Values};
pub use priority::{Place, RawPriorityQueue};
pub use stock::{Copied, Outdated};
pub use typed::{
    CollectionError, Delivery, DeliveryError, DeliveryQueue, LifoQueue, NewValueError,
    PriorityQueue, SharedDict, SharedList, SharedValue,
};

/// The hash of a key's bytes, the same in every process and in every version of the layout; never [`OPAQUE`].
///
/// # Examples
/// ```
/// assert_ne!(procession::collections::hash(b"a"), procession::collections::hash(b"b"));
/// ```
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0xd6e8_feb8_6659_fd93;
    let mut h = bytes.len() as u64 ^ ODD;
    for part in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        h = (h ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
        h ^= h >> 32;
    }
    match h.wrapping_mul(ODD) ^ h >> 29 {
        OPAQUE => !OPAQUE,
        h => h,
    }
}
