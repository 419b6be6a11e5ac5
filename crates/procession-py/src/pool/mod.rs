//! What `procession.pool` is made of: dispatch, the worker's loop, and results.
//!
//! ```text
//! owner    job ─ claim ─► chunk ─ encode ─► task queue ─► worker: decode, call, encode
//!          job ◄─ store ─ decode ◄────── report queue ◄────── log, or message of its own
//! ```
//!
//! - [`owner`]: `PoolBase`, the face of it all; [`core`]: what is under way, and who waits;
//! - [`job`]: one call: its items, and how they are cut into chunks; [`gather`]: its results;
//!   [`result`]: `JobBase`, the face of that; [`tasks`]: which chunks are under way;
//! - [`dispatch`]: chunks → tasks; [`collect`]: reports → results; [`loss`]: workers that ended;
//! - [`worker`]: `WorkerBase`, the loop in the worker; [`call`]: the task as both see it.
//!
//! What must hold: no lock is held while Python code may run, which includes the dropping of an
//! object. Where two locks are needed, the core's comes before a job's.

mod call;
mod collect;
mod core;
mod dispatch;
mod gather;
mod job;
mod loss;
mod owner;
mod result;
mod tasks;
mod worker;

pub(crate) use owner::PyPoolBase;
pub(crate) use result::{PyCall, PyJobBase};
pub(crate) use worker::PyWorkerBase;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// Whether an exception that came up in the owner, as something was pickled or unpickled, is Ctrl-C:
/// then it is for the call that the main thread is in, and not the item's.
fn is_interrupt(py: Python<'_>, error: &PyErr) -> bool {
    let in_main_thread = || -> PyResult<bool> {
        let threading = py.import("threading")?;
        Ok(threading.call_method0("current_thread")?.is(&threading.call_method0("main_thread")?))
    };
    error.is_instance_of::<PyKeyboardInterrupt>(py) && in_main_thread().unwrap_or(false)
}
