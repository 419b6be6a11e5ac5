//! Handles inside values: how a queue travels in a message, in a dict, or in a process's arguments.
//!
//! Serialised, a handle is the bytes that its `handle()` gives: MessagePack's *bin*, which a Python
//! process reads as harmless `bytes`. Alone they keep nothing alive. So while a value is encoded for
//! the arena, [`collect`] gathers a lease on everything whose handle goes into the bytes, and the
//! message's block (or the dict's, or the list's) holds these: the object lives for as long as the
//! bytes lie there, whatever becomes of the sender. Who decodes counts for itself before the block is
//! freed. Any other serialiser (to JSON, to a file) gets the bare bytes.
//!
//! Descriptors travel to a new process only, which inherits them; see [`collect_for_process`].

use std::cell::RefCell;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

use crate::arena::lease::Lease;
use crate::error::HandleError;

/// What goes with an encoding under way.
#[derive(Debug, Default)]
pub(crate) struct Luggage {
    /// On what the handles name.
    pub(crate) leases: Vec<Lease>,
    /// Copies of descriptors, under whose numbers the new process finds them; `None`: none can go.
    pub(crate) descriptors: Option<Vec<OwnedFd>>,
}

thread_local! {
    static OPEN: RefCell<Option<Luggage>> = const { RefCell::new(None) };
    /// The descriptors that came with this process's arguments, while these are decoded.
    static ARRIVED: RefCell<Vec<OwnedFd>> = const { RefCell::new(Vec::new()) };
}

/// Puts an outer encoding's luggage back, whatever happens: encodings nest, since a `Serialize` may
/// put something into a queue.
struct Outer(Option<Luggage>);

impl Outer {
    fn set_aside(new: Luggage) -> Outer {
        Outer(OPEN.try_with(|open| open.replace(Some(new))).unwrap_or(None))
    }

    fn taken() -> Luggage {
        // At a thread's very end there is no such list; what is encoded there travels bare.
        OPEN.try_with(RefCell::take).ok().flatten().unwrap_or_default()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        let outer = self.0.take();
        let _ = OPEN.try_with(|open| open.replace(outer));
    }
}

fn collect_into<R>(luggage: Luggage, encode: impl FnOnce() -> R) -> (R, Luggage) {
    let outer = Outer::set_aside(luggage);
    let result = encode();
    let luggage = Outer::taken();
    drop(outer);
    (result, luggage)
}

/// Runs `encode`, and gives with its result leases on all whose handles it wrote.
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Vec<Lease>) {
    let (result, luggage) = collect_into(Luggage::default(), encode);
    (result, luggage.leases)
}

/// The same, for a process that is about to be started: descriptors may go, too.
pub(crate) fn collect_for_process<R>(encode: impl FnOnce() -> R) -> (R, Luggage) {
    collect_into(Luggage { descriptors: Some(Vec::new()), ..Luggage::default() }, encode)
}

/// Writes a handle, and notes what it names.
pub(crate) fn write<S: Serializer, L: IntoIterator<Item = Lease>>(
    handle: &[u8],
    leases: impl FnOnce() -> L,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let _ = OPEN.try_with(|open| {
        if let Some(luggage) = open.borrow_mut().as_mut() {
            luggage.leases.extend(leases());
        }
    });
    serializer.serialize_bytes(handle)
}

/// Lets a descriptor go with the process's arguments that are being encoded; says under which number.
pub(crate) fn pack_descriptor<E: serde::ser::Error>(fd: BorrowedFd<'_>) -> Result<i32, E> {
    OPEN.with_borrow_mut(|open| {
        let list = open.as_mut().and_then(|luggage| luggage.descriptors.as_mut());
        let Some(list) = list else {
            return Err(E::custom(
                "a connection is a descriptor, which only a new process can be given: \
                 it can stand in the arguments of Process::spawn, and nowhere else",
            ));
        };
        let copy = fd.try_clone_to_owned().map_err(E::custom)?;
        let number = copy.as_raw_fd();
        list.push(copy);
        Ok(number)
    })
}

/// Decodes with these descriptors at hand. Those that nobody asks for are closed.
pub(crate) fn unpack_with<R>(descriptors: Vec<OwnedFd>, decode: impl FnOnce() -> R) -> R {
    struct Emptied;
    impl Drop for Emptied {
        fn drop(&mut self) {
            ARRIVED.take();
        }
    }
    ARRIVED.set(descriptors);
    let _emptied = Emptied;
    decode()
}

/// A descriptor that came with this process's arguments.
pub(crate) fn unpack_descriptor(number: i32) -> Result<OwnedFd, HandleError> {
    ARRIVED.with_borrow(|all| {
        let fd = all.iter().find(|fd| fd.as_raw_fd() == number);
        // A copy: the arguments may name it more than once.
        fd.and_then(|fd| fd.try_clone().ok()).ok_or(HandleError::NoDescriptor)
    })
}

/// Reads a handle and opens what it names.
pub(crate) fn read<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    what: &'static str,
    open: impl FnOnce(&[u8]) -> Result<T, HandleError>,
) -> Result<T, D::Error> {
    let bytes = deserializer.deserialize_byte_buf(Bytes(what))?;
    open(&bytes).map_err(D::Error::custom)
}

/// Bytes in any of the ways in which a format may have them.
struct Bytes(&'static str);

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handle of {}", self.0)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// `Serialize` and `Deserialize` of a type that is a handle: it has `handle()` and `from_handle()`.
///
/// `travels!(Queue<T>, "a queue", |it| it.raw.lease());` — the last says what keeps its object alive.
macro_rules! travels {
    ($type:ident $(<$($p:ident),*>)?, $what:literal, |$it:ident| $lease:expr) => {
        /// Travels as its handle: see [`handle`](Self::handle). In a message, a collection or a
        /// process's arguments it keeps the object alive; elsewhere it is bare bytes.
        impl $(<$($p),*>)? serde::Serialize for $type $(<$($p),*>)? {
            fn serialize<S: serde::Serializer>(
                &self,
                to: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                let $it = self;
                crate::travel::write(&self.handle(), || [$lease], to)
            }
        }

        /// Opens the object that the handle names, and counts it.
        impl<'de, $($($p),*)?> serde::Deserialize<'de> for $type $(<$($p),*>)? {
            fn deserialize<D: serde::Deserializer<'de>>(
                from: D,
            ) -> std::result::Result<Self, D::Error> {
                crate::travel::read(from, $what, |bytes| Self::from_handle(bytes))
            }
        }
    };
}
pub(crate) use travels;
