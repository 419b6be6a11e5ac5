//! Every public error, one per operation; those that took a value give it back.

use std::fmt;
use std::path::PathBuf;

/// A family could not be made or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// The kernel, a sandbox or a limit refused a system call that shared memory needs.
    #[error("{call} was refused ({source}): {hint}")]
    Refused {
        /// The system call.
        call: &'static str,
        /// What it answered.
        source: std::io::Error,
        /// Which setting allows it.
        hint: &'static str,
    },
    /// The file is no arena, or one of another layout version.
    #[error("not an arena of this version: {0}")]
    Layout(String),
    /// This process has a family already.
    #[error("this process is already a member of another family")]
    AlreadyMember,
    /// No family can be called that.
    #[error(
        "a family can't be called {0:?}: a name has 1 to 100 letters, digits, dots, underscores and \
         hyphens of ASCII, and does not begin with a dot"
    )]
    Name(String),
    /// The file by which the processes of a named family meet can't be used.
    #[error("the meeting place {} can't be used: {why}", path.display())]
    Meeting {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what can be done.
        why: String,
    },
    /// The named family lives, in processes that have another version of Procession.
    #[error(
        "family {name:?} has memory layout {theirs} (process {pid} is in it), this program has {ours}: \
         they need the same version of Procession"
    )]
    OtherVersion {
        /// The family.
        name: String,
        /// One of its processes.
        pid: u32,
        /// Its layout's version.
        theirs: u64,
        /// This program's.
        ours: u64,
    },
    /// All places for processes are taken.
    #[error("the family is full: {0} processes are attached")]
    TooManyParticipants(usize),
}

/// The arena could not do what was asked; it is whole, and the object that was used goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArenaError {
    /// No memory: the limit, the machine or the address space is used up.
    #[error("the arena is full: {requested} bytes were asked for, about {free} are free ({why})")]
    Full {
        /// Bytes that were asked for.
        requested: u64,
        /// Bytes that may still be used.
        free: u64,
        /// Which limit it was.
        why: &'static str,
    },
    /// Shared memory holds what no correct program writes.
    #[error("the arena is corrupt: {0}")]
    Corrupt(String),
    /// This process could not join the family again after a fork.
    #[error("this process is not attached to the family: {0}")]
    Detached(String),
}

/// A handle could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The bytes are no handle.
    #[error("these bytes are no handle of a Procession object")]
    Malformed,
    /// The object was destroyed: nobody held it any more.
    #[error("the object is gone: its last handle was dropped before this one was opened")]
    Gone,
    /// The descriptor is not the one that travelled with the handle.
    #[error("the descriptor is not an end of the pipe that the handle names")]
    WrongSocket,
    /// The descriptor did not travel with the handle.
    #[error("a connection's descriptor comes with the arguments of a new process only")]
    NoDescriptor,
    /// The family of the handle cannot be reached from this process.
    #[error(
        "the handle belongs to a family of which no member can be reached from this process \
         (pid {pid}: {why}); processes that share no ancestor need a named family"
    )]
    Outside {
        /// A member at the time when the handle was made.
        pid: u32,
        /// Why it could not be reached.
        why: String,
    },
    /// The family could not be joined.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// The arena refused.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// A pipe could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// There can be no family.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// There is no memory in the arena.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// There are no descriptors left, or the sandbox refuses `socketpair`.
    #[error("no pair of sockets could be made: {0}")]
    Socket(#[source] std::io::Error),
}

/// A `put` or `send` did not happen; the value comes back.
#[non_exhaustive]
pub enum PutError<T> {
    /// There was no room.
    Full(T),
    /// The queue was closed, or nobody has the connection's other end any more.
    Closed(T),
    /// There is no memory for the message, or the arena is damaged.
    Arena(T, ArenaError),
    /// The value could not be serialised.
    Encode(T, String),
    /// The value, or its priority, has no place in the queue's order: it has none, or can't be compared
    /// with what is there. Only queues by priority say this.
    Unordered(T, String),
}

impl<T> PutError<T> {
    /// The value that was not put.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put(1)?;
    /// assert_eq!(q.try_put(2).unwrap_err().into_inner(), 2);
    /// # Ok(()) }
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(v)
            | PutError::Closed(v)
            | PutError::Arena(v, _)
            | PutError::Encode(v, _)
            | PutError::Unordered(v, _) => v,
        }
    }

    #[cfg(all(feature = "async", feature = "bytemuck"))]
    pub(crate) fn without_value(self) -> PutError<()> {
        self.map(drop)
    }

    /// The same of what is made of the value.
    pub(crate) fn map<V>(self, make: impl FnOnce(T) -> V) -> PutError<V> {
        match self {
            PutError::Full(v) => PutError::Full(make(v)),
            PutError::Closed(v) => PutError::Closed(make(v)),
            PutError::Arena(v, e) => PutError::Arena(make(v), e),
            PutError::Encode(v, e) => PutError::Encode(make(v), e),
            PutError::Unordered(v, e) => PutError::Unordered(make(v), e),
        }
    }

    /// Whether there was no room.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put('a')?;
    /// assert!(q.try_put('b').unwrap_err().is_full());
    /// # Ok(()) }
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("Full(..)"),
            PutError::Closed(_) => f.write_str("Closed(..)"),
            PutError::Arena(_, e) => write!(f, "Arena(.., {e:?})"),
            PutError::Encode(_, e) => write!(f, "Encode(.., {e:?})"),
            PutError::Unordered(_, e) => write!(f, "Unordered(.., {e:?})"),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("there is no room"),
            PutError::Closed(_) => f.write_str("closed: nobody will take the value"),
            PutError::Arena(_, e) => e.fmt(f),
            PutError::Encode(_, e) => write!(f, "the value could not be serialised: {e}"),
            PutError::Unordered(_, e) => write!(f, "no place in the queue's order: {e}"),
        }
    }
}

impl<T> std::error::Error for PutError<T> {}

/// A `get` or `recv` brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// Nothing was there, or came in time.
    #[error("there is nothing to take")]
    Empty,
    /// Closed, by whoever could put or send, and empty.
    #[error("closed, and nothing is left to take")]
    Closed,
    /// The message is not what was expected; it was taken.
    #[error("the message could not be decoded: {0}")]
    Decode(String),
    /// The arena is damaged, or there is no address space for the message (which stays).
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// A process could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program has not called [`init`](crate::init).
    #[error(
        "call procession::init() first in main: a new process is this program anew, and init is \
         what makes it run the function instead of main"
    )]
    NotInitialised,
    /// The program runs with more rights than its caller has.
    #[error(
        "this program runs with more rights than its caller (setuid, setgid or file capabilities): \
         it takes no orders, so it can't start itself anew"
    )]
    Privileged,
    /// The function is in no file that this program was loaded from, so no other process can find it.
    #[error("the function was made at run time: another process cannot find it")]
    NoSuchFunction,
    /// The arguments could not be serialised.
    #[error("the arguments could not be serialised: {0}")]
    Encode(String),
    /// There can be no family.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// There is no memory for the arguments.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The system refused the process: too many of them, no memory, or no `/proc`.
    #[error("no process could be started: {0}")]
    System(#[from] std::io::Error),
}

/// A process has given no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It still runs. Nothing has changed.
    #[error("the process still runs")]
    TimedOut,
    /// The function panicked.
    #[error("the process panicked{}: {message}", place.as_ref().map(|p| format!(" at {p}")).unwrap_or_default())]
    Panicked {
        /// The panic's text.
        message: String,
        /// File, line and column, if they are known.
        place: Option<String>,
    },
    /// A signal ended it before the function returned.
    #[error("the process was killed by signal {signal}")]
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// It called [`exit`](std::process::exit), or something else ended it so.
    #[error("the process ended with exit code {code}, before its function returned")]
    Exited {
        /// The exit code.
        code: i32,
    },
    /// It ended without taking its order: `main` does not come to [`init`](crate::init), or something
    /// ended it before.
    #[error("the process did not begin ({ended}); does main call procession::init() first?")]
    NeverBegan {
        /// How it ended.
        ended: std::process::ExitStatus,
    },
    /// It could not carry out its order, and says why.
    #[error("the process could not begin: {0}")]
    Refused(String),
    /// The function's value could not be serialised there, or there was no memory for it.
    #[error("the value could not be sent: {0}")]
    Unsent(String),
    /// The function's value could not be deserialised here.
    #[error("the value could not be decoded: {0}")]
    Decode(String),
    /// The value was given to an earlier caller.
    #[error("the value was taken before")]
    Taken,
    /// Somebody else has waited for the process, so nobody knows how it ended; it gave no value.
    #[error("the process has ended without a value; how, somebody else was told")]
    Unknown,
    /// The arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The system refused to wait.
    #[error("the process could not be waited for: {0}")]
    System(#[from] std::io::Error),
}

/// `done` was called more often than messages were put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("done() was called more often than messages were put")]
pub struct TooManyDone;

/// A value could not be reported as done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskDoneError {
    /// Every value that was put is done already.
    #[error("task_done() was called more often than values were put")]
    TooMany(#[from] TooManyDone),
    /// The arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}
