//! How a thread waits for a queue, whatever the queue's lock is and whatever must happen around a sleep.

use std::sync::Arc;
use std::time::Instant;

use super::line::{Wake, Who};
use super::park::Parker;
use super::state::{Side, State};
use super::store::Store;

/// What a queue lives in: its lock, its callbacks, and the sleep of its threads.
pub trait Host {
    /// Where the items lie.
    type Store: Store;
    /// What may wait beside threads.
    type Call;
    /// Why a sleep may have to end for good.
    type Stop;

    /// Does something under the lock.
    fn with<R>(&self, act: impl FnOnce(&mut State<Self::Store, Self::Call>) -> R) -> R;

    /// Calls a callback, without the lock; whether somebody heard it.
    fn call(&self, call: Self::Call) -> bool;

    /// Sleeps until it is woken (`true`) or time is up.
    ///
    /// # Errors
    /// That the wait is to end, for the host's own reasons.
    fn sleep(&self, parker: &Parker, deadline: Option<Instant>) -> Result<bool, Self::Stop>;
}

/// Delivers a wake-up; if nobody hears it, the next one's turn comes.
pub fn deliver<H: Host + ?Sized>(host: &H, side: Side, wake: Option<Wake<H::Call>>) {
    if let Some(wake) = wake {
        deliver_slow(host, side, wake);
    }
}

#[cold]
fn deliver_slow<H: Host + ?Sized>(host: &H, side: Side, wake: Wake<H::Call>) {
    let mut next = Some(wake);
    while let Some(Wake(who)) = next {
        match who {
            Who::Thread(parker) => return parker.wake(),
            Who::Call(call) => {
                if host.call(call) {
                    return;
                }
                next = host.with(|state| state.pass_on(side));
            }
        }
    }
}

/// Delivers many, of people who are all woken anyway.
pub fn deliver_all<H: Host + ?Sized>(host: &H, wakes: Vec<Wake<H::Call>>) {
    for Wake(who) in wakes {
        match who {
            Who::Thread(parker) => parker.wake(),
            Who::Call(call) => {
                let _ = host.call(call);
            }
        }
    }
}

/// Tries until the attempt gives something or time is up, and sleeps in between, woken when it is worth trying
/// again.
///
/// # Errors
/// Why the host ended it. Then nothing was gained, and nobody else has lost a wake-up by it.
pub fn wait<H: Host + ?Sized, R>(
    host: &H,
    side: Side,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut State<H::Store, H::Call>) -> Option<R>,
) -> Result<Option<R>, H::Stop> {
    let parker = Arc::new(Parker::default());
    let mut place = None;
    loop {
        let gained = host.with(|state| {
            attempt(state).ok_or_else(|| {
                parker.reset();
                let who = Who::Thread(Arc::clone(&parker));
                match place {
                    None => state.stand(side, who, false),
                    Some(ticket) => {
                        state.stand_again(side, who, ticket);
                        ticket
                    }
                }
            })
        });
        let ticket = match gained {
            Ok(gained) => return Ok(Some(gained)),
            Err(ticket) => ticket,
        };
        let slept = host.sleep(&parker, deadline);
        if matches!(slept, Ok(true)) {
            place = Some(ticket);
            continue;
        }
        // Whoever wakes it from now on finds it gone; if it was woken in between, that is its own affair.
        let give_up = slept.is_err();
        let (gained, wake) = host.with(|state| {
            let late = state.leave(side, ticket).is_none();
            let gained = if give_up { None } else { attempt(state) };
            let wake = if late && gained.is_none() { state.pass_on(side) } else { None };
            (gained, wake)
        });
        deliver(host, side, wake);
        return slept.map(|_| gained);
    }
}
