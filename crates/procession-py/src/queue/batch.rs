//! Many at once.
//!
//! Where messages are a ring's, small plain objects go through it many under one lock, in chunks; all
//! else goes one by one, in its turn.

use procession::{End, RawQueue, TryPutError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::PyQueueBase;
use super::get::get_one;
use super::put::put_one;
use super::store::Store;
use crate::blocking::{self, Patience};
use crate::codec::{self, Kind, Scratch};
use crate::error::{self, Raise};

/// So many objects, or bytes, are encoded before they are put.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 64 * 1024;

/// Puts each of some objects, in their order.
///
/// Those of a list or tuple are encoded some ahead. What any other iterable gives is put before it is asked for
/// the next one: that may take its time.
pub(super) fn put_many(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    objs: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<()> {
    let mut done = 0;
    let put = if let (Store::Fifo(queue), Ok(list)) = (store, objs.cast_exact::<PyList>()) {
        // It may be changed while this waits for room.
        let item = |i| if i < list.len() { list.get_item(i).ok() } else { None };
        put_all(slf, store, queue, &mut done, item, patience)
    } else if let (Store::Fifo(queue), Ok(tuple)) = (store, objs.cast_exact::<PyTuple>()) {
        let item = |i| if i < tuple.len() { tuple.get_item(i).ok() } else { None };
        put_all(slf, store, queue, &mut done, item, patience)
    } else {
        put_each(slf, store, objs, &mut done, patience)
    };
    let error = match put {
        Ok(true) => return Ok(()),
        Ok(false) => {
            let message = format!("{done} objects were put, then the queue was full");
            error::full(slf.py(), Some(message))
        }
        Err(error) => error,
    };
    // An exception that takes no attributes does without.
    let _ = error.value(slf.py()).setattr(intern!(slf.py(), "put"), done);
    Err(error)
}

fn put_each(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    objs: &Bound<'_, PyAny>,
    done: &mut usize,
    patience: Patience,
) -> PyResult<bool> {
    for obj in objs.try_iter()? {
        if !put_one(slf, store, &obj?, patience)? {
            return Ok(false);
        }
        *done += 1;
    }
    Ok(true)
}

/// Puts what `item` gives for 0 and so on, until it gives nothing; false if patience ended first.
fn put_all<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    queue: &RawQueue,
    done: &mut usize,
    item: impl Fn(usize) -> Option<Bound<'py, PyAny>>,
    patience: Patience,
) -> PyResult<bool> {
    loop {
        let mut scratch = Scratch::take();
        let mut other = None;
        while scratch.ends.len() < CHUNK && scratch.bytes.len() < CHUNK_BYTES {
            let Some(obj) = item(*done + scratch.ends.len()) else {
                break;
            };
            if !codec::prepare_more(&obj, &mut scratch) {
                other = Some(obj);
                break;
            }
        }
        if scratch.ends.is_empty() && other.is_none() {
            return Ok(true);
        }
        if !put_chunk(slf, queue, &scratch, done, patience)? {
            return Ok(false);
        }
        drop(scratch);
        if let Some(obj) = other {
            if !put_one(slf, store, &obj, patience)? {
                return Ok(false);
            }
            *done += 1;
        }
    }
}

/// Puts the messages in the scratch; false if patience ended first.
fn put_chunk(
    slf: &Bound<'_, PyQueueBase>,
    queue: &RawQueue,
    scratch: &Scratch,
    done: &mut usize,
    patience: Patience,
) -> PyResult<bool> {
    let (bytes, ends) = (&scratch.bytes[..], &scratch.ends[..]);
    let put = |n: usize| {
        blocking::settle(slf.py(), queue, End::Tail)?;
        match queue.try_put_many(Kind::Plain as u8, bytes, ends, n) {
            Ok(more) => Ok(Some(more)),
            Err(TryPutError::Full(_)) => Ok(None),
            Err(TryPutError::Closed(_)) => Err(error::queue_shut_down(slf.py())),
            Err(TryPutError::Arena(error, _)) => Err(error.raise()),
        }
    };
    let mut n = 0;
    while n < ends.len() {
        let mut more = put(n)?;
        if more.is_none() {
            let len = ends[n] - if n > 0 { ends[n - 1] } else { 0 };
            let attempt = || {
                PyQueueBase::still_open(slf)?;
                put(n)
            };
            let sleep = |deadline| queue.wait_for_room_of(len, None, deadline);
            more = blocking::wait(slf.py(), patience, attempt, sleep)?.done();
        }
        let Some(more) = more else {
            return Ok(false);
        };
        n += more;
        *done += more;
    }
    Ok(true)
}

/// Takes what is there, at most so many; waits for the first only.
pub(super) fn get_many<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    max: Option<usize>,
    patience: Patience,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let objects = PyList::empty(py);
    if max == Some(0) {
        return Ok(objects);
    }
    // A producer that never rests must not keep us here.
    let mut there = store.len_now(py) as usize;
    if there == 0 {
        let first = get_one(slf, store, patience)?.ok_or_else(|| error::empty(py))?;
        objects.append(first)?;
        there = store.len_now(py) as usize + 1;
    }
    let most = max.unwrap_or(there).min(there);
    while objects.len() < most {
        match get_some(slf, store, &objects, most - objects.len()) {
            Ok(true) => {}
            // Others were faster.
            Ok(false) if objects.is_empty() => {
                let first = get_one(slf, store, patience)?.ok_or_else(|| error::empty(py))?;
                objects.append(first)?;
            }
            Ok(false) => break,
            Err(error) => {
                if !objects.is_empty() {
                    error.value(py).setattr(intern!(py, "received"), objects)?;
                }
                return Err(error);
            }
        }
    }
    Ok(objects)
}

/// Appends what is there, at most so many, and at least one; false if there is none.
fn get_some<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    objects: &Bound<'py, PyList>,
    most: usize,
) -> PyResult<bool> {
    if let Store::Fifo(queue) = store {
        let mut scratch = Scratch::take();
        blocking::settle(slf.py(), queue, End::Head)?;
        let codec::Buffers { bytes, ends, .. } = &mut *scratch;
        let taken =
            queue.try_get_many(Kind::Plain as u8, most, bytes, ends).map_err(Raise::raise)?;
        match taken {
            None => return Ok(false),
            Some(0) => {}
            Some(_) => {
                let mut appended = Ok(());
                let decoded = codec::decode_several(slf.py(), &mut scratch, |object| {
                    let done = objects.append(object);
                    if appended.is_ok() {
                        appended = done;
                    }
                });
                appended?;
                decoded?;
                return Ok(true);
            }
        }
    }
    let Some(object) = get_one(slf, store, Patience::None)? else {
        return Ok(false);
    };
    objects.append(object)?;
    Ok(true)
}
