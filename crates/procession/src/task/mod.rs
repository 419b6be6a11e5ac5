//! Waiting in futures, on any executor.
//!
//! A *watch* is one thing that tasks of this process wait for: messages of a queue, say. Tasks stand in
//! its line with their wakers. The watch is *armed* when somebody will tell it that there may be
//! something: the reactor (one thread, which waits for descriptors), tokio's, or a thread that sleeps
//! for what has no descriptor (room in a queue). Each time it is told, it wakes the first of the line,
//! who looks, and if there is more, or nothing, sees to it that the next ones hear of it. So a message
//! wakes one task, however many wait.
//!
//! What must hold: if there is a line, the watch is armed, or a task that was woken has not looked yet.
//! Whoever is woken therefore passes it on, also when it is dropped instead of polled. What is waited
//! for is taken in the poll that returns it, and never between: a future that is dropped has taken
//! nothing.
//!
//! After a fork nothing of the parent's is used: a future that is polled in the child begins anew.

mod sleeper;
mod thread;
#[cfg(feature = "tokio")]
mod tokio;

use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::ArenaError;
use crate::sys::per_process::PerProcess;

/// Which thing it is: of which object (or descriptor), and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) family: usize,
    pub(crate) object: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// Messages, at the end of a pipe with this descriptor, or of a queue.
    Messages(RawFd),
    /// For a message that weighs so much, in a pipe; or for one more, in a queue.
    Room(u64),
    Done,
    Set(u32),
}

/// What can be waited for.
pub(crate) trait Source {
    fn key(&self) -> Key;

    /// How to wait for it. Called once for a watch.
    fn way(&self) -> Result<Way, ArenaError>;

    /// Whether there may be what is waited for.
    fn is_ready(&self) -> bool;

    /// Sees to it that the watch will be told of what comes from now on. False: there is something
    /// already.
    fn prepare(&self) -> Result<bool, ArenaError>;

    /// Nobody waits any more.
    fn finish(&self) {}
}

/// How to wait.
pub(crate) enum Way {
    /// Until this descriptor is readable. It stays open until [`Source::finish`].
    Readable(RawFd),
    /// By this, which sleeps for a slice at most, and says whether it is worth a look.
    Sleep(Box<dyn Fn() -> bool + Send + Sync>),
}

/// All watches of this process.
#[derive(Debug, Default)]
struct Watches {
    all: Mutex<HashMap<(Key, Runtime), Shared>>,
    thread: Mutex<Option<Arc<thread::Reactor>>>,
}

/// A runtime has watches of its own: another one may not be running when there is something to tell.
#[cfg(feature = "tokio")]
type Runtime = Option<::tokio::runtime::Id>;
#[cfg(not(feature = "tokio"))]
type Runtime = ();

fn runtime() -> Runtime {
    #[cfg(feature = "tokio")]
    return tokio::current();
}

static WATCHES: PerProcess<Watches> = PerProcess::new();

#[derive(Debug)]
struct Shared {
    watch: Arc<Watch>,
    waiters: usize,
}

#[derive(Debug)]
struct Watch {
    line: Mutex<Line>,
    alarm: Alarm,
}

/// Who tells the watch. To arm one answers whether it is: else it went off at once.
#[derive(Debug)]
enum Alarm {
    Thread(thread::Alarm),
    #[cfg(feature = "tokio")]
    Tokio(tokio::Alarm),
    Sleeper(sleeper::Sleeper),
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(u64, Waker)>,
    is_armed: bool,
    /// Whose waker is told at once, in the line: tokio's reactor knows wakers only.
    leader: Option<u64>,
    next: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// There may be something: the first of the line looks.
    fn told(&self) {
        let first = {
            let mut line = lock(&self.line);
            line.is_armed = false;
            line.waiting.pop_front()
        };
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// Arms, on behalf of the one with this place and waker. False: look again.
    fn arm(
        self: &Arc<Watch>,
        line: &mut Line,
        source: &impl Source,
        place: u64,
        waker: &Waker,
    ) -> Result<bool, ArenaError> {
        if !source.prepare()? {
            return Ok(false);
        }
        line.is_armed = true;
        let armed = match &self.alarm {
            Alarm::Thread(alarm) => alarm.arm(),
            Alarm::Sleeper(sleeper) => sleeper.arm(self),
            #[cfg(feature = "tokio")]
            Alarm::Tokio(alarm) => {
                line.leader = Some(place);
                alarm.arm(waker)
            }
        };
        #[cfg(not(feature = "tokio"))]
        let _ = (place, waker);
        if !matches!(armed, Ok(true)) {
            (line.is_armed, line.leader) = (false, None);
        }
        armed
    }

    /// Sees to it that those in the line hear of what comes.
    fn pass_on(self: &Arc<Watch>, source: &impl Source) {
        let mut line = lock(&self.line);
        loop {
            let Some((place, waker)) = line.waiting.front().cloned() else {
                return;
            };
            if line.is_armed {
                return;
            }
            // There is something, or an error, which the first one will see for itself.
            let looks = source.is_ready()
                || match self.arm(&mut line, source, place, &waker) {
                    Ok(true) => return,
                    Ok(false) => source.is_ready(),
                    Err(_) => true,
                };
            if looks {
                let first = line.waiting.pop_front();
                drop(line);
                drop(first);
                return waker.wake();
            }
        }
    }
}

/// One future's wait.
pub(crate) struct Waiter<S: Source> {
    source: S,
    place: Option<Place>,
}

struct Place {
    watches: &'static Watches,
    key: (Key, Runtime),
    watch: Arc<Watch>,
    number: u64,
}

impl<S: Source> Waiter<S> {
    pub(crate) fn new(source: S) -> Waiter<S> {
        Waiter { source, place: None }
    }

    /// Attempts; if that brings nothing, sees to it that the task is woken when it may.
    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<Result<R, ArenaError>> {
        self.step_out();
        loop {
            if let Some(brought) = attempt() {
                self.leave();
                return Poll::Ready(Ok(brought));
            }
            match self.line_up(cx.waker()) {
                Err(e) => {
                    self.leave();
                    return Poll::Ready(Err(e));
                }
                Ok(false) => self.step_out(),
                Ok(true) => {
                    // What came before it was armed is there by now.
                    if let Some(brought) = attempt() {
                        self.leave();
                        return Poll::Ready(Ok(brought));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Out of the line, if it stands there: it looks now.
    fn step_out(&mut self) {
        // What a fork child has of its parent's is not even unlocked.
        if self.place.as_ref().is_some_and(|place| !std::ptr::eq(place.watches, WATCHES.get())) {
            std::mem::forget(self.place.take());
        }
        if let Some(Place { watch, number, .. }) = &self.place {
            let mut line = lock(&watch.line);
            let at = line.waiting.iter().position(|(other, _)| other == number);
            let waker = at.and_then(|at| line.waiting.remove(at));
            if line.leader == Some(*number) {
                (line.is_armed, line.leader) = (false, None);
            }
            // Not under the lock: with its last waker a task may go, and with it other waiters.
            drop(line);
            drop(waker);
        }
    }

    /// Into the line, which is armed then. False: look again.
    fn line_up(&mut self, waker: &Waker) -> Result<bool, ArenaError> {
        let place = match &mut self.place {
            Some(place) => place,
            none => none.insert(Place::take(&self.source)?),
        };
        let mut line = lock(&place.watch.line);
        line.waiting.push_back((place.number, waker.clone()));
        if line.is_armed {
            return Ok(true);
        }
        place.watch.arm(&mut line, &self.source, place.number, waker)
    }

    /// Out of the line for good. Others go on.
    fn leave(&mut self) {
        self.step_out();
        let Some(place) = self.place.take() else {
            return;
        };
        let mut all = lock(&place.watches.all);
        let last = all.get_mut(&place.key).is_none_or(|shared| {
            shared.waiters -= 1;
            shared.waiters == 0
        });
        if last {
            if !place.watch.rest() {
                all.remove(&place.key);
            }
            self.source.finish();
            return;
        }
        drop(all);
        place.watch.pass_on(&self.source);
    }
}

impl<S: Source> Drop for Waiter<S> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Place {
    fn take(source: &impl Source) -> Result<Place, ArenaError> {
        let watches = WATCHES.get();
        let mut all = lock(&watches.all);
        let key = (source.key(), runtime());
        if let Some(shared) = all.get_mut(&key) {
            shared.waiters += 1;
            let watch = Arc::clone(&shared.watch);
            drop(all);
            return Ok(Place::at(watches, key, watch));
        }
        let alarm = match source.way()? {
            Way::Sleep(sleep) => Ok(Alarm::Sleeper(sleeper::Sleeper::new(sleep))),
            Way::Readable(fd) => watches.alarm(fd),
        };
        let alarm = match alarm {
            Ok(alarm) => alarm,
            Err(e) => {
                source.finish();
                return Err(e);
            }
        };
        let watch = Arc::new(Watch { line: Mutex::default(), alarm });
        watch.begin();
        all.insert(key, Shared { watch: Arc::clone(&watch), waiters: 1 });
        drop(all);
        Ok(Place::at(watches, key, watch))
    }

    fn at(watches: &'static Watches, key: (Key, Runtime), watch: Arc<Watch>) -> Place {
        let mut line = lock(&watch.line);
        line.next += 1;
        let number = line.next;
        drop(line);
        Place { watches, key, watch, number }
    }
}

impl Watch {
    fn begin(self: &Arc<Watch>) {
        if let Alarm::Thread(alarm) = &self.alarm {
            alarm.begin(self);
        }
    }

    /// Nobody waits any more. True: the watch is kept for a while.
    fn rest(&self) -> bool {
        match &self.alarm {
            Alarm::Thread(alarm) => alarm.end(),
            Alarm::Sleeper(sleeper) => return sleeper.rest(),
            #[cfg(feature = "tokio")]
            Alarm::Tokio(_) => {} // ends when it is dropped
        }
        false
    }
}

impl Watches {
    /// Who is to tell of a descriptor: tokio's reactor inside a runtime, else this crate's.
    fn alarm(&self, fd: RawFd) -> Result<Alarm, ArenaError> {
        #[cfg(feature = "tokio")]
        if tokio::current().is_some() {
            return tokio::Alarm::new(fd).map(Alarm::Tokio);
        }
        Ok(Alarm::Thread(thread::Alarm::new(self.reactor()?, fd)))
    }

    fn reactor(&self) -> Result<Arc<thread::Reactor>, ArenaError> {
        let mut thread = lock(&self.thread);
        if let Some(reactor) = &*thread {
            return Ok(Arc::clone(reactor));
        }
        let reactor = thread::Reactor::start().map_err(|e| refused(&e))?;
        *thread = Some(Arc::clone(&reactor));
        Ok(reactor)
    }
}

fn refused(e: &std::io::Error) -> ArenaError {
    ArenaError::Detached(format!("futures cannot wait in this process: {e}"))
}
