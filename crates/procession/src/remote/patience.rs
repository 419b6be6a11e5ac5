//! How long a caller is ready to wait.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::stop;

/// How soon a signal is noticed where nothing ends the sleep.
const SIGNAL: Duration = Duration::from_millis(50);

static INTERRUPT: OnceLock<fn() -> bool> = OnceLock::new();

/// Says what is asked, for the whole process, where a [`Patience`] has nothing that may interrupt it: true ends the
/// call, with [`RemoteError::Interrupted`](super::RemoteError::Interrupted). Only the first one counts.
pub fn set_interrupt(interrupt: fn() -> bool) {
    let _ = INTERRUPT.set(interrupt);
}

/// How long a caller is ready to wait, and what may interrupt him.
#[derive(Clone, Copy, Default)]
pub struct Patience<'a> {
    /// Until then; without it for ever.
    pub until: Option<Instant>,
    /// Asked whenever a wait has been interrupted, by a signal perhaps: true ends it. Without it what
    /// [`set_interrupt`] has said.
    pub interrupt: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl Patience<'_> {
    /// For ever.
    #[must_use]
    pub fn forever() -> Patience<'static> {
        Patience { until: None, interrupt: None }
    }

    /// For no longer than that; with zero there is one try.
    #[must_use]
    pub fn of(time: Duration) -> Patience<'static> {
        Patience { until: Instant::now().checked_add(time), interrupt: None }
    }

    /// Not at all.
    #[must_use]
    pub fn none() -> Patience<'static> {
        Patience::of(Duration::ZERO)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        if stop::is_set() {
            return true;
        }
        match self.interrupt {
            Some(interrupt) => interrupt(),
            None => INTERRUPT.get().is_some_and(|interrupt| interrupt()),
        }
    }

    /// Sleeps that long; false if it was interrupted.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            if self.is_interrupted() {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(SIGNAL));
        }
    }
}

impl fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("until", &self.until).finish_non_exhaustive()
    }
}
