//! Plain shared memory: bytes that every process with a handle sees at the same time.

use std::fmt;

use crate::arena::bytes::Place;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::{ArenaError, HandleError};

/// Bytes in the arena that any number of processes read and write.
///
/// They are zero at first, never move, and live as long as a handle anywhere in the family: in a
/// process, or in a message under way. Nothing orders the accesses of several processes but what
/// they agree on themselves (a [`RawLock`](crate::RawLock), atomics). A process that dies in the
/// middle of a write leaves what it had written.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawMemory};
/// let memory = RawMemory::create(Family::current()?, 1 << 20)?;
/// let same = RawMemory::from_handle(&memory.handle())?;
/// assert_eq!(same.len(), 1 << 20);
/// assert_eq!(same.as_mut_ptr(), memory.as_mut_ptr());
/// # Ok(()) }
/// ```
pub struct RawMemory {
    /// Dropped first: the address is of use only while the object is counted.
    place: Place,
    lease: Lease,
}

impl fmt::Debug for RawMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMemory").field("len", &self.len()).finish_non_exhaustive()
    }
}

crate::travel::travels!(RawMemory, "shared memory", |it| it.lease());

impl RawMemory {
    /// New memory of `len` bytes, all zero. Up to 240 bytes cost no more than the object itself (512
    /// bytes); more takes blocks of a power of two from 4 KiB on.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory, or no object left.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawMemory};
    /// assert!(RawMemory::create(Family::current()?, 0)?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, len: usize) -> Result<RawMemory, ArenaError> {
        RawMemory::over(Lease::create_memory(family.inner(), len as u64)?)
    }

    fn over(lease: Lease) -> Result<RawMemory, ArenaError> {
        Ok(RawMemory { place: lease.place()?, lease })
    }

    /// The memory that a handle names.
    ///
    /// # Errors
    /// [`HandleError`]: the memory is gone, is something else, or belongs to another family.
    ///
    /// # Examples
    /// ```
    /// # use procession::RawMemory;
    /// assert!(RawMemory::from_handle(b"no handle").is_err());
    /// ```
    pub fn from_handle(bytes: &[u8]) -> Result<RawMemory, HandleError> {
        let lease = crate::handle::open(bytes)?;
        if !lease.slot.is(Kind::Memory) {
            return Err(HandleError::Malformed);
        }
        Ok(RawMemory::over(lease)?)
    }

    /// A few bytes that name the memory anywhere in its family. They do not keep it alive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawMemory};
    /// assert_eq!(RawMemory::create(Family::current()?, 8)?.handle().len(), 64);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        crate::handle::encode(&self.lease)
    }

    /// Keeps the memory alive by itself.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawMemory};
    /// let memory = RawMemory::create(Family::current()?, 8)?;
    /// let (handle, _lease) = (memory.handle(), memory.lease());
    /// drop(memory);
    /// assert!(RawMemory::from_handle(&handle).is_ok());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.place.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first byte's address in this process, a multiple of 16, valid while `self` lives. Other
    /// processes may change what is there at any time: read and write through raw pointers or
    /// atomics only.
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.place.ptr.as_ptr()
    }
}
