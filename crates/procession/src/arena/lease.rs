//! A counted reference to an object, as a value.

use std::fmt;

use super::family::{Family, Inner};
use super::layout::Object;
use super::map::corrupt;
use super::objects::{Kind, ObjectId};
use crate::error::ArenaError;
use crate::ring::fifo::Limits;

/// Keeps an object of the arena (a queue, one direction of a pipe) alive while it exists.
///
/// Every handle has one. Alone it is of use for what must outlive its handles for a while: the
/// arguments of a process that is being started, or the handles inside a message (see
/// [`Family::alloc`]). If the process dies the count is taken back.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawQueue};
/// let q = RawQueue::create(Family::current()?, None)?;
/// let (lease, handle) = (q.lease(), q.handle());
/// drop(q);
/// assert!(RawQueue::from_handle(&handle).is_ok());
/// drop(lease);
/// assert!(RawQueue::from_handle(&handle).is_err());
/// # Ok(()) }
/// ```
pub struct Lease {
    pub(crate) inner: &'static Inner,
    pub(crate) slot: &'static Object,
    pub(crate) id: ObjectId,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} of {})", self.id.index, self.inner.id)
    }
}

impl Clone for Lease {
    fn clone(&self) -> Lease {
        // It is open, so another can't fail but for memory, of which none is needed.
        let _ = self.inner.open_handle(self.id);
        Lease { ..*self }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nothing can be done about an error here; the sweep finds what is left.
        let _ = self.inner.close_handle(self.id);
    }
}

/// What memory of this family counts of these. An object of another family lives as long as somebody
/// there has it.
pub(crate) fn ids_of(inner: &'static Inner, leases: &[Lease]) -> Vec<ObjectId> {
    leases.iter().filter(|lease| std::ptr::eq(lease.inner, inner)).map(|lease| lease.id).collect()
}

impl Lease {
    /// On a new object.
    pub(crate) fn create(family: Family, kind: Kind, limits: Limits) -> Result<Lease, ArenaError> {
        let inner = family.inner();
        let id = inner.create_held(kind, limits)?;
        Ok(Lease { inner, slot: inner.object(id.index)?, id })
    }

    /// On an object that this process has counted already.
    pub(crate) fn of_counted(inner: &'static Inner, id: ObjectId) -> Result<Lease, ArenaError> {
        let slot = inner.object(id.index).map_err(|e| corrupt(format!("a counted object: {e}")))?;
        Ok(Lease { inner, slot, id })
    }

    /// The family that the object belongs to.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.lease().family().id(), Family::current()?.id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.inner)
    }
}
