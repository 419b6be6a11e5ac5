//! Layer 2: the order of messages in shared memory.

pub(crate) mod fifo;
