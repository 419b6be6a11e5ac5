//! `ListBase`: what a manager's list is made of.

mod iter;
mod slice;
mod whole;

use procession::{Family, RawList};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySlice, PyTuple};

use super::{Arg, Kept, note_change};
use crate::args::{self, Given};
use crate::codec::store::{self, Value};
use crate::codec::{self, Policy, Scratch};
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

pub(crate) use iter::PyListIterator;
pub(crate) use slice::Slice;

type List = Kept<RawList>;

/// The native part of a shared list. Use `procession.Manager().list()`.
#[pyclass(frozen, subclass, weakref, name = "ListBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyListBase {
    list: Scoped<List>,
}

#[pymethods]
impl PyListBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { list: Scoped::new() }
    }

    /// Makes a new list.
    fn _create(&self) -> PyResult<()> {
        let family = Family::current().map_err(Raise::raise)?;
        self.list.begin(Kept::new(RawList::create(family).map_err(Raise::raise)?.heedless()))
    }

    /// Becomes the list that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.list.begin(Kept::new(RawList::from_handle(handle).map_err(Raise::raise)?.heedless()))
    }

    /// From now on this process stores plain data only, and unpickles nothing that it finds.
    fn _refuse_pickle(&self) -> PyResult<()> {
        self.list.still().map(Kept::refuse_pickle)
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> PyResult<bool> {
        Ok(self.policy()? == Policy::PlainOnly)
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.list.join(scope)
    }

    /// A few bytes that name the list anywhere in its family. A message under way in this thread
    /// counts it.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let list = self.list.still()?;
        codec::handles::note(|| [list.lease()]);
        Ok(PyBytes::new(py, &list.handle()))
    }

    /// An object that keeps the list alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.list.still()?.lease()]))
    }

    /// The handle of the list's own lock.
    fn _lock_handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let lock = self.list.free(py)?.user_lock().map_err(Raise::raise)?;
        Ok(PyBytes::new(py, &lock.handle()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.list.free(py)?.len().map_err(Raise::raise)? as usize)
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let list = self.list.free(index.py())?;
        if let Ok(slice) = index.cast_exact::<PySlice>() {
            return Ok(slice::get(list, slice)?.into_any());
        }
        let (at, mut scratch) = (args::subscript(index)?, Scratch::take());
        match list.get(at, &mut scratch.bytes).map_err(Raise::raise)? {
            Some(copied) => Ok(store::load(index.py(), copied.kind, list.policy(), &mut scratch)?),
            None => Err(PyIndexError::new_err("list index out of range")),
        }
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(slice) = index.cast_exact::<PySlice>() {
            return slice::set(self.changing(index.py())?, slice, value);
        }
        let (at, mut scratch) = (args::subscript(index)?, Scratch::take());
        let value = Value::of(value, self.policy()?, &mut scratch)?;
        let list = self.changing(index.py())?;
        if list.set(at, &value.datum(&scratch.bytes)).map_err(Raise::raise)? {
            return Ok(());
        }
        Err(PyIndexError::new_err("list assignment index out of range"))
    }

    fn __delitem__(&self, index: &Bound<'_, PyAny>) -> PyResult<()> {
        let list = self.changing(index.py())?;
        if let Ok(slice) = index.cast_exact::<PySlice>() {
            return slice::delete(list, slice);
        }
        let at = args::subscript(index)?;
        match list.pop(at, &mut Scratch::take().bytes).map_err(Raise::raise)? {
            Some(_) => Ok(()),
            None => Err(PyIndexError::new_err("list assignment index out of range")),
        }
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(whole::find(self.list.free(value.py())?, value, 0..i64::MAX)?.1.is_some())
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyListIterator {
        PyListIterator::over(slf)
    }

    /// Iterates over the values, the last first, as they are now.
    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = self.copy(py)?;
        values.reverse()?;
        Ok(values.try_iter()?.into_any())
    }

    fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let other = match other.cast::<Self>() {
            Ok(other) => other.get().copy(py)?.into_any(),
            Err(_) => other.clone(),
        };
        self.copy(py)?.into_any().add(other)
    }

    fn __iadd__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.extend(other)
    }

    fn __mul__<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.copy(n.py())?.into_any().mul(n)
    }

    fn __rmul__<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.__mul__(n)
    }

    fn __imul__(&self, n: &Bound<'_, PyAny>) -> PyResult<()> {
        whole::repeat(self.changing(n.py())?, n)
    }

    /// Adds a value behind the others.
    fn append(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut scratch = Scratch::take();
        let stored = Value::of(value, self.policy()?, &mut scratch)?;
        let list = self.changing(value.py())?;
        list.push(&stored.datum(&scratch.bytes)).map_err(Raise::raise)
    }

    /// Adds all values of an iterable behind the others, in one step.
    fn extend(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let all = whole::Values::of(values, self.policy()?)?;
        self.changing(values.py())?.extend(&all.data()).map_err(Raise::raise)
    }

    /// Puts a value before the one with this index.
    fn insert(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut scratch = Scratch::take();
        let at = args::number(index)?;
        let stored = Value::of(value, self.policy()?, &mut scratch)?;
        let list = self.changing(value.py())?;
        list.insert(at, &stored.datum(&scratch.bytes)).map_err(Raise::raise)
    }

    /// Removes the value with this index, which is the last one's if none is given, and returns it.
    #[pyo3(signature = (index=Given(None), /), text_signature = "($self, index=-1, /)")]
    fn pop<'py>(&self, py: Python<'py>, index: Given<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let (list, mut scratch) = (self.changing(py)?, Scratch::take());
        let at = index.0.map_or(Ok(-1), |index| args::number(&index))?;
        match list.pop(at, &mut scratch.bytes).map_err(Raise::raise)? {
            Some(copied) => Ok(store::load(py, copied.kind, list.policy(), &mut scratch)?),
            None if list.is_empty().map_err(Raise::raise)? => {
                Err(PyIndexError::new_err("pop from empty list"))
            }
            None => Err(PyIndexError::new_err("pop index out of range")),
        }
    }

    /// Removes the first value that equals this one. ValueError if there is none.
    fn remove(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        whole::remove(self.changing(value.py())?, value)
    }

    /// The index of the first value that equals this one, from start on and before stop. ValueError if
    /// there is none.
    #[pyo3(signature = (value, start=Given(None), stop=Given(None), /))]
    fn index(
        &self,
        value: &Bound<'_, PyAny>,
        start: Given<'_, '_>,
        stop: Given<'_, '_>,
    ) -> PyResult<u64> {
        let start = start.0.map_or(Ok(0), |start| args::bound(&start))?;
        let stop = stop.0.map_or(Ok(i64::MAX), |stop| args::bound(&stop))?;
        whole::index(self.list.free(value.py())?, value, start..stop)
    }

    /// How many values equal this one.
    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        whole::count(self.list.free(value.py())?, value)
    }

    /// Turns the list round, in one step.
    fn reverse(&self, py: Python<'_>) -> PyResult<()> {
        self.changing(py)?.reverse().map_err(Raise::raise)
    }

    /// Sorts the list, in one step: the smallest first, or the greatest if reverse is true, by what key
    /// makes of each value.
    #[pyo3(signature = (*, key=None, reverse=None), text_signature = "($self, *, key=None, reverse=False)")]
    fn sort(&self, py: Python<'_>, key: Arg, reverse: Arg) -> PyResult<()> {
        whole::sort(py, self.changing(py)?, key, reverse)
    }

    /// Removes all values.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.changing(py)?.clear().map_err(Raise::raise)
    }

    /// A list of this process's with the same values, as they are at one moment.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = self.list.free(py)?;
        whole::objects(py, list, &list.snapshot().map_err(Raise::raise)?)
    }

    /// What is wrong in it, as sentences. For tests.
    fn _check(&self) -> PyResult<Vec<String>> {
        self.list.held()?.check().map_err(Raise::raise)
    }
}

impl PyListBase {
    #[inline]
    fn policy(&self) -> PyResult<Policy> {
        self.list.still().map(Kept::policy)
    }

    /// The list, to be changed.
    #[inline]
    fn changing(&self, py: Python<'_>) -> PyResult<&List> {
        let list = self.list.free(py)?;
        note_change(list);
        Ok(list)
    }
}
