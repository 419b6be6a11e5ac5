//! `RemoteListBase`: what a list on a server is made of.

// What PyO3 takes out of an argument is handed over.
#![allow(clippy::needless_pass_by_value)]

use std::time::Duration;

use procession::remote::{RemoteList, Slice as Stride};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice, PyTuple};

use super::super::PyRemoteServer;
use super::super::there::At;
use super::{Kept, borrowed, given};
use crate::args::{self, Given};
use crate::codec::Policy;
use crate::collections::Slice;

/// Messages of values.
type Messages<'py> = Vec<Bound<'py, PyBytes>>;

/// The native part of a list on a server. Use `procession.Family(url).list(name)`.
#[pyclass(frozen, subclass, weakref, name = "RemoteListBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteListBase {
    kept: Kept<RemoteList>,
}

#[pymethods]
impl PyRemoteListBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { kept: Kept::new() }
    }

    /// Makes a new list.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>) -> PyResult<()> {
        self.kept.there.begin(server, RemoteList::anonymous)
    }

    /// Becomes the list of that name, which is made if there is none.
    fn _find(&self, server: &Bound<'_, PyRemoteServer>, name: &str) -> PyResult<()> {
        self.kept.there.begin(server, |at| RemoteList::named(at, name))
    }

    /// Becomes the object that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.kept.there.begin(server, |at| RemoteList::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.kept.there.at(py, to_send)
    }

    /// From now on this process stores plain data only, and unpickles nothing that it finds.
    fn _refuse_pickle(&self) {
        self.kept.refuse_pickle();
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> bool {
        self.kept.policy() == Policy::PlainOnly
    }

    /// An object as a message.
    fn _pack<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.kept.pack(obj)
    }

    /// A message's object.
    fn _unpack<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.kept.unpack(py, message)
    }

    /// The key of the list's own lock.
    fn _lock_key(&self, py: Python<'_>) -> PyResult<String> {
        self.kept.ask(py, RemoteList::lock_key)
    }

    /// Asks other clients to change nothing for so many milliseconds; 0 ends that. Whether nobody else has.
    fn _claim(&self, py: Python<'_>, ms: u64) -> PyResult<bool> {
        self.kept.ask(py, |it| it.claim(Duration::from_millis(ms)))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.kept.ask(py, RemoteList::len)? as usize)
    }

    /// The value with an index, or None.
    fn _get<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (at, py) = (args::subscript(index)?, index.py());
        Ok(self.kept.ask(py, |list| list.get(at))?.map(|value| PyBytes::new(py, &value)))
    }

    /// Replaces the value with an index. Whether there is one.
    fn _set(&self, index: &Bound<'_, PyAny>, value: Vec<u8>) -> PyResult<bool> {
        let at = args::subscript(index)?;
        self.kept.ask(index.py(), |list| list.set(at, value))
    }

    /// Removes the value with an index. Whether there was one.
    fn _delete(&self, index: &Bound<'_, PyAny>) -> PyResult<bool> {
        let at = args::subscript(index)?;
        Ok(self.kept.ask(index.py(), |list| list.pop(at))?.is_some())
    }

    /// Removes the value with an index, or the last one, and returns it; None if there is none.
    #[pyo3(signature = (index=Given(None)))]
    fn _pop<'py>(
        &self,
        py: Python<'py>,
        index: Given<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let at = index.0.map_or(Ok(-1), |index| args::number(&index))?;
        Ok(self.kept.ask(py, |list| list.pop(at))?.map(|value| PyBytes::new(py, &value)))
    }

    /// Puts a value before the one with an index.
    fn _insert(&self, index: &Bound<'_, PyAny>, value: &[u8]) -> PyResult<()> {
        let at = args::number(index)?;
        self.kept.ask(index.py(), |list| list.splice(at, at, [value]))
    }

    /// Adds values behind the others.
    fn _extend(&self, py: Python<'_>, values: Messages<'_>) -> PyResult<()> {
        let values = borrowed(&values);
        self.kept.ask(py, |list| list.splice(i64::MAX, i64::MAX, values))
    }

    /// The values from one index to another, with the version and the first one's index.
    #[pyo3(signature = (start=Given(None), stop=Given(None)))]
    fn _between<'py>(
        &self,
        py: Python<'py>,
        start: Given<'_, 'py>,
        stop: Given<'_, 'py>,
    ) -> PyResult<(i64, u64, Messages<'py>)> {
        let start = start.0.map_or(Ok(0), |start| args::bound(&start))?;
        let stop = stop.0.map_or(Ok(i64::MAX), |stop| args::bound(&stop))?;
        let values = self.kept.ask(py, |list| list.slice(start, stop))?;
        Ok((values.version, values.from, given(py, &values.items)))
    }

    /// Some values from an index on, of about so many bytes.
    fn _page<'py>(&self, py: Python<'py>, start: i64, bytes: i64) -> PyResult<Messages<'py>> {
        let page = self.kept.ask(py, |list| list.page(start, i64::MAX, bytes))?;
        Ok(given(py, &page.items))
    }

    /// The values of a slice.
    fn _get_slice<'py>(&self, slice: &Bound<'py, PySlice>) -> PyResult<Messages<'py>> {
        let (py, slice) = (slice.py(), Slice::of(slice)?);
        let values = match slice.bounds() {
            Some((from, to)) => self.kept.ask(py, |list| list.slice(from, to))?.items,
            None => self.kept.ask(py, |list| list.stride(stride(&slice)))?,
        };
        Ok(given(py, &values))
    }

    /// Replaces the values of a slice; None stands for what can't be iterated over.
    #[pyo3(signature = (slice, values))]
    fn _set_slice(&self, slice: &Bound<'_, PySlice>, values: Option<Messages<'_>>) -> PyResult<()> {
        let (py, slice) = (slice.py(), Slice::of(slice)?);
        let Some(values) = &values else { return Err(PyTypeError::new_err(slice.complaint(py))) };
        let values = borrowed(values);
        if let Some((from, to)) = slice.bounds() {
            return self.kept.ask(py, |list| list.splice(from, to, values));
        }
        let len = values.len();
        match self.kept.ask(py, |list| list.set_stride(stride(&slice), values))? {
            Ok(()) => Ok(()),
            Err(wanted) => Err(PyValueError::new_err(format!(
                "attempt to assign sequence of size {len} to extended slice of size {wanted}"
            ))),
        }
    }

    /// Removes the values of a slice.
    fn _delete_slice(&self, slice: &Bound<'_, PySlice>) -> PyResult<()> {
        let (py, slice) = (slice.py(), Slice::of(slice)?);
        match slice.bounds() {
            Some((from, to)) => self.kept.ask(py, |list| list.splice(from, to, [])),
            None => self.kept.ask(py, |list| list.cut_stride(stride(&slice))),
        }
    }

    /// Removes the value with an index, if the list has this version, or if none is given. Whether it has.
    #[pyo3(signature = (index, version))]
    fn _cut(&self, py: Python<'_>, index: i64, version: Option<i64>) -> PyResult<bool> {
        self.kept.ask(py, |list| match version {
            Some(version) => list.cut_if(version, index, index + 1),
            None => list.splice(index, index + 1, []).map(|()| true),
        })
    }

    /// Puts the values in another order, if the list has this version. Whether it has.
    fn _reorder(&self, py: Python<'_>, version: i64, order: Vec<u32>) -> PyResult<bool> {
        self.kept.ask(py, |list| list.reorder(version, &order))
    }

    /// Turns the list round.
    fn _reverse(&self, py: Python<'_>) -> PyResult<()> {
        self.kept.ask(py, RemoteList::reverse)
    }

    /// Makes it so many times as long. Whether that is not too long.
    fn _repeat(&self, times: &Bound<'_, PyAny>) -> PyResult<bool> {
        let n = args::number(times)?;
        self.kept.ask(times.py(), |list| list.repeat(n))
    }

    /// Removes all values.
    fn _clear(&self, py: Python<'_>) -> PyResult<()> {
        self.kept.ask(py, RemoteList::clear)
    }
}

fn stride(slice: &Slice) -> Stride {
    Stride { start: slice.start, stop: slice.stop, step: slice.step }
}
