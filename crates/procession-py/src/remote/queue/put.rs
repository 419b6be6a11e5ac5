//! Put: encode, then one step of the server's, or a wait for room.

use procession::remote::queue::{NewMessage, PutError, QueueKind};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::PyRemoteQueueBase;
use crate::blocking::Patience;
use crate::codec::{Scratch, order};
use crate::error::{self, Raise};
use crate::queue::feeder_error;
use crate::remote::{PyRemoteStop, during, message, try_interruptible};

/// So many objects, or bytes, are encoded before they are put.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 1 << 20;

/// An object that was encoded.
#[pyclass(frozen, name = "RemoteMessage", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteMessage {
    kind: u8,
    body: Vec<u8>,
    key: Vec<u8>,
}

impl PyRemoteMessage {
    /// Encodes it as the queue wants it.
    pub(super) fn of(slf: &Bound<'_, PyRemoteQueueBase>, obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut scratch = Scratch::take();
        let key = if slf.get().queue()?.kind() == QueueKind::Priority {
            if !order::write_leading(obj, &mut scratch) {
                return Err(no_key(obj));
            }
            scratch.order.as_bytes().to_vec()
        } else {
            Vec::new()
        };
        let server = slf.get().server(slf.py())?;
        let kind = message::encode_into(server, obj, slf.get().policy(), &mut scratch)?;
        Ok(Self { kind, body: std::mem::take(&mut scratch.bytes), key })
    }

    fn message(&self) -> NewMessage<'_> {
        NewMessage { kind: self.kind, body: &self.body, key: &self.key }
    }
}

#[cold]
fn no_key(obj: &Bound<'_, PyAny>) -> PyErr {
    let name = obj.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "a PriorityQueue on a server takes what its bytes can order: numbers, strings, bytes, and tuples and lists that \
         begin with one; this {name} is not: put a tuple whose first part says the order"
    ))
}

/// Puts one object.
pub(super) fn put(
    slf: &Bound<'_, PyRemoteQueueBase>,
    obj: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<()> {
    match PyRemoteMessage::of(slf, obj) {
        Ok(message) => put_message(slf, &message, patience, None),
        Err(error) => feeder_error(slf.as_any(), obj, error),
    }
}

pub(super) fn put_message(
    slf: &Bound<'_, PyRemoteQueueBase>,
    message: &PyRemoteMessage,
    patience: Patience,
    stop: Option<&Bound<'_, PyRemoteStop>>,
) -> PyResult<()> {
    let queue = slf.get().queue()?;
    let check = ender(slf);
    let put = during(stop, || {
        try_interruptible(slf.py(), patience, &check, |patience| {
            queue.put(message.message(), patience).map_err(|error| error.map(|()| 0))
        })
    })?;
    put.map_err(|error| raised(slf.py(), error, None))
}

/// What ends a wait: the queue's close in this process.
pub(super) fn ender(
    slf: &Bound<'_, PyRemoteQueueBase>,
) -> impl Fn(Python<'_>) -> PyResult<()> + Sync + use<> {
    let slf = slf.clone().unbind();
    move |py| PyRemoteQueueBase::open(slf.bind(py))
}

/// `done`: what is said if the queue is full.
fn raised(py: Python<'_>, error: PutError<usize>, done: Option<usize>) -> PyErr {
    match error {
        PutError::Full(_) => {
            let text = done.map(|done| format!("{done} objects were put, then the queue was full"));
            error::full(py, text)
        }
        PutError::Closed(_) => error::queue_shut_down(py),
        PutError::Encode(_, why) | PutError::Unordered(_, why) => PyTypeError::new_err(why),
        PutError::Remote(_, error) => error.raise(),
        _ => error::full(py, None),
    }
}

/// Puts each of some objects, in their order.
///
/// Those of a list or tuple are encoded some ahead. What any other iterable gives is put before it is asked for
/// the next one: that may take its time.
pub(super) fn put_many(
    slf: &Bound<'_, PyRemoteQueueBase>,
    objs: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<()> {
    let mut done = 0;
    let put = if let Ok(list) = objs.cast_exact::<PyList>() {
        let item = |i| if i < list.len() { list.get_item(i).ok() } else { None };
        put_chunks(slf, item, &mut done, patience)
    } else if let Ok(tuple) = objs.cast_exact::<PyTuple>() {
        let item = |i| if i < tuple.len() { tuple.get_item(i).ok() } else { None };
        put_chunks(slf, item, &mut done, patience)
    } else {
        put_each(slf, objs, &mut done, patience)
    };
    put.inspect_err(|error| {
        // An exception that takes no attributes does without.
        let _ = error.value(slf.py()).setattr(intern!(slf.py(), "put"), done);
    })
}

fn put_each(
    slf: &Bound<'_, PyRemoteQueueBase>,
    objs: &Bound<'_, PyAny>,
    done: &mut usize,
    patience: Patience,
) -> PyResult<()> {
    for obj in objs.try_iter()? {
        match PyRemoteMessage::of(slf, &obj?) {
            Ok(message) => put_some(slf, &[message], done, patience)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts what `item` gives for 0 and so on, until it gives nothing.
fn put_chunks<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    item: impl Fn(usize) -> Option<Bound<'py, PyAny>>,
    done: &mut usize,
    patience: Patience,
) -> PyResult<()> {
    let mut next = 0;
    loop {
        let (mut chunk, mut bytes, mut failed) = (Vec::new(), 0, None);
        while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
            let Some(obj) = item(next) else { break };
            next += 1;
            match PyRemoteMessage::of(slf, &obj) {
                Ok(message) => {
                    bytes += message.body.len();
                    chunk.push(message);
                }
                Err(error) => {
                    failed = Some((obj, error));
                    break;
                }
            }
        }
        if chunk.is_empty() && failed.is_none() {
            return Ok(());
        }
        put_some(slf, &chunk, done, patience)?;
        if let Some((obj, error)) = failed {
            feeder_error(slf.as_any(), &obj, error)?;
            *done += 1;
        }
    }
}

/// Puts these messages, and counts those that are in.
fn put_some(
    slf: &Bound<'_, PyRemoteQueueBase>,
    chunk: &[PyRemoteMessage],
    done: &mut usize,
    patience: Patience,
) -> PyResult<()> {
    let queue = slf.get().queue()?;
    let all: Vec<_> = chunk.iter().map(PyRemoteMessage::message).collect();
    let check = ender(slf);
    let before = *done;
    let mut so_far = 0;
    let put = try_interruptible(slf.py(), patience, &check, |patience| {
        let put = queue.put_many(&all, patience);
        so_far = match &put {
            Ok(()) => all.len(),
            Err(
                PutError::Full(n)
                | PutError::Closed(n)
                | PutError::Encode(n, _)
                | PutError::Unordered(n, _)
                | PutError::Remote(n, _),
            ) => *n,
            Err(_) => 0,
        };
        put
    });
    *done = before + so_far;
    put?.map_err(|error| raised(slf.py(), error, Some(*done)))
}
