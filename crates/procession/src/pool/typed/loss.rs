//! Workers that ended: what they had done counts, what they were at is lost, the rest goes to others.

use std::time::{Duration, Instant};

use super::core::Core;
use super::error::{TaskError, TaskId};
use super::results::Piece;
use crate::error::ArenaError;
use crate::pool::{Phase, Step};
use crate::sync::Ended;
use crate::sys::atomic::Ordering;

/// A thread that notes whose outcomes a report has is waited for: it runs nobody's code, and has no
/// reason to take long.
const SETTLES: Duration = Duration::from_secs(10);

impl Core {
    /// Workers that have been at an item for longer than its call allows. Each is condemned: it
    /// does nothing after that item, and is to be killed.
    pub(super) fn overdue(&self) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for index in 0..self.pool.workers() {
            let view = self.pool.view(index);
            let Some(number) = view.task else { continue };
            let mut state = self.state();
            let limit = state.tasks.get(&number).and_then(|task| task.job.terms.timeout);
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

    /// The shortest time limit of what is under way.
    pub(super) fn shortest_timeout(&self) -> Option<Duration> {
        self.state().jobs.values().filter_map(|job| job.terms.timeout).min()
    }

    /// Sees to what a worker has left whose process has ended, and says how far that had come.
    pub(super) fn bury(
        &self,
        index: u32,
        pid: u32,
        ended: Option<Ended>,
    ) -> Result<Phase, ArenaError> {
        self.collect()?;
        // A report that another thread has taken counts as well.
        let deadline = Instant::now() + SETTLES;
        while self.collecting.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
        let remains = self.pool.bury(index)?;
        let condemned = self.state().condemned.remove(&index);
        let Some(number) = remains.task else {
            return Ok(remains.phase);
        };
        self.receive_log(number, &remains.log, None);
        let Some(task) = self.state().tasks.remove(&number) else {
            // All of it was in the log, or was put back because the worker said that it leaves.
            self.pump();
            self.wake_taker();
            return Ok(remains.phase);
        };
        let timed_out = condemned == Some(number) && remains.condemned;
        let at = match remains.step {
            Step::Item(item) if task.lacks(item) => Some(item),
            Step::Unpacking if task.count == 1 && task.lacks(0) => Some(0),
            _ => None,
        };
        let apart = remains.step == Step::Unpacking;
        let (job, item) = (task.job.clone(), task.first + at.unwrap_or(0) as usize);
        if at.is_some() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        let Some(lost) = at.filter(|_| timed_out || !job.may_retry(item)) else {
            // All of it goes on; what is tried again goes alone, lest it take others with it again.
            let mut ranges = task.open(at, apart);
            if let Some(at) = at {
                self.counts.retried.fetch_add(1, Ordering::Relaxed);
                ranges.push(at..at + 1);
                ranges.sort_unstable_by_key(|range| range.start);
            }
            self.put_back(task, &ranges);
            self.pump();
            self.wake_taker();
            return Ok(remains.phase);
        };
        let rest = task.open(Some(lost), apart);
        self.put_back(task, &rest);
        let task = TaskId { caller: job.caller, item };
        let error = match job.terms.timeout.filter(|_| timed_out) {
            Some(limit) => TaskError::TimedOut { task, pid, limit },
            None => TaskError::WorkerLost { task, pid, ended },
        };
        self.deliver(&job, vec![Piece::Failed { item, error }]);
        self.pump();
        self.wake_taker();
        Ok(remains.phase)
    }
}
