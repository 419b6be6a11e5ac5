//! Locks, semaphores, events, conditions and barriers: what `procession.synchronize`'s classes are
//! made of. One class a file; all wait by [`crate::blocking`].
//!
//! An object is made empty, and becomes a new primitive (`_create`) or the one that a handle names
//! (`_attach`), once. The common path neither releases the interpreter nor allocates.

mod barrier;
mod condition;
mod event;
mod fast;
mod lock;
mod semaphore;
mod synchronized;

use procession::{Family, Lease};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::args::Arg;
use crate::codec;
use crate::error::Raise;

pub(crate) use barrier::{PyBarrierBase, broken};
pub(crate) use condition::{PyConditionBase, PyWaiter};
pub(crate) use event::PyEventBase;
pub(crate) use fast::install as install_fast_methods;
pub(crate) use lock::{PyLockBase, not_owner};
pub(crate) use semaphore::{PySemaphoreBase, permits, too_many};
pub(crate) use synchronized::{PyLockedAttribute, PySynchronizedBase};

fn family() -> PyResult<Family> {
    Family::current().map_err(Raise::raise)
}

/// A handle for Python. A message under way in this thread counts what it names.
fn handle<'py>(
    py: Python<'py>,
    bytes: &[u8],
    lease: impl FnOnce() -> Lease,
) -> Bound<'py, PyBytes> {
    codec::handles::note(|| [lease()]);
    PyBytes::new(py, bytes)
}
