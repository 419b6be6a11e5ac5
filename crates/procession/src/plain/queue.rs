//! A queue of plain values.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::Duration;

use bytemuck::Pod;

use super::loan::Loan;
use super::message;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError, PutError};
use crate::queue::RawQueue;
use crate::travel::travels;

/// A first-in-first-out queue of plain values, alone or in slices.
///
/// Any number of producers and consumers, in any processes of the family. See the
/// [module](crate::plain) for what goes without a copy, and the [queues' module](crate::queue) for
/// blocking, order, and what happens when a process dies.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::PlainQueue;
///
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Tick {
///     time: u64,
///     price: f64,
/// }
///
/// let ticks: PlainQueue<Tick> = PlainQueue::bounded(1000)?;
/// ticks.put(&Tick { time: 1, price: 9.5 })?;
/// assert_eq!(ticks.get()?.price, 9.5);
///
/// let mut many = ticks.loan(10_000)?; // memory of the arena
/// many[0].time = 2;
/// ticks.put_loan(many)?; // is not copied
/// assert_eq!(ticks.get_slice()?[0].time, 2);
/// # Ok(()) }
/// ```
pub struct PlainQueue<T> {
    raw: RawQueue,
    values: PhantomData<fn(T) -> T>,
}

impl<T> Clone for PlainQueue<T> {
    fn clone(&self) -> Self {
        self.raw.clone().into()
    }
}

travels!(PlainQueue<T>, "a queue", |it| it.raw.lease());

impl<T> fmt::Debug for PlainQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlainQueue").field(&self.raw).finish()
    }
}

impl<T> From<RawQueue> for PlainQueue<T> {
    fn from(raw: RawQueue) -> Self {
        PlainQueue { raw, values: PhantomData }
    }
}

impl<T> PlainQueue<T> {
    /// A queue bounded by memory only, in this process's family.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// let q = procession::PlainQueue::<u8>::unbounded().unwrap();
    /// ```
    pub fn unbounded() -> Result<PlainQueue<T>, HandleError> {
        Ok(PlainQueue::unbounded_in(Family::current()?)?)
    }

    /// A queue bounded by memory only.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::unbounded_in(procession::Family::current()?)?;
    /// # Ok(()) }
    /// ```
    pub fn unbounded_in(family: Family) -> Result<PlainQueue<T>, ArenaError> {
        Ok(RawQueue::create(family, None)?.into())
    }

    /// A queue of at most `capacity` messages, in this process's family; 0 counts as 1.
    ///
    /// # Errors
    /// As [`PlainQueue::unbounded`].
    ///
    /// # Examples
    /// ```
    /// let q = procession::PlainQueue::<u8>::bounded(8).unwrap();
    /// assert_eq!(q.capacity(), Some(8));
    /// ```
    pub fn bounded(capacity: u64) -> Result<PlainQueue<T>, HandleError> {
        Ok(PlainQueue::bounded_in(Family::current()?, capacity)?)
    }

    /// A queue of at most `capacity` messages; 0 counts as 1.
    ///
    /// # Errors
    /// As [`PlainQueue::unbounded_in`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::bounded_in(procession::Family::current()?, 8)?;
    /// # Ok(()) }
    /// ```
    pub fn bounded_in(family: Family, capacity: u64) -> Result<PlainQueue<T>, ArenaError> {
        let capacity = NonZeroU64::new(capacity).unwrap_or(NonZeroU64::MIN);
        Ok(RawQueue::create(family, Some(capacity))?.into())
    }

    /// Opens the queue that a handle names. The handle does not say the type: it must be that of the
    /// other processes.
    ///
    /// # Errors
    /// [`HandleError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::PlainQueue;
    /// let a = PlainQueue::<u8>::unbounded()?;
    /// let b = PlainQueue::<u8>::from_handle(&a.handle())?;
    /// # Ok(()) }
    /// ```
    pub fn from_handle(handle: &[u8]) -> Result<PlainQueue<T>, HandleError> {
        Ok(RawQueue::from_handle(handle)?.into())
    }

    /// Bytes that name the queue anywhere in the family; see [`RawQueue::handle`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(!procession::PlainQueue::<u8>::unbounded()?.handle().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        self.raw.handle()
    }

    /// The queue of bytes beneath.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::PlainQueue::<u8>::unbounded()?.raw().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn raw(&self) -> &RawQueue {
        &self.raw
    }

    /// How many messages are in the queue: exact at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(procession::PlainQueue::<u8>::unbounded()?.len(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether the queue is empty at an instant of the call.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::PlainQueue::<u8>::unbounded()?.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// How many messages it may hold; `None`: as many as memory allows.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(procession::PlainQueue::<u8>::unbounded()?.capacity(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        self.raw.capacity().map(NonZeroU64::get)
    }

    /// Closes the queue for all processes: puts fail, gets take what is left, then fail too.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::unbounded()?;
    /// q.close();
    /// assert!(q.is_closed() && q.put(&1).is_err());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }

    /// Whether [`PlainQueue::close`] was called.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(!procession::PlainQueue::<u8>::unbounded()?.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

impl<T: Pod> PlainQueue<T> {
    /// Memory for a message of `len` values, to be written in place and [put](PlainQueue::put_loan).
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::unbounded()?;
    /// let mut loan = q.loan(1 << 20)?;
    /// loan.fill(7);
    /// q.put_loan(loan)?;
    /// # Ok(()) }
    /// ```
    pub fn loan(&self, len: usize) -> Result<Loan<T>, ArenaError> {
        Loan::new(self.raw.family(), len)
    }

    /// Puts what was written into a loan; waits while there is no room.
    ///
    /// # Errors
    /// [`PutError`], with the loan: `Closed`, `Arena` (which is damaged).
    ///
    /// # Panics
    /// If the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::bounded(1)?;
    /// let mut loan = q.loan(5000)?;
    /// loan.fill(7);
    /// q.put_loan(loan)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put_loan(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::Endless)
    }

    /// As [`PlainQueue::put_loan`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainQueue::put_loan`], and `Full`.
    ///
    /// # Panics
    /// If the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::bounded(1)?;
    /// q.try_put_loan(q.loan(5000)?)?;
    /// let loan = q.loan(5000)?;
    /// let loan = q.try_put_loan(loan).unwrap_err().into_inner(); // to be put later
    /// assert_eq!(loan.len(), 5000);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put_loan(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::None)
    }

    /// As [`PlainQueue::put_loan`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainQueue::put_loan`], and `Full`.
    ///
    /// # Panics
    /// If the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::PlainQueue::<u8>::bounded(1)?;
    /// q.put_loan_timeout(q.loan(5000)?, std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put_loan_timeout(
        &self,
        loan: Loan<T>,
        timeout: Duration,
    ) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::of(timeout))
    }
}

impl<T: Pod> PlainQueue<T> {
    /// Puts one value, a copy; waits while the queue is full.
    ///
    /// # Errors
    /// [`PutError`]: `Closed`, `Arena` (no memory).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put(&7)?;
    /// assert_eq!(b.get()?, 7);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put(&self, value: &T) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::Endless)
    }

    /// As [`PlainQueue::put`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainQueue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.try_put(&7)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put(&self, value: &T) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::None)
    }

    /// As [`PlainQueue::put`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainQueue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_timeout(&7, std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put_timeout(&self, value: &T, timeout: Duration) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::of(timeout))
    }

    /// Puts several values as one message, copied once; waits while there is no room.
    ///
    /// # Errors
    /// As [`PlainQueue::put`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_slice(&[1, 2, 3])?;
    /// assert_eq!(*b.get_slice()?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::Endless)
    }

    /// As [`PlainQueue::put_slice`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainQueue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.try_put_slice(&[1, 2, 3])?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_put_slice(&self, values: &[T]) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::None)
    }

    /// As [`PlainQueue::put_slice`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainQueue::put`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_slice_timeout(&[1, 2, 3], std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn put_slice_timeout(&self, values: &[T], timeout: Duration) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::of(timeout))
    }
}
