//! Processes that run a function of this program.
//!
//! [`Process::spawn`] starts this program anew, as a process of the same family, and has it run one
//! function instead of `main`, with arguments and a value of any type that serde can write: handles of
//! queues, locks and collections, and ends of pipes, among them. [`init`] at the top of `main` is what
//! makes that possible. [`fork`] copies the process as it is.
//!
//! Arguments and value lie in the family's memory. The function is named by its place in the
//! program's file, which the child executes again (also if another file has its name by now).
//!
//! # Blocking
//! [`Process::spawn`] does not wait for the child. [`Process::join`] and [`Process::wait`] wait until
//! it has ended; a signal does not interrupt them.
//!
//! # When a process dies
//! A child that ends before its function has returned, by whatever means, is known by
//! [`JoinError`]: no `join` waits for what cannot come. What it held goes the way of
//! all that the dead held: its messages are whole or not there, its locks are abandoned, and who takes
//! one is told how it ended, since a parent that waits for a child tells the family. When the parent
//! dies its children live on, unless [`ProcessBuilder::die_with_parent`] says otherwise. One that had
//! not begun does nothing.

mod birth;
mod builder;
mod fork;
mod kid;
mod line;

pub use birth::init;
pub(crate) use birth::panic_said;
pub use builder::ProcessBuilder;
pub use fork::{Fork, fork};

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{JoinError, SpawnError};
use kid::Kid;

/// A process that was started from this one, and the value of its function to come.
///
/// Dropping it neither ends the process nor waits for it, as with a thread's handle; see
/// [`ProcessBuilder::kill_on_drop`]. When such a process has ended, it is waited for by the next
/// `spawn` or drop of another, so that no more zombies stay than processes ran at a time.
///
/// # Examples
/// ```
/// use procession::{Process, Queue};
///
/// fn square(jobs: Queue<u64>) -> u64 {
///     std::iter::from_fn(|| jobs.get().ok()).map(|n| n * n).sum()
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     procession::init();
///     let jobs = Queue::unbounded()?;
///     let process = Process::spawn(square, jobs.clone())?;
///     jobs.put_many(1..=3)?;
///     jobs.close();
///     assert_eq!(process.join()?, 14);
///     Ok(())
/// }
/// ```
pub struct Process<R> {
    /// `None` only while it is being dropped.
    kid: Option<Kid>,
    name: String,
    kill_on_drop: bool,
    value: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid())
            .field("name", &self.name)
            .field("is_alive", &self.is_alive())
            .field("ended", &self.kid().known_end().and_then(kid::End::status))
            .finish_non_exhaustive()
    }
}

impl<R> AsFd for Process<R> {
    /// See [`Process::sentinel`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl<R> Process<R> {
    fn new(kid: Kid, name: String, kill_on_drop: bool) -> Process<R> {
        Process { kid: Some(kid), name, kill_on_drop, value: PhantomData }
    }

    fn kid(&self) -> &Kid {
        self.kid.as_ref().expect("it is being dropped")
    }

    /// Its process id. Once it has been waited for, the number may be another's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.kid().child.pid
    }

    /// What it is called: [`ProcessBuilder::name`], or `process-` and a number.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A descriptor (a pidfd) that is readable when the process has ended: for `poll` and `select`.
    #[must_use]
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.kid().fd()
    }

    /// Whether it still runs. A stopped one does.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // Where it cannot be asked for, it is there as far as anybody knows.
        !matches!(self.kid().wait(Some(Instant::now())), Ok(Some(_)))
    }

    /// Kills it (SIGKILL). Does nothing if it has ended.
    ///
    /// # Errors
    /// The system's, if it runs as another user by now.
    pub fn kill(&self) -> io::Result<()> {
        self.kid().child.signal(true).map(drop)
    }

    /// Asks it to end (SIGTERM). Does nothing if it has.
    ///
    /// # Errors
    /// As [`Process::kill`].
    pub fn terminate(&self) -> io::Result<()> {
        self.kid().child.signal(false).map(drop)
    }

    /// Waits until it has ended, and says how; the value stays for a `join`.
    ///
    /// # Errors
    /// The system's; [`NotFound`](io::ErrorKind::NotFound) if somebody else has waited for it, so that
    /// nobody knows.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_until(None)? {
                return Ok(status);
            }
        }
    }

    /// How it ended; `None` if it still runs.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.wait_until(Some(Instant::now()))
    }

    /// Waits until it has ended, at most so long, and says how; `None` if it still runs.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        let Some(end) = self.kid().wait(deadline)? else {
            return Ok(None);
        };
        let text = "somebody else has waited for the process (or SIGCHLD is ignored)";
        let unknown = || io::Error::new(io::ErrorKind::NotFound, text);
        end.status().ok_or_else(unknown).map(Some)
    }
}

impl<R: Serialize + DeserializeOwned> Process<R> {
    /// Starts a process that runs `function(arguments)`; does not wait for it.
    ///
    /// The function is a plain one, or a closure that captures nothing. What it needs goes in the
    /// arguments, which it gets as serde reads them. Handles in them stay good, whatever becomes of
    /// those here; a [`Connection`](crate::Connection) in them is closed here.
    ///
    /// When it returns, its process ends: threads that it has left behind end with it.
    ///
    /// The child is this program anew, with the same arguments and environment: what `main` does
    /// before [`init`] it does as well. It shares nothing with its parent but the family,
    /// the standard streams, and what it was given. A signal from the terminal (Ctrl-C) reaches both.
    ///
    /// # Errors
    /// [`SpawnError`]: `NotInitialised` if `main` has not called [`init`], `Privileged` if it must not count, `Encode` if the
    /// arguments can't be serialised, `Arena` if there is no memory for them, `System` if there can be
    /// no process.
    ///
    /// # Examples
    /// ```
    /// use procession::{JoinError, Process};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     procession::init();
    ///     let sum = Process::spawn(|(a, b): (i32, i32)| a + b, (20, 22))?;
    ///     assert_eq!(sum.join()?, 42);
    ///
    ///     let broken = Process::spawn(|_: u32| -> u32 { panic!("out of luck") }, 7)?;
    ///     match broken.join() {
    ///         Err(JoinError::Panicked { message, .. }) => assert_eq!(message, "out of luck"),
    ///         other => panic!("{other:?}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn spawn<A>(function: fn(A) -> R, arguments: A) -> Result<Process<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned,
    {
        ProcessBuilder::new().spawn(function, arguments)
    }
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits until the process has ended, and gives the value that the function returned.
    ///
    /// A function that had returned has done so, even if its process was killed after that.
    ///
    /// # Errors
    /// [`JoinError`]: why there is no value.
    pub fn join(self) -> Result<R, JoinError> {
        self.join_until(None)
    }

    /// The value, if the process has ended. It is given once.
    ///
    /// # Errors
    /// As [`Process::join`], and [`JoinError::TimedOut`] if it still runs, [`JoinError::Taken`] if the
    /// value was given before.
    pub fn try_join(&self) -> Result<R, JoinError> {
        self.join_until(Some(Instant::now()))
    }

    /// Waits until the process has ended, at most so long, and gives the value. It is given once.
    ///
    /// # Errors
    /// As [`Process::try_join`].
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use procession::{JoinError, Process};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     procession::init();
    ///     let sleeper = Process::spawn(|(): ()| std::thread::sleep(Duration::MAX), ())?;
    ///     let late = sleeper.join_timeout(Duration::from_millis(10));
    ///     assert!(matches!(late, Err(JoinError::TimedOut)));
    ///     sleeper.kill()?;
    ///     assert!(matches!(sleeper.join(), Err(JoinError::Killed { signal: 9 })));
    ///     Ok(())
    /// }
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<R, JoinError> {
        self.join_until(Instant::now().checked_add(timeout))
    }

    fn join_until(&self, deadline: Option<Instant>) -> Result<R, JoinError> {
        let ended = self.kid().wait(deadline)?.ok_or(JoinError::TimedOut)?;
        self.kid().answer(ended)
    }
}

impl<R> Drop for Process<R> {
    fn drop(&mut self) {
        let Some(kid) = self.kid.take() else { return };
        if self.kill_on_drop && kid.is_mine() && kid.child.signal(true).is_ok() {
            let _ = kid.wait(None);
        }
        kid.leave_alone();
        kid::bury_the_ended();
    }
}
