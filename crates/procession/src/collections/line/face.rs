//! The public face that both kinds of queue have.

/// What both kinds of queue have.
macro_rules! face {
    ($type:ident) => {
        crate::travel::travels!($type, "a queue", |it| it.lease());

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("index", &self.line.stock.lease.id.index)
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .finish_non_exhaustive()
            }
        }

        impl $type {
            /// A new queue; `capacity` in messages, `None`: bounded by memory only.
            ///
            /// # Errors
            /// [`ArenaError::Full`](crate::ArenaError::Full) if there is no place for it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, std::num::NonZeroU64::new(2))?;")]
            /// assert!(q.is_empty() && !q.is_full());
            /// # Ok(()) }
            /// ```
            pub fn create(
                family: $crate::arena::family::Family,
                capacity: Option<NonZeroU64>,
            ) -> Result<$type, ArenaError> {
                $type::create_limited(family, capacity, None)
            }

            /// The same with two limits: how many messages may be in it, and how many bytes they have, keys not
            /// counted. One that has more bytes than that may be in it alone.
            ///
            /// # Errors
            /// As [`create`](Self::create).
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("use procession::{Family, ", stringify!($type), "};")]
            /// let most = std::num::NonZeroU64::new(1 << 20);
            #[doc = concat!("let q = ", stringify!($type), "::create_limited(Family::current()?, None, most)?;")]
            /// assert_eq!((q.max_bytes(), q.bytes()), (most, 0));
            /// # Ok(()) }
            /// ```
            pub fn create_limited(
                family: $crate::arena::family::Family,
                messages: Option<NonZeroU64>,
                bytes: Option<NonZeroU64>,
            ) -> Result<$type, ArenaError> {
                let [messages, bytes] = [messages, bytes].map(|most| most.map_or(0, NonZeroU64::get));
                let limits = $crate::ring::fifo::Limits { messages, bytes };
                Ok($type { line: Line::create(family, limits)? })
            }

            /// Opens the queue that a handle names, joining its family if need be.
            ///
            /// # Errors
            /// [`HandleError`](crate::HandleError) if the bytes are no handle of one, it is gone, or
            /// no member of its family can be reached.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("assert!(procession::", stringify!($type), "::from_handle(b\"nonsense\").is_err());")]
            /// ```
            pub fn from_handle(bytes: &[u8]) -> Result<$type, $crate::error::HandleError> {
                Ok($type { line: Line::from_handle(bytes)? })
            }

            /// Bytes that name the queue anywhere in the family. They do not keep it alive.
            #[must_use]
            pub fn handle(&self) -> Vec<u8> {
                $crate::handle::encode(&self.line.stock.lease)
            }

            /// Keeps the queue alive by itself.
            #[must_use]
            pub fn lease(&self) -> $crate::arena::lease::Lease {
                self.line.stock.lease.clone()
            }

            /// The family that it belongs to.
            #[must_use]
            pub fn family(&self) -> $crate::arena::family::Family {
                self.line.stock.lease.family()
            }

            /// How many messages are in the queue: exact at an instant of the call.
            #[must_use]
            pub fn len(&self) -> u64 {
                self.line.len()
            }

            /// Whether the queue is empty at an instant of the call.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether the queue is bounded and full at an instant of the call.
            #[must_use]
            pub fn is_full(&self) -> bool {
                !self.line.has_room(0)
            }

            /// How many messages it may hold; `None`: as many as memory allows.
            #[must_use]
            pub fn capacity(&self) -> Option<NonZeroU64> {
                NonZeroU64::new(self.line.capacity())
            }

            /// How many bytes they may have together; `None`: as many as memory allows.
            #[must_use]
            pub fn max_bytes(&self) -> Option<NonZeroU64> {
                NonZeroU64::new(self.line.max_bytes())
            }

            /// How many bytes the messages in the queue have, if these are limited; 0 if not.
            #[must_use]
            pub fn bytes(&self) -> u64 {
                self.line.bytes()
            }

            /// Takes what is there, at most `max` messages, in the order in which they would be taken one by one.
            /// Between two of them another process may take one.
            ///
            /// # Errors
            /// As `try_get`, if it comes at the first message. Later it ends the batch, and the next call has it.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert!(q.try_get_many(10)?.items.is_empty());
            /// # Ok(()) }
            /// ```
            pub fn try_get_many(&self, max: usize) -> Result<Values, ArenaError> {
                self.line.get_many(max)
            }

            /// Closes the queue, as [`close`](Self::close), and drops all that is in it; each message counts as
            /// done. Says how many those were.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged. The queue is closed in any case.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert_eq!(q.shut_down_now()?, 0);
            /// assert!(q.is_closed());
            /// # Ok(()) }
            /// ```
            pub fn shut_down_now(&self) -> Result<u64, ArenaError> {
                self.line.shut_down_now()
            }

            /// Closes the queue for all processes: puts fail, gets take what is left. Wakes all who wait.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// q.close();
            /// assert!(q.is_closed());
            /// # Ok(()) }
            /// ```
            pub fn close(&self) {
                self.line.close();
            }

            /// Whether the queue was closed, and no put is under way any more: what is in it is all that there will
            /// ever be. Who has found it empty looks once more after this says so. If the queue is closed it
            /// waits for who is in the midst of a put.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert!(!q.has_ended()?);
            /// q.close();
            /// assert!(q.has_ended()?);
            /// # Ok(()) }
            /// ```
            pub fn has_ended(&self) -> Result<bool, ArenaError> {
                self.line.has_ended()
            }

            /// Whether it was closed. A put may be under way still: see [`has_ended`](Self::has_ended).
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.line.is_closed()
            }

            /// Waits until there may be a message, the queue is closed, the deadline passes, a signal
            /// comes, or a slice of 250 ms is over.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, Wait, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert_eq!(q.wait_for_item(Some(std::time::Instant::now())), Wait::TimedOut);
            /// # Ok(()) }
            /// ```
            #[must_use]
            pub fn wait_for_item(
                &self,
                deadline: Option<std::time::Instant>,
            ) -> $crate::wait::Wait {
                self.line.wait_for_item(deadline)
            }

            /// Waits until there may be room, or as [`wait_for_item`](Self::wait_for_item).
            #[must_use]
            pub fn wait_for_room(
                &self,
                deadline: Option<std::time::Instant>,
            ) -> $crate::wait::Wait {
                self.line.wait_for_room(0, deadline)
            }

            /// Waits until there may be room for a message of so many bytes, or as
            /// [`wait_for_item`](Self::wait_for_item).
            #[must_use]
            pub fn wait_for_room_of(
                &self,
                bytes: u64,
                deadline: Option<std::time::Instant>,
            ) -> $crate::wait::Wait {
                self.line.wait_for_room(bytes, deadline)
            }

            /// Waits until every message that was put may be reported as done, or as
            /// [`wait_for_item`](Self::wait_for_item).
            #[must_use]
            pub fn wait_done(&self, deadline: Option<std::time::Instant>) -> $crate::wait::Wait {
                self.line.wait_done(deadline)
            }

            /// Where an event loop waits for something of this queue: see
            /// [`Doorbell`](crate::Doorbell).
            #[must_use]
            pub fn spot(
                &self,
                what: $crate::arena::doorbell::Awaited,
            ) -> $crate::arena::doorbell::Spot<'_> {
                self.line.spot(what)
            }

            /// Reports one message as done.
            ///
            /// # Errors
            /// The outer one if the arena is damaged, the inner one if every message that was put is
            /// done already.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("# use procession::{Family, ", stringify!($type), "};")]
            #[doc = concat!("let q = ", stringify!($type), "::create(Family::current()?, None)?;")]
            /// assert!(q.done()?.is_err());
            /// # Ok(()) }
            /// ```
            pub fn done(&self) -> Result<Result<(), $crate::error::TooManyDone>, ArenaError> {
                self.line.done()
            }

            /// How many messages were put and not yet reported as done.
            #[must_use]
            pub fn unfinished(&self) -> u64 {
                self.line.unfinished()
            }

            /// A number that moves with each change. What is conditional is done only while it is as it
            /// was.
            #[must_use]
            pub fn version(&self) -> u64 {
                self.line.stock.version()
            }

            /// Whether a process is in the middle of an operation, and stays there for more than some
            /// microseconds, since it was stopped perhaps, or has claimed the whole. The next operation
            /// sleeps until it goes on, or is dead.
            #[inline]
            #[must_use]
            pub fn is_stuck(&self) -> bool {
                self.line.stock.is_stuck()
            }

            /// The same for a put of a small message, which may not have to wait for those who take: see
            /// [`is_stuck`](Self::is_stuck).
            #[inline]
            #[must_use]
            pub fn is_stuck_to_put(&self) -> bool {
                self.line.is_stuck_to_put()
            }

            /// Sleeps until nobody is in the middle of an operation.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            pub fn settle(&self) -> Result<(), ArenaError> {
                self.line.stock.settle()
            }

            /// The same for who found [`is_stuck_to_put`](Self::is_stuck_to_put).
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            pub fn settle_to_put(&self) -> Result<(), ArenaError> {
                self.line.settle_to_put()
            }

            /// For who asks `is_stuck` before each operation, and calls `settle` where a wait does no
            /// harm: operations by this handle begin at once, whatever another has claimed.
            #[must_use]
            pub fn heedless(self) -> $type {
                $type { line: self.line.heedless() }
            }

            /// Asks the others to wait with their operations, for `patience` (10 s at most), while this
            /// thread does something in several. `None`: another one has done so.
            ///
            /// # Errors
            /// [`ArenaError`] if the arena is damaged.
            pub fn claim(
                &self,
                patience: std::time::Duration,
            ) -> Result<Option<$crate::collections::Claim>, ArenaError> {
                self.line.stock.claim(patience)
            }
        }
    };
}
pub(in crate::collections) use face;
