//! Waiting for primitives as a program does: in turns of an attempt and a wait.

use std::thread;
use std::time::{Duration, Instant};

use procession::{Abandoned, Acquired, Family, RawLock, RawSemaphore, Wait, Waiter};

/// No test waits longer.
const LONG: Duration = Duration::from_secs(20);

pub fn family() -> Family {
    Family::current().unwrap()
}

/// How many processes sleep on something.
pub fn sleepers() -> usize {
    family().stats().participants.iter().filter(|p| p.waiting_on.is_some()).count()
}

pub fn somebody_waits() -> bool {
    sleepers() > 0
}

pub fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never came true");
        thread::yield_now();
    }
}

/// Waits until `attempt` gives something.
pub fn wait<T>(attempt: impl Fn() -> Option<T>, wait: impl Fn(Option<Instant>) -> Wait) -> T {
    let deadline = Some(Instant::now() + LONG);
    loop {
        if let Some(it) = attempt() {
            return it;
        }
        assert_ne!(wait(deadline), Wait::TimedOut);
    }
}

pub fn acquire(lock: &RawLock) -> Acquired {
    wait(|| lock.try_acquire().unwrap(), |deadline| lock.wait(deadline))
}

/// Who left the lock behind that was just taken.
pub fn abandoned(acquired: Acquired) -> Abandoned {
    match acquired {
        Acquired::Abandoned(by) => by,
        Acquired::Clean => panic!("not told that the holder died"),
    }
}

pub fn take(permits: &RawSemaphore) {
    wait(|| permits.try_acquire().then_some(()), |deadline| permits.wait(deadline));
}

pub fn notified(waiter: Waiter) -> bool {
    wait(|| waiter.is_notified().then_some(()), |deadline| waiter.wait(deadline));
    waiter.leave()
}

pub fn sound() {
    family().sweep().unwrap();
    assert_eq!(family().check(), [""; 0]);
}
