//! Waiting at an object: spin if that has paid, then sleep for a slice, then look who has died.

use std::time::{Duration, Instant};

use super::family::Inner;
use crate::sys::atomic::Ordering;
use crate::wait::{Spin, Wait, Woken};

impl Inner {
    /// Waits until `ready`, the deadline, a signal, or a slice is over. `sleep` sleeps, at most so
    /// long, unless `ready`.
    pub(crate) fn wait_at(
        &self,
        index: u32,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        slice: Duration,
        ready: impl Fn() -> bool,
        sleep: impl FnOnce(Duration) -> Woken,
    ) -> Wait {
        if spin.is_some_and(|s| s.until(&ready)) || ready() {
            return Wait::Again;
        }
        let start = Instant::now();
        let left = deadline.map_or(slice, |d| d.saturating_duration_since(start));
        if left == Duration::ZERO {
            return Wait::TimedOut;
        }
        // Whom the family has no room for sleeps all the same, unseen.
        let waiting_on = self.me().ok().map(|me| &self.participant(me).waiting_on);
        let note = |index| waiting_on.inspect(|w| w.store(index, Ordering::Relaxed));
        note(index + 1);
        let woken = sleep(left.min(slice));
        note(0);
        if let Some(spin) = spin {
            spin.learn(start.elapsed());
        }
        match woken {
            Woken::Interrupted => Wait::Interrupted,
            Woken::TimedOut => {
                self.sweep_if_due();
                Wait::Again
            }
            Woken::Wake | Woken::Changed => Wait::Again,
        }
    }
}
