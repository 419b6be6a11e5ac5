//! Keys that bytes do not settle: found by `==`, outside any step, among those with the same hash.
//!
//! What is done with the one that was found is done if nothing was changed meanwhile; else all is done
//! again.

use procession::ArenaError;
use procession::collections::{Copied, Datum, Key, OPAQUE, Outdated};
use pyo3::prelude::*;

use super::super::{ready, settle};
use super::Dict;
use crate::codec::Scratch;
use crate::codec::store::{self, Name};
use crate::error::Raise;

/// Where the key is, and the version at which that is so.
pub(super) fn find(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
) -> PyResult<(u64, Option<u64>)> {
    let py = key.py();
    let keys = if name.hash == OPAQUE {
        dict.key_batch(0, usize::MAX)
    } else {
        dict.candidate_keys(&[name.hash, OPAQUE])
    };
    let keys = keys.map_err(Raise::raise)?;
    let (hash, mut scratch) = (key.hash()?, Scratch::take());
    for item in &keys.items {
        if !store::may_equal(item.key_kind, dict.policy()) {
            continue;
        }
        let stored = &keys.bytes[item.key.clone()];
        let stored = store::load_from(py, item.key_kind, stored, dict.policy(), &mut scratch)?;
        if stored.is(key) || (stored.hash()? == hash && stored.eq(key)?) {
            return Ok((keys.version, Some(item.pos)));
        }
    }
    Ok((keys.version, None))
}

pub(super) fn get(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
    out: &mut Vec<u8>,
) -> PyResult<Option<Copied>> {
    take(dict, key, name, |version, pos| {
        out.clear();
        dict.get_at(version, pos, out)
    })
}

pub(super) fn pop(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
    out: &mut Vec<u8>,
) -> PyResult<Option<Copied>> {
    take(dict, key, name, |version, pos| {
        out.clear();
        dict.remove_at(version, pos, out)
    })
}

/// What `step` takes from where the key is.
fn take(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
    mut step: impl FnMut(u64, u64) -> Result<Result<Option<Copied>, Outdated>, ArenaError>,
) -> PyResult<Option<Copied>> {
    settle(key.py(), dict, || {
        let (version, Some(pos)) = find(dict, key, name)? else {
            return Ok(Some(None));
        };
        ready(key.py(), dict)?;
        Ok(step(version, pos).map_err(Raise::raise)?.ok())
    })
}

pub(super) fn set(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
    key_there: &Key<'_>,
    value: &Datum<'_>,
) -> PyResult<()> {
    settle(key.py(), dict, || {
        let found = find(dict, key, name)?;
        ready(key.py(), dict)?;
        let done = match found {
            (version, Some(pos)) => dict.replace_at(version, pos, value).map(|done| done.is_ok()),
            (version, None) => dict.insert_if(version, key_there, value).map(|done| done.is_ok()),
        };
        Ok(done.map_err(Raise::raise)?.then_some(()))
    })
}

pub(super) fn set_default(
    dict: &Dict,
    key: &Bound<'_, PyAny>,
    name: &Name,
    key_there: &Key<'_>,
    value: &Datum<'_>,
    out: &mut Vec<u8>,
) -> PyResult<Option<Copied>> {
    settle(key.py(), dict, || {
        let found = find(dict, key, name)?;
        ready(key.py(), dict)?;
        match found {
            (version, Some(pos)) => {
                out.clear();
                Ok(dict.get_at(version, pos, out).map_err(Raise::raise)?.ok())
            }
            (version, None) => {
                let done = dict.insert_if(version, key_there, value).map_err(Raise::raise)?;
                Ok(done.is_ok().then_some(None))
            }
        }
    })
}
