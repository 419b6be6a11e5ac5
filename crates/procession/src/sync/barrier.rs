//! A barrier.

use std::fmt;
use std::time::Instant;

use super::{common, slot_of};
use crate::arena::estate::owner;
use crate::arena::family::Family;
use crate::arena::layout::sync::BarrierSlot;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::Limits;
use crate::wait::{Futex, SLICE, Spin, Wait};
use crate::words::barrier::{Arrived, Barrier, Broken, MAX_PARTIES};

/// Where a number of processes and threads wait for one another, again and again.
///
/// The last one to arrive may run an action before all go on. If one who has arrived gives up, or its
/// process dies, the barrier is broken for all until it is [reset](RawBarrier::reset): everyone's
/// wait ends, after a death within half a second. (Of more than 102 who wait at one time, only those
/// in processes that sleep there are known; and who of these looks later than sixteen meetings after
/// a reset takes it for a meeting.)
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Arrival, Family, RawBarrier};
/// let barrier = RawBarrier::create(Family::current()?, 2)?;
/// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
/// let Arrival::Last(runner) = barrier.arrive()? else { panic!() };
/// assert_eq!(runner.release(), Ok(1));
/// assert_eq!(waiter.outcome(), Some(Ok(0)));
/// # Ok(()) }
/// ```
pub struct RawBarrier {
    lease: Lease,
    slot: &'static BarrierSlot,
    spin: Spin,
}

common!(RawBarrier, Kind::Barrier, "RawBarrier::create(Family::current()?, 2)?");

impl fmt::Debug for RawBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBarrier")
            .field("index", &self.lease.id.index)
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish_non_exhaustive()
    }
}

/// What an arrival was.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// The last one: run what is to be run, then let everyone go.
    Last(BarrierRunner<'a>),
    /// Others have to come.
    Wait(BarrierWaiter<'a>),
    /// None: more than the barrier is for have come, and an action is being run for those before.
    /// [Wait](RawBarrier::wait_while_busy), and arrive again.
    Busy,
}

impl RawBarrier {
    /// A new barrier, for so many at a time.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Panics
    /// If `parties` is 0 or more than 65,535.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier};
    /// assert_eq!(RawBarrier::create(Family::current()?, 3)?.parties(), 3);
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, parties: u32) -> Result<RawBarrier, ArenaError> {
        assert!((1..=MAX_PARTIES).contains(&parties), "{parties} parties");
        let limits = Limits { messages: parties.into(), bytes: 0 };
        RawBarrier::over(Lease::create(family, Kind::Barrier, limits)?)
    }

    fn over(lease: Lease) -> Result<RawBarrier, ArenaError> {
        let slot = slot_of(&lease)?;
        Ok(RawBarrier { lease, slot, spin: Spin::new() })
    }

    fn words(&self) -> Barrier<'static> {
        self.slot.barrier()
    }

    /// Arrives. This does not wait.
    ///
    /// # Errors
    /// [`Broken`] if the barrier is, or this process could not join the family again after a fork.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Family, RawBarrier};
    /// let alone = RawBarrier::create(Family::current()?, 1)?;
    /// assert!(matches!(alone.arrive()?, Arrival::Last(_)));
    /// # Ok(()) }
    /// ```
    pub fn arrive(&self) -> Result<Arrival<'_>, Broken> {
        let me = self.lease.inner.me().map_err(|_| Broken)?;
        let Some(arrived) = self.words().arrive(owner(me))? else {
            return Ok(Arrival::Busy);
        };
        let here = Here { barrier: self, me, arrived: Some(arrived) };
        Ok(if arrived.is_last {
            Arrival::Last(BarrierRunner(here))
        } else {
            Arrival::Wait(BarrierWaiter(here))
        })
    }

    /// Waits until no action is being run.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier, Wait};
    /// assert_eq!(RawBarrier::create(Family::current()?, 2)?.wait_while_busy(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_while_busy(&self, deadline: Option<Instant>) -> Wait {
        let (inner, index, words) = (self.lease.inner, self.lease.id.index, self.words());
        let ready = || !words.is_busy();
        inner.wait_at(index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            words.sleep_while_busy(&Futex, limit)
        })
    }

    /// How many it is for.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier};
    /// assert_eq!(RawBarrier::create(Family::current()?, 2)?.parties(), 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.words().parties
    }

    /// How many have arrived and wait; 0 if it is broken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier};
    /// assert_eq!(RawBarrier::create(Family::current()?, 2)?.waiting(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.words().waiting()
    }

    /// Whether it is broken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier};
    /// assert!(!RawBarrier::create(Family::current()?, 2)?.is_broken());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.words().is_broken()
    }

    /// Breaks it, until it is reset.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawBarrier};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// barrier.abort();
    /// assert!(barrier.arrive().is_err());
    /// # Ok(()) }
    /// ```
    pub fn abort(&self) {
        self.words().abort(None, &Futex);
    }

    /// Makes it fresh; those who wait find it broken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Broken, Family, RawBarrier};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
    /// barrier.reset();
    /// assert_eq!(waiter.outcome(), Some(Err(Broken)));
    /// assert!(!barrier.is_broken());
    /// # Ok(()) }
    /// ```
    pub fn reset(&self) {
        self.words().reset(&Futex);
    }
}

/// Somebody who has arrived, and whose entry is in the list. Dropped undecided, it breaks the barrier.
struct Here<'a> {
    barrier: &'a RawBarrier,
    me: Serial,
    /// `None`: it has left.
    arrived: Option<Arrived<'static>>,
}

impl Here<'_> {
    fn outcome(&self) -> Option<Result<u32, Broken>> {
        let arrived = self.arrived.as_ref()?;
        let outcome = self.barrier.words().outcome(arrived)?;
        Some(outcome.map(|()| arrived.index))
    }

    fn abort(&self) {
        if let Some(arrived) = &self.arrived {
            self.barrier.words().abort(Some(arrived), &Futex);
        }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        // In a fork child, the arrival is the parent's.
        if self.barrier.lease.inner.me_or_zero() == self.me {
            self.abort();
            if let Some(arrived) = self.arrived.take() {
                Barrier::leave(&arrived);
            }
        }
    }
}

/// The last one to arrive at a [`RawBarrier`]. Dropped before the release, it breaks the barrier.
pub struct BarrierRunner<'a>(Here<'a>);

impl fmt::Debug for BarrierRunner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BarrierRunner").field(&self.0.arrived).finish()
    }
}

impl BarrierRunner<'_> {
    /// Lets everyone go. The caller's index: one less than there are parties.
    ///
    /// # Errors
    /// [`Broken`] if the barrier was broken or reset meanwhile.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Family, RawBarrier};
    /// let alone = RawBarrier::create(Family::current()?, 1)?;
    /// let Arrival::Last(runner) = alone.arrive()? else { panic!() };
    /// assert_eq!(runner.release(), Ok(0));
    /// # Ok(()) }
    /// ```
    pub fn release(self) -> Result<u32, Broken> {
        let arrived = self.0.arrived.as_ref().ok_or(Broken)?;
        let released = self.0.barrier.words().release(arrived, &Futex);
        if released { Ok(arrived.index) } else { Err(Broken) }
    }

    /// Breaks the barrier, because the action failed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Family, RawBarrier};
    /// let alone = RawBarrier::create(Family::current()?, 1)?;
    /// let Arrival::Last(runner) = alone.arrive()? else { panic!() };
    /// runner.abort();
    /// assert!(alone.is_broken());
    /// # Ok(()) }
    /// ```
    pub fn abort(self) {
        self.0.abort();
    }
}

/// One who waits at a [`RawBarrier`]. Dropped before the outcome is known, it breaks the barrier.
pub struct BarrierWaiter<'a>(Here<'a>);

impl fmt::Debug for BarrierWaiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BarrierWaiter").field(&self.0.arrived).finish()
    }
}

impl BarrierWaiter<'_> {
    /// The how-manieth it was to arrive, from 0 on.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Family, RawBarrier};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
    /// assert_eq!(waiter.index(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn index(&self) -> u32 {
        self.0.arrived.as_ref().map_or(0, |arrived| arrived.index)
    }

    /// Waits until the outcome may be known.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Family, RawBarrier, Wait};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
    /// assert_eq!(waiter.wait(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Wait {
        let Some(arrived) = &self.0.arrived else {
            return Wait::Again;
        };
        let barrier = self.0.barrier;
        let (inner, index, words) = (barrier.lease.inner, barrier.lease.id.index, barrier.words());
        let ready = || words.outcome(arrived).is_some();
        inner.wait_at(index, Some(&barrier.spin), deadline, SLICE, ready, |limit| {
            words.sleep(&Futex, limit, arrived)
        })
    }

    /// How it ended: the caller's index, if all have come. `None`: not yet.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Broken, Family, RawBarrier};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
    /// assert_eq!(waiter.outcome(), None);
    /// barrier.abort();
    /// assert_eq!(waiter.outcome(), Some(Err(Broken)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn outcome(&self) -> Option<Result<u32, Broken>> {
        self.0.outcome()
    }

    /// Gives up, which breaks the barrier for all, unless it was decided before: then that is the
    /// result.
    ///
    /// # Errors
    /// [`Broken`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Arrival, Broken, Family, RawBarrier};
    /// let barrier = RawBarrier::create(Family::current()?, 2)?;
    /// let Arrival::Wait(waiter) = barrier.arrive()? else { panic!() };
    /// assert_eq!(waiter.abort(), Err(Broken));
    /// assert!(barrier.is_broken());
    /// # Ok(()) }
    /// ```
    pub fn abort(self) -> Result<u32, Broken> {
        self.0.abort();
        self.0.outcome().unwrap_or(Err(Broken))
    }
}
