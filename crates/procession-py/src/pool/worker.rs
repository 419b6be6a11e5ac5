//! `WorkerBase`: the loop of a worker.
//!
//! Take a task, unpack it, call the function with each item, and log or report what came out. An
//! `Exception` is an outcome like any other. Whatever else is raised (`SystemExit`, say) ends the
//! worker, as it ends any process, unless the call *catches* it; the owner then finds how far it had
//! come.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use procession::pool::{PushError, RawTask as Task, RawWorker, Spent};
use procession::{ArenaError, End};
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};

use super::call::{ALONE, APART, CATCH, FAILED, Head, Loaded, Mode, SKIPPED, STOP};
use crate::blocking::{self, Patience};
use crate::codec::{self, Policy, Prepared, Scratch};
use crate::error::{CorruptArenaError, Raise};

/// Outcomes up to this size are logged, and reported together.
const LOGGED: usize = 4096;
/// What is logged is reported after so many milliseconds.
const FLUSH_MS: u64 = 4;
/// How often a worker looks whether the owner lives.
const LOOK: Duration = Duration::from_millis(200);
/// How often one without memory for a report tries again.
const RETRY: Duration = Duration::from_millis(20);

/// The native part of a pool's worker. Use `procession.Pool`.
#[pyclass(frozen, subclass, weakref, name = "WorkerBase", module = "procession._core")]
#[derive(Debug, Default)]
pub(crate) struct PyWorkerBase {
    worker: OnceLock<RawWorker>,
}

#[pymethods]
impl PyWorkerBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Becomes the worker that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        let worker = RawWorker::from_handle(handle).map_err(Raise::raise)?;
        let again = |_| PyRuntimeError::new_err("the worker has begun already");
        self.worker.set(worker).map_err(again)
    }

    /// Does tasks until the pool is closed, its owner has ended, or `limit` tasks are done. True if
    /// it was the limit, or what else calls for another worker.
    ///
    /// `failed(exception)` gives what is sent for an exception, `unsent(error, object)` what is sent
    /// for an object that cannot be.
    fn _run(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        failed: &Bound<'_, PyAny>,
        unsent: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let worker = self.worker.get();
        let worker = worker.ok_or_else(|| PyRuntimeError::new_err("the worker has not begun"))?;
        worker.ready();
        let (function, coding) = (Loaded::default(), Cell::default());
        let mut turn = Turn { py, worker, failed, unsent, function, coding };
        for _ in 0..limit.unwrap_or(u64::MAX) {
            let waited = Instant::now();
            let mut scratch = Scratch::take();
            let Some(task) = turn.next(&mut scratch)? else {
                worker.leave();
                return Ok(false);
            };
            let waited = waited.elapsed();
            let begun = Instant::now();
            let number = task.number;
            let items = turn.run(task, scratch, begun)?;
            let spent = Spent { busy: begun.elapsed(), coding: turn.coding.take(), waited };
            worker.count(u64::from(items), &spent);
            if !turn.finish(number, begun)? {
                break; // condemned
            }
        }
        worker.leave();
        Ok(true)
    }
}

struct Turn<'a, 'py> {
    py: Python<'py>,
    worker: &'a RawWorker,
    failed: &'a Bound<'py, PyAny>,
    unsent: &'a Bound<'py, PyAny>,
    function: Loaded,
    /// Time that the task has taken so far to be unpacked, and its results to be packed. What is small
    /// and plain is done before a clock could be read, and counts as work.
    coding: Cell<Duration>,
}

impl<'py> Turn<'_, 'py> {
    /// The next task; None if there will be none.
    fn next(&self, scratch: &mut Scratch) -> PyResult<Option<Task>> {
        let mut looked = Instant::now();
        let found = blocking::wait(
            self.py,
            Patience::Until(None),
            || {
                blocking::settle(self.py, self.worker, End::Head)?;
                if let Some(task) = self.worker.take(&mut scratch.bytes).map_err(Raise::raise)? {
                    return Ok(Some(Some(task)));
                }
                if self.worker.is_closed() {
                    return Ok(Some(None));
                }
                if looked.elapsed() >= LOOK {
                    looked = Instant::now();
                    return Ok(self.worker.is_orphan().then_some(None));
                }
                Ok(None)
            },
            |deadline| self.worker.wait_for_task(deadline),
        )?;
        Ok(found.done().flatten())
    }

    /// Does a task, and says how many items it had.
    fn run(&mut self, task: Task, mut scratch: Scratch, begun: Instant) -> PyResult<u32> {
        let number = task.number;
        let (head, function) = Head::read(&scratch.bytes)?;
        if self.worker.is_cancelled(head.call) {
            self.log((number, 0), SKIPPED, &[], false)?;
            return Ok(0);
        }
        let function = match self.function.get(self.py, &head, function) {
            Ok(function) => function,
            Err(error) => {
                self.fail_all(number, &head, &self.exception(error, false)?)?;
                return Ok(head.items);
            }
        };
        scratch.bytes.drain(..head.len);
        let items = codec::decode(self.py, task.message, Policy::Anything, &mut scratch);
        drop(scratch); // the function may want it
        self.coding.set(begun.elapsed());
        match items.map_err(PyErr::from) {
            Ok(item) if head.flags & ALONE != 0 => {
                self.one(number, 0, &head, &function, item)?;
            }
            Ok(items) => self.all(number, &head, &function, Items::of(items)?, begun)?,
            Err(error) => {
                let error = self.exception(error, false)?;
                if head.items == 1 {
                    self.fail_all(number, &head, &error)?;
                } else {
                    self.log((number, 0), APART, &[], false)?;
                }
            }
        }
        Ok(head.items)
    }

    fn all(
        &self,
        number: u64,
        head: &Head,
        function: &Bound<'py, PyAny>,
        mut items: Items<'py>,
        begun: Instant,
    ) -> PyResult<()> {
        let mut flushed = None;
        let mut scratch = Scratch::take();
        for index in 0..head.items {
            let item = items.take(index)?;
            if self.worker.is_cancelled(head.call) {
                return self.log((number, index), SKIPPED, &[], false);
            }
            let Some(now) = self.worker.start(index) else {
                return Ok(()); // condemned: `finish` says so as well
            };
            if now.saturating_sub(*flushed.get_or_insert(now)) >= FLUSH_MS {
                self.worker.flush(number, begun.elapsed()).map_err(Raise::raise)?;
                flushed = Some(now);
                self.py.check_signals()?;
            }
            let good = self.call((number, index), head, function, item, &mut scratch)?;
            if !good && head.flags & STOP != 0 && index + 1 < head.items {
                return self.log((number, index + 1), SKIPPED, &[], false);
            }
        }
        Ok(())
    }

    fn one(
        &self,
        number: u64,
        index: u32,
        head: &Head,
        function: &Bound<'py, PyAny>,
        item: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if self.worker.start(index).is_some() {
            self.call((number, index), head, function, item, &mut Scratch::take())?;
        }
        Ok(())
    }

    /// Calls the function with an item, and sends what comes out. False if that is an exception.
    fn call(
        &self,
        at: (u64, u32),
        head: &Head,
        function: &Bound<'py, PyAny>,
        item: Bound<'py, PyAny>,
        scratch: &mut Scratch,
    ) -> PyResult<bool> {
        let catches = head.flags & CATCH != 0;
        let result = match head.mode {
            Mode::Map => function.call1((item,)),
            Mode::Star => star(function, &item),
            Mode::Apply => apply(function, &item),
        };
        match result {
            Ok(value) => {
                self.send(at, 0, catches, (&value, &value), scratch)?;
                Ok(true)
            }
            Err(error) => {
                let error = match self.exception(error, catches) {
                    Ok(error) => error,
                    Err(end) => {
                        // What was done before it is to be known in any case.
                        let _ = self.worker.flush(at.0, Duration::ZERO);
                        return Err(end);
                    }
                };
                let packed = self.failed.call1((&error,))?;
                self.send(at, FAILED, catches, (&packed, &error), scratch)?;
                Ok(false)
            }
        }
    }

    /// An exception as an outcome; what is none of `Exception`'s ends the worker, unless it is caught.
    fn exception(&self, error: PyErr, catches: bool) -> PyResult<Bound<'py, PyAny>> {
        let caught = catches && !error.is_instance_of::<PyKeyboardInterrupt>(self.py);
        if caught || error.is_instance_of::<PyException>(self.py) {
            Ok(error.into_value(self.py).into_bound(self.py).into_any())
        } else {
            Err(error)
        }
    }

    fn fail_all(&self, number: u64, head: &Head, error: &Bound<'py, PyAny>) -> PyResult<()> {
        let (packed, mut scratch) = (self.failed.call1((error,))?, Scratch::take());
        let catches = head.flags & CATCH != 0;
        for index in 0..head.items {
            if self.worker.start(index).is_none() {
                break;
            }
            self.send((number, index), FAILED, catches, (&packed, error), &mut scratch)?;
        }
        Ok(())
    }

    /// Sends an outcome; `named` is what to call it if it cannot be sent. A call that catches has what was
    /// raised instead, if that can be sent.
    #[inline]
    fn send(
        &self,
        at: (u64, u32),
        tag: u8,
        catches: bool,
        (object, named): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
        scratch: &mut Scratch,
    ) -> PyResult<()> {
        let error = match self.try_send(at, tag, object, scratch) {
            Ok(()) => return Ok(()),
            Err(error) => self.exception(error, catches)?,
        };
        if catches {
            let packed = self.failed.call1((&error,))?;
            if self.try_send(at, FAILED, &packed, scratch).is_ok() {
                return Ok(());
            }
        }
        let instead = self.unsent.call1((error, named))?;
        self.try_send(at, FAILED, &instead, scratch)
    }

    #[inline]
    fn try_send(
        &self,
        (number, index): (u64, u32),
        tag: u8,
        object: &Bound<'py, PyAny>,
        scratch: &mut Scratch,
    ) -> PyResult<()> {
        let plain = codec::prepare_plain(object, scratch)?;
        if plain.as_ref().is_some_and(|p| p.is_inline(scratch)) && scratch.bytes.len() <= LOGGED {
            let tag = tag | codec::Kind::Plain as u8;
            return self.log((number, index), tag, &scratch.bytes, true);
        }
        let begun = Instant::now();
        let prepared = plain.map_or_else(|| codec::pickle_result(object), Ok);
        let sent = prepared.and_then(|p| self.send_packed((number, index), tag, p, scratch));
        self.coding.set(self.coding.get() + begun.elapsed());
        sent
    }

    fn send_packed(
        &self,
        (number, index): (u64, u32),
        tag: u8,
        prepared: Prepared<'py>,
        scratch: &mut Scratch,
    ) -> PyResult<()> {
        let (kind, block) = prepared.pack(self.py, self.worker.family(), scratch)?;
        if block.is_none() && scratch.bytes.len() <= LOGGED {
            return self.log((number, index), tag | kind as u8, &scratch.bytes, false);
        }
        blocking::settle(self.py, self.worker, End::Tail)?;
        let message = (kind as u8, &scratch.bytes[..], block);
        let reported = self.worker.report((number, index, tag), message);
        reported.map_err(|PushError(error, _)| error.raise())
    }

    #[inline]
    fn log(&self, (number, index): (u64, u32), tag: u8, bytes: &[u8], joins: bool) -> PyResult<()> {
        if self.worker.log(index, tag, bytes, joins).map_err(Raise::raise)? {
            return Ok(());
        }
        self.patiently(|| self.worker.flush(number, Duration::ZERO))?;
        self.worker.log(index, tag, bytes, joins).map_err(Raise::raise)?;
        Ok(())
    }

    /// Says that the task is done. False if it was condemned.
    fn finish(&self, number: u64, begun: Instant) -> PyResult<bool> {
        blocking::settle(self.py, self.worker, End::Tail)?;
        self.patiently(|| self.worker.finish(number, begun.elapsed()))
    }

    /// Waits for memory, which the owner frees by and by.
    fn patiently<T: Send>(&self, mut report: impl FnMut() -> Result<T, ArenaError>) -> PyResult<T> {
        loop {
            match report() {
                Err(ArenaError::Full { .. }) if !self.worker.is_orphan() => {
                    self.py.detach(|| std::thread::sleep(RETRY));
                    self.py.check_signals()?;
                }
                done => return done.map_err(Raise::raise),
            }
        }
    }
}

/// The items of a task.
enum Items<'py> {
    List(Bound<'py, PyList>),
    /// A range, which travels as one.
    Range(Bound<'py, PyIterator>),
}

impl<'py> Items<'py> {
    fn of(items: Bound<'py, PyAny>) -> PyResult<Self> {
        match items.cast_into_exact::<PyList>() {
            Ok(list) => Ok(Self::List(list)),
            Err(other) => Ok(Self::Range(other.into_inner().try_iter()?)),
        }
    }

    /// The next item, `index`. It is taken out, so that nothing outlives its turn.
    #[inline]
    fn take(&mut self, index: u32) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::List(list) => {
                let item = list.get_item(index as usize)?;
                list.set_item(index as usize, list.py().None())?;
                Ok(item)
            }
            Self::Range(range) => {
                let ended = || CorruptArenaError::new_err("a task has fewer items than it says");
                range.next().unwrap_or_else(|| Err(ended()))
            }
        }
    }
}

fn star<'py>(
    function: &Bound<'py, PyAny>,
    item: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(arguments) = item.cast_exact::<PyTuple>() {
        return function.call1(arguments);
    }
    let arguments = item.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    function.call1(PyTuple::new(item.py(), arguments)?)
}

fn apply<'py>(
    function: &Bound<'py, PyAny>,
    item: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let (arguments, keywords): (Bound<'py, PyAny>, Bound<'py, PyDict>) = item.extract()?;
    if let Ok(arguments) = arguments.cast_exact::<PyTuple>() {
        return function.call(arguments, Some(&keywords));
    }
    let arguments = arguments.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    function.call(PyTuple::new(item.py(), arguments)?, Some(&keywords))
}
