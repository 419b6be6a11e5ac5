//! Crash points: named places between two steps at which a test build can be told to SIGKILL itself.
//!
//! Only with the feature `fault`; otherwise [`crash_point!`] is nothing. The environment variable
//! `PROCESSION_CRASH_AT=name:n` (or [`arm`]) kills the process at the nth time that it passes `name`.
//! `tests/crash.rs` kills a process at every name in [`POINTS`] and then checks the whole arena.

/// Marks a crash point. The name must stand in [`POINTS`](crate::sys::fault::POINTS).
macro_rules! crash_point {
    ($name:literal) => {{
        #[cfg(feature = "fault")]
        {
            const POINT: usize = $crate::sys::fault::number($name);
            $crate::sys::fault::hit(POINT);
        }
    }};
}
pub(crate) use crash_point;

/// Every crash point there is, by operation.
#[cfg(feature = "fault")]
pub const POINTS: &[&str] = &[
    "lock.acquired",
    "lock.taken_over",
    "lock.before_wake",
    "wake.before",
    "redo.written",
    "redo.committed",
    "redo.half_applied",
    "redo.applied",
    "alloc.logged",
    "alloc.hint_taken",
    "alloc.owned",
    "alloc.span_found",
    "alloc.span_claimed",
    "alloc.run_claimed",
    "alloc.charged",
    "alloc.backed",
    "free.start",
    "free.holds_released",
    "free.given_back",
    "free.logged",
    "free.freed",
    "free.run_freed",
    "ring.placed",
    "ring.run_halved",
    "put.start",
    "put.block_given",
    "put.segment_noted",
    "put.jump_written",
    "put.copied",
    "put.run_copied",
    "put.committed",
    "put.unlocked",
    "get.start",
    "get.copied",
    "get.run_copied",
    "get.peeking",
    "get.cut_noted",
    "get.cut",
    "get.segment_noted",
    "get.block_noted",
    "get.committed",
    "get.block_owned",
    "get.unlocked",
    "get.segment_freed",
    "bell.ringing",
    "bell.rung",
    "bell.arming",
    "bell.eaten",
    "pipe.made",
    "close.socket",
    "close.announced",
    "done.counted",
    "door.table_made",
    "door.described",
    "door.claimed",
    "door.entered",
    "door.ringing",
    "sync.lock_taken",
    "sync.lock_noted",
    "sync.lock_in_debt",
    "sync.lock_released",
    "sync.lock_free",
    "sync.lock_described",
    "sync.lock_buried",
    "sync.left",
    "sync.left_behind",
    "sync.permit_taken",
    "sync.permit_given",
    "sync.event_set",
    "sync.enlisted",
    "sync.notified",
    "sync.called",
    "sync.unlisted",
    "sync.passed_on",
    "sync.arriving",
    "sync.arrived",
    "sync.released",
    "sync.broken",
    "sync.resetting",
    "sync.told_of_reset",
    "sync.broken_for_the_dead",
    "sync.leaving",
    "rw.counted",
    "rw.counted_out",
    "rw.claimed",
    "rw.writing",
    "rw.finished",
    "rw.free",
    "rw.reader_buried",
    "cell.written",
    "cell.stored",
    "cell.filled",
    "cell.replaced",
    "cell.stripped",
    "pool.intended",
    "pool.taken",
    "pool.claim_resolved",
    "pool.started",
    "pool.logged",
    "pool.run_ended",
    "pool.reported",
    "pool.flushed",
    "pool.finished",
    "pin.taken",
    "pin.copying",
    "pin.released",
    "companion.made",
    "companion.given",
    "step.prepared",
    "step.stored",
    "step.written",
    "step.committed",
    "step.half_applied",
    "step.applied",
    "step.journalled",
    "step.block_given",
    "step.exhumed",
    "step.unlocked",
    "step.mended",
    "step.left_behind",
    "step.stripped",
    "dict.entry_written",
    "dict.value_written",
    "dict.removing",
    "dict.clearing",
    "dict.many_written",
    "dict.slot_copied",
    "dict.index_begun",
    "dict.index_renewed",
    "dict.entry_moved",
    "dict.ranks_closed",
    "dict.bytes_moved",
    "list.appending",
    "list.setting",
    "list.removing",
    "list.splicing",
    "list.clearing",
    "list.replacing",
    "list.assembling",
    "list.rearranging",
    "list.chunks_written",
    "list.bytes_moved",
    "stage.made",
    "stage.written",
    "stage.put",
    "stage.storing",
    "lifo.clearing",
    "lifo.putting",
    "lifo.taking",
    "priority.putting",
    "priority.split",
    "priority.taking",
    "priority.leaf_dropped",
    "priority.emptied",
    "priority.moved",
    "delivery.putting",
    "delivery.taking",
    "delivery.taken",
    "delivery.ending",
    "delivery.giving_back",
    "delivery.found_dead",
    "delivery.returning",
    "delivery.returned",
    "delivery.dropping",
    "delivery.shut_down",
    "delivery.chunk_dropped",
    "delivery.moved",
    "named.created",
    "named.given",
    "hold.taken",
    "hold.message",
    "hold.released",
    "object.created",
    "memory.filled",
    "memory.given",
    "object.dying",
    "object.drained",
    "object.stripped",
    "object.freed",
    "attach.slot_claimed",
    "attach.identified",
    "attach.alive",
    "family.opened",
    "family.locked",
    "family.drafted",
    "family.entered",
    "family.joined",
    "family.recorded",
    "family.departed",
    "family.removed",
    "family.stale_removed",
    "fork.embryo",
    "fork.holds_copied",
    "fork.remapped",
    "fork.child",
    "fork.child_alive",
    "sweep.claimed",
    "sweep.transit_done",
    "sweep.primitives_done",
    "sweep.owned_done",
    "sweep.objects_done",
    "sweep.slot_freed",
];

#[cfg(feature = "fault")]
pub(crate) use imp::{hit, number};

#[cfg(feature = "fault")]
pub use imp::{arm, hits};

// No locks: a process forks at any time, and its child passes crash points as well.
#[cfg(feature = "fault")]
mod imp {
    use super::POINTS;
    use crate::sys::atomic::{AtomicU64, Ordering};
    use crate::sys::process;

    /// What shall happen at how many points at most.
    const PLANS: usize = 8;

    /// At which point (its number plus one; 0: none), after how many passes more, whether to stop.
    struct Armed {
        point: AtomicU64,
        left: AtomicU64,
        stop: AtomicU64,
    }

    static READ: AtomicU64 = AtomicU64::new(0);
    static HITS: [AtomicU64; POINTS.len()] = [const { AtomicU64::new(0) }; POINTS.len()];
    static ARMED: [Armed; PLANS] = [const {
        Armed { point: AtomicU64::new(0), left: AtomicU64::new(0), stop: AtomicU64::new(0) }
    }; PLANS];

    /// The number of a point.
    pub(crate) const fn number(name: &str) -> usize {
        let mut i = 0;
        while i < POINTS.len() {
            if same(POINTS[i].as_bytes(), name.as_bytes()) {
                return i;
            }
            i += 1;
        }
        panic!("name it in sys::fault::POINTS")
    }

    const fn same(a: &[u8], b: &[u8]) -> bool {
        if a.len() != b.len() {
            return false;
        }
        let mut i = 0;
        while i < a.len() {
            if a[i] != b[i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// What shall happen, as `name:n` (SIGKILL at the nth pass, counted from now) or `name:n:stop`
    /// (SIGSTOP), several with commas between; nothing if empty. Counts passes anew.
    ///
    /// # Panics
    /// If there is no such crash point.
    ///
    /// # Examples
    /// ```
    /// procession::fault::arm("put.committed:1000000");
    /// procession::fault::arm("");
    /// ```
    pub fn arm(plan: &str) {
        READ.store(1, Ordering::SeqCst);
        for armed in &ARMED {
            armed.point.store(0, Ordering::SeqCst);
        }
        for hits in &HITS {
            hits.store(0, Ordering::SeqCst);
        }
        let parts: Vec<_> = plan.split(',').filter(|p| !p.is_empty()).collect();
        assert!(parts.len() <= PLANS, "there is room for {PLANS} plans");
        for (part, armed) in parts.into_iter().zip(&ARMED) {
            let mut fields = part.split(':');
            let name = fields.next().unwrap_or_default();
            let point = POINTS.iter().position(|p| *p == name);
            let point = point.unwrap_or_else(|| panic!("no crash point is called {name:?}"));
            let left = fields.next().and_then(|n| n.parse().ok()).unwrap_or(1);
            armed.left.store(left, Ordering::SeqCst);
            armed.stop.store(u64::from(fields.next() == Some("stop")), Ordering::SeqCst);
            armed.point.store(point as u64 + 1, Ordering::SeqCst);
        }
    }

    /// How often each crash point was passed.
    ///
    /// # Examples
    /// ```
    /// procession::fault::arm("");
    /// let q: procession::Queue<i32> = procession::Queue::unbounded().unwrap();
    /// q.put(1).unwrap();
    /// assert!(procession::fault::hits().contains(&("put.committed", 1)));
    /// ```
    #[must_use]
    pub fn hits() -> Vec<(&'static str, u64)> {
        let all = POINTS.iter().zip(&HITS).map(|(name, n)| (*name, n.load(Ordering::SeqCst)));
        all.filter(|(_, n)| *n > 0).collect()
    }

    pub(crate) fn hit(point: usize) {
        if READ.load(Ordering::Relaxed) == 0 {
            arm(&std::env::var("PROCESSION_CRASH_AT").unwrap_or_default());
        }
        HITS[point].fetch_add(1, Ordering::SeqCst);
        for armed in &ARMED {
            if armed.point.load(Ordering::Relaxed) == point as u64 + 1
                && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
            {
                armed.point.store(0, Ordering::SeqCst);
                if armed.stop.load(Ordering::SeqCst) == 1 {
                    process::stop_self();
                } else {
                    process::kill_self();
                }
            }
        }
    }
}
