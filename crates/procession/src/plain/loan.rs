//! Memory of the arena while it is a sender's, and when it is a receiver's.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

use super::message::{COPIED_MAX, Place, assert_sendable, bytes_of_many};
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::channel::carrier::{Carrier, Refused};
use crate::channel::message::Patience;
use crate::codec::DATA;
use crate::error::{ArenaError, PutError};

/// A message to be written in place and sent: a slice of values, in the arena if it is longer than
/// 1 KiB.
///
/// It goes to whichever queue or connection of the same family it is handed to. The values are what the
/// memory held before, or zero: write them all. Dropped, the memory goes back.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::PlainQueue;
/// let q: PlainQueue<f32> = PlainQueue::unbounded()?;
/// let mut frame = q.loan(640 * 480)?;
/// frame.fill(0.5);
/// q.put_loan(frame)?;
/// assert_eq!(q.get_slice()?[7], 0.5);
/// # Ok(()) }
/// ```
#[must_use = "a loan that is dropped is not sent"]
pub struct Loan<T> {
    place: Place<T>,
}

impl<T: Pod> Loan<T> {
    pub(super) fn new(family: Family, len: usize) -> Result<Loan<T>, ArenaError> {
        const { assert_sendable::<T>() };
        let bytes = bytes_of_many::<T>(len)?;
        let place = if bytes <= COPIED_MAX {
            Place::Copied(vec![Zeroable::zeroed(); len])
        } else {
            Place::Block(family.alloc(bytes, &[])?, 0)
        };
        Ok(Loan { place })
    }

    #[inline]
    pub(super) fn send(
        self,
        carrier: &impl Carrier,
        patience: Patience,
    ) -> Result<(), PutError<Loan<T>>> {
        match self.place {
            Place::Copied(values) => {
                let sent = carrier.put(DATA, bytemuck::cast_slice(&values), None, patience);
                sent.map_err(|e| e.with(Loan { place: Place::Copied(values) }))
            }
            Place::Block(block, _) => {
                carrier.put(DATA, &[], Some(block), patience).map_err(Loan::refused)
            }
        }
    }

    /// The same as a future: `put` is the queue's or the connection's.
    #[cfg(feature = "async")]
    pub(super) async fn send_async(
        self,
        put: impl AsyncFnOnce(u8, &[u8], Option<Block>) -> Result<(), Refused>,
    ) -> Result<(), PutError<Loan<T>>> {
        match self.place {
            Place::Copied(values) => {
                let sent = put(DATA, bytemuck::cast_slice(&values), None).await;
                sent.map_err(|e| e.with(Loan { place: Place::Copied(values) }))
            }
            Place::Block(block, _) => put(DATA, &[], Some(block)).await.map_err(Loan::refused),
        }
    }

    fn refused(refused: Refused) -> PutError<Loan<T>> {
        match refused {
            Refused::Full(back) => PutError::Full(Loan::back(back)),
            Refused::Over(back) => PutError::Closed(Loan::back(back)),
            Refused::Arena(e, back) => PutError::Arena(Loan::back(back), e),
        }
    }

    /// What was refused. A block that was offered comes back.
    fn back(block: Option<Block>) -> Loan<T> {
        let place = block.map_or(Place::Copied(Vec::new()), |block| Place::Block(block, 0));
        Loan { place }
    }
}

impl<T: Pod> Deref for Loan<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.place
    }
}

impl<T: Pod> DerefMut for Loan<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.place
    }
}

impl<T> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("Loan", &self.place, f)
    }
}

/// A message of plain values, as it was received: in the arena's own memory if it was long.
///
/// The values are this process's alone, and may be changed. Dropped, the memory goes back to the
/// family.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let q = procession::PlainQueue::<u32>::unbounded()?;
/// q.put_slice(&[3, 1, 2])?;
/// let mut got = q.get_slice()?;
/// got.sort_unstable();
/// assert_eq!(*got, [1, 2, 3]);
/// # Ok(()) }
/// ```
pub struct PlainSlice<T> {
    place: Place<T>,
}

impl<T: Pod> PlainSlice<T> {
    pub(super) fn copied(values: Vec<T>) -> PlainSlice<T> {
        PlainSlice { place: Place::Copied(values) }
    }

    pub(super) fn in_place(block: Block, lead: usize) -> PlainSlice<T> {
        PlainSlice { place: Place::Block(block, lead) }
    }
}

impl<T: Pod> Deref for PlainSlice<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.place
    }
}

impl<T: Pod> DerefMut for PlainSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.place
    }
}

impl<T: Pod> AsRef<[T]> for PlainSlice<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> fmt::Debug for PlainSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("PlainSlice", &self.place, f)
    }
}

/// Where the values are, and how many: they may be millions.
fn describe<T>(name: &str, place: &Place<T>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (len, in_arena) = match place {
        Place::Copied(values) => (values.len(), false),
        Place::Block(block, lead) => ((block.len() - lead) / size_of::<T>(), true),
    };
    f.debug_struct(name).field("len", &len).field("in_arena", &in_arena).finish_non_exhaustive()
}
