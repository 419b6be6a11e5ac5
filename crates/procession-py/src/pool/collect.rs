//! Reports → results.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use procession::End;
use procession::pool::{Arrived, Entries, Entry, Report};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::call::{APART, FAILED, KIND, SKIPPED};
use super::core::Core;
use super::gather::{Batch, Outcome};
use super::is_interrupt;
use super::job::{Claim, Job};
use super::tasks::Task;
use crate::blocking;
use crate::codec::{self, DecodeError, Policy, Scratch};
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

/// A task whose report came in.
struct Expected {
    job: Arc<Job>,
    first: usize,
    count: u32,
}

/// What came in of it.
struct Outcomes<'a> {
    expected: &'a Expected,
    fresh: Vec<Batch>,
    /// Ctrl-C was pressed meanwhile.
    interrupt: Option<PyErr>,
}

impl<'a> Outcomes<'a> {
    fn new(expected: &'a Expected) -> Self {
        Self { expected, fresh: Vec::new(), interrupt: None }
    }

    /// Of one item. What cannot be unpacked is the item's failure.
    fn add(
        &mut self,
        py: Python<'_>,
        item: u32,
        tag: u8,
        value: Result<Bound<'_, PyAny>, DecodeError>,
    ) {
        let outcome = match value {
            Ok(value) if tag & FAILED == 0 => Outcome::Good(value.unbind()),
            Ok(value) => Outcome::Failed(value.unbind()),
            Err(error) => {
                let error = PyErr::from(error);
                if is_interrupt(py, &error) {
                    self.interrupt = Some(error.clone_ref(py));
                }
                Outcome::Failed(error.into_value(py).into_any())
            }
        };
        self.fresh.push(Batch::One(self.expected.first + item as usize, outcome));
    }
}

impl Expected {
    /// Takes in a run. If it cannot be read on, where its items end is not known: all that have no
    /// outcome share the error then.
    fn read_run(
        &self,
        py: Python<'_>,
        entry: &Entry<'_>,
        scratch: &mut Scratch,
        came: &mut Vec<Batch>,
    ) {
        scratch.bytes.clear();
        scratch.bytes.extend_from_slice(entry.bytes);
        let failed = entry.tag & FAILED != 0;
        let mut values = Vec::with_capacity(entry.bytes.len() / 2);
        let read = codec::decode_run(py, scratch, |value| values.push(value.unbind()));
        let first = entry.item as usize;
        let next = first + values.len();
        if failed {
            let each = (first..).zip(values);
            came.extend(each.map(|(item, error)| Batch::One(item, Outcome::Failed(error))));
        } else {
            came.push(Batch::Run(first, values));
        }
        if let Err(error) = read {
            let error = PyErr::from(error).into_value(py).into_any();
            let rest = next..self.count as usize;
            came.extend(rest.map(|at| Batch::One(at, Outcome::Failed(error.clone_ref(py)))));
        }
    }
}

impl Core {
    /// Takes in all reports that are there.
    pub(super) fn collect(&self, py: Python<'_>) -> PyResult<()> {
        self.check_home()?;
        if !self.pool.has_report() {
            return Ok(());
        }
        let mut inline = Vec::new();
        loop {
            blocking::settle(py, &self.pool, End::Head)?;
            let busy = Collecting::begin(&self.collecting);
            let Some(arrived) = self.pool.try_report(&mut inline).map_err(Raise::raise)? else {
                return Ok(());
            };
            self.receive(py, arrived, &inline, busy)?;
            self.pump(py)?;
        }
    }

    fn receive(
        &self,
        py: Python<'_>,
        arrived: Arrived,
        inline: &[u8],
        busy: Collecting<'_>,
    ) -> PyResult<()> {
        let number = arrived.task;
        match arrived.what {
            Report::Log { finished, elapsed } => {
                self.receive_log(py, number, inline, Some(busy))?;
                if finished {
                    self.finished(number, elapsed, inline.len());
                }
            }
            Report::Single { item, tag, message } => {
                let Some(expected) = self.expected(number) else {
                    return Ok(());
                };
                if !self.note(number, |task| task.note(item)).unwrap_or(false) {
                    return Ok(());
                }
                drop(busy); // from here on Python code may run
                let bytes = inline.len() + message.block.as_ref().map_or(0, procession::Block::len);
                self.weigh(bytes);
                expected.job.weigh(1, bytes);
                let mut scratch = Scratch::take();
                scratch.bytes.extend_from_slice(inline);
                let mut outcomes = Outcomes::new(&expected);
                let value = codec::decode(py, message, Policy::Anything, &mut scratch);
                drop(scratch);
                outcomes.add(py, item, tag, value);
                self.give(py, outcomes)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in the outcomes of a log. `busy` ends when it is noted whose they are.
    pub(super) fn receive_log(
        &self,
        py: Python<'_>,
        number: u64,
        log: &[u8],
        busy: Option<Collecting<'_>>,
    ) -> PyResult<()> {
        let Some(expected) = self.expected(number) else {
            return Ok(());
        };
        let (mut came, mut others, mut apart) = (Vec::new(), Vec::new(), false);
        let mut scratch = Scratch::take();
        for entry in Entries::new(log) {
            let item = entry.item as usize;
            match entry.tag {
                SKIPPED => {
                    let rest = item..expected.count as usize;
                    came.extend(rest.map(|item| Batch::One(item, Outcome::Skipped)));
                }
                APART => apart = true,
                _ if entry.is_run => expected.read_run(py, &entry, &mut scratch, &mut came),
                _ => others.push(entry),
            }
        }
        let mut outcomes = Outcomes::new(&expected);
        let mut surplus = Vec::new();
        self.note(number, |task| {
            for batch in came.drain(..) {
                batch.note(task, expected.first, &mut outcomes.fresh, &mut surplus);
            }
            others.retain(|entry| task.note(entry.item));
        });
        drop((came, surplus));
        drop(busy); // from here on Python code may run
        for entry in others {
            scratch.bytes.clear();
            scratch.bytes.extend_from_slice(entry.bytes);
            let value = codec::decode_small(py, entry.tag & KIND, Policy::Anything, &mut scratch);
            outcomes.add(py, entry.item, entry.tag, value);
        }
        drop(scratch);
        self.give(py, outcomes)?;
        if apart { self.take_apart(py, number) } else { Ok(()) }
    }

    fn expected(&self, number: u64) -> Option<Expected> {
        let mut state = self.state();
        state.tasks.get_mut(&number).map(|task| Expected {
            job: Arc::clone(&task.job),
            first: task.first,
            count: task.count,
        })
    }

    /// Notes which of a task's items have an outcome now. None if it is not under way any more.
    fn note<T>(&self, number: u64, note: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut state = self.state();
        let task = state.tasks.get_mut(&number)?;
        let noted = note(task);
        let over = task.is_done() && task.finished;
        let done = if over { state.tasks.remove(&number) } else { None };
        drop(state);
        drop(done);
        Some(noted)
    }

    /// Gives outcomes to their call, once it is noted that they are there.
    fn give(&self, py: Python<'_>, outcomes: Outcomes<'_>) -> PyResult<()> {
        let Outcomes { expected, fresh, interrupt } = outcomes;
        let items: usize = fresh.iter().map(Batch::len).sum();
        if items > 0 {
            self.done_items.fetch_add(items as u64, Ordering::Relaxed);
            self.deliver(py, &expected.job, fresh)?;
        }
        interrupt.map_or(Ok(()), Err)
    }

    /// Sends the items of a task that could not be unpacked one by one.
    pub(super) fn take_apart(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        let Some(task) = self.state().tasks.remove(&number) else {
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
            let Some(task) = state.tasks.get_mut(&number) else {
                return;
            };
            task.finished = true;
            task.job.learn(task.count, elapsed);
            if task.is_done() { state.tasks.remove(&number) } else { None }
        };
        drop(done);
    }

    fn weigh(&self, bytes: usize) {
        let mut state = self.state();
        state.task_bytes = state.task_bytes.max(bytes as f64);
    }
}
