//! A thread that sleeps for what has no descriptor: room in a queue, an event. It starts when a future
//! must wait, and ends when none has for a second.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Alarm, Watch, lock, refused};
use crate::error::ArenaError;

const IDLE: Duration = Duration::from_secs(1);

/// Sleeps for a slice at most, and says whether it is worth a look.
type Sleep = Box<dyn Fn() -> bool + Send + Sync>;

pub(super) struct Sleeper {
    sleep: Sleep,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody waits to be told.
    is_wanted: bool,
    /// There is a thread.
    runs: bool,
    is_over: bool,
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Sleeper {
    pub(super) fn new(sleep: Sleep) -> Sleeper {
        Sleeper { sleep, state: Mutex::default(), changed: Condvar::new() }
    }

    /// `watch` is the one that this is the alarm of.
    pub(super) fn arm(&self, watch: &Arc<Watch>) -> Result<bool, ArenaError> {
        let mut state = lock(&self.state);
        if !state.runs {
            let watch = Arc::clone(watch);
            let run = move || {
                if let Alarm::Sleeper(sleeper) = &watch.alarm {
                    sleeper.run(&watch);
                }
            };
            let thread = std::thread::Builder::new().name("procession-async".into());
            thread.spawn(run).map_err(|e| refused(&e))?;
            state.runs = true;
        }
        state.is_wanted = true;
        self.changed.notify_all();
        Ok(true)
    }

    pub(super) fn end(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }

    fn run(&self, watch: &Watch) {
        while self.is_wanted() {
            while !(self.sleep)() {
                if lock(&self.state).is_over {
                    return;
                }
            }
            lock(&self.state).is_wanted = false;
            watch.told();
        }
    }

    /// Waits until somebody waits; false if that is long.
    fn is_wanted(&self) -> bool {
        let state = lock(&self.state);
        let waits = |state: &mut State| !state.is_wanted && !state.is_over;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, IDLE, waits)
            .unwrap_or_else(PoisonError::into_inner);
        state.runs = state.is_wanted && !state.is_over;
        state.runs
    }
}
