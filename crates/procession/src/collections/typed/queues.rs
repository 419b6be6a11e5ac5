//! What the typed queues have in common.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::line::OfferError;
use super::super::stock::Copied;
use crate::arena::lease::Lease;
use crate::channel::message::Patience;
use crate::channel::scratch::Scratch;
use crate::codec::{self, PLAIN};
use crate::error::{ArenaError, GetError, PutError};
use crate::travel;
use crate::wait::Wait;

/// Where values are put and taken.
pub(super) trait Ends {
    fn take(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError>;
    fn has_ended(&self) -> Result<bool, ArenaError>;
    fn wait_for_item(&self, deadline: Option<std::time::Instant>) -> Wait;
    fn look(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError>;
    fn wait_for_room(&self, len: u64, deadline: Option<std::time::Instant>) -> Wait;
}

/// A value as it is stored, and the value itself, in case that it must be given back.
#[inline]
pub(super) fn pack<T: Serialize>(value: T) -> Result<(Scratch, Vec<Lease>, T), PutError<T>> {
    let mut bytes = Scratch::take();
    let (encoded, holds) = travel::collect(|| codec::encode_into(&mut bytes, &value));
    match encoded {
        Ok(()) => Ok((bytes, holds, value)),
        Err(why) => Err(PutError::Encode(value, why)),
    }
}

#[inline]
pub(super) fn put<T>(
    ends: &impl Ends,
    value: T,
    len: usize,
    patience: Patience,
    offer: impl Fn() -> Result<(), OfferError>,
) -> Result<(), PutError<T>> {
    loop {
        match offer() {
            Ok(()) => return Ok(()),
            Err(OfferError::Full) => {}
            Err(OfferError::Closed) => return Err(PutError::Closed(value)),
            Err(OfferError::Arena(e)) => return Err(PutError::Arena(value, e)),
            Err(e) => {
                let why = match e {
                    OfferError::Unordered(why) => why.to_owned(),
                    e => e.to_string(),
                };
                return Err(PutError::Unordered(value, why));
            }
        }
        if !patience.wait(|deadline| ends.wait_for_room(len as u64, deadline)) {
            return Err(PutError::Full(value));
        }
    }
}

#[inline]
pub(super) fn get<T: DeserializeOwned, E: Ends>(
    ends: &E,
    patience: Patience,
) -> Result<T, GetError> {
    get_by(ends, patience, E::take)
}

/// The same, and what is taken stays where it is.
pub(super) fn peek<T: DeserializeOwned, E: Ends>(
    ends: &E,
    patience: Patience,
) -> Result<T, GetError> {
    get_by(ends, patience, E::look)
}

#[inline]
fn get_by<T: DeserializeOwned, E: Ends>(
    ends: &E,
    patience: Patience,
    take: impl Fn(&E, &mut Vec<u8>) -> Result<Option<Copied>, ArenaError>,
) -> Result<T, GetError> {
    let mut bytes = Scratch::take();
    loop {
        let mut taken = take(ends, &mut bytes)?;
        let ended = taken.is_none() && ends.has_ended()?;
        if ended {
            taken = take(ends, &mut bytes)?; // what was put before the end is there by now
        }
        // What the handles inside name lives until they are decoded.
        if let Some(copied) = taken {
            return decode(copied.kind, &bytes);
        }
        if ended {
            return Err(GetError::Closed);
        }
        if !patience.wait(|deadline| ends.wait_for_item(deadline)) {
            return Err(GetError::Empty);
        }
    }
}

#[inline]
fn decode<T: DeserializeOwned>(kind: u8, bytes: &[u8]) -> Result<T, GetError> {
    if kind != PLAIN {
        let text = format!("kind {kind} is not plain data; a Python process pickled it");
        return Err(GetError::Decode(text));
    }
    codec::decode(bytes).map_err(GetError::Decode)
}

/// What both kinds of queue have. `$order`: which value is taken next; `$made`: lines of an example that
/// make `taken`, with 1 and 2 in this order.
macro_rules! queue {
    ($type:ident, $raw:ident, $order:literal, $made:literal) => {
        impl<T> Clone for $type<T> {
            fn clone(&self) -> Self {
                $type { raw: self.raw.clone(), values: PhantomData }
            }
        }

        impl<T> fmt::Debug for $type<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.raw).finish()
            }
        }

        crate::travel::travels!($type<T>, "a queue", |it| it.raw.lease());

        impl<T> From<$raw> for $type<T> {
            fn from(raw: $raw) -> Self {
                $type { raw, values: PhantomData }
            }
        }

        impl<T> queues::Ends for $type<T> {
            #[inline]
            fn take(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
                self.raw.try_get(out)
            }
            fn has_ended(&self) -> Result<bool, ArenaError> {
                self.raw.has_ended()
            }
            fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
                self.raw.wait_for_item(deadline)
            }
            fn look(&self, out: &mut Vec<u8>) -> Result<Option<Copied>, ArenaError> {
                self.raw.peek(out)
            }
            fn wait_for_room(&self, len: u64, deadline: Option<Instant>) -> Wait {
                self.raw.wait_for_room_of(len, deadline)
            }
        }

        impl<T> $type<T> {
            /// A queue bounded by memory only, in this process's family.
            ///
            /// # Errors
            /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no
            /// memory.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let q: procession::", stringify!($type), "<u8> = procession::", stringify!($type), "::unbounded().unwrap();")]
            /// assert_eq!(q.capacity(), None);
            /// ```
            pub fn unbounded() -> Result<Self, HandleError> {
                Ok(Self::unbounded_in(Family::current()?)?)
            }

            /// The same, in another family.
            ///
            /// # Errors
            /// [`ArenaError::Full`] if there is no memory.
            pub fn unbounded_in(family: Family) -> Result<Self, ArenaError> {
                Ok($raw::create(family, None)?.into())
            }

            /// A queue of at most `capacity` values; 0 counts as 1.
            ///
            /// # Errors
            /// As [`unbounded`](Self::unbounded).
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let q: procession::", stringify!($type), "<u8> = procession::", stringify!($type), "::bounded(8).unwrap();")]
            /// assert_eq!(q.capacity(), Some(8));
            /// ```
            pub fn bounded(capacity: u64) -> Result<Self, HandleError> {
                Ok(Self::bounded_in(Family::current()?, capacity)?)
            }

            /// The same, in another family.
            ///
            /// # Errors
            /// As [`unbounded_in`](Self::unbounded_in).
            pub fn bounded_in(family: Family, capacity: u64) -> Result<Self, ArenaError> {
                let capacity = NonZeroU64::new(capacity).unwrap_or(NonZeroU64::MIN);
                Ok($raw::create(family, Some(capacity))?.into())
            }

            /// A queue of at most so many values, and so many bytes of them as they are sent; 0: no limit. A value
            /// of more bytes than that may be in it alone.
            ///
            /// # Errors
            /// As [`unbounded`](Self::unbounded).
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q = procession::", stringify!($type), "::bounded_by(0, 10)?;")]
            /// q.put("much more than that".to_string())?;
            /// assert!(q.try_put("a".to_string()).is_err());
            /// # Ok(()) }
            /// ```
            pub fn bounded_by(values: u64, bytes: u64) -> Result<Self, HandleError> {
                Ok(Self::bounded_by_in(Family::current()?, values, bytes)?)
            }

            /// The same, in another family.
            ///
            /// # Errors
            /// As [`unbounded_in`](Self::unbounded_in).
            pub fn bounded_by_in(family: Family, values: u64, bytes: u64) -> Result<Self, ArenaError> {
                let [values, bytes] = [values, bytes].map(NonZeroU64::new);
                Ok($raw::create_limited(family, values, bytes)?.into())
            }

            /// Opens the queue that a handle names. The handle does not say the type: it must be that of
            /// the other processes, or values fail to decode.
            ///
            /// # Errors
            /// [`HandleError`].
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let a: procession::", stringify!($type), "<i32> = procession::", stringify!($type), "::unbounded()?;")]
            #[doc = concat!("let b: procession::", stringify!($type), "<i32> = procession::", stringify!($type), "::from_handle(&a.handle())?;")]
            /// a.put(7)?;
            /// assert_eq!(b.get()?, 7);
            /// # Ok(()) }
            /// ```
            pub fn from_handle(handle: &[u8]) -> Result<Self, HandleError> {
                Ok($raw::from_handle(handle)?.into())
            }

            /// Bytes that name the queue anywhere in the family. They do not keep it alive; a message or
            /// a collection that the queue itself was put into does.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                self.raw.handle()
            }

            /// The queue of bytes beneath.
            #[must_use]
            pub fn raw(&self) -> &$raw {
                &self.raw
            }

            /// How many values are in the queue: exact at an instant of the call.
            #[must_use]
            pub fn len(&self) -> u64 {
                self.raw.len()
            }

            /// Whether the queue is empty at an instant of the call.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.raw.is_empty()
            }

            /// Whether the queue is bounded and full at an instant of the call.
            #[must_use]
            pub fn is_full(&self) -> bool {
                self.raw.is_full()
            }

            /// How many values it may hold; `None`: as many as memory allows.
            #[must_use]
            pub fn capacity(&self) -> Option<u64> {
                self.raw.capacity().map(NonZeroU64::get)
            }

            /// How many bytes its values may have; `None`: as many as memory allows.
            #[must_use]
            pub fn max_bytes(&self) -> Option<u64> {
                self.raw.max_bytes().map(NonZeroU64::get)
            }

            /// Closes the queue and drops what is in it; each value counts as done. Says how many those were.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q = procession::", stringify!($type), "::unbounded()?;")]
            /// q.put_many([1, 2])?;
            /// assert_eq!(q.shut_down_now()?, 2);
            /// q.join();
            /// assert!(q.is_closed() && q.is_empty());
            /// # Ok(()) }
            /// ```
            pub fn shut_down_now(&self) -> Result<u64, ArenaError> {
                self.raw.shut_down_now()
            }

            /// Closes the queue for all processes: puts fail, gets take what is left, then fail too.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q: procession::", stringify!($type), "<i32> = procession::", stringify!($type), "::unbounded()?;")]
            /// q.put(1)?;
            /// q.close();
            /// assert!(q.put(2).is_err());
            /// assert_eq!(q.get()?, 1);
            /// assert!(matches!(q.get(), Err(procession::GetError::Closed)));
            /// # Ok(()) }
            /// ```
            pub fn close(&self) {
                self.raw.close();
            }

            /// Whether it was closed.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.raw.is_closed()
            }
        }

        impl<T: Serialize> $type<T> {
            /// Puts a value; waits while the queue is full.
            ///
            /// # Errors
            /// [`PutError`], with the value.
            pub fn put(&self, value: T) -> Result<(), PutError<T>> {
                self.put_with(value, Patience::Endless)
            }

            /// Puts a value if there is room at once.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q = procession::", stringify!($type), "::bounded(1)?;")]
            /// q.try_put(1)?;
            /// assert_eq!(q.try_put(2).unwrap_err().into_inner(), 2);
            /// # Ok(()) }
            /// ```
            pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
                self.put_with(value, Patience::None)
            }

            /// Puts a value; waits at most `timeout`.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
                self.put_with(value, Patience::of(timeout))
            }

            /// Puts a value; waits until `deadline`.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            pub fn put_deadline(&self, value: T, deadline: Instant) -> Result<(), PutError<T>> {
                self.put_with(value, Patience::Until(deadline))
            }

            /// Puts all values, one by one; waits while the queue is full.
            ///
            /// # Errors
            /// As [`put`](Self::put), with the value that failed; those before it are in the queue, those
            /// after it were not taken from the iterator.
            pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<T>> {
                values.into_iter().try_for_each(|value| self.put(value))
            }
        }

        impl<T: DeserializeOwned> $type<T> {
            #[doc = concat!("Takes the ", $order, " value; waits while the queue is empty.")]
            ///
            /// # Errors
            /// [`GetError`]: `Closed` (and empty), `Decode` (the message was of another type; it is
            /// taken), `Arena`.
            pub fn get(&self) -> Result<T, GetError> {
                queues::get(self, Patience::Endless)
            }

            #[doc = concat!("Takes the ", $order, " value, if there is one.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q: procession::", stringify!($type), "<i32> = procession::", stringify!($type), "::unbounded()?;")]
            /// assert!(matches!(q.try_get(), Err(procession::GetError::Empty)));
            /// # Ok(()) }
            /// ```
            pub fn try_get(&self) -> Result<T, GetError> {
                queues::get(self, Patience::None)
            }

            #[doc = concat!("Takes the ", $order, " value; waits at most `timeout`.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
                queues::get(self, Patience::of(timeout))
            }

            #[doc = concat!("Takes the ", $order, " value; waits until `deadline`.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
                queues::get(self, Patience::Until(deadline))
            }

            #[doc = concat!("The ", $order, " value, which stays in the queue; waits while that is empty.")]
            ///
            /// # Errors
            /// As [`get`](Self::get).
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q = procession::", stringify!($type), "::unbounded()?;")]
            /// q.put(1)?;
            /// assert_eq!((q.peek()?, q.get()?), (1, 1));
            /// # Ok(()) }
            /// ```
            pub fn peek(&self) -> Result<T, GetError> {
                queues::peek(self, Patience::Endless)
            }

            /// The same, if there is one.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn try_peek(&self) -> Result<T, GetError> {
                queues::peek(self, Patience::None)
            }

            /// The same; waits at most `timeout`.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError> {
                queues::peek(self, Patience::of(timeout))
            }

            /// The same; waits until `deadline`.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError> {
                queues::peek(self, Patience::Until(deadline))
            }

            /// Takes at least one value, waiting for it, and at most `max` that are there.
            ///
            /// # Errors
            /// As [`get`](Self::get) for the first; an error at a later one ends the batch and is left for
            /// the next call, except that a message which does not decode is lost with its error.
            pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
                if max == 0 {
                    return Ok(Vec::new());
                }
                let mut all = vec![self.get()?];
                all.extend(self.try_iter().map_while(Result::ok).take(max - 1));
                Ok(all)
            }
        }

        crate::collections::typed::joins::joins!($type);
        crate::channel::iter::iterates!($type<T>, get, try_get, "the queue", $made);
    };
}
pub(super) use queue;
