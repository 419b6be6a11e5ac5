//! Reports → results.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use procession::Received;
use procession::pool::{Arrived, Entries, Entry, Report};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::call::{APART, FAILED, KIND, SKIPPED};
use super::core::{Core, Task};
use super::job::{Claim, Job, Outcome};
use crate::codec::{self, DecodeError, Scratch};
use crate::error::Raise;

/// How fast old measurements are forgotten.
const FORGET: f64 = 0.8;

/// Counts a thread that has taken a report and not yet done what it says.
pub(super) struct Collecting<'a>(&'a AtomicUsize);

impl<'a> Collecting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Core {
    /// Takes in all reports that are there.
    pub(super) fn collect(&self, py: Python<'_>) -> PyResult<()> {
        if !self.pool.has_report() {
            return Ok(());
        }
        let mut inline = Vec::new();
        loop {
            let busy = Collecting::begin(&self.collecting);
            let Some(arrived) = self.pool.try_report(&mut inline).map_err(Raise::raise)? else {
                return Ok(());
            };
            self.receive(py, arrived, &inline)?;
            drop(busy);
            self.pump(py)?;
        }
    }

    fn receive(&self, py: Python<'_>, arrived: Arrived, inline: &[u8]) -> PyResult<()> {
        let number = arrived.task;
        match arrived.what {
            Report::Log { finished, elapsed } => {
                self.receive_log(py, number, inline)?;
                if finished {
                    self.finished(number, elapsed, inline.len());
                }
            }
            Report::Single { item, tag, message } => {
                let Some((job, first)) = self.expects(number, item) else {
                    return Ok(());
                };
                let bytes = inline.len() + message.block.as_ref().map_or(0, procession::Block::len);
                self.weigh(bytes);
                let mut scratch = Scratch::take();
                scratch.bytes.extend_from_slice(inline);
                let value = decode(py, message, &mut scratch);
                let outcome = outcome_of(py, tag, value);
                self.outcome(py, number, &job, first, item, outcome)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in the outcomes of a log.
    pub(super) fn receive_log(&self, py: Python<'_>, number: u64, log: &[u8]) -> PyResult<()> {
        let Some((job, first)) = self.job_of(number) else {
            return Ok(());
        };
        let mut scratch = Scratch::take();
        for entry in Entries::new(log) {
            if entry.tag == SKIPPED {
                self.skip(py, number, &job, first, entry.item)?;
            } else if entry.tag == APART {
                self.take_apart(py, number)?;
            } else if self.expects(number, entry.item).is_some() {
                let outcome = read(py, &entry, &mut scratch);
                self.outcome(py, number, &job, first, entry.item, outcome)?;
            }
        }
        Ok(())
    }

    fn job_of(&self, number: u64) -> Option<(Arc<Job>, usize)> {
        let mut state = self.state();
        state.tasks.get(number).map(|task| (Arc::clone(&task.job), task.first))
    }

    fn expects(&self, number: u64, item: u32) -> Option<(Arc<Job>, usize)> {
        let mut state = self.state();
        let task = state.tasks.get(number)?;
        task.lacks(item).then(|| (Arc::clone(&task.job), task.first))
    }

    /// Notes an item's outcome, if it is the first.
    fn outcome(
        &self,
        py: Python<'_>,
        number: u64,
        job: &Arc<Job>,
        first: usize,
        item: u32,
        outcome: Outcome,
    ) -> PyResult<()> {
        let done = {
            let mut state = self.state();
            let Some(task) = state.tasks.get(number) else {
                drop(state);
                return Ok(());
            };
            if !task.note(item) {
                drop(state);
                return Ok(());
            }
            if task.is_done() && task.finished { state.tasks.remove(number) } else { None }
        };
        drop(done);
        self.done_items.fetch_add(1, Ordering::Relaxed);
        self.deliver(py, job, first + item as usize, outcome)
    }

    fn skip(
        &self,
        py: Python<'_>,
        number: u64,
        job: &Arc<Job>,
        first: usize,
        from: u32,
    ) -> PyResult<()> {
        let count = match self.state().tasks.get(number) {
            Some(task) => task.count,
            None => return Ok(()),
        };
        for item in from..count {
            self.outcome(py, number, job, first, item, Outcome::Skipped)?;
        }
        Ok(())
    }

    /// Sends the items of a task that could not be unpacked one by one.
    pub(super) fn take_apart(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        let Some(task) = self.state().tasks.remove(number) else {
            return Ok(());
        };
        for item in (0..task.count).filter(|&item| task.lacks(item)) {
            self.put_back(py, &task, item, 1);
        }
        self.pump(py)
    }

    /// Has items of a task dispatched once more.
    pub(super) fn put_back(&self, py: Python<'_>, task: &Task, from: u32, count: u32) {
        let (from, count) = (from as usize, count as usize);
        let part = |items: &Py<PyList>| items.bind(py).get_slice(from, from + count).unbind();
        let items = task.items.as_ref().map(part);
        task.job.put_back(Claim { first: task.first + from, count, items });
        self.more_work(&task.job);
    }

    /// A worker has done a task, of which it is free.
    fn finished(&self, number: u64, elapsed: Duration, bytes: usize) {
        let ns = elapsed.as_nanos() as f64;
        let done = {
            let mut state = self.state();
            let before = if state.task_ns == 0.0 { ns } else { state.task_ns };
            state.task_ns = before * FORGET + ns * (1.0 - FORGET);
            state.task_bytes = (state.task_bytes * FORGET).max(bytes as f64);
            let Some(task) = state.tasks.get(number) else {
                return;
            };
            task.finished = true;
            task.job.learn(task.count, elapsed);
            if task.is_done() { state.tasks.remove(number) } else { None }
        };
        drop(done);
    }

    fn weigh(&self, bytes: usize) {
        let mut state = self.state();
        state.task_bytes = state.task_bytes.max(bytes as f64);
    }
}

fn decode<'py>(
    py: Python<'py>,
    message: Received,
    scratch: &mut Scratch,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    codec::decode(py, message, scratch)
}

fn read(py: Python<'_>, entry: &Entry<'_>, scratch: &mut Scratch) -> Outcome {
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(entry.bytes);
    outcome_of(py, entry.tag, codec::decode_small(py, entry.tag & KIND, scratch))
}

/// What cannot be unpacked is the item's failure.
fn outcome_of(py: Python<'_>, tag: u8, value: Result<Bound<'_, PyAny>, DecodeError>) -> Outcome {
    match value {
        Ok(value) if tag & FAILED == 0 => Outcome::Good(value.unbind()),
        Ok(value) => Outcome::Failed(value.unbind()),
        Err(error) => Outcome::Failed(PyErr::from(error).into_value(py).into_any()),
    }
}
