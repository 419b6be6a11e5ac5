//! What is done with all values, or with many.

use std::ops::Range;

use procession::collections::{Datum, Values as Copied};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyRange};

use super::super::{Arg, ready, settle, settle_unless};
use super::{List, PyListBase};
use crate::args;
use crate::codec::store::{self, Value};
use crate::codec::{Policy, Scratch};
use crate::error::Raise;

/// Values on their way in.
pub(super) struct Values(Vec<(Value, Vec<u8>)>);

impl Values {
    /// Of all that an iterable gives; of another shared list what it has at one moment.
    pub(super) fn of(values: &Bound<'_, PyAny>, policy: Policy) -> PyResult<Self> {
        let copy;
        let values = match values.cast::<PyListBase>() {
            Ok(list) => {
                copy = list.get().copy(values.py())?.into_any();
                &copy
            }
            Err(_) => values,
        };
        let mut scratch = Scratch::take();
        let one = |value: PyResult<Bound<'_, PyAny>>| {
            let value = Value::of(&value?, policy, &mut scratch)?;
            Ok((value, scratch.bytes.clone()))
        };
        values.try_iter()?.map(one).collect::<PyResult<_>>().map(Self)
    }

    pub(super) fn data(&self) -> Vec<Datum<'_>> {
        self.0.iter().map(|(value, bytes)| value.datum(bytes)).collect()
    }
}

/// One of the values that were copied out.
pub(super) fn object<'py>(
    py: Python<'py>,
    list: &List,
    values: &Copied,
    i: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let (kind, range) = &values.items[i];
    let bytes = &values.bytes[range.clone()];
    Ok(store::load_from(py, *kind, bytes, list.policy(), &mut Scratch::take())?)
}

/// All of them.
pub(super) fn objects<'py>(
    py: Python<'py>,
    list: &List,
    values: &Copied,
) -> PyResult<Bound<'py, PyList>> {
    let objects = PyList::empty(py);
    for i in 0..values.items.len() {
        objects.append(object(py, list, values, i)?)?;
    }
    Ok(objects)
}

/// The index of the first value of a slice that equals this one, and the version at which that is so.
pub(super) fn find(
    list: &List,
    value: &Bound<'_, PyAny>,
    slice: Range<i64>,
) -> PyResult<(u64, Option<u64>)> {
    let values = list.slice(slice.start, slice.end).map_err(Raise::raise)?;
    for i in 0..values.items.len() {
        if object(value.py(), list, &values, i)?.eq(value)? {
            return Ok((values.version, Some(values.from + i as u64)));
        }
    }
    Ok((values.version, None))
}

pub(super) fn index(list: &List, value: &Bound<'_, PyAny>, slice: Range<i64>) -> PyResult<u64> {
    match find(list, value, slice)? {
        (_, Some(index)) => Ok(index),
        _ => Err(PyValueError::new_err(format!("{} is not in list", value.repr()?))),
    }
}

pub(super) fn count(list: &List, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let values = list.snapshot().map_err(Raise::raise)?;
    let mut count = 0;
    for i in 0..values.items.len() {
        count += usize::from(object(value.py(), list, &values, i)?.eq(value)?);
    }
    Ok(count)
}

pub(super) fn remove(list: &List, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, mut last) = (value.py(), 0);
    let remove = || {
        let (version, Some(index)) = find(list, value, 0..i64::MAX)? else {
            return Err(PyValueError::new_err("list.remove(x): x not in list"));
        };
        last = index.cast_signed();
        ready(py, list)?;
        Ok(list.splice_if(version, last, last + 1, &[]).map_err(Raise::raise)?.ok())
    };
    match settle_unless(py, list, remove, 1)? {
        Some(()) => Ok(()),
        // As CPython has it: the comparison has changed the list, and what has that index is removed.
        None => list.splice(last, last + 1, &[]).map_err(Raise::raise),
    }
}

/// `list *= n`.
pub(super) fn repeat(list: &List, n: &Bound<'_, PyAny>) -> PyResult<()> {
    const REF: u64 = size_of::<u64>() as u64;
    let py = n.py();
    PyList::empty(py).into_any().mul(n)?; // says what is wrong with n
    let times = args::number(n)?.max(0).cast_unsigned();
    settle(py, list, || {
        let all = list.snapshot().map_err(Raise::raise)?;
        // More than the arena could ever have is not even gathered.
        let most = list.family().memory_limit() / REF;
        if all.len.checked_mul(times).is_none_or(|len| len > most) {
            return Err(PyMemoryError::new_err(()));
        }
        let values = Values::of(objects(py, list, &all)?.as_any(), list.policy())?;
        let data = values.data().repeat(times as usize);
        ready(py, list)?;
        Ok(list.replace_all(all.version, &data).map_err(Raise::raise)?.ok())
    })
}

pub(super) fn sort(py: Python<'_>, list: &List, key: Arg, reverse: Arg) -> PyResult<()> {
    let sort = || {
        let all = list.snapshot().map_err(Raise::raise)?;
        let keys = objects(py, list, &all)?;
        if let Some(key) = key.filter(|key| !key.is_none()) {
            for i in 0..keys.len() {
                keys.set_item(i, key.call1((keys.get_item(i)?,))?)?;
            }
        }
        let order = PyRange::new(py, 0, keys.len().cast_signed())?.try_iter()?;
        let order = PyList::new(py, order.collect::<PyResult<Vec<_>>>()?)?;
        let how = PyDict::new(py);
        how.set_item(intern!(py, "key"), keys.getattr(intern!(py, "__getitem__"))?)?;
        if let Some(reverse) = reverse {
            how.set_item(intern!(py, "reverse"), reverse)?;
        }
        order.call_method(intern!(py, "sort"), (), Some(&how))?;
        let order: Vec<usize> = order.extract()?;
        ready(py, list)?;
        Ok(list.reorder(all.version, &order).map_err(Raise::raise)?.ok())
    };
    let sorted = settle_unless(py, list, sort, 1)?;
    sorted.ok_or_else(|| PyValueError::new_err("list modified during sort"))
}
