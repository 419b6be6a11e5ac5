//! A lock without guards: what both kinds of locks are made of, here and in other languages' bindings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::count;
use super::error::ReleaseError;
use super::holds::{self, Hold, Seat};
use super::who::{self, Abandoned, Holder};
use crate::remote::call::Call;
use crate::remote::life::Life;
use crate::remote::object::{Kind, Object};
use crate::remote::reply::Reply;
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};
use crate::sys::thread;

static PLAIN: Kind = Kind { name: "lock", parts: &["waiters"] };
static REENTRANT: Kind = Kind { name: "rlock", parts: &["waiters"] };
/// The place of the waiters among the keys.
const WAITERS: usize = 2;

static ACQUIRE: Script = Script::new("acquiring a lock", include_str!("../lua/lock_acquire.lua"));
static UNDO: Script = Script::new("giving a lock back", include_str!("../lua/lock_undo.lua"));
static RELEASE: Script = Script::new("releasing a lock", include_str!("../lua/lock_release.lua"));
static CHECK: Script = Script::new("checking a lock", include_str!("../lua/lock_check.lua"));
static STATE: Script = Script::new("looking at a lock", include_str!("../lua/lock_state.lua"));
static LEAVE: Script = Script::new("leaving a lock", include_str!("../lua/lock_leave.lua"));
static ABANDON: Script = Script::new("abandoning a lock", include_str!("../lua/lock_abandon.lua"));

/// Says, for a process that ends on purpose, that what it holds is not abandoned: its plain locks stay held, until somebody
/// [releases](RawLock::release) them, its reentrant ones are free. Tries for `limit` for each.
pub fn leave_locks(limit: Duration) {
    for hold in holds::take_all().into_iter().filter(|hold| !hold.life.is_over()) {
        let Some(client) = hold.seat.server.present_client() else { continue };
        let call = Call::new(client, &LEAVE, &hold.seat.keys, 0).of_maybe_none();
        let call = call.int(hold.token.cast_signed()).int(hold.thread.cast_signed());
        let _ = call.of_life(&hold.life).run(&Patience::of(limit));
    }
}

/// A lock was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// As it should be.
    Clean,
    /// Its last holder's lease ran out, or it panicked with the lock.
    Abandoned(Abandoned),
}

/// A lock on a server, reentrant or not, which threads take and release without guards.
///
/// A hold belongs to a thread of a client, for as long as that client renews its lease. A plain lock may be released by
/// anybody.
pub struct RawLock {
    object: Object,
    reentrant: bool,
    /// What its holds are noted under.
    place: String,
    seat: Arc<Seat>,
}

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLock")
            .field("key", &self.object.key())
            .field("reentrant", &self.reentrant)
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}

/// Where a lock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// Who holds it.
    pub holder: Holder,
    /// Whether it is this process.
    pub here: bool,
    /// How often it was acquired.
    pub depth: u32,
    /// Whether the holder's lease goes on. If not, the next one to acquire it gets it.
    pub lives: bool,
}

impl RawLock {
    /// The lock of that name, which is made if there is none.
    pub fn named(server: &Server, name: &str, reentrant: bool) -> Result<RawLock, RemoteError> {
        let (object, _) = Object::named(server, Self::kind(reentrant), name, &[])?;
        Ok(RawLock::over(object, reentrant))
    }

    /// A new lock without a name.
    pub fn anonymous(server: &Server, reentrant: bool) -> Result<RawLock, RemoteError> {
        let (object, _) = Object::anonymous(server, Self::kind(reentrant), &[])?;
        Ok(RawLock::over(object, reentrant))
    }

    /// The lock with that key, of a handle that travelled.
    pub fn attach(server: &Server, key: &str, reentrant: bool) -> Result<RawLock, RemoteError> {
        let (object, _) = Object::attach(server, Self::kind(reentrant), key)?;
        Ok(RawLock::over(object, reentrant))
    }

    fn kind(reentrant: bool) -> &'static Kind {
        if reentrant { &REENTRANT } else { &PLAIN }
    }

    fn over(object: Object, reentrant: bool) -> RawLock {
        let place = format!("{} {}", object.server().address(), object.key());
        let keys = vec![object.key().to_string(), format!("{}:waiters", object.key())];
        let seat = Arc::new(Seat { server: object.server().clone(), keys });
        RawLock { object, reentrant, place, seat }
    }

    super::of_object!();

    /// Whether a thread may take it again that has it.
    #[must_use]
    pub fn is_reentrant(&self) -> bool {
        self.reentrant
    }

    /// Takes it; `None` if patience ended first. One round trip, if it is free.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it is reentrant, and this thread had it and has lost it: the thread is to release it as often
    /// as it had acquired it.
    pub fn acquire(&self, patience: &Patience<'_>) -> Result<Option<Acquired>, RemoteError> {
        self.acquire_deep(1, patience)
    }

    /// The same, as if it were acquired so often.
    ///
    /// # Errors
    /// As [`RawLock::acquire`].
    pub fn acquire_deep(
        &self,
        depth: u32,
        patience: &Patience<'_>,
    ) -> Result<Option<Acquired>, RemoteError> {
        self.acquire_for(thread::token(), depth, patience)
    }

    /// The same for a thread that has another number than this one has: a task, say.
    ///
    /// # Errors
    /// As [`RawLock::acquire`].
    pub fn acquire_for(
        &self,
        thread: u64,
        depth: u32,
        patience: &Patience<'_>,
    ) -> Result<Option<Acquired>, RemoteError> {
        let who = who::this();
        let had = if self.reentrant { holds::of(&self.place, thread) } else { None };
        let token = had.as_ref().map_or(String::new(), |had| had.token.to_string());
        let reply = self.object.wait(WAITERS, patience, |member| {
            let mut call = self.object.call(&ACQUIRE)?.arg(member.unwrap_or(""));
            call =
                call.int(thread.cast_signed()).arg(&who).int(depth.into()).arg(&token).undo(&UNDO);
            if let Some(had) = &had {
                call = call.of_life(&had.life);
            }
            let reply = call.run(patience).map_err(|error| self.named_loss(error))?;
            match reply.int(0)? {
                0 => Ok(None),
                2 => Err(self.lost()),
                _ => Ok(Some(reply)),
            }
        })?;
        let Some(mut reply) = reply else { return Ok(None) };
        let token = number(&reply, 1)?;
        let depth = count(&reply, 2)?;
        let life = self.life_of(&reply.text(3)?)?;
        holds::note(&self.place, Hold { seat: Arc::clone(&self.seat), thread, token, depth, life });
        Ok(Some(match reply.bytes(4)? {
            None => Acquired::Clean,
            Some(id) => {
                let id = String::from_utf8_lossy(&id).into_owned();
                Acquired::Abandoned(Abandoned::new(id, reply.text(5)?, &reply.text(6)?))
            }
        }))
    }

    /// The life that a hold was got under. If it is over by now, so is the hold.
    fn life_of(&self, id: &str) -> Result<Arc<Life>, RemoteError> {
        let life = self.object.client()?.life();
        if life.id() == id { Ok(life) } else { Err(self.lost()) }
    }

    /// Releases it, once. One round trip. How deep this thread, or who had it, has it still.
    ///
    /// # Errors
    /// [`ReleaseError`]; [`RemoteError::LeaseLost`] if this thread had it and has lost it, and then it has it once less.
    pub fn release(&self, patience: &Patience<'_>) -> Result<u32, ReleaseError> {
        self.release_of(thread::token(), false, false, patience).map(|(left, _)| left)
    }

    /// The same for a thread that has that number.
    ///
    /// # Errors
    /// As [`RawLock::release`].
    pub fn release_for(&self, thread: u64, patience: &Patience<'_>) -> Result<u32, ReleaseError> {
        self.release_of(thread, false, false, patience).map(|(left, _)| left)
    }

    /// Releases it, however often this thread has it; how often that was.
    ///
    /// # Errors
    /// As [`RawLock::release`].
    pub fn release_all(&self, patience: &Patience<'_>) -> Result<u32, ReleaseError> {
        self.release_of(thread::token(), true, false, patience).map(|(_, had)| had)
    }

    /// What that thread has; `only_own`: and nobody else, should it not have it any more. How often it has it still, and had
    /// it before.
    pub(super) fn release_of(
        &self,
        thread: u64,
        all: bool,
        only_own: bool,
        patience: &Patience<'_>,
    ) -> Result<(u32, u32), ReleaseError> {
        let hold = holds::of(&self.place, thread);
        let token = hold.as_ref().map_or(String::new(), |hold| hold.token.to_string());
        let mut call = self.object.call(&RELEASE)?.arg(token).int(thread.cast_signed());
        call = call.int(all.into()).int(only_own.into());
        if let Some(hold) = &hold {
            call = call.of_life(&hold.life);
        }
        let forgotten = |hold: Option<Hold>| {
            if let Some(hold) = hold {
                let left = if all { 0 } else { hold.depth.saturating_sub(1) };
                holds::deepen(&self.place, hold.token, left);
            }
        };
        let reply = match call.run(patience) {
            Err(error @ RemoteError::LeaseLost { .. }) => {
                forgotten(hold);
                return Err(self.named_loss(error).into());
            }
            other => other?,
        };
        match reply.int(0)? {
            1 => {
                let left = count(&reply, 1)?;
                holds::deepen(&self.place, number(&reply, 2)?, left);
                Ok((left, count(&reply, 3)?))
            }
            2 => {
                forgotten(hold);
                Err(self.lost().into())
            }
            answer => {
                if let Some(hold) = hold {
                    holds::forget(&self.place, hold.token);
                }
                Err(if answer == 3 { ReleaseError::NotHeld } else { ReleaseError::NotOwner })
            }
        }
    }

    /// Asks the server whether this thread has it still.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it has lost it, [`ReleaseError::NotHeld`] if it never had it, has released it, or somebody else
    /// has done so for it.
    pub fn check(&self, patience: &Patience<'_>) -> Result<(), ReleaseError> {
        self.check_of(thread::token(), patience)
    }

    pub(super) fn check_of(
        &self,
        thread: u64,
        patience: &Patience<'_>,
    ) -> Result<(), ReleaseError> {
        let hold = holds::of(&self.place, thread).ok_or(ReleaseError::NotHeld)?;
        let call =
            self.object.call(&CHECK)?.int(hold.token.cast_signed()).int(thread.cast_signed());
        let reply =
            call.of_life(&hold.life).read(patience).map_err(|error| self.named_loss(error))?;
        match reply.int(0)? {
            1 if !hold.life.is_over() => Ok(()),
            0 => Err(ReleaseError::NotHeld),
            _ => Err(self.lost().into()),
        }
    }

    /// Leaves it abandoned, as `by` did: the next one is told of that.
    pub fn put_back(&self, by: &Abandoned, patience: &Patience<'_>) -> Result<(), RemoteError> {
        self.abandon(thread::token(), by, patience)
    }

    /// The same for a thread that has that number.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn put_back_for(
        &self,
        thread: u64,
        by: &Abandoned,
        patience: &Patience<'_>,
    ) -> Result<(), RemoteError> {
        self.abandon(thread, by, patience)
    }

    /// Leaves what that thread has abandoned.
    pub(super) fn abandon(
        &self,
        thread: u64,
        by: &Abandoned,
        patience: &Patience<'_>,
    ) -> Result<(), RemoteError> {
        let Some(hold) = holds::of(&self.place, thread) else { return Ok(()) };
        if hold.depth > 1 {
            let _ = self.release_of(thread, false, true, patience); // the outermost hold will see to it
            return Ok(());
        }
        holds::forget(&self.place, hold.token);
        let call =
            self.object.call(&ABANDON)?.int(hold.token.cast_signed()).int(thread.cast_signed());
        let call = call.arg(&by.id).arg(&by.who).arg(by.why()).of_life(&hold.life);
        call.run(patience).map(drop)
    }

    /// The number of that thread's hold, be it lost or not; `None` if it has none, or was told already that it has none.
    #[must_use]
    pub fn token_of(&self, thread: u64) -> Option<u64> {
        holds::of(&self.place, thread).map(|hold| hold.token)
    }

    /// The number of this thread's hold: greater than that of every one before. Who guards a resource with it can refuse
    /// whoever comes late with a smaller one. `None` if this thread does not hold it, or knows that it has lost it.
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        self.here().map(|hold| hold.token)
    }

    /// The number by which this thread is known, which is even.
    #[must_use]
    pub fn thread_here() -> u64 {
        thread::token()
    }

    /// How often the thread with that number has it, so far as this process knows.
    #[must_use]
    pub fn depth_of(&self, thread: u64) -> u32 {
        holds::of(&self.place, thread)
            .filter(|hold| !hold.life.is_over())
            .map_or(0, |hold| hold.depth)
    }

    /// How often this thread has it, so far as it knows.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.here().map_or(0, |hold| hold.depth)
    }

    /// How often some thread of this process has it, so far as it knows.
    #[must_use]
    pub fn depth_here(&self) -> u32 {
        holds::depth_here(&self.place)
    }

    /// Whether this thread has it, so far as it knows. Only [`RawLock::check`] asks the server.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.here().is_some()
    }

    /// Whether this thread had it and has lost it, so far as it knows.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        holds::of(&self.place, thread::token()).is_some_and(|hold| hold.life.is_over())
    }

    fn here(&self) -> Option<Hold> {
        holds::of(&self.place, thread::token()).filter(|hold| !hold.life.is_over())
    }

    /// Who holds it, and whether that one lives; `None` if nobody does.
    pub fn state(&self, patience: &Patience<'_>) -> Result<Option<State>, RemoteError> {
        let mut reply = self.object.call(&STATE)?.read(patience)?;
        if reply.int(0)? == 0 {
            return Ok(None);
        }
        Ok(Some(State {
            here: reply.int(1)? == 1,
            depth: count(&reply, 3)?,
            lives: reply.int(4)? == 1,
            holder: Holder::parse(&reply.text(5)?),
        }))
    }

    /// That what this thread had is lost.
    #[must_use]
    pub fn lost(&self) -> RemoteError {
        super::lost(&self.object, "lock")
    }

    fn named_loss(&self, error: RemoteError) -> RemoteError {
        match error {
            RemoteError::LeaseLost { .. } => self.lost(),
            other => other,
        }
    }
}

fn number(reply: &Reply, i: usize) -> Result<u64, RemoteError> {
    u64::try_from(reply.int(i)?).map_err(|_| RemoteError::Corrupt(format!("part {i} is negative")))
}
