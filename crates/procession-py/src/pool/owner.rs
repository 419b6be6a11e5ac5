//! `PoolBase`: what `procession.pool.Pool` is made of.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use procession::Family;
use procession::pool::{Phase, RawPool, Step, View};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::call::{CATCH, Function, Mode, STOP};
use super::core::Core;
use super::gather::Gather;
use super::job::Order;
use super::loss::End;
use super::result::{PyCall, PyJobBase};
use crate::blocking::Patience;
use crate::error::Raise;
use crate::lease::PyLease;

/// The native part of a pool. Use `procession.Pool`.
#[pyclass(frozen, subclass, weakref, name = "PoolBase", module = "procession._core")]
#[derive(Default)]
pub(crate) struct PyPoolBase {
    core: OnceLock<Arc<Core>>,
}

impl std::fmt::Debug for PyPoolBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PyPoolBase").finish_non_exhaustive()
    }
}

impl PyPoolBase {
    fn core(&self) -> PyResult<&Arc<Core>> {
        self.core.get().ok_or_else(|| PyRuntimeError::new_err("the pool was not made"))
    }
}

#[pymethods]
impl PyPoolBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Makes a pool with places for so many workers.
    fn _create(&self, workers: u32) -> PyResult<()> {
        if !(1..=RawPool::MAX_WORKERS).contains(&workers) {
            let most = RawPool::MAX_WORKERS;
            return Err(PyValueError::new_err(format!("a pool has 1 to {most} processes")));
        }
        let family = Family::current().map_err(Raise::raise)?;
        let pool = RawPool::create(family, workers).map_err(Raise::raise)?;
        let again = |_| PyRuntimeError::new_err("the pool was made already");
        self.core.set(Arc::new(Core::new(pool))).map_err(again)
    }

    /// Bytes by which a process becomes worker `index`.
    fn _handle<'py>(&self, py: Python<'py>, index: u32) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.core()?.pool.handle(index)))
    }

    /// An object that keeps the pool's memory alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(self.core()?.pool.leases()))
    }

    /// Begins a call. `items` is a list or a range, or None if they will be fed; `mode` is 0 for pairs of
    /// arguments and keywords, 1 for one argument each, 2 for tuples of arguments; `gather` is
    /// "one", "list", "ordered" or "unordered". `waits`: the caller will wait for it at once; `tells`: what
    /// cannot be sent is raised here (of a call with one item); `catch`: whatever is raised is an outcome,
    /// but for Ctrl-C. False: the pool was stopped.
    #[pyo3(signature = (job, function, items, mode, gather, *, chunk=None, stop=false, catch=false, buffer=0, name="", timeout=None, retries=0, callback=None, error_callback=None, waits=false, tells=false))]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "one call, made at few places"
    )]
    fn _begin(
        &self,
        py: Python<'_>,
        job: &Bound<'_, PyJobBase>,
        function: &Bound<'_, PyAny>,
        items: Option<Bound<'_, PyAny>>,
        mode: u8,
        gather: &str,
        chunk: Option<usize>,
        stop: bool,
        catch: bool,
        buffer: usize,
        name: &str,
        timeout: Option<f64>,
        retries: u32,
        callback: Option<Py<PyAny>>,
        error_callback: Option<Py<PyAny>>,
        waits: bool,
        tells: bool,
    ) -> PyResult<bool> {
        let core = self.core()?;
        core.check_home()?;
        let mode = Mode::from_wire(mode).ok_or_else(|| PyValueError::new_err("mode"))?;
        let length = items.as_ref().map_or(Ok(0), PyAnyMethods::len)?;
        let flags = if stop { STOP } else { 0 } | if catch { CATCH } else { 0 };
        let function = Function::new(core.pool.family(), function, mode, flags);
        // An error of the function's is that of all items.
        let (function, error) = match function {
            Ok(function) => (function, None),
            Err(error) => {
                let none = Function::new(core.pool.family(), py.None().bind(py), mode, flags)?;
                (none, Some(error))
            }
        };
        let order = Order {
            function,
            name: name.to_owned(),
            source: items.map(Bound::unbind),
            length,
            chunk,
            buffer,
            timeout: timeout.and_then(|s| Duration::try_from_secs_f64(s.max(0.0)).ok()),
            retries,
            gather: gathering(py, gather, length)?,
            callback,
            error_callback,
        };
        let inner = order.into_job();
        job.get().begin(core, &inner)?;
        if let Some(error) = error {
            if tells {
                return Err(error);
            }
            let error = error.into_value(py).into_bound(py).into_any();
            if inner.give_up(py, &error) {
                core.settle(&inner);
            }
            return Ok(true);
        }
        let none = chunk == Some(0); // then no item is anybody's
        if (length == 0 || none) && inner.work().ended {
            if if none { inner.cancel() } else { inner.end() } {
                core.settle(&inner);
            }
            return Ok(true);
        }
        core.enter(py, &inner, waits)?;
        if tells && let Err(error) = inner.unsendable(py) {
            let value = error.value(py).as_any();
            if inner.give_up(py, value) {
                core.settle(&inner);
            }
            return Err(error);
        }
        // Either this is seen here, or the job there.
        Ok(!core.stopped.load(Ordering::SeqCst))
    }

    /// Takes in results and runs callbacks, until the pool is stopped.
    fn _serve(&self, py: Python<'_>) -> PyResult<()> {
        let core = Arc::clone(self.core()?);
        core.serve(py)
    }

    /// Sees to what a worker has left whose process has ended, and says how far that had come.
    fn _bury(
        &self,
        py: Python<'_>,
        index: u32,
        pid: u32,
        exitcode: Option<i32>,
        lost: &Bound<'_, PyAny>,
    ) -> PyResult<&'static str> {
        Ok(phase_name(self.core()?.bury(py, &End { index, pid, exitcode, lost })?))
    }

    /// The places and pids of workers to be killed, since they have been at an item for too long.
    fn _overdue(&self) -> PyResult<Vec<(u32, u32)>> {
        Ok(self.core()?.overdue())
    }

    /// The shortest time limit of what is under way, in seconds.
    fn _shortest_timeout(&self) -> PyResult<Option<f64>> {
        Ok(self.core()?.shortest_timeout().map(|limit| limit.as_secs_f64()))
    }

    /// How far worker `index` has come: "absent", "starting", "ready" or "leaving".
    fn _phase(&self, index: u32) -> PyResult<&'static str> {
        Ok(phase_name(self.core()?.pool.view(index).phase))
    }

    /// Whether nothing is under way.
    fn _is_idle(&self) -> PyResult<bool> {
        Ok(self.core()?.is_idle())
    }

    /// Waits until nothing is under way; from now on nothing waits for its results to be taken.
    #[pyo3(signature = (timeout=None))]
    fn _wait_idle(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let core = self.core()?;
        core.endless.store(true, Ordering::Release);
        let jobs: Vec<_> = core.state().jobs.iter().map(Arc::clone).collect();
        for job in jobs {
            core.more_room(py, &job)?;
        }
        let idle = || Ok(core.is_idle().then_some(()));
        Ok(core.wait(py, Patience::from_args(None, timeout)?, idle)?.is_some())
    }

    /// No more tasks are to come: workers end when they find none.
    fn _close(&self) -> PyResult<()> {
        self.core()?.pool.close();
        Ok(())
    }

    /// Ends all that is under way with this error, and the handler; `tell`: after the callbacks for
    /// errors.
    #[pyo3(signature = (error, tell=false))]
    fn _stop(&self, py: Python<'_>, error: &Bound<'_, PyAny>, tell: bool) -> PyResult<()> {
        let core = self.core()?;
        let rest = core.stop(tell);
        core.pool.close();
        for job in &rest.jobs {
            job.give_up(py, error);
            if !(tell && job.error_callback.is_some()) {
                let holder = job.work().get_ready();
                drop(holder);
            }
        }
        drop(rest);
        core.tell_later(tell);
        Ok(())
    }

    /// The calls under way.
    fn _calls(&self) -> PyResult<Vec<PyCall>> {
        let core = self.core()?;
        let jobs = core.state().jobs.clone();
        Ok(jobs.into_iter().map(|job| PyCall::new(core, job)).collect())
    }

    /// How many calls have items that wait for room.
    fn _waiting(&self) -> PyResult<usize> {
        Ok(self.core()?.state().queue.len())
    }

    /// How many calls and tasks are under way, how many items were done, and what each worker is
    /// at: (phase, pid, call, item, milliseconds), (tasks, items), (nanoseconds at work, of these in
    /// unpacking and packing, and in waiting).
    fn _look<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let core = self.core()?;
        let views = PyList::empty(py);
        for index in 0..core.pool.workers() {
            let view = core.pool.view(index);
            let (name, item) = current(core, &view);
            let state = (phase_name(view.phase), view.pid, name, item, view.age_ms);
            let spent = (view.busy_ns, view.coding_ns, view.waited_ns);
            views.append((state, (view.tasks, view.items), spent))?;
        }
        let state = core.state();
        let counts = (state.jobs.len(), state.tasks.len(), core.done_items.load(Ordering::Relaxed));
        drop(state);
        (counts, views).into_pyobject(py)
    }
}

/// What a worker is at: the name of the call, and which item.
fn current(core: &Core, view: &View) -> (Option<String>, Option<usize>) {
    let mut state = core.state();
    let Some(task) = view.task.and_then(|number| state.tasks.get_mut(&number)) else {
        return (None, None);
    };
    let item = match view.step {
        Step::Item(item) => Some(task.first + item as usize),
        _ => None,
    };
    (Some(task.job.name.clone()), item)
}

fn gathering(py: Python<'_>, gather: &str, length: usize) -> PyResult<Gather> {
    if let "one" | "list" = gather {
        let values = PyList::new(py, (0..length).map(|_| py.None()))?.unbind();
        return Ok(Gather::List { values: Some(values), single: gather == "one", failure: None });
    }
    Ok(Gather::Stream {
        ordered: gather == "ordered",
        there: VecDeque::new(),
        early: HashMap::new(),
        at: 0,
        taken: 0,
        abandoned: false,
    })
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Absent => "absent",
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Leaving => "leaving",
    }
}
