//! A condition.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Guard, LockError, ReleaseError};
use super::lock::taken;
use super::raw::RawLock;
use super::{RLock, count, lost, ticket};
use crate::remote::call::Call;
use crate::remote::life::Life;
use crate::remote::object::{Kind, Object};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static CONDITION: Kind = Kind {
    name: "condition",
    parts: &["waiters", "entries", "notified", "members", "lock", "lock:waiters"],
};
const WAITERS: usize = 2;

static LOCK: Script =
    Script::new("making a condition's lock", include_str!("../lua/condition_lock.lua"));
static ENLIST: Script =
    Script::new("entering a condition's line", include_str!("../lua/condition_enlist.lua"));
static UNDO: Script =
    Script::new("leaving a condition's line", include_str!("../lua/condition_enlist_undo.lua"));
static NOTIFY: Script = Script::new("notifying", include_str!("../lua/condition_notify.lua"));
static WAITING: Script =
    Script::new("counting who waits", include_str!("../lua/condition_waiting.lua"));

/// A guard whose hold can be ended and begun again.
pub trait Relock: Guard + Sized {
    /// The lock, for the caller to let go of, and whose it is.
    fn end(self) -> Option<(Arc<RawLock>, u64)>;

    /// Of a lock that this thread has just taken.
    fn begin(raw: &Arc<RawLock>) -> Self;
}

/// A guard that one can wait with: [`LockGuard`](super::LockGuard), [`RLockGuard`](super::RLockGuard).
pub trait Waitable: Relock {}

/// Where those wait, on any number of machines, who have a lock, and need something to change that others change
/// under it.
///
/// A lock of either kind, and not always the same one. Exactly as many are woken as are notified, those first
/// who have waited longest. If one that was notified is killed before it has the lock again, another is notified in its
/// place, within its lease.
pub struct Condition {
    object: Arc<Object>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("key", &self.object.key()).finish_non_exhaustive()
    }
}

impl Condition {
    /// The condition of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`], and those of the connection.
    pub fn named(server: &Server, name: &str) -> Result<Condition, RemoteError> {
        Ok(Condition::over(Object::named(server, &CONDITION, name, &[])?.0))
    }

    /// The same, and the reentrant lock that belongs to it.
    ///
    /// # Errors
    /// As [`Condition::named`].
    pub fn named_with_lock(server: &Server, name: &str) -> Result<(Condition, RLock), RemoteError> {
        let condition = Condition::named(server, name)?;
        condition.object.call(&LOCK)?.run(&Patience::forever())?;
        let lock = RLock::attach(server, &format!("{}:lock", condition.object.key()))?;
        Ok((condition, lock))
    }

    /// A new condition without a name.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn anonymous(server: &Server) -> Result<Condition, RemoteError> {
        Ok(Condition::over(Object::anonymous(server, &CONDITION, &[])?.0))
    }

    /// The condition with that [key](Condition::key).
    ///
    /// # Errors
    /// [`RemoteError::Gone`], and those of the connection.
    pub fn attach(server: &Server, key: &str) -> Result<Condition, RemoteError> {
        Ok(Condition::over(Object::attach(server, &CONDITION, key)?.0))
    }

    fn over(object: Object) -> Condition {
        Condition { object: Arc::new(object) }
    }

    super::of_object!();

    /// Lets go of the lock (a reentrant one however often the thread has it), waits for a notification,
    /// and takes the lock again.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Remote`] without the lock: among others with
    /// [`RemoteError::LeaseLost`], if the lock was lost before, or the place in the line meanwhile.
    pub fn wait<G: Waitable>(&self, guard: G) -> Result<G, LockError<G>> {
        self.wait_with(guard, &Patience::forever()).map(|(guard, _)| guard)
    }

    /// The same, at most so long; and whether there was a notification. Taking the lock again is waited
    /// for however long it takes.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_timeout<G: Waitable>(
        &self,
        guard: G,
        timeout: Duration,
    ) -> Result<(G, bool), LockError<G>> {
        self.wait_with(guard, &Patience::of(timeout))
    }

    /// Waits as long as `condition` is true.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_while<G: Waitable>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<G, LockError<G>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same, at most so long; and whether the condition has become false.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_timeout_while<G: Waitable>(
        &self,
        mut guard: G,
        timeout: Duration,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<(G, bool), LockError<G>> {
        let patience = Patience::of(timeout);
        while condition(&mut guard) {
            let (again, notified) = self.wait_with(guard, &patience)?;
            guard = again;
            if !notified {
                let is_false = !condition(&mut guard);
                return Ok((guard, is_false));
            }
        }
        Ok((guard, true))
    }

    fn wait_with<G: Waitable>(
        &self,
        guard: G,
        patience: &Patience<'_>,
    ) -> Result<(G, bool), LockError<G>> {
        let forever = Patience::forever();
        let place = self.enlist(&forever)?;
        // The guard was of a hold that somebody else has ended.
        let Some((raw, thread)) = guard.end() else {
            return Err(lost(&self.object, "lock").into());
        };
        let depth = match raw.release_of(thread, true, true, &forever) {
            Ok((_, depth)) => depth,
            Err(ReleaseError::Remote(why)) => return Err(why.into()),
            Err(_) => return Err(raw.lost().into()),
        };
        let waited = place.wait(patience);
        let guard = taken(&raw, raw.acquire_deep(depth.max(1), &forever)?)?;
        // Only now: had this process been killed before it had the lock, another one would have been woken.
        waited?;
        Ok((guard, place.leave(&forever)?))
    }

    /// Puts somebody on the list of those who wait: from now on he can be notified.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn enlist(&self, patience: &Patience<'_>) -> Result<Place, RemoteError> {
        let call = self.object.call(&ENLIST)?.int(ticket().cast_signed()).undo(&UNDO);
        let mut reply = call.run(patience)?;
        let (entry, id) = (reply.text(0)?, reply.text(1)?);
        let life = self.object.client()?.life();
        if life.id() != id {
            return Err(lost(&self.object, "place at the condition"));
        }
        Ok(Place { object: Arc::clone(&self.object), entry: Some(entry), life })
    }

    /// Notifies the `n` who have waited longest. How many there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn notify(&self, n: u32, patience: &Patience<'_>) -> Result<u32, RemoteError> {
        let reply = self.object.call(&NOTIFY)?.int(n.into()).run(patience)?;
        count(&reply, 0)
    }

    /// Notifies the one who has waited longest. Whether there was one.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn notify_one(&self) -> Result<bool, RemoteError> {
        Ok(self.notify(1, &Patience::forever())? == 1)
    }

    /// Notifies all who wait. How many there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn notify_all(&self) -> Result<u32, RemoteError> {
        self.notify(u32::MAX, &Patience::forever())
    }

    /// How many wait and are not notified.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn waiting(&self, patience: &Patience<'_>) -> Result<u32, RemoteError> {
        let reply = self.object.call(&WAITING)?.read(patience)?;
        count(&reply, 0)
    }
}

/// A place in a [`Condition`]'s line. Dropped before it has [left](Place::leave), its notification goes to another one.
#[derive(Debug)]
#[must_use = "dropped, it waits no longer"]
pub struct Place {
    object: Arc<Object>,
    /// Until it has left.
    entry: Option<String>,
    life: Arc<Life>,
}

impl Place {
    /// Waits to be notified, until patience ends. It stays in the line.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if the place was lost: somebody else may have been notified for it.
    pub fn wait(&self, patience: &Patience<'_>) -> Result<(), RemoteError> {
        self.object.wait(WAITERS, patience, |member| {
            // It can't have been notified so soon; and if it was, leaving tells.
            let Some(member) = member else { return Ok(None) };
            let notified = self.tell(member, "wait", patience)?;
            Ok(notified.then_some(()))
        })?;
        Ok(())
    }

    /// Leaves the line. Whether it was notified.
    ///
    /// # Errors
    /// As [`Place::wait`].
    pub fn leave(mut self, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        let left = self.tell("", "leave", patience);
        self.entry = None;
        left
    }

    /// Says what becomes of it; whether it was notified.
    fn tell(&self, member: &str, what: &str, patience: &Patience<'_>) -> Result<bool, RemoteError> {
        let object = &*self.object;
        let lost = || lost(object, "place at the condition");
        let Some(entry) = &self.entry else { return Ok(false) };
        match self.call(member, entry, what)?.run(patience) {
            Ok(reply) => match reply.int(1)? {
                2 => Err(lost()),
                outcome => Ok(outcome == 1),
            },
            Err(RemoteError::LeaseLost { .. }) => Err(lost()),
            Err(other) => Err(other),
        }
    }

    fn call(&self, member: &str, entry: &str, what: &str) -> Result<Call<'_>, RemoteError> {
        let call = self.object.call(&NOTIFY)?.int(0).arg(member).arg(entry).arg(what);
        Ok(call.of_life(&self.life))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry
            && !self.life.is_over()
        {
            let call = self.call("", entry, "withdraw");
            let _ = call.and_then(|call| call.parting().run(&Patience::none()));
        }
    }
}
