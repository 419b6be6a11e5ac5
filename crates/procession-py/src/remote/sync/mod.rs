//! Locks and their kin on a server: what the classes of `procession.remote.synchronize` are made of. One class a file.
//!
//! An object is made empty, and becomes a new primitive (`_create`), the one of a name (`_find`) or the one that a handle
//! names (`_attach`), once.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;

use procession::remote::{Barrier, Condition, Event, RawLock, Semaphore};

pub(crate) use barrier::PyRemoteBarrierBase;
pub(crate) use condition::{PyRemoteConditionBase, PyRemoteWaiter};
pub(crate) use event::PyRemoteEventBase;
pub(crate) use lock::PyRemoteLockBase;
pub(crate) use semaphore::PyRemoteSemaphoreBase;

use super::there::on_server;
use crate::args::Arg;

on_server! {
    RawLock, Semaphore, Event, Condition, Barrier:
    "__init__() was not called", "the object was made already"
}
