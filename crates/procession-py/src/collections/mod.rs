//! Dicts and lists in shared memory: what `procession.managers`' proxies are made of.
//!
//! Python code, a key's `__eq__` or what pickle runs, never runs inside a step of the core's: objects
//! are encoded before, decoded after, and compared in between, with the collection's version to say
//! whether the comparison still holds ([`settle`]).

mod dict;
mod list;

use std::cell::RefCell;
use std::mem;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procession::collections::Claim;
use procession::{ArenaError, End, RawDict, RawList, RawPriorityQueue};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::args::Arg;
use crate::blocking::{self, Ends};
use crate::codec::Policy;
use crate::error::Raise;

pub(crate) use dict::{PyDictBase, PyDictIterator};
pub(crate) use list::{PyListBase, PyListIterator, Slice};

/// What is changed in steps: a dict, a list, a queue that is ordered by Python.
pub(crate) trait Collection: Ends {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError>;
    fn handle(&self) -> Vec<u8>;
}

impl Collection for RawDict {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.claim(patience)
    }

    fn handle(&self) -> Vec<u8> {
        self.handle()
    }
}

impl Collection for RawList {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.claim(patience)
    }

    fn handle(&self) -> Vec<u8> {
        self.handle()
    }
}

impl Collection for RawPriorityQueue {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.claim(patience)
    }

    fn handle(&self) -> Vec<u8> {
        self.handle()
    }
}

/// A collection as a class keeps it: with what it lets in and out.
#[derive(Debug)]
struct Kept<T> {
    raw: T,
    plain_only: AtomicBool,
}

impl<T> Kept<T> {
    fn new(raw: T) -> Self {
        Self { raw, plain_only: AtomicBool::new(false) }
    }

    fn refuse_pickle(&self) {
        self.plain_only.store(true, Ordering::Release);
    }

    #[inline]
    fn policy(&self) -> Policy {
        Policy::plain_only(self.plain_only.load(Ordering::Relaxed))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.raw
    }
}

impl<T: Ends> Ends for Kept<T> {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        self.raw.is_stuck(end)
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.raw.settle(end)
    }
}

impl<T: Collection> Collection for Kept<T> {
    fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        self.raw.claim(patience)
    }

    fn handle(&self) -> Vec<u8> {
        self.raw.handle()
    }
}

/// How often an operation is tried before the others are asked to wait for it.
const TRIES: u32 = 4;
const FIRST_CLAIM: Duration = Duration::from_millis(20);
const LONGEST_CLAIM: Duration = Duration::from_secs(10);
/// How often the Python code that an operation runs may change what it is about.
const OWN_CHANGES: u32 = 1000;

thread_local! {
    /// What this thread's operations under way are about, and whether Python code that they ran has
    /// changed it.
    static UNDER_WAY: RefCell<Vec<(Vec<u8>, bool)>> = const { RefCell::new(Vec::new()) };
}

/// An operation that may run Python code, until it is dropped.
struct UnderWay;

impl UnderWay {
    fn begin(collection: &impl Collection) -> Self {
        UNDER_WAY.with_borrow_mut(|all| all.push((collection.handle(), false)));
        Self
    }

    /// Whether its own Python code has changed the collection since this was last asked.
    fn has_changed_it() -> bool {
        UNDER_WAY.with_borrow_mut(|all| all.last_mut().is_some_and(|(_, own)| mem::take(own)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.with_borrow_mut(Vec::pop);
    }
}

/// An operation is about to change the collection: perhaps from within another one.
#[inline]
pub(crate) fn note_change(collection: &impl Collection) {
    UNDER_WAY.with_borrow_mut(|all| {
        if !all.is_empty() {
            let handle = collection.handle();
            all.iter_mut().filter(|(known, _)| *known == handle).for_each(|(_, own)| *own = true);
        }
    });
}

/// Before a step: waits, without the interpreter, for one who was stopped in the middle of another.
#[inline]
fn ready(py: Python<'_>, collection: &impl Collection) -> PyResult<()> {
    blocking::settle(py, collection, End::Head)
}

/// Tries until it works: `attempt` gives None if the collection was changed in the middle. If others
/// change it all the time they are asked to wait, for longer and longer.
pub(crate) fn settle<T>(
    py: Python<'_>,
    collection: &impl Collection,
    attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<T> {
    settle_unless(py, collection, attempt, OWN_CHANGES)?.ok_or_else(|| {
        PyRuntimeError::new_err("it was changed again and again by the comparisons that it needs")
    })
}

/// The same; None if the Python code that it runs has changed the collection so often.
fn settle_unless<T>(
    py: Python<'_>,
    collection: &impl Collection,
    mut attempt: impl FnMut() -> PyResult<Option<T>>,
    own_changes: u32,
) -> PyResult<Option<T>> {
    let _under_way = UnderWay::begin(collection);
    let (mut tries, mut own, mut patience, mut claim) = (0, 0, FIRST_CLAIM, None);
    loop {
        ready(py, collection)?;
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
        py.check_signals()?;
        if UnderWay::has_changed_it() {
            own += 1;
            if own >= own_changes {
                return Ok(None);
            }
            continue;
        }
        tries += 1;
        if tries >= TRIES {
            drop(claim.take());
            claim = collection.claim(patience).map_err(Raise::raise)?;
            if claim.is_some() {
                patience = LONGEST_CLAIM.min(2 * patience);
            }
        }
    }
}
