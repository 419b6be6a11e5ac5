//! A connection of bytes: a ring for each direction, and a socket.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::bell::{Bell, Wire};
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::objects::Kind;
use crate::channel::{Channel, Received, Refusal};
use crate::error::{ArenaError, PipeError};
use crate::ring::fifo::{INLINE_MAX, Limits, Record};
use crate::sys::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::clock::Pulse;
use crate::sys::fault::crash_point;
use crate::sys::socket;
use crate::wait::Futex;

/// How much may be under way in one direction. A pipe of the kernel's holds 64 KiB, or 16,384 empty
/// messages of the standard library's; large messages are better kept few, and hot in the cache: two
/// of 1 MiB, so that the one is filled while the other is read.
const LIMITS: Limits = Limits { messages: 16 << 10, bytes: (2 << 20) + (64 << 10) };

/// A send did not happen; the block comes back.
#[derive(Debug)]
pub enum TrySendError {
    /// There is no room at this moment.
    Full(Option<Block>),
    /// Nobody has the other end any more.
    Broken(Option<Block>),
    /// No memory, or a damaged arena.
    Arena(ArenaError, Option<Block>),
}

/// One end of a pipe, for messages of up to 32 KiB inline and a [`Block`] of any size.
///
/// See the [module](mod@crate::pipe) for blocking and what happens when a process dies. Any number of
/// threads, and of processes that have a copy, may use it at once; each message goes to one of them.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawConnection};
/// let (a, b) = RawConnection::pair(Family::current()?, true)?;
/// a.try_send(1, b"bytes", None).unwrap();
/// let mut bytes = Vec::new();
/// assert_eq!(b.try_recv(&mut bytes)?.unwrap().kind, 1);
/// assert_eq!(bytes, b"bytes");
/// # Ok(()) }
/// ```
pub struct RawConnection {
    /// Dropped before `incoming`, which announces the close: who hears of it looks at the socket.
    pub(super) socket: OwnedFd,
    pub(super) incoming: Option<Incoming>,
    pub(super) outgoing: Option<Channel>,
    /// The other end was seen to be gone; it never comes back.
    pub(super) is_over: AtomicBool,
    /// Announced closings that were looked into.
    closes_seen: AtomicU64,
    pulse: Pulse,
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConnection")
            .field("socket", &self.socket)
            .field("incoming", &self.incoming)
            .field("outgoing", &self.outgoing)
            .finish_non_exhaustive()
    }
}

/// The direction in which this end receives. When it goes, whoever may be sending hears that a copy
/// of the end was closed.
#[derive(Debug)]
pub(super) struct Incoming(pub(super) Channel);

impl Drop for Incoming {
    fn drop(&mut self) {
        crash_point!("close.socket");
        let slot = self.0.slot();
        slot.closes.fetch_add(1, Ordering::Release);
        crash_point!("close.announced");
        slot.room.wake_all(&Futex);
    }
}

/// The socket as a bell sees it: who sends rings the other end's, who receives eats its own's.
pub(super) struct Line<'a>(BorrowedFd<'a>);

impl Wire for Line<'_> {
    fn ring(&self) {
        socket::ring(self.0);
    }
    fn eat(&self, all: bool) {
        socket::eat(self.0, all);
    }
}

impl RawConnection {
    /// The longest inline part.
    pub const INLINE_MAX: usize = INLINE_MAX;

    pub(super) fn over(
        incoming: Option<Channel>,
        outgoing: Option<Channel>,
        socket: OwnedFd,
    ) -> RawConnection {
        RawConnection {
            socket,
            incoming: incoming.map(Incoming),
            outgoing,
            is_over: AtomicBool::new(false),
            closes_seen: AtomicU64::new(0),
            pulse: Pulse::new(),
        }
    }

    /// A new pipe. Both ends send and receive if `duplex`; else the first receives and the second
    /// sends.
    ///
    /// # Errors
    /// [`PipeError`]: no memory, or no descriptors (a pipe needs two).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (reader, writer) = RawConnection::pair(Family::current()?, false)?;
    /// assert!(!reader.is_writable() && !writer.is_readable());
    /// # Ok(()) }
    /// ```
    pub fn pair(family: Family, duplex: bool) -> Result<(RawConnection, RawConnection), PipeError> {
        let (a, b) = socket::pair().map_err(|e| PipeError::Socket(e.into()))?;
        let to_a = direction(family, &a, &b)?;
        let to_b = if duplex { Some(direction(family, &b, &a)?) } else { None };
        crash_point!("pipe.made");
        let other = RawConnection::over(to_b.clone(), Some(to_a.clone()), b);
        Ok((RawConnection::over(Some(to_a), to_b, a), other))
    }

    pub(super) fn line(&self) -> Line<'_> {
        Line(self.fd())
    }

    pub(super) fn bell(channel: &Channel) -> Bell<'_> {
        Bell(&channel.slot().bell)
    }

    pub(super) fn sending(&self) -> &Channel {
        self.outgoing.as_ref().expect("the connection is read-only")
    }

    pub(super) fn receiving(&self) -> &Channel {
        &self.incoming.as_ref().expect("the connection is write-only").0
    }

    /// Sends a message, if there is room. When it returns `Ok` the message is on its way, whatever
    /// happens to this process.
    ///
    /// Whether the other end lives is asked of the kernel when a close was announced, and otherwise
    /// in the first few sends of each clock tick (1 to 10 ms): so a reader that was just killed may
    /// be sent to for that long.
    ///
    /// # Errors
    /// [`TrySendError`], with the block.
    ///
    /// # Panics
    /// If the connection is not writable, or as [`RawQueue::try_put`](crate::RawQueue::try_put).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection, TrySendError};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// drop(b);
    /// assert!(matches!(a.try_send(1, b"", None), Err(TrySendError::Broken(None))));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_send(
        &self,
        kind: u8,
        inline: &[u8],
        block: Option<Block>,
    ) -> Result<(), TrySendError> {
        let channel = self.sending();
        channel.check(kind, inline, block.as_ref());
        if self.is_broken(channel) {
            return Err(TrySendError::Broken(block));
        }
        let record = Record { kind, inline, block: block.as_ref().map(Block::reference) };
        let sent = channel.with_segments(|fresh| {
            channel.push(&record, fresh, || {
                RawConnection::bell(channel).ring(&self.line());
                Ok(())
            })
        });
        match sent {
            Ok(_) => {}
            Err(Refusal::Arena(e)) => return Err(TrySendError::Arena(e, block)),
            Err(_) => return Err(TrySendError::Full(block)),
        }
        if let Some(b) = block {
            b.given_away();
        }
        crash_point!("put.unlocked");
        Ok(())
    }

    #[inline]
    fn is_broken(&self, channel: &Channel) -> bool {
        let closes = channel.slot().closes.load(Ordering::Acquire);
        if closes == self.closes_seen.load(Ordering::Relaxed) && !self.pulse.is_due() {
            return self.is_over.load(Ordering::Relaxed);
        }
        self.closes_seen.store(closes, Ordering::Relaxed);
        self.is_hung_up()
    }

    /// Takes the oldest message, if there is one; `inline` gets its inline bytes. `None` does not say
    /// whether there will ever be another: see [`RawConnection::is_hung_up`].
    ///
    /// # Errors
    /// As [`RawQueue::try_get`](crate::RawQueue::try_get).
    ///
    /// # Panics
    /// If the connection is not readable.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(a.try_recv(&mut Vec::new())?.is_none());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_recv(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        let channel = self.receiving();
        let received = channel.pop(inline)?;
        self.keep_quiet(channel)?;
        Ok(received)
    }
}

/// A ring and its bell: the byte that says *not armed* is in the reader's socket from the start.
fn direction(family: Family, reader: &OwnedFd, writer: &OwnedFd) -> Result<Channel, PipeError> {
    let channel = Channel::create(family, Kind::Pipe, LIMITS)?;
    for (word, fd) in channel.slot().sockets.iter().zip([reader, writer]) {
        word.store(socket::inode(fd).unwrap_or(0), Ordering::Relaxed);
    }
    socket::ring(writer);
    Ok(channel)
}
