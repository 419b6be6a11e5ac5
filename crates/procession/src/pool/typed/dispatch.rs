//! Items → tasks.

use std::ops::Range;
use std::sync::Arc;

use super::core::{Core, State};
use super::error::{PoolError, TaskError, TaskId};
use super::items::Items;
use super::job::{Claim, Job};
use super::results::Piece;
use super::tasks::Task;
use super::wire::{self, Head};
use crate::arena::block::Block;
use crate::channel::scratch::Scratch;
use crate::error::ArenaError;
use crate::pool::{PushError, RawPool};
use crate::ring::fifo::INLINE_MAX;

/// So much work is to wait for each worker, so that none is idle while the owner is busy.
const AHEAD_NS: f64 = 4e6;
const MOST_AHEAD: f64 = 512.0;
/// So many bytes may be under way: what was is used again.
const BYTES_AHEAD: f64 = (64 << 20) as f64;

const _: () = assert!(wire::HEAD <= RawPool::PREFIX_MAX);

/// A task was not pushed; the items come back.
enum Unsent {
    /// They cannot be packed, or there is no memory.
    Refused(Items, String),
    /// There will be memory when others are done.
    Later(Items),
    /// The pool has ended.
    Ended,
}

impl Core {
    /// How many tasks may be under way.
    #[expect(clippy::cast_sign_loss, reason = "neither is negative")]
    fn most(&self, state: &State) -> usize {
        let workers = self.workers() as f64;
        let by_time = if state.task_ns > 0.0 { AHEAD_NS / state.task_ns } else { 2.0 };
        let by_bytes =
            if state.task_bytes > 0.0 { BYTES_AHEAD / state.task_bytes } else { f64::INFINITY };
        (by_time.clamp(2.0, MOST_AHEAD) * workers).min(by_bytes).max(workers + 1.0) as usize
    }

    /// Whether there is room for tasks that nobody has made yet.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state();
        state.tasks.len() + state.queue.len() < self.most(&state)
    }

    /// Dispatches what waits for room.
    pub(super) fn pump(&self) {
        let next = || {
            let mut state = self.state();
            if state.tasks.len() < self.most(&state) { state.queue.pop_front() } else { None }
        };
        while let Some((job, claim)) = next() {
            if !self.dispatch(&job, claim) {
                return;
            }
        }
    }

    /// Dispatches items now if there is room, or later.
    pub(super) fn submit(&self, job: &Arc<Job>, claim: Claim) {
        if self.has_room() {
            self.dispatch(job, claim);
        } else {
            self.queue(job, claim, false);
            self.pump(); // there may have been room since
        }
    }

    /// Has items dispatched by and by; before all others if they were under way already.
    pub(super) fn queue(&self, job: &Arc<Job>, claim: Claim, first: bool) {
        let mut state = self.state();
        if state.ended.is_some() {
            drop(state); // before the items
            return;
        }
        if !job.is_stopped() {
            let entry = (Arc::clone(job), claim);
            if first {
                state.queue.push_front(entry);
            } else {
                state.queue.push_back(entry);
            }
            return;
        }
        drop(state);
        let (first, count) = (claim.first, claim.count as usize);
        self.deliver(job, vec![Piece::Skipped { first, count }]);
    }

    /// Sends items. False if there is no memory for the moment: they wait then.
    pub(super) fn dispatch(&self, job: &Arc<Job>, claim: Claim) -> bool {
        let Claim { first, count, items } = claim;
        if job.is_stopped() {
            self.deliver(job, vec![Piece::Skipped { first, count: count as usize }]);
            return true;
        }
        match self.push(job, first, count, items) {
            Ok(()) => true,
            Err(Unsent::Ended) => false,
            Err(Unsent::Later(items)) => {
                self.queue(job, Claim { first, count, items }, true);
                false
            }
            Err(Unsent::Refused(items, message)) if count == 1 => {
                drop(items);
                let task = TaskId { caller: job.caller, item: first };
                let error = TaskError::Send { task, message };
                self.deliver(job, vec![Piece::Failed { item: first, error }]);
                true
            }
            Err(Unsent::Refused(items, _)) => {
                // One of them cannot be sent: that one fails.
                let ranges: Vec<_> = (0..count).map(|at| at..at + 1).collect();
                let mut alone = job.pack.cut(items, &ranges).into_iter();
                let mut sent = true;
                for (at, items) in (first..).zip(alone.by_ref()) {
                    let claim = Claim { first: at, count: 1, items };
                    if sent {
                        sent = self.dispatch(job, claim);
                    } else {
                        self.queue(job, claim, false);
                    }
                }
                sent
            }
        }
    }

    fn push(&self, job: &Arc<Job>, first: usize, count: u32, items: Items) -> Result<(), Unsent> {
        let mut message = Scratch::take();
        Head { alone: count == 1, items: count, call: job.number, code: job.code }
            .write(&mut message);
        let leases = match job.pack.pack(&items, &mut message) {
            Ok(leases) => leases,
            Err(error) => return Err(Unsent::Refused(items, error)),
        };
        let bytes = message.len();
        let body = bytes - wire::HEAD;
        let block = if leases.is_empty() && body <= INLINE_MAX {
            None
        } else {
            match self.pool.family().alloc(body, &leases) {
                Ok(mut block) => {
                    block.write(0, &message[wire::HEAD..]);
                    message.truncate(wire::HEAD);
                    Some(block)
                }
                Err(error) => return Err(self.unsent(items, error)),
            }
        };
        // Under the lock, so that the task is known before its first report is looked at.
        let mut state = self.state();
        if state.ended.is_some() {
            drop(state);
            drop(items);
            return Err(Unsent::Ended);
        }
        match self.pool.push(wire::KIND, &message, block) {
            Ok(number) => {
                state.tasks.insert(number, Task::new(job, first, count, items));
                state.task_bytes = state.task_bytes.max(bytes as f64);
                drop(state);
                job.weigh(count, bytes);
                Ok(())
            }
            Err(PushError(error, block)) => {
                drop(state);
                drop::<Option<Block>>(block);
                Err(self.unsent(items, error))
            }
        }
    }

    fn unsent(&self, items: Items, error: ArenaError) -> Unsent {
        match error {
            ArenaError::Full { .. } if !self.state().tasks.is_empty() => Unsent::Later(items),
            ArenaError::Full { .. } => Unsent::Refused(items, error.to_string()),
            error => {
                self.stop(PoolError::Broken(error.to_string()));
                Unsent::Ended
            }
        }
    }

    /// Has items of a task dispatched once more.
    pub(super) fn put_back(&self, task: Task, ranges: &[Range<u32>]) {
        let Task { job, first, items, .. } = task;
        let parts = job.pack.cut(items, ranges);
        for (range, items) in ranges.iter().zip(parts).rev() {
            let first = first + range.start as usize;
            self.queue(&job, Claim { first, count: range.len() as u32, items }, true);
        }
    }
}
