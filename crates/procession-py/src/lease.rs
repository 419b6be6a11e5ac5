//! `Lease`: an opaque object that keeps a queue or a pipe's rings alive while it is referenced.

use procession::Lease;
use pyo3::prelude::*;

/// Keeps a queue or a pipe's rings alive while it is referenced.
#[pyclass(frozen, name = "Lease", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyLease {
    /// Counted in the arena; given back when this object is collected.
    leases: Vec<Lease>,
}

impl PyLease {
    /// Of all that `leases` are on.
    pub(crate) fn of(leases: Vec<Lease>) -> Self {
        Self { leases }
    }
}

#[pymethods]
impl PyLease {
    fn __repr__(&self) -> String {
        match self.leases.first() {
            Some(lease) => format!("<Lease on an object of {}>", lease.family().id()),
            None => "<Lease on nothing>".into(),
        }
    }
}
