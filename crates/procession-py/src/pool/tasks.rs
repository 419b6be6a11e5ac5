//! Tasks that are under way, and which of their items have an outcome.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::job::Job;

/// A task that was pushed and has items without an outcome.
pub(super) struct Task {
    pub(super) job: Arc<Job>,
    pub(super) first: usize,
    pub(super) count: u32,
    /// The items, unless they stand in the job's list.
    pub(super) items: Option<Py<PyList>>,
    /// Its worker is free.
    pub(super) finished: bool,
    /// All items before this have an outcome, and these behind it.
    next: u32,
    ahead: Vec<u32>,
}

impl Task {
    pub(super) fn new(
        job: &Arc<Job>,
        first: usize,
        count: usize,
        items: Option<Py<PyList>>,
    ) -> Self {
        let (job, count) = (Arc::clone(job), count as u32);
        Self { job, first, count, items, finished: false, next: 0, ahead: Vec::new() }
    }

    /// Notes that an item has an outcome, or is about to get the one that has come. False if it had
    /// one, or is none.
    pub(super) fn note(&mut self, item: u32) -> bool {
        if item >= self.count || !self.lacks(item) {
            return false;
        }
        if item != self.next {
            self.ahead.push(item);
            return true;
        }
        self.next += 1;
        while let Some(at) = self.ahead.iter().position(|&known| known == self.next) {
            self.ahead.swap_remove(at);
            self.next += 1;
        }
        true
    }

    /// Notes several in a row. False, and nothing is noted, if they are not simply the next ones: then
    /// each is to be noted alone.
    pub(super) fn note_run(&mut self, first: u32, count: usize) -> bool {
        let fits = count <= (self.count - self.next) as usize;
        let are_next = first == self.next && self.ahead.is_empty() && fits;
        if are_next {
            self.next += count as u32;
        }
        are_next
    }

    /// Whether an item has no outcome yet.
    pub(super) fn lacks(&self, item: u32) -> bool {
        item >= self.next && !self.ahead.contains(&item)
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == self.count
    }
}
