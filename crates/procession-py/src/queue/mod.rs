//! `QueueBase`: what `procession.queues`' classes are made of.
//!
//! Put encodes before it touches the queue, and get decodes after it has let go of it: no Python
//! code ever runs while the core holds anything. The common path neither releases the interpreter
//! nor allocates.
//!
//! Here is the class; [`store`] is what the messages lie in, whichever it is; [`put`] with [`stocked`],
//! [`get`] and [`batch`] are the ways in and out.

mod args;
mod awaiting;
mod batch;
mod delivery;
mod get;
mod put;
mod stocked;
mod store;

use std::num::NonZeroU64;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use procession::Family;
use procession::collections::InFlight;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

pub(crate) use args::{capacity, feeder_error};
pub(crate) use delivery::{PyTicket, not_redelivering, nothing_in_flight};
pub(crate) use store::{Order, Store};

use crate::args::{Arg, Given};
use crate::blocking::Patience;
use crate::codec::{self, Policy};
use crate::error::{self, Raise};
use crate::lease::PyLease;
use crate::memory::{Held, Shelf};
use crate::scope::{PyScope, Scoped};

/// The native part of a queue. Use `procession.Queue`.
#[pyclass(frozen, subclass, weakref, name = "QueueBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyQueueBase {
    queue: Shelf<Store>,
    closed: AtomicBool,
    plain_only: AtomicBool,
    /// The manager's that it belongs to, if it does to one.
    scope: Scoped<()>,
}

/// A message in flight.
pub(crate) type Row = (u32, String, u32, f64, u64, u64);

#[pymethods]
impl PyQueueBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            queue: Shelf::new(),
            closed: AtomicBool::new(false),
            plain_only: AtomicBool::new(false),
            scope: Scoped::new(),
        }
    }

    /// Makes a new queue in this process's family; a bound of zero or less is none.
    #[pyo3(signature = (maxsize, order="fifo", maxbytes=None))]
    fn _create(
        &self,
        maxsize: &Bound<'_, PyAny>,
        order: &str,
        maxbytes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = maxsize.py();
        let (order, most) = (Order::named(order)?, capacity(maxsize)?);
        let bytes = maxbytes.map_or(Ok(None), capacity)?;
        let family = Family::current().map_err(Raise::raise)?;
        self.begin(py, Store::create(family, order, most, bytes).map_err(Raise::raise)?)
    }

    /// Becomes the queue that a handle names.
    fn _attach(&self, py: Python<'_>, handle: &[u8]) -> PyResult<()> {
        self.begin(py, Store::from_handle(handle).map_err(Raise::raise)?)
    }

    /// From now on this process puts plain data only, and does not unpickle what it gets.
    fn _refuse_pickle(&self) {
        self.plain_only.store(true, Ordering::Release);
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> bool {
        self.policy() == Policy::PlainOnly
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.scope.join(scope)
    }

    /// A few bytes that name the queue anywhere in its family. A message under way in this thread
    /// counts it.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let queue = self.still_held(py)?;
        codec::handles::note(|| [queue.lease()]);
        Ok(PyBytes::new(py, &queue.handle()))
    }

    /// Puts an object into the queue; when this returns, the object is in it.
    ///
    /// If the queue is full and block is true, waits for room, at most timeout seconds; then raises
    /// queue.Full.
    #[pyo3(signature = (obj=Given(None), block=None, timeout=None, *, item=Given(None)), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: Given<'_, '_>,
        block: Arg,
        timeout: Arg,
        item: Given<'_, '_>,
    ) -> PyResult<()> {
        let queue = Self::open(slf)?;
        let patience = slf.get().patience(block, timeout)?;
        let obj = args::the_one(obj, item, slf.get().scope.is_scoped())?;
        if put::put_one(slf, &queue, &obj, patience)? {
            Ok(())
        } else {
            Err(error::full(slf.py(), None))
        }
    }

    /// Takes the oldest object out of the queue and returns it.
    ///
    /// If the queue is empty and block is true, waits for one, at most timeout seconds; then raises
    /// queue.Empty.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(slf: &Bound<'py, Self>, block: Arg, timeout: Arg) -> PyResult<Bound<'py, PyAny>> {
        let queue = Self::open(slf)?;
        let patience = slf.get().patience(block, timeout)?;
        match get::get_one(slf, &queue, patience)? {
            Some(object) => Ok(object),
            None => Err(error::empty(slf.py())),
        }
    }

    /// Returns the object that get would return, and leaves it where it is: for an object that is
    /// taken at the same moment by another, that is history.
    ///
    /// If the queue is empty and block is true, waits for one, at most timeout seconds; then raises
    /// queue.Empty.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn peek<'py>(slf: &Bound<'py, Self>, block: Arg, timeout: Arg) -> PyResult<Bound<'py, PyAny>> {
        let queue = Self::open(slf)?;
        let patience = slf.get().patience(block, timeout)?;
        match get::peek_one(slf, &queue, patience)? {
            Some(object) => Ok(object),
            None => Err(error::empty(slf.py())),
        }
    }

    /// The same as peek(False).
    fn peek_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method1(intern!(slf.py(), "peek"), (false,))
    }

    /// The same as put(obj, False).
    fn put_nowait<'py>(
        slf: &Bound<'py, Self>,
        obj: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method1(intern!(slf.py(), "put"), (obj, false))
    }

    /// The same as get(False).
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method1(intern!(slf.py(), "get"), (false,))
    }

    /// Puts each of some objects, in their order; timeout is for all of them.
    ///
    /// If an exception ends it, those before are in the queue; queue.Full says how many.
    #[pyo3(signature = (objs, timeout=None, *, block=None), text_signature = "($self, objs, timeout=None, *, block=True)")]
    fn put_many(
        slf: &Bound<'_, Self>,
        objs: &Bound<'_, PyAny>,
        timeout: Arg,
        block: Arg,
    ) -> PyResult<()> {
        let queue = Self::open(slf)?;
        batch::put_many(slf, &queue, objs, Patience::from_args(block, timeout)?)
    }

    /// Takes what is there, at most max objects, and returns it as a list; waits for the first
    /// only.
    ///
    /// If an exception comes after the first, those taken before are its attribute `received`.
    #[pyo3(signature = (max=None, timeout=None, *, block=None), text_signature = "($self, max=None, timeout=None, *, block=True)")]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: Option<usize>,
        timeout: Arg,
        block: Arg,
    ) -> PyResult<Bound<'py, PyList>> {
        let queue = Self::open(slf)?;
        batch::get_many(slf, &queue, max, Patience::from_args(block, timeout)?)
    }

    /// How many objects are in the queue at this moment.
    fn qsize(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.held(py)?.len_now(py))
    }

    /// Whether there is nothing to get at this moment.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(slf.get().held(slf.py())?.len_now(slf.py()) == 0)
    }

    /// Whether there is no room at this moment.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.held(py)?.is_full())
    }

    /// This process's queue is closed: put and get raise ValueError from now on.
    fn _close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Gives the handle back now; the object is of no use afterwards.
    fn _drop(&self, py: Python<'_>) {
        self.queue.take(py);
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.is_closed()
    }

    /// Zero means no bound.
    #[getter]
    fn _maxsize(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.held(py)?.capacity().map_or(0, NonZeroU64::get))
    }

    /// The same in bytes.
    #[getter]
    fn _maxbytes(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.held(py)?.max_bytes().map_or(0, NonZeroU64::get))
    }

    /// task_done().
    fn _put_done(&self, py: Python<'_>) -> PyResult<()> {
        self.held(py)?.done(py)
    }

    /// Waits until task_done() was called for every object that was put; False if time ran out.
    #[pyo3(signature = (timeout=None))]
    fn _join(&self, py: Python<'_>, timeout: Arg) -> PyResult<bool> {
        let queue = self.held(py)?;
        let queue = &*queue;
        let done = self.scope.wait(
            py,
            Patience::from_args(None, timeout)?,
            || Ok((queue.unfinished() == 0).then_some(())),
            |deadline| queue.wait_done(deadline),
        )?;
        Ok(done.done().is_some())
    }

    /// Whether what the dead had taken comes back.
    #[getter]
    fn _redelivers(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(matches!(&*self.held(py)?, Store::Delivery(_)))
    }

    /// As get, but gives out what names the message, too; it is not noted for this thread.
    #[pyo3(signature = (block=None, timeout=None))]
    fn _take<'py>(
        slf: &Bound<'py, Self>,
        block: Arg,
        timeout: Arg,
    ) -> PyResult<(Bound<'py, PyAny>, PyTicket)> {
        drop(Self::open(slf)?);
        let patience = slf.get().patience(block, timeout)?;
        Self::take_one(slf, patience)?.ok_or_else(|| error::empty(slf.py()))
    }

    /// The oldest message that this thread took is done.
    fn _task_done(&self, py: Python<'_>) -> PyResult<()> {
        self.delivering(py, |_, queue| delivery::task_done(py, queue))
    }

    /// Reports a message as done, or gives it back.
    fn _settle(&self, py: Python<'_>, ticket: &PyTicket, done: bool) -> PyResult<()> {
        self.settle_one(py, ticket, done)
    }

    #[getter]
    fn _delivery_count(&self, py: Python<'_>) -> PyResult<u32> {
        self.last_count(py)
    }

    /// How many messages are in flight in processes that live.
    fn _in_flight(&self, py: Python<'_>) -> PyResult<u64> {
        self.delivering(py, |_, queue| {
            delivery::recover(py, queue)?;
            Ok(queue.in_flight())
        })
    }

    /// Of each of them: pid, the process's name, how often it was delivered, seconds, bytes, and
    /// how many were put before it.
    fn _in_flights(&self, py: Python<'_>) -> PyResult<Vec<Row>> {
        self.delivering(py, |_, queue| {
            let all = py.detach(|| queue.in_flights()).map_err(Raise::raise)?;
            let row = |one: InFlight| {
                let age = one.age.as_secs_f64();
                (one.pid, one.name, one.count, age, one.bytes, one.number)
            };
            Ok(all.into_iter().map(row).collect())
        })
    }

    /// A file descriptor that is readable while there is something to get.
    fn _bell(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.held(py)?.bell()
    }

    fn _bell_close(&self, py: Python<'_>) -> PyResult<()> {
        self.held(py)?.close_bell();
        Ok(())
    }

    /// From now on nobody can put, and who gets finds what is left, or at once nothing.
    fn _shut_down(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        let queue = &*self.held(py)?;
        if !immediate {
            queue.close();
            return Ok(());
        }
        py.detach(|| queue.shut_down_now()).map_err(Raise::raise)
    }

    /// Whether it was shut down, by any process.
    #[getter]
    fn _is_shut_down(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.held(py)?.is_closed())
    }

    /// An object that keeps the queue alive while it is referenced.
    fn _lease(&self, py: Python<'_>) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.still_held(py)?.lease()]))
    }
}

impl PyQueueBase {
    fn begin(&self, py: Python<'_>, queue: Store) -> PyResult<()> {
        self.queue
            .set(py, queue)
            .map_err(|_| PyRuntimeError::new_err("the queue has begun already"))
    }

    /// A manager's queue is `queue.Queue` in what it takes.
    #[inline]
    fn patience(&self, block: Arg, timeout: Arg) -> PyResult<Patience> {
        if let Some(seconds) = timeout
            && self.scope.is_scoped()
            && block.map_or(Ok(true), PyAnyMethods::is_truthy)?
            && !seconds.is_none()
            && seconds.lt(0)?
        {
            return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
        }
        Patience::from_args(block, timeout)
    }

    #[inline]
    fn policy(&self) -> Policy {
        Policy::plain_only(self.plain_only.load(Ordering::Relaxed))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The queue, whether closed or not.
    #[inline]
    fn held<'a>(&'a self, py: Python<'a>) -> PyResult<Held<'a, Store>> {
        self.scope.check()?;
        self.still_held(py)
    }

    /// The same, also if its manager was shut down.
    fn still_held<'a>(&'a self, py: Python<'a>) -> PyResult<Held<'a, Store>> {
        self.queue.enter(py).ok_or_else(|| self.missing())
    }

    #[cold]
    fn missing(&self) -> PyErr {
        PyRuntimeError::new_err(if self.queue.is_gone() {
            "the queue's handle was given back"
        } else {
            "Queue.__init__() was not called"
        })
    }

    /// The queue, to put or get.
    #[inline]
    fn open<'a>(slf: &'a Bound<'_, Self>) -> PyResult<Held<'a, Store>> {
        let queue = slf.get().held(slf.py())?;
        if slf.get().is_closed() {
            return Err(error::closed(slf));
        }
        Ok(queue)
    }

    /// Whether another thread has closed the queue or given its handle back while this one waited.
    fn still_open(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().scope.check()?;
        if slf.get().is_closed() {
            return Err(error::closed(slf));
        }
        if slf.get().queue.is_gone() {
            return Err(slf.get().missing());
        }
        Ok(())
    }
}
