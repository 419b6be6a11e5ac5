//! A connection of plain values.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use bytemuck::Pod;

use super::loan::{Loan, PlainSlice};
use super::message;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, GetError, HandleError, PipeError, PutError};
use crate::pipe::RawConnection;

/// A new pipe of plain values, whose two ends both send and receive.
///
/// # Errors
/// As [`pipe`](fn@crate::pipe).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = procession::plain_pipe::<u64>()?;
/// here.send(&7)?;
/// assert_eq!(there.recv()?, 7);
/// # Ok(()) }
/// ```
pub fn plain_pipe<T>() -> Result<(PlainConnection<T>, PlainConnection<T>), PipeError> {
    let (a, b) = RawConnection::pair(Family::current()?, true)?;
    Ok((a.into(), b.into()))
}

/// A new pipe of plain values, whose first end receives what the second sends.
///
/// # Errors
/// As [`pipe`](fn@crate::pipe).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (receiver, sender) = procession::plain_simplex::<u64>()?;
/// sender.send(&7)?;
/// assert_eq!(receiver.recv()?, 7);
/// # Ok(()) }
/// ```
pub fn plain_simplex<T>() -> Result<(PlainConnection<T>, PlainConnection<T>), PipeError> {
    let (a, b) = RawConnection::pair(Family::current()?, false)?;
    Ok((a.into(), b.into()))
}

/// One end of a pipe of plain values, alone or in slices.
///
/// See the [module](crate::plain) for what goes without a copy, and the [connections'
/// module](mod@crate::pipe) for blocking and what happens when a process dies.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = procession::plain_pipe::<f64>()?;
/// let mut samples = a.loan(48_000)?;
/// samples.fill(0.25);
/// a.send_loan(samples)?;
/// assert_eq!(b.recv_slice()?.iter().sum::<f64>(), 12_000.0);
/// # Ok(()) }
/// ```
pub struct PlainConnection<T> {
    raw: RawConnection,
    values: PhantomData<fn(T) -> T>,
}

impl<T> fmt::Debug for PlainConnection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlainConnection").field(&self.raw).finish()
    }
}

impl<T> From<RawConnection> for PlainConnection<T> {
    fn from(raw: RawConnection) -> Self {
        PlainConnection { raw, values: PhantomData }
    }
}

impl<T> PlainConnection<T> {
    /// The connection of bytes beneath.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::plain_pipe::<u8>()?.0.raw().is_writable());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn raw(&self) -> &RawConnection {
        &self.raw
    }

    /// Bytes that, beside the descriptor, name this end anywhere in the family; see
    /// [`RawConnection::handle`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(!procession::plain_pipe::<u8>()?.0.handle().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        self.raw.handle()
    }

    /// The descriptor, to be handed on; see [`RawConnection::fd`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, _b) = procession::plain_pipe::<u8>()?;
    /// let copy = a.fd().try_clone_to_owned()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.raw.fd()
    }

    /// The end that a handle and a descriptor name together. They do not say the type: it must be
    /// that of the other end.
    ///
    /// # Errors
    /// As [`RawConnection::from_parts`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::PlainConnection;
    /// let (a, b) = procession::plain_pipe::<u8>()?;
    /// let same = PlainConnection::<u8>::from_parts(&a.handle(), a.fd().try_clone_to_owned()?)?;
    /// same.send(&1)?;
    /// assert_eq!(b.recv()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn from_parts(handle: &[u8], socket: OwnedFd) -> Result<PlainConnection<T>, HandleError> {
        Ok(RawConnection::from_parts(handle, socket)?.into())
    }
}

impl<T: Pod> PlainConnection<T> {
    /// Memory for a message of `len` values, to be written in place and [sent](PlainConnection::send_loan).
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u8>()?;
    /// let mut loan = a.loan(1 << 20)?;
    /// loan.fill(7);
    /// a.send_loan(loan)?;
    /// # Ok(()) }
    /// ```
    pub fn loan(&self, len: usize) -> Result<Loan<T>, ArenaError> {
        Loan::new(self.raw.family(), len)
    }

    /// Sends what was written into a loan; waits while there is no room.
    ///
    /// # Errors
    /// [`PutError`], with the loan: `Closed`, `Arena` (which is damaged).
    ///
    /// # Panics
    /// If this end does not send, or the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (q, b) = procession::plain_pipe::<u8>()?;
    /// let mut loan = q.loan(5000)?;
    /// loan.fill(7);
    /// q.send_loan(loan)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send_loan(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::Endless)
    }

    /// As [`PlainConnection::send_loan`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainConnection::send_loan`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send, or the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (q, b) = procession::plain_pipe::<u8>()?;
    /// q.try_send_loan(q.loan(5000)?)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_send_loan(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::None)
    }

    /// As [`PlainConnection::send_loan`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainConnection::send_loan`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send, or the loan is of another family, or of the process that this one was forked from.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (q, b) = procession::plain_pipe::<u8>()?;
    /// q.send_loan_timeout(q.loan(5000)?, std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send_loan_timeout(
        &self,
        loan: Loan<T>,
        timeout: Duration,
    ) -> Result<(), PutError<Loan<T>>> {
        loan.send(&self.raw, Patience::of(timeout))
    }
}

impl<T: Pod> PlainConnection<T> {
    /// Sends one value, a copy; waits while there is no room.
    ///
    /// # Errors
    /// [`PutError`]: `Closed` (nobody has the other end), `Arena` (no memory).
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send(&7)?;
    /// assert_eq!(b.recv()?, 7);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send(&self, value: &T) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::Endless)
    }

    /// As [`PlainConnection::send`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainConnection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.try_send(&7)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_send(&self, value: &T) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::None)
    }

    /// As [`PlainConnection::send`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainConnection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_timeout(&7, std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send_timeout(&self, value: &T, timeout: Duration) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::bytes_of(value), Patience::of(timeout))
    }

    /// Sends several values as one message, copied once; waits while there is no room.
    ///
    /// # Errors
    /// As [`PlainConnection::send`].
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_slice(&[1, 2, 3])?;
    /// assert_eq!(*b.recv_slice()?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send_slice(&self, values: &[T]) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::Endless)
    }

    /// As [`PlainConnection::send_slice`], if there is room at once.
    ///
    /// # Errors
    /// As [`PlainConnection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.try_send_slice(&[1, 2, 3])?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_send_slice(&self, values: &[T]) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::None)
    }

    /// As [`PlainConnection::send_slice`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainConnection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_slice_timeout(&[1, 2, 3], std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send_slice_timeout(&self, values: &[T], timeout: Duration) -> Result<(), PutError<()>> {
        message::put(&self.raw, bytemuck::cast_slice(values), Patience::of(timeout))
    }

    /// Receives the oldest message, which is one value; waits for one.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (and nothing is left), `Decode` (the message has another length, or is no
    /// plain data; it is taken), `Arena`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send(&7)?;
    /// assert_eq!(b.recv()?, 7);
    /// a.send_slice(&[7, 8])?;
    /// assert!(b.recv().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::Endless)
    }

    /// As [`PlainConnection::recv`], if there is a message.
    ///
    /// # Errors
    /// As [`PlainConnection::recv`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// assert!(b.try_recv().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::None)
    }

    /// As [`PlainConnection::recv`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainConnection::recv`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// assert!(b.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        message::get(&self.raw, Patience::of(timeout))
    }

    /// Receives the oldest message, which is any number of values, where it lies; waits for one.
    ///
    /// # Errors
    /// As [`PlainConnection::recv`]; `Decode` if it is no whole number of values.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_slice(&[1; 5000])?;
    /// let message = b.recv_slice()?;
    /// assert_eq!((message.len(), message[0]), (5000, 1));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn recv_slice(&self) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(&self.raw, Patience::Endless)
    }

    /// As [`PlainConnection::recv_slice`], if there is a message.
    ///
    /// # Errors
    /// As [`PlainConnection::recv_slice`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// assert!(b.try_recv_slice().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_recv_slice(&self) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(&self.raw, Patience::None)
    }

    /// As [`PlainConnection::recv_slice`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainConnection::recv_slice`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// assert!(b.recv_slice_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn recv_slice_timeout(&self, timeout: Duration) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(&self.raw, Patience::of(timeout))
    }
}
