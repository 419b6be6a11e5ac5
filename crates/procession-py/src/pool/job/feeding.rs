//! Items that come one by one, and the end of them.

use super::{Batch, Job, Outcome, Py, PyAny, PyResult, Python, VecDeque};

/// So many items at most are fed before they are claimed, if a chunk is not longer.
const FED: usize = 1024;

impl Job {
    /// Whether another item may be fed: those not yet claimed count as well. `endless`: whether or not
    /// results are taken.
    pub(in crate::pool) fn may_feed(&self, endless: bool) -> bool {
        let work = self.work();
        let room = if endless { usize::MAX } else { self.room(&work) };
        let most = self.chunk.unwrap_or(1).max(FED);
        !work.over && !work.ended && work.fed.len() < room.min(most)
    }

    /// Whether no more items are to be fed.
    pub(in crate::pool) fn is_fed(&self) -> bool {
        let work = self.work();
        work.over || work.ended
    }

    pub(in crate::pool) fn feed(&self, item: Py<PyAny>) {
        let mut work = self.work();
        if work.over || work.ended {
            drop(work); // before the item
            return;
        }
        work.fed.push_back(item);
        work.known += 1;
    }

    /// No more items come. True if that was all.
    pub(in crate::pool) fn end(&self) -> bool {
        let mut work = self.work();
        work.ended = true;
        work.finish_if_done()
    }

    /// What was not claimed is dropped, and no more comes. True if nothing else is under way.
    pub(in crate::pool) fn cancel(&self) -> bool {
        let mut work = self.work();
        if work.over {
            return false;
        }
        let dropped = std::mem::take(&mut work.fed);
        work.known = work.next;
        work.ended = true;
        let over = work.finish_if_done();
        drop(work);
        drop(dropped);
        over
    }

    /// The iterator of the items has failed: its error stands where the next result would have. What
    /// had not filled a chunk goes with it.
    pub(in crate::pool) fn end_with(&self, py: Python<'_>, error: Py<PyAny>) -> PyResult<bool> {
        let (item, dropped) = {
            let mut work = self.work();
            if work.ended {
                return Ok(false);
            }
            let partial =
                if self.chunk.is_some() { std::mem::take(&mut work.fed) } else { VecDeque::new() };
            work.known -= partial.len();
            let item = work.known;
            work.known += 1;
            (item, partial)
        };
        drop(dropped);
        // The number is nobody's to claim: it has its outcome.
        let over = self.store(py, [Batch::One(item, Outcome::Failed(error))])?;
        let mut work = self.work();
        work.ended = true;
        work.known -= 1;
        work.outcomes -= 1;
        Ok(over || work.finish_if_done())
    }
}
