//! The order of messages in shared memory.

pub(crate) mod fifo;
