//! A worker's side of pools.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::life::Life;
use super::super::object::Object;
use super::super::script::Script;
use super::super::{Patience, RemoteError, Server};
use super::{board, script};
use crate::sys::atomic::{AtomicU64, Ordering};

static ENTER: Script = script!("entering a pool", "pool_enter.lua");
static TAKE: Script = script!("taking a task", "pool_take.lua");
static UNTAKE: Script = script!("giving back a task", "pool_untake.lua");
static ABOUT: Script = script!("asking about a pool", "pool_about.lua");
static LEAVE: Script = script!("leaving a pool", "pool_leave.lua");
static SWEEP: Script = script!("looking after workers", "pool_sweep.lua");

/// The place of those who wait for tasks among the board's keys.
const IDLE: usize = 5;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A task that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTask {
    /// The pool's key.
    pub pool: String,
    /// What it is called.
    pub task: String,
    /// What is to be done.
    pub body: Vec<u8>,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was not in a part before.
    Done,
    /// What there is so far.
    Part,
    /// It was begun, and nobody will finish it.
    Lost,
    /// It was not begun: another worker is to have it.
    Back,
    /// The same, and this worker can't work for that pool; the body says why.
    Refused,
}

/// What a worker says of a task.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The pool's key.
    pub pool: &'a str,
    /// The task.
    pub task: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    /// For the owner.
    pub body: &'a [u8],
}

/// A worker for the pools of one board. Its threads may take tasks side by side.
#[derive(Debug)]
pub struct RawWorker {
    board: Object,
    life: Arc<Life>,
    number: u64,
    can: Vec<String>,
    books: Mutex<Books>,
}

/// A task: its pool's key and what it is called.
type Name = (String, String);

/// What a worker has, as it knows itself.
#[derive(Debug, Default)]
struct Books {
    held: HashSet<Name>,
    /// Questions that are under way, any of which may bring a task.
    asking: BTreeSet<u64>,
    asked: u64,
    /// What it holds by what the server says, and does not know of: since when, and since which question.
    strange: HashMap<Name, (Instant, u64)>,
}

impl Books {
    /// Compares with what the server says that it holds. Returns what it will never have, so that nobody would ever tell
    /// of it: that was told already, to a server that has been restored to an earlier state.
    fn compare(&mut self, there: HashSet<Name>, lease: std::time::Duration) -> Vec<Name> {
        let now = (Instant::now(), self.asked);
        let before = std::mem::take(&mut self.strange);
        let strange = there.into_iter().filter(|name| !self.held.contains(name));
        self.strange = strange
            .map(|name| {
                let since = before.get(&name).copied().unwrap_or(now);
                (name, since)
            })
            .collect();
        // A question from before may still bring it, or have it put back.
        let oldest = self.asking.first().copied().unwrap_or(u64::MAX);
        let over = |(since, asked): (Instant, u64)| since.elapsed() >= lease && oldest > asked;
        self.strange
            .iter()
            .filter(|(_, since)| over(**since))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl RawWorker {
    /// Comes to the board of that name. `can`: the empty text for Python's functions, and names that it serves;
    /// `about`: what it says of itself.
    pub fn enter(
        server: &Server,
        name: &str,
        can: Vec<String>,
        about: &str,
    ) -> Result<RawWorker, RemoteError> {
        let board = board(server, name)?;
        let life = board.client()?.life();
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let worker = RawWorker { board, life, number, can, books: Mutex::default() };
        worker.say(about, false)?;
        Ok(worker)
    }

    /// Whether it was taken for dead, so that others have its tasks.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.life.is_over()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> RemoteError {
        let lease = self.board.server().address().lease();
        RemoteError::LeaseLost { what: "this worker".into(), lease }
    }

    fn say(&self, about: &str, again: bool) -> Result<Vec<String>, RemoteError> {
        let special = self.can.iter().any(|need| !need.is_empty());
        let call = self.board.call(&ENTER)?.of_maybe_none().of_life(&self.life);
        let mut call =
            call.arg(self.number.to_string()).arg(about).int(special.into()).int(again.into());
        for need in self.can.iter().filter(|_| !again) {
            call = call.arg(need);
        }
        let mut reply = call.run(&Patience::forever())?;
        if reply.int(0)? == 0 {
            return Err(self.lost());
        }
        let mut pools = reply.array(1)?;
        let pools = (0..pools.len()).map(|i| pools.text(i)).collect();
        if again {
            let mut holds = reply.array(2)?;
            let holds =
                (0..holds.len() / 2).map(|i| Ok((holds.text(2 * i)?, holds.text(2 * i + 1)?)));
            let holds = holds.collect::<Result<_, RemoteError>>()?;
            let forgotten = self.books().compare(holds, self.board.server().address().lease());
            let told: Vec<_> = forgotten
                .iter()
                .map(|(pool, task)| Told { pool, task, outcome: Outcome::Lost, body: b"" })
                .collect();
            if !told.is_empty() {
                self.tell(&told)?;
            }
        }
        pools
    }

    /// Says anew what is to be said of it, and looks who has died. Returns the pools there are.
    pub fn beat(&self, about: &str) -> Result<Vec<String>, RemoteError> {
        let call = self.board.call(&SWEEP)?.of_maybe_none();
        call.arg(self.board.key()).read(&Patience::forever())?;
        self.say(about, true)
    }

    /// Says what became of tasks, and waits for one; none if patience ends first.
    pub fn take(
        &self,
        told: &[Told<'_>],
        patience: &Patience<'_>,
    ) -> Result<Option<RawTask>, RemoteError> {
        let mut told = told;
        self.board.wait(IDLE, patience, |member| {
            let told = std::mem::take(&mut told); // once
            self.ask(told, true, member.unwrap_or(""), patience)
        })
    }

    /// Says what became of tasks.
    pub fn tell(&self, told: &[Told<'_>]) -> Result<(), RemoteError> {
        self.ask(told, false, "", &Patience::forever()).map(drop)
    }

    fn ask(
        &self,
        told: &[Told<'_>],
        wants: bool,
        member: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<RawTask>, RemoteError> {
        let question = {
            let mut books = self.books();
            books.asked += 1;
            let question = books.asked;
            books.asking.insert(question);
            question
        };
        let found = self.ask_server(told, wants, member, patience);
        let mut books = self.books();
        books.asking.remove(&question);
        if found.is_ok() {
            for one in told.iter().filter(|one| !matches!(one.outcome, Outcome::Part)) {
                books.held.remove(&(one.pool.to_owned(), one.task.to_owned()));
            }
        }
        if let Ok(Some(task)) = &found {
            books.held.insert((task.pool.clone(), task.task.clone()));
        }
        found
    }

    fn ask_server(
        &self,
        told: &[Told<'_>],
        wants: bool,
        member: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<RawTask>, RemoteError> {
        let call = self.board.call(&TAKE)?.of_maybe_none().of_life(&self.life).undo(&UNTAKE);
        let mut call = call.arg(member).arg(self.number.to_string()).int(wants.into());
        call = call.arg(told.len().to_string());
        for one in told {
            let kind = match one.outcome {
                Outcome::Done => "done",
                Outcome::Part => "part",
                Outcome::Lost => "lost",
                Outcome::Back => "back",
                Outcome::Refused => "no",
            };
            call = call.arg(one.pool).arg(one.task).arg(kind).arg(one.body);
        }
        for need in &self.can {
            call = call.arg(need);
        }
        // What was done is to be told, whatever happens here.
        let patience =
            if told.is_empty() { *patience } else { Patience { until: None, ..*patience } };
        let mut reply = call.run(&patience)?;
        match reply.int(0)? {
            0 => Ok(None),
            1 => {
                let (pool, task) = (reply.text(1)?, reply.text(2)?);
                Ok(Some(RawTask { pool, task, body: reply.bytes(3)?.unwrap_or_default() }))
            }
            _ => Err(self.lost()),
        }
    }

    /// What the owner of a pool says to its workers, if it is still there; and a blob of its.
    #[expect(clippy::type_complexity, reason = "two things that may not be there")]
    pub fn about(
        &self,
        pool: &str,
        blob: &str,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>), RemoteError> {
        let call = self.board.call(&ABOUT)?.of_maybe_none().arg(pool).arg(blob);
        let mut reply = call.read(&Patience::forever())?;
        Ok((reply.bytes(0)?, reply.bytes(1)?))
    }

    /// Goes. `begun`: what it holds may have been begun, and is lost; else others will have it.
    pub fn leave(&self, begun: bool) -> Result<(), RemoteError> {
        let call = self.board.call(&LEAVE)?.of_maybe_none();
        call.arg(self.number.to_string()).int(begun.into()).run(&Patience::forever())?;
        Ok(())
    }
}
