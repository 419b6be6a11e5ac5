//! A child as its parent keeps it: until somebody has waited for it.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::de::DeserializeOwned;

use super::line::{Found, Line};
use crate::arena::block::Block;
use crate::arena::estate::Ended;
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::channel::Received;
use crate::codec;
use crate::error::JoinError;
use crate::sys::child::Child;

/// Children whose `Process` was dropped. Each is waited for by whoever starts or drops another.
static LEFT_ALONE: Mutex<Vec<Kid>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the child ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    With(ExitStatus),
    /// Somebody else has waited for it, and nobody knows.
    Unknown,
}

impl End {
    pub(super) fn status(self) -> Option<ExitStatus> {
        match self {
            End::With(status) => Some(status),
            End::Unknown => None,
        }
    }
}

/// What the line had. A value is given once; anything else is told to everyone who asks.
#[derive(Debug)]
enum Answer {
    Unasked,
    Given,
    Told(Option<Found>),
}

#[derive(Debug)]
pub(super) struct Kid {
    pub(super) child: Child,
    /// The process whose child it is: fork children of that one have no say.
    parent: u32,
    /// `None`: made by fork, with no order.
    line: Option<Line>,
    /// On what is of other families in the arguments: the order's block cannot hold it.
    _foreign: Vec<Lease>,
    end: Mutex<Option<End>>,
    answer: Mutex<Answer>,
}

impl Kid {
    pub(super) fn new(child: Child, line: Option<Line>, foreign: Vec<Lease>) -> Kid {
        Kid {
            child,
            parent: std::process::id(),
            line,
            _foreign: foreign,
            end: Mutex::new(None),
            answer: Mutex::new(Answer::Unasked),
        }
    }

    pub(super) fn is_mine(&self) -> bool {
        self.parent == std::process::id()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.child.fd()
    }

    /// Waits for the end, and reaps it. `None`: it still runs.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<End>> {
        if self.known_end().is_none() && !self.child.wait(deadline)? {
            return Ok(None);
        }
        let mut end = lock(&self.end);
        if end.is_none() {
            *end = Some(self.reap()?);
        }
        Ok(*end)
    }

    fn reap(&self) -> io::Result<End> {
        let Some(status) = self.child.status(false)? else {
            return Ok(End::Unknown);
        };
        // Told to the family while it is a zombie: after that, its number may be another's.
        let ended = Ended::from_wait_status(status.into_raw());
        if let (Some(family), Some(ended)) = (Family::existing(), ended) {
            family.record_exit(self.child.pid, ended);
        }
        self.child.status(true)?;
        Ok(End::With(status))
    }

    /// How it ended, if that was asked already.
    pub(super) fn known_end(&self) -> Option<End> {
        *lock(&self.end)
    }

    /// The value of one that has ended, or why there is none.
    pub(super) fn answer<R: DeserializeOwned>(&self, end: End) -> Result<R, JoinError> {
        let status = end.status();
        let Some(line) = &self.line else {
            return match status {
                // Made by fork: nothing but its exit code is known, and no value is one, too.
                Some(s) if s.success() => Ok(codec::decode(&NIL).map_err(JoinError::Decode)?),
                _ => Err(without_value(None, status)),
            };
        };
        let mut answer = lock(&self.answer);
        if let Answer::Unasked = *answer {
            *answer = Answer::Told(line.take_found()?);
        }
        let found = match std::mem::replace(&mut *answer, Answer::Given) {
            Answer::Told(Some(Found::Value(message, inline))) => {
                drop(answer); // what is decoded is the user's, and may take long
                return value(&message, &inline).map_err(JoinError::Decode);
            }
            Answer::Told(found) => found,
            Answer::Given | Answer::Unasked => return Err(JoinError::Taken),
        };
        let error = without_value(found.as_ref(), status);
        *answer = Answer::Told(found);
        Err(error)
    }

    /// Nobody asks for it any more: it is waited for when it has ended, by whoever comes by.
    pub(super) fn leave_alone(self) {
        if self.is_mine() && !matches!(self.wait(Some(Instant::now())), Ok(Some(_))) {
            lock(&LEFT_ALONE).push(self);
        }
    }
}

/// MessagePack's nothing.
const NIL: [u8; 1] = [0xc0];

fn value<R: DeserializeOwned>(message: &Received, inline: &[u8]) -> Result<R, String> {
    codec::decode(message.block.as_ref().map_or(inline, Block::bytes))
}

fn without_value(found: Option<&Found>, status: Option<ExitStatus>) -> JoinError {
    match (found, status) {
        (Some(Found::Panicked(message, place)), _) => {
            JoinError::Panicked { message: message.clone(), place: place.clone() }
        }
        (Some(Found::Refused(why)), _) => JoinError::Refused(why.clone()),
        (Some(Found::Unsent(why)), _) => JoinError::Unsent(why.clone()),
        (Some(Found::Order), Some(ended)) => JoinError::NeverBegan { ended },
        (_, Some(ended)) => match (ended.signal(), ended.code()) {
            (Some(signal), _) => JoinError::Killed { signal },
            (None, code) => JoinError::Exited { code: code.unwrap_or_default() },
        },
        (_, None) => JoinError::Unknown,
    }
}

/// Waits for those that have ended of whom nobody else will ask.
pub(super) fn bury_the_ended() {
    let mut all = lock(&LEFT_ALONE);
    all.retain(|kid| kid.is_mine() && !matches!(kid.wait(Some(Instant::now())), Ok(Some(_))));
}
