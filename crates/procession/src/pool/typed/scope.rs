//! Tasks that are over when a block of code is.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calls::Calls;
use super::error::TaskError;
use super::job::Job;
use super::task::Task;
use crate::channel::message::Patience;

/// Where tasks are submitted that [`Pool::scope`](super::Pool::scope) waits for.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// procession::init();
/// let pool = procession::Pool::new(2)?;
/// let sum = pool.scope(|scope| {
///     let halves = [scope.submit(|n: u32| n + 1, 1), scope.submit(|n: u32| n + 2, 2)];
///     halves.into_iter().map(|task| task.join()).sum::<Result<u32, _>>()
/// })??;
/// assert_eq!(sum, 6);
/// # Ok(()) }
/// ```
pub struct Scope<'p> {
    calls: Calls<'p>,
    jobs: Mutex<Vec<Arc<Job>>>,
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let open = jobs.iter().filter(|job| !job.is_over()).count();
        f.debug_struct("Scope").field("tasks", &jobs.len()).field("under_way", &open).finish()
    }
}

impl<'p> Scope<'p> {
    pub(super) fn run<T>(
        calls: Calls<'p>,
        body: impl FnOnce(&Scope<'p>) -> T,
    ) -> Result<T, TaskError> {
        let scope = Scope { calls, jobs: Mutex::default() };
        let done = catch_unwind(AssertUnwindSafe(|| body(&scope)));
        let jobs = scope.jobs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let all_over = || jobs.iter().all(|job| job.is_over()).then_some(());
        let waited = calls.pool.core.wait(Patience::Endless, all_over);
        let value = done.unwrap_or_else(|panic| resume_unwind(panic));
        waited?;
        match jobs.iter().find_map(|job| job.sink.failure()) {
            None => Ok(value),
            Some(error) => Err(error),
        }
    }

    /// As [`Pool::submit`](super::Pool::submit). The task need not be kept.
    #[track_caller]
    pub fn submit<A, R>(&self, function: fn(A) -> R, arguments: A) -> Task<R>
    where
        A: Serialize + DeserializeOwned + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let task = self.calls.submit(function, arguments);
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.push(Arc::clone(&task.job));
        task
    }
}
