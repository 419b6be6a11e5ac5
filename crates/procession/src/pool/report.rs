//! What a worker reports: some outcomes at once, out of its log, or one that is large.
//!
//! ```text
//! log      task (8), nanoseconds so far (7) and whether it is finished (1), entries
//! entry    item (4), length << 8 | tag (4), bytes
//! run      the same, and RUN in its tag: the outcomes of that item and of those behind it, one after
//!          the other; whose they are tells where each ends. The last one's length may be OPEN
//! single   task (8), item (4), tag (4), the message's inline bytes; and its block
//! ```
//!
//! Lengths are compared with what is there: these bytes come out of shared memory.

use std::time::Duration;

use crate::channel::Received;
use crate::error::ArenaError;

/// A message of this kind is a log; what has another is a single outcome.
pub(super) const LOG_KIND: u8 = 8;
pub(super) const HEAD: usize = 16;
pub(super) const ENTRY: usize = 8;
const FINISHED: u64 = 1 << 63;
/// In a tag: there may be several outcomes.
pub(super) const RUN: u8 = 0x80;
/// The length of a run that goes on to the end of the log.
pub(super) const OPEN: usize = 0xff_ffff;

pub(super) fn log_head(task: u64, finished: bool, elapsed: Duration) -> [u8; HEAD] {
    let nanos = (elapsed.as_nanos() as u64) & (FINISHED - 1);
    head(task, nanos | if finished { FINISHED } else { 0 })
}

pub(super) fn single_head(task: u64, item: u32, tag: u8) -> [u8; HEAD] {
    head(task, u64::from(tag) << 32 | u64::from(item))
}

fn head(first: u64, second: u64) -> [u8; HEAD] {
    (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
}

pub(super) fn entry_head(item: u32, tag: u8, len: usize) -> [u8; ENTRY] {
    ((len as u64) << 40 | u64::from(tag) << 32 | u64::from(item)).to_le_bytes()
}

/// A report that came in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Arrived {
    /// The number of the task that it is about.
    pub task: u64,
    /// What it says.
    pub what: Report,
}

/// What a report says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// Outcomes; the bytes beside it are [`Entries`].
    Log {
        /// Whether these were the last of the task.
        finished: bool,
        /// How long the worker has been at the task.
        elapsed: Duration,
    },
    /// One outcome, as a message of its own.
    Single {
        /// Of which item.
        item: u32,
        /// As the worker has tagged it.
        tag: u8,
        /// The message.
        message: Received,
    },
}

impl Arrived {
    /// Takes the head off `inline`.
    pub(super) fn read(message: Received, inline: &mut Vec<u8>) -> Result<Arrived, ArenaError> {
        let Some(&bytes) = inline.first_chunk::<HEAD>() else {
            return Err(ArenaError::Corrupt("a pool's report is too short".into()));
        };
        inline.drain(..HEAD);
        let words = u128::from_le_bytes(bytes);
        let (task, second) = (words as u64, (words >> 64) as u64);
        let what = if message.kind == LOG_KIND {
            let elapsed = Duration::from_nanos(second & (FINISHED - 1));
            Report::Log { finished: second & FINISHED != 0, elapsed }
        } else {
            Report::Single { item: second as u32, tag: (second >> 32) as u8, message }
        };
        Ok(Arrived { task, what })
    }
}

/// One outcome of a log, or several that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Of which item of the task.
    pub item: u32,
    /// As the worker has tagged it.
    pub tag: u8,
    /// Whether the outcomes of items behind that one follow it in `bytes`.
    pub is_run: bool,
    /// As the worker has written it.
    pub bytes: &'a [u8],
}

/// The outcomes of a log, in their order. Ends early if the bytes are no log.
///
/// # Examples
/// ```
/// assert_eq!(procession::pool::Entries::new(b"").count(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    /// Of the bytes that came with [`Report::Log`], or of a worker's remains.
    #[must_use]
    pub fn new(log: &'a [u8]) -> Entries<'a> {
        Entries(log)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (&head, rest) = self.0.split_first_chunk::<ENTRY>()?;
        let word = u64::from_le_bytes(head);
        let (len, tag) = ((word >> 40) as usize, (word >> 32) as u8);
        let is_run = tag & RUN != 0;
        let len = if is_run && len == OPEN { rest.len() } else { len };
        let (bytes, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(Entry { item: word as u32, tag: tag & !RUN, is_run, bytes })
    }
}
