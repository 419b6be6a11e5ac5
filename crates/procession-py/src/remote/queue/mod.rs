//! `RemoteQueueBase`: what the queues of `procession.remote` are made of.
//!
//! Put encodes before it asks the server, and get decodes after it: each is one step of the server's. [`put`] and
//! [`get`] are the ways in and out, [`delivery`] is what a queue with `redeliver=True` has besides.

mod delivery;
mod get;
mod put;

use std::sync::atomic::{AtomicBool, Ordering};

use procession::remote::queue::{Limits, QueueKind, RemoteQueue};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

pub(crate) use delivery::PyRemoteTicket;
pub(crate) use get::PyRemoteTaken;
pub(crate) use put::PyRemoteMessage;

use super::there::{At, There, on_server};
use super::{PyRemoteServer, PyRemoteStop, ask, during, interruptible};
use crate::args::Arg;
use crate::blocking::Patience;
use crate::codec::Policy;
use crate::error;
use crate::queue::{Row, capacity, not_redelivering};

/// The native part of a queue on a server. Use `procession.get_context(url).Queue` or `procession.Family(url).queue`.
#[pyclass(frozen, subclass, weakref, name = "RemoteQueueBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteQueueBase {
    there: There<RemoteQueue>,
    closed: AtomicBool,
    plain_only: AtomicBool,
}

on_server! { RemoteQueue: "Queue.__init__() was not called", "the queue has begun already" }

#[pymethods]
impl PyRemoteQueueBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            there: There::none(),
            closed: AtomicBool::new(false),
            plain_only: AtomicBool::new(false),
        }
    }

    /// Makes a new queue; a bound of zero or less is none.
    fn _create(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        kind: &str,
        maxsize: &Bound<'_, PyAny>,
        maxbytes: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (kind, limits) = (kind_named(kind)?, limits(maxsize, Some(maxbytes))?);
        self.there.begin(server, |at| RemoteQueue::anonymous(at, kind, limits))
    }

    /// Becomes the queue of that name, which is made if there is none.
    fn _find(
        &self,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        kind: &str,
        maxsize: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let kind = kind_named(kind)?;
        let wanted = if maxsize.is_none() { None } else { Some(limits(maxsize, None)?) };
        let at = server.get().server();
        let asked = wanted.unwrap_or_default();
        let queue = ask(server.py(), || RemoteQueue::named(at, kind, name, asked))?;
        let found = queue.limits().messages;
        if let Some(wanted) = wanted
            && wanted.messages != found
        {
            let say = |bound: u64| match bound {
                0 => "without bound".into(),
                bound => bound.to_string(),
            };
            return Err(PyValueError::new_err(format!(
                "{name:?} has capacity {}, and not {}",
                say(found),
                say(wanted.messages)
            )));
        }
        self.there.begin_as(server, queue)
    }

    /// Becomes the queue that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str, kind: &str) -> PyResult<()> {
        let kind = kind_named(kind)?;
        self.there.begin(server, |at| RemoteQueue::attach(at, kind, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.there.at(py, to_send)
    }

    /// What it is on its server.
    #[getter]
    fn _kind(&self) -> PyResult<&'static str> {
        Ok(self.queue()?.kind().name())
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

    /// Puts an object into the queue; when this returns, the object is in it.
    ///
    /// If the queue is full and block is true, waits for room, at most timeout seconds; then raises
    /// queue.Full.
    #[pyo3(signature = (obj, block=None, timeout=None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: &Bound<'_, PyAny>,
        block: Arg,
        timeout: Arg,
    ) -> PyResult<()> {
        Self::open(slf)?;
        put::put(slf, obj, Patience::from_args(block, timeout)?)
    }

    /// Takes the next object out of the queue and returns it.
    ///
    /// If the queue is empty and block is true, waits for one, at most timeout seconds; then raises
    /// queue.Empty.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(slf: &Bound<'py, Self>, block: Arg, timeout: Arg) -> PyResult<Bound<'py, PyAny>> {
        Self::open(slf)?;
        let taken = get::take(slf, Patience::from_args(block, timeout)?, None)?;
        delivery::opened(slf, &taken)
    }

    /// Returns the object that get would return, and leaves it where it is: for an object that is
    /// taken at the same moment by another, that is history.
    ///
    /// If the queue is empty and block is true, waits for one, at most timeout seconds; then raises
    /// queue.Empty.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn peek<'py>(slf: &Bound<'py, Self>, block: Arg, timeout: Arg) -> PyResult<Bound<'py, PyAny>> {
        Self::open(slf)?;
        get::peek(slf, Patience::from_args(block, timeout)?)
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
        Self::open(slf)?;
        put::put_many(slf, objs, Patience::from_args(block, timeout)?)
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
        Self::open(slf)?;
        get::get_many(slf, max, Patience::from_args(block, timeout)?)
    }

    /// How many objects are in the queue at this moment.
    fn qsize(&self, py: Python<'_>) -> PyResult<u64> {
        self.there.ask(py, RemoteQueue::len)
    }

    /// Whether there is nothing to get at this moment.
    fn empty(&self, py: Python<'_>) -> PyResult<bool> {
        self.there.ask(py, RemoteQueue::is_empty)
    }

    /// Whether there is no room at this moment.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        self.there.ask(py, RemoteQueue::is_full)
    }

    /// This process's queue is closed: put and get raise ValueError from now on.
    fn _close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Zero means no bound.
    #[getter]
    fn _maxsize(&self) -> PyResult<u64> {
        Ok(self.queue()?.limits().messages)
    }

    /// The same in bytes.
    #[getter]
    fn _maxbytes(&self) -> PyResult<u64> {
        Ok(self.queue()?.limits().bytes)
    }

    /// task_done() of a queue that counts.
    #[allow(clippy::used_underscore_items)]
    fn _put_done(&self, py: Python<'_>) -> PyResult<()> {
        let queue = self.queue()?;
        if queue.kind() == QueueKind::Delivery {
            return self._task_done(py);
        }
        if ask(py, || queue.task_done(1))? {
            return Ok(());
        }
        Err(PyValueError::new_err("task_done() called too many times"))
    }

    /// Waits until task_done() was called for every object that was put; False if time ran out.
    #[pyo3(signature = (timeout=None, stop=None))]
    fn _join(
        &self,
        py: Python<'_>,
        timeout: Arg,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<bool> {
        let queue = self.queue()?;
        let patience = Patience::from_args(None, timeout)?;
        during(stop, || interruptible(py, patience, |patience| queue.join(patience)))
    }

    /// Whether what the dead had taken comes back.
    #[getter]
    fn _redelivers(&self) -> PyResult<bool> {
        Ok(self.queue()?.kind() == QueueKind::Delivery)
    }

    /// From now on nobody can put, and who gets finds what is left, or at once nothing.
    fn _shut_down(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        self.there.ask(py, |queue| queue.shutdown(immediate)).map(drop)
    }

    /// Whether it was shut down, by any process.
    #[getter]
    fn _is_shut_down(&self, py: Python<'_>) -> PyResult<bool> {
        self.there.ask(py, RemoteQueue::is_closed)
    }

    // ---------------------------------------------------- what has to be said of a message that was taken

    /// As get, but gives out what names the message, too; it is not noted for this thread.
    #[pyo3(signature = (block=None, timeout=None))]
    fn _take<'py>(
        slf: &Bound<'py, Self>,
        block: Arg,
        timeout: Arg,
    ) -> PyResult<(Bound<'py, PyAny>, PyRemoteTicket)> {
        Self::open(slf)?;
        slf.get().delivering()?;
        let taken = get::take(slf, Patience::from_args(block, timeout)?, None)?;
        delivery::with_ticket(slf, &taken)
    }

    /// The oldest message that this thread took is done.
    fn _task_done(&self, py: Python<'_>) -> PyResult<()> {
        delivery::task_done(py, self)
    }

    /// Reports a message as done, or gives it back.
    fn _settle(&self, py: Python<'_>, ticket: &PyRemoteTicket, done: bool) -> PyResult<()> {
        ticket.settle(py, self.delivering()?, done)
    }

    #[getter]
    fn _delivery_count(&self) -> PyResult<u32> {
        delivery::last_count(self)
    }

    /// How many messages are in flight in processes that live.
    fn _in_flight(&self, py: Python<'_>) -> PyResult<u64> {
        let queue = self.delivering()?;
        ask(py, || queue.in_flight())
    }

    /// Of each of them: pid, the process's name, how often it was delivered, seconds, bytes, and
    /// how many were put before it.
    fn _in_flights(&self, py: Python<'_>) -> PyResult<Vec<Row>> {
        delivery::rows(py, self.delivering()?)
    }

    // ---------------------------------------------------- in steps, for waits in other threads

    /// Takes a message, which is not looked at yet.
    #[pyo3(signature = (stop=None))]
    fn _get_raw(
        slf: &Bound<'_, Self>,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<PyRemoteTaken> {
        Self::open(slf)?;
        get::take(slf, Patience::Until(None), stop)
    }

    /// The object of such a message.
    fn _open_raw<'py>(
        slf: &Bound<'py, Self>,
        taken: &PyRemoteTaken,
    ) -> PyResult<Bound<'py, PyAny>> {
        delivery::opened(slf, taken)
    }

    /// Puts such a message back where it was: nobody has looked at it.
    fn _give_back(&self, py: Python<'_>, taken: &PyRemoteTaken) -> PyResult<()> {
        let (queue, taken) = (self.queue()?, taken.taken().clone());
        ask(py, || queue.give_back(&[taken]))
    }

    /// Encodes an object, to be put later.
    fn _encode(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<PyRemoteMessage> {
        Self::open(slf)?;
        PyRemoteMessage::of(slf, obj)
    }

    /// Puts what was encoded.
    #[pyo3(signature = (message, stop=None))]
    fn _put_raw(
        slf: &Bound<'_, Self>,
        message: &PyRemoteMessage,
        stop: Option<&Bound<'_, PyRemoteStop>>,
    ) -> PyResult<()> {
        Self::open(slf)?;
        put::put_message(slf, message, Patience::Until(None), stop)
    }
}

impl PyRemoteQueueBase {
    fn queue(&self) -> PyResult<&RemoteQueue> {
        self.there.get()
    }

    fn server<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyRemoteServer>> {
        self.there.server(py)
    }

    /// A queue that delivers again.
    fn delivering(&self) -> PyResult<&RemoteQueue> {
        let queue = self.queue()?;
        if queue.kind() == QueueKind::Delivery {
            return Ok(queue);
        }
        Err(not_redelivering())
    }

    fn policy(&self) -> Policy {
        Policy::plain_only(self.plain_only.load(Ordering::Relaxed))
    }

    /// An error if this process has closed it, perhaps while a thread waits.
    fn open(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().closed.load(Ordering::Acquire) {
            return Err(error::closed(slf));
        }
        Ok(())
    }
}

fn kind_named(name: &str) -> PyResult<QueueKind> {
    Ok(match name {
        "queue" => QueueKind::Fifo,
        "joinable_queue" => QueueKind::Joinable,
        "lifo_queue" => QueueKind::Lifo,
        "priority_queue" => QueueKind::Priority,
        "delivery_queue" => QueueKind::Delivery,
        _ => return Err(PyValueError::new_err(format!("no kind of queue: {name}"))),
    })
}

fn limits(maxsize: &Bound<'_, PyAny>, maxbytes: Option<&Bound<'_, PyAny>>) -> PyResult<Limits> {
    let bound = |bound: &Bound<'_, PyAny>| PyResult::Ok(capacity(bound)?.map_or(0, u64::from));
    Ok(Limits { messages: bound(maxsize)?, bytes: maxbytes.map_or(Ok(0), bound)? })
}
