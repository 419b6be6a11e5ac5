//! One call of the pool: what is known of its items, and how many go together.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::code::Code;
use super::items::{Items, Pack};
use super::results::Sink;
use crate::sys::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long a chunk is to take.
const CHUNK_NS: f64 = 2e6;
/// How many bytes, of its items or of their results: large ones go alone, in blocks of one size, which
/// are used again.
const CHUNK_BYTES: f64 = (1 << 20) as f64;
const LARGEST: usize = 1 << 20;

/// Items to be dispatched together.
pub(super) struct Claim {
    pub(super) first: usize,
    pub(super) count: u32,
    pub(super) items: Items,
}

/// How a call is made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    /// So many items in a chunk at most.
    pub(super) chunk: Option<usize>,
    /// So many items at most are claimed whose results were not taken.
    pub(super) ahead: Option<usize>,
}

/// One call.
pub(super) struct Job {
    /// Which of this process's it is.
    pub(super) number: u64,
    /// Where in the program it was made: its name.
    pub(super) caller: &'static Location<'static>,
    pub(super) code: Code,
    pub(super) terms: Terms,
    pub(super) pack: Box<dyn Pack>,
    pub(super) sink: Arc<dyn Sink>,
    /// The first failure ends the call: nothing more of it is begun.
    pub(super) stops: bool,
    /// Nothing more of it is to be begun.
    stopped: AtomicBool,
    over: AtomicBool,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    /// How many items there are so far, and whether more may come.
    known: usize,
    ended: bool,
    outcomes: usize,
    tries: HashMap<usize, u32>,
    /// What an item takes, as far as it is known.
    item_ns: Option<f64>,
    /// What one weighs, or its result: the most, as it was of late.
    item_bytes: f64,
}

impl Job {
    pub(super) fn new(
        (caller, code): (&'static Location<'static>, Code),
        terms: Terms,
        stops: bool,
        pack: Box<dyn Pack>,
        sink: Arc<dyn Sink>,
    ) -> Arc<Job> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Job {
            number: CALLS.fetch_add(1, Ordering::Relaxed),
            caller,
            code,
            terms,
            pack,
            sink,
            stops,
            stopped: AtomicBool::new(false),
            over: AtomicBool::new(false),
            work: Mutex::default(),
        })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all outcomes are there.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn end_now(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// True for the first one who says so.
    pub(super) fn stop(&self) -> bool {
        !self.stopped.swap(true, Ordering::SeqCst)
    }

    /// More items: gives the number of the first. `ended`: they are the last.
    pub(super) fn add(&self, count: usize, ended: bool) -> usize {
        let mut work = self.work();
        let first = work.known;
        work.known += count;
        work.ended |= ended;
        first
    }

    /// No more items come. True if that was all.
    pub(super) fn end(&self) -> bool {
        let mut work = self.work();
        work.ended = true;
        self.finish_if_done(&work)
    }

    /// Counts outcomes. True if the last one was among them.
    pub(super) fn count(&self, outcomes: usize) -> bool {
        let mut work = self.work();
        work.outcomes += outcomes;
        self.finish_if_done(&work)
    }

    /// True once.
    fn finish_if_done(&self, work: &Work) -> bool {
        let all = work.ended && work.outcomes == work.known;
        all && !self.over.swap(true, Ordering::AcqRel)
    }

    /// How many items were claimed.
    pub(super) fn known(&self) -> usize {
        self.work().known
    }

    /// How many items have an outcome, and how many there are.
    pub(super) fn progress(&self) -> (usize, usize) {
        let work = self.work();
        (work.outcomes, work.known)
    }

    /// How many items are to go together, if so many are left (as far as is known) and `room` of
    /// them may be under way.
    #[expect(clippy::cast_sign_loss, reason = "a time is not negative")]
    pub(super) fn chunk(
        &self,
        left: Option<usize>,
        room: usize,
        workers: usize,
        ahead: Option<usize>,
    ) -> usize {
        let work = self.work();
        let wanted = match (work.item_ns, left) {
            (Some(item), _) => ((CHUNK_NS / item.max(1.0)) as usize).clamp(1, LARGEST),
            (None, Some(left)) => (left / (workers * 32)).clamp(1, 4096),
            (None, None) => 1,
        };
        let fair = left.map_or(usize::MAX, |left| left.div_ceil(workers * 2).max(1));
        let fair = fair.min(ahead.map_or(usize::MAX, |ahead| (ahead / (workers * 4)).max(1)));
        let light = ((CHUNK_BYTES / work.item_bytes.max(1.0)) as usize).max(1);
        wanted.min(fair).min(light).min(room).min(self.terms.chunk.unwrap_or(usize::MAX).max(1))
    }

    /// Whether an item whose worker was lost may be tried again.
    pub(super) fn may_retry(&self, item: usize) -> bool {
        if self.terms.retries == 0 || self.is_stopped() {
            return false;
        }
        let mut work = self.work();
        let tries = work.tries.entry(item).or_default();
        *tries += 1;
        *tries <= self.terms.retries
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
}
