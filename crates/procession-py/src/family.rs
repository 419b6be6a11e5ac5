//! The functions about this process's family and its memory.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

use procession::sync::Ended;
use procession::{Family, FamilyId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::Raise;
use crate::memory;

fn current() -> PyResult<Family> {
    Family::current().map_err(Raise::raise)
}

/// The descriptor of the family's arena, to be inherited by a child; makes the family if there is
/// none.
#[pyfunction]
pub(crate) fn family_fd() -> PyResult<RawFd> {
    Ok(current()?.fd().as_raw_fd())
}

/// Makes this process a member of the family behind an inherited descriptor.
///
/// It must come before anything makes a family. The descriptor stays the caller's.
#[pyfunction]
pub(crate) fn attach_family(fd: RawFd) -> PyResult<()> {
    let own = memory::duplicate(fd)?;
    Family::attach_fd(own).map_err(Raise::raise)?;
    Ok(())
}

/// The family's name in hexadecimal, or None as long as there is none.
#[pyfunction]
pub(crate) fn family_id() -> Option<String> {
    Family::existing().map(|family| family.id().to_string())
}

/// Sets how many bytes the family's arena may take; None is the default limit.
#[pyfunction]
#[pyo3(signature = (limit))]
pub(crate) fn set_memory_limit(limit: Option<u64>) -> PyResult<()> {
    current()?.set_memory_limit(limit);
    Ok(())
}

/// How many bytes the family's arena may take.
#[pyfunction]
pub(crate) fn memory_limit() -> PyResult<u64> {
    Ok(current()?.memory_limit())
}

/// What this process is called, and which families know.
static NAME: Mutex<(Option<String>, Vec<FamilyId>)> = Mutex::new((None, Vec::new()));

/// Names this process for those who look at its families, or take over a lock from it. A family that
/// it comes to later is told at its first lock there.
#[pyfunction]
pub(crate) fn set_name(name: String) {
    procession::remote::set_name(&name);
    *NAME.lock().unwrap_or_else(PoisonError::into_inner) = (Some(name), Vec::new());
    Family::all().into_iter().for_each(introduce);
}

/// Tells the family this process's name, if it was not told yet.
pub(crate) fn introduce(family: Family) {
    let (name, told) = &mut *NAME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = name
        && !told.contains(&family.id())
    {
        family.set_name(name);
        told.push(family.id());
    }
}

/// Notes how a member of the families has ended: its exit code, or a signal's number, negative.
#[pyfunction]
pub(crate) fn record_exit(pid: u32, code: i32) {
    for family in Family::all() {
        let ended = if code < 0 { Ended::Signalled(-code) } else { Ended::Exited(code) };
        family.record_exit(pid, ended);
    }
}

/// Says that this process ends in an orderly way: locks that it holds stay held, reentrant ones
/// are free. Nothing of its families may be used after it.
#[pyfunction]
pub(crate) fn leave_cleanly() {
    Family::all().iter().for_each(Family::leave_cleanly);
}

/// Says that this process ends, however: the last one of a named family removes the meeting place.
#[pyfunction]
pub(crate) fn depart() {
    Family::depart();
}

/// What the family uses: a dict of `arena_bytes`, `idle_bytes`, `limit`, `queues`,
/// `pipes` (directions), `participants`.
#[pyfunction]
pub(crate) fn stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    stats_of(py, current()?)
}

/// The same of any family.
pub(crate) fn stats_of(py: Python<'_>, family: Family) -> PyResult<Bound<'_, PyDict>> {
    let stats = family.stats();
    let participants = PyList::empty(py);
    for participant in &stats.participants {
        let entry = PyDict::new(py);
        entry.set_item("pid", participant.pid)?;
        entry.set_item("serial", participant.serial)?;
        entry.set_item("name", &participant.name)?;
        entry.set_item("waiting_on", participant.waiting_on)?;
        participants.append(entry)?;
    }
    let result = PyDict::new(py);
    result.set_item("arena_bytes", stats.arena_bytes)?;
    result.set_item("idle_bytes", stats.idle_bytes)?;
    result.set_item("limit", stats.limit)?;
    result.set_item("queues", stats.queues)?;
    result.set_item("pipes", stats.pipes)?;
    result.set_item("participants", participants)?;
    Ok(result)
}

/// What is wrong in the arena, as sentences; an empty list means that it is sound. Call it when
/// quiet.
#[pyfunction]
pub(crate) fn check(py: Python<'_>) -> Vec<String> {
    Family::existing().map_or_else(Vec::new, |family| py.detach(|| family.check()))
}
