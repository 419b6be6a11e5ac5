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
            const _: () =
                assert!($crate::sys::fault::known($name), "name it in sys::fault::POINTS");
            $crate::sys::fault::hit($name);
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
    "put.start",
    "put.block_given",
    "put.segment_noted",
    "put.jump_written",
    "put.copied",
    "put.committed",
    "put.unlocked",
    "get.start",
    "get.copied",
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
    "pool.intended",
    "pool.taken",
    "pool.claim_resolved",
    "pool.started",
    "pool.logged",
    "pool.run_ended",
    "pool.reported",
    "pool.flushed",
    "pool.finished",
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
pub(crate) use imp::{hit, known};

#[cfg(feature = "fault")]
pub use imp::{arm, hits};

#[cfg(feature = "fault")]
mod imp {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    struct Armed {
        name: String,
        left: u64,
        stop: bool,
    }

    #[derive(Default)]
    struct State {
        read: bool,
        armed: Vec<Armed>,
        hits: BTreeMap<&'static str, u64>,
    }

    static STATE: Mutex<Option<State>> = Mutex::new(None);

    fn state() -> MutexGuard<'static, Option<State>> {
        STATE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn known(name: &str) -> bool {
        let mut i = 0;
        while i < super::POINTS.len() {
            if same(super::POINTS[i].as_bytes(), name.as_bytes()) {
                return true;
            }
            i += 1;
        }
        false
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
        let mut armed = Vec::new();
        for part in plan.split(',').filter(|p| !p.is_empty()) {
            let mut fields = part.split(':');
            let name = fields.next().unwrap_or_default().to_owned();
            assert!(known(&name), "no crash point is called {name:?}");
            let left = fields.next().and_then(|n| n.parse().ok()).unwrap_or(1);
            armed.push(Armed { name, left, stop: fields.next() == Some("stop") });
        }
        *state() = Some(State { read: true, armed, hits: BTreeMap::new() });
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
        state().as_ref().map_or_else(Vec::new, |s| s.hits.iter().map(|(&n, &k)| (n, k)).collect())
    }

    pub(crate) fn hit(name: &'static str) {
        let mut state = state();
        if !state.as_ref().is_some_and(|s| s.read) {
            drop(state);
            arm(&std::env::var("PROCESSION_CRASH_AT").unwrap_or_default());
            state = self::state();
        }
        let Some(s) = state.as_mut() else { return };
        *s.hits.entry(name).or_default() += 1;
        for a in s.armed.iter_mut().filter(|a| a.name == name && a.left > 0) {
            a.left -= 1;
            match (a.left, a.stop) {
                (0, true) => super::super::process::stop_self(),
                (0, false) => super::super::process::kill_self(),
                _ => {}
            }
        }
    }
}
