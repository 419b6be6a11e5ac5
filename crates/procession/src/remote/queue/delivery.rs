//! Messages in flight: what names them, and what is said of them.

use std::sync::Arc;
use std::time::Duration;

use super::raw::RemoteQueue;
use super::scripts::{DELIVERY_FLIGHTS, DELIVERY_SETTLE, QueueKind};
use crate::remote::{Patience, RemoteError};
use crate::sys::fork::generation;

/// The name of one delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    number: u64,
    count: u32,
    life: Arc<str>,
    /// In which process it was taken: a child of a fork has no right to it.
    process: u32,
}

impl Ticket {
    pub(super) fn new(number: i64, count: i64, life: &Arc<str>) -> Result<Ticket, RemoteError> {
        let wrong = |_| RemoteError::Corrupt(format!("message {number}, delivered {count} times"));
        Ok(Ticket {
            number: u64::try_from(number).map_err(wrong)?,
            count: u32::try_from(count).map_err(wrong)?,
            life: Arc::clone(life),
            process: generation(),
        })
    }

    /// How many messages were put into the queue before this one.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How often the message was delivered, this time included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// What the server knew the client by that took it.
    #[must_use]
    pub fn life(&self) -> &str {
        &self.life
    }
}

/// A message in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// How many messages were put before it.
    pub number: u64,
    /// What the server knows the client by that has it.
    pub life: String,
    /// That client's process, if it lives.
    pub pid: Option<u32>,
    /// And the machine of that.
    pub host: Option<String>,
    /// How often it was delivered, this time included.
    pub count: u32,
    /// For how long it is in flight.
    pub since: Duration,
    /// Its length, without its kind.
    pub bytes: u64,
}

impl RemoteQueue {
    /// Says of a message that it is done: it does not come back. False if that was said before, or it is the message of
    /// a process of which this one is a fork.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it came back because this client was cut off for longer than its lease.
    pub fn done(&self, ticket: &Ticket) -> Result<bool, RemoteError> {
        self.settle(ticket, "1", &Patience::forever())
    }

    /// Has a message wait again, where it stood. Its count stays; for who takes it next it is one more. False: as of
    /// [`done`](RemoteQueue::done).
    ///
    /// # Errors
    /// As [`done`](RemoteQueue::done).
    pub fn return_ticket(&self, ticket: &Ticket) -> Result<bool, RemoteError> {
        self.settle(ticket, "0", &Patience::forever())
    }

    fn settle(
        &self,
        ticket: &Ticket,
        done: &str,
        patience: &Patience<'_>,
    ) -> Result<bool, RemoteError> {
        if self.kind() != QueueKind::Delivery || ticket.process != generation() {
            return Ok(false);
        }
        let call = self.object().call(&DELIVERY_SETTLE)?.arg(done);
        let call = call.arg(ticket.number.to_string()).arg(ticket.count.to_string());
        if call.arg(ticket.life()).run(patience)?.int(0)? == 1 {
            return Ok(true);
        }
        // Nothing is taken from a life that goes on: so it was said before.
        if self.is_current(ticket) { Ok(false) } else { Err(self.lost(ticket)) }
    }

    /// Whether a message was taken in the life that this process's client has now.
    fn is_current(&self, ticket: &Ticket) -> bool {
        let client = self.object().server().present_client();
        client.is_some_and(|client| client.life().id() == ticket.life())
    }

    pub(super) fn lost(&self, ticket: &Ticket) -> RemoteError {
        RemoteError::LeaseLost {
            what: format!("message {} of {}", ticket.number, self.key()),
            lease: self.object().server().address().lease(),
        }
    }

    /// Gives a message back of which nothing was said. It waits for nothing: nobody hears of an error, and what this
    /// client holds comes back at its end.
    pub(super) fn drop_ticket(&self, ticket: &Ticket) {
        if ticket.process == generation() && self.is_current(ticket) {
            let _ = self.settle(ticket, "0", &Patience::none());
        }
    }

    /// What is in flight, and who has it, the oldest first. None of a queue that does not deliver again.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn in_flights(&self) -> Result<Vec<InFlight>, RemoteError> {
        if self.kind() != QueueKind::Delivery {
            return Ok(Vec::new());
        }
        let mut reply = self.object().call(&DELIVERY_FLIGHTS)?.read(&Patience::forever())?;
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let mut all: Vec<_> = (0..reply.len())
            .step_by(7)
            .map(|at| {
                let pid =
                    reply.bytes(at + 5)?.and_then(|pid| String::from_utf8(pid).ok()?.parse().ok());
                let host =
                    reply.bytes(at + 6)?.map(|host| String::from_utf8_lossy(&host).into_owned());
                Ok(InFlight {
                    number: number(reply.int(at)?),
                    life: reply.text(at + 1)?,
                    count: u32::try_from(reply.int(at + 2)?).unwrap_or(u32::MAX),
                    since: Duration::from_millis(number(reply.int(at + 3)?)),
                    bytes: number(reply.int(at + 4)?),
                    pid,
                    host,
                })
            })
            .collect::<Result<_, RemoteError>>()?;
        all.sort_by_key(|one: &InFlight| one.number);
        Ok(all)
    }
}
