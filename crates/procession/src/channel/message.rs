//! Values as messages, and how long their senders and receivers wait.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Received;
use super::carrier::Carrier;
use super::scratch::Scratch;
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::codec;
use crate::error::{GetError, PutError};
use crate::travel;
use crate::wait::Wait;

/// Up to here a value's bytes go through the ring. Beyond, a block of its own costs less, though it is
/// of 4 KiB at least.
const INLINE_MAX: usize = 2 * 1024;

/// When a blocking call gives up.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Patience {
    pub(crate) fn of(timeout: Duration) -> Patience {
        // A time-out beyond the clock's range is none.
        Instant::now().checked_add(timeout).map_or(Patience::Endless, Patience::Until)
    }

    /// Waits once; false if there is no more patience.
    pub(crate) fn wait(self, wait: impl Fn(Option<Instant>) -> Wait) -> bool {
        match self {
            Patience::None => false,
            Patience::Endless => {
                let _ = wait(None);
                true
            }
            Patience::Until(deadline) => wait(Some(deadline)) != Wait::TimedOut,
        }
    }
}

/// A value's inline bytes and block, and the value itself, in case that it must be given back.
#[inline]
pub(crate) fn pack<T: Serialize>(
    family: Family,
    value: T,
) -> Result<(Scratch, Option<Block>, T), PutError<T>> {
    let mut bytes = Scratch::take();
    let (encoded, leases) = travel::collect(|| codec::encode_into(&mut bytes, &value));
    if let Err(e) = encoded {
        return Err(PutError::Encode(value, e));
    }
    // A message with handles has a block, however small it is: that counts them.
    if bytes.len() <= INLINE_MAX && leases.is_empty() {
        return Ok((bytes, None, value));
    }
    match family.alloc(bytes.len(), &leases) {
        Ok(mut block) => {
            block.write(0, &bytes);
            bytes.clear();
            Ok((bytes, Some(block), value))
        }
        Err(e) => Err(PutError::Arena(value, e)),
    }
}

/// Appends a value as a message without a block; false, and `bytes` are without meaning from where they
/// ended, if it can't be one.
#[inline]
pub(crate) fn pack_inline<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> bool {
    let start = bytes.len();
    let (encoded, leases) = travel::collect(|| codec::encode_into(bytes, value));
    encoded.is_ok() && leases.is_empty() && bytes.len() - start <= INLINE_MAX
}

/// The value of a message, whose block counts the handles inside until they have counted themselves.
#[inline]
pub(crate) fn unpack<T: DeserializeOwned>(
    message: &Received,
    inline: &[u8],
) -> Result<T, GetError> {
    if message.kind != codec::PLAIN {
        let text = format!("kind {} is not plain data; a Python process pickled it", message.kind);
        return Err(GetError::Decode(text));
    }
    let bytes = message.block.as_ref().map_or(inline, Block::bytes);
    codec::decode(bytes).map_err(GetError::Decode)
}

/// Puts a value for as long as there is patience.
#[inline]
pub(crate) fn put<T: Serialize>(
    carrier: &impl Carrier,
    value: T,
    patience: Patience,
) -> Result<(), PutError<T>> {
    let (inline, block, value) = pack(carrier.family(), value)?;
    carrier.put(codec::PLAIN, &inline, block, patience).map_err(|e| e.with(value))
}

/// Takes a value, for which it waits as long as there is patience.
#[inline]
pub(crate) fn get<T: DeserializeOwned>(
    carrier: &impl Carrier,
    patience: Patience,
) -> Result<T, GetError> {
    let mut inline = Scratch::take();
    let message = carrier.get(&mut inline, patience)?;
    unpack(&message, &inline)
}
