//! `DictBase`: what a manager's dict is made of.
//!
//! Each operation looks its key up by its bytes. Where the core says that these do not settle it
//! (`Unsure`), [`odd`] compares by `==`.

mod iter;
mod odd;
mod special;
mod whole;

use procession::collections::{Copied, FindError};
use procession::{Family, RawDict};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::{Arg, Kept, note_change};
use crate::args::Given;
use crate::codec::store::{self, Name, Value};
use crate::codec::{self, Policy, Scratch};
use crate::error::Raise;
use crate::lease::PyLease;
use crate::scope::{PyScope, Scoped};

pub(crate) use iter::PyDictIterator;

type Dict = Kept<RawDict>;

/// The native part of a shared dict. Use `procession.Manager().dict()`.
#[pyclass(frozen, subclass, weakref, name = "DictBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyDictBase {
    dict: Scoped<Dict>,
}

#[pymethods]
impl PyDictBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { dict: Scoped::new() }
    }

    /// Makes a new dict.
    fn _create(&self) -> PyResult<()> {
        let family = Family::current().map_err(Raise::raise)?;
        self.dict.begin(Kept::new(RawDict::create(family).map_err(Raise::raise)?.heedless()))
    }

    /// Becomes the dict that a handle names.
    fn _attach(&self, handle: &[u8]) -> PyResult<()> {
        self.dict.begin(Kept::new(RawDict::from_handle(handle).map_err(Raise::raise)?.heedless()))
    }

    /// From now on this process stores plain data only, and unpickles nothing that it finds.
    fn _refuse_pickle(&self) -> PyResult<()> {
        self.dict.still().map(Kept::refuse_pickle)
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> PyResult<bool> {
        Ok(self.policy()? == Policy::PlainOnly)
    }

    /// Makes it one of a manager's.
    fn _belong(&self, scope: &PyScope) -> PyResult<()> {
        self.dict.join(scope)
    }

    /// A few bytes that name the dict anywhere in its family. A message under way in this thread
    /// counts it.
    fn _handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let dict = self.dict.still()?;
        codec::handles::note(|| [dict.lease()]);
        Ok(PyBytes::new(py, &dict.handle()))
    }

    /// An object that keeps the dict alive while it is referenced.
    fn _lease(&self) -> PyResult<PyLease> {
        Ok(PyLease::of(vec![self.dict.still()?.lease()]))
    }

    /// The handle of the dict's own lock.
    fn _lock_handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let lock = self.dict.free(py)?.user_lock().map_err(Raise::raise)?;
        Ok(PyBytes::new(py, &lock.handle()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.dict.free(py)?.len().map_err(Raise::raise)? as usize)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mut scratch = Scratch::take();
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let dict = self.dict.free(key.py())?;
        match by_bytes(&name, || dict.contains(&name.key(&scratch.key))) {
            Ok(found) => Ok(found),
            Err(FindError::Unsure) => Ok(odd::find(dict, key, &name)?.1.is_some()),
            Err(error) => Err(error.raise()),
        }
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.look_up(key)?.ok_or_else(|| missing(key))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut scratch = Scratch::take();
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let value = Value::of(value, self.policy()?, &mut scratch)?;
        let dict = self.changing(key.py())?;
        let (key_there, value) = (name.key(&scratch.key), value.datum(&scratch.bytes));
        match by_bytes(&name, || dict.insert(&key_there, &value, None)) {
            Ok(_) => Ok(()),
            Err(FindError::Unsure) => odd::set(dict, key, &name, &key_there, &value),
            Err(error) => Err(error.raise()),
        }
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut scratch = Scratch::take();
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let dict = self.changing(key.py())?;
        let removed = match by_bytes(&name, || dict.remove(&name.key(&scratch.key))) {
            Err(FindError::Unsure) => odd::pop(dict, key, &name, &mut scratch.bytes)?.is_some(),
            removed => removed.map_err(Raise::raise)?,
        };
        if removed { Ok(()) } else { Err(missing(key)) }
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<PyDictIterator> {
        PyDictIterator::over(slf, slf.get().dict.free(slf.py())?)
    }

    /// Iterates over the keys, the newest first, as they are now.
    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let keys = slf.get().keys(slf.py())?;
        keys.reverse()?;
        Ok(keys.try_iter()?.into_any())
    }

    /// The value for key, or default.
    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = self.look_up(key)?.or(default);
        Ok(found.unwrap_or_else(|| key.py().None().into_bound(key.py())))
    }

    /// Removes key and returns its value; default, or KeyError, if there is none.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut scratch = Scratch::take();
        whole::at_most_one("pop", default)?;
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let dict = self.changing(key.py())?;
        scratch.bytes.clear();
        let scratch_parts = &mut *scratch;
        let popped = match by_bytes(&name, || {
            dict.pop(&name.key(&scratch_parts.key), &mut scratch_parts.bytes)
        }) {
            Err(FindError::Unsure) => odd::pop(dict, key, &name, &mut scratch.bytes)?,
            popped => popped.map_err(Raise::raise)?,
        };
        match (load(key.py(), popped, dict.policy(), &mut scratch)?, default.len()) {
            (Some(value), _) => Ok(value),
            (None, 0) => Err(missing(key)),
            (None, _) => default.get_item(0),
        }
    }

    /// Removes the newest entry and returns it as (key, value).
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (dict, mut scratch) = (self.changing(py)?, Scratch::take());
        let parts = &mut *scratch;
        let popped = dict.pop_last(&mut parts.key, &mut parts.bytes).map_err(Raise::raise)?;
        let Some((key_kind, copied)) = popped else {
            return Err(PyKeyError::new_err("popitem(): dictionary is empty"));
        };
        let value = store::load(py, copied.kind, dict.policy(), &mut scratch)?;
        let parts = &mut *scratch;
        std::mem::swap(&mut parts.key, &mut parts.bytes);
        let key = store::load(py, key_kind, dict.policy(), &mut scratch)?;
        PyTuple::new(py, [key, value])
    }

    /// The value for key, which is set to default if there is none.
    #[pyo3(signature = (key, default=None, /))]
    fn setdefault<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let default = default.unwrap_or_else(|| py.None().into_bound(py));
        let mut scratch = Scratch::take();
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let dict = self.changing(key.py())?;
        let value = Value::of(&default, self.policy()?, &mut scratch)?;
        let mut found = Scratch::take();
        let (key_there, value) = (name.key(&scratch.key), value.datum(&scratch.bytes));
        let there = match by_bytes(&name, || dict.set_default(&key_there, &value, &mut found.bytes))
        {
            Err(FindError::Unsure) => {
                odd::set_default(dict, key, &name, &key_there, &value, &mut found.bytes)?
            }
            there => there.map_err(Raise::raise)?,
        };
        Ok(load(py, there, dict.policy(), &mut found)?.unwrap_or(default))
    }

    /// Sets all entries of a mapping or of an iterable of pairs, and those given by keyword, in one
    /// step: all of them, or none if it fails.
    #[pyo3(signature = (*args, **kwargs))]
    fn update(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let new = whole::gather("update", args, kwargs)?;
        whole::update(self.changing(args.py())?, &new)
    }

    /// Removes all entries.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.changing(py)?.clear().map_err(Raise::raise)
    }

    /// A dict of this process's with the same entries, as they are at one moment.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        whole::copy(py, self.dict.free(py)?)
    }

    /// A list of the keys.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        whole::keys(py, self.dict.free(py)?)
    }

    /// A list of the values.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        whole::values(py, self.dict.free(py)?)
    }

    /// A list of (key, value).
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        whole::items(py, self.dict.free(py)?)
    }

    /// Adds n to the value for key, which is 0 if there is none, in one step; returns the sum.
    #[pyo3(signature = (key, n=Given(None)), text_signature = "($self, key, n=1)")]
    fn increment<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        n: Given<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        special::increment(self.changing(key.py())?, key, n.0.as_deref())
    }

    /// Sets the value for key to new if it equals old, in one step. Whether it did.
    fn compare_exchange(
        &self,
        key: &Bound<'_, PyAny>,
        old: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        special::compare_exchange(self.changing(key.py())?, key, old, new)
    }

    /// Waits until there is a value for key, at most timeout seconds, and returns it.
    ///
    /// multiprocessing.TimeoutError if none came.
    #[pyo3(signature = (key, timeout=None))]
    fn wait_for<'py>(&self, key: &Bound<'py, PyAny>, timeout: Arg) -> PyResult<Bound<'py, PyAny>> {
        special::wait_for(self, key, timeout)
    }

    /// What is wrong in it, as sentences. For tests.
    fn _check(&self) -> PyResult<Vec<String>> {
        self.dict.held()?.check().map_err(Raise::raise)
    }
}

impl PyDictBase {
    #[inline]
    fn policy(&self) -> PyResult<Policy> {
        self.dict.still().map(Kept::policy)
    }

    /// The dict, to be changed.
    #[inline]
    fn changing(&self, py: Python<'_>) -> PyResult<&Dict> {
        let dict = self.dict.free(py)?;
        note_change(dict);
        Ok(dict)
    }

    /// The value for a key.
    #[inline]
    fn look_up<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut scratch = Scratch::take();
        let name = Name::of(key, self.policy()?, &mut scratch)?;
        let dict = self.dict.free(key.py())?;
        scratch.bytes.clear();
        let parts = &mut *scratch;
        let found = match by_bytes(&name, || dict.get(&name.key(&parts.key), &mut parts.bytes)) {
            Err(FindError::Unsure) => odd::get(dict, key, &name, &mut scratch.bytes)?,
            found => found.map_err(Raise::raise)?,
        };
        load(key.py(), found, dict.policy(), &mut scratch)
    }
}

/// What is done with a key that its bytes settle.
#[inline]
fn by_bytes<T>(name: &Name, act: impl FnOnce() -> Result<T, FindError>) -> Result<T, FindError> {
    if name.is_plain() { act() } else { Err(FindError::Unsure) }
}

/// The value that was copied to `scratch.bytes`. What the handles in it name lives until it is there.
#[inline]
fn load<'py>(
    py: Python<'py>,
    copied: Option<Copied>,
    policy: Policy,
    scratch: &mut Scratch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match copied {
        Some(copied) => Ok(Some(store::load(py, copied.kind, policy, scratch)?)),
        None => Ok(None),
    }
}

#[cold]
fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}
