//! How an end of a pipe gets into another process: its descriptor by the system's means, and beside
//! it the handles of its rings.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw::RawConnection;
use super::typed::Connection;
use crate::arena::family::{Family, Inner, all_families};
use crate::arena::lease::Lease;
use crate::arena::objects::{Kind, LIVE, ObjectId};
use crate::channel::Channel;
use crate::error::HandleError;
use crate::handle;
use crate::sys::atomic::Ordering;
use crate::sys::socket;
use crate::travel;

/// The bits of a handle's first byte. The handles of the rings follow in this order.
const READS: u8 = 1;
const WRITES: u8 = 2;

/// Which of a ring's two sockets an end has.
#[derive(Clone, Copy)]
enum Side {
    Reader = 0,
    Writer = 1,
}

fn is_end(channel: &Channel, side: Side, inode: u64) -> bool {
    inode != 0 && channel.slot().sockets[side as usize].load(Ordering::Relaxed) == inode
}

/// The ring that has this socket on that side.
fn ring_of(inner: &'static Inner, side: Side, inode: u64) -> Option<Channel> {
    let mut all = 0..inner.header().objects_used.load(Ordering::Acquire);
    all.find_map(|index| {
        let slot = inner.object(index as u32).ok()?;
        let (generation, state) = slot.life();
        let word = slot.sockets[side as usize].load(Ordering::Relaxed);
        if state != LIVE || !slot.is(Kind::Pipe) || word != inode {
            return None;
        }
        // Counted first, then looked at again: until then it may become another.
        let ring = Channel::open(inner, ObjectId { index: index as u32, generation }).ok()?;
        is_end(&ring, side, inode).then_some(ring)
    })
}

/// Travels in the arguments of a new process, and nowhere else: its descriptor is inherited. What is
/// serialised is the descriptor's number (4 bytes), then the [`handle`](RawConnection::handle).
impl Serialize for RawConnection {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = travel::pack_descriptor(self.fd())?.to_le_bytes().to_vec();
        bytes.extend(self.handle());
        travel::write(&bytes, || self.leases(), to)
    }
}

impl<'de> Deserialize<'de> for RawConnection {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        travel::read(from, "a connection", |bytes| {
            let (number, handle) = bytes.split_first_chunk().ok_or(HandleError::Malformed)?;
            let socket = travel::unpack_descriptor(i32::from_le_bytes(*number))?;
            RawConnection::from_parts(handle, socket)
        })
    }
}

impl<T> Serialize for Connection<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.raw().serialize(to)
    }
}

impl<'de, T> Deserialize<'de> for Connection<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        RawConnection::deserialize(from).map(Connection::from)
    }
}

impl RawConnection {
    /// The family that it belongs to.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, _b) = RawConnection::pair(Family::current()?, true)?;
    /// assert_eq!(a.family().id(), Family::current()?.id());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn family(&self) -> Family {
        let mut rings = self.rings();
        let Some(ring) = rings.next() else { unreachable!("an end has a ring") };
        ring.lease.family()
    }

    fn rings(&self) -> impl Iterator<Item = &Channel> {
        self.incoming.iter().map(|i| &i.0).chain(&self.outgoing)
    }

    /// Whether this end receives.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// assert!(RawConnection::pair(Family::current()?, false)?.0.is_readable());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.incoming.is_some()
    }

    /// Whether this end sends.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// assert!(RawConnection::pair(Family::current()?, false)?.1.is_writable());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.outgoing.is_some()
    }

    /// The descriptor, to be handed on. Whether it is readable says nothing unless
    /// [`RawConnection::arm`] was called before, or [`RawConnection::selectable_fd`] once.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, _b) = RawConnection::pair(Family::current()?, true)?;
    /// let copy = a.fd().try_clone_to_owned()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Bytes that name the rings anywhere in the family. They do not keep them alive: see
    /// [`RawConnection::leases`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// let same = RawConnection::from_parts(&a.handle(), a.fd().try_clone_to_owned()?)?;
    /// same.try_send(1, b"", None).unwrap();
    /// assert!(b.has_message());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Vec<u8> {
        let reads = if self.is_readable() { READS } else { 0 };
        let writes = if self.is_writable() { WRITES } else { 0 };
        let mut bytes = vec![reads | writes];
        self.rings().for_each(|ring| bytes.extend(ring.handle()));
        bytes
    }

    /// What keeps the rings alive without being an end of the pipe.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, _b) = RawConnection::pair(Family::current()?, true)?;
    /// assert_eq!(a.leases().len(), 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        self.rings().map(|ring| ring.lease.clone()).collect()
    }

    /// The end of a pipe that a handle and a descriptor name together.
    ///
    /// # Errors
    /// [`HandleError`]: as [`RawQueue::from_handle`](crate::RawQueue::from_handle), or
    /// [`HandleError::WrongSocket`]. The descriptor is closed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// assert!(RawConnection::from_parts(&a.handle(), b.fd().try_clone_to_owned()?).is_err());
    /// # Ok(()) }
    /// ```
    pub fn from_parts(bytes: &[u8], socket: OwnedFd) -> Result<RawConnection, HandleError> {
        let (&flags, rest) = bytes.split_first().ok_or(HandleError::Malformed)?;
        let rings = rest.len() / handle::LEN;
        if flags & !(READS | WRITES) != 0 || rest.len() != flags.count_ones() as usize * handle::LEN
        {
            return Err(HandleError::Malformed);
        }
        let inode = socket::inode(&socket).unwrap_or(0);
        let open = |bytes: &[u8], side| {
            let channel = Channel::from_handle(bytes, Kind::Pipe)?;
            if is_end(&channel, side, inode) { Ok(channel) } else { Err(HandleError::WrongSocket) }
        };
        let incoming = match flags & READS {
            0 => None,
            _ => Some(open(&rest[..handle::LEN], Side::Reader)?),
        };
        let outgoing = match flags & WRITES {
            0 => None,
            _ => Some(open(&rest[(rings - 1) * handle::LEN..], Side::Writer)?),
        };
        if rings == 0 {
            return Err(HandleError::Malformed);
        }
        Ok(RawConnection::over(incoming, outgoing, socket))
    }

    /// The end of a pipe that a bare descriptor is, if it is one of a family that this process is in.
    ///
    /// # Errors
    /// The descriptor, if it is none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// let same = RawConnection::find(a.into_fd()).unwrap();
    /// same.try_send(1, b"", None).unwrap();
    /// assert!(b.has_message());
    /// # Ok(()) }
    /// ```
    pub fn find(socket: OwnedFd) -> Result<RawConnection, OwnedFd> {
        let Some(inode) = socket::inode(&socket) else {
            return Err(socket);
        };
        let families = all_families().all.clone();
        for inner in families {
            let incoming = ring_of(inner, Side::Reader, inode);
            let outgoing = ring_of(inner, Side::Writer, inode);
            if incoming.is_some() || outgoing.is_some() {
                return Ok(RawConnection::over(incoming, outgoing, socket));
            }
        }
        Err(socket)
    }

    /// Ends the connection without closing the descriptor.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawConnection};
    /// let (a, b) = RawConnection::pair(Family::current()?, true)?;
    /// let fd = a.into_fd();
    /// assert!(!b.is_hung_up());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }
}
