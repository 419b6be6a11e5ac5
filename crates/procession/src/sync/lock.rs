//! A lock that is not lost with its holder.

use std::fmt;
use std::time::{Duration, Instant};

use super::{Abandoned, Ended, common, slot_of};
use crate::arena::doorbell::Spot;
use crate::arena::estate;
use crate::arena::family::Family;
use crate::arena::layout::sync::LockSlot;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Pulse;
use crate::sys::fault::crash_point;
use crate::sys::thread;
use crate::wait::{SLICE, Spin, Wait, Woken};
use crate::words::lock::{ABANDONED, Debt, FREE, KEPT, Taking};

/// Whether the holder lives is first asked after this long, and then after `PATIENCE` each time.
const FIRST_DOUBT: Duration = Duration::from_millis(2);

/// While it spins, a waiter looks once in about a microsecond: the holder releases and takes again
/// without hindrance in between.
const LOOK_EVERY: u32 = 32;
const PATIENCE: Duration = Duration::from_millis(100);

/// A lock was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// As it should be.
    Clean,
    /// Its last holder died with it.
    Abandoned(Abandoned),
}

/// A lock was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Nobody holds it: it is free, or its last holder died with it and the next one will be told.
    #[error("the lock is not held")]
    NotHeld,
    /// It is reentrant, and this thread does not hold it.
    #[error("the lock is reentrant and not this thread's")]
    NotOwner,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// What it calls itself: see [`Family::set_name`].
    pub name: String,
    /// Tells the threads of that process apart.
    pub thread: u64,
}

/// A lock between processes and threads, reentrant or not.
///
/// One compare-and-swap to take, one swap to release; a system call only if somebody sleeps. There is
/// no order among those who wait. A plain lock may be released by any process; a reentrant one counts,
/// and belongs to the thread that took it.
///
/// If the holder is killed, or ends without [`Family::leave_cleanly`], the next one to take the lock
/// is told; who waits already is told within half a second. After a fork, the parent's locks stay the
/// parent's.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Acquired, Family, RawLock};
/// let lock = RawLock::create(Family::current()?, false)?;
/// assert_eq!(lock.try_acquire()?, Some(Acquired::Clean));
/// assert_eq!(lock.try_acquire()?, None);
/// lock.release()?;
/// # Ok(()) }
/// ```
pub struct RawLock {
    lease: Lease,
    slot: &'static LockSlot,
    reentrant: bool,
    debt: Debt,
    doubt: Pulse<1>,
    spin: Spin,
}

common!(RawLock, Kind::Lock, "RawLock::create(Family::current()?, true)?");

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLock")
            .field("index", &self.lease.id.index)
            .field("reentrant", &self.reentrant)
            .field("holder", &self.holder())
            .finish_non_exhaustive()
    }
}

impl RawLock {
    /// A new lock, free.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock};
    /// assert!(!RawLock::create(Family::current()?, true)?.is_held());
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, reentrant: bool) -> Result<RawLock, ArenaError> {
        let limits = Limits { messages: reentrant.into(), bytes: 0 };
        RawLock::over(Lease::create(family, Kind::Lock, limits)?)
    }

    /// The lock that this counts.
    pub(crate) fn of(lease: Lease) -> Result<RawLock, ArenaError> {
        if lease.slot.is(Kind::Lock) {
            return RawLock::over(lease);
        }
        Err(ArenaError::Corrupt(format!("object {} is no lock", lease.id.index)))
    }

    /// The lock of a value that this counts.
    pub(crate) fn of_value(lease: Lease) -> Result<RawLock, ArenaError> {
        if lease.slot.is(Kind::Mutex) {
            return RawLock::over(lease);
        }
        Err(ArenaError::Corrupt(format!("object {} is no lock of a value", lease.id.index)))
    }

    fn over(lease: Lease) -> Result<RawLock, ArenaError> {
        let slot: &LockSlot = slot_of(&lease)?;
        let reentrant = slot.is_reentrant();
        let (debt, doubt, spin) = (Debt::none(), Pulse::new(), Spin::every(LOOK_EVERY));
        Ok(RawLock { lease, slot, reentrant, debt, doubt, spin })
    }

    /// Whether the thread that holds it may take it again.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock};
    /// assert!(RawLock::create(Family::current()?, true)?.is_reentrant());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_reentrant(&self) -> bool {
        self.reentrant
    }

    /// Takes the lock, if it can be had at once. `None`: somebody holds it, this thread perhaps.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock};
    /// let lock = RawLock::create(Family::current()?, true)?;
    /// assert!(lock.try_acquire()?.is_some() && lock.try_acquire()?.is_some());
    /// assert_eq!(lock.depth(), 2);
    /// # lock.release()?;
    /// # lock.release()?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Option<Acquired>, ArenaError> {
        let me = self.lease.inner.me()?;
        if !self.slot.word.try_take(me, &self.debt) {
            return self.try_acquire_slow(me);
        }
        crash_point!("sync.lock_taken");
        self.note();
        Ok(Some(Acquired::Clean))
    }

    /// Takes the lock if it is free, was not abandoned, and nobody sleeps at it: one
    /// compare-and-swap, and never anything else. False says only that it takes more than that.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock};
    /// let lock = RawLock::create(Family::current()?, true)?;
    /// assert!(lock.try_acquire_free());
    /// assert!(!lock.try_acquire_free(), "though it is reentrant");
    /// # lock.release()?;
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn try_acquire_free(&self) -> bool {
        let me = self.lease.inner.me_or_zero();
        if me == 0 || !self.slot.word.try_take(me, &self.debt) {
            return false;
        }
        crash_point!("sync.lock_taken");
        self.note();
        true
    }

    #[inline]
    fn note(&self) {
        self.slot.thread.store(thread::token(), Ordering::Relaxed);
        self.slot.depth.store(1, Ordering::Relaxed);
        crash_point!("sync.lock_noted");
    }

    #[cold]
    fn try_acquire_slow(&self, me: Serial) -> Result<Option<Acquired>, ArenaError> {
        loop {
            match self.slot.word.take(me, &self.debt) {
                Taking::Taken { abandoned } => {
                    crash_point!("sync.lock_taken");
                    self.note();
                    return Ok(Some(if abandoned {
                        Acquired::Abandoned(Abandoned::of(self.slot))
                    } else {
                        Acquired::Clean
                    }));
                }
                Taking::HeldBy(holder) if holder == me => {
                    if !self.reentrant || !self.is_this_thread() {
                        return Ok(None);
                    }
                    let depth = self.slot.depth.load(Ordering::Relaxed);
                    self.slot.depth.store(depth.saturating_add(1), Ordering::Relaxed);
                    return Ok(Some(Acquired::Clean));
                }
                Taking::HeldBy(holder) => {
                    if !self.doubt.is_due() || !self.bury_if_dead(holder)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// If the holder is dead: makes the lock what that one left. Whether it was.
    fn bury_if_dead(&self, holder: Serial) -> Result<bool, ArenaError> {
        let inner = self.lease.inner;
        let is_dead = ![FREE, ABANDONED, KEPT].contains(&holder) && inner.serial_is_dead(holder);
        if is_dead {
            inner.bury_lock(self.slot, holder)?;
        }
        Ok(is_dead)
    }

    /// Waits until the lock may be had: try again then.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock, Wait};
    /// let lock = RawLock::create(Family::current()?, false)?;
    /// assert_eq!(lock.wait(None), Wait::Again);
    /// lock.try_acquire()?;
    /// assert_eq!(lock.wait(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Wait {
        let inner = self.lease.inner;
        let ready = || self.slot.word.may_be_had();
        inner.wait_at(self.lease.id.index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            self.sleep(limit)
        })
    }

    /// Sleeps while somebody holds the lock, and asks now and then whether that one lives.
    fn sleep(&self, limit: Duration) -> Woken {
        let start = Instant::now();
        let mut patience = FIRST_DOUBT;
        loop {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Woken::TimedOut;
            }
            match self.slot.word.sleep(self.lease.inner, left.min(patience), &self.debt) {
                None => return Woken::Changed,
                Some(Woken::TimedOut) => {}
                Some(woken) => return woken,
            }
            // An error is a damaged arena: the next attempt says so.
            if self.bury_if_dead(self.slot.word.holder()).unwrap_or(true) {
                return Woken::Changed;
            }
            patience = PATIENCE;
        }
    }

    /// Where an event loop waits for it: see [`Doorbell`](crate::Doorbell).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// RawLock::create(Family::current()?, false)?.spot().announce();
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn spot(&self) -> Spot<'_> {
        Spot::of_lock(self.lease.inner, &self.slot.word)
    }

    /// Releases the lock: any process may, unless it is reentrant.
    ///
    /// # Errors
    /// [`ReleaseError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawLock, ReleaseError};
    /// let lock = RawLock::create(Family::current()?, false)?;
    /// assert_eq!(lock.release(), Err(ReleaseError::NotHeld));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        if self.reentrant {
            if !self.is_mine() {
                return Err(ReleaseError::NotOwner);
            }
            let depth = self.slot.depth.load(Ordering::Relaxed);
            if depth > 1 {
                self.slot.depth.store(depth - 1, Ordering::Relaxed);
                return Ok(());
            }
        } else if self.slot.word.may_be_had() {
            return Err(ReleaseError::NotHeld);
        }
        // Before the word: the next holder may be another thread of this process, and until it has
        // written itself down, this one must not take itself for the owner.
        self.slot.thread.store(0, Ordering::Relaxed);
        crash_point!("sync.lock_released");
        self.slot.word.give(&self.lease.inner.ringing());
        Ok(())
    }

    #[inline]
    fn is_this_thread(&self) -> bool {
        self.slot.thread.load(Ordering::Relaxed) == thread::token()
    }

    /// Whether this thread holds it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// assert!(!RawLock::create(Family::current()?, false)?.is_mine());
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.is_held_here() && self.is_this_thread()
    }

    /// How often this thread has taken it; 0 if it does not hold it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// assert_eq!(RawLock::create(Family::current()?, true)?.depth(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn depth(&self) -> u32 {
        if self.is_mine() { self.slot.depth.load(Ordering::Relaxed) } else { 0 }
    }

    /// Whether it can't be had at this moment. That its holder is dead may not be known yet.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// assert!(!RawLock::create(Family::current()?, false)?.is_held());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.slot.word.may_be_had()
    }

    /// Whether some thread of this process holds it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// let lock = RawLock::create(Family::current()?, false)?;
    /// lock.try_acquire()?;
    /// assert!(lock.is_held_here());
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_held_here(&self) -> bool {
        let me = self.lease.inner.me_or_zero();
        me != 0 && self.slot.word.holder() == me
    }

    /// Who holds it, if a process does. By the time of the answer it may be another.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// let lock = RawLock::create(Family::current()?, false)?;
    /// lock.try_acquire()?;
    /// assert_eq!(lock.holder().unwrap().pid, std::process::id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let holder = self.slot.word.holder();
        if [FREE, ABANDONED, KEPT].contains(&holder) {
            return None;
        }
        let p = self.lease.inner.participant(holder);
        Some(Holder {
            pid: p.pid.load(Ordering::Relaxed),
            name: estate::text(&p.name),
            thread: self.slot.thread.load(Ordering::Relaxed),
        })
    }

    /// Who this process is, as holders are named; 0: nobody, after a fork.
    #[inline]
    pub(crate) fn me(&self) -> Serial {
        self.lease.inner.me_or_zero()
    }

    /// Lets go of the lock, which this process holds, for a reason that the next one is told.
    #[cold]
    pub(crate) fn abandon(&self, why: Ended) {
        let inner = self.lease.inner;
        // In a damaged arena it stays held, as it is.
        let _ = inner.abandon(self.slot, inner.me_or_zero(), &inner.last_words(why));
    }

    /// Lets go of the lock, which this process holds, as one that `last` has left abandoned.
    #[cold]
    pub(crate) fn abandon_as(&self, last: &Abandoned) {
        let inner = self.lease.inner;
        let _ = inner.abandon(self.slot, inner.me_or_zero(), last); // as above
    }

    /// Gives back, as abandoned, a lock that this thread has just taken as such: for a caller who
    /// turns that into an error, and must not hold the lock then. Does nothing if this thread does
    /// not hold it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawLock};
    /// use procession::Acquired;
    /// # let lock = RawLock::create(Family::current()?, false)?;
    /// if let Some(Acquired::Abandoned(by)) = lock.try_acquire()? {
    ///     lock.put_back(&by); // and the next one is told the same
    /// }
    /// # Ok(()) }
    /// ```
    pub fn put_back(&self, abandoned: &Abandoned) {
        if self.is_mine() {
            self.slot.thread.store(0, Ordering::Relaxed);
            let inner = self.lease.inner;
            // In a damaged arena it stays held, as it is.
            let _ = inner.abandon(self.slot, inner.me_or_zero(), abandoned);
        }
    }
}
