//! The primitives' algorithms over words, wherever these lie: checked by loom.

pub(crate) mod barrier;
pub(crate) mod condition;
pub(crate) mod entries;
pub(crate) mod event;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod permits;
pub(crate) mod rwlock;
