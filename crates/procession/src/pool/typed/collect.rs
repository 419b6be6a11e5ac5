//! Reports → results.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::{TaskError, TaskId};
use super::job::Job;
use super::results::Piece;
use super::tasks::Task;
use super::wire::{self, FAILED, Fault, GOOD, LEFT, SKIPPED};
use crate::arena::block::Block;
use crate::channel::Received;
use crate::channel::scratch::Scratch;
use crate::error::ArenaError;
use crate::pool::{Entries, Entry, Report};
use crate::sys::atomic::{AtomicU32, Ordering};

/// How fast old measurements are forgotten.
const FORGET: f64 = 0.8;

/// Counts a thread that has taken a report and not yet noted whose outcomes it has.
pub(super) struct Collecting<'a>(&'a AtomicU32);

impl<'a> Collecting<'a> {
    fn begin(count: &'a AtomicU32) -> Collecting<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Collecting(count)
    }
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Core {
    /// Takes in all reports that are there.
    pub(super) fn collect(&self) -> Result<(), ArenaError> {
        while self.collect_one()? {}
        Ok(())
    }

    /// Takes in a report. False if there is none.
    pub(super) fn collect_one(&self) -> Result<bool, ArenaError> {
        if !self.pool.has_report() {
            return Ok(false);
        }
        let busy = Collecting::begin(&self.collecting);
        let mut inline = Scratch::take();
        let Some(arrived) = self.pool.try_report(&mut inline)? else {
            return Ok(false);
        };
        let number = arrived.task;
        match arrived.what {
            Report::Log { finished, elapsed } => {
                // In this order: who is told of its outcomes finds that there is room for another.
                if finished {
                    self.finished(number, elapsed, inline.len());
                }
                self.receive_log(number, &inline, Some(busy));
            }
            Report::Single { item, tag, message } => {
                self.receive_one(number, (item, tag), &message, &inline, busy);
            }
        }
        self.pump();
        Ok(true)
    }

    fn receive_one(
        &self,
        number: u64,
        (item, tag): (u32, u8),
        message: &Received,
        inline: &[u8],
        busy: Collecting<'_>,
    ) {
        let expected = {
            let mut state = self.state();
            let Some(task) = state.tasks.get_mut(&number) else { return };
            let job = task.note(item).then(|| (Arc::clone(&task.job), task.first + item as usize));
            let done =
                if task.is_done() && task.finished { state.tasks.remove(&number) } else { None };
            let len = inline.len() + message.block.as_ref().map_or(0, Block::len);
            state.task_bytes = state.task_bytes.max(len as f64);
            drop(state);
            drop(done);
            job.map(|(job, item)| (job, item, len))
        };
        drop(busy); // from here on the results' code may run
        let Some((job, item, len)) = expected else { return };
        job.weigh(1, len);
        let bytes = message.block.as_ref().map_or(inline, Block::bytes);
        let piece = match tag {
            GOOD => Piece::One { item, bytes },
            _ => failed(&job, item, bytes),
        };
        self.deliver(&job, vec![piece]);
    }

    /// Takes in the outcomes of a log. `busy` ends when it is noted whose they are.
    pub(super) fn receive_log(&self, number: u64, log: &[u8], busy: Option<Collecting<'_>>) {
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(&number) else { return };
        let job = Arc::clone(&task.job);
        let (mut pieces, mut left) = (Vec::new(), false);
        for entry in Entries::new(log) {
            left |= entry.tag == LEFT;
            note(task, &entry, &mut pieces);
        }
        let done = if task.is_done() && task.finished { state.tasks.remove(&number) } else { None };
        let left = if left { state.tasks.remove(&number) } else { None };
        drop(state);
        drop(busy); // from here on the results' code may run
        drop(done);
        self.deliver(&job, pieces);
        if let Some(task) = left {
            let rest = task.open(None, false);
            self.put_back(task, &rest);
        }
    }

    /// A worker has done a task, of which it is free.
    fn finished(&self, number: u64, elapsed: Duration, bytes: usize) {
        let ns = elapsed.as_nanos() as f64;
        let mut state = self.state();
        let before = if state.task_ns == 0.0 { ns } else { state.task_ns };
        state.task_ns = before * FORGET + ns * (1.0 - FORGET);
        state.task_bytes = (state.task_bytes * FORGET).max(bytes as f64);
        let Some(task) = state.tasks.get_mut(&number) else { return };
        task.finished = true;
        task.job.learn(task.count, elapsed);
        let done = if task.is_done() { state.tasks.remove(&number) } else { None };
        drop(state);
        drop(done);
    }
}

/// Notes which items an entry has outcomes of. Those that are new go to `pieces`. Runs nobody's code.
fn note<'a>(task: &mut Task, entry: &Entry<'a>, pieces: &mut Vec<Piece<'a>>) {
    let (item, first) = (entry.item, task.first);
    match entry.tag {
        GOOD if entry.is_run => note_run(task, entry, pieces),
        GOOD if task.note(item) => {
            pieces.push(Piece::One { item: first + item as usize, bytes: entry.bytes });
        }
        FAILED if task.note(item) => {
            pieces.push(failed(&task.job, first + item as usize, entry.bytes));
        }
        SKIPPED => {
            for item in item..task.count {
                if task.note(item) {
                    pieces.push(Piece::Skipped { first: first + item as usize, count: 1 });
                }
            }
        }
        _ => {}
    }
}

fn note_run<'a>(task: &mut Task, entry: &Entry<'a>, pieces: &mut Vec<Piece<'a>>) {
    let (mut rest, mut count) = (entry.bytes, 0);
    while wire::take_outcome(&mut rest).is_some() {
        count += 1;
    }
    if task.note_run(entry.item, count) {
        let first = task.first + entry.item as usize;
        pieces.push(Piece::Run { first, count, bytes: entry.bytes });
        return;
    }
    let mut rest = entry.bytes;
    for item in (entry.item..).take(count) {
        let bytes = wire::take_outcome(&mut rest).unwrap_or_default();
        if task.note(item) {
            pieces.push(Piece::One { item: task.first + item as usize, bytes });
        }
    }
}

fn failed<'a>(job: &Job, item: usize, bytes: &[u8]) -> Piece<'a> {
    let error: TaskError = Fault::read(TaskId { caller: job.caller, item }, bytes);
    Piece::Failed { item, error }
}
