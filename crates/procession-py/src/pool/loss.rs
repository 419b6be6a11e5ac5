//! Workers that ended: what they had done counts, what they were at is lost, the rest goes to others.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use procession::pool::{Phase, Step};
use pyo3::prelude::*;

use super::core::Core;
use super::gather::{Batch, Outcome};
use super::tasks::Task;
use crate::error::Raise;

/// A thread that notes whose outcomes a report has is waited for: it runs no Python code, so this is
/// for the case that it was killed by an error.
const SETTLES: Duration = Duration::from_secs(10);

/// How a worker ended.
pub(super) struct End<'a, 'py> {
    pub(super) index: u32,
    pub(super) pid: u32,
    pub(super) exitcode: Option<i32>,
    /// `lost(name, item, pid, exitcode, timeout)` gives the exception of an item.
    pub(super) lost: &'a Bound<'py, PyAny>,
}

impl Core {
    /// Workers that have been at an item for longer than its call allows. Each is condemned: it
    /// does nothing after that item, and is to be killed.
    pub(super) fn overdue(&self) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for index in 0..self.pool.workers() {
            let view = self.pool.view(index);
            let Some(number) = view.task else { continue };
            let mut state = self.state();
            let limit = state.tasks.get_mut(&number).and_then(|task| task.job.timeout);
            if limit.is_some_and(|limit| Duration::from_millis(view.age_ms) > limit)
                && view.step != Step::Nowhere
                && self.pool.condemn(index, number, view.step)
            {
                state.condemned.insert(index, number);
                found.push((index, view.pid));
            }
        }
        found
    }

    /// Whether some call under way has a time limit: the shortest.
    pub(super) fn shortest_timeout(&self) -> Option<Duration> {
        self.state().jobs.iter().filter_map(|job| job.timeout).min()
    }

    /// Sees to what a worker has left whose process has ended.
    pub(super) fn bury(&self, py: Python<'_>, end: &End<'_, '_>) -> PyResult<Phase> {
        self.collect(py)?;
        // A report that another thread has taken counts as well.
        let deadline = Instant::now() + SETTLES;
        while self.collecting.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            py.detach(|| std::thread::sleep(Duration::from_micros(200)));
        }
        let remains = self.pool.bury(end.index).map_err(Raise::raise)?;
        let condemned = self.state().condemned.remove(&end.index);
        let Some(number) = remains.task else {
            return Ok(remains.phase);
        };
        self.receive_log(py, number, &remains.log, None)?;
        let Some(task) = self.state().tasks.remove(&number) else {
            return Ok(remains.phase);
        };
        let timed_out = condemned == Some(number) && remains.condemned;
        let alone = task.count == 1;
        let lost = match remains.step {
            Step::Item(item) if task.lacks(item) => Some(item),
            Step::Unpacking if alone => Some(0),
            _ => None,
        };
        if let Some(item) = lost {
            self.lose(py, &task, item, timed_out, end)?;
        }
        self.put_back_rest(py, &task, lost, remains.step == Step::Unpacking);
        self.pump(py)?;
        self.wake_handler();
        Ok(remains.phase)
    }

    /// An item's worker is lost: so is the item, or it is tried once more.
    fn lose(
        &self,
        py: Python<'_>,
        task: &Task,
        item: u32,
        timed_out: bool,
        end: &End<'_, '_>,
    ) -> PyResult<()> {
        let index = task.first + item as usize;
        if !timed_out && task.job.may_retry(index) {
            self.put_back(py, task, item, 1);
            return Ok(());
        }
        let limit =
            if timed_out { task.job.timeout.map(|limit| limit.as_secs_f64()) } else { None };
        let error = end.lost.call1((&task.job.name, index, end.pid, end.exitcode, limit))?;
        self.deliver(py, &task.job, [Batch::One(index, Outcome::Failed(error.unbind()))])
    }

    /// Has all items dispatched once more that had not begun; each alone, if `apart`.
    fn put_back_rest(&self, py: Python<'_>, task: &Task, lost: Option<u32>, apart: bool) {
        let open: Vec<u32> =
            (0..task.count).filter(|&i| Some(i) != lost && task.lacks(i)).collect();
        let joins = |a: &u32, b: &u32| !apart && a + 1 == *b;
        for run in open.chunk_by(joins) {
            self.put_back(py, task, run[0], run.len() as u32);
        }
    }
}
