//! `RemoteBarrierBase`.

use procession::remote::{Barrier, BarrierError, Patience as Waiting};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::Arg;
use crate::blocking::Patience;
use crate::error::Raise;
use crate::remote::there::{At, There};
use crate::remote::{PyRemoteServer, interruptible};
use crate::sync::broken;

/// The native part of a barrier on a server. Use `procession.get_context(url).Barrier` or
/// `procession.Family(url).barrier`.
#[pyclass(frozen, subclass, weakref, name = "RemoteBarrierBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteBarrierBase {
    there: There<Barrier>,
}

/// Why a barrier was not passed: the action's exception, too.
enum Stopped {
    Barrier(BarrierError),
    Action(PyErr),
}

impl From<BarrierError> for Stopped {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl Raise for Stopped {
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            Self::Action(error) => error,
            Self::Barrier(BarrierError::Remote(error)) => error.raise(),
            Self::Barrier(_) => Python::attach(broken),
        }
    }
}

#[pymethods]
impl PyRemoteBarrierBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { there: There::none() }
    }

    /// Makes a new barrier for so many.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>, parties: u32) -> PyResult<()> {
        self.there.begin(server, |at| Barrier::anonymous(at, parties))
    }

    /// Becomes the barrier of that name; if there is none, it is made for so many.
    fn _find(&self, server: &Bound<'_, PyRemoteServer>, name: &str, parties: u32) -> PyResult<()> {
        self.there.begin(server, |at| Barrier::named(at, name, parties))
    }

    /// Becomes the barrier that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.there.begin(server, |at| Barrier::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// Waits for the others, at most timeout seconds; the last one runs the action, if it is not
    /// None, before all are let go. A number from 0 on, another one for each.
    ///
    /// threading.BrokenBarrierError, for all, if one waits too long, the action fails, the barrier
    /// is reset or aborted, or the lease of one runs out who waits.
    fn _wait(&self, py: Python<'_>, action: Arg, timeout: Arg) -> PyResult<u32> {
        let patience = Patience::from_args(None, timeout)?;
        let barrier = self.there.get()?;
        let action = action.map(|action| action.clone().unbind());
        let act = action.map(|action| {
            move || {
                let called = Python::attach(|py| action.call0(py).map(drop));
                called.map_err(Stopped::Action)
            }
        });
        let passed = interruptible(py, patience, |patience| barrier.wait_with(patience, act))?;
        Ok(passed.index())
    }

    /// Empties the barrier: those who wait get BrokenBarrierError.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.there.ask(py, |barrier| barrier.reset(&Waiting::forever()))
    }

    /// Breaks the barrier, until it is reset.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.there.ask(py, |barrier| barrier.abort(&Waiting::forever()))
    }

    /// How many it takes.
    #[getter]
    fn parties(&self) -> PyResult<u32> {
        Ok(self.there.get()?.parties())
    }

    /// How many wait at this moment.
    #[getter]
    fn n_waiting(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.there.ask(py, |barrier| barrier.state(&Waiting::forever()))?.waiting)
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.there.ask(py, |barrier| barrier.state(&Waiting::forever()))?.is_broken)
    }
}
