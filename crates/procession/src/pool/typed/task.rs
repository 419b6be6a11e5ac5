//! A call with one result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::TaskError;
use super::job::Job;
use super::results::Results;
use crate::channel::message::Patience;

/// A task that was submitted to a [`Pool`](super::Pool).
///
/// Dropping it does not cancel it. When the pool ends before the task does, that is its result.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(1)?;
/// let task = pool.submit(|name: String| format!("hello, {name}"), "world".to_string());
/// assert_eq!(task.join()?, "hello, world");
/// # Ok(()) }
/// ```
#[must_use = "a task's failure is seen by nobody who does not join it"]
pub struct Task<R> {
    pub(super) core: Arc<Core>,
    pub(super) job: Arc<Job>,
    pub(super) results: Arc<Results<R>>,
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("caller", &format_args!("{}", self.job.caller))
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

impl<R> Task<R> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`TaskError`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|_: ()| -> u32 { panic!("oh") }, ());
    /// assert!(matches!(task.join(), Err(procession::TaskError::Panicked { .. })));
    /// # Ok(()) }
    /// ```
    pub fn join(self) -> Result<R, TaskError> {
        self.join_with(Patience::Endless).unwrap_or(Err(TaskError::Taken))
    }

    /// The result, if it is there; it is given once.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let mut task = pool.submit(|n: u32| n + 1, 1);
    /// while task.try_join().is_none() {
    ///     // something else
    /// }
    /// assert!(matches!(task.join(), Err(procession::TaskError::Taken)));
    /// # Ok(()) }
    /// ```
    pub fn try_join(&mut self) -> Option<Result<R, TaskError>> {
        self.join_with(Patience::None)
    }

    /// The result, if it comes in time.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let mut slow = pool.submit(|ms| std::thread::sleep(Duration::from_millis(ms)), 500);
    /// assert!(slow.join_timeout(Duration::from_millis(1)).is_none());
    /// # Ok(()) }
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.join_with(Patience::of(timeout))
    }

    fn join_with(&self, patience: Patience) -> Option<Result<R, TaskError>> {
        let waited = self.core.wait(patience, || self.job.is_over().then_some(()));
        match waited {
            Ok(None) => None,
            Ok(Some(())) => {
                Some(self.results.take_all().and_then(|mut all| all.pop().ok_or(TaskError::Taken)))
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Whether its result is there.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|n: u32| n + 1, 1);
    /// pool.wait()?;
    /// assert!(task.is_done());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.job.is_over()
    }

    /// Has it not be done if it has not begun: its result is [`TaskError::Cancelled`] then. One that has
    /// begun goes on to its end.
    ///
    /// A hint, once a worker is about to take it: the pool remembers thirty such tasks.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::init();
    /// let pool = procession::Pool::new(1)?;
    /// let task = pool.submit(|n: u32| n + 1, 1);
    /// task.cancel();
    /// assert!(matches!(task.join(), Ok(2) | Err(procession::TaskError::Cancelled)));
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self) {
        self.core.stop_job(&self.job);
    }
}
