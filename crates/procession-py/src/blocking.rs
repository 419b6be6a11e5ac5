//! The one way to wait.
//!
//! Try; if that fails, let go of the interpreter and sleep in the core; look whether a signal came
//! in (Ctrl-C ends the wait at once); try again, to the same deadline. The caller's time-out
//! becomes a deadline once, at the outermost call.

use std::time::{Duration, Instant};

use procession::pool::{RawPool, RawWorker};
use procession::{
    ArenaError, End, RawConnection, RawDeliveryQueue, RawDict, RawLifoQueue, RawList,
    RawPriorityQueue, RawQueue, Wait,
};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

use crate::error::Raise;

/// How long a caller is ready to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// Until then; without a deadline for ever.
    Until(Option<Instant>),
}

impl Patience {
    /// From `block=True, timeout=None` as `multiprocessing` has them: any truth value; seconds, a
    /// negative number of which is none. A time-out beyond what the clock can say is no time-out.
    #[inline]
    pub(crate) fn from_args(
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if let Some(block) = block
            && !block.is_truthy()?
        {
            return Ok(Self::None);
        }
        match timeout {
            None => Ok(Self::Until(None)),
            Some(timeout) => Self::from_timeout(timeout),
        }
    }

    /// From `blocking=True, timeout=-1` as `threading`'s locks have them; a time-out of None is none.
    pub(crate) fn as_threading(
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let blocking = blocking.map_or(Ok(true), PyAnyMethods::is_truthy)?;
        let is_some =
            |timeout: &Bound<'_, PyAny>| PyResult::Ok(!timeout.is_none() && timeout.ne(-1)?);
        let given = timeout.map_or(PyResult::Ok(false), is_some)?;
        match timeout.filter(|_| given) {
            None if blocking => Ok(Self::Until(None)),
            None => Ok(Self::None),
            Some(_) if !blocking => {
                Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"))
            }
            Some(timeout) if timeout.lt(0)? => {
                Err(PyValueError::new_err("timeout value must be a non-negative number"))
            }
            Some(timeout) => Self::from_timeout(timeout),
        }
    }

    /// From `timeout=None` alone.
    pub(crate) fn from_timeout(timeout: &Bound<'_, PyAny>) -> PyResult<Self> {
        if timeout.is_none() {
            return Ok(Self::Until(None));
        }
        let seconds = match timeout.extract::<f64>() {
            Ok(seconds) => seconds,
            // An int too big for a float.
            Err(error) if error.is_instance_of::<PyOverflowError>(timeout.py()) => {
                if timeout.lt(0)? { 0.0 } else { f64::INFINITY }
            }
            Err(error) => return Err(error),
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err("Invalid value NaN (not a number) for timeout"));
        }
        if seconds <= 0.0 {
            return Ok(Self::None);
        }
        let deadline = Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|duration| Instant::now().checked_add(duration));
        Ok(Self::Until(deadline))
    }
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// With what was waited for.
    Done(T),
    /// Patience ended first.
    TimedOut,
    /// It will never come: the other end of the pipe is gone.
    HungUp,
}

impl<T> Waited<T> {
    /// What was waited for, if it came.
    pub(crate) fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::TimedOut | Self::HungUp => None,
        }
    }
}

/// Calls `attempt` until it gives something, or patience or hope ends, sleeping in between.
///
/// `attempt` runs with the interpreter, `sleep` without it.
pub(crate) fn wait<T>(
    py: Python<'_>,
    patience: Patience,
    mut attempt: impl FnMut() -> PyResult<Option<T>>,
    sleep: impl Fn(Option<Instant>) -> Wait + Sync,
) -> PyResult<Waited<T>> {
    loop {
        if let Some(value) = attempt()? {
            return Ok(Waited::Done(value));
        }
        let Patience::Until(deadline) = patience else {
            return Ok(Waited::TimedOut);
        };
        let end = match py.detach(|| sleep(deadline)) {
            Wait::TimedOut => Waited::TimedOut,
            Wait::HungUp => Waited::HungUp,
            _ => {
                py.check_signals()?;
                continue;
            }
        };
        // What came before the end is there by now.
        return Ok(attempt()?.map_or(end, Waited::Done));
    }
}

/// What has ends at which a process may be stuck.
pub(crate) trait Ends: Sync {
    /// Whether somebody is.
    fn is_stuck(&self, end: End) -> bool;
    /// Sleeps until nobody is.
    fn settle(&self, end: End) -> Result<(), ArenaError>;
}

impl Ends for RawQueue {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        self.is_stuck(end)
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.settle(end)
    }
}

impl Ends for RawConnection {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        self.is_stuck(end)
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.settle(end)
    }
}

impl Ends for RawDict {
    #[inline]
    fn is_stuck(&self, _end: End) -> bool {
        self.is_stuck()
    }

    fn settle(&self, _end: End) -> Result<(), ArenaError> {
        self.settle()
    }
}

impl Ends for RawList {
    #[inline]
    fn is_stuck(&self, _end: End) -> bool {
        self.is_stuck()
    }

    fn settle(&self, _end: End) -> Result<(), ArenaError> {
        self.settle()
    }
}

impl Ends for RawDeliveryQueue {
    #[inline]
    fn is_stuck(&self, _end: End) -> bool {
        self.is_stuck()
    }

    fn settle(&self, _end: End) -> Result<(), ArenaError> {
        self.settle()
    }
}

impl Ends for RawLifoQueue {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        if end == End::Tail { self.is_stuck_to_put() } else { self.is_stuck() }
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        if end == End::Tail { self.settle_to_put() } else { self.settle() }
    }
}

impl Ends for RawPriorityQueue {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        if end == End::Tail { self.is_stuck_to_put() } else { self.is_stuck() }
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        if end == End::Tail { self.settle_to_put() } else { self.settle() }
    }
}

impl Ends for RawPool {
    #[inline]
    fn is_stuck(&self, end: End) -> bool {
        self.is_stuck(end)
    }

    fn settle(&self, end: End) -> Result<(), ArenaError> {
        self.settle(end)
    }
}

impl Ends for RawWorker {
    #[inline]
    fn is_stuck(&self, _end: End) -> bool {
        self.is_stuck()
    }

    fn settle(&self, _end: End) -> Result<(), ArenaError> {
        self.settle()
    }
}

/// Waits without the interpreter until nobody is stuck at that end, so that a process which was
/// stopped or preempted inside it stops this thread only, and not the whole interpreter.
#[inline]
pub(crate) fn settle(py: Python<'_>, ring: &impl Ends, end: End) -> PyResult<()> {
    if ring.is_stuck(end) {
        py.detach(|| ring.settle(end)).map_err(Raise::raise)?;
    }
    Ok(())
}
