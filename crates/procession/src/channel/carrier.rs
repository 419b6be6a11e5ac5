//! What queues and connections have in common: messages are offered and taken, and both may have to
//! wait. All that blocks with patience is written once, over this.

use std::time::Instant;

use super::Received;
use super::message::Patience;
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::error::{ArenaError, GetError, PutError};
use crate::wait::Wait;

/// A message was not taken in; the block comes back.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "bytemuck"),
    expect(dead_code, reason = "it is a loan that goes on with it")
)]
pub(crate) enum Refused {
    Full(Option<Block>),
    /// Closed, or nobody has the other end.
    Over(Option<Block>),
    Arena(ArenaError, Option<Block>),
}

impl Refused {
    /// The error of whoever handed `value` in.
    pub(crate) fn with<V>(self, value: V) -> PutError<V> {
        match self {
            Refused::Full(_) => PutError::Full(value),
            Refused::Over(_) => PutError::Closed(value),
            Refused::Arena(e, _) => PutError::Arena(value, e),
        }
    }
}

/// A queue, or an end of a pipe.
pub(crate) trait Carrier {
    fn family(&self) -> Family;

    /// Takes a message in if there is room.
    fn offer(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<(), Refused>;

    /// Waits until there may be room for a message of these lengths.
    fn await_room(&self, inline: usize, block: Option<usize>, deadline: Option<Instant>) -> Wait;

    /// The oldest message, if there is one.
    fn take(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError>;

    /// Waits until there may be a message.
    fn await_message(&self, deadline: Option<Instant>) -> Wait;

    /// Whether it is known that there will be no more messages than are there now.
    fn is_over(&self) -> Result<bool, ArenaError>;

    /// Whether that will be known, asked of whoever knows.
    fn turns_out_over(&self) -> bool;

    /// Offers a message for as long as there is patience.
    #[inline]
    fn put(
        &self,
        kind: u8,
        inline: &[u8],
        mut block: Option<Block>,
        patience: Patience,
    ) -> Result<(), Refused> {
        let len = block.as_ref().map(Block::len);
        loop {
            match self.offer(kind, inline, block) {
                Err(Refused::Full(back)) => block = back,
                done => return done,
            }
            if !patience.wait(|deadline| self.await_room(inline.len(), len, deadline)) {
                return Err(Refused::Full(block));
            }
        }
    }

    /// Takes the oldest message, for which it waits as long as there is patience.
    #[inline]
    fn get(&self, inline: &mut Vec<u8>, patience: Patience) -> Result<Received, GetError> {
        loop {
            if let Some(message) = self.take(inline)? {
                return Ok(message);
            }
            if self.is_over()? {
                // What was put before the end is there by now.
                return self.take(inline)?.ok_or(GetError::Closed);
            }
            if !patience.wait(|deadline| self.await_message(deadline)) && !self.turns_out_over() {
                return Err(GetError::Empty);
            }
        }
    }
}
