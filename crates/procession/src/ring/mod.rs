//! The order of messages in shared memory.

pub(crate) mod batch;
pub(crate) mod fifo;
#[cfg(not(loom))]
pub(crate) mod inspect;
