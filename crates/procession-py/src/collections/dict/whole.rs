//! What is done with all entries, or with many.

use procession::collections::{Batch, Datum, FindError, Item, Key};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::super::{ready, settle};
use super::{Dict, PyDictBase, odd};
use crate::codec::store::{self, Name, Value};
use crate::codec::{Policy, Scratch};
use crate::error::Raise;

/// Raises TypeError as CPython does.
pub(super) fn at_most_one(method: &str, rest: &Bound<'_, PyTuple>) -> PyResult<()> {
    if rest.len() <= 1 {
        return Ok(());
    }
    let given = rest.len() + 1;
    Err(PyTypeError::new_err(format!("{method} expected at most 2 arguments, got {given}")))
}

/// The arguments of `dict()` and `dict.update()` as a dict.
pub(super) fn gather<'py>(
    method: &str,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = args.py();
    if args.len() > 1 {
        let given = args.len();
        return Err(PyTypeError::new_err(format!(
            "{method} expected at most 1 argument, got {given}"
        )));
    }
    let all = match args.get_item(0) {
        // Another shared dict's entries are taken in one step.
        Ok(other) => {
            if let Ok(other) = other.cast::<PyDictBase>() {
                other.get().copy(py)?
            } else {
                let all = PyDict::new(py);
                all.call_method1("update", (other,))?;
                all
            }
        }
        Err(_) => PyDict::new(py),
    };
    if let Some(kwargs) = kwargs {
        all.update(kwargs.as_mapping())?;
    }
    Ok(all)
}

/// An entry on its way in.
struct Entry<'py> {
    object: Bound<'py, PyAny>,
    name: Name,
    key: Vec<u8>,
    value: Value,
    bytes: Vec<u8>,
}

impl Entry<'_> {
    fn key(&self) -> Key<'_> {
        self.name.key(&self.key)
    }

    fn datum(&self) -> Datum<'_> {
        self.value.datum(&self.bytes)
    }
}

pub(super) fn update(dict: &Dict, new: &Bound<'_, PyDict>) -> PyResult<()> {
    let mut entries = Vec::with_capacity(new.len());
    let mut scratch = Scratch::take();
    // Python code that pickle runs may change `new`: a copy's items.
    for pair in new.items() {
        let (object, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let name = Name::of(&object, dict.policy(), &mut scratch)?;
        let value = Value::of(&value, dict.policy(), &mut scratch)?;
        let (key, bytes) = (scratch.key.clone(), scratch.bytes.clone());
        entries.push(Entry { object, name, key, value, bytes });
    }
    let plain: Vec<_> = entries.iter().map(|entry| (entry.key(), entry.datum())).collect();
    if !entries.iter().all(|entry| entry.name.is_plain()) {
        return update_odd(new.py(), dict, &entries);
    }
    ready(new.py(), dict)?;
    match dict.insert_many(&plain) {
        Ok(()) => Ok(()),
        Err(FindError::Unsure) => update_odd(new.py(), dict, &entries),
        Err(error) => Err(error.raise()),
    }
}

/// All keys are looked up by `==`, at one version.
#[cold]
fn update_odd(py: Python<'_>, dict: &Dict, entries: &[Entry<'_>]) -> PyResult<()> {
    settle(py, dict, || {
        let version = dict.version();
        let mut changes = Vec::with_capacity(entries.len());
        for entry in entries {
            let (seen, pos) = odd::find(dict, &entry.object, &entry.name)?;
            if seen != version {
                return Ok(None);
            }
            changes.push((pos, entry.key(), entry.datum()));
        }
        ready(py, dict)?;
        Ok(dict.update_if(version, &changes).map_err(Raise::raise)?.ok())
    })
}

fn key_of<'py>(
    py: Python<'py>,
    batch: &Batch,
    item: &Item,
    policy: Policy,
    scratch: &mut Scratch,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(store::load_from(py, item.key_kind, &batch.bytes[item.key.clone()], policy, scratch)?)
}

fn value_of<'py>(
    py: Python<'py>,
    batch: &Batch,
    item: &Item,
    policy: Policy,
    scratch: &mut Scratch,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(store::load_from(py, item.kind, &batch.bytes[item.value.clone()], policy, scratch)?)
}

pub(super) fn copy<'py>(py: Python<'py>, dict: &Dict) -> PyResult<Bound<'py, PyDict>> {
    let (all, mut scratch) = (dict.snapshot().map_err(Raise::raise)?, Scratch::take());
    let copy = PyDict::new(py);
    for item in &all.items {
        let key = key_of(py, &all, item, dict.policy(), &mut scratch)?;
        copy.set_item(key, value_of(py, &all, item, dict.policy(), &mut scratch)?)?;
    }
    Ok(copy)
}

pub(super) fn keys<'py>(py: Python<'py>, dict: &Dict) -> PyResult<Bound<'py, PyList>> {
    let (all, mut scratch) =
        (dict.key_batch(0, usize::MAX).map_err(Raise::raise)?, Scratch::take());
    list(py, &all, |item| key_of(py, &all, item, dict.policy(), &mut scratch))
}

pub(super) fn values<'py>(py: Python<'py>, dict: &Dict) -> PyResult<Bound<'py, PyList>> {
    let (all, mut scratch) = (dict.snapshot().map_err(Raise::raise)?, Scratch::take());
    list(py, &all, |item| value_of(py, &all, item, dict.policy(), &mut scratch))
}

pub(super) fn items<'py>(py: Python<'py>, dict: &Dict) -> PyResult<Bound<'py, PyList>> {
    let (all, mut scratch) = (dict.snapshot().map_err(Raise::raise)?, Scratch::take());
    list(py, &all, |item| {
        let key = key_of(py, &all, item, dict.policy(), &mut scratch)?;
        let value = value_of(py, &all, item, dict.policy(), &mut scratch)?;
        Ok(PyTuple::new(py, [key, value])?.into_any())
    })
}

fn list<'py>(
    py: Python<'py>,
    all: &Batch,
    mut each: impl FnMut(&Item) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in &all.items {
        list.append(each(item)?)?;
    }
    Ok(list)
}
