//! A task and an outcome as bytes.
//!
//! ```text
//! task     flags (1), zero (3), number of items (4), number of the call (8), function (48), body
//! body     for each item: length (4), MessagePack; one item alone has no length
//! good     in a log: length (LEB128), MessagePack, and so on for the items behind it
//! failed   what failed (1), text
//! ```
//!
//! The lengths let whoever takes a message apart do so without running anybody's code.

use super::code::Code;
use super::error::{TaskError, TaskId};
use crate::error::ArenaError;

pub(super) const HEAD: usize = 16 + Code::LEN;
/// The body is one item, and has no length.
const ALONE: u8 = 1;
/// Bytes before each of several items.
const ITEM: usize = 4;

/// An outcome's tag: it is a value.
pub(super) const GOOD: u8 = 0;
/// It is a failure.
pub(super) const FAILED: u8 = 0x10;
/// This item and those behind it in the task were not begun, since the call was cancelled.
pub(super) const SKIPPED: u8 = 0x20;
/// This item and those behind it are for another worker.
pub(super) const LEFT: u8 = 0x40;

/// The message's kind. A task's and an outcome's are told apart by the queue.
pub(super) const KIND: u8 = 1;

/// What comes before a task's items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) alone: bool,
    pub(super) items: u32,
    pub(super) call: u64,
    pub(super) code: Code,
}

impl Head {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[if self.alone { ALONE } else { 0 }, 0, 0, 0]);
        out.extend_from_slice(&self.items.to_le_bytes());
        out.extend_from_slice(&self.call.to_le_bytes());
        out.extend_from_slice(self.code.bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Head, ArenaError> {
        Head::parse(bytes).ok_or_else(|| ArenaError::Corrupt("not a task of a pool's".into()))
    }

    fn parse(bytes: &[u8]) -> Option<Head> {
        let (&[flags, _, _, _, a, b, c, d], rest) = bytes.split_first_chunk()?;
        let (&call, rest) = rest.split_first_chunk()?;
        Some(Head {
            alone: flags & ALONE != 0,
            items: u32::from_le_bytes([a, b, c, d]),
            call: u64::from_le_bytes(call),
            code: Code::from_bytes(*rest.first_chunk()?),
        })
    }
}

/// Begins an item of several: gives where its length goes.
pub(super) fn open_item(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; ITEM]);
    at
}

/// Ends it. False if it is too long to be one of several.
pub(super) fn close_item(out: &mut [u8], at: usize) -> bool {
    let Ok(len) = u32::try_from(out.len() - at - ITEM) else {
        return false;
    };
    out[at..at + ITEM].copy_from_slice(&len.to_le_bytes());
    true
}

/// Takes the next item off a task's body.
#[inline]
pub(super) fn take_item<'a>(body: &mut &'a [u8], alone: bool) -> Option<&'a [u8]> {
    if alone {
        return Some(std::mem::take(body));
    }
    let (&len, rest) = body.split_first_chunk::<ITEM>()?;
    let (item, rest) = rest.split_at_checked(u32::from_le_bytes(len) as usize)?;
    *body = rest;
    Some(item)
}

/// The longest length that [`write_len`] writes, in bytes.
pub(super) const LEN_MAX: usize = 3;

/// Writes the length of an outcome that joins others, less than 2²¹, into the end of `to`, and gives
/// the bytes that it takes.
#[inline]
pub(super) fn write_len(len: usize, to: &mut [u8; LEN_MAX]) -> usize {
    let bytes = [len as u8 & 0x7f, (len >> 7) as u8 & 0x7f, (len >> 14) as u8 & 0x7f];
    let used = if len < 1 << 7 {
        1
    } else if len < 1 << 14 {
        2
    } else {
        3
    };
    for (n, byte) in bytes[..used].iter().enumerate() {
        to[LEN_MAX - used + n] = byte | if n + 1 < used { 0x80 } else { 0 };
    }
    used
}

/// Takes the next outcome off a run.
#[inline]
pub(super) fn take_outcome<'a>(run: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut len = 0;
    for n in 0..LEN_MAX {
        let &byte = run.get(n)?;
        len |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            let (outcome, rest) = run.get(n + 1..)?.split_at_checked(len)?;
            *run = rest;
            return Some(outcome);
        }
    }
    None
}

/// What a panic said, and where, as the text of a [`Fault::Panic`].
pub(super) fn panic_words(text: &str, place: Option<&str>) -> String {
    format!("{}\n{text}", place.unwrap_or_default())
}

/// What failed in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fault {
    Panic = 1,
    Arguments = 2,
    Result = 3,
}

impl Fault {
    pub(super) fn write(self, text: &str, out: &mut Vec<u8>) {
        out.clear();
        out.push(self as u8);
        out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn read(task: TaskId, bytes: &[u8]) -> TaskError {
        let (kind, text) = bytes.split_first().unwrap_or((&0, &[]));
        let message = String::from_utf8_lossy(text).into_owned();
        match kind {
            1 => {
                // The place comes first: it has no line's end in it.
                let (place, text) = message.split_once('\n').unwrap_or_default();
                let place = (!place.is_empty()).then(|| place.to_owned());
                TaskError::Panicked { task, message: text.to_owned(), place }
            }
            2 => TaskError::Receive { task, message },
            _ => TaskError::Result { task, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round() {
        for len in [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151] {
            let mut head = [0; LEN_MAX];
            let used = write_len(len, &mut head);
            let mut bytes = head[LEN_MAX - used..].to_vec();
            bytes.resize(used + len, 7);
            bytes.push(9);
            let mut run = &bytes[..];
            assert_eq!(take_outcome(&mut run).map(<[u8]>::len), Some(len));
            assert_eq!(run, [9]);
        }
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for mut run in [&[][..], &[5, 1], &[0x80], &[0xff, 0xff, 0xff, 1]] {
            assert_eq!(take_outcome(&mut run), None);
        }
        for mut body in [&[1, 0, 0][..], &[2, 0, 0, 0, 1]] {
            assert_eq!(take_item(&mut body, false), None);
        }
        assert!(Head::read(&[0; HEAD - 1]).is_err());
    }
}
