//! `ThreadQueue` and its like: what `procession.queue`'s classes are made of.
//!
//! They hold the objects themselves. What they do is `procession::threads`' [`State`]; here are the lock
//! ([`guarded`]), the orders ([`items`], [`plain`]), the waiting ([`here`]), the operations ([`ops`]) and the way
//! in for the commonest of them ([`fast`]).
//!
//! A queue can be *opened*: its items go to the Python class, which from then on does everything in its own
//! methods `_opened_…`; so a program may touch `mutex` and `queue`, or override `_put`, as with the standard
//! library's. Whoever waits here then goes on there.

mod fast;
mod guarded;
mod here;
mod items;
mod kept;
mod ops;
mod plain;

use procession::threads::{Host, Refusal, Side, State, Who, deliver, deliver_all, this_thread};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple, PyType};

pub(crate) use fast::install as install_fast_methods;
use guarded::Guarded;
use here::{Here, Inside};
use items::Items;
use kept::{Kept, Room};
use ops::Arg;

/// What thread queues have in common. Use `procession.queue`.
#[pyclass(frozen, subclass, weakref, name = "ThreadQueueBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyThreadQueueBase {
    state: Guarded<Inside>,
    kept: Guarded<Kept>,
    /// A `SimpleQueue`, whose `put_nowait` is not its `put`.
    simple: bool,
}

impl PyThreadQueueBase {
    fn new(py: Python<'_>, items: Items, simple: bool) -> PyResult<Self> {
        crate::error::find_queue_errors(py)?;
        let state = Guarded::new(State::new(items));
        Ok(Self { state, kept: Guarded::new(Kept::default()), simple })
    }

    fn of(py: Python<'_>, order: &str) -> PyResult<Self> {
        let unknown = || PyValueError::new_err(format!("there is no order {order:?}"));
        Self::new(py, Items::of_order(order).ok_or_else(unknown)?, false)
    }
}

#[pymethods]
impl PyThreadQueueBase {
    /// How many objects are in the queue at this moment.
    fn qsize<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match slf.get().state.with(py, |state| (!state.is_opened()).then(|| state.len())) {
            Some(len) => Ok(len.into_pyobject(py)?.into_any()),
            None => slf.call_method0(intern!(py, "_opened_qsize")),
        }
    }

    /// Whether there is none at this moment.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        match slf.get().state.with(py, |state| (!state.is_opened()).then(|| state.is_empty())) {
            Some(empty) => Ok(empty),
            None => slf.call_method0(intern!(py, "_opened_empty"))?.is_truthy(),
        }
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
        ops::put_many(slf, objs, block, timeout)
    }

    /// Takes what is there, at most max objects, and returns it as a list; waits for the first
    /// only.
    #[pyo3(signature = (max=None, timeout=None, *, block=None), text_signature = "($self, max=None, timeout=None, *, block=True)")]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: Option<isize>,
        timeout: Arg<'_, 'py>,
        block: Arg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ops::get_many(slf, max.map(|max| max.max(0).cast_unsigned()), block, timeout)
    }

    /// The object that get would return, which stays where it is.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn peek<'py>(
        slf: &Bound<'py, Self>,
        block: Arg<'_, 'py>,
        timeout: Arg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ops::peek(slf, block, timeout)
    }

    /// The same as peek(False).
    fn peek_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method1(intern!(slf.py(), "peek"), (false,))
    }

    /// Puts raise ShutDown from now on, and gets do when the queue is empty; whoever waits is woken.
    ///
    /// If immediate is true, what is in the queue is dropped and counts as done.
    #[pyo3(signature = (immediate=None), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: Arg) -> PyResult<()> {
        let immediate = immediate.map_or(Ok(false), PyAnyMethods::is_truthy)?;
        ops::shutdown(slf, immediate)
    }

    /// Whether it was shut down. A program may set it, to anything that is true or false.
    #[getter]
    fn get_is_shutdown(&self, py: Python<'_>) -> Py<PyAny> {
        let kept = self.kept.with(py, |kept| Some(kept.is_shutdown.as_ref()?.clone_ref(py)));
        let shut = || PyBool::new(py, self.state.with(py, |state| state.is_shut_down()));
        kept.unwrap_or_else(|| shut().to_owned().into_any().unbind())
    }

    #[setter]
    fn set_is_shutdown(&self, shut: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, truth) = (shut.py(), shut.is_truthy()?);
        let odd = (!shut.is_exact_instance_of::<PyBool>()).then(|| shut.clone().unbind());
        let before = self.kept.with(py, |kept| std::mem::replace(&mut kept.is_shutdown, odd));
        self.state.with(py, |state| state.set_shut_down(truth));
        drop(before);
        Ok(())
    }

    /// Takes object after object until the queue is shut down and empty.
    fn __iter__(slf: Bound<'_, Self>) -> PyThreadQueueIterator {
        PyThreadQueueIterator { queue: slf.unbind() }
    }

    /// For annotations: `Queue[int]`.
    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = class.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((class, item))
    }

    /// Appends all objects to `parts["queue"]`, in the order of the standard library's attribute `queue`, and
    /// gives the queue the parts as attributes. From now on the methods `_opened_…` of the class do
    /// everything. False: that was done before.
    ///
    /// No Python code runs in between, of a signal's handler or of another thread; so nobody finds it half
    /// done, and nothing that raises can lose the objects.
    fn _open_up(slf: &Bound<'_, Self>, parts: &Bound<'_, PyDict>) -> PyResult<bool> {
        let (py, here) = (slf.py(), Here { queue: slf.get(), py: slf.py() });
        let space = slf.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let container = parts.as_any().get_item(intern!(py, "queue"))?;
        let append = container.getattr(intern!(py, "append"))?;
        loop {
            match here.with(|state| state.take_away(this_thread())) {
                Ok(items) => {
                    here.open_away(items, &append, || space.update(parts.as_mapping()))?;
                    return Ok(true);
                }
                Err(Refusal::Opened) => return Ok(false),
                Err(_) => here.await_store()?,
            }
        }
    }

    /// Whether that was done.
    #[getter]
    fn _is_open(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.is_opened())
    }

    /// Calls callback once, from whatever thread, when there may be an object to take. None: try now.
    #[pyo3(signature = (callback, first=false))]
    fn _when_item<'py>(
        slf: &Bound<'py, Self>,
        callback: Bound<'py, PyAny>,
        first: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::when(slf, Side::Item, callback, first)
    }

    /// The same when there may be room.
    #[pyo3(signature = (callback, first=false))]
    fn _when_room<'py>(
        slf: &Bound<'py, Self>,
        callback: Bound<'py, PyAny>,
        first: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::when(slf, Side::Room, callback, first)
    }

    /// The same when all may be done.
    #[pyo3(signature = (callback, first=false))]
    fn _when_done<'py>(
        slf: &Bound<'py, Self>,
        callback: Bound<'py, PyAny>,
        first: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::when(slf, Side::Done, callback, first)
    }

    /// The callback is not wanted any more. False: it was called; then the next one is, in its place.
    fn _forget<'py>(
        slf: &Bound<'py, Self>,
        token: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Ok(token) = token.cast::<PyInt>() else {
            return slf.call_method1(intern!(py, "_opened_forget"), (token,));
        };
        let token: u64 = token.extract()?;
        let (side, ticket) = (CALLERS[(token % 3) as usize], token / 3);
        let here = Here { queue: slf.get(), py };
        let left = here.with(|state| match state.leave(side, ticket) {
            Some(who) => Ok(who),
            None => Err(state.pass_on(side)),
        });
        let forgotten = match left {
            Ok(who) => {
                drop(who);
                true
            }
            Err(wake) => {
                deliver(&here, side, wake);
                false
            }
        };
        Ok(forgotten.into_pyobject(py)?.to_owned().into_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // While Python code compares, the objects are in its hands, and so not garbage.
        self.kept.now(|kept| kept.traverse(&visit)).unwrap_or(Ok(()))?;
        self.state
            .now(|state| {
                state.store().traverse(&visit)?;
                state.calls().try_for_each(|call| visit.call(call))
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.state.now(State::tear_down));
        drop(self.kept.now(std::mem::take));
    }
}

/// What callbacks may wait for; a token is a ticket and one of these.
const CALLERS: [Side; 3] = [Side::Item, Side::Room, Side::Done];

impl PyThreadQueueBase {
    fn when<'py>(
        slf: &Bound<'py, Self>,
        side: Side,
        callback: Bound<'py, PyAny>,
        first: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let mut callback = Some(callback.unbind());
        let (opened, ticket) = slf.get().state.with(py, |state| {
            if state.is_opened() {
                return (true, None);
            }
            if state.is_worth_trying(side) {
                return (false, None);
            }
            let stand = |callback| state.stand(side, Who::Call(callback), first);
            (false, callback.take().map(stand))
        });
        if opened {
            let name = match side {
                Side::Item => intern!(py, "_opened_when_item"),
                Side::Room => intern!(py, "_opened_when_room"),
                Side::Done | Side::Back => intern!(py, "_opened_when_done"),
            };
            let token = slf.call_method1(name, (callback,))?;
            return Ok((!token.is_none()).then_some(token));
        }
        let place = CALLERS.iter().position(|&caller| caller == side).unwrap_or(0) as u64;
        match ticket {
            Some(ticket) => Ok(Some((ticket * 3 + place).into_pyobject(py)?.into_any())),
            None => Ok(None),
        }
    }
}

/// The native part of `procession.queue.Queue`, and of its subclasses: `_order` of the class says in which
/// order objects come out, "fifo", "lifo" or "priority".
#[pyclass(frozen, subclass, weakref, extends = PyThreadQueueBase, name = "ThreadQueue", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyThreadQueue;

#[pymethods]
impl PyThreadQueue {
    #[classattr]
    fn _order() -> &'static str {
        "fifo"
    }

    #[new]
    #[classmethod]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        class: &Bound<'_, PyType>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let order = class.getattr(intern!(class.py(), "_order"))?;
        let base = PyThreadQueueBase::of(class.py(), order.cast::<PyString>()?.to_str()?)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self))
    }

    /// Begins anew, empty, with room for maxsize objects; zero or less is no bound.
    #[pyo3(signature = (maxsize=None))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let here = Here { queue: slf.as_super().get(), py };
        let cleared = here.with(State::clear);
        if let Ok((items, wakes)) = cleared {
            deliver_all(&here, wakes);
            drop(items);
        }
        match maxsize {
            Some(maxsize) => Self::set_maxsize(slf, maxsize),
            None => Ok(()),
        }
    }

    /// How many objects have room; zero or less: as many as memory has. May be set, and counts at once.
    #[getter]
    fn get_maxsize(slf: &Bound<'_, Self>) -> Py<PyAny> {
        let py = slf.py();
        let kept = &slf.as_super().get().kept;
        let given = kept.with(py, |kept| Some(kept.maxsize.as_ref()?.clone_ref(py)));
        given.unwrap_or_else(|| PyInt::new(py, 0).into_any().unbind())
    }

    #[setter]
    fn set_maxsize(slf: &Bound<'_, Self>, maxsize: Bound<'_, PyAny>) -> PyResult<()> {
        let here = Here { queue: slf.as_super().get(), py: slf.py() };
        let room = kept::room(&maxsize)?;
        let maxsize = maxsize.unbind();
        let before = here.queue.kept.with(here.py, |kept| kept.maxsize.replace(maxsize));
        drop(before);
        let capacity = if let Room::For(most) = room { Some(most) } else { None };
        deliver_all(&here, here.with(|state| state.set_capacity(capacity)));
        if matches!(room, Room::Ask) {
            // In the opened mode it is asked each time.
            slf.getattr(intern!(here.py, "mutex"))?;
        }
        Ok(())
    }

    /// Whether there is no room at this moment.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, base) = (slf.py(), slf.as_super().get());
        match base.state.with(py, |state| (!state.is_opened()).then(|| state.is_full())) {
            Some(full) => Ok(full),
            None => slf.call_method0(intern!(py, "_opened_full"))?.is_truthy(),
        }
    }

    /// Says that an object that was taken is done. ValueError if there was no such object.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        ops::task_done(slf.as_super())
    }

    /// Waits until all that was put is done.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        ops::join(slf.as_super())
    }

    /// How many objects were put and are not done.
    #[getter]
    fn get_unfinished_tasks(slf: &Bound<'_, Self>) -> usize {
        slf.as_super().get().state.with(slf.py(), |state| state.unfinished())
    }

    #[setter]
    fn set_unfinished_tasks(slf: &Bound<'_, Self>, unfinished: usize) {
        let here = Here { queue: slf.as_super().get(), py: slf.py() };
        deliver_all(&here, here.with(|state| state.set_unfinished(unfinished)));
    }
}

macro_rules! of_order {
    ($class:ident, $name:literal, $order:literal, $doc:literal) => {
        #[doc = $doc]
        #[pyclass(frozen, subclass, weakref, extends = PyThreadQueue, name = $name, module = "procession._core")]
        #[derive(Debug)]
        pub(crate) struct $class;

        #[pymethods]
        impl $class {
            #[classattr]
            fn _order() -> &'static str {
                $order
            }

            #[new]
            #[pyo3(signature = (*args, **_kwargs))]
            fn new(
                args: &Bound<'_, PyTuple>,
                _kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<PyClassInitializer<Self>> {
                let base = PyClassInitializer::from(PyThreadQueueBase::of(args.py(), $order)?);
                Ok(base.add_subclass(PyThreadQueue).add_subclass(Self))
            }
        }
    };
}

of_order!(PyThreadLifoQueue, "ThreadLifoQueue", "lifo", "The newest object first.");
of_order!(PyThreadPriorityQueue, "ThreadPriorityQueue", "priority", "The least object first.");

/// The native part of `procession.queue.SimpleQueue`.
#[pyclass(frozen, subclass, weakref, extends = PyThreadQueueBase, name = "ThreadSimpleQueue", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyThreadSimpleQueue;

#[pymethods]
impl PyThreadSimpleQueue {
    #[new]
    #[pyo3(signature = (*args, **_kwargs), text_signature = "()")]
    fn new(
        args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let base = PyThreadQueueBase::new(args.py(), Items::default(), true)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self))
    }

    /// Takes nothing.
    fn __init__(_slf: &Bound<'_, Self>) {}
}

/// Takes object after object.
#[pyclass(frozen, name = "ThreadQueueIterator", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyThreadQueueIterator {
    queue: Py<PyThreadQueueBase>,
}

#[pymethods]
impl PyThreadQueueIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.queue.bind(py).call_method0(intern!(py, "get")) {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.get_type(py).is(crate::error::shut_down_class(py)?) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.queue)
    }
}
