//! Futures of a queue.

use std::future::poll_fn;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawQueue;
use super::typed::Queue;
use crate::arena::block::Block;
use crate::channel::Received;
use crate::channel::carrier::{Carrier, Refused};
use crate::channel::message::{self, Patience};
use crate::channel::scratch::Scratch;
use crate::codec;
use crate::error::{ArenaError, GetError, PutError};
use crate::ring::fifo::weight;
use crate::task::{Key, Source, Waiter, Way, What};
use crate::wait::Futex;

impl<T: Serialize> Queue<T> {
    /// Puts a value, as a future; waits while the queue is full.
    ///
    /// For any executor; see [`Queue::get_async`] for how it waits. Room has no descriptor: while a
    /// future waits for it, a thread sleeps for the queue, also in a tokio runtime. A future that is
    /// dropped before it is ready has put nothing, and its value is dropped.
    ///
    /// # Errors
    /// As [`Queue::put`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put_async("first").await?;
    /// # let q: procession::Queue<String> = procession::Queue::from_handle(&q.handle())?;
    /// assert_eq!(q.get_async().await?, "first");
    /// # Ok(()) }) }
    /// ```
    pub async fn put_async(&self, value: T) -> Result<(), PutError<T>> {
        let (inline, block, value) = message::pack(self.raw().family(), value)?;
        let put = self.raw().put_message(codec::PLAIN, &inline, block).await;
        put.map_err(|e| e.with(value))
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest value, as a future; waits while the queue is empty.
    ///
    /// For any executor: inside a tokio runtime (with the feature `tokio`, and its I/O enabled) tokio's
    /// reactor waits, else one thread of this crate's, for all queues and connections together. Any
    /// number of tasks may wait for a queue, and one task for many; a message wakes one of them. A
    /// future that is dropped before it is ready has taken nothing, so it may be one branch of a
    /// `select!`; one that was woken must be polled or dropped, so that the next one gets its turn.
    ///
    /// # Errors
    /// As [`Queue::get`]; `Arena` also if the process has no descriptors left.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let q: procession::Queue<u32> = procession::Queue::unbounded()?;
    /// let other = q.clone();
    /// std::thread::spawn(move || other.put(7));
    /// assert_eq!(q.get_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_async(&self) -> Result<T, GetError> {
        let (message, inline) = self.raw().get_message().await?;
        message::unpack(&message, &inline)
    }
}

impl RawQueue {
    /// Waits, as a future, until every message that was put is reported as done.
    ///
    /// A thread sleeps for the queue meanwhile, as for [`Queue::put_async`].
    ///
    /// # Errors
    /// [`ArenaError`] if there can be no such thread.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"", None).unwrap();
    /// q.done()?;
    /// q.wait_done_async().await?;
    /// # Ok(()) }) }
    /// ```
    pub async fn wait_done_async(&self) -> Result<(), ArenaError> {
        let mut waiter = Waiter::new(Done(self));
        poll_fn(|cx| waiter.poll(cx, || (self.unfinished() == 0).then_some(()))).await
    }
}

impl RawQueue {
    pub(crate) async fn put_message(
        &self,
        kind: u8,
        inline: &[u8],
        mut block: Option<Block>,
    ) -> Result<(), Refused> {
        let weight = weight(inline.len(), block.as_ref().map(Block::len));
        let mut waiter = Waiter::new(Room(self, weight));
        let put = poll_fn(|cx| {
            waiter.poll(cx, || match self.offer(kind, inline, block.take()) {
                Err(Refused::Full(back)) => {
                    block = back;
                    None
                }
                done => Some(done),
            })
        });
        let done = put.await;
        done.unwrap_or_else(|e| Err(Refused::Arena(e, block)))
    }

    pub(crate) async fn get_message(&self) -> Result<(Received, Scratch), GetError> {
        let mut waiter = Waiter::new(Items(self));
        let got = poll_fn(|cx| {
            waiter.poll(cx, || {
                let mut inline = Scratch::take();
                match self.get(&mut inline, Patience::None) {
                    Err(GetError::Empty) => None,
                    done => Some(done.map(|message| (message, inline))),
                }
            })
        });
        got.await?
    }

    fn key(&self, what: What) -> Key {
        let family = std::ptr::from_ref(self.channel.inner()).addr();
        Key { family, object: self.channel.id().pack(), what }
    }
}

/// Messages: there is a descriptor for them.
struct Items<'a>(&'a RawQueue);

impl Source for Items<'_> {
    fn key(&self) -> Key {
        self.0.key(What::Messages(0))
    }

    fn way(&self) -> Result<Way, ArenaError> {
        let channel = &self.0.channel;
        channel.inner().hold_bell(channel.slot(), channel.id()).map(Way::Readable)
    }

    fn is_ready(&self) -> bool {
        self.0.channel.has_items() || self.0.is_closed()
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        let channel = &self.0.channel;
        channel.inner().is_bell_silent(channel.slot(), channel.id())
    }

    fn finish(&self) {
        let channel = &self.0.channel;
        // An entry that stays behind is cleared by the next one who rings it in vain.
        let _ = channel.inner().release_bell(channel.slot(), channel.id());
    }
}

/// Room for so much.
struct Room<'a>(&'a RawQueue, u64);

impl Source for Room<'_> {
    fn key(&self) -> Key {
        self.0.key(What::Room(self.1))
    }

    fn way(&self) -> Result<Way, ArenaError> {
        let (queue, weight) = (self.0.clone(), self.1);
        Ok(Way::Sleep(Box::new(move || {
            let _ = queue.wait_for_weight(weight, None);
            Room(&queue, weight).is_ready()
        })))
    }

    fn is_ready(&self) -> bool {
        self.0.channel.has_room(self.1) || self.0.is_closed()
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        Ok(!self.is_ready())
    }
}

struct Done<'a>(&'a RawQueue);

impl Source for Done<'_> {
    fn key(&self) -> Key {
        self.0.key(What::Done)
    }

    fn way(&self) -> Result<Way, ArenaError> {
        let queue = self.0.clone();
        Ok(Way::Sleep(Box::new(move || {
            let _ = queue.wait_done(None);
            queue.unfinished() == 0
        })))
    }

    fn is_ready(&self) -> bool {
        self.0.unfinished() == 0
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        Ok(!self.is_ready())
    }

    fn finish(&self) {
        self.0.channel.slot().all_done.wake_all(&Futex);
    }
}
