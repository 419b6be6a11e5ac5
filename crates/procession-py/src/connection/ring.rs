//! An end of a pipe as a connection holds it, and how messages get in and out.

use std::ops::Deref;
use std::os::fd::{IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use procession::{Block, End, RawConnection, Received, TrySendError};
use pyo3::exceptions::{PyEOFError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::args::Arg;
use crate::blocking::{self, Patience, Waited};
use crate::codec::{self, Kind, Prepared, Scratch, Whole};
use crate::error::{self, Raise};
use crate::memory::Held;

/// An end of a pipe. Dropping it closes the descriptor, unless that was given up before.
#[derive(Debug)]
pub(super) struct Ring {
    /// Taken when dropped.
    connection: Option<RawConnection>,
    given_up: AtomicBool,
}

impl Ring {
    pub(super) fn new(connection: RawConnection) -> Self {
        Self { connection: Some(connection), given_up: AtomicBool::new(false) }
    }

    /// The descriptor is somebody else's from now on.
    pub(super) fn give_up_fd(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// A descriptor that says from now on whether there is something to receive.
    pub(super) fn selectable_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        let connection: &RawConnection = self;
        py.detach(|| connection.selectable_fd()).map_err(Raise::raise)
    }

    /// Prepares for one look at the descriptor; false if there is a message already.
    pub(super) fn arm(&self, py: Python<'_>) -> PyResult<bool> {
        let connection: &RawConnection = self;
        if !connection.is_readable() {
            return Ok(true);
        }
        py.detach(|| connection.arm()).map_err(Raise::raise)
    }
}

impl Deref for Ring {
    type Target = RawConnection;

    #[inline]
    fn deref(&self) -> &RawConnection {
        self.connection.as_ref().expect("present until dropped")
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.given_up.load(Ordering::Acquire)
            && let Some(connection) = self.connection.take()
        {
            let _ = connection.into_fd().into_raw_fd();
        }
    }
}

impl Held<'_, Ring> {
    /// Whether another thread, or Python code that ran meanwhile, has closed the connection.
    fn still_open(&self) -> PyResult<()> {
        if self.is_gone() { Err(closed()) } else { Ok(()) }
    }

    /// Sends an object that is not small and plain.
    #[cold]
    pub(super) fn send_packed(
        &self,
        prepared: Prepared<'_>,
        scratch: &mut Scratch,
    ) -> PyResult<()> {
        self.still_open()?;
        let (kind, block) = prepared.pack(self.py(), self.family(), scratch)?;
        self.deliver(kind, &scratch.bytes, block)
    }

    /// Sends bytes as they are.
    #[inline]
    pub(super) fn send_bytes(&self, bytes: &[u8]) -> PyResult<()> {
        let (inline, block) = codec::pack_bytes(self.py(), self.family(), bytes)?;
        self.deliver(Kind::Bytes, inline, block)
    }

    /// Sends a message; waits while there is no room.
    #[inline]
    pub(super) fn deliver(&self, kind: Kind, inline: &[u8], block: Option<Block>) -> PyResult<()> {
        let connection: &RawConnection = self;
        blocking::settle(self.py(), connection, End::Tail)?;
        let block_len = block.as_ref().map(Block::len);
        match connection.try_send(kind as u8, inline, block) {
            Ok(()) => {}
            Err(error) => self.deliver_slow(kind, inline, error)?,
        }
        if connection.is_absorbed(inline.len(), block_len) {
            Ok(())
        } else {
            self.see_it_taken(inline.len(), block_len)
        }
    }

    /// A message that is longer than a pipe holds ends its send when it is received, as it would in
    /// a pipe of the kernel's.
    #[cold]
    fn see_it_taken(&self, inline: usize, block: Option<usize>) -> PyResult<()> {
        let connection: &RawConnection = self;
        let taken = blocking::wait(
            self.py(),
            Patience::Until(None),
            || {
                self.still_open()?;
                Ok(connection.is_absorbed(inline, block).then_some(()))
            },
            |deadline| connection.wait_for_room(inline, block, deadline),
        )?;
        taken.done().ok_or_else(error::broken_pipe)
    }

    #[cold]
    fn deliver_slow(&self, kind: Kind, inline: &[u8], error: TrySendError) -> PyResult<()> {
        let connection: &RawConnection = self;
        let mut block = refused(error)?;
        let block_len = block.as_ref().map(Block::len);
        let sent = blocking::wait(
            self.py(),
            Patience::Until(None),
            || {
                self.still_open()?;
                blocking::settle(self.py(), connection, End::Tail)?;
                match connection.try_send(kind as u8, inline, block.take()) {
                    Ok(()) => Ok(Some(())),
                    Err(error) => {
                        block = refused(error)?;
                        Ok(None)
                    }
                }
            },
            |deadline| connection.wait_for_room(inline.len(), block_len, deadline),
        )?;
        sent.done().ok_or_else(error::broken_pipe)
    }

    /// Receives a message; waits for one. Its inline part goes to `inline`.
    #[inline]
    pub(super) fn collect(&self, inline: &mut Vec<u8>) -> PyResult<Received> {
        let connection: &RawConnection = self;
        blocking::settle(self.py(), connection, End::Head)?;
        match connection.try_recv(inline) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => self.collect_slow(inline),
            Err(error) => Err(error.raise()),
        }
    }

    #[cold]
    fn collect_slow(&self, inline: &mut Vec<u8>) -> PyResult<Received> {
        let connection: &RawConnection = self;
        let received = blocking::wait(
            self.py(),
            Patience::Until(None),
            || {
                self.still_open()?;
                blocking::settle(self.py(), connection, End::Head)?;
                connection.try_recv(inline).map_err(Raise::raise)
            },
            |deadline| connection.wait_for_message(deadline),
        )?;
        received.done().ok_or_else(|| PyEOFError::new_err(()))
    }

    /// Receives a message as bytes. None if it is longer than `limit`, and lost then.
    pub(super) fn receive_bytes<'py>(
        &self,
        py: Python<'py>,
        limit: Arg<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut scratch = Scratch::take();
        let message = self.collect(&mut scratch.bytes)?;
        let message = Whole::of(py, message, &mut scratch)?;
        if let Some(limit) = limit
            && limit.lt(message.len())?
        {
            return Ok(None);
        }
        Ok(Some(message.into_bytes(py)?))
    }

    /// Whether a message, or the end of them, is there before patience ends.
    pub(super) fn poll(&self, patience: Patience) -> PyResult<bool> {
        let connection: &RawConnection = self;
        if connection.has_message() {
            return Ok(true);
        }
        if matches!(patience, Patience::None) {
            return Ok(connection.is_hung_up());
        }
        let waited = blocking::wait(
            self.py(),
            patience,
            || self.still_open().map(|()| connection.has_message().then_some(())),
            |deadline| connection.wait_for_message(deadline),
        )?;
        Ok(!matches!(waited, Waited::TimedOut))
    }
}

/// The block comes back if there is only no room.
fn refused(error: TrySendError) -> PyResult<Option<Block>> {
    match error {
        TrySendError::Full(block) => Ok(block),
        TrySendError::Broken(_) => Err(error::broken_pipe()),
        TrySendError::Arena(error, _) => Err(error.raise()),
    }
}

/// What the standard library says of a closed connection.
#[cold]
pub(super) fn closed() -> PyErr {
    PyOSError::new_err("handle is closed")
}
