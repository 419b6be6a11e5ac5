//! What the methods of thread queues do: attempt, wait, and go where the state says.

use std::time::Instant;

use procession::threads::{Host, Refusal, Side, State, deliver, deliver_all};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyThreadQueueBase;
use super::here::{Here, Inside, Try, patience};
pub(super) use crate::args::Arg;
use crate::blocking::Patience;
use crate::error;

type Queue<'a, 'py> = &'a Bound<'py, PyThreadQueueBase>;

fn here<'a, 'py>(slf: Queue<'a, 'py>) -> Here<'a, 'py> {
    Here { queue: slf.get(), py: slf.py() }
}

/// `block` and `timeout` for a method that goes on with what is left of a wait.
fn left(patience: Patience) -> (bool, Option<f64>) {
    match patience {
        Patience::None => (false, None),
        Patience::Until(None) => (true, None),
        Patience::Until(Some(deadline)) => {
            (true, Some(deadline.saturating_duration_since(Instant::now()).as_secs_f64()))
        }
    }
}

/// What waits for an item gains one, is refused for good, or sleeps on.
fn unless<T>(outcome: Try<T>, waited_for: Refusal) -> Option<Try<T>> {
    match outcome {
        Try::Refused(refusal) if refusal == waited_for => None,
        outcome => Some(outcome),
    }
}

pub(super) fn put(
    slf: Queue<'_, '_>,
    item: Bound<'_, PyAny>,
    block: Arg,
    timeout: Arg,
) -> PyResult<()> {
    let here = here(slf);
    let (opened, shut, bounded) =
        here.with(|state| (state.is_opened(), state.is_shut_down(), state.is_bounded()));
    if opened {
        let name = intern!(slf.py(), "_opened_put");
        let block = block.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        return slf.call_method1(name, (item, block, timeout)).map(drop);
    }
    // As the standard library, which looks at the time-out only where it might need it.
    let patience = if bounded && !shut { patience(block, timeout)? } else { Patience::None };
    put_patiently(slf, item, patience)
}

pub(super) fn put_patiently(
    slf: Queue<'_, '_>,
    item: Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<()> {
    let (py, here) = (slf.py(), here(slf));
    let mut item = Some(item.unbind());
    loop {
        let attempt = |state: &mut Inside| {
            let outcome = match state.put(item.take()?) {
                Ok(wake) => Try::Done(wake),
                Err((refusal, back)) => {
                    item = Some(back);
                    Here::refused(state, refusal)
                }
            };
            unless(outcome, Refusal::Full)
        };
        let outcome = here.attempt(Side::Room, patience, attempt);
        let Some(outcome) = outcome? else { return Err(error::full(py, None)) };
        let refusal = match outcome {
            Try::Done(wake) => {
                deliver(&here, Side::Item, wake);
                return Ok(());
            }
            Try::Store(items) => match item.take() {
                Some(item) => return here.put_away(items, item),
                None => return Ok(()),
            },
            Try::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::Away | Refusal::Lost => here.await_store()?,
            Refusal::Opened => {
                let (block, timeout) = left(patience);
                let args = (item.take(), block, timeout);
                return slf.call_method1(intern!(py, "_opened_put"), args).map(drop);
            }
            _ => return Err(error::queue_shut_down(py)),
        }
    }
}

/// How long a getter waits; `None` if the queue is another's business, or shut down.
fn getters_patience(slf: Queue<'_, '_>, block: Arg, timeout: Arg) -> PyResult<Patience> {
    let over = here(slf).with(|state| state.is_shut_down() && state.is_empty());
    if over { Ok(Patience::None) } else { patience(block, timeout) }
}

fn is_opened(slf: Queue<'_, '_>) -> bool {
    here(slf).with(|state| state.is_opened())
}

pub(super) fn get<'py>(
    slf: Queue<'_, 'py>,
    block: Arg<'_, 'py>,
    timeout: Arg<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    if is_opened(slf) {
        let block = block.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        return slf.call_method1(intern!(slf.py(), "_opened_get"), (block, timeout));
    }
    get_patiently(slf, getters_patience(slf, block, timeout)?)
}

pub(super) fn get_patiently<'py>(
    slf: Queue<'_, 'py>,
    patience: Patience,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, here) = (slf.py(), here(slf));
    loop {
        let outcome = here.attempt(Side::Item, patience, |state| {
            let outcome = match state.get() {
                Ok(got) => Try::Done(got),
                Err(refusal) => Here::refused(state, refusal),
            };
            unless(outcome, Refusal::Empty)
        })?;
        let refusal = match outcome {
            None => return Err(error::empty(py)),
            Some(Try::Done((item, wake))) => {
                let item = item.into_bound(py);
                deliver(&here, Side::Room, wake);
                return Ok(item);
            }
            Some(Try::Store(items)) => match here.get_away(items)? {
                Some(item) => return Ok(item.into_bound(py)),
                None => continue,
            },
            Some(Try::Refused(refusal)) => refusal,
        };
        match refusal {
            Refusal::Away | Refusal::Lost => here.await_store()?,
            Refusal::Opened => {
                return slf.call_method1(intern!(py, "_opened_get"), left(patience));
            }
            _ => return Err(error::queue_shut_down(py)),
        }
    }
}

pub(super) fn peek<'py>(
    slf: Queue<'_, 'py>,
    block: Arg<'_, 'py>,
    timeout: Arg<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, here) = (slf.py(), here(slf));
    let name = intern!(py, "_opened_peek");
    if is_opened(slf) {
        let block = block.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        return slf.call_method1(name, (block, timeout));
    }
    let patience = getters_patience(slf, block, timeout)?;
    loop {
        let outcome = here.attempt(Side::Item, patience, |state| {
            let outcome = match state.peek() {
                Ok(item) => Try::Done(item.clone_ref(py)),
                Err(refusal) => Try::Refused(refusal),
            };
            // Who only looks leaves the item, and so the wake-up, to the next one.
            let next = matches!(outcome, Try::Done(_)).then(|| state.pass_on(Side::Item)).flatten();
            unless(outcome, Refusal::Empty).map(|outcome| (outcome, next))
        })?;
        let Some((outcome, next)) = outcome else { return Err(error::empty(py)) };
        deliver(&here, Side::Item, next);
        match outcome {
            Try::Done(item) => return Ok(item.into_bound(py)),
            Try::Refused(Refusal::Away | Refusal::Lost) => here.await_store()?,
            Try::Refused(Refusal::Opened) => return slf.call_method1(name, left(patience)),
            Try::Refused(_) | Try::Store(_) => return Err(error::queue_shut_down(py)),
        }
    }
}

/// Whether the class has a method of its own in place of ours.
fn overrides(slf: Queue<'_, '_>, name: &Bound<'_, pyo3::types::PyString>) -> PyResult<bool> {
    let ours = slf.py().get_type::<PyThreadQueueBase>().getattr(name)?;
    Ok(!slf.get_type().getattr(name)?.is(&ours))
}

/// `block` as it is, `timeout` as a deadline.
fn keywords(
    py: Python<'_>,
    (block, timeout): (bool, Option<f64>),
) -> PyResult<Bound<'_, pyo3::types::PyDict>> {
    let keywords = pyo3::types::PyDict::new(py);
    keywords.set_item(intern!(py, "block"), block)?;
    keywords.set_item(intern!(py, "timeout"), timeout)?;
    Ok(keywords)
}

pub(super) fn put_many(
    slf: Queue<'_, '_>,
    objs: &Bound<'_, PyAny>,
    block: Arg,
    timeout: Arg,
) -> PyResult<()> {
    let py = slf.py();
    if is_opened(slf) {
        let block = block.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        return slf.call_method1(intern!(py, "_opened_put_many"), (objs, block, timeout)).map(drop);
    }
    let patience = patience(block, timeout)?;
    let own = overrides(slf, intern!(py, "put"))?;
    for (done, obj) in objs.try_iter()?.enumerate() {
        let put = if own {
            let keywords = keywords(py, left(patience))?;
            slf.call_method(intern!(py, "put"), (obj?,), Some(&keywords)).map(drop)
        } else {
            put_patiently(slf, obj?, patience)
        };
        put.map_err(|error| said_how_many(py, error, done))?;
    }
    Ok(())
}

/// Of a `Full`: how many were put before it.
fn said_how_many(py: Python<'_>, raised: PyErr, done: usize) -> PyErr {
    let full = error::full(py, Some(format!("{done} objects were put, then the queue was full")));
    if raised.get_type(py).is(full.get_type(py)) { full } else { raised }
}

pub(super) fn get_many<'py>(
    slf: Queue<'_, 'py>,
    max: Option<usize>,
    block: Arg<'_, 'py>,
    timeout: Arg<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, here) = (slf.py(), here(slf));
    if is_opened(slf) {
        let block = block.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        return slf.call_method1(intern!(py, "_opened_get_many"), (max, block, timeout));
    }
    let patience = getters_patience(slf, block, timeout)?;
    let most = max.unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(PyList::empty(py).into_any());
    }
    if overrides(slf, intern!(py, "get"))? {
        return get_each(slf, most, patience);
    }
    let mut wakes = Vec::new();
    loop {
        let outcome = here.attempt(Side::Item, patience, |state| {
            let outcome = match state.get_many(most, &mut wakes) {
                Ok(items) => Try::Done(items),
                Err(refusal) => Here::refused(state, refusal),
            };
            unless(outcome, Refusal::Empty)
        })?;
        let refusal = match outcome {
            None => return Err(error::empty(py)),
            Some(Try::Done(items)) => {
                for wake in wakes {
                    deliver(&here, Side::Room, Some(wake));
                }
                return Ok(PyList::new(py, items)?.into_any());
            }
            Some(Try::Store(items)) => match here.get_away(items)? {
                Some(first) => return rest_of_many(slf, first.into_bound(py), most),
                None => continue,
            },
            Some(Try::Refused(refusal)) => refusal,
        };
        match refusal {
            Refusal::Away | Refusal::Lost => here.await_store()?,
            Refusal::Opened => {
                let (block, timeout) = left(patience);
                let args = (max, block, timeout);
                return slf.call_method1(intern!(py, "_opened_get_many"), args);
            }
            _ => return Err(error::queue_shut_down(py)),
        }
    }
}

/// Through the class's own `get`.
fn get_each<'py>(
    slf: Queue<'_, 'py>,
    most: usize,
    patience: Patience,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let get = intern!(py, "get");
    let list = PyList::empty(py);
    list.append(slf.call_method(get, (), Some(&keywords(py, left(patience))?))?)?;
    let most = most.min(here(slf).with(|state| state.len()) + 1);
    while list.len() < most {
        match slf.call_method(get, (), Some(&keywords(py, (false, None))?)) {
            Ok(item) => list.append(item)?,
            Err(error) => return finished(py, list, error),
        }
    }
    Ok(list.into_any())
}

/// After the first, which Python code had to choose.
fn rest_of_many<'py>(
    slf: Queue<'_, 'py>,
    first: Bound<'py, PyAny>,
    most: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let list = PyList::new(py, [first])?;
    let most = most.min(here(slf).with(|state| state.len()) + 1);
    while list.len() < most {
        match get_patiently(slf, Patience::None) {
            Ok(item) => list.append(item)?,
            Err(error) => return finished(py, list, error),
        }
    }
    Ok(list.into_any())
}

/// What was taken: as the result if there was no more, else with the exception.
fn finished<'py>(
    py: Python<'py>,
    list: Bound<'py, PyList>,
    raised: PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    let ends = [error::empty(py), error::queue_shut_down(py)];
    if ends.iter().any(|end| raised.get_type(py).is(end.get_type(py))) {
        return Ok(list.into_any());
    }
    raised.value(py).setattr(intern!(py, "received"), list)?;
    Err(raised)
}

pub(super) fn task_done(slf: Queue<'_, '_>) -> PyResult<()> {
    let (py, here) = (slf.py(), here(slf));
    match here.with(State::task_done) {
        Ok(wakes) => {
            deliver_all(&here, wakes);
            Ok(())
        }
        Err(Refusal::Opened) => slf.call_method0(intern!(py, "_opened_task_done")).map(drop),
        Err(_) => Err(PyValueError::new_err("task_done() called too many times")),
    }
}

pub(super) fn join(slf: Queue<'_, '_>) -> PyResult<()> {
    let (py, here) = (slf.py(), here(slf));
    let over = |state: &mut Inside| {
        if state.is_opened() { Some(true) } else { (state.unfinished() == 0).then_some(false) }
    };
    if here.attempt(Side::Done, Patience::Until(None), over)? == Some(true) {
        slf.call_method0(intern!(py, "_opened_join"))?;
    }
    Ok(())
}

pub(super) fn shutdown(slf: Queue<'_, '_>, immediate: bool) -> PyResult<()> {
    let (py, here) = (slf.py(), here(slf));
    let opened = || slf.call_method1(intern!(py, "_opened_shutdown"), (immediate,)).map(drop);
    let Ok(wakes) = here.with(State::shut_down) else { return opened() };
    drop(here.queue.kept.with(py, |kept| kept.is_shutdown.take()));
    deliver_all(&here, wakes);
    if !immediate {
        return Ok(());
    }
    loop {
        match here.with(State::drain) {
            Ok((items, wakes)) => {
                deliver_all(&here, wakes);
                drop(items);
                return Ok(());
            }
            Err(Refusal::Opened) => return opened(),
            Err(_) => here.await_store()?,
        }
    }
}
