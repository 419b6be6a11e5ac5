//! One call of the pool, from its items to its results.
//!
//! Items come from a list, or are fed one by one out of an iterator. They are numbered in their
//! order; *claimed* in chunks, which are dispatched; and each gets one outcome. A chunk that is lost
//! with its worker is put back, and claimed once more, before all others.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};

use super::call::Function;
use super::gather::{Batch, Gather, Outcome, Value};
use crate::codec::{self, Policy, Scratch};

mod feeding;

/// How long a chunk is to take.
const CHUNK_NS: f64 = 2e6;
/// How many bytes, of its items or of their results: large ones go alone, in blocks of one size, which
/// are used again.
const CHUNK_BYTES: f64 = (1 << 20) as f64;
/// Ranges of so many items travel as ranges; shorter ones are sooner a list.
const RANGE_FROM: usize = 64;
/// Where chunks are not the user's, their number is at most so many a worker.
const LARGEST: usize = 1 << 20;
/// How often a lock is tried that must not be waited for.
const SPINS: u32 = 10_000;

/// Items to be dispatched together.
pub(super) struct Claim {
    pub(super) first: usize,
    pub(super) count: usize,
    /// The items; None if they stand in the job's list.
    pub(super) items: Option<Py<PyList>>,
}

/// One call.
pub(super) struct Job {
    /// Which of this process's it is.
    pub(super) number: u64,
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

/// What changes of a call.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of its own; they change at different times"
)]
pub(super) struct Work {
    /// All items, if they are in a list or a range.
    source: Option<Py<PyAny>>,
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
    /// What one weighs, or its result: the most, as it was of late.
    item_bytes: f64,
    pub(super) gather: Gather,
    /// Outcomes so far.
    pub(super) outcomes: usize,
    /// Whether it stands in the core's queue of jobs that have something to claim.
    pub(super) queued: bool,
    /// All outcomes are there; whoever waits may go on (callbacks come before that).
    pub(super) ready: bool,
    holder: Option<Py<PyAny>>,
    pub(super) over: bool,
    /// An item could not be sent.
    pub(super) unsent: bool,
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
        if !work.over
            && let Some(claim) = work.again.pop_front()
        {
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
        let there = if work.over { 0 } else { work.known - work.next };
        let room = if endless { usize::MAX } else { self.room(work) };
        if there == 0 || room == 0 {
            return 0;
        }
        let wanted = match (self.chunk, work.item_ns) {
            (Some(chunk), _) => {
                let wanted = chunk.min(there);
                let is_short = there < chunk && !work.ended;
                return if is_short || wanted > room { 0 } else { wanted };
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
        let light = ((CHUNK_BYTES / work.item_bytes.max(1.0)) as usize).max(1);
        wanted.min(fair).min(there).min(room).min(light)
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

    /// The items of a claim, in a list or a range; None if the call was given up.
    pub(super) fn items<'py>(
        &self,
        py: Python<'py>,
        claim: &Claim,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(items) = &claim.items {
            return Ok(Some(items.bind(py).clone().into_any()));
        }
        let Some(source) = self.work().source.as_ref().map(|source| source.clone_ref(py)) else {
            return Ok(None);
        };
        let source = source.into_bound(py);
        let (first, end) = (claim.first, claim.first + claim.count);
        if let Ok(list) = source.cast_exact::<PyList>() {
            return Ok(Some(list.get_slice(first, end).into_any()));
        }
        // `PySlice::new` would leak its numbers.
        let part = source.get_item(py.get_type::<PySlice>().call1((first, end))?)?;
        if claim.count >= RANGE_FROM {
            Ok(Some(part))
        } else {
            Ok(Some(part.try_iter()?.collect::<PyResult<Vec<_>>>()?.into_pyobject(py)?))
        }
    }

    /// Whether all items fail that this call has, as they cannot be sent: with which error. One that
    /// waits for its turn is tried.
    pub(super) fn unsendable(&self, py: Python<'_>) -> PyResult<()> {
        let work = self.work();
        let (unsent, waits) = (work.unsent, work.next == 0);
        let Gather::List { failure, .. } = &work.gather else {
            return Ok(());
        };
        let error = failure.as_ref().map(|(_, error)| error.clone_ref(py));
        let source = work.source.as_ref().map(|source| source.clone_ref(py));
        drop(work);
        match (unsent, error, waits, source) {
            (true, Some(error), ..) => Err(PyErr::from_value(error.into_bound(py))),
            (false, _, true, Some(items)) => {
                let item = items.bind(py).get_item(0)?;
                codec::prepare(&item, Policy::Anything, &mut Scratch::take()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Learns how long items take.
    pub(super) fn learn(&self, items: u32, elapsed: Duration) {
        let each = elapsed.as_nanos() as f64 / f64::from(items.max(1));
        let mut work = self.work();
        work.item_ns = Some(work.item_ns.map_or(each, |old| old * 0.5 + each * 0.5));
    }

    /// Learns what items weigh, or results.
    pub(super) fn weigh(&self, items: u32, bytes: usize) {
        let each = bytes as f64 / f64::from(items.max(1));
        let mut work = self.work();
        work.item_bytes = (work.item_bytes * 0.9).max(each);
    }

    /// Stores outcomes of items. True if the last one was among them.
    pub(super) fn store(
        &self,
        py: Python<'_>,
        outcomes: impl IntoIterator<Item = Batch>,
    ) -> PyResult<bool> {
        let list = match &self.work().gather {
            Gather::List { values, .. } => values.as_ref().map(|values| values.clone_ref(py)),
            Gather::Stream { .. } => None,
        };
        // Into a list they go without the lock: nobody looks at it before all are counted.
        let (mut placed, mut rest) = (0, Vec::new());
        for batch in outcomes {
            match (&list, batch) {
                (Some(list), Batch::Run(first, values)) => {
                    placed += values.len();
                    for (at, value) in (first..).zip(values) {
                        list.bind(py).set_item(at, value)?;
                    }
                }
                (Some(list), Batch::One(at, Outcome::Good(value))) => {
                    placed += 1;
                    list.bind(py).set_item(at, value)?;
                }
                (_, batch) => rest.push(batch),
            }
        }
        let mut surplus = Vec::new(); // dropped without the lock
        let mut work = self.work();
        if work.over {
            drop(work);
            return Ok(false);
        }
        work.outcomes += placed;
        for batch in rest {
            work.outcomes += match batch {
                Batch::One(item, outcome) => work.gather.put(item, outcome, &mut surplus),
                Batch::Run(first, values) => work.gather.put_run(first, values, &mut surplus),
            };
        }
        let last = work.finish_if_done();
        drop(work);
        drop(surplus);
        Ok(last)
    }

    /// What keeps the pool, while this is under way and somebody has its result.
    pub(super) fn hold(&self, pool: Py<PyAny>) {
        let mut work = self.work();
        if !work.ready {
            work.holder = Some(pool);
        }
    }

    /// Gives all that has no outcome yet this one. True if there was something.
    pub(super) fn give_up(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> bool {
        let mut work = self.work();
        if work.over {
            return false;
        }
        let (source, fed, again) =
            (work.source.take(), std::mem::take(&mut work.fed), std::mem::take(&mut work.again));
        work.next = work.known;
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
        let (mut dropped, holder) = (None, work.holder.take());
        if let Gather::Stream { there, early, abandoned, .. } = &mut work.gather {
            *abandoned = true;
            dropped = Some((std::mem::take(there), std::mem::take(early)));
        }
        drop(work);
        drop((dropped, holder));
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
    /// How many items have no outcome yet.
    pub(super) fn left(&self) -> usize {
        if self.over { 0 } else { self.known.saturating_sub(self.outcomes) }
    }

    /// Whether that was all; true once.
    fn finish_if_done(&mut self) -> bool {
        let all = self.ended && self.outcomes == self.known && !self.over;
        if all {
            self.over = true;
        }
        all
    }

    /// Lets those go on who wait. What it gives is to be dropped without the lock.
    pub(super) fn get_ready(&mut self) -> Option<Py<PyAny>> {
        self.ready = true;
        self.holder.take()
    }

    /// The items, which are of no use any more; to be dropped without the lock.
    pub(super) fn take_source(&mut self) -> Option<Py<PyAny>> {
        self.source.take()
    }
}

/// How a call is to be made.
pub(super) struct Order {
    pub(super) function: Function,
    pub(super) name: String,
    pub(super) source: Option<Py<PyAny>>,
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
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Job {
            number,
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
                item_bytes: 0.0,
                gather: self.gather,
                outcomes: 0,
                queued: false,
                ready: false,
                holder: None,
                over: false,
                unsent: false,
            }),
        })
    }
}
