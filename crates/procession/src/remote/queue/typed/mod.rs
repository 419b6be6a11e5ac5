//! Queues of values, which serde writes as MessagePack.

mod delivery;
mod joins;
mod priority;
mod queues;

pub use delivery::{Delivery, DeliveryQueue};
pub use priority::PriorityQueue;
pub use queues::{JoinableQueue, LifoQueue, Queue};

use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{GetError, PutError};
use super::message::{NewMessage, Taken};
use super::raw::RemoteQueue;
use crate::codec::{self, PLAIN};
use crate::remote::Patience;

fn until(deadline: Instant) -> Patience<'static> {
    Patience { until: Some(deadline), interrupt: None }
}

/// Puts a value that is ordered by `key`.
fn put<T: Serialize>(
    raw: &RemoteQueue,
    value: T,
    key: &[u8],
    patience: &Patience<'_>,
) -> Result<(), PutError<T>> {
    match codec::encode(&value) {
        Ok(body) => {
            let message = NewMessage { kind: PLAIN, body: &body, key };
            raw.put(message, patience).map_err(|error| error.map(|()| value))
        }
        Err(why) => Err(PutError::Encode(value, why)),
    }
}

/// So many values are encoded before they are put.
const AHEAD: usize = 1000;

/// Puts all values, many in one step. An error has the place of the first one that is not in the queue.
fn put_slice<T: Serialize>(
    raw: &RemoteQueue,
    values: &[T],
    key: impl Fn(&T) -> Result<Vec<u8>, String>,
) -> Result<(), PutError<usize>> {
    let mut done = 0;
    for run in values.chunks(AHEAD) {
        let mut encoded = Vec::with_capacity(run.len());
        let mut refused = None;
        for value in run {
            match key(value) {
                Err(why) => refused = Some(PutError::Unordered(done + encoded.len(), why)),
                Ok(key) => match codec::encode(value) {
                    Err(why) => refused = Some(PutError::Encode(done + encoded.len(), why)),
                    Ok(body) => encoded.push((body, key)),
                },
            }
            if refused.is_some() {
                break;
            }
        }
        let messages: Vec<_> =
            encoded.iter().map(|(body, key)| NewMessage { kind: PLAIN, body, key }).collect();
        raw.put_many(&messages, &Patience::forever()).map_err(|error| error.map(|n| done + n))?;
        done += messages.len();
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(taken: &Taken) -> Result<T, GetError> {
    if taken.kind() != PLAIN {
        let text = format!("kind {} is not plain data; another language pickled it", taken.kind());
        return Err(GetError::Decode(text));
    }
    codec::decode(taken.body()).map_err(GetError::Decode)
}

fn get<T: DeserializeOwned>(raw: &RemoteQueue, patience: &Patience<'_>) -> Result<T, GetError> {
    decode(&raw.get(patience)?)
}

fn peek<T: DeserializeOwned>(raw: &RemoteQueue, patience: &Patience<'_>) -> Result<T, GetError> {
    decode(&raw.peek(patience)?)
}

/// A message which does not decode is lost, unless it is the only one.
fn get_many<T: DeserializeOwned>(raw: &RemoteQueue, max: usize) -> Result<Vec<T>, GetError> {
    let taken = raw.get_many(max, &Patience::forever())?;
    let mut first = None;
    let mut values = Vec::with_capacity(taken.len());
    for one in &taken {
        match decode(one) {
            Ok(value) => values.push(value),
            Err(error) => first = first.or(Some(error)),
        }
    }
    match first {
        Some(error) if values.is_empty() => Err(error),
        _ => Ok(values),
    }
}
