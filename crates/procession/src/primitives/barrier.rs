//! A barrier.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::sync::{Arrival, Broken, RawBarrier};

/// Where a number of processes and threads wait for one another, again and again.
///
/// It is the same as a Python process's `Barrier`. If one that has arrived gives up, panics in the action,
/// or its process dies, the barrier is [`Broken`] for all, until it is reset: nobody waits for the dead.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Barrier;
/// let barrier = Barrier::new(2)?;
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait().unwrap());
///     let here = barrier.wait()?;
///     assert_ne!(here.is_leader(), other.join().unwrap().is_leader());
///     Ok(())
/// })
/// # }
/// ```
pub struct Barrier {
    core: Arc<RawBarrier>,
}

primitive!(Barrier, "a barrier", |it| it.core);

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish_non_exhaustive()
    }
}

/// What one who has waited at a [`Barrier`] learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult {
    pub(crate) index: u32,
    pub(crate) leader: bool,
}

impl BarrierWaitResult {
    /// The how-manieth it was to arrive, from 0 on.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// True for exactly one: the last to arrive.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

impl Barrier {
    /// A new one in this process's family, for so many parties.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    ///
    /// # Panics
    /// As [`RawBarrier::create`].
    pub fn new(parties: u32) -> Result<Barrier, HandleError> {
        Ok(Barrier::new_in(Family::current()?, parties)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Panics
    /// As [`RawBarrier::create`].
    pub fn new_in(family: Family, parties: u32) -> Result<Barrier, ArenaError> {
        Ok(RawBarrier::create(family, parties)?.into())
    }

    /// Opens the barrier that a handle names.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<Barrier, HandleError> {
        Ok(RawBarrier::from_handle(handle)?.into())
    }

    /// The barrier without blocking beneath.
    #[must_use]
    pub fn raw(&self) -> &RawBarrier {
        &self.core
    }

    /// Waits until all have come.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn wait(&self) -> Result<BarrierWaitResult, Broken> {
        self.wait_with(Patience::Endless, || ())
    }

    /// The same, at most so long: who gives up breaks the barrier.
    ///
    /// # Errors
    /// [`Broken`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Barrier;
    /// let barrier = Barrier::new(2)?;
    /// assert!(barrier.wait_timeout(std::time::Duration::from_millis(1)).is_err());
    /// assert!(barrier.is_broken());
    /// # Ok(()) }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, Broken> {
        self.wait_with(Patience::of(timeout), || ())
    }

    /// Waits until all have come; the last one runs `action` before anybody goes on.
    ///
    /// # Errors
    /// [`Broken`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Barrier;
    /// let mut ran = false;
    /// Barrier::new(1)?.wait_and(|| ran = true)?;
    /// assert!(ran);
    /// # Ok(()) }
    /// ```
    pub fn wait_and(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, Broken> {
        self.wait_with(Patience::Endless, action)
    }

    fn wait_with(
        &self,
        patience: Patience,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, Broken> {
        loop {
            match self.core.arrive()? {
                Arrival::Last(runner) => {
                    action(); // if it panics, the barrier breaks
                    let index = runner.release()?;
                    return Ok(BarrierWaitResult { index, leader: true });
                }
                Arrival::Wait(waiter) => {
                    let index = loop {
                        if let Some(outcome) = waiter.outcome() {
                            break outcome?;
                        }
                        if !patience.wait(|deadline| waiter.wait(deadline)) {
                            break waiter.abort()?;
                        }
                    };
                    return Ok(BarrierWaitResult { index, leader: false });
                }
                Arrival::Busy => {
                    if !patience.wait(|deadline| self.core.wait_while_busy(deadline)) {
                        self.core.abort();
                        return Err(Broken);
                    }
                }
            }
        }
    }

    /// Breaks it, until it is reset.
    pub fn abort(&self) {
        self.core.abort();
    }

    /// Makes it fresh; those who wait find it broken.
    pub fn reset(&self) {
        self.core.reset();
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.core.is_broken()
    }

    /// How many have arrived and wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.core.waiting()
    }

    /// How many it is for.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.core.parties()
    }
}

impl From<RawBarrier> for Barrier {
    fn from(raw: RawBarrier) -> Barrier {
        Barrier { core: Arc::new(raw) }
    }
}
