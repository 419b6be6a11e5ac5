//! Tasks that are under way, and which of their items have an outcome.

use std::ops::Range;
use std::sync::Arc;

use super::items::Items;
use super::job::Job;

/// A task that was pushed and has items without an outcome, or a worker.
pub(super) struct Task {
    pub(super) job: Arc<Job>,
    pub(super) first: usize,
    pub(super) count: u32,
    /// The items, in case that they must be sent once more.
    pub(super) items: Items,
    /// Its worker is free.
    pub(super) finished: bool,
    /// All items before this have an outcome, and these behind it.
    next: u32,
    ahead: Vec<u32>,
}

impl Task {
    pub(super) fn new(job: &Arc<Job>, first: usize, count: u32, items: Items) -> Task {
        let job = Arc::clone(job);
        Task { job, first, count, items, finished: false, next: 0, ahead: Vec::new() }
    }

    /// Notes that an item has an outcome. False if it had one, or is none.
    pub(super) fn note(&mut self, item: u32) -> bool {
        if !self.lacks(item) {
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
        item < self.count && item >= self.next && !self.ahead.contains(&item)
    }

    /// The items without an outcome but for one, as ranges; each item alone, if `apart`.
    pub(super) fn open(&self, without: Option<u32>, apart: bool) -> Vec<Range<u32>> {
        let mut found: Vec<Range<u32>> = Vec::new();
        for item in (self.next..self.count).filter(|&i| Some(i) != without && self.lacks(i)) {
            match found.last_mut() {
                Some(last) if last.end == item && !apart => last.end += 1,
                _ => found.push(item..item + 1),
            }
        }
        found
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == self.count
    }
}
