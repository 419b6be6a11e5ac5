//! What can become of a pool and of its tasks.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::{ArenaError, FamilyError};
use crate::sync::Ended;

/// A pool could not be made, or does nothing more.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Pool, PoolError};
/// procession::init();
/// assert!(matches!(Pool::new(0), Err(PoolError::Workers(0))));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// There can be no family, or no memory for the pool.
    #[error("the pool could not be made: {0}")]
    Arena(String),
    /// A worker process could not be started.
    #[error("no worker could be started: {0}")]
    Start(String),
    /// A pool has 1 to 2048 workers.
    #[error("a pool has 1 to 2048 workers, and not {0}")]
    Workers(usize),
    /// The initializer's arguments could not be serialised.
    #[error("the initializer's arguments could not be serialised: {0}")]
    Initializer(String),
    /// The pool has ended by itself: its workers do not come up, or its memory is damaged.
    #[error("the pool was ended: {0}")]
    Broken(String),
    /// The pool was dropped, or told to shut down.
    #[error("the pool was shut down")]
    Closed,
    /// This process is a fork of the one that made the pool, to which alone its workers report.
    #[error("the pool belongs to the process that made it, and this one is a fork of that")]
    NotOwner,
}

impl From<ArenaError> for PoolError {
    fn from(error: ArenaError) -> PoolError {
        PoolError::Arena(error.to_string())
    }
}

impl From<FamilyError> for PoolError {
    fn from(error: FamilyError) -> PoolError {
        PoolError::Arena(error.to_string())
    }
}

/// Which task it was: where the program has handed it in, and the how manieth of its call.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::TaskError;
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let failed = pool.map(|n: u32| 10 / n, [5, 0]);
/// let Err(TaskError::Panicked { task, .. }) = failed else { panic!("{failed:?}") };
/// assert_eq!(task.item, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TaskId {
    /// Where `submit`, `map` or whichever it was is called.
    pub caller: &'static Location<'static>,
    /// Which item of its call, from 0.
    pub item: usize,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task of {}:{}", self.caller.file(), self.caller.line())?;
        if self.item == 0 { Ok(()) } else { write!(f, ", item {}", self.item) }
    }
}

/// A task has no result.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::TaskError;
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let fatal = |code: i32| -> u32 { std::process::exit(code) };
/// match pool.submit(fatal, 3).join() {
///     Err(TaskError::WorkerLost { ended, .. }) => println!("its worker ended: {ended:?}"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked. Its worker goes on.
    #[error("{task} panicked{}: {message}", at(.place.as_deref()))]
    Panicked {
        /// Which one.
        task: TaskId,
        /// What it said.
        message: String,
        /// Where: the file, line and column.
        place: Option<String>,
    },
    /// The worker's process ended while it was at this task.
    #[error("{task}: its worker {pid} {}", ending(*.ended))]
    WorkerLost {
        /// Which one.
        task: TaskId,
        /// The process.
        pid: u32,
        /// How it ended, if that is known.
        ended: Option<Ended>,
    },
    /// The task took longer than its limit, and its worker was killed.
    #[error("{task}: no result after {limit:?}, and its worker {pid} was killed")]
    TimedOut {
        /// Which one.
        task: TaskId,
        /// The process.
        pid: u32,
        /// The limit.
        limit: Duration,
    },
    /// The arguments could not be sent: they could not be serialised, or there is no memory.
    #[error("{task}: the arguments could not be sent: {message}")]
    Send {
        /// Which one.
        task: TaskId,
        /// Why.
        message: String,
    },
    /// The worker could not deserialise the arguments.
    #[error("{task}: the arguments could not be read: {message}")]
    Receive {
        /// Which one.
        task: TaskId,
        /// Why.
        message: String,
    },
    /// The result could not be serialised by the worker, or not be deserialised here.
    #[error("{task}: the result could not be sent: {message}")]
    Result {
        /// Which one.
        task: TaskId,
        /// Why.
        message: String,
    },
    /// It was cancelled before it began.
    #[error("the task was cancelled before it began")]
    Cancelled,
    /// The result was taken already.
    #[error("the result of this task was taken already")]
    Taken,
    /// The pool has ended, or could not be used.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

fn at(place: Option<&str>) -> String {
    place.map_or(String::new(), |place| format!(" at {place}"))
}

fn ending(ended: Option<Ended>) -> String {
    match ended {
        Some(Ended::Exited(code)) => format!("exited with code {code}"),
        Some(Ended::Signalled(signal)) => format!("was killed by signal {signal}"),
        _ => "died".into(),
    }
}
