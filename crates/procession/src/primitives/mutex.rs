//! A lock with a value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::condition::Relock;
use super::error::sealed::Sealed;
use super::error::{AbandonedGuard, Guard, LockError, ValueError};
use super::hold::{Of, Way};
use super::lock::take;
use super::value::{self, Kept, Valued};
use super::{Waitable, primitive};
use crate::arena::cell::Cell;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::message::Patience;
use crate::collections::NewValueError;
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::sync::{Abandoned, Acquired, Ended, Holder, RawLock};

pub(super) struct Core {
    raw: RawLock,
    cell: Cell,
}

impl Core {
    fn of(lease: Lease) -> Result<Arc<Core>, ArenaError> {
        let cell = Cell::of(lease.clone())?;
        Ok(Arc::new(Core { raw: RawLock::of_value(lease)?, cell }))
    }
}

/// A value that one thread of one process has at a time.
///
/// The value lies in the arena, as MessagePack. [`lock`](Mutex::lock) decodes it into the guard; when the
/// guard goes, and was borrowed mutably, the value is written back in one step, and the lock released. A
/// short value (up to 120 bytes) lies in the mutex itself; a longer one has a block.
///
/// A holder that is killed leaves the value as it was saved last, never torn, and the next one is told
/// ([`LockError::Abandoned`]). So is it after a holder that panicked, or whose change could not be written
/// back when its guard went ([`Ended::Unsaved`]): who wants to know calls [`MutexGuard::save`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Mutex;
/// let names = Mutex::new(&vec!["Ada".to_string()])?;
/// names.lock()?.push("Grace".into());
/// assert_eq!(*names.lock()?, ["Ada", "Grace"]);
/// # Ok(()) }
/// ```
pub struct Mutex<T> {
    core: Arc<Core>,
    of: PhantomData<fn(T) -> T>,
}

primitive!(Mutex<T>, "a mutex", |it| it.core.raw);

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("holder", &self.holder()).finish_non_exhaustive()
    }
}

impl<T> Mutex<T> {
    /// Opens the mutex that a handle names. The handle does not say the type: it must be that of the
    /// other processes, or the value fails to decode.
    ///
    /// # Errors
    /// [`HandleError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::Mutex;
    /// let a = Mutex::new(&1)?;
    /// let b: Mutex<i32> = Mutex::from_handle(&a.handle())?;
    /// *a.lock()? += 1;
    /// assert_eq!(*b.lock()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn from_handle(handle: &[u8]) -> Result<Mutex<T>, HandleError> {
        let core = Core::of(value::open(handle, Kind::Mutex)?)?;
        Ok(Mutex { core, of: PhantomData })
    }

    /// Whether somebody holds it at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.core.raw.is_held()
    }

    /// Who holds it, if a process does. By the time of the answer it may be another.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.core.raw.holder()
    }
}

impl<T: Serialize + DeserializeOwned> Mutex<T> {
    /// A new one with this value, in this process's family.
    ///
    /// # Errors
    /// [`NewValueError`]: there can be no family, no memory, or the value can't be serialised.
    pub fn new(value: &T) -> Result<Mutex<T>, NewValueError> {
        Mutex::new_in(Family::current().map_err(HandleError::from)?, value)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// As [`Mutex::new`].
    pub fn new_in(family: Family, value: &T) -> Result<Mutex<T>, NewValueError> {
        let lease = value::create(family, Kind::Mutex, value)?;
        Ok(Mutex { core: Core::of(lease).map_err(HandleError::from)?, of: PhantomData })
    }

    /// Takes the lock and the value; waits until they can be had.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Decode`]; [`LockError::Arena`].
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'static, T>>> {
        lock(Of::Borrowed(&self.core), Patience::Endless)
    }

    /// Takes them, if they can be had at once.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and [`LockError::Held`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Mutex;
    /// let mutex = Mutex::new(&1)?;
    /// let guard = mutex.lock()?;
    /// assert!(mutex.try_lock().is_err());
    /// # Ok(()) }
    /// ```
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'static, T>>> {
        lock(Of::Borrowed(&self.core), Patience::None)
    }

    /// Takes them; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and [`LockError::Held`].
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'static, T>>> {
        lock(Of::Borrowed(&self.core), Patience::of(timeout))
    }

    /// The value that was saved last, whoever holds the lock, without waiting for that one.
    ///
    /// # Errors
    /// [`ValueError::Decode`], [`ValueError::Arena`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Mutex;
    /// let mutex = Mutex::new(&1)?;
    /// let mut guard = mutex.lock()?;
    /// *guard = 2;
    /// assert_eq!(mutex.get()?, 1);
    /// drop(guard);
    /// assert_eq!(mutex.get()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn get(&self) -> Result<T, ValueError> {
        value::snapshot(&self.core.cell)
    }
}

type Locked<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'static, T>>>;

#[inline]
fn lock<T: Serialize + DeserializeOwned>(core: Of<'_, Core>, patience: Patience) -> Locked<'_, T> {
    match take(&core.raw, patience)? {
        Some(Acquired::Clean) => Ok(MutexGuard(Kept::load(core, None)?)),
        Some(Acquired::Abandoned(by)) => {
            let guard = MutexGuard(Kept::load(core.own(), Some(&by))?);
            Err(LockError::Abandoned(AbandonedGuard::new(guard, by)))
        }
        None => Err(LockError::Held),
    }
}

pub(super) struct Whole;

impl Way for Whole {
    type Lock = Core;

    #[inline]
    fn me(lock: &Core) -> Serial {
        lock.raw.me()
    }

    #[inline]
    fn release(lock: &Core) {
        // Held, since nobody but its guard releases it.
        let _ = lock.raw.release();
    }

    fn abandon(lock: &Core, why: Ended) {
        lock.raw.abandon(why);
    }

    fn put_back(lock: &Core, by: &Abandoned) {
        lock.raw.abandon_as(by);
    }
}

impl Valued for Whole {
    #[inline]
    fn cell(lock: &Core) -> &Cell {
        &lock.cell
    }
}

/// A [`Mutex`]'s value, and that this one has it. When it is dropped the value is written back, if it
/// was borrowed mutably, and the lock is released.
#[must_use = "the lock is released when it is dropped"]
pub struct MutexGuard<'a, T: Serialize>(Kept<'a, Whole, T>);

impl<T: Serialize> MutexGuard<'_, T> {
    /// Writes the value now, if it was borrowed mutably since it was read or saved.
    ///
    /// # Errors
    /// [`ValueError::Encode`], [`ValueError::Arena`]; what others see is as before, and is tried again when the
    /// guard goes.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Mutex;
    /// let mutex = Mutex::new(&1)?;
    /// let mut guard = mutex.lock()?;
    /// *guard = 2;
    /// guard.save()?;
    /// assert_eq!(mutex.get()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn save(&mut self) -> Result<(), ValueError> {
        self.0.save()
    }

    /// Lets go of the lock without writing back what was changed since the last save.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Mutex;
    /// let mutex = Mutex::new(&1)?;
    /// let mut guard = mutex.lock()?;
    /// *guard = 2;
    /// guard.discard();
    /// assert_eq!(*mutex.lock()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn discard(mut self) {
        self.0.discard();
    }
}

impl<T: Serialize> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.get()
    }
}

impl<T: Serialize> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: Serialize + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Serialize> Sealed for MutexGuard<'_, T> {
    fn put_back(self, by: &Abandoned) {
        self.0.put_back(by);
    }
}

impl<T: Serialize> Guard for MutexGuard<'_, T> {}

impl<'a, T: Serialize + DeserializeOwned> Relock for MutexGuard<'a, T> {
    type Owned = MutexGuard<'static, T>;

    fn let_go_while(mut self, wait: impl FnOnce()) -> Locked<'a, T> {
        if let Err(why) = self.save() {
            return Err(LockError::Unsaved(MutexGuard(self.0.take()), why));
        }
        let core = self.0.of();
        drop(self);
        wait();
        lock(core, Patience::Endless)
    }
}

impl<T: Serialize + DeserializeOwned> Waitable for MutexGuard<'_, T> {}
