//! The Python face of Procession: the extension module `procession._core`.
//!
//! A method converts its arguments, releases the interpreter where it may sleep, calls the core
//! crate and converts the result back; there is no policy here. One class a file:
//!
//! - [`queue`]: `QueueBase`, the base of `procession.queues`' classes; [`connection`]:
//!   `ConnectionBase`, the base of `procession.connection`'s; [`sync`]: the bases of
//!   `procession.synchronize`'s and `sharedctypes`'; [`lease`]: what keeps them alive;
//! - [`collections`]: `DictBase` and `ListBase`, the bases of the proxies of `procession.managers`;
//!   [`scope`]: what the objects of one manager belong to;
//! - [`threads`]: `ThreadQueue` and its like, the bases of `procession.queue`'s classes;
//! - [`pool`]: `PoolBase`, `WorkerBase` and `JobBase`, what `procession.pool` is made of;
//! - [`probe`]: `Probe`, single commands for the doctor of a server;
//! - [`remote`]: the bases of `procession.remote`'s classes, whose objects are on a server;
//! - [`family`]: the functions about the process's family and its memory; [`named`]: `FamilyBase`, the base
//!   of `procession.Family`;
//! - [`codec`]: Python objects ⇄ messages; [`memory`]: memory that is shared with Python objects;
//! - [`args`]: arguments; [`blocking`]: the one way to wait; [`error`]: the one table from core errors to exceptions.
//!
//! `unsafe` is at home in `codec`, `memory`, `sync::fast` and three files of `threads`, and nowhere else.

#![deny(unsafe_code)]

mod args;
mod blocking;
mod codec;
mod collections;
mod connection;
mod doorbell;
mod error;
mod family;
mod lease;
mod memory;
mod named;
mod pool;
mod probe;
mod queue;
mod remote;
mod scope;
mod sync;
mod threads;

/// The native part of Procession. Use `procession`; this module's names are its own business.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::codec::python::{decode, encode};
    #[pymodule_export]
    use crate::collections::{PyDictBase, PyDictIterator, PyListBase, PyListIterator};
    #[pymodule_export]
    use crate::connection::PyConnectionBase;
    #[pymodule_export]
    use crate::doorbell::PyDoorbell;
    #[pymodule_export]
    use crate::error::{CorruptArenaError, LayoutError, write_unraisable};
    #[pymodule_export]
    use crate::family::{
        attach_family, check, depart, family_fd, family_id, leave_cleanly, memory_limit,
        record_exit, set_memory_limit, set_name, stats,
    };
    #[pymodule_export]
    use crate::lease::PyLease;
    #[pymodule_export]
    use crate::memory::{PyMemoryBase, PySharedBlock};
    #[pymodule_export]
    use crate::named::PyFamilyBase;
    #[pymodule_export]
    use crate::pool::{PyCall, PyJobBase, PyPoolBase, PyWorkerBase};
    #[pymodule_export]
    use crate::probe::PyProbe;
    #[pymodule_export]
    use crate::queue::{PyQueueBase, PyTicket};
    #[pymodule_export]
    use crate::remote::{
        LeaseLost, OutcomeUnknownError, PyRemoteBarrierBase, PyRemoteConditionBase,
        PyRemoteDictBase, PyRemoteEventBase, PyRemoteListBase, PyRemoteLockBase, PyRemoteMessage,
        PyRemotePoolOwner, PyRemotePoolWorker, PyRemoteQueueBase, PyRemoteSemaphoreBase,
        PyRemoteServer, PyRemoteStop, PyRemoteTaken, PyRemoteTicket, PyRemoteValueBase,
        PyRemoteWaiter, RemoteStopped, ServerUnreachableError, leave_locks, leave_servers,
        remote_decode, remote_encode,
    };
    #[pymodule_export]
    use crate::scope::PyScope;
    #[pymodule_export]
    use crate::sync::{
        PyBarrierBase, PyConditionBase, PyEventBase, PyLockBase, PyLockedAttribute,
        PySemaphoreBase, PySynchronizedBase, PyWaiter,
    };
    #[pymodule_export]
    use crate::threads::{
        PyThreadLifoQueue, PyThreadPriorityQueue, PyThreadQueue, PyThreadQueueBase,
        PyThreadQueueIterator, PyThreadSimpleQueue,
    };

    use pyo3::exceptions::PyAttributeError;
    use pyo3::prelude::*;

    /// What is found when it is asked for: not every child needs the module `queue`.
    #[pyfunction]
    fn __getattr__(py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        match name {
            "ShutDown" => Ok(crate::error::shut_down_class(py)?.clone().into_any().unbind()),
            _ => Err(PyAttributeError::new_err(format!(
                "module 'procession._core' has no attribute '{name}'"
            ))),
        }
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::remote::begin();
        crate::sync::install_fast_methods(&module.py().get_type::<PyLockBase>())?;
        crate::threads::install_fast_methods(&module.py().get_type::<PyThreadQueueBase>())?;
        let names = module.index()?;
        names.call_method1("remove", ("__getattr__",))?;
        names.append("ShutDown")?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("debug_build", cfg!(debug_assertions))?;
        module.add("fault_build", cfg!(feature = "fault"))
    }
}
