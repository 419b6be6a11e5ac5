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
            const _: () = assert!($crate::sys::fault::known($name), "name it in sys::fault::POINTS");
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
    "put.start",
    "put.block_given",
    "put.segment_noted",
    "put.jump_written",
    "put.copied",
    "put.cursor",
    "put.committed",
    "put.unlocked",
    "get.start",
    "get.copied",
    "get.segment_noted",
    "get.block_noted",
    "get.cursor",
    "get.committed",
    "get.block_owned",
    "get.unlocked",
    "get.segment_freed",
    "done.counted",
    "hold.taken",
    "hold.message",
    "hold.released",
    "object.created",
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
    "sweep.owned_done",
    "sweep.objects_done",
    "sweep.slot_freed",
];

#[cfg(feature = "fault")]
pub(crate) use imp::{hit, known};

#[cfg(feature = "fault")]
pub use imp::arm;

#[cfg(feature = "fault")]
#[allow(clippy::disallowed_types)] // the counter is the test's own, not part of a checked algorithm
mod imp {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Armed {
        name: String,
        left: u64,
    }

    static READ: AtomicBool = AtomicBool::new(false);
    static ON: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

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

    /// From now on this process dies at the `nth` pass (counted from 1) of the crash point `name`;
    /// an empty name disarms.
    ///
    /// # Panics
    /// If there is no such crash point.
    ///
    /// # Examples
    /// ```
    /// procession::fault::arm("put.committed", 1_000_000);
    /// procession::fault::arm("", 0);
    /// ```
    pub fn arm(name: &str, nth: u64) {
        assert!(name.is_empty() || known(name), "no crash point is called {name:?}");
        READ.store(true, Ordering::Relaxed);
        ON.store(!name.is_empty(), Ordering::Relaxed);
        let armed = (!name.is_empty()).then(|| Armed { name: name.to_owned(), left: nth.max(1) });
        *ARMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = armed;
    }

    pub(crate) fn hit(name: &'static str) {
        if !READ.swap(true, Ordering::Relaxed)
            && let Ok(v) = std::env::var("PROCESSION_CRASH_AT")
        {
            let (name, n) = v.rsplit_once(':').unwrap_or((&v, "1"));
            arm(name, n.parse().unwrap_or(1));
        }
        if !ON.load(Ordering::Relaxed) {
            return;
        }
        let mut armed = ARMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(a) = armed.as_mut()
            && a.name == name
        {
            a.left -= 1;
            if a.left == 0 {
                super::super::process::kill_self();
            }
        }
    }
}
