//! A lock with many readers or one writer.

use std::fmt;
use std::time::{Duration, Instant};

use super::lock::Holder;
use super::{Abandoned, Acquired, Ended, ReleaseError, common, slot_of};
use crate::arena::estate::{self, owner};
use crate::arena::family::Family;
use crate::arena::layout::sync::{LockSlot, RwLockSlot};
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Pulse;
use crate::wait::{SLICE, Spin, Wait, Woken};
use crate::words::lock::{ABANDONED, Debt, FREE, Taking};
use crate::words::rwlock::{Reading, RwWords};

/// As of a plain lock: when a waiter asks whether the writer lives.
const FIRST_DOUBT: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(100);

/// A lock between processes that many may have to read, or one to write.
///
/// A writer that comes lets no further reader in, so writers don't starve; there is no order among
/// writers, nor among readers, and readers may have to wait for several writers. Nobody may read twice
/// at the same time: with a writer in between, that is a deadlock.
///
/// Processes read at 48 places, any number of threads of one process at one of them; a reader of one
/// process more waits as if somebody wrote.
///
/// If a reader's process dies, its reading ends within half a second. If the writer's does, the lock is
/// abandoned: readers and the next writer are told, until one has written. After a fork, what the parent
/// has it has alone.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Acquired, Family, RawRwLock};
/// let lock = RawRwLock::create(Family::current()?)?;
/// assert_eq!(lock.try_read()?, Some(Acquired::Clean));
/// assert_eq!(lock.try_write()?, None);
/// lock.release_read()?;
/// assert_eq!(lock.try_write()?, Some(Acquired::Clean));
/// lock.release_write()?;
/// # Ok(()) }
/// ```
pub struct RawRwLock {
    lease: Lease,
    slot: &'static LockSlot,
    own: &'static RwLockSlot,
    debt: Debt,
    doubt: Pulse<1>,
    spin: Spin,
}

common!(RawRwLock, Kind::RwLock, "RawRwLock::create(Family::current()?)?");

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRwLock")
            .field("index", &self.lease.id.index)
            .field("readers", &self.readers())
            .field("writer", &self.writer())
            .finish_non_exhaustive()
    }
}

impl RawRwLock {
    /// How many processes can read at the same time.
    pub const PLACES: usize = RwLockSlot::PLACES;

    /// A new lock, free.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// assert_eq!(RawRwLock::create(Family::current()?)?.readers(), 0);
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family) -> Result<RawRwLock, ArenaError> {
        RawRwLock::over(Lease::create(family, Kind::RwLock, Limits { messages: 0, bytes: 0 })?)
    }

    /// The lock of a value that this counts.
    pub(crate) fn of_value(lease: Lease) -> Result<RawRwLock, ArenaError> {
        if lease.slot.is(Kind::RwLock) {
            return RawRwLock::over(lease);
        }
        Err(ArenaError::Corrupt(format!("object {} is no lock with readers", lease.id.index)))
    }

    fn over(lease: Lease) -> Result<RawRwLock, ArenaError> {
        let (slot, own) = (slot_of(&lease)?, slot_of(&lease)?);
        let (debt, doubt, spin) = (Debt::none(), Pulse::new(), Spin::new());
        Ok(RawRwLock { lease, slot, own, debt, doubt, spin })
    }

    fn words(&self) -> RwWords<'static> {
        self.own.words(self.slot)
    }

    /// The entry that this process tries first.
    fn first(me: Serial) -> u32 {
        owner(me)
    }

    /// Begins to read, if that can be had at once. `None`: somebody writes, waits to write, or as many
    /// processes read as can. Told that it is abandoned, it reads all the same.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// let lock = RawRwLock::create(Family::current()?)?;
    /// assert!(lock.try_read()?.is_some() && lock.try_read()?.is_some());
    /// assert_eq!(lock.readers(), 2);
    /// # lock.release_read()?;
    /// # lock.release_read()?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_read(&self) -> Result<Option<Acquired>, ArenaError> {
        let me = self.lease.inner.me()?;
        match self.words().try_read(owner(me), Self::first(me), self.lease.inner) {
            Reading::Taken { abandoned } => Ok(Some(self.acquired(abandoned))),
            Reading::NoPlace => {
                self.doubt_readers();
                Ok(None)
            }
            Reading::Refused => {
                if self.doubt.is_due() && self.bury_if_dead(self.slot.word.holder())? {
                    return self.try_read();
                }
                Ok(None)
            }
        }
    }

    /// Looks now and then whether those that read still live: who only tries never sleeps, which is when
    /// others look.
    fn doubt_readers(&self) {
        if !self.words().is_drained() && self.doubt.is_due() {
            self.lease.inner.sweep_if_due();
        }
    }

    fn acquired(&self, abandoned: bool) -> Acquired {
        if abandoned { Acquired::Abandoned(Abandoned::of(self.slot)) } else { Acquired::Clean }
    }

    /// Ends one reading of this process.
    ///
    /// # Errors
    /// [`ReleaseError::NotHeld`] if it does not read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// assert!(RawRwLock::create(Family::current()?)?.release_read().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn release_read(&self) -> Result<(), ReleaseError> {
        let me = self.me();
        let done = me != 0 && self.words().end_read(owner(me), Self::first(me), self.lease.inner);
        if done { Ok(()) } else { Err(ReleaseError::NotHeld) }
    }

    /// Waits until a reader may try.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock, Wait};
    /// assert_eq!(RawRwLock::create(Family::current()?)?.wait_to_read(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_to_read(&self, deadline: Option<Instant>) -> Wait {
        let (inner, words) = (self.lease.inner, self.words());
        let owner = owner(self.me());
        let ready = || words.is_open_to(owner);
        inner.wait_at(self.lease.id.index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            self.patiently(limit, |limit| Some(words.sleep_to_read(inner, limit, owner)))
        })
    }

    /// Begins to write, if that can be had at once. `None`: somebody reads or writes.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// let lock = RawRwLock::create(Family::current()?)?;
    /// assert!(lock.try_write()?.is_some() && lock.try_write()?.is_none());
    /// # lock.release_write()?;
    /// # Ok(()) }
    /// ```
    pub fn try_write(&self) -> Result<Option<Acquired>, ArenaError> {
        // Who only tries must turn no reader away.
        self.doubt_readers();
        if self.words().is_drained() { self.attempt().try_write() } else { Ok(None) }
    }

    /// To wait for writing: readers that come are refused from the moment on when the attempt has the
    /// lock and only waits for those that are there.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock, Wait};
    /// let lock = RawRwLock::create(Family::current()?)?;
    /// lock.try_read()?;
    /// let mut attempt = lock.attempt();
    /// assert!(attempt.try_write()?.is_none() && lock.try_read()?.is_none());
    /// lock.release_read()?;
    /// assert_eq!(attempt.wait(None), Wait::Again);
    /// assert!(attempt.try_write()?.is_some());
    /// lock.release_write()?;
    /// # Ok(()) }
    /// ```
    pub fn attempt(&self) -> WriteAttempt<'_> {
        WriteAttempt { lock: self, claim: None }
    }

    /// Ends the writing of this process.
    ///
    /// # Errors
    /// [`ReleaseError::NotHeld`] if it does not write.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// assert!(RawRwLock::create(Family::current()?)?.release_write().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn release_write(&self) -> Result<(), ReleaseError> {
        if !self.is_written_here() {
            return Err(ReleaseError::NotHeld);
        }
        self.words().end_write(self.lease.inner);
        Ok(())
    }

    fn is_written_here(&self) -> bool {
        let me = self.me();
        me != 0 && self.slot.word.holder() == me && self.words().is_written()
    }

    /// Ends the writing for a reason that the next ones are told.
    #[cold]
    pub(crate) fn abandon(&self, why: Ended) {
        let inner = self.lease.inner;
        // In a damaged arena it stays held, as it is.
        let _ = inner.abandon_writing(self.slot, self.words(), &inner.last_words(why));
    }

    /// Ends the writing, as one that `last` has left abandoned.
    #[cold]
    pub(crate) fn abandon_as(&self, last: &Abandoned) {
        let _ = self.lease.inner.abandon_writing(self.slot, self.words(), last); // as above
    }

    /// Who this process is, as holders are named; 0: nobody, after a fork.
    #[inline]
    pub(crate) fn me(&self) -> Serial {
        self.lease.inner.me_or_zero()
    }

    /// How many read at this moment.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// assert_eq!(RawRwLock::create(Family::current()?)?.readers(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn readers(&self) -> u32 {
        self.words().reading()
    }

    /// Who writes, or waits for the last readers to do so. By the time of the answer it may be another.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// assert_eq!(RawRwLock::create(Family::current()?)?.writer(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn writer(&self) -> Option<Holder> {
        let holder = self.slot.word.holder();
        if [FREE, ABANDONED].contains(&holder) {
            return None;
        }
        let p = self.lease.inner.participant(holder);
        let (pid, name) = (p.pid.load(Ordering::Relaxed), estate::text(&p.name));
        Some(Holder { pid, name, thread: 0 })
    }

    /// If the writer is dead: makes the lock what that one left. Whether it was.
    fn bury_if_dead(&self, holder: Serial) -> Result<bool, ArenaError> {
        let inner = self.lease.inner;
        let is_dead = ![FREE, ABANDONED].contains(&holder) && inner.serial_is_dead(holder);
        if is_dead {
            inner.bury_writer(self.slot, self.words(), holder)?;
        }
        Ok(is_dead)
    }

    /// Sleeps, and asks now and then whether the writer lives.
    fn patiently(&self, limit: Duration, sleep: impl Fn(Duration) -> Option<Woken>) -> Woken {
        let start = Instant::now();
        let mut patience = FIRST_DOUBT;
        loop {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Woken::TimedOut;
            }
            match sleep(left.min(patience)) {
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
}

/// One who wants to write to what a [`RawRwLock`] guards. Dropped before it may, it lets the readers in
/// again. One that is killed is as if it had never been.
pub struct WriteAttempt<'a> {
    lock: &'a RawRwLock,
    /// By whom the lock's word was taken, and whether that was abandoned.
    claim: Option<(Serial, bool)>,
}

impl fmt::Debug for WriteAttempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAttempt").field("lock", self.lock).finish_non_exhaustive()
    }
}

impl WriteAttempt<'_> {
    /// Begins to write, if that can be had now. If not, the attempt may have got as far as to keep
    /// readers out.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock};
    /// let lock = RawRwLock::create(Family::current()?)?;
    /// assert!(lock.attempt().try_write()?.is_some());
    /// # lock.release_write()?;
    /// # Ok(()) }
    /// ```
    pub fn try_write(&mut self) -> Result<Option<Acquired>, ArenaError> {
        let lock = self.lock;
        let me = lock.lease.inner.me()?;
        while self.claim.is_none() {
            match lock.words().claim(me, &lock.debt) {
                Taking::Taken { abandoned } => self.claim = Some((me, abandoned)),
                Taking::HeldBy(holder) => {
                    if holder == me || !lock.doubt.is_due() || !lock.bury_if_dead(holder)? {
                        return Ok(None);
                    }
                }
            }
        }
        if !lock.words().try_begin() {
            return Ok(None);
        }
        let abandoned = self.claim.take().is_some_and(|(_, abandoned)| abandoned);
        Ok(Some(lock.acquired(abandoned)))
    }

    /// Waits until it may be had.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawRwLock, Wait};
    /// assert_eq!(RawRwLock::create(Family::current()?)?.attempt().wait(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Wait {
        let lock = self.lock;
        let (inner, words, index) = (lock.lease.inner, lock.words(), lock.lease.id.index);
        if self.claim.is_some() {
            // Dead readers are the sweep's, after a slice.
            let ready = || words.is_drained();
            return inner.wait_at(index, Some(&lock.spin), deadline, SLICE, ready, |limit| {
                words.sleep_to_write(inner, limit)
            });
        }
        let ready = || lock.slot.word.may_be_had();
        inner.wait_at(index, Some(&lock.spin), deadline, SLICE, ready, |limit| {
            lock.patiently(limit, |limit| lock.slot.word.sleep(inner, limit, &lock.debt))
        })
    }
}

impl Drop for WriteAttempt<'_> {
    fn drop(&mut self) {
        // In a fork child, the claim is the parent's.
        if let Some((me, _)) = self.claim.take()
            && self.lock.me() == me
        {
            self.lock.words().give_back(me, self.lock.lease.inner);
        }
    }
}
