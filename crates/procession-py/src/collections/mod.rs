//! Dicts and lists in shared memory: what `procession.managers`' proxies are made of.
//!
//! Python code, a key's `__eq__` or what pickle runs, never runs inside a step of the core's: objects
//! are encoded before, decoded after, and compared in between, with the collection's version to say
//! whether the comparison still holds ([`settle`]).

mod dict;
mod list;

use std::time::{Duration, Instant};

use procession::collections::Claim;
use procession::{ArenaError, RawDict, RawList};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::Raise;

pub(crate) use dict::{PyDictBase, PyDictIterator};
pub(crate) use list::{PyListBase, PyListIterator};

/// An optional argument.
type Arg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// What can be claimed.
trait Claimable {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError>;
}

impl Claimable for RawDict {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.claim(patience)
    }
}

impl Claimable for RawList {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.claim(patience)
    }
}

/// How often an operation is tried before the others are asked to wait for it.
const TRIES: u32 = 4;
/// How often it may fail while they wait, before it is an error.
const IN_VAIN: u32 = 16;
const FIRST_CLAIM: Duration = Duration::from_millis(20);
const LONGEST_CLAIM: Duration = Duration::from_secs(10);

/// Tries until it works: `attempt` gives None if the collection was changed in the middle. If others
/// change it all the time they are asked to wait, for longer and longer.
fn settle<T>(
    py: Python<'_>,
    collection: &impl Claimable,
    attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<T> {
    settle_unless(py, collection, attempt, IN_VAIN)?.ok_or_else(|| {
        PyRuntimeError::new_err("it was changed again and again by the comparisons that it needs")
    })
}

/// The same; None if it was changed so often while the others waited: then it is this thread's doing.
fn settle_unless<T>(
    py: Python<'_>,
    collection: &impl Claimable,
    mut attempt: impl FnMut() -> PyResult<Option<T>>,
    limit: u32,
) -> PyResult<Option<T>> {
    for _ in 0..TRIES {
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
    }
    let (mut patience, mut in_vain) = (FIRST_CLAIM, 0);
    loop {
        py.check_signals()?;
        let claim = collection.claim(patience).map_err(Raise::raise)?;
        let since = Instant::now();
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
        if claim.is_some() {
            in_vain += u32::from(since.elapsed() < patience / 2);
            patience = LONGEST_CLAIM.min(2 * patience);
        }
        if in_vain >= limit {
            return Ok(None);
        }
    }
}
