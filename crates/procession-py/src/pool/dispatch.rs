//! Chunks → tasks.

use std::sync::Arc;

use procession::End;
use procession::pool::PushError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::core::Core;
use super::gather::{Batch, Outcome};
use super::is_interrupt;
use super::job::{Claim, Job};
use super::tasks::Task;
use crate::blocking;
use crate::codec::{self, Policy, Scratch};
use crate::error::Raise;

/// So much work is to wait for each worker, so that none is idle while the owner is busy.
const AHEAD_NS: f64 = 4e6;
const MOST_AHEAD: f64 = 512.0;
/// So many bytes may be under way: what was is used again.
const BYTES_AHEAD: f64 = (64 << 20) as f64;

impl Core {
    /// How many tasks may be under way.
    #[expect(clippy::cast_sign_loss, reason = "neither is negative")]
    fn most_tasks(&self, task_ns: f64, task_bytes: f64) -> usize {
        let workers = self.workers() as f64;
        let by_time = if task_ns > 0.0 { AHEAD_NS / task_ns } else { 2.0 };
        let by_bytes = if task_bytes > 0.0 { BYTES_AHEAD / task_bytes } else { f64::INFINITY };
        (by_time.clamp(2.0, MOST_AHEAD) * workers).min(by_bytes).max(workers + 1.0) as usize
    }

    /// Dispatches what may be.
    pub(super) fn pump(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let job = {
                let state = self.state();
                if state.tasks.len() >= self.most_tasks(state.task_ns, state.task_bytes) {
                    return Ok(());
                }
                match state.queue.front() {
                    Some(job) => Arc::clone(job),
                    None => return Ok(()),
                }
            };
            match job.claim(py, self.workers(), self.is_endless())? {
                Some(claim) => {
                    self.dispatch(py, &job, claim)?;
                    self.call_feeders();
                }
                None => self.unqueue(&job),
            }
        }
    }

    /// Takes a job out of the queue that has nothing to claim.
    fn unqueue(&self, job: &Arc<Job>) {
        let mut state = self.state();
        let mut work = job.work();
        if work.over || !job.has_work(&work, self.workers(), self.is_endless()) {
            work.queued = false;
            drop(work);
            state.queue.retain(|other| !Arc::ptr_eq(other, job));
        }
    }

    fn dispatch(&self, py: Python<'_>, job: &Arc<Job>, claim: Claim) -> PyResult<()> {
        let Some(items) = job.items(py, &claim)? else {
            return Ok(()); // the call was given up
        };
        let error = match self.push(py, job, &claim, &items) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if is_interrupt(py, &error) {
            // It is the user's, not the items'.
            job.put_back(claim);
            self.more_work(job);
            return Err(error);
        }
        if claim.count == 1 {
            job.work().unsent = true;
            let error = error.into_value(py).into_any();
            return self.deliver(py, job, [Batch::One(claim.first, Outcome::Failed(error))]);
        }
        // One of them cannot be sent: that one fails.
        for (at, item) in items.try_iter()?.enumerate() {
            let items = PyList::new(py, [item?])?;
            let alone = Claim { first: claim.first + at, count: 1, items: Some(items.unbind()) };
            if let Err(error) = self.dispatch(py, job, alone) {
                let (first, count) = (claim.first + at + 1, claim.count - at - 1);
                let part = |items: &Py<PyList>| items.bind(py).get_slice(at + 1, claim.count);
                let items = claim.items.as_ref().map(|items| part(items).unbind());
                if count > 0 {
                    job.put_back(Claim { first, count, items });
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn push(
        &self,
        py: Python<'_>,
        job: &Arc<Job>,
        claim: &Claim,
        items: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let mut scratch = Scratch::take();
        let alone = claim.count == 1;
        let mut message = Vec::with_capacity(256);
        job.function.write(job.number, claim.count as u32, alone, &mut message);
        let body = if alone { items.get_item(0)? } else { items.clone() };
        let prepared = codec::prepare(&body, Policy::Anything, &mut scratch)?;
        let (kind, block) = prepared.pack(py, self.pool.family(), &mut scratch)?;
        message.extend_from_slice(&scratch.bytes);
        let held = claim.items.as_ref().map(|items| items.clone_ref(py));
        let task = Task::new(job, claim.first, claim.count, held);
        blocking::settle(py, &self.pool, End::Tail)?;
        // Under the lock, so that the task is known before its first report is looked at.
        let mut state = self.state();
        let bytes = message.len() + block.as_ref().map_or(0, procession::Block::len);
        match self.pool.push(kind as u8, &message, block) {
            Ok(number) => {
                state.tasks.insert(number, task);
                state.task_bytes = state.task_bytes.max(bytes as f64);
                drop(state);
                job.weigh(claim.count as u32, bytes);
                Ok(())
            }
            Err(PushError(error, block)) => {
                drop(state);
                drop((task, block));
                Err(error.raise())
            }
        }
    }

    /// Gives items their outcomes.
    pub(super) fn deliver(
        &self,
        py: Python<'_>,
        job: &Arc<Job>,
        outcomes: impl IntoIterator<Item = Batch>,
    ) -> PyResult<()> {
        if job.store(py, outcomes)? {
            self.settle(job);
        } else {
            self.news();
        }
        Ok(())
    }
}
