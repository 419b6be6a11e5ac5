//! One call of the pool, from its items to its results.
//!
//! Items come from a list, or are fed one by one out of an iterator. They are numbered in their
//! order; *claimed* in chunks, which are dispatched; and each gets one outcome. A chunk that is lost
//! with its worker is put back, and claimed once more, before all others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::call::Function;

/// How long a chunk is to take.
const CHUNK_NS: f64 = 2e6;
/// Where chunks are not the user's, their number is at most so many a worker.
const LARGEST: usize = 1 << 20;
/// How often a lock is tried that must not be waited for.
const SPINS: u32 = 10_000;

/// What became of an item.
pub(super) enum Outcome {
    Good(Py<PyAny>),
    Failed(Py<PyAny>),
    /// It was not begun, since one before it had failed.
    Skipped,
}

/// Items to be dispatched together.
pub(super) struct Claim {
    pub(super) first: usize,
    pub(super) count: usize,
    /// The items; None if they stand in the job's list.
    pub(super) items: Option<Py<PyList>>,
}

/// One call.
pub(super) struct Job {
    pub(super) function: Function,
    /// What it is called in errors.
    pub(super) name: String,
    pub(super) timeout: Option<Duration>,
    retries: u32,
    pub(super) callback: Option<Py<PyAny>>,
    pub(super) error_callback: Option<Py<PyAny>>,
    /// How many items may be claimed whose results were not taken; 0: any number.
    buffer: usize,
    /// Items in a chunk, if the user has said it.
    chunk: Option<usize>,
    work: Mutex<Work>,
}

/// A value, or the exception instead of it.
type Value = Result<Py<PyAny>, Py<PyAny>>;

/// What changes of a call.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of its own; they change at different times"
)]
pub(super) struct Work {
    /// All items, if they are in a list.
    source: Option<Py<PyList>>,
    /// Items that were fed and not yet claimed.
    fed: VecDeque<Py<PyAny>>,
    /// The first item not claimed, and how many there are so far.
    pub(super) next: usize,
    pub(super) known: usize,
    /// Whether no more will be fed.
    pub(super) ended: bool,
    again: VecDeque<Claim>,
    tries: HashMap<usize, u32>,
    /// What an item takes, as far as it is known.
    item_ns: Option<f64>,
    pub(super) gather: Gather,
    /// Outcomes so far.
    pub(super) outcomes: usize,
    /// Whether it stands in the core's queue of jobs that have something to claim.
    pub(super) queued: bool,
    /// All outcomes are there; whoever waits may go on (callbacks come before that).
    pub(super) ready: bool,
    pub(super) over: bool,
}

/// Where results go.
pub(super) enum Gather {
    /// Into a list, all at once. `single`: it is the list's one item that is wanted.
    List { values: Option<Py<PyList>>, single: bool, failure: Option<(usize, Py<PyAny>)> },
    /// One by one, as they are taken.
    Stream {
        ordered: bool,
        there: VecDeque<Value>,
        early: HashMap<usize, Option<Value>>,
        /// The next that may be taken, and how many were.
        at: usize,
        taken: usize,
        /// Nobody will take any more.
        abandoned: bool,
    },
}

impl Job {
    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next items to be dispatched, if there are any that may be. `endless`: no bound counts.
    pub(super) fn claim(
        &self,
        py: Python<'_>,
        workers: usize,
        endless: bool,
    ) -> PyResult<Option<Claim>> {
        let mut work = self.work();
        if let Some(claim) = work.again.pop_front() {
            return Ok(Some(claim));
        }
        let count = self.chunk_now(&work, workers, endless);
        if count == 0 {
            return Ok(None);
        }
        let first = work.next;
        work.next += count;
        if work.source.is_some() {
            return Ok(Some(Claim { first, count, items: None }));
        }
        let items: Vec<_> = work.fed.drain(..count).collect();
        drop(work);
        let items = Some(PyList::new(py, items)?.unbind());
        Ok(Some(Claim { first, count, items }))
    }

    /// Whether there is something to claim.
    pub(super) fn has_work(&self, work: &Work, workers: usize, endless: bool) -> bool {
        !work.again.is_empty() || self.chunk_now(work, workers, endless) > 0
    }

    #[expect(clippy::cast_sign_loss, reason = "a time is not negative")]
    fn chunk_now(&self, work: &Work, workers: usize, endless: bool) -> usize {
        let there = work.known - work.next;
        let room = if endless { usize::MAX } else { self.room(work) };
        if there == 0 || room == 0 {
            return 0;
        }
        let wanted = match (self.chunk, work.item_ns) {
            (Some(chunk), _) => {
                if there < chunk && !work.ended {
                    return 0; // it is to be full
                }
                return chunk.min(there);
            }
            (None, Some(item)) => ((CHUNK_NS / item.max(1.0)) as usize).clamp(1, LARGEST),
            (None, None) if work.source.is_some() && self.buffer == 0 => {
                (there / (workers * 32)).clamp(1, 4096)
            }
            (None, None) => 1,
        };
        let fair = match &work.gather {
            Gather::List { .. } => there.div_ceil(workers * 2),
            Gather::Stream { .. } => (self.buffer / (workers * 4)).max(1),
        };
        wanted.min(fair).min(there).min(room)
    }

    /// How many more items may be claimed or fed before results are taken.
    pub(super) fn room(&self, work: &Work) -> usize {
        match &work.gather {
            Gather::Stream { taken, abandoned: false, .. } if self.buffer != 0 => {
                (self.buffer + taken).saturating_sub(work.next)
            }
            _ => usize::MAX,
        }
    }

    /// Whether another item may be fed: those not yet claimed count as well.
    pub(super) fn may_feed(&self) -> bool {
        let work = self.work();
        !work.over && self.room(&work) > work.fed.len()
    }

    pub(super) fn feed(&self, item: Py<PyAny>) {
        let mut work = self.work();
        if work.over {
            drop(work); // before the item
            return;
        }
        work.fed.push_back(item);
        work.known += 1;
    }

    /// Puts items back, to be claimed once more.
    pub(super) fn put_back(&self, claim: Claim) {
        self.work().again.push_back(claim);
    }

    /// Whether an item whose worker was lost may be tried again.
    pub(super) fn may_retry(&self, item: usize) -> bool {
        if self.retries == 0 {
            return false;
        }
        let mut work = self.work();
        let tries = work.tries.entry(item).or_default();
        *tries += 1;
        *tries <= self.retries
    }

    /// The items of a claim.
    pub(super) fn items<'py>(&self, py: Python<'py>, claim: &Claim) -> Option<Bound<'py, PyList>> {
        if let Some(items) = &claim.items {
            return Some(items.bind(py).clone());
        }
        let source = self.work().source.as_ref()?.clone_ref(py);
        Some(source.bind(py).get_slice(claim.first, claim.first + claim.count))
    }

    /// Learns how long items take.
    pub(super) fn learn(&self, items: u32, elapsed: Duration) {
        let each = elapsed.as_nanos() as f64 / f64::from(items.max(1));
        let mut work = self.work();
        work.item_ns = Some(work.item_ns.map_or(each, |old| old * 0.5 + each * 0.5));
    }

    /// Stores an item's outcome. True if it was the last one.
    pub(super) fn store(&self, py: Python<'_>, item: usize, outcome: Outcome) -> PyResult<bool> {
        let mut work = self.work();
        if work.over {
            drop(work); // before the outcome
            return Ok(false);
        }
        let mut surplus = None; // dropped without the lock
        match &mut work.gather {
            Gather::List { values, failure, .. } => match outcome {
                Outcome::Good(value) => {
                    if let Some(values) = values {
                        values.bind(py).set_item(item, value)?; // None was there
                    }
                }
                Outcome::Failed(error) => {
                    let first = failure.as_ref().is_none_or(|(index, _)| item < *index);
                    surplus =
                        if first { failure.replace((item, error)) } else { Some((item, error)) };
                }
                Outcome::Skipped => {}
            },
            Gather::Stream { ordered, there, early, at, abandoned, .. } => {
                let result = match outcome {
                    Outcome::Good(value) => Some(Ok(value)),
                    Outcome::Failed(error) => Some(Err(error)),
                    Outcome::Skipped => None,
                };
                if *abandoned {
                    surplus = result.map(|r| (item, r.unwrap_or_else(|error| error)));
                } else if *ordered && *at != item {
                    early.insert(item, result);
                } else {
                    there.extend(result);
                    *at += 1;
                    while *ordered && let Some(next) = early.remove(at) {
                        there.extend(next);
                        *at += 1;
                    }
                }
            }
        }
        work.outcomes += 1;
        let last = work.finish_if_done();
        drop(work);
        drop(surplus);
        Ok(last)
    }

    /// No more items come.
    pub(super) fn end(&self) -> bool {
        let mut work = self.work();
        work.ended = true;
        work.finish_if_done()
    }

    /// The iterator of the items has failed: its error stands where the next result would have. What
    /// had not filled a chunk goes with it.
    pub(super) fn end_with(&self, py: Python<'_>, error: Py<PyAny>) -> PyResult<bool> {
        let (item, dropped) = {
            let mut work = self.work();
            let partial =
                if self.chunk.is_some() { std::mem::take(&mut work.fed) } else { VecDeque::new() };
            work.known -= partial.len();
            let item = work.known;
            work.known += 1;
            (item, partial)
        };
        drop(dropped);
        // The number is nobody's to claim: it has its outcome.
        let over = self.store(py, item, Outcome::Failed(error))?;
        let mut work = self.work();
        work.ended = true;
        work.known -= 1;
        work.outcomes -= 1;
        Ok(over || work.finish_if_done())
    }

    /// Gives all that has no outcome yet this one. True if there was something.
    pub(super) fn give_up(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> bool {
        let mut work = self.work();
        if work.over {
            return false;
        }
        let (source, fed, again) =
            (work.source.take(), std::mem::take(&mut work.fed), std::mem::take(&mut work.again));
        let error = error.clone().unbind();
        let mut old = None;
        match &mut work.gather {
            Gather::List { failure, .. } => old = failure.replace((0, error)),
            Gather::Stream { there, .. } => there.push_back(Err(error)),
        }
        (work.ended, work.over) = (true, true);
        drop(work);
        let _ = (py, source, fed, again, old);
        true
    }

    /// Nobody will take results any more.
    pub(super) fn abandon(&self) {
        // In a fork child the lock may be a thread's that is not there.
        let Some(mut work) = (0..SPINS).find_map(|_| self.work.try_lock().ok()) else {
            return;
        };
        let mut dropped = None;
        if let Gather::Stream { there, early, abandoned, .. } = &mut work.gather {
            *abandoned = true;
            dropped = Some((std::mem::take(there), std::mem::take(early)));
        }
        drop(work);
        drop(dropped);
    }

    /// The next result of a stream; `Some(None)` at its end.
    #[expect(clippy::option_option, reason = "not yet, no more")]
    pub(super) fn next(&self) -> Option<Option<Value>> {
        let mut work = self.work();
        let over = work.over;
        let Gather::Stream { there, taken, .. } = &mut work.gather else {
            return Some(None);
        };
        if let Some(result) = there.pop_front() {
            *taken += 1;
            return Some(Some(result));
        }
        over.then_some(None)
    }

    /// Whether it is worth while to look for items that may be claimed by now.
    pub(super) fn runs_low(&self) -> bool {
        let work = self.work();
        match &work.gather {
            Gather::Stream { taken, .. } => {
                !(work.ended && work.next == work.known) && work.next - taken <= self.buffer / 2
            }
            Gather::List { .. } => false,
        }
    }
}

impl Work {
    /// Whether that was all; true once.
    fn finish_if_done(&mut self) -> bool {
        let all = self.ended && self.outcomes == self.known && !self.over;
        if all {
            self.over = true;
        }
        all
    }

    /// The items, which are of no use any more; to be dropped without the lock.
    pub(super) fn take_source(&mut self) -> Option<Py<PyList>> {
        self.source.take()
    }
}

/// How a call is to be made.
pub(super) struct Order {
    pub(super) function: Function,
    pub(super) name: String,
    pub(super) source: Option<Py<PyList>>,
    pub(super) length: usize,
    pub(super) chunk: Option<usize>,
    pub(super) buffer: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) gather: Gather,
    pub(super) callback: Option<Py<PyAny>>,
    pub(super) error_callback: Option<Py<PyAny>>,
}

impl Order {
    pub(super) fn into_job(self) -> Arc<Job> {
        let ended = self.source.is_some();
        Arc::new(Job {
            function: self.function,
            name: self.name,
            timeout: self.timeout,
            retries: self.retries,
            callback: self.callback,
            error_callback: self.error_callback,
            buffer: self.buffer,
            chunk: self.chunk,
            work: Mutex::new(Work {
                source: self.source,
                fed: VecDeque::new(),
                next: 0,
                known: self.length,
                ended,
                again: VecDeque::new(),
                tries: HashMap::new(),
                item_ns: None,
                gather: self.gather,
                outcomes: 0,
                queued: false,
                ready: false,
                over: false,
            }),
        })
    }
}
