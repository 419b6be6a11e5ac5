//! `RemotePoolOwner` and `RemotePoolWorker`: what `procession.remote.pool` and `procession worker` are made of.

// What PyO3 takes out of an argument is handed over.
#![allow(clippy::needless_pass_by_value)]

use procession::remote::pool::{NewTask, Outcome, RawOwner, RawWorker, Report, Told};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyTuple};

use super::{PyRemoteServer, decode, encode, interruptible};
use crate::blocking::Patience;
use crate::codec::store;
use crate::codec::{Kind, Policy, Scratch};
use crate::error::Raise;

/// For ever, but for Ctrl-C.
const ALWAYS: Patience = Patience::Until(None);

/// The owner's side of a pool on a server.
#[pyclass(frozen, name = "RemotePoolOwner", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemotePoolOwner {
    inner: RawOwner,
    workers: Vec<String>,
    /// Last: who drops the last one leaves the server.
    _server: Py<PyRemoteServer>,
}

#[pymethods]
impl PyRemotePoolOwner {
    #[new]
    fn new(
        py: Python<'_>,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        options: &[u8],
    ) -> PyResult<Self> {
        let found = server.get().server();
        let (inner, workers) =
            py.detach(|| RawOwner::open(found, name, options)).map_err(Raise::raise)?;
        Ok(Self { inner, workers, _server: server.clone().unbind() })
    }

    /// Its key on the server.
    #[getter]
    fn key(&self) -> &str {
        self.inner.key()
    }

    /// What the workers said of themselves when it was made.
    #[getter]
    fn workers(&self) -> Vec<String> {
        self.workers.clone()
    }

    /// Puts tasks, `(number, need, body)`, and blobs, `(name, bytes)`; drops blobs that are of no more use.
    fn put(
        &self,
        py: Python<'_>,
        tasks: Vec<(u64, PyBackedStr, PyBackedBytes)>,
        blobs: Vec<(PyBackedStr, PyBackedBytes)>,
        unused: Vec<PyBackedStr>,
    ) -> PyResult<()> {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|(number, need, body)| NewTask { number: *number, need, body })
            .collect();
        let blobs: Vec<(&str, &[u8])> = blobs.iter().map(|(name, b)| (&**name, &**b)).collect();
        let unused: Vec<&str> = unused.iter().map(|name| &**name).collect();
        interruptible(py, ALWAYS, |patience| self.inner.put(&tasks, &blobs, &unused, patience))
    }

    /// Waits for what became of tasks: `(kind, number, body, worker)`; the kind is "done", "part", "lost", "left",
    /// "forgotten" or "broken". An empty list if `timeout` seconds have passed before.
    #[pyo3(signature = (timeout=None))]
    fn results<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let patience = Patience::from_args(None, timeout)?;
        let found = interruptible(py, patience, |patience| self.inner.results(patience))?;
        let shown = found.into_iter().map(|report| {
            let none = PyBytes::new(py, b"");
            match report {
                Report::Done(number, body) => {
                    ("done", number, PyBytes::new(py, &body), String::new())
                }
                Report::Part(number, body) => {
                    ("part", number, PyBytes::new(py, &body), String::new())
                }
                Report::Lost { number, left: false, worker } => ("lost", number, none, worker),
                Report::Lost { number, left: true, worker } => ("left", number, none, worker),
                Report::Forgotten(number) => ("forgotten", number, none, String::new()),
                Report::Broken(body) => ("broken", 0, PyBytes::new(py, &body), String::new()),
                _ => ("", 0, none, String::new()),
            }
            .into_pyobject(py)
        });
        shown.collect()
    }

    /// Drops tasks that no worker has, and says which these were.
    fn cancel(&self, py: Python<'_>, numbers: Vec<u64>) -> PyResult<Vec<u64>> {
        py.detach(|| self.inner.cancel(&numbers)).map_err(Raise::raise)
    }

    /// What the workers say of themselves who live.
    fn sweep(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        interruptible(py, ALWAYS, |patience| self.inner.sweep(patience))
    }

    /// Nothing is left of it on the server.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.end()).map_err(Raise::raise)
    }
}

/// What is told of a task: its pool, itself, what became of it, and bytes for the owner.
type PyTold = (PyBackedStr, PyBackedStr, PyBackedStr, PyBackedBytes);

/// A worker's side of the pools on a server.
#[pyclass(frozen, name = "RemotePoolWorker", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemotePoolWorker {
    inner: RawWorker,
    _server: Py<PyRemoteServer>,
}

#[pymethods]
impl PyRemotePoolWorker {
    #[new]
    fn new(
        py: Python<'_>,
        server: &Bound<'_, PyRemoteServer>,
        name: &str,
        can: Vec<String>,
        about: &str,
    ) -> PyResult<Self> {
        let found = server.get().server();
        let inner =
            py.detach(|| RawWorker::enter(found, name, can, about)).map_err(Raise::raise)?;
        Ok(Self { inner, _server: server.clone().unbind() })
    }

    /// Says what became of tasks, `(pool, task, "done" | "part" | "back" | "refused", body)`, and waits for one:
    /// `(pool, task, body)`.
    #[pyo3(signature = (told, timeout=None))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        told: Vec<PyTold>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<(String, String, Bound<'py, PyBytes>)>> {
        let patience = Patience::from_args(None, timeout)?;
        let told = all_told(&told)?;
        let task = interruptible(py, patience, |patience| self.inner.take(&told, patience))?;
        Ok(task.map(|found| (found.pool, found.task, PyBytes::new(py, &found.body))))
    }

    /// Says what became of tasks.
    fn tell(&self, py: Python<'_>, told: Vec<PyTold>) -> PyResult<()> {
        let told = all_told(&told)?;
        py.detach(|| self.inner.tell(&told)).map_err(Raise::raise)
    }

    /// Says anew what is to be said of it; the keys of the pools there are.
    fn beat(&self, py: Python<'_>, about: &str) -> PyResult<Vec<String>> {
        py.detach(|| self.inner.beat(about)).map_err(Raise::raise)
    }

    /// A pool's options, and a blob of its; None for what is not there.
    #[pyo3(signature = (pool, blob=""))]
    fn about<'py>(
        &self,
        py: Python<'py>,
        pool: &str,
        blob: &str,
    ) -> PyResult<[Option<Bound<'py, PyBytes>>; 2]> {
        let (options, found) = py.detach(|| self.inner.about(pool, blob)).map_err(Raise::raise)?;
        Ok([options, found].map(|bytes| bytes.map(|bytes| PyBytes::new(py, &bytes))))
    }

    /// Goes. `begun`: what it holds may have been begun.
    fn leave(&self, py: Python<'_>, begun: bool) -> PyResult<()> {
        py.detach(|| self.inner.leave(begun)).map_err(Raise::raise)
    }

    /// Whether it was taken for dead.
    #[getter]
    fn is_over(&self) -> bool {
        self.inner.is_over()
    }
}

fn all_told(told: &[PyTold]) -> PyResult<Vec<Told<'_>>> {
    told.iter()
        .map(|(pool, task, outcome, body)| {
            let outcome = match &**outcome {
                "done" => Outcome::Done,
                "part" => Outcome::Part,
                "lost" => Outcome::Lost,
                "back" => Outcome::Back,
                "refused" => Outcome::Refused,
                other => return Err(PyValueError::new_err(other.to_owned())),
            };
            Ok(Told { pool, task, outcome, body })
        })
        .collect()
}

/// An object as a message: its kind, then its bytes. Without a server plain data only, and None for anything else.
#[pyfunction]
#[pyo3(signature = (server, obj, plain_only=false))]
pub(crate) fn remote_encode<'py>(
    py: Python<'py>,
    server: Option<&Bound<'py, PyRemoteServer>>,
    obj: &Bound<'py, PyAny>,
    plain_only: bool,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if let Some(server) = server {
        let message = encode(server, obj, Policy::plain_only(plain_only))?;
        return Ok(Some(PyBytes::new(py, &message)));
    }
    let mut scratch = Scratch::take();
    if !store::Value::if_plain(obj, &mut scratch)? {
        return Ok(None);
    }
    let mut message = Vec::with_capacity(1 + scratch.bytes.len());
    message.push(Kind::Plain as u8);
    message.extend_from_slice(&scratch.bytes);
    Ok(Some(PyBytes::new(py, &message)))
}

/// The object of a message. Without a server that of plain data only.
#[pyfunction]
#[pyo3(signature = (server, message, plain_only=false))]
pub(crate) fn remote_decode<'py>(
    py: Python<'py>,
    server: Option<&Bound<'py, PyRemoteServer>>,
    message: &[u8],
    plain_only: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(server) = server else {
        let (kind, body) =
            message.split_first().ok_or_else(|| PyValueError::new_err("an empty message"))?;
        let mut scratch = Scratch::take();
        return Ok(store::load_from(py, *kind, body, Policy::PlainOnly, &mut scratch)?);
    };
    decode(server, message, Policy::plain_only(plain_only))
}
