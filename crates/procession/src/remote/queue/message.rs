//! Messages: what is put, and what was taken.

use super::delivery::Ticket;
use crate::remote::RemoteError;

/// A message that is to be put.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// What its format is: see [`crate::codec`].
    pub kind: u8,
    /// Its bytes.
    pub body: &'a [u8],
    /// What a queue by priority orders it by: an [`OrderKey`](crate::codec::order::OrderKey)'s bytes. Others do not
    /// look at it.
    pub key: &'a [u8],
}

/// A message that was taken, or looked at.
#[derive(Debug, Clone)]
pub struct Taken {
    /// As it lies on the server.
    whole: Vec<u8>,
    /// Where the message stands in it: all of it, but for a queue by priority.
    start: usize,
    end: usize,
    ticket: Option<Ticket>,
}

impl Taken {
    pub(super) fn of_row(whole: Vec<u8>) -> Result<Taken, RemoteError> {
        let end = whole.len();
        Taken { whole, start: 0, end, ticket: None }.checked()
    }

    /// A member of the sorted set: key and number, the message, and in four bytes where that begins.
    pub(super) fn of_order(whole: Vec<u8>) -> Result<Taken, RemoteError> {
        let Some((_, last)) = whole.split_last_chunk::<4>() else { return Err(torn()) };
        let (start, end) = (u32::from_be_bytes(*last) as usize, whole.len() - 4);
        Taken { whole, start, end, ticket: None }.checked()
    }

    pub(super) fn in_flight(whole: Vec<u8>, ticket: Ticket) -> Result<Taken, RemoteError> {
        Ok(Taken { ticket: Some(ticket), ..Taken::of_row(whole)? })
    }

    fn checked(self) -> Result<Taken, RemoteError> {
        if self.start < self.end { Ok(self) } else { Err(torn()) }
    }

    /// What its format is.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.whole[self.start]
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.whole[self.start + 1..self.end]
    }

    /// What names it while it is in flight; only of a queue that delivers again.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    pub(super) fn whole(&self) -> &[u8] {
        &self.whole
    }
}

fn torn() -> RemoteError {
    RemoteError::Corrupt("a message without a kind".into())
}
