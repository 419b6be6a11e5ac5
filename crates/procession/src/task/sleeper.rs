//! A thread that sleeps for what has no descriptor: room in a queue, an event. It starts when a future
//! must wait, and ends when none has for a second: so a loop whose futures wait a little each has one.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Alarm, WATCHES, Watch, lock, refused};
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
    /// Since when no future waits.
    unused_since: Option<Instant>,
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
        state.unused_since = None;
        self.changed.notify_all();
        Ok(true)
    }

    /// The last future has gone. The thread stays for a while, since the next one often comes at once.
    /// False: there is none.
    pub(super) fn rest(&self) -> bool {
        let mut state = lock(&self.state);
        state.unused_since = Some(Instant::now());
        state.runs
    }

    fn run(&self, watch: &Arc<Watch>) {
        loop {
            if !self.is_wanted() && self.retires(watch) {
                return;
            }
            while !(self.sleep)() {
                if self.is_unused() && self.retires(watch) {
                    return;
                }
            }
            lock(&self.state).is_wanted = false;
            watch.told();
        }
    }

    fn is_unused(&self) -> bool {
        lock(&self.state).unused_since.is_some_and(|since| since.elapsed() >= IDLE)
    }

    /// Waits until somebody waits; false if that is long.
    fn is_wanted(&self) -> bool {
        let state = lock(&self.state);
        let waits = |state: &mut State| !state.is_wanted;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, IDLE, waits)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_wanted
    }

    /// The thread's end, unless somebody has come meanwhile.
    fn retires(&self, watch: &Arc<Watch>) -> bool {
        let mut all = lock(&WATCHES.get().all);
        let mut state = lock(&self.state);
        if state.is_wanted && state.unused_since.is_none() {
            return false;
        }
        (state.is_wanted, state.runs) = (false, false);
        drop(state);
        all.retain(|_, shared| shared.waiters > 0 || !Arc::ptr_eq(&shared.watch, watch));
        true
    }
}
