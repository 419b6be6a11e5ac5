//! A queue of bytes: what is in it, what is not done, and its end.

use super::raw::RemoteQueue;
use super::scripts::{JOINERS, QUEUE_DONE, QueueKind};
use crate::remote::{Patience, RemoteError};

/// A queue at an instant.
struct Info {
    len: u64,
    bytes: u64,
    unfinished: u64,
    is_closed: bool,
    in_flight: u64,
}

impl RemoteQueue {
    fn info(&self) -> Result<Info, RemoteError> {
        let mut call = self.object().call(self.kind().scripts().info)?;
        if self.kind() != QueueKind::Delivery {
            call = call.arg(self.kind().counts_by());
        }
        let reply = call.read(&Patience::forever())?;
        let number = |i| Ok::<_, RemoteError>(u64::try_from(reply.int(i)?).unwrap_or(0));
        Ok(Info {
            len: number(0)?,
            bytes: number(1)?,
            unfinished: number(2)?,
            is_closed: number(3)? != 0,
            in_flight: number(4)?,
        })
    }

    /// How many messages wait in it: exact at an instant of the call.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn len(&self) -> Result<u64, RemoteError> {
        Ok(self.info()?.len)
    }

    /// Whether none waits.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_empty(&self) -> Result<bool, RemoteError> {
        Ok(self.info()?.len == 0)
    }

    /// Whether it is bounded, and as full as it may be.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_full(&self) -> Result<bool, RemoteError> {
        let (limits, info) = (self.limits(), self.info()?);
        let is_at = |limit: u64, now: u64| limit != 0 && now >= limit;
        Ok(is_at(limits.messages, info.len) || is_at(limits.bytes, info.bytes))
    }

    /// How many bytes wait in it, the messages' kinds not counted.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn bytes_in(&self) -> Result<u64, RemoteError> {
        Ok(self.info()?.bytes)
    }

    /// How many messages were put of which nobody said that they are done. 0 for a queue that does not count these.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn unfinished(&self) -> Result<u64, RemoteError> {
        Ok(self.info()?.unfinished)
    }

    /// How many messages are in flight; 0 for a queue that does not deliver again.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn in_flight(&self) -> Result<u64, RemoteError> {
        Ok(self.info()?.in_flight)
    }

    /// Whether it was shut down.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_closed(&self) -> Result<bool, RemoteError> {
        Ok(self.info()?.is_closed)
    }

    /// Says that so many messages are done. False, and nothing is changed, if fewer are not done.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn task_done(&self, n: u64) -> Result<bool, RemoteError> {
        let call = self.object().call(&QUEUE_DONE)?.arg(n.to_string());
        Ok(call.run(&Patience::forever())?.int(0)? == 1)
    }

    /// Waits until all that was put is done; false if that was not so in time.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn join(&self, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        let attempt = |waiter: Option<&str>| {
            let call = self.object().call(self.kind().scripts().join)?;
            let reply = call.arg(waiter.unwrap_or("")).look(patience)?;
            Ok((reply.int(0)? == 1).then_some(()))
        };
        Ok(self.object().wait(JOINERS, patience, attempt)?.is_some())
    }

    /// Shuts the queue down for all: puts fail, gets take what is left, then fail too. `immediate`: nothing is left; what
    /// was in it counts as done, and the result says how many those were.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn shutdown(&self, immediate: bool) -> Result<u64, RemoteError> {
        let mut call = self.object().call(self.kind().scripts().shutdown)?;
        call = call.arg(if immediate { "1" } else { "0" });
        if self.kind() != QueueKind::Delivery {
            call = call.arg(self.kind().counts_by());
        }
        Ok(u64::try_from(call.run(&Patience::forever())?.int(0)?).unwrap_or(0))
    }
}
