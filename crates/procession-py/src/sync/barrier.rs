//! `BarrierBase`.

use procession::sync::{Arrival, Broken, RawBarrier};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use super::{Arg, family, handle};
use crate::blocking::{Patience, Waited};
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

/// The native part of a barrier. Use `procession.Barrier`.
#[pyclass(frozen, subclass, weakref, name = "BarrierBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyBarrierBase {
    barrier: Scoped<RawBarrier>,
}

#[pymethods]
impl PyBarrierBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { barrier: Scoped::new() }
    }

    /// Makes a new barrier for so many.
    fn _create(&self, parties: u32) -> PyResult<()> {
        self.barrier.begin(RawBarrier::create(family()?, parties).map_err(Raise::raise)?)
    }

    /// Becomes the barrier that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.barrier.begin(RawBarrier::from_handle(handle).map_err(Raise::raise)?)
    }

    /// A few bytes that name the barrier anywhere in its family.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let barrier = self.barrier.still()?;
        Ok(handle(py, &barrier.handle(), || barrier.lease()))
    }

    /// An object that keeps the barrier alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.barrier.still()?.lease()]))
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.barrier.join(scope)
    }

    /// Waits for the others, at most timeout seconds; the last one runs the action, if it is not
    /// None, before all are let go. A number from 0 on, another one for each.
    ///
    /// threading.BrokenBarrierError, for all, if one waits too long, the action fails, the barrier
    /// is reset or aborted, or a process dies that waits.
    fn _wait(&self, py: Python<'_>, action: Arg, timeout: Arg) -> PyResult<u32> {
        let patience = Patience::from_args(None, timeout)?;
        let barrier = self.barrier.held()?;
        let arrive = || match barrier.arrive() {
            Err(Broken) => Err(broken(py)),
            Ok(Arrival::Busy) => Ok(None),
            Ok(arrival) => Ok(Some(arrival)),
        };
        // While the action of those who came before runs there is no way in, and no time-out: it
        // would be for a round that has not begun.
        let arrival = match arrive()? {
            Some(arrival) => Waited::Done(arrival),
            None => self
                .barrier
                .wait(py, Patience::Until(None), arrive, |d| barrier.wait_while_busy(d))?,
        };
        let waiter = match arrival.done() {
            Some(Arrival::Wait(waiter)) => waiter,
            Some(Arrival::Last(runner)) => {
                // If the action fails the runner is dropped, which breaks the barrier.
                if let Some(action) = action {
                    action.call0()?;
                }
                return runner.release().map_err(|_| broken(py));
            }
            _ => return Err(broken(py)),
        };
        let waited = self.barrier.wait(
            py,
            patience,
            || Ok(waiter.outcome()),
            |deadline| waiter.wait(deadline),
        );
        // An exception (Ctrl-C) or a time-out breaks it for all, unless it was decided before.
        match waited.map(Waited::done) {
            Ok(Some(outcome)) => outcome.map_err(|_| broken(py)),
            Ok(None) => waiter.abort().map_err(|_| broken(py)),
            Err(error) => {
                let _ = waiter.abort();
                Err(error)
            }
        }
    }

    /// Empties the barrier: those who wait get BrokenBarrierError.
    fn reset(&self) -> PyResult<()> {
        self.barrier.held()?.reset();
        Ok(())
    }

    /// Breaks the barrier, until it is reset.
    fn abort(&self) -> PyResult<()> {
        self.barrier.held()?.abort();
        Ok(())
    }

    /// How many it takes.
    #[getter]
    fn parties(&self) -> PyResult<u32> {
        Ok(self.barrier.held()?.parties())
    }

    /// How many wait at this moment.
    #[getter]
    fn n_waiting(&self) -> PyResult<u32> {
        Ok(self.barrier.held()?.waiting())
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.barrier.held()?.is_broken())
    }
}

#[cold]
pub(crate) fn broken(py: Python<'_>) -> PyErr {
    static BROKEN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match BROKEN.import(py, "threading", "BrokenBarrierError") {
        Ok(kind) => PyErr::from_type(kind.clone(), ()),
        Err(error) => error,
    }
}
