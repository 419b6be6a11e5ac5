//! Workers that serve Rust functions by names, to owners in Rust and Python.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{Address, Patience, RemoteError, Server};
use super::persist;
use super::wire::{self, Order};
use super::worker::{Outcome, RawTask, RawWorker, Told};

/// How often it says how it is, and how soon it sees that it is to end.
const BEAT: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(200);

type Function = Arc<dyn Fn(&Order, &[u8]) -> Result<Vec<u8>, String> + Send + Sync>;

/// Serves Rust functions, by names, to pools on a server.
///
/// Python calls them as `pool.apply(procession.remote.pool.named("add"), (1, 2))`, Rust by [`Pool`](super::Pool).
/// Arguments and results are plain data: several arguments are a tuple. A panic is the caller's error, and ends
/// nothing. Threads can't be ended: when a call takes longer than its limit its caller is told, and another thread takes
/// the place of the one that is late, whose result is dropped when it comes.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::remote::pool::Worker;
/// Worker::open("redis://localhost")?
///     .serve("add", |(a, b): (i64, i64)| a + b)
///     .serve("shout", |text: String| text.to_uppercase())
///     .run()?;
/// # Ok(()) }
/// ```
#[must_use = "it serves when it runs"]
pub struct Worker {
    server: Server,
    queue: String,
    threads: usize,
    functions: HashMap<String, Function>,
    stop: Arc<Stop>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.functions.keys().collect();
        f.debug_struct("Worker")
            .field("queue", &self.queue)
            .field("serves", &names)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Stop {
    said: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn is_said(&self) -> bool {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limit: Duration) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.changed.wait_timeout_while(said, limit, |said| !*said);
    }
}

/// Ends a [`Worker`] that runs.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Stop>);

impl Stopper {
    /// It takes no more tasks, and ends when it has done those that it has.
    pub fn stop(&self) {
        *self.0.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Worker {
    /// For the pools of the server at that address. It has as many threads as there are processors.
    ///
    /// # Errors
    /// [`RemoteError::Address`], [`RemoteError::Unreachable`].
    pub fn open(url: &str) -> Result<Worker, RemoteError> {
        let server = Server::open(&Address::parse(url)?)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let queue = "default".to_owned();
        Ok(Worker { server, queue, threads, functions: HashMap::new(), stop: Arc::default() })
    }

    /// Serves pools of that queue only, instead of `default`.
    pub fn queue(mut self, name: &str) -> Worker {
        name.clone_into(&mut self.queue);
        self
    }

    /// With so many threads.
    pub fn threads(mut self, count: usize) -> Worker {
        self.threads = count.max(1);
        self
    }

    /// Serves a function by that name.
    pub fn serve<A, R>(
        self,
        name: &str,
        function: impl Fn(A) -> R + Send + Sync + 'static,
    ) -> Worker
    where
        A: DeserializeOwned,
        R: Serialize,
    {
        self.try_serve(name, move |args| Ok::<_, String>(function(args)))
    }

    /// Serves a function that may fail; what its error says is the caller's error.
    pub fn try_serve<A, R, E>(
        mut self,
        name: &str,
        function: impl Fn(A) -> Result<R, E> + Send + Sync + 'static,
    ) -> Worker
    where
        A: DeserializeOwned,
        R: Serialize,
        E: fmt::Display,
    {
        let call = move |order: &Order, item: &[u8]| {
            let args = order.arguments(item)?;
            wire::value(&function(args).map_err(|error| error.to_string())?)
        };
        self.functions.insert(name.to_owned(), Arc::new(call));
        self
    }

    /// What ends it, from another thread or a signal's.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    fn enter(&self) -> Result<RawWorker, RemoteError> {
        let can = self.functions.keys().cloned().collect();
        RawWorker::enter(&self.server, &self.queue, can, &self.about())
    }

    /// As Python's workers say it, and which functions it serves.
    fn about(&self) -> String {
        let (host, pid, seats) = (host(), std::process::id(), self.threads);
        let mut serves: Vec<_> = self.functions.keys().map(|name| quoted(name)).collect();
        serves.sort();
        let serves = serves.join(",");
        format!(
            r#"{{"host":"{host}","pid":{pid},"name":null,"seats":{seats},"pools":{{}},"serves":[{serves}]}}"#
        )
    }

    /// Serves until it is [stopped](Stopper). After an outage that was longer than its lease it begins anew.
    ///
    /// # Errors
    /// [`RemoteError`], if the server cannot be used for longer than the address's `timeout`.
    pub fn run(self) -> Result<(), RemoteError> {
        while !self.stop.is_said() {
            match self.run_once(&self.enter()?) {
                Err(RemoteError::LeaseLost { .. }) => {}
                other => return other,
            }
        }
        Ok(())
    }

    fn run_once(&self, raw: &RawWorker) -> Result<(), RemoteError> {
        let over = Stop::default();
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            let seats: Vec<_> =
                (0..self.threads).map(|_| scope.spawn(|| self.sit(raw, &over))).collect();
            while !self.stop.is_said() && !over.is_said() {
                let beat = persist(&self.server, &Patience::forever(), || raw.beat(&self.about()));
                if let Err(error) = beat {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    break;
                }
                self.stop.wait(BEAT);
            }
            *over.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
            for seat in seats {
                if let Ok(Err(error)) = seat.join() {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => {
                // This process may live on, and hold what nobody would tell of.
                let _ = raw.leave(true);
                Err(error)
            }
            None => raw.leave(false),
        }
    }

    /// Takes tasks, one after the other.
    fn sit(&self, raw: &RawWorker, over: &Stop) -> Result<(), RemoteError> {
        let mut done: Option<(RawTask, Outcome, Vec<u8>)> = None;
        let result = loop {
            let told: Vec<_> = done
                .iter()
                .map(|(task, outcome, body)| Told {
                    pool: &task.pool,
                    task: &task.task,
                    outcome: *outcome,
                    body,
                })
                .collect();
            if over.is_said() || self.stop.is_said() {
                if told.is_empty() {
                    break Ok(());
                }
                match persist(&self.server, &Patience::forever(), || raw.tell(&told)) {
                    Err(error @ RemoteError::TooLarge { .. }) if shrink(&mut done, &error) => {
                        continue;
                    }
                    result => break result,
                }
            }
            let taken = persist(&self.server, &Patience::forever(), || {
                raw.take(&told, &Patience::of(SOON))
            });
            match taken {
                Ok(Some(task)) => {
                    let (outcome, body) = self.work(&task);
                    done = Some((task, outcome, body));
                }
                Ok(None) => done = None,
                Err(error @ RemoteError::TooLarge { .. }) if shrink(&mut done, &error) => {}
                Err(error) => break Err(error),
            }
        };
        if result.is_err() {
            *over.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        result
    }

    fn work(&self, task: &RawTask) -> (Outcome, Vec<u8>) {
        let order = match Order::read(&task.body) {
            Ok(order) => order,
            Err(why) => return (Outcome::Done, wire::report(0, vec![wire::failure("task", &why)])),
        };
        let first = order.first;
        let Some(function) = self.functions.get(&order.function) else {
            let failure = wire::failure(&order.function, "nobody serves it");
            return (Outcome::Done, wire::report(first, vec![failure; order.items.len()]));
        };
        let outcomes = match order.limit {
            None => {
                let mut outcomes = Vec::new();
                each(function, &order, 0, |outcome| {
                    outcomes.push(outcome);
                    true
                });
                outcomes
            }
            Some(limit) => within(limit, function, &Arc::new(order)),
        };
        (Outcome::Done, wire::report(first, outcomes))
    }
}

/// Says that its results can't be told, in their place. Whether that is less.
fn shrink(done: &mut Option<(RawTask, Outcome, Vec<u8>)>, why: &RemoteError) -> bool {
    let Some((task, _, body)) = done else { return false };
    let Ok(order) = Order::read(&task.body) else { return false };
    let failure = wire::failure(&order.function, &format!("its results can't be told: {why}"));
    let less = wire::report(order.first, vec![failure; order.items.len()]);
    let is_less = less.len() < body.len();
    *body = less;
    is_less
}

/// Calls a function with the items from that one on, and gives out what becomes of each, until nobody wants more.
fn each(function: &Function, order: &Order, from: usize, mut give: impl FnMut(Vec<u8>) -> bool) {
    for item in order.items.iter().skip(from) {
        let outcome = catch_unwind(AssertUnwindSafe(|| function(order, item)))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", said(&*panic))));
        let ends = outcome.is_err() && order.stops;
        if !give(outcome.unwrap_or_else(|why| wire::failure(&order.function, &why))) || ends {
            return;
        }
    }
}

/// The same, in a thread beside this one, for items each of which may take so long. Who is late is left behind, and
/// another one does the next items.
fn within(limit: Duration, function: &Function, order: &Arc<Order>) -> Vec<Vec<u8>> {
    let mut outcomes = Vec::new();
    while outcomes.len() < order.items.len() {
        let (sender, receiver) = channel();
        let (function, from) = (Arc::clone(function), outcomes.len());
        let theirs = Arc::clone(order);
        let begun = std::thread::Builder::new().name("procession-call".into()).spawn(move || {
            each(&function, &theirs, from, |outcome| sender.send(outcome).is_ok());
        });
        if let Err(error) = begun {
            let failure = wire::failure(&order.function, &format!("no thread for it: {error}"));
            outcomes.resize(order.items.len(), failure);
        }
        loop {
            match receiver.recv_timeout(limit) {
                Ok(outcome) => outcomes.push(outcome),
                Err(RecvTimeoutError::Disconnected) => return outcomes, // it has done what it was to
                Err(RecvTimeoutError::Timeout) => {
                    let at = i128::try_from(outcomes.len()).unwrap_or_default();
                    outcomes.push(wire::late(&host(), order.first + at));
                    break;
                }
            }
        }
        if order.stops {
            break;
        }
    }
    outcomes
}

fn host() -> String {
    let node = rustix::system::uname();
    let name = node.nodename().to_string_lossy();
    name.chars().filter(|c| c.is_alphanumeric() || "-._".contains(*c)).collect()
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            _ => out.push(c),
        }
    }
    out + "\""
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
