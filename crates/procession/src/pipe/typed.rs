//! A connection of values.

use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawConnection;
use crate::arena::family::Family;
use crate::channel::iter::iterates;
use crate::channel::message::{self, Patience};
use crate::error::{GetError, HandleError, PipeError, PutError};
use crate::wait::Wait;

/// A new pipe whose two ends both send and receive.
///
/// # Errors
/// [`PipeError`]: there can be no family, no memory, or no descriptors (a pipe needs two).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = procession::pipe::<String>()?;
/// here.send("hello".into())?;
/// assert_eq!(there.recv()?, "hello");
/// # Ok(()) }
/// ```
pub fn pipe<T>() -> Result<(Connection<T>, Connection<T>), PipeError> {
    let (a, b) = RawConnection::pair(Family::current()?, true)?;
    Ok((a.into(), b.into()))
}

/// A new pipe whose first end receives what the second sends.
///
/// # Errors
/// As [`pipe`](fn@pipe).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (receiver, sender) = procession::simplex::<u32>()?;
/// sender.send(7)?;
/// drop(sender);
/// assert_eq!(receiver.recv()?, 7);
/// assert!(receiver.recv().is_err()); // the end
/// # Ok(()) }
/// ```
pub fn simplex<T>() -> Result<(Connection<T>, Connection<T>), PipeError> {
    let (a, b) = RawConnection::pair(Family::current()?, false)?;
    Ok((a.into(), b.into()))
}

/// One end of a pipe between processes.
///
/// Values are serialised by serde as MessagePack (see [`codec`](crate::codec)); a Python process of the family
/// reads them as plain data. See the [module](mod@crate::pipe) for blocking and what happens when a
/// process dies. A child of a fork has copies of all ends; the other end hears of a close when the
/// last copy is closed.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b) = procession::pipe::<(u32, String)>()?;
/// let echo = std::thread::spawn(move || while let Ok(m) = b.recv() { b.send(m).unwrap() });
/// a.send((1, "one".into()))?;
/// assert_eq!(a.recv()?, (1, "one".into()));
/// drop(a);
/// echo.join().unwrap();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Connection<T> {
    raw: RawConnection,
    values: PhantomData<fn(T) -> T>,
}

impl<T> From<RawConnection> for Connection<T> {
    fn from(raw: RawConnection) -> Self {
        Connection { raw, values: PhantomData }
    }
}

impl<T> Connection<T> {
    /// The connection of bytes beneath.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::pipe::<u8>()?.0.raw().is_writable());
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
    /// assert!(!procession::pipe::<u8>()?.0.handle().is_empty());
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
    /// let (a, _b) = procession::pipe::<u8>()?;
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
    /// use procession::Connection;
    /// let (a, b) = procession::pipe::<u8>()?;
    /// let same = Connection::from_parts(&a.handle(), a.fd().try_clone_to_owned()?)?;
    /// same.send(1)?;
    /// assert_eq!(b.recv()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn from_parts(handle: &[u8], socket: OwnedFd) -> Result<Connection<T>, HandleError> {
        Ok(RawConnection::from_parts(handle, socket)?.into())
    }

    /// Whether there is something to receive, or the other end is gone: waits for that at most
    /// `timeout`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::pipe::<u8>()?;
    /// assert!(!a.poll(std::time::Duration::ZERO));
    /// b.send(1)?;
    /// assert!(a.poll(std::time::Duration::ZERO));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if self.raw.has_message() {
                return true;
            }
            match self.raw.wait_for_message(deadline) {
                Wait::HungUp => return true,
                Wait::TimedOut => return self.raw.has_message(),
                Wait::Again | Wait::Interrupted => {}
            }
        }
    }
}

impl<T: Serialize> Connection<T> {
    /// Sends a value; waits while there is no room.
    ///
    /// # Errors
    /// [`PutError`], with the value: `Closed` (nobody has the other end), `Arena` (no memory),
    /// `Encode`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = procession::pipe()?;
    /// a.send(vec![1, 2, 3])?;
    /// drop(b);
    /// assert!(a.send(vec![4]).is_err());
    /// # Ok(()) }
    /// ```
    pub fn send(&self, value: T) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::Endless)
    }

    /// Sends a value if there is room at once.
    ///
    /// # Errors
    /// As [`Connection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, _b) = procession::pipe()?;
    /// a.try_send(1)?;
    /// # Ok(()) }
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::None)
    }

    /// Sends a value; waits for room at most `timeout`.
    ///
    /// # Errors
    /// As [`Connection::send`], and `Full`.
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, _b) = procession::pipe()?;
    /// a.send_timeout(1, std::time::Duration::from_secs(1))?;
    /// # Ok(()) }
    /// ```
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        message::put(&self.raw, value, Patience::of(timeout))
    }
}

impl<T: DeserializeOwned> Connection<T> {
    /// Receives the oldest value; waits for one.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (the other end is gone, and all that it sent was taken), `Decode` (the
    /// message was of another type; it is taken), `Arena`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::GetError;
    /// let (a, b) = procession::pipe()?;
    /// b.send(1.5)?;
    /// drop(b);
    /// assert_eq!(a.recv()?, 1.5);
    /// assert!(matches!(a.recv(), Err(GetError::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn recv(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::Endless)
    }

    /// Receives the oldest value, if there is one.
    ///
    /// # Errors
    /// As [`Connection::recv`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, _b) = procession::pipe::<u8>()?;
    /// assert!(a.try_recv().is_err());
    /// # Ok(()) }
    /// ```
    pub fn try_recv(&self) -> Result<T, GetError> {
        message::get(&self.raw, Patience::None)
    }

    /// Receives the oldest value; waits for one at most `timeout`.
    ///
    /// # Errors
    /// As [`Connection::recv`], and `Empty`.
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, _b) = procession::pipe::<u8>()?;
    /// assert!(a.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        message::get(&self.raw, Patience::of(timeout))
    }
}

iterates!(
    Connection<T>,
    recv,
    try_recv,
    "the other end",
    "let (taken, other) = procession::pipe()?;\nother.send(1)?;\nother.send(2)?;\ndrop(other);"
);
