//! Futures of a connection.

use std::future::poll_fn;
use std::os::fd::AsRawFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::RawConnection;
use super::typed::Connection;
use super::waiting::ROOM_SLICE;
use crate::arena::block::Block;
use crate::channel::carrier::{Carrier, Refused};
use crate::channel::message::{self, Patience};
use crate::channel::scratch::Scratch;
use crate::channel::{Channel, Received};
use crate::codec;
use crate::error::{ArenaError, GetError, PutError};
use crate::ring::fifo::weight;
use crate::sys::atomic::Ordering;
use crate::task::{Key, Source, Waiter, Way, What};

impl<T: Serialize> Connection<T> {
    /// Sends a value, as a future; waits while there is no room.
    ///
    /// For any executor, as [`Queue::put_async`](crate::Queue::put_async). A future that is dropped
    /// before it is ready has sent nothing.
    ///
    /// # Errors
    /// As [`Connection::send`].
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::pipe::<u32>()?;
    /// a.send_async(7).await?;
    /// assert_eq!(b.recv_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn send_async(&self, value: T) -> Result<(), PutError<T>> {
        let (inline, block, value) = message::pack(self.raw().family(), value)?;
        let sent = self.raw().send_message(codec::PLAIN, &inline, block).await;
        sent.map_err(|e| e.with(value))
    }
}

impl<T: DeserializeOwned> Connection<T> {
    /// Receives the oldest value, as a future; waits for one.
    ///
    /// For any executor, as [`Queue::get_async`](crate::Queue::get_async). A future that is dropped
    /// before it is ready has received nothing.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::pipe::<u32>()?;
    /// std::thread::spawn(move || b.send(7));
    /// assert_eq!(a.recv_async().await?, 7);
    /// assert!(a.recv_async().await.is_err()); // the end
    /// # Ok(()) }) }
    /// ```
    pub async fn recv_async(&self) -> Result<T, GetError> {
        let (message, inline) = self.raw().recv_message().await?;
        message::unpack(&message, &inline)
    }
}

impl RawConnection {
    pub(crate) async fn send_message(
        &self,
        kind: u8,
        inline: &[u8],
        mut block: Option<Block>,
    ) -> Result<(), Refused> {
        let weight = weight(inline.len(), block.as_ref().map(Block::len));
        let mut waiter = Waiter::new(Room { channel: self.sending(), weight });
        let sent = poll_fn(|cx| {
            waiter.poll(cx, || match self.offer(kind, inline, block.take()) {
                // While it waits it asks itself whether anybody will ever read.
                Err(Refused::Full(back)) if self.is_hung_up() => Some(Err(Refused::Over(back))),
                Err(Refused::Full(back)) => {
                    block = back;
                    None
                }
                done => Some(done),
            })
        });
        let done = sent.await;
        done.unwrap_or_else(|e| Err(Refused::Arena(e, block)))
    }

    pub(crate) async fn recv_message(&self) -> Result<(Received, Scratch), GetError> {
        let mut waiter = Waiter::new(Messages(self));
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
}

fn key(channel: &Channel, what: What) -> Key {
    let family = std::ptr::from_ref(channel.inner()).addr();
    Key { family, object: channel.id().pack(), what }
}

/// What comes in: the socket says so.
struct Messages<'a>(&'a RawConnection);

impl Source for Messages<'_> {
    fn key(&self) -> Key {
        key(self.0.receiving(), What::Messages(self.0.fd().as_raw_fd()))
    }

    fn way(&self) -> Result<Way, ArenaError> {
        Ok(Way::Readable(self.0.fd().as_raw_fd()))
    }

    fn is_ready(&self) -> bool {
        self.0.receiving().has_items() || self.0.is_hung_up()
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        self.0.arm()
    }
}

/// Room for so much.
struct Room<'a> {
    channel: &'a Channel,
    weight: u64,
}

impl Source for Room<'_> {
    fn key(&self) -> Key {
        key(self.channel, What::Room(self.weight))
    }

    /// A look after each slice: a reader that was killed makes no room.
    fn way(&self) -> Result<Way, ArenaError> {
        let (channel, weight) = (self.channel.clone(), self.weight);
        Ok(Way::Sleep(Box::new(move || {
            let closes = channel.slot().closes.load(Ordering::Acquire);
            let _ = channel.wait_for_room(None, ROOM_SLICE, || {
                channel.has_room(weight) || channel.slot().closes.load(Ordering::Relaxed) != closes
            });
            true
        })))
    }

    fn is_ready(&self) -> bool {
        self.channel.has_room(self.weight)
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        Ok(!self.is_ready())
    }
}
