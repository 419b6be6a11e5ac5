//! A child as its parent keeps it: until somebody has waited for it.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::de::DeserializeOwned;

use super::line::{Found, Line};
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

/// What is known of the child's end.
#[derive(Debug)]
enum End {
    Unasked,
    /// `None`: somebody else has waited for it.
    Known(Option<ExitStatus>),
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
    end: Mutex<End>,
    answer: Mutex<Answer>,
}

impl Kid {
    pub(super) fn new(child: Child, line: Option<Line>, foreign: Vec<Lease>) -> Kid {
        Kid {
            child,
            parent: std::process::id(),
            line,
            _foreign: foreign,
            end: Mutex::new(End::Unasked),
            answer: Mutex::new(Answer::Unasked),
        }
    }

    pub(super) fn is_mine(&self) -> bool {
        self.parent == std::process::id()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.child.fd()
    }

    /// Waits for the end, and reaps it. `Ok(None)`: it still runs.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<Option<ExitStatus>>> {
        if let End::Known(status) = *lock(&self.end) {
            return Ok(Some(status));
        }
        if !self.child.wait(deadline)? {
            return Ok(None);
        }
        let mut end = lock(&self.end);
        if let End::Known(status) = *end {
            return Ok(Some(status));
        }
        let status = self.child.status(false)?;
        // Told to the family while it is a zombie: after that, its number may be another's.
        let ended = status.and_then(|s| Ended::from_wait_status(s.into_raw()));
        if let (Some(family), Some(ended)) = (Family::existing(), ended) {
            family.record_exit(self.child.pid, ended);
        }
        if status.is_some() {
            self.child.status(true)?;
        }
        *end = End::Known(status);
        Ok(Some(status))
    }

    /// How it ended, if that is known already.
    pub(super) fn known_end(&self) -> Option<ExitStatus> {
        match *lock(&self.end) {
            End::Known(status) => status,
            End::Unasked => None,
        }
    }

    /// The value, or why there is none. `status` is how it ended.
    pub(super) fn answer<R: DeserializeOwned>(
        &self,
        status: Option<ExitStatus>,
    ) -> Result<R, JoinError> {
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
    let Some(block) = &message.block else {
        return codec::decode(inline);
    };
    let mut bytes = vec![0; block.len()];
    block.read(0, &mut bytes);
    codec::decode(&bytes)
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
