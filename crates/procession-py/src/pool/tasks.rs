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
    known: Known,
}

/// Which items of a task have an outcome: all before `next`, and these behind it.
#[derive(Clone, Default)]
pub(super) struct Known {
    next: u32,
    ahead: Vec<u32>,
}

impl Known {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.next) + self.ahead.len() as u64
    }

    #[inline]
    pub(super) fn lacks(&self, item: u32) -> bool {
        item >= self.next && !self.ahead.contains(&item)
    }
}

impl Task {
    pub(super) fn new(
        job: &Arc<Job>,
        first: usize,
        count: usize,
        items: Option<Py<PyList>>,
    ) -> Self {
        let (job, count, known) = (Arc::clone(job), count as u32, Known::default());
        Self { job, first, count, items, finished: false, known }
    }

    /// Notes that some items in a row have an outcome. False, and nothing is noted, if one of them is
    /// known not to be new, or is none; where that takes a search, of several items at once.
    #[inline]
    pub(super) fn note(&mut self, item: u32, count: usize) -> bool {
        if count == 1 {
            return self.note_one(item);
        }
        let fits = count <= (self.count - self.known.next) as usize;
        let is_next = item == self.known.next && self.known.ahead.is_empty() && fits;
        if is_next {
            self.known.next += count as u32;
        }
        is_next
    }

    fn note_one(&mut self, item: u32) -> bool {
        if item >= self.count || !self.lacks(item) {
            return false;
        }
        let Known { next, ahead } = &mut self.known;
        if item != *next {
            ahead.push(item);
            return true;
        }
        *next += 1;
        while let Some(at) = ahead.iter().position(|known| known == next) {
            ahead.swap_remove(at);
            *next += 1;
        }
        true
    }

    /// Whether an item has no outcome yet.
    #[inline]
    pub(super) fn lacks(&self, item: u32) -> bool {
        self.known.lacks(item)
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    pub(super) fn is_done(&self) -> bool {
        self.known.next == self.count
    }
}
