//! `JobBase`: what a call returns, to wait for it and to take its results.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::core::Core;
use super::gather::{Gather, Value};
use super::job::Job;
use crate::blocking::Patience;
use crate::error;

/// The native part of a call's result. Use `procession.Pool`.
#[pyclass(frozen, subclass, weakref, name = "JobBase", module = "procession._core")]
#[derive(Default)]
pub(crate) struct PyJobBase {
    inner: OnceLock<(Arc<Core>, Arc<Job>)>,
}

impl std::fmt::Debug for PyJobBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PyJobBase").finish_non_exhaustive()
    }
}

impl Drop for PyJobBase {
    fn drop(&mut self) {
        if let Some((_, job)) = self.inner.get() {
            job.abandon();
        }
    }
}

/// A call, for who feeds it, counts it or may cancel it. It does not keep the result.
#[pyclass(frozen, name = "Call", module = "procession._core")]
pub(crate) struct PyCall {
    core: Arc<Core>,
    job: Arc<Job>,
}

impl std::fmt::Debug for PyCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PyCall").finish_non_exhaustive()
    }
}

impl PyCall {
    pub(super) fn new(core: &Arc<Core>, job: Arc<Job>) -> Self {
        Self { core: Arc::clone(core), job }
    }

    fn more(&self, py: Python<'_>) -> PyResult<()> {
        self.core.more_work(&self.job);
        self.core.pump(py)?;
        self.core.wake_handler();
        Ok(())
    }
}

#[pymethods]
impl PyCall {
    /// Feeds items, without waiting. Not if no more are taken.
    fn put(&self, py: Python<'_>, items: Vec<Py<PyAny>>) -> PyResult<()> {
        for item in items {
            self.job.feed(item);
        }
        self.more(py)
    }

    /// No more items will be fed.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        if self.job.end() {
            self.core.settle(&self.job);
            return Ok(());
        }
        self.more(py)
    }

    /// Drops all items that no worker was given yet, and takes no more.
    fn cancel(&self) {
        if self.job.cancel() {
            self.core.settle(&self.job);
        }
        self.core.call_feeders();
    }

    /// Whether all outcomes are there.
    fn ready(&self) -> bool {
        self.job.work().ready
    }

    #[getter]
    fn _job(&self) -> u64 {
        self.job.number
    }

    #[getter]
    fn _number_left(&self) -> usize {
        self.job.work().left()
    }

    /// Feeds the items of an iterable, no further ahead than it may; returns at its end, or that of the
    /// call.
    fn feed(&self, py: Python<'_>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let (core, job) = (&self.core, &self.job);
        let mut iterator = items.try_iter();
        let mut next = || match &mut iterator {
            Ok(iterator) => iterator.next().transpose(),
            Err(error) => Err(error.clone_ref(py)),
        };
        while !core.stopped.load(Ordering::Acquire) && !job.is_fed() {
            if !job.may_feed(core.is_endless()) {
                py.detach(|| core.wait_for_room(job));
                py.check_signals()?;
                continue;
            }
            let over = match next() {
                Ok(Some(item)) => {
                    job.feed(item.unbind());
                    core.more_work(job);
                    core.pump(py)?;
                    core.wake_handler();
                    continue;
                }
                Ok(None) => job.end(),
                Err(error) => job.end_with(py, error.into_value(py).into_any())?,
            };
            if over {
                core.settle(job);
            } else {
                core.more_work(job);
                core.pump(py)?;
                core.news();
                core.wake_handler();
            }
        }
        Ok(())
    }
}

impl PyJobBase {
    pub(super) fn begin(&self, core: &Arc<Core>, job: &Arc<Job>) -> PyResult<()> {
        let again = |_| PyRuntimeError::new_err("the call has begun already");
        self.inner.set((Arc::clone(core), Arc::clone(job))).map_err(again)
    }

    pub(super) fn inner(&self) -> PyResult<&(Arc<Core>, Arc<Job>)> {
        self.inner.get().ok_or_else(|| PyRuntimeError::new_err("the call was not made"))
    }

    fn is_ready(&self) -> PyResult<bool> {
        Ok(self.inner()?.1.work().ready)
    }

    /// The next result; `Some(None)` at the end, None if time is over.
    #[expect(clippy::option_option, reason = "not yet, no more")]
    fn take(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Option<Value>>> {
        let (core, job) = self.inner()?;
        let result = match job.next() {
            Some(result) => Some(result),
            None => core.wait(py, Patience::from_args(None, timeout)?, || Ok(job.next()))?,
        };
        if result.is_some() && job.runs_low() {
            core.more_room(py, job)?;
        }
        Ok(result)
    }

    fn wait_ready(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let (core, job) = self.inner()?;
        if job.work().ready {
            return Ok(true);
        }
        let ready = || Ok(job.work().ready.then_some(()));
        Ok(core.wait(py, patience, ready)?.is_some())
    }
}

#[pymethods]
impl PyJobBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Whether the call is over.
    fn ready(&self) -> PyResult<bool> {
        self.is_ready()
    }

    /// Whether the call is over without an exception; ValueError if it is not over.
    fn successful(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (_, job) = slf.get().inner()?;
        let work = job.work();
        if !work.ready {
            drop(work);
            return Err(PyValueError::new_err(format!("{} not ready", slf.repr()?)));
        }
        Ok(!matches!(work.gather, Gather::List { failure: Some(_), .. }))
    }

    /// Waits until the call is over, or timeout seconds have passed.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.wait_ready(py, Patience::from_args(None, timeout)?).map(drop)
    }

    /// Returns the result, or raises what the call raised; waits for it.
    ///
    /// Raises multiprocessing.TimeoutError if timeout seconds have passed before.
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !self.wait_ready(py, Patience::from_args(None, timeout)?)? {
            return Err(error::timed_out(py));
        }
        let work = self.inner()?.1.work();
        let Gather::List { values, single, failure } = &work.gather else {
            return Err(PyRuntimeError::new_err("this call has results, not one"));
        };
        if let Some((_, error)) = failure {
            let error = error.clone_ref(py);
            drop(work);
            return Err(PyErr::from_value(error.into_bound(py)));
        }
        let (values, single) = (values.as_ref().map(|v| v.clone_ref(py)), *single);
        drop(work);
        let values = values.ok_or_else(|| PyRuntimeError::new_err("the result is gone"))?;
        let values = values.into_bound(py);
        if single { values.get_item(0) } else { Ok(values.into_any()) }
    }

    /// Returns the next result, or raises what its call raised; waits for it.
    ///
    /// Raises StopIteration after the last, and multiprocessing.TimeoutError if timeout seconds have
    /// passed before.
    #[pyo3(name = "_next", signature = (timeout=None))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.take(py, timeout)? {
            Some(Some(Ok(value))) => Ok(value.into_bound(py)),
            Some(Some(Err(error))) => Err(PyErr::from_value(error.into_bound(py))),
            Some(None) => Err(PyStopIteration::new_err(())),
            None => Err(error::timed_out(py)),
        }
    }

    /// What is next, without raising it: (0, result), (1, exception), (2, None) at the end, (3, None) if
    /// `timeout` seconds have passed before.
    #[pyo3(signature = (timeout=None))]
    fn _take<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(u8, Py<PyAny>)> {
        Ok(match self.take(py, timeout)? {
            Some(Some(Ok(value))) => (0, value),
            Some(Some(Err(error))) => (1, error),
            Some(None) => (2, py.None()),
            None => (3, py.None()),
        })
    }

    /// The call, for who feeds it or may cancel it.
    fn _feeder(&self) -> PyResult<PyCall> {
        let (core, job) = self.inner()?;
        Ok(PyCall::new(core, Arc::clone(job)))
    }

    /// Which call of this process it is.
    #[getter]
    fn _job(&self) -> PyResult<u64> {
        Ok(self.inner()?.1.number)
    }

    /// How many items have no outcome yet; the standard library counts chunks.
    #[getter]
    fn _number_left(&self) -> PyResult<usize> {
        Ok(self.inner()?.1.work().left())
    }

    /// Keeps an object until this is over, or nobody has it.
    fn _hold(&self, object: Py<PyAny>) -> PyResult<()> {
        self.inner()?.1.hold(object);
        Ok(())
    }

    /// How many items were claimed, have an outcome, and are known.
    fn _progress(&self) -> PyResult<(usize, usize, usize)> {
        let work = self.inner()?.1.work();
        Ok((work.next, work.outcomes, work.known))
    }
}
