//! A barrier.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{count, differs, lost, number_in, ticket};
pub use crate::primitives::BarrierWaitResult;
use crate::remote::life::Life;
use crate::remote::object::{Kind, Object, Params};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static BARRIER: Kind = Kind { name: "barrier", parts: &["waiters", "places"] };
const WAITERS: usize = 2;

static DO: Script = Script::new("waiting at a barrier", include_str!("../lua/barrier.lua"));
static UNDO: Script = Script::new("breaking a barrier", include_str!("../lua/barrier_undo.lua"));

/// Where a number of processes on any number of machines wait for one another, again and again.
///
/// If one that has arrived gives up, panics in the action, or its lease runs out, the barrier is broken
/// ([`BarrierError::Broken`]) for all, until it is reset: nobody waits for the dead.
pub struct Barrier {
    object: Object,
    parties: u32,
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("key", &self.object.key())
            .field("parties", &self.parties)
            .finish_non_exhaustive()
    }
}

/// A barrier was not passed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// It is broken, until it is reset.
    #[error("the barrier is broken")]
    Broken,
    /// The server, or what stands between.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// How a barrier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passage {
    /// Whether it is broken.
    pub is_broken: bool,
    /// How many have arrived and wait.
    pub waiting: u32,
}

/// What came of a call.
enum Answer {
    NotYet,
    Place(Place),
    Act(Place, u32),
    Passed(u32),
    Broken,
    Lost,
}

/// One who has arrived.
struct Place {
    entry: String,
    life: Arc<Life>,
}

impl Barrier {
    /// The barrier of that name; if there is none, it is made for so many parties.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`]; [`RemoteError::Differs`] if it is for another number; and those of the connection.
    ///
    /// # Panics
    /// If there are no parties.
    pub fn named(server: &Server, name: &str, parties: u32) -> Result<Barrier, RemoteError> {
        let barrier = Barrier::over(Object::named(server, &BARRIER, name, &params(parties))?)?;
        differs(name, "parties", barrier.parties, parties)?;
        Ok(barrier)
    }

    /// A new barrier without a name.
    ///
    /// # Errors
    /// Those of the connection.
    ///
    /// # Panics
    /// If there are no parties.
    pub fn anonymous(server: &Server, parties: u32) -> Result<Barrier, RemoteError> {
        Barrier::over(Object::anonymous(server, &BARRIER, &params(parties))?)
    }

    /// The barrier with that [key](Barrier::key).
    ///
    /// # Errors
    /// [`RemoteError::Gone`], and those of the connection.
    pub fn attach(server: &Server, key: &str) -> Result<Barrier, RemoteError> {
        Barrier::over(Object::attach(server, &BARRIER, key)?)
    }

    fn over((object, params): (Object, Params)) -> Result<Barrier, RemoteError> {
        let parties = number_in(&params, "parties")?;
        Ok(Barrier { object, parties })
    }

    super::of_object!();

    /// Waits until all have come.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_with(&Patience::forever(), None::<fn() -> Result<(), BarrierError>>)
    }

    /// The same, at most so long: who gives up breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_with(&Patience::of(timeout), None::<fn() -> Result<(), BarrierError>>)
    }

    /// Waits until all have come; the last one runs `action` before anybody goes on.
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_and(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BarrierError> {
        let action = || {
            action();
            Ok::<(), BarrierError>(())
        };
        self.wait_with(&Patience::forever(), Some(action))
    }

    /// Waits until all have come, or patience ends; the last one runs `action` before anybody goes on. If that fails or
    /// panics, the barrier breaks.
    ///
    /// # Errors
    /// [`BarrierError`], or the action's.
    pub fn wait_with<E: From<BarrierError>>(
        &self,
        patience: &Patience<'_>,
        action: Option<impl FnOnce() -> Result<(), E>>,
    ) -> Result<BarrierWaitResult, E> {
        let what = if action.is_some() { "arrive-act" } else { "arrive" };
        let mut place: Option<Place> = None;
        let answer = self.object.wait(WAITERS, patience, |member| {
            let member = member.unwrap_or("");
            let answer = match &place {
                Some(place) => self.tell(place, "poll", member, patience)?,
                None => self.arrive(what, member, patience)?,
            };
            match answer {
                Answer::NotYet => Ok(None),
                Answer::Place(arrived) => {
                    place = Some(arrived);
                    Ok(None)
                }
                answer => Ok(Some(answer)),
            }
        });
        let answer = match (answer, &place) {
            (Ok(Some(answer)), _) => answer,
            // It breaks for all, unless it was decided before.
            (Ok(None), Some(place)) => self.give_up(place).map_err(BarrierError::from)?,
            (Ok(None), None) => {
                self.abort(&Patience::none()).map_err(BarrierError::from)?;
                Answer::Broken
            }
            (Err(error), place) => {
                if let Some(place) = place {
                    let _ = self.give_up(place);
                }
                return Err(BarrierError::from(error).into());
            }
        };
        match (answer, action) {
            (Answer::Passed(index), _) => Ok(BarrierWaitResult { index, leader: place.is_none() }),
            (Answer::Act(place, index), Some(action)) => {
                let runner = Runner { barrier: self, place: Some(place) };
                action()?;
                runner.release()?;
                Ok(BarrierWaitResult { index, leader: true })
            }
            (Answer::Lost, _) => Err(BarrierError::Remote(self.lost()).into()),
            _ => Err(BarrierError::Broken.into()),
        }
    }

    fn arrive(
        &self,
        what: &str,
        member: &str,
        patience: &Patience<'_>,
    ) -> Result<Answer, RemoteError> {
        let call = self.object.call(&DO)?.arg(what).arg(member).int(ticket().cast_signed());
        let mut reply = call.undo(&UNDO).run(patience)?;
        let answer = reply.int(0)?;
        Ok(match answer {
            0 | 2 => {
                let (entry, id) = (reply.text(1)?, reply.text(2)?);
                let life = self.object.client()?.life();
                if life.id() != id {
                    return Err(self.lost());
                }
                let place = Place { entry, life };
                if answer == 0 {
                    Answer::Place(place)
                } else {
                    Answer::Act(place, count(&reply, 3)?)
                }
            }
            1 => Answer::Passed(count(&reply, 1)?),
            3 => Answer::NotYet,
            _ => Answer::Broken,
        })
    }

    fn tell(
        &self,
        place: &Place,
        what: &str,
        member: &str,
        patience: &Patience<'_>,
    ) -> Result<Answer, RemoteError> {
        let call = self.object.call(&DO)?.arg(what).arg(member).arg(&place.entry);
        let reply = match call.of_life(&place.life).run(patience) {
            // The others have found it broken.
            Err(RemoteError::LeaseLost { .. }) => return Ok(Answer::Broken),
            other => other?,
        };
        Ok(match reply.int(0)? {
            1 => Answer::Passed(count(&reply, 1)?),
            0 => Answer::NotYet,
            -2 => Answer::Lost,
            _ => Answer::Broken,
        })
    }

    fn give_up(&self, place: &Place) -> Result<Answer, RemoteError> {
        self.tell(place, "give-up", "", &Patience::none())
    }

    /// Breaks it, until it is reset.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn abort(&self, patience: &Patience<'_>) -> Result<(), RemoteError> {
        self.object.call(&DO)?.arg("abort").run(patience).map(drop)
    }

    /// Makes it fresh; those who wait find it broken.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn reset(&self, patience: &Patience<'_>) -> Result<(), RemoteError> {
        self.object.call(&DO)?.arg("reset").run(patience).map(drop)
    }

    /// Whether it is broken, and how many wait.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn state(&self, patience: &Patience<'_>) -> Result<Passage, RemoteError> {
        // It may find the dead, and break.
        let reply = self.object.call(&DO)?.arg("state").run(patience)?;
        Ok(Passage { is_broken: reply.int(0)? == 1, waiting: count(&reply, 1)? })
    }

    /// How many it is for.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.parties
    }

    fn lost(&self) -> RemoteError {
        lost(&self.object, "place at the barrier")
    }
}

fn params(parties: u32) -> [(&'static str, Vec<u8>); 1] {
    assert!(parties > 0, "a barrier is for one at least");
    [("parties", parties.to_string().into_bytes())]
}

/// The last to arrive, while it acts. If it is dropped before it has released the others, the barrier breaks.
struct Runner<'a> {
    barrier: &'a Barrier,
    place: Option<Place>,
}

impl Runner<'_> {
    fn release(mut self) -> Result<(), BarrierError> {
        let Some(place) = self.place.take() else { return Ok(()) };
        match self.barrier.tell(&place, "release", "", &Patience::forever())? {
            Answer::Passed(_) => Ok(()),
            Answer::Lost => Err(self.barrier.lost().into()),
            _ => Err(BarrierError::Broken),
        }
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            let _ = self.barrier.give_up(place);
        }
    }
}
