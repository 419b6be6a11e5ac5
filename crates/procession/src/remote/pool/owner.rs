//! The owner's side of a pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::life::Life;
use super::super::object::Object;
use super::super::script::Script;
use super::super::{Patience, RemoteError, Server};
use super::{POOL, SPAN, board, persist, script};

static OPEN: Script = script!("opening a pool", "pool_open.lua");
static PUT: Script = script!("putting tasks", "pool_put.lua");
static RESULTS: Script = script!("taking results", "pool_results.lua");
static CANCEL: Script = script!("cancelling tasks", "pool_cancel.lua");
static UNKNOWN: Script = script!("looking for tasks", "pool_unknown.lua");
static SWEEP: Script = script!("looking after workers", "pool_sweep.lua");
static END: Script = script!("ending a pool", "pool_end.lua");

/// The waiters' place among the pool's keys.
const WAITERS: usize = 7;
/// So many results at most are taken at once, and about so many bytes.
const MANY: i64 = 512;
const MUCH: i64 = 4 << 20;

/// A task to be put.
#[derive(Clone, Copy, Debug)]
pub struct NewTask<'a> {
    /// The owner's number for it, below 2⁴⁰; none comes twice.
    pub number: u64,
    /// What its worker must have: empty for Python's functions, else a name that it serves.
    pub need: &'a str,
    /// What is to be done.
    pub body: &'a [u8],
}

/// What became of a task, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// All that was not in a part before.
    Done(u64, Vec<u8>),
    /// What there is so far.
    Part(u64, Vec<u8>),
    /// Its worker is no more; it may have been begun.
    Lost {
        /// The task.
        number: u64,
        /// Whether the worker said so itself, when it left; else its lease ran out.
        left: bool,
        /// What the worker had said of itself.
        worker: String,
    },
    /// The server does not know of it any more: it was restored to an earlier state. It may have been begun.
    Forgotten(u64),
    /// All workers there are can't work for this pool; the text is the last one's.
    Broken(Vec<u8>),
}

/// A pool, for the one who has made it.
#[derive(Debug)]
pub struct RawOwner {
    pool: Object,
    board: Object,
    life: Arc<Life>,
    taken: Mutex<Taken>,
    /// The tasks of which nothing has been reported, and whether the server is known to have got them.
    out: Mutex<HashMap<u64, bool>>,
}

#[derive(Debug)]
struct Taken {
    /// How many results in all.
    had: u64,
    /// When it was last looked whether the server still knows of all tasks.
    looked: Instant,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RawOwner {
    /// Begins a pool on the board of that name. `options` is for its workers.
    pub fn open(
        server: &Server,
        name: &str,
        options: &[u8],
    ) -> Result<(RawOwner, Vec<String>), RemoteError> {
        let board = board(server, name)?;
        let (pool, _) = Object::anonymous(server, &POOL, &[])?;
        let life = pool.client()?.life();
        let call = pool.call(&OPEN)?.of_life(&life).arg(board.key()).arg(options);
        let mut workers = call.run(&Patience::forever())?.array(0)?;
        let workers = (0..workers.len()).map(|i| workers.text(i)).collect::<Result<_, _>>()?;
        let taken = Mutex::new(Taken { had: 0, looked: Instant::now() });
        Ok((RawOwner { pool, board, life, taken, out: Mutex::default() }, workers))
    }

    /// Its key, by which workers know it.
    #[must_use]
    pub fn key(&self) -> &str {
        self.pool.key()
    }

    /// Puts tasks, all at once. `blobs` are named bytes that bodies refer to, `unused` those that none does any more.
    pub fn put(
        &self,
        tasks: &[NewTask<'_>],
        blobs: &[(&str, &[u8])],
        unused: &[&str],
        patience: &Patience<'_>,
    ) -> Result<(), RemoteError> {
        let mut call = self.pool.call(&PUT)?.of_life(&self.life).arg(self.board.key());
        call = call.arg(tasks.len().to_string());
        for task in tasks {
            call = call.arg(task.number.to_string()).arg(task.need).arg(task.body);
        }
        call = call.arg(blobs.len().to_string());
        for (name, bytes) in blobs {
            call = call.arg(name).arg(bytes);
        }
        for name in unused {
            call = call.arg(name);
        }
        // Before it is put, since its result may be here before this returns.
        locked(&self.out).extend(tasks.iter().map(|task| (task.number, false)));
        // A refusal is of the whole.
        let put = persist(self.pool.server(), patience, || call.run(patience));
        let mut out = locked(&self.out);
        for task in tasks {
            match put {
                Ok(_) => drop(out.entry(task.number).and_modify(|got| *got = true)),
                Err(_) => drop(out.remove(&task.number)),
            }
        }
        put.map(drop)
    }

    /// Waits for reports; none if patience ends first. For one thread at a time.
    pub fn results(&self, patience: &Patience<'_>) -> Result<Vec<Report>, RemoteError> {
        let mut taken = locked(&self.taken);
        let mut attempt = |member: Option<&str>| {
            let call = self.pool.call(&RESULTS)?.of_life(&self.life);
            let call = call.arg(member.unwrap_or("")).arg(taken.had.to_string());
            let mut reply = call.int(MANY).int(MUCH).read(patience)?;
            let reports = (0..reply.len()).map(|i| {
                let bytes = reply.bytes(i)?.unwrap_or_default();
                Report::read(&bytes)
            });
            let mut reports = reports.collect::<Result<Vec<_>, _>>()?;
            taken.had += reports.len() as u64;
            if reports.is_empty() {
                // Who has died with a task would be waited for in vain, and so would what was forgotten.
                self.sweep(patience)?;
                reports = self.forgotten(&mut taken, patience)?;
            }
            Ok(Some(reports).filter(|reports| !reports.is_empty()))
        };
        let found = persist(self.pool.server(), patience, || {
            self.pool.wait(WAITERS, patience, &mut attempt)
        })?;
        let found = found.unwrap_or_default();
        let mut out = locked(&self.out);
        for report in &found {
            if let Report::Done(number, _)
            | Report::Lost { number, .. }
            | Report::Forgotten(number) = report
            {
                out.remove(number);
            }
        }
        Ok(found)
    }

    /// What the server should know of, and does not: looked for once in a lease, when nothing else is reported.
    fn forgotten(
        &self,
        taken: &mut Taken,
        patience: &Patience<'_>,
    ) -> Result<Vec<Report>, RemoteError> {
        if taken.looked.elapsed() < self.pool.server().address().lease() / 3 {
            return Ok(Vec::new());
        }
        let out: Vec<_> =
            locked(&self.out).iter().filter(|(_, got)| **got).map(|(number, _)| *number).collect();
        let mut unknown = Vec::new();
        for some in out.chunks(MANY.unsigned_abs() as usize) {
            let call = self.pool.call(&UNKNOWN)?.of_life(&self.life);
            let mut call = call.arg(self.board.key()).arg(taken.had.to_string());
            for number in some {
                call = call.arg(number.to_string());
            }
            let reply = call.read(patience)?;
            for i in 0..reply.len() {
                unknown.push(Report::Forgotten(reply.int(i)?.unsigned_abs()));
            }
        }
        taken.looked = Instant::now();
        Ok(unknown)
    }

    /// Drops tasks that no worker has, and says which these were: of them nothing will be reported.
    pub fn cancel(&self, numbers: &[u64]) -> Result<Vec<u64>, RemoteError> {
        let mut call = self.pool.call(&CANCEL)?.of_life(&self.life);
        for number in numbers {
            call = call.arg(number.to_string());
        }
        let struck = call.run(&Patience::forever())?;
        let struck = (0..struck.len()).map(|i| Ok(struck.int(i)?.unsigned_abs()));
        let struck = struck.collect::<Result<Vec<_>, _>>()?;
        let mut out = locked(&self.out);
        for number in &struck {
            out.remove(number);
        }
        Ok(struck)
    }

    /// Looks whether workers have died, and what those who live say of themselves.
    pub fn sweep(&self, patience: &Patience<'_>) -> Result<Vec<String>, RemoteError> {
        let mut reply =
            self.board.call(&SWEEP)?.of_maybe_none().arg(self.board.key()).read(patience)?;
        let mut found = reply.array(0)?;
        (0..found.len()).map(|i| found.text(i)).collect()
    }

    /// Ends it: nothing is left of it, and what workers still do is for nobody.
    pub fn end(&self) -> Result<(), RemoteError> {
        let call = self.pool.call(&END)?.of_maybe_none();
        call.arg(self.board.key()).run(&Patience::forever())?;
        Ok(())
    }
}

impl Report {
    fn read(bytes: &[u8]) -> Result<Report, RemoteError> {
        let corrupt = || RemoteError::Corrupt("a pool's result is none".into());
        let mut parts = bytes.splitn(3, |byte| *byte == b' ');
        let mut next = || parts.next().ok_or_else(corrupt);
        let (task, kind, body) = (next()?, next()?, next()?);
        let task: u64 = std::str::from_utf8(task)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(corrupt)?;
        let number = task % SPAN;
        match kind {
            b"done" => Ok(Report::Done(number, body.to_vec())),
            b"part" => Ok(Report::Part(number, body.to_vec())),
            b"broken" => Ok(Report::Broken(body.to_vec())),
            b"lost" => {
                let text = String::from_utf8_lossy(body);
                let (how, worker) = text.split_once('\n').ok_or_else(corrupt)?;
                Ok(Report::Lost { number, left: how == "left", worker: worker.to_string() })
            }
            _ => Err(corrupt()),
        }
    }
}
