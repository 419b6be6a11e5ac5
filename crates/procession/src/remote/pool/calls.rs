//! Rust's own pool on a server: functions that workers serve by names, and Python's by theirs.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{Address, Patience, RemoteError, Server};
use super::owner::{NewTask, RawOwner, Report};
use super::wire::{self, Item};

/// A call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server could not be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The function failed: the exception's or the worker's words.
    #[error("{kind}: {message}")]
    Failed {
        /// The exception's class.
        kind: String,
        /// What it says.
        message: String,
        /// The traceback there, if it has one.
        trace: String,
    },
    /// Its worker died, or was cut off; it may have been begun.
    #[error("the worker is lost: {0}")]
    Lost(String),
    /// The arguments can't be sent, or the result is not what was asked for.
    #[error("{0}")]
    Data(String),
    /// The pool has ended.
    #[error("the pool has ended: {0}")]
    Ended(String),
}

type Settled = Result<Vec<u8>, CallError>;

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    waiting: HashMap<u64, Sender<Settled>>,
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
}

/// A call that is under way.
#[derive(Debug)]
#[must_use = "its result comes to whoever joins it"]
pub struct Task<R> {
    settled: Receiver<Settled>,
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
        let receiver = std::thread::Builder::new()
            .name("procession-results".into())
            .spawn(move || receive(&from, &to))
            .map_err(|error| RemoteError::Corrupt(error.to_string()))?;
        Ok(Pool { owner, calls, receiver: Some(receiver) })
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
        let body = wire::order(kind, name, args).map_err(CallError::Data)?;
        let (sender, settled) = channel();
        let number = {
            let mut calls = locked(&self.calls);
            if let Some(why) = &calls.ended {
                return Err(CallError::Ended(why.clone()));
            }
            calls.next += 1;
            let number = calls.next;
            calls.waiting.insert(number, sender);
            number
        };
        let task = NewTask { number, need, body: &body };
        if let Err(error) = self.owner.put(&[task], &[], &[], &Patience::forever()) {
            locked(&self.calls).waiting.remove(&number);
            return Err(error.into());
        }
        Ok(Task { settled, result: PhantomData })
    }
}

impl<R: DeserializeOwned> Task<R> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn join(self) -> Result<R, CallError> {
        let settled = self.settled.recv();
        let message = settled.unwrap_or_else(|_| Err(CallError::Ended("it was dropped".into())))?;
        wire::read_value(&message).map_err(CallError::Data)
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
fn receive(owner: &RawOwner, calls: &Mutex<Calls>) {
    let why = loop {
        let reports = match owner.results(&Patience::forever()) {
            Ok(reports) => reports,
            Err(error) => break error.to_string(),
        };
        for report in reports {
            let (number, settled) = match report {
                Report::Done(number, body) | Report::Part(number, body) => (number, settle(&body)),
                Report::Lost { number, worker, .. } => (number, Err(CallError::Lost(worker))),
                Report::Forgotten(number) => (
                    number,
                    Err(CallError::Lost("the server was restored to a state without it".into())),
                ),
                Report::Broken(text) => {
                    locked(calls).ended = Some(String::from_utf8_lossy(&text).into_owned());
                    locked(calls).waiting.clear();
                    continue;
                }
            };
            let sender = locked(calls).waiting.remove(&number);
            if let Some(sender) = sender {
                let _ = sender.send(settled); // nobody may want it
            }
        }
    };
    let mut calls = locked(calls);
    calls.ended.get_or_insert(why);
    calls.waiting.clear();
}

fn settle(report: &[u8]) -> Settled {
    match wire::outcome(report).map_err(CallError::Data)? {
        Item::Value(message) => Ok(message),
        Item::Failed(kind, message, trace) => Err(CallError::Failed { kind, message, trace }),
        Item::Lost(text) => Err(CallError::Lost(text)),
    }
}
