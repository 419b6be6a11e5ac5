//! A worker's process: how it is started, and what it does first.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;

use super::code::{Code, Initial};
use super::work;
use crate::error::{JoinError, SpawnError};
use crate::pool::RawWorker;
use crate::process::{Process, ProcessBuilder};
use crate::sync::Ended;

/// What a worker is told.
pub(super) struct Start {
    /// By which it becomes a worker.
    pub(super) handle: Vec<u8>,
    /// It ends after so many items.
    pub(super) limit: Option<u64>,
    pub(super) initializer: Option<(Code, Vec<u8>)>,
}

type StartWords = (Vec<u8>, Option<u64>, Option<(Vec<u8>, Vec<u8>)>);

/// A worker, as the owner has it.
pub(super) struct Worker(Process<Result<(), String>>);

impl Worker {
    pub(super) fn start(start: Start, name: String) -> Result<Worker, SpawnError> {
        let initializer = start.initializer.map(|(code, args)| (code.bytes().to_vec(), args));
        let words: StartWords = (start.handle, start.limit, initializer);
        let process = ProcessBuilder::new().name(name).die_with_parent(true);
        process.spawn(serve, words).map(Worker)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// None while it runs. How it ended, if that is known.
    #[expect(clippy::option_option, reason = "whether it has ended, and whether it is known how")]
    pub(super) fn end(&self) -> Option<Option<Ended>> {
        match self.0.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(Ended::from_wait_status(status.into_raw())),
            Err(_) => Some(None),
        }
    }

    /// What one that has ended has to say of it.
    pub(super) fn last_words(&self) -> String {
        match self.0.try_join() {
            Ok(Ok(())) => "it ended".into(),
            Ok(Err(text)) => text,
            Err(JoinError::Panicked { message, place: Some(place) }) => {
                format!("it panicked at {place}: {message}")
            }
            Err(error) => error.to_string(),
        }
    }

    pub(super) fn terminate(&self) {
        let _ = self.0.terminate();
    }

    pub(super) fn kill(&self) {
        let _ = self.0.kill();
    }
}

impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.sentinel()
    }
}

/// The worker's life.
fn serve((handle, limit, initializer): StartWords) -> Result<(), String> {
    let worker = RawWorker::from_handle(&handle).map_err(|error| error.to_string())?;
    if let Some((code, arguments)) = initializer {
        let code = <[u8; Code::LEN]>::try_from(code).map(Code::from_bytes);
        let initial: Option<Box<dyn Initial>> = code.ok().and_then(|code| code.find());
        initial
            .ok_or("the initializer belongs to another build of this program")?
            .call(&arguments)?;
    }
    work::work(&worker, limit).map_err(|error| error.to_string())
}
