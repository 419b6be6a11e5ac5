//! Rust's own pool on a server: functions that workers serve by names, and Python's by theirs.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{Address, Patience, RemoteError, Server};
use super::owner::{NewTask, RawOwner, Report};
use super::wire::{self, Item, Who};

/// A call has no result. What is said names the function that was called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server could not be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The function failed: the exception's or the worker's words.
    #[error("{function}: {kind}: {message}")]
    Failed {
        /// What was called.
        function: String,
        /// The exception's class.
        kind: String,
        /// What it says.
        message: String,
        /// The traceback there, if it has one.
        trace: String,
    },
    /// Its worker died, or was cut off; it may have been begun.
    #[error("{function}: its worker {worker} {how}")]
    Lost {
        /// What was called.
        function: String,
        /// Who was at it.
        worker: Who,
        /// What became of him.
        how: String,
    },
    /// The server does not know of it any more: it was restored to an earlier state. It may have been begun.
    #[error("{function}: the server was restored to an earlier state, in which it is not known")]
    Forgotten {
        /// What was called.
        function: String,
    },
    /// It took longer than its limit. A process was ended; a thread of a Rust worker's can't be, and goes on.
    #[error("{function}: no result after {limit:?}, and its worker {worker} {}", end(*ended))]
    TimedOut {
        /// What was called.
        function: String,
        /// Who was at it.
        worker: Who,
        /// How long it might have taken.
        limit: Duration,
        /// Whether it was ended.
        ended: bool,
    },
    /// The arguments can't be sent, or the result is not what was asked for.
    #[error("{function}: {why}")]
    Data {
        /// What was called.
        function: String,
        /// Why not.
        why: String,
    },
    /// The pool has ended.
    #[error("{function}: the pool has ended: {why}")]
    Ended {
        /// What was called.
        function: String,
        /// Why it has.
        why: String,
    },
}

fn end(ended: bool) -> &'static str {
    if ended { "was ended" } else { "cannot end it: it is still running there" }
}

type Settled = Result<Vec<u8>, CallError>;

/// Who waits for a call's result.
#[derive(Debug)]
struct Waiting {
    function: String,
    limit: Option<Duration>,
    sender: Sender<Settled>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    ended: Option<String>,
}

/// A pool of workers on any machines, in Rust or Python.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::pool::Pool;
/// let pool = Pool::open("redis://localhost", "default")?;
/// let sum: i64 = pool.call("add", &(1, 2))?;
/// let root: f64 = pool.python("math:sqrt", &2.0)?.join()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Pool {
    owner: Arc<RawOwner>,
    calls: Arc<Mutex<Calls>>,
    receiver: Option<JoinHandle<()>>,
    limit: Option<Duration>,
}

/// A call that is under way.
#[derive(Debug)]
#[must_use = "its result comes to whoever joins it"]
pub struct Task<R> {
    function: String,
    settled: Receiver<Settled>,
    calls: Arc<Mutex<Calls>>,
    result: PhantomData<fn() -> R>,
}

fn locked(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of the workers of that queue (`default`, if they do not say another).
    ///
    /// # Errors
    /// [`RemoteError::Address`], [`RemoteError::Unreachable`].
    pub fn open(url: &str, queue: &str) -> Result<Pool, RemoteError> {
        let server = Server::open(&Address::parse(url)?)?;
        let options = wire::options().map_err(RemoteError::Corrupt)?;
        let (owner, _) = RawOwner::open(&server, queue, &options)?;
        let (owner, calls) = (Arc::new(owner), Arc::new(Mutex::new(Calls::default())));
        let (from, to) = (Arc::clone(&owner), Arc::clone(&calls));
        let lease = server.address().lease();
        let receiver = std::thread::Builder::new()
            .name("procession-results".into())
            .spawn(move || receive(&from, &to, lease))
            .map_err(|error| RemoteError::Corrupt(error.to_string()))?;
        Ok(Pool { owner, calls, receiver: Some(receiver), limit: None })
    }

    /// How long each call may take, from when a worker begins with it. One that takes longer is a
    /// [`CallError::TimedOut`].
    #[must_use]
    pub fn task_timeout(mut self, limit: Duration) -> Pool {
        self.limit = Some(limit);
        self
    }

    /// Calls the function that some worker serves by this name, and waits for its result. Without such a worker it
    /// waits for one.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        name: &str,
        args: &A,
    ) -> Result<R, CallError> {
        self.submit(name, args)?.join()
    }

    /// The same, without waiting.
    ///
    /// # Errors
    /// [`CallError::Data`], [`CallError::Remote`], [`CallError::Ended`].
    pub fn submit<A: Serialize, R: DeserializeOwned>(
        &self,
        name: &str,
        args: &A,
    ) -> Result<Task<R>, CallError> {
        self.begin("served", name, name, args)
    }

    /// Calls a function of Python's, `module:name`, with one argument.
    ///
    /// # Errors
    /// As [`Pool::submit`].
    pub fn python<A: Serialize, R: DeserializeOwned>(
        &self,
        function: &str,
        arg: &A,
    ) -> Result<Task<R>, CallError> {
        self.begin("name", function, "", arg)
    }

    fn begin<A: Serialize, R>(
        &self,
        kind: &str,
        name: &str,
        need: &str,
        args: &A,
    ) -> Result<Task<R>, CallError> {
        let function = name.to_owned();
        let body = match wire::order(kind, name, self.limit, args) {
            Ok(body) => body,
            Err(why) => return Err(CallError::Data { function, why }),
        };
        let (sender, settled) = channel();
        let number = {
            let mut calls = locked(&self.calls);
            if let Some(why) = &calls.ended {
                return Err(CallError::Ended { function, why: why.clone() });
            }
            calls.next += 1;
            let number = calls.next;
            let waiting = Waiting { function: function.clone(), limit: self.limit, sender };
            calls.waiting.insert(number, waiting);
            number
        };
        let task = NewTask { number, need, body: &body };
        if let Err(error) = self.owner.put(&[task], &[], &[], &Patience::forever()) {
            locked(&self.calls).waiting.remove(&number);
            return Err(error.into());
        }
        Ok(Task { function, settled, calls: Arc::clone(&self.calls), result: PhantomData })
    }
}

impl<R: DeserializeOwned> Task<R> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn join(self) -> Result<R, CallError> {
        let function = self.function;
        let Ok(settled) = self.settled.recv() else {
            let why = locked(&self.calls).ended.clone().unwrap_or_default();
            return Err(CallError::Ended { function, why });
        };
        wire::read_value(&settled?).map_err(|why| CallError::Data { function, why })
    }
}

impl Drop for Pool {
    /// Ends it, and what is under way with it.
    fn drop(&mut self) {
        locked(&self.calls).ended = Some("it was dropped".into());
        let ended = self.owner.end();
        // Without the server the other thread finds out by itself, later.
        if let (Ok(()), Some(receiver)) = (ended, self.receiver.take()) {
            let _ = receiver.join();
        }
    }
}

/// Takes results, until the pool ends.
fn receive(owner: &RawOwner, calls: &Mutex<Calls>, lease: Duration) {
    let why = loop {
        let reports = match owner.results(&Patience::forever()) {
            Ok(reports) => reports,
            Err(error) => break error.to_string(),
        };
        for report in reports {
            let (number, found) = match report {
                Report::Done(number, body) | Report::Part(number, body) => {
                    (number, wire::outcome(&body))
                }
                Report::Lost { number, left, worker } => {
                    (number, Ok(Item::Lost(Who::of(&worker), how_lost(left, lease))))
                }
                Report::Forgotten(number) => (number, Ok(Item::Forgotten)),
                Report::Broken(text) => {
                    locked(calls).ended = Some(wire::text(&text));
                    locked(calls).waiting.clear();
                    continue;
                }
            };
            let waiting = locked(calls).waiting.remove(&number);
            if let Some(Waiting { function, limit, sender }) = waiting {
                let _ = sender.send(settle(found, function, limit)); // nobody may want it
            }
        }
    };
    let mut calls = locked(calls);
    calls.ended.get_or_insert(why);
    calls.waiting.clear();
}

fn how_lost(left: bool, lease: Duration) -> String {
    if left {
        return "was stopped in the midst of it".into();
    }
    format!("did not renew its lease of {lease:?}: it died or was cut off")
}

fn settle(found: Result<Item, String>, function: String, limit: Option<Duration>) -> Settled {
    Err(match found {
        Ok(Item::Value(message)) => return Ok(message),
        Ok(Item::Failed(kind, message, trace)) => {
            // Workers in Rust name it themselves.
            let message = message.strip_prefix(&format!("{function}: ")).unwrap_or(&message).into();
            CallError::Failed { function, kind, message, trace }
        }
        Ok(Item::Lost(worker, how)) => CallError::Lost { function, worker, how },
        Ok(Item::Late(worker, ended)) => {
            CallError::TimedOut { function, worker, limit: limit.unwrap_or_default(), ended }
        }
        Ok(Item::Forgotten) => CallError::Forgotten { function },
        Err(why) => CallError::Data { function, why },
    })
}
