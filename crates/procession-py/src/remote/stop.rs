//! `RemoteStop`: ends a wait of another thread.

use procession::remote::Stop;
use pyo3::prelude::*;

pyo3::create_exception!(
    procession._core,
    RemoteStopped,
    pyo3::exceptions::PyException,
    "The wait was ended by its RemoteStop."
);

/// Says to a thread that waits for a server that it need not any more: it raises `RemoteStopped` at once, unless it
/// has by now what it waits for.
#[pyclass(frozen, name = "RemoteStop", module = "procession._core")]
#[derive(Debug, Default)]
pub(crate) struct PyRemoteStop(Stop);

#[pymethods]
impl PyRemoteStop {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// From now on.
    fn set(&self) {
        self.0.set();
    }

    /// Whether it was said.
    #[getter]
    fn is_set(&self) -> bool {
        self.0.is_set()
    }
}

/// Makes a call that it ends at once, if there is one.
pub(crate) fn during<T>(stop: Option<&Bound<'_, PyRemoteStop>>, call: impl FnOnce() -> T) -> T {
    match stop {
        Some(stop) => stop.get().0.during(call),
        None => call(),
    }
}
