//! What dicts and lists have in common: a counted handle, and how a step is tried.

use std::time::{Duration, Instant};

use super::claim::{self, Claim};

use crate::arena::family::Family;
use crate::arena::layout::stock::StockSlot;
use crate::arena::lease::Lease;
use crate::arena::map::corrupt;
use crate::arena::objects::{Kind, ObjectId};
use crate::arena::stock::Step;
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::Limits;
use crate::sync::RawLock;
use crate::sys::atomic::Ordering;
use crate::wait::{Futex, SLICE, Wait};

/// A conditional operation was not done: the version is another by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was changed meanwhile")]
pub struct Outdated;

/// Bytes that were copied out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Copied {
    /// Their kind.
    pub kind: u8,
    /// What the handles inside name, kept alive.
    pub holds: Vec<Lease>,
}

/// Why a step was not done: perhaps for lack of memory.
pub(super) trait Refusal: From<ArenaError> {
    /// How many bytes there was no memory for.
    fn lacking(&self) -> Option<u64>;
}

impl Refusal for ArenaError {
    fn lacking(&self) -> Option<u64> {
        match self {
            ArenaError::Full { requested, .. } => Some(*requested),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub(super) struct Stock {
    pub(super) lease: Lease,
    pub(super) slot: &'static StockSlot,
    /// Each step waits while another has a claim.
    heeds: bool,
}

impl Stock {
    pub(super) fn create(family: Family, kind: Kind) -> Result<Stock, ArenaError> {
        Stock::create_limited(family, kind, Limits { messages: 0, bytes: 0 })
    }

    pub(super) fn create_limited(
        family: Family,
        kind: Kind,
        limits: Limits,
    ) -> Result<Stock, ArenaError> {
        Stock::over(Lease::create(family, kind, limits)?)
    }

    fn over(lease: Lease) -> Result<Stock, ArenaError> {
        Ok(Stock { slot: lease.inner.overlay(lease.id.index)?, lease, heeds: true })
    }

    pub(super) fn from_handle(bytes: &[u8], kind: Kind) -> Result<Stock, HandleError> {
        let lease = crate::handle::open(bytes)?;
        if !lease.slot.is(kind) {
            return Err(HandleError::Malformed);
        }
        Ok(Stock::over(lease)?)
    }

    #[inline]
    pub(super) fn begin(&self) -> Result<Step, ArenaError> {
        let mut step = Step::idle(&self.lease, self.slot);
        self.enter(&mut step)?;
        Ok(step)
    }

    /// A step that has not begun: where it matters, it is made first and entered then.
    #[inline]
    pub(super) fn idle(&self) -> Step {
        Step::idle(&self.lease, self.slot)
    }

    #[inline]
    pub(super) fn enter(&self, step: &mut Step) -> Result<(), ArenaError> {
        if self.heeds && self.slot.claim.load(Ordering::Relaxed) != 0 {
            claim::give_way(&self.lease, self.slot);
        }
        step.enter()
    }

    /// Over one that this process has counted already.
    pub(super) fn of(lease: Lease, kind: Kind) -> Result<Stock, ArenaError> {
        if lease.slot.is(kind) {
            return Stock::over(lease);
        }
        Err(corrupt(format!("object {} is of another kind", lease.id.index)))
    }

    pub(super) fn heedless(self) -> Stock {
        Stock { heeds: false, ..self }
    }

    pub(super) fn claim(&self, patience: Duration) -> Result<Option<Claim>, ArenaError> {
        Claim::stake(&self.lease, self.slot, patience)
    }

    /// Tries again, once, when there was no memory, after what lies about was gathered.
    #[inline]
    pub(super) fn attempt<R, E: Refusal>(
        &self,
        mut act: impl FnMut() -> Result<R, E>,
    ) -> Result<R, E> {
        let error = match act() {
            Err(error) => error,
            done => return done,
        };
        let Some(requested) = error.lacking() else {
            return Err(error);
        };
        self.gather(requested)?;
        act()
    }

    #[cold]
    fn gather(&self, requested: u64) -> Result<(), ArenaError> {
        self.empty_grave()?;
        self.lease.inner.sweep_now()?;
        self.lease.inner.reclaim(requested)
    }

    /// Frees all that is no longer in use, a little under each lock.
    pub(super) fn empty_grave(&self) -> Result<(), ArenaError> {
        loop {
            let mut step = self.begin()?;
            if step.is_grave_empty() {
                return Ok(());
            }
            step.exhume()?;
        }
    }

    /// Copies something out: `read` says what, and which objects have their handles in it. These are
    /// counted for this process when the lock is released, which is also when the caller copies what
    /// `read` has pinned. If one is gone by then the bytes were
    /// replaced meanwhile, and it is done once more, this time with all under the lock.
    #[inline]
    pub(super) fn read<R, E: From<ArenaError>>(
        &self,
        read: impl FnMut(&Step) -> Result<(R, Vec<ObjectId>), E>,
    ) -> Result<(R, Vec<Lease>), E> {
        self.read_in(|| self.begin(), read)
    }

    /// The same, in steps that `begin` begins.
    #[inline]
    pub(super) fn read_in<R, E: From<ArenaError>>(
        &self,
        begin: impl Fn() -> Result<Step, ArenaError>,
        mut read: impl FnMut(&Step) -> Result<(R, Vec<ObjectId>), E>,
    ) -> Result<(R, Vec<Lease>), E> {
        let step = begin()?;
        let (found, ids) = read(&step)?;
        drop(step);
        if ids.is_empty() {
            return Ok((found, Vec::new()));
        }
        if let Some(holds) = self.lease_all(&ids)? {
            return Ok((found, holds));
        }
        let step = begin()?;
        let (found, ids) = read(&step)?;
        let holds = self.keep(&ids)?;
        drop(step);
        Ok((found, holds))
    }

    /// Counts the objects whose handles are in what a step is about to take out. Before it does: if they
    /// can't be counted, nothing is taken out.
    #[inline]
    pub(super) fn keep(&self, ids: &[ObjectId]) -> Result<Vec<Lease>, ArenaError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let gone = || corrupt(format!("object {}: a handle of a dead object", self.lease.id.index));
        self.lease_all(ids)?.ok_or_else(gone)
    }

    /// `None`: one of them is gone.
    fn lease_all(&self, ids: &[ObjectId]) -> Result<Option<Vec<Lease>>, ArenaError> {
        let inner = self.lease.inner;
        let mut all = Vec::new();
        for id in ids {
            match inner.open_handle(*id) {
                Ok(()) => all.push(Lease::of_counted(inner, *id)?),
                Err(HandleError::Arena(e)) => return Err(e),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// An empty vector with room for about `wanted` values, and never for more than the arena has bytes.
    /// It is made, and its pages are asked for, before the lock is taken.
    pub(super) fn room<T>(&self, wanted: u64) -> Vec<T> {
        let backed = self.lease.inner.header().backed.load(Ordering::Relaxed);
        let most = backed / (size_of::<T>() as u64).clamp(1, 8);
        let mut room = Vec::new();
        if room.try_reserve_exact(wanted.min(most) as usize).is_ok() {
            crate::sys::memory::prefault(room.spare_capacity_mut());
        }
        room
    }

    pub(super) fn user_lock(&self) -> Result<RawLock, ArenaError> {
        let make = || Ok(RawLock::create(self.lease.family(), true)?.lease());
        RawLock::of(self.lease.companion(make)?)
    }

    /// A root, as it is at the moment.
    pub(super) fn peek(&self, root: usize) -> u64 {
        self.slot.root(root).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_stuck(&self) -> bool {
        self.slot.lock.is_stuck_in_turn() || claim::is_anothers(&self.lease, self.slot)
    }

    pub(super) fn settle(&self) -> Result<(), ArenaError> {
        claim::give_way(&self.lease, self.slot);
        self.begin().map(drop)
    }

    pub(super) fn version(&self) -> u64 {
        self.slot.version.load(Ordering::Acquire)
    }

    pub(super) fn wait(&self, since: u64, deadline: Option<Instant>) -> Wait {
        let Lease { inner, id, .. } = &self.lease;
        let ready = || self.version() != since;
        inner.wait_at(id.index, None, deadline, SLICE, ready, |limit| {
            self.slot.change.sleep(&Futex, limit, ready)
        })
    }
}

/// What every collection has.
macro_rules! common {
    ($type:ident, $kind:expr) => {
        crate::travel::travels!($type, "a collection", |it| it.lease());

        impl $type {
            /// A new and empty one.
            ///
            /// # Errors
            /// [`ArenaError::Full`](crate::ArenaError::Full) if there is no place for it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("assert_eq!(", stringify!($type), "::create(Family::current()?)?.len()?, 0);")]
            /// # Ok(()) }
            /// ```
            pub fn create(
                family: crate::arena::family::Family,
            ) -> Result<$type, crate::error::ArenaError> {
                Ok($type { stock: $crate::collections::stock::Stock::create(family, $kind)? })
            }

            /// Opens the one that a handle names, joining its family if need be.
            ///
            /// # Errors
            /// [`HandleError`](crate::HandleError) if the bytes are no handle of one, it is gone, or
            /// no member of its family can be reached.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("assert!(procession::", stringify!($type), "::from_handle(b\"nonsense\").is_err());")]
            /// ```
            pub fn from_handle(bytes: &[u8]) -> Result<$type, crate::error::HandleError> {
                Ok($type { stock: $crate::collections::stock::Stock::from_handle(bytes, $kind)? })
            }

            /// Bytes that name it anywhere in the family. They do not keep it alive.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                crate::handle::encode(&self.stock.lease)
            }

            /// Keeps it alive by itself.
            #[must_use]
            pub fn lease(&self) -> crate::arena::lease::Lease {
                self.stock.lease.clone()
            }

            /// The family that it belongs to.
            #[must_use]
            pub fn family(&self) -> crate::arena::family::Family {
                self.stock.lease.family()
            }

            /// A lock for whoever wants to do several things to it while others wait who take the lock as
            /// well. Single operations neither take it nor heed it. It is reentrant, made when it is
            /// first asked for, the same one for all processes, and lives as long as the collection.
            ///
            /// # Errors
            /// [`ArenaError::Full`](crate::ArenaError::Full) if there is no place for it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", stringify!($type), "::create(Family::current()?)?;")]
            #[doc = concat!("let same = ", stringify!($type), "::from_handle(&one.handle())?;")]
            /// assert!(one.user_lock()?.try_acquire()?.is_some());
            /// assert!(same.user_lock()?.is_mine());
            /// same.user_lock()?.release()?;
            /// # Ok(()) }
            /// ```
            pub fn user_lock(&self) -> Result<crate::sync::RawLock, crate::error::ArenaError> {
                self.stock.user_lock()
            }

            /// A number that moves with each change, and without one only where a process was killed just
            /// before a change. What is conditional is done only while it is as it was.
            #[must_use]
            pub fn version(&self) -> u64 {
                self.stock.version()
            }

            /// Whether a process is in the middle of an operation, and stays there for more than some
            /// microseconds, since it was stopped perhaps, or has claimed the whole. The next operation sleeps until it goes on, or
            /// is dead.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("assert!(!", stringify!($type), "::create(Family::current()?)?.is_stuck());")]
            /// # Ok(()) }
            /// ```
            #[inline]
            #[must_use]
            pub fn is_stuck(&self) -> bool {
                self.stock.is_stuck()
            }

            /// Asks the others to wait with their operations, for `patience` (10 s at most), while this thread
            /// does something in several: to be used when an operation that depends on the version has
            /// failed again and again. `None`: another one has done so.
            ///
            /// # Errors
            /// [`ArenaError`](crate::ArenaError) if the arena is damaged.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", stringify!($type), "::create(Family::current()?)?;")]
            /// let claim = one.claim(std::time::Duration::from_millis(10))?;
            /// assert!(claim.is_some() && one.len()? == 0);
            /// # Ok(()) }
            /// ```
            pub fn claim(
                &self,
                patience: std::time::Duration,
            ) -> Result<Option<$crate::collections::Claim>, crate::error::ArenaError> {
                self.stock.claim(patience)
            }

            /// For who asks `is_stuck` before each operation, and calls `settle` where a wait does no harm:
            /// operations by this handle begin at once, whatever another has claimed.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", stringify!($type), "::create(Family::current()?)?.heedless();")]
            /// assert_eq!(one.len()?, 0);
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn heedless(self) -> $type {
                $type { stock: self.stock.heedless() }
            }

            /// Sleeps until nobody is in the middle of an operation.
            ///
            /// # Errors
            /// [`ArenaError`](crate::ArenaError) if the arena is damaged.
            pub fn settle(&self) -> Result<(), crate::error::ArenaError> {
                self.stock.settle()
            }

            /// Waits until something may have changed since the version was `since`.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, Wait, ", stringify!($type), "};")]
            #[doc = concat!("let one = ", stringify!($type), "::create(Family::current()?)?;")]
            /// let now = Some(std::time::Instant::now());
            /// assert_eq!(one.wait_for_change(one.version(), now), Wait::TimedOut);
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn wait_for_change(
                &self,
                since: u64,
                deadline: Option<std::time::Instant>,
            ) -> crate::wait::Wait {
                self.stock.wait(since, deadline)
            }
        }
    };
}
pub(super) use common;
