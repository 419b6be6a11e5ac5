//! The value of a lock, as a guard has it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ValueError;
use super::hold::{Hold, Of, Way};
use crate::arena::cell::Cell;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::channel::scratch::Scratch;
use crate::codec;
use crate::collections::NewValueError;
use crate::error::HandleError;
use crate::ring::fifo::Limits;
use crate::sync::{Abandoned, Ended};
use crate::travel;

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ValueError> {
    codec::decode(bytes).map_err(ValueError::Decode)
}

/// The value, by who has the lock.
#[inline]
pub(super) fn load<T: DeserializeOwned>(cell: &Cell) -> Result<T, ValueError> {
    let mut bytes = Scratch::take();
    cell.read(&mut bytes)?;
    decode(&bytes)
}

/// The value that was saved last, without the lock.
pub(super) fn snapshot<T: DeserializeOwned>(cell: &Cell) -> Result<T, ValueError> {
    let mut bytes = Scratch::take();
    let _pin = cell.snapshot(&mut bytes)?;
    decode(&bytes)
}

/// Writes the value, by who has the lock for itself.
#[inline]
pub(super) fn save<T: Serialize + ?Sized>(cell: &Cell, value: &T) -> Result<(), ValueError> {
    let mut bytes = Scratch::take();
    let (encoded, leases) = travel::collect(|| codec::encode_into(&mut bytes, value));
    encoded.map_err(ValueError::Encode)?;
    Ok(cell.write(&bytes, &leases)?)
}

/// A new lock of that kind, with this value.
pub(super) fn create<T: Serialize + ?Sized>(
    family: Family,
    kind: Kind,
    value: &T,
) -> Result<Lease, NewValueError> {
    let limits = Limits { messages: 0, bytes: 0 };
    let lease = Lease::create(family, kind, limits).map_err(HandleError::from)?;
    // Nobody else has its handle yet.
    let cell = Cell::of(lease.clone()).map_err(HandleError::from)?;
    match save(&cell, value) {
        Ok(()) => Ok(lease),
        Err(ValueError::Arena(error)) => Err(HandleError::from(error).into()),
        Err(ValueError::Encode(why) | ValueError::Decode(why)) => Err(NewValueError::Encode(why)),
    }
}

/// The lease of a handle, if it is of this kind.
pub(super) fn open(bytes: &[u8], kind: Kind) -> Result<Lease, HandleError> {
    let lease = crate::handle::open(bytes)?;
    if lease.slot.is(kind) { Ok(lease) } else { Err(HandleError::Malformed) }
}

/// A way of holding a lock with a value.
pub(super) trait Valued: Way {
    fn cell(lock: &Self::Lock) -> &Cell;
}

/// A value that is written back when it goes, and then the lock is let go of.
pub(super) struct Kept<'a, W: Valued, T: Serialize> {
    /// `None`: it has gone to another.
    value: Option<T>,
    changed: bool,
    hold: Hold<'a, W>,
}

impl<'a, W: Valued, T: Serialize> Kept<'a, W, T> {
    /// Of a lock that was just taken; `left`: it had been abandoned, and shall be as before if there is
    /// an error.
    #[inline]
    pub(super) fn load(of: Of<'a, W::Lock>, left: Option<&Abandoned>) -> Result<Self, ValueError>
    where
        T: DeserializeOwned,
    {
        let mut hold = Hold::<W>::new(of);
        match load(W::cell(hold.lock())) {
            Ok(value) => Ok(Kept { value: Some(value), changed: false, hold }),
            Err(error) => {
                if let Some(by) = left {
                    hold.put_back(by);
                }
                Err(error)
            }
        }
    }

    /// # Panics
    /// Never: only `take` and `Drop` leave it without a value.
    #[inline]
    pub(super) fn get(&self) -> &T {
        self.value.as_ref().expect("a guard has its value")
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.changed = true;
        self.value.as_mut().expect("a guard has its value")
    }

    pub(super) fn save(&mut self) -> Result<(), ValueError> {
        if self.changed && self.hold.is_here() {
            save(W::cell(self.hold.lock()), self.get())?;
        }
        self.changed = false;
        Ok(())
    }

    pub(super) fn discard(&mut self) {
        self.changed = false;
    }

    /// The lock, for later: the hold goes on.
    pub(super) fn of(&self) -> Of<'a, W::Lock> {
        self.hold.of()
    }

    /// The same, as one that borrows nothing.
    pub(super) fn take(mut self) -> Kept<'static, W, T> {
        let (value, changed) = (self.value.take(), self.changed);
        Kept { value, changed, hold: self.hold.take() }
    }

    pub(super) fn put_back(mut self, by: &Abandoned) {
        self.changed = false;
        self.hold.put_back(by);
    }
}

impl<W: Valued, T: Serialize> Drop for Kept<'_, W, T> {
    #[inline]
    fn drop(&mut self) {
        // After a panic the value may be half changed.
        if self.changed && self.value.is_some() && !self.hold.has_panicked() && self.save().is_err()
        {
            self.hold.abandon(Ended::Unsaved);
        }
    }
}
