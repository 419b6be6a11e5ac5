//! Queues in the order of arrival, or against it.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::joins::joins;
use super::until;
use crate::remote::queue::error::{GetError, PutError};
use crate::remote::queue::iter::{IntoIter, Iter, TryIter, iterates};
use crate::remote::queue::limits::Limits;
use crate::remote::queue::raw::RemoteQueue;
use crate::remote::queue::scripts::QueueKind;
use crate::remote::{Family, Patience, RemoteError};

/// What a typed queue is and has, but for putting and taking.
macro_rules! queue {
    ($type:ident, $kind:ident, $named:ident) => {
        impl<T> Clone for $type<T> {
            fn clone(&self) -> Self {
                $type { raw: self.raw.clone(), values: PhantomData }
            }
        }

        impl<T> fmt::Debug for $type<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.raw.key()).finish()
            }
        }

        impl Family {
            #[doc = concat!("The [`", stringify!($type), "`] of that name, which is made if there is none. `None`: as many values as the server")]
            /// has memory for, or what an existing one has.
            ///
            /// # Errors
            /// [`RemoteError::WrongKind`] if the name is that of something else, [`RemoteError::Differs`] if the queue
            /// has another capacity.
            pub fn $named<T>(&self, name: &str, capacity: Option<u64>) -> Result<$type<T>, RemoteError> {
                let limits = Limits::of(capacity.map_or(0, |n| n.max(1)));
                let raw = RemoteQueue::named(self.server(), QueueKind::$kind, name, limits)?;
                Ok($type { raw, values: PhantomData })
            }
        }

        impl<T> TryFrom<RemoteQueue> for $type<T> {
            type Error = RemoteQueue;

            /// Takes a queue of bytes of that kind.
            fn try_from(raw: RemoteQueue) -> Result<Self, RemoteQueue> {
                if raw.kind() != QueueKind::$kind {
                    return Err(raw);
                }
                Ok($type { raw, values: PhantomData })
            }
        }

        impl<T> $type<T> {
            /// A queue without a name, bounded by the server's memory only. It is there as long as somebody has it.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn unbounded_in(family: &Family) -> Result<Self, RemoteError> {
                Self::bounded_by_in(family, Limits::default())
            }

            /// A queue without a name of at most `capacity` values; 0 counts as 1.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn bounded_in(family: &Family, capacity: u64) -> Result<Self, RemoteError> {
                Self::bounded_by_in(family, Limits::of(capacity.max(1)))
            }

            /// A queue without a name of at most so many values, and so many bytes of them as they are sent. A value of more
            /// bytes than that may be in it alone.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn bounded_by_in(family: &Family, limits: Limits) -> Result<Self, RemoteError> {
                let raw = RemoteQueue::anonymous(family.server(), QueueKind::$kind, limits)?;
                Ok($type { raw, values: PhantomData })
            }

            /// Opens the queue with that [`key`](Self::key). The key does not say the type: it must be that of the
            /// other processes, or values fail to decode.
            ///
            /// # Errors
            /// [`RemoteError::Gone`] if there is none.
            pub fn attach(family: &Family, key: &str) -> Result<Self, RemoteError> {
                let raw = RemoteQueue::attach(family.server(), QueueKind::$kind, key)?;
                Ok($type { raw, values: PhantomData })
            }

            /// What names the queue on its server, for a handle that travels. It does not keep it alive.
            #[must_use]
            pub fn key(&self) -> String {
                self.raw.key_to_send().to_owned()
            }

            /// The queue of bytes beneath.
            #[must_use]
            pub fn raw(&self) -> &RemoteQueue {
                &self.raw
            }

            /// How many values wait: exact at an instant of the call.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn len(&self) -> Result<u64, RemoteError> {
                self.raw.len()
            }

            /// Whether none waits at an instant of the call.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn is_empty(&self) -> Result<bool, RemoteError> {
                self.raw.is_empty()
            }

            /// Whether it is bounded and full at an instant of the call.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn is_full(&self) -> Result<bool, RemoteError> {
                self.raw.is_full()
            }

            /// How many values it may hold; `None`: as many as the server has memory for.
            #[must_use]
            pub fn capacity(&self) -> Option<u64> {
                Some(self.raw.limits().messages).filter(|n| *n != 0)
            }

            /// How many bytes its values may have; `None`: as many as the server has memory for.
            #[must_use]
            pub fn max_bytes(&self) -> Option<u64> {
                Some(self.raw.limits().bytes).filter(|n| *n != 0)
            }

            /// Closes the queue for all processes: puts fail, gets take what is left, then fail too.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn close(&self) -> Result<(), RemoteError> {
                self.raw.shutdown(false).map(|_| ())
            }

            /// Closes the queue and drops what waits; each value counts as done. Says how many those were.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn shut_down_now(&self) -> Result<u64, RemoteError> {
                self.raw.shutdown(true)
            }

            /// Whether it was closed.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn is_closed(&self) -> Result<bool, RemoteError> {
                self.raw.is_closed()
            }
        }
    };
}
pub(super) use queue;

/// Putting values; `$put` is a method that has value and patience.
macro_rules! puts {
    ($type:ident, $put:ident) => {
        impl<T: Serialize> $type<T> {
            /// Puts a value; waits while the queue is full.
            ///
            /// # Errors
            /// [`PutError`], with the value.
            pub fn put(&self, value: T) -> Result<(), PutError<T>> {
                self.$put(value, &Patience::forever())
            }

            /// Puts a value if there is room at once.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
                self.$put(value, &Patience::none())
            }

            /// Puts a value; waits at most `timeout`.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
                self.$put(value, &Patience::of(timeout))
            }

            /// Puts a value; waits until `deadline`.
            ///
            /// # Errors
            /// As [`put`](Self::put), and `Full`.
            pub fn put_deadline(&self, value: T, deadline: Instant) -> Result<(), PutError<T>> {
                self.$put(value, &until(deadline))
            }

            /// Puts all values, one by one; waits while the queue is full. Of values that are there already
            /// [`put_slice`](Self::put_slice) puts many in one step.
            ///
            /// # Errors
            /// As [`put`](Self::put), with the value that failed; those before it are in the queue, those
            /// after it were not taken from the iterator.
            pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<T>> {
                values.into_iter().try_for_each(|value| self.put(value))
            }
        }
    };
}
pub(super) use puts;

/// Taking values.
macro_rules! gets {
    ($type:ident, $order:literal) => {
        impl<T: DeserializeOwned> $type<T> {
            #[doc = concat!("Takes the ", $order, " value; waits while the queue is empty.")]
            ///
            /// # Errors
            /// [`GetError`]: `Closed` (and empty), `Decode` (the message was of another type; it is
            /// taken), `Remote`.
            pub fn get(&self) -> Result<T, GetError> {
                super::get(&self.raw, &Patience::forever())
            }

            #[doc = concat!("Takes the ", $order, " value, if there is one.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            pub fn try_get(&self) -> Result<T, GetError> {
                super::get(&self.raw, &Patience::none())
            }

            #[doc = concat!("Takes the ", $order, " value; waits at most `timeout`.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
                super::get(&self.raw, &Patience::of(timeout))
            }

            #[doc = concat!("Takes the ", $order, " value; waits until `deadline`.")]
            ///
            /// # Errors
            /// As [`get`](Self::get), and `Empty`.
            pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
                super::get(&self.raw, &until(deadline))
            }

            #[doc = concat!("The ", $order, " value, which stays in the queue; waits while that is empty.")]
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn peek(&self) -> Result<T, GetError> {
                super::peek(&self.raw, &Patience::forever())
            }

            /// The same, if there is one.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn try_peek(&self) -> Result<T, GetError> {
                super::peek(&self.raw, &Patience::none())
            }

            /// The same; waits at most `timeout`.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError> {
                super::peek(&self.raw, &Patience::of(timeout))
            }

            /// The same; waits until `deadline`.
            ///
            /// # Errors
            /// As [`try_get`](Self::try_get).
            pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError> {
                super::peek(&self.raw, &until(deadline))
            }

            /// Takes at least one value, waiting for it, and at most `max` that are there.
            ///
            /// # Errors
            /// As [`get`](Self::get) for the first; a later message that does not decode is lost with its error.
            pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
                super::get_many(&self.raw, max)
            }
        }

        iterates!($type<T>, T);
    };
}
pub(super) use gets;

/// A first-in-first-out queue on a server.
///
/// Any number of producers and consumers, on any machines. Values are serialised by serde as MessagePack (see
/// [`codec`](crate::codec)); a Python process reads them as plain data. See the [module](crate::remote::queue) for
/// what differs from [`crate::Queue`].
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Family, Queue};
/// let family = Family::open("redis://localhost")?;
/// let q: Queue<String> = family.queue("greetings", Some(100))?;
/// q.put("hello".to_string())?;
/// assert_eq!(q.get()?, "hello");
/// # Ok(()) }
/// ```
pub struct Queue<T> {
    raw: RemoteQueue,
    values: PhantomData<fn(T) -> T>,
}

/// A [`Queue`] that counts what is not done, so that this can be waited for.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Family, JoinableQueue};
/// let family = Family::open("redis://localhost")?;
/// let q: JoinableQueue<u32> = JoinableQueue::unbounded_in(&family)?;
/// q.put(1)?;
/// assert_eq!((q.get()?, q.unfinished()?), (1, 1));
/// q.task_done()?;
/// q.join()?;
/// # Ok(()) }
/// ```
pub struct JoinableQueue<T> {
    raw: RemoteQueue,
    values: PhantomData<fn(T) -> T>,
}

/// A last-in-first-out queue on a server. It is joinable as well.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::{Family, LifoQueue};
/// let family = Family::open("redis://localhost")?;
/// let q = LifoQueue::unbounded_in(&family)?;
/// q.put_slice(&[1, 2])?;
/// assert_eq!((q.get()?, q.get()?), (2, 1));
/// # Ok(()) }
/// ```
pub struct LifoQueue<T> {
    raw: RemoteQueue,
    values: PhantomData<fn(T) -> T>,
}

macro_rules! row {
    ($type:ident, $kind:ident, $named:ident, $order:literal) => {
        queue!($type, $kind, $named);
        puts!($type, put_with);
        gets!($type, $order);

        impl<T: Serialize> $type<T> {
            /// Puts all values of a slice in order, many in one step; waits while the queue is full. Other producers'
            /// values may come between.
            ///
            /// # Errors
            /// As [`put`](Self::put), with the place of the first value that is not in the queue: those before it are,
            /// those behind it are not.
            pub fn put_slice(&self, values: &[T]) -> Result<(), PutError<usize>> {
                super::put_slice(&self.raw, values, |_| Ok(Vec::new()))
            }

            fn put_with(&self, value: T, patience: &Patience<'_>) -> Result<(), PutError<T>> {
                super::put(&self.raw, value, &[], patience)
            }
        }
    };
}

row!(Queue, Fifo, queue, "oldest");
row!(JoinableQueue, Joinable, joinable_queue, "oldest");
row!(LifoQueue, Lifo, lifo_queue, "newest");
joins!(JoinableQueue);
joins!(LifoQueue);
