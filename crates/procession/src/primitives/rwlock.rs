//! A lock with a value and many readers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::sealed::Sealed;
use super::error::{AbandonedGuard, Guard, LockError, ValueError};
use super::hold::{Hold, Of, Way};
use super::primitive;
use super::value::{self, Kept, Valued};
use crate::arena::cell::Cell;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::message::Patience;
use crate::collections::NewValueError;
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::sync::{Abandoned, Acquired, Ended, Holder, RawRwLock};

pub(super) struct Core {
    raw: RawRwLock,
    cell: Cell,
}

impl Core {
    fn of(lease: Lease) -> Result<Arc<Core>, ArenaError> {
        let cell = Cell::of(lease.clone())?;
        Ok(Arc::new(Core { raw: RawRwLock::of_value(lease)?, cell }))
    }
}

/// A value that many may read at a time, or one may change.
///
/// The value lies in the arena, as MessagePack, and is decoded into each guard; a short one (up to 64
/// bytes) lies in the lock itself. A writer's guard writes it back as a [`Mutex`](super::Mutex)'s does.
///
/// A writer that comes lets no further reader in, so writers don't starve. A thread that reads must not
/// read once more: with a writer in between, that is a deadlock. At most 48 processes read at a time,
/// each with any number of threads; another one waits as if somebody wrote.
///
/// If a reader's process dies, its reading ends within half a second. A writer that is killed leaves the
/// value as it was saved last, and readers and the next writer are told ([`LockError::Abandoned`]), until
/// one has written.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::RwLock;
/// let settings = RwLock::new(&("dark".to_string(), 12))?;
/// settings.write()?.1 = 14;
/// let (one, two) = (settings.read()?, settings.try_read()?);
/// assert_eq!((one.1, two.1), (14, 14));
/// assert!(settings.try_write().is_err());
/// # Ok(()) }
/// ```
pub struct RwLock<T> {
    core: Arc<Core>,
    of: PhantomData<fn(T) -> T>,
}

primitive!(RwLock<T>, "a lock with readers", |it| it.core.raw);

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("readers", &self.readers())
            .field("writer", &self.writer())
            .finish_non_exhaustive()
    }
}

impl<T> RwLock<T> {
    /// Opens the lock that a handle names. The handle does not say the type: it must be that of the
    /// other processes, or the value fails to decode.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<RwLock<T>, HandleError> {
        let core = Core::of(value::open(handle, Kind::RwLock)?)?;
        Ok(RwLock { core, of: PhantomData })
    }

    /// How many read at this moment.
    #[must_use]
    pub fn readers(&self) -> u32 {
        self.core.raw.readers()
    }

    /// Who writes, or waits for the last readers to do so. By the time of the answer it may be another.
    #[must_use]
    pub fn writer(&self) -> Option<Holder> {
        self.core.raw.writer()
    }
}

type Read<'a, T> = Result<RwLockReadGuard<'a, T>, LockError<RwLockReadGuard<'static, T>>>;
type Written<'a, T> = Result<RwLockWriteGuard<'a, T>, LockError<RwLockWriteGuard<'static, T>>>;

impl<T: Serialize + DeserializeOwned> RwLock<T> {
    /// A new one with this value, in this process's family.
    ///
    /// # Errors
    /// [`NewValueError`]: there can be no family, no memory, or the value can't be serialised.
    pub fn new(value: &T) -> Result<RwLock<T>, NewValueError> {
        RwLock::new_in(Family::current().map_err(HandleError::from)?, value)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// As [`RwLock::new`].
    pub fn new_in(family: Family, value: &T) -> Result<RwLock<T>, NewValueError> {
        let lease = value::create(family, Kind::RwLock, value)?;
        Ok(RwLock { core: Core::of(lease).map_err(HandleError::from)?, of: PhantomData })
    }

    /// Reads, as one of many; waits until nobody writes or waits to.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Decode`]; [`LockError::Arena`].
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'static, T>>> {
        self.read_with(Patience::Endless)
    }

    /// Reads, if that can be had at once.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::Held`].
    pub fn try_read(
        &self,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'static, T>>> {
        self.read_with(Patience::None)
    }

    /// Reads; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::Held`].
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'static, T>>> {
        self.read_with(Patience::of(timeout))
    }

    fn read_with(&self, patience: Patience) -> Read<'_, T> {
        let raw = &self.core.raw;
        let acquired = loop {
            if let Some(acquired) = raw.try_read()? {
                break acquired;
            }
            if !patience.wait(|deadline| raw.wait_to_read(deadline)) {
                return Err(LockError::Held);
            }
        };
        let core = Of::Borrowed(&self.core);
        match acquired {
            Acquired::Clean => Ok(RwLockReadGuard::load(core)?),
            Acquired::Abandoned(by) => {
                let guard = RwLockReadGuard::load(core.own())?;
                Err(LockError::Abandoned(AbandonedGuard::new(guard, by)))
            }
        }
    }

    /// Takes the lock to write; waits until nobody reads or writes.
    ///
    /// # Errors
    /// As [`RwLock::read`].
    pub fn write(
        &self,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'static, T>>> {
        self.write_with(Patience::Endless)
    }

    /// Takes the lock to write, if it can be had at once.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::Held`].
    pub fn try_write(
        &self,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'static, T>>> {
        let acquired = self.core.raw.try_write()?;
        self.written(acquired)
    }

    /// Takes the lock to write; waits at most `timeout`, for part of which readers may be kept out.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::Held`].
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'static, T>>> {
        self.write_with(Patience::of(timeout))
    }

    fn write_with(&self, patience: Patience) -> Written<'_, T> {
        let mut attempt = self.core.raw.attempt();
        let acquired = loop {
            if let acquired @ Some(_) = attempt.try_write()? {
                break acquired;
            }
            if !patience.wait(|deadline| attempt.wait(deadline)) {
                break None;
            }
        };
        self.written(acquired)
    }

    fn written(&self, acquired: Option<Acquired>) -> Written<'_, T> {
        let core = Of::Borrowed(&self.core);
        match acquired {
            Some(Acquired::Clean) => Ok(RwLockWriteGuard(Kept::load(core, None)?)),
            Some(Acquired::Abandoned(by)) => {
                let guard = RwLockWriteGuard(Kept::load(core.own(), Some(&by))?);
                Err(LockError::Abandoned(AbandonedGuard::new(guard, by)))
            }
            None => Err(LockError::Held),
        }
    }

    /// The value that was saved last, without waiting for whoever writes.
    ///
    /// # Errors
    /// [`ValueError::Decode`], [`ValueError::Arena`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::RwLock;
    /// let lock = RwLock::new(&1)?;
    /// let guard = lock.write()?;
    /// assert_eq!(lock.get()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn get(&self) -> Result<T, ValueError> {
        value::snapshot(&self.core.cell)
    }
}

struct Reading;

impl Way for Reading {
    type Lock = Core;

    fn me(lock: &Core) -> Serial {
        lock.raw.me()
    }

    fn release(lock: &Core) {
        // It reads, since its guard is there.
        let _ = lock.raw.release_read();
    }

    fn abandon(lock: &Core, _why: Ended) {
        Self::release(lock);
    }

    fn put_back(lock: &Core, _by: &Abandoned) {
        Self::release(lock); // it is abandoned until somebody has written
    }
}

struct Writing;

impl Way for Writing {
    type Lock = Core;

    fn me(lock: &Core) -> Serial {
        lock.raw.me()
    }

    fn release(lock: &Core) {
        // It writes, since its guard is there.
        let _ = lock.raw.release_write();
    }

    fn abandon(lock: &Core, why: Ended) {
        lock.raw.abandon(why);
    }

    fn put_back(lock: &Core, by: &Abandoned) {
        lock.raw.abandon_as(by);
    }
}

impl Valued for Writing {
    fn cell(lock: &Core) -> &Cell {
        &lock.cell
    }
}

/// An [`RwLock`]'s value, and that nobody changes it meanwhile.
#[must_use = "the reading ends when it is dropped"]
pub struct RwLockReadGuard<'a, T> {
    value: T,
    _hold: Hold<'a, Reading>,
}

impl<'a, T: DeserializeOwned> RwLockReadGuard<'a, T> {
    fn load(core: Of<'a, Core>) -> Result<Self, ValueError> {
        let hold = Hold::<Reading>::new(core);
        Ok(RwLockReadGuard { value: value::load(&hold.lock().cell)?, _hold: hold })
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Sealed for RwLockReadGuard<'_, T> {
    fn put_back(self, _by: &Abandoned) {}
}

impl<T> Guard for RwLockReadGuard<'_, T> {}

/// An [`RwLock`]'s value, and that this one alone has it. When it is dropped the value is written back,
/// if it was borrowed mutably, and the lock is released.
#[must_use = "the lock is released when it is dropped"]
pub struct RwLockWriteGuard<'a, T: Serialize>(Kept<'a, Writing, T>);

impl<T: Serialize> RwLockWriteGuard<'_, T> {
    /// Writes the value now, if it was borrowed mutably since it was read or saved.
    ///
    /// # Errors
    /// [`ValueError::Encode`], [`ValueError::Arena`]; what others see is as before, and is tried again when the
    /// guard goes.
    pub fn save(&mut self) -> Result<(), ValueError> {
        self.0.save()
    }

    /// Lets go of the lock without writing back what was changed since the last save.
    pub fn discard(mut self) {
        self.0.discard();
    }
}

impl<T: Serialize> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.get()
    }
}

impl<T: Serialize> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: Serialize + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Serialize> Sealed for RwLockWriteGuard<'_, T> {
    fn put_back(self, by: &Abandoned) {
        self.0.put_back(by);
    }
}

impl<T: Serialize> Guard for RwLockWriteGuard<'_, T> {}
