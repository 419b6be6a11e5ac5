//! What dicts of one process do not have: steps that many processes need.

use procession::collections::{AddError, Datum, FindError, Key};
use pyo3::prelude::*;

use super::super::{Arg, ready, settle};
use super::{Dict, PyDictBase, load, odd};
use crate::blocking::{Patience, Waited};
use crate::codec::Scratch;
use crate::codec::store::{self, Name, Value};
use crate::error::{self, Raise};

pub(super) fn increment<'py>(
    dict: &Dict,
    key: &Bound<'py, PyAny>,
    n: Arg<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    let one = 1i64.into_pyobject(py)?.into_any();
    let n = n.unwrap_or(&one);
    let mut scratch = Scratch::take();
    let name = Name::of(key, dict.policy(), &mut scratch)?;
    let key_there = name.key(&scratch.key);
    if name.is_plain()
        && let Ok(whole) = n.extract::<i64>()
        && !n.is_instance_of::<pyo3::types::PyBool>()
    {
        match dict.add_to(&key_there, whole) {
            Ok(sum) => return Ok(sum.into_pyobject(py)?.into_any()),
            Err(AddError::Find(FindError::Arena(error))) => return Err(error.raise()),
            Err(_) => {}
        }
    }
    let zero = 0i64.into_pyobject(py)?.into_any();
    let add = |old: Option<&Bound<'py, PyAny>>| old.unwrap_or(&zero).add(n).map(Some);
    // There always is a sum.
    Ok(change(dict, key, &name, &key_there, add)?.unwrap_or(zero.clone()))
}

pub(super) fn compare_exchange(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    old: &Bound<'_, PyAny>,
    new: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (mut scratch, mut expected) = (Scratch::take(), Scratch::take());
    let name = Name::of(key, dict.policy(), &mut scratch)?;
    let new_value = Value::of(new, dict.policy(), &mut scratch)?;
    let old_value = Value::of(old, dict.policy(), &mut expected)?;
    let key_there = name.key(&scratch.key);
    if name.is_plain() && old_value.is_plain() {
        let (old, new) = (old_value.datum(&expected.bytes), new_value.datum(&scratch.bytes));
        match dict.compare_exchange(&key_there, Some(&old), Some(&new)) {
            Ok(true) => return Ok(true),
            Ok(false) | Err(FindError::Unsure) => {}
            Err(error) => return Err(error.raise()),
        }
    }
    // Equal values may have other bytes: 1 and 1.0.
    let exchange = |there: Option<&Bound<'_, PyAny>>| match there {
        Some(there) if there.eq(old)? => Ok(Some(new.clone())),
        _ => Ok(None),
    };
    Ok(change(dict, key, &name, &key_there, exchange)?.is_some())
}

/// The new value; None if it was to stay as it is.
type Changed<'py> = Option<Bound<'py, PyAny>>;

/// Replaces the value by what `make` gives for it, as if in one step; None leaves it as it is.
fn change<'py>(
    dict: &Dict,
    key: &Bound<'py, PyAny>,
    name: &Name,
    key_there: &Key<'_>,
    make: impl Fn(Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = key.py();
    settle(py, dict, || {
        let (mut there, mut scratch) = (Scratch::take(), Scratch::take());
        if !name.is_plain() {
            return change_odd(dict, key, name, key_there, &make);
        }
        let found = match dict.get(key_there, &mut there.bytes) {
            Err(FindError::Unsure) => return change_odd(dict, key, name, key_there, &make),
            found => found.map_err(Raise::raise)?,
        };
        let old_bytes = there.bytes.clone();
        let old = found.as_ref().map(|copied| Datum {
            kind: copied.kind,
            bytes: &old_bytes,
            holds: &copied.holds,
        });
        let object = match &found {
            Some(copied) => Some(store::load(py, copied.kind, dict.policy(), &mut there)?),
            None => None,
        };
        let Some(new) = make(object.as_ref())? else {
            return Ok(Some(None));
        };
        let value = Value::of(&new, dict.policy(), &mut scratch)?;
        ready(py, dict)?;
        // It is the bytes that must be the same still: others may change other keys meanwhile.
        match dict.compare_exchange(key_there, old.as_ref(), Some(&value.datum(&scratch.bytes))) {
            Ok(true) => Ok(Some(Some(new))),
            Ok(false) | Err(FindError::Unsure) => Ok(None),
            Err(error) => Err(error.raise()),
        }
    })
}

/// One try, with a key that bytes do not settle.
#[cold]
fn change_odd<'py>(
    dict: &Dict,
    key: &Bound<'py, PyAny>,
    name: &Name,
    key_there: &Key<'_>,
    make: impl Fn(Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>>,
) -> PyResult<Option<Changed<'py>>> {
    let py = key.py();
    let (version, pos) = odd::find(dict, key, name)?;
    ready(py, dict)?;
    let (mut there, mut scratch) = (Scratch::take(), Scratch::take());
    let object = match pos {
        Some(pos) => {
            let found = dict.get_at(version, pos, &mut there.bytes).map_err(Raise::raise)?;
            let Ok(found) = found else {
                return Ok(None);
            };
            load(py, found, dict.policy(), &mut there)?
        }
        None => None,
    };
    let Some(new) = make(object.as_ref())? else {
        return Ok(Some(None));
    };
    let value = Value::of(&new, dict.policy(), &mut scratch)?;
    let value = value.datum(&scratch.bytes);
    ready(py, dict)?;
    let done = match pos {
        Some(pos) => dict.replace_at(version, pos, &value).map(|done| done.is_ok()),
        None => dict.insert_if(version, key_there, &value).map(|done| done.is_ok()),
    };
    Ok(done.map_err(Raise::raise)?.then_some(Some(new)))
}

pub(super) fn wait_for<'py>(
    base: &PyDictBase,
    key: &Bound<'py, PyAny>,
    timeout: Arg,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    let dict = base.dict.free(py)?;
    let patience = Patience::from_args(None, timeout)?;
    loop {
        let since = dict.version();
        if let Some(value) = base.look_up(key)? {
            return Ok(value);
        }
        let changed = || Ok((dict.version() != since).then_some(()));
        let waited = base
            .dict
            .wait(py, patience, changed, |deadline| dict.wait_for_change(since, deadline))?;
        if !matches!(waited, Waited::Done(())) {
            return base.look_up(key)?.ok_or_else(|| error::timed_out(py));
        }
    }
}
