//! The order of messages in shared memory.

pub(crate) mod fifo;
#[cfg(not(loom))]
pub(crate) mod inspect;
