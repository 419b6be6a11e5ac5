//! Conditions and barriers as a program uses them, and what the death of a process does to them.
#![allow(missing_docs)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use procession::{
    Arrival, Broken, RawBarrier, RawCondition, RawEvent, RawLock, RawSemaphore, Wait, Waiter,
};
use support::primitives::{acquire, family, notified, sleepers, sound, until};
use support::{alone, fork};

const LONG: Duration = Duration::from_secs(20);
/// Within this a death must have been noticed.
const NOTICE: Duration = Duration::from_secs(1);
/// So many waiters have an entry of their own.
const ENTRIES: u32 = 102;

fn condition() -> RawCondition {
    RawCondition::create(family()).unwrap()
}

fn barrier(parties: u32) -> RawBarrier {
    RawBarrier::create(family(), parties).unwrap()
}

/// Meets the others; `action` is run by the last.
fn meet(barrier: &RawBarrier, action: impl Fn()) -> Result<u32, Broken> {
    let deadline = Some(Instant::now() + LONG);
    loop {
        match barrier.arrive()? {
            Arrival::Last(runner) => {
                action();
                return runner.release();
            }
            Arrival::Wait(waiter) => loop {
                if let Some(outcome) = waiter.outcome() {
                    return outcome;
                }
                assert_ne!(waiter.wait(deadline), Wait::TimedOut, "{barrier:?}");
            },
            Arrival::Busy => assert_ne!(barrier.wait_while_busy(deadline), Wait::TimedOut),
        }
    }
}

#[test]
fn those_are_notified_first_who_have_waited_longest() {
    let c = condition();
    assert_eq!(c.notify(3).unwrap(), 0, "nobody waits: nobody is told later");
    let waiters: Vec<_> = (0..5).map(|_| c.enlist().unwrap()).collect();
    let state = || waiters.iter().map(Waiter::is_notified).collect::<Vec<_>>();
    assert_eq!(c.notify(2).unwrap(), 2);
    assert_eq!(state(), [true, true, false, false, false]);
    assert_eq!(c.waiting(), 3);
    assert_eq!(c.notify(1).unwrap(), 1);
    assert_eq!(state(), [true, true, true, false, false]);
    assert_eq!(c.notify(u32::MAX).unwrap(), 2);
    assert!(waiters.into_iter().all(Waiter::leave));
    assert_eq!(c.waiting(), 0);
}

#[test]
fn who_gives_up_is_not_counted_and_who_is_dropped_passes_on() {
    let c = condition();
    let (hasty, dropped, patient) = (c.enlist().unwrap(), c.enlist().unwrap(), c.enlist().unwrap());
    assert_eq!(hasty.wait(Some(Instant::now())), Wait::TimedOut);
    assert!(!hasty.leave());
    assert_eq!(c.notify(1).unwrap(), 1);
    assert!(dropped.is_notified() && !patient.is_notified());
    drop(dropped);
    assert!(notified(patient));
    assert_eq!(c.notify(1).unwrap(), 0);
}

#[test]
fn more_waiters_than_entries_are_all_woken() {
    let c = condition();
    let mut waiters: Vec<_> = (0..ENTRIES + 20).map(|_| c.enlist().unwrap()).collect();
    assert_eq!(c.waiting(), ENTRIES);
    let crowd = waiters.split_off(ENTRIES as usize);
    let late = c.enlist().unwrap();
    assert_eq!(c.notify(1).unwrap(), 1);
    assert!(crowd.iter().all(Waiter::is_notified) && late.is_notified());
    assert!(crowd.into_iter().all(notified));
    assert_eq!(waiters.iter().filter(|w| w.is_notified()).count(), 1);
    assert_eq!(c.notify(u32::MAX).unwrap(), ENTRIES - 1);
    assert!(waiters.into_iter().all(notified));
}

alone!(a_bounded_buffer_of_lock_and_conditions_loses_nothing {
    const ROUNDS: u32 = 2000;
    let lock = RawLock::create(family(), false).unwrap();
    let (filled, emptied) = (condition(), condition());
    let there = RawSemaphore::create(family(), 0, 1).unwrap(); // what the lock guards: 0 or 1
    let wait_until = |c: &RawCondition, value| {
        while there.value() != value {
            let waiter = c.enlist().unwrap();
            lock.release().unwrap();
            notified(waiter);
            acquire(&lock);
        }
    };
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                for _ in 0..ROUNDS {
                    acquire(&lock);
                    wait_until(&filled, 1);
                    assert!(there.try_acquire());
                    emptied.notify(1).unwrap();
                    lock.release().unwrap();
                }
            })
        })
        .collect();
    for _ in 0..3 * ROUNDS {
        acquire(&lock);
        wait_until(&emptied, 0);
        there.release(1).unwrap();
        filled.notify(1).unwrap();
        lock.release().unwrap();
    }
    assert!(consumers.iter().all(|c| c.wait() == 0));
    sound();
});

alone!(a_notification_of_a_killed_waiter_goes_to_another {
    let c = condition();
    let child = fork(|| {
        let waiter = c.enlist().unwrap();
        loop {
            let _ = waiter.wait(None);
        }
    });
    until(|| c.waiting() == 1 && sleepers() == 1);
    child.signal(libc::SIGSTOP);
    let waiter = c.enlist().unwrap();
    assert_eq!(c.notify(1).unwrap(), 1);
    assert!(!waiter.is_notified(), "the one who is stopped came first");
    child.kill();
    let start = Instant::now();
    assert!(notified(waiter));
    assert!(start.elapsed() < NOTICE, "{:?}", start.elapsed());
    assert_eq!(c.notify(1).unwrap(), 0);
    sound();
});

#[test]
fn a_barrier_meets_again_and_again() {
    const ROUNDS: u32 = 500;
    let (b, actions) = (barrier(3), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    meet(&b, || {
                        actions.fetch_add(1, Ordering::Relaxed);
                    })
                    .unwrap();
                    assert!(actions.load(Ordering::Relaxed) >= round, "before its action");
                }
            });
        }
    });
    assert_eq!(actions.into_inner(), ROUNDS);
    assert_eq!((b.waiting(), b.is_broken()), (0, false));
}

#[test]
fn more_than_the_parties_take_turns() {
    const ARRIVALS: u32 = 1200;
    let (b, arrivals, met) = (barrier(2), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while arrivals.fetch_add(1, Ordering::Relaxed) < ARRIVALS {
                    let index = meet(&b, thread::yield_now).unwrap();
                    met.fetch_add(index, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(met.into_inner(), ARRIVALS / 2, "half of all were second");
}

#[test]
fn during_an_action_there_is_no_place() {
    let b = barrier(1);
    let Ok(Arrival::Last(runner)) = b.arrive() else { panic!("{b:?}") };
    assert!(matches!(b.arrive(), Ok(Arrival::Busy)));
    assert_eq!(b.wait_while_busy(Some(Instant::now())), Wait::TimedOut);
    assert_eq!(runner.release(), Ok(0));
    assert_eq!(b.wait_while_busy(None), Wait::Again);
    drop(b.arrive());
    assert!(b.is_broken(), "an action that was not finished");
}

#[test]
fn who_gives_up_breaks_it_for_all_until_the_reset() {
    let b = barrier(3);
    let Ok(Arrival::Wait(one)) = b.arrive() else { panic!("{b:?}") };
    let Ok(Arrival::Wait(two)) = b.arrive() else { panic!("{b:?}") };
    assert_eq!((one.index(), two.index(), b.waiting()), (0, 1, 2));
    assert_eq!(one.wait(Some(Instant::now())), Wait::TimedOut);
    assert_eq!(one.abort(), Err(Broken));
    assert_eq!(two.outcome(), Some(Err(Broken)));
    assert!(b.is_broken() && b.arrive().is_err());
    b.reset();
    assert_eq!(two.outcome(), Some(Err(Broken)), "still");
    assert!(!b.is_broken());
    let Ok(Arrival::Wait(three)) = b.arrive() else { panic!("{b:?}") };
    b.reset();
    assert_eq!(three.abort(), Err(Broken));
    assert!(!b.is_broken(), "a later generation's outcome is not its business");
    let Ok(Arrival::Wait(four)) = b.arrive() else { panic!("{b:?}") };
    drop(four);
    assert!(b.is_broken());
}

#[test]
fn a_reset_is_learned_of_however_late() {
    let b = barrier(2);
    let arrive = || match b.arrive() {
        Ok(Arrival::Wait(waiter)) => waiter,
        other => panic!("{other:?}"),
    };
    let go_round = || {
        let waiter = arrive();
        let Ok(Arrival::Last(runner)) = b.arrive() else { panic!("{b:?}") };
        assert_eq!((runner.release(), waiter.outcome()), (Ok(1), Some(Ok(0))));
    };
    let broken = arrive();
    b.reset();
    let aborted = arrive();
    b.abort();
    b.reset();
    let released = arrive();
    let Ok(Arrival::Last(runner)) = b.arrive() else { panic!("{b:?}") };
    assert_eq!(runner.release(), Ok(1));
    for _ in 0..100 {
        go_round();
        assert_eq!(broken.outcome(), Some(Err(Broken)));
        assert_eq!(aborted.outcome(), Some(Err(Broken)));
        assert_eq!(released.outcome(), Some(Ok(0)));
    }
    let interrupted = arrive();
    b.reset();
    (0..100).for_each(|_| go_round());
    assert_eq!(released.abort(), Ok(0));
    assert_eq!(interrupted.abort(), Err(Broken));
    assert!(!b.is_broken());
}

#[test]
fn who_was_released_before_it_gave_up_was_released() {
    let b = barrier(2);
    let Ok(Arrival::Wait(waiter)) = b.arrive() else { panic!("{b:?}") };
    let Ok(Arrival::Last(runner)) = b.arrive() else { panic!("{b:?}") };
    assert_eq!(runner.release(), Ok(1));
    b.abort();
    assert_eq!(waiter.outcome(), Some(Ok(0)));
    assert_eq!(waiter.abort(), Ok(0));
}

alone!(processes_meet_and_a_death_breaks_it {
    let b = barrier(4);
    let children: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                for _ in 0..200 {
                    meet(&b, || {}).unwrap();
                }
                let start = Instant::now();
                assert_eq!(meet(&b, || {}), Err(Broken));
                assert!(start.elapsed() < LONG / 2);
            })
        })
        .collect();
    for _ in 0..200 {
        meet(&b, || {}).unwrap();
    }
    until(|| b.waiting() == 3);
    children[0].kill();
    let died = Instant::now();
    until(|| b.is_broken());
    assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    assert_eq!(b.arrive().unwrap_err(), Broken);
    assert!(children[1..].iter().all(|c| c.wait() == 0));
    sound();
});

alone!(the_death_of_the_one_who_runs_the_action_breaks_it {
    let (b, runs) = (barrier(2), RawEvent::create(family()).unwrap());
    let Ok(Arrival::Wait(waiter)) = b.arrive() else { panic!("{b:?}") };
    let child = fork(|| {
        meet(&b, || {
            runs.set();
            loop {
                thread::park();
            }
        })
        .unwrap();
    });
    until(|| runs.is_set());
    assert_eq!(waiter.outcome(), None);
    child.kill();
    let died = Instant::now();
    while waiter.outcome().is_none() {
        let _ = waiter.wait(None);
    }
    assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    assert_eq!(waiter.outcome(), Some(Err(Broken)));
    b.reset();
    drop(waiter);
    sound();
    assert!(!b.is_broken());
});

alone!(a_fork_child_is_not_on_its_parents_list {
    let (c, b) = (condition(), barrier(2));
    let waiter = c.enlist().unwrap();
    let Ok(Arrival::Wait(arrived)) = b.arrive() else { panic!("{b:?}") };
    let status = fork(|| {
        // SAFETY: the child leaves by `_exit`, so the originals are never dropped.
        unsafe {
            drop(std::ptr::read(&raw const waiter));
            drop(std::ptr::read(&raw const arrived));
        }
    })
    .wait();
    assert_eq!(status, 0);
    assert_eq!((c.waiting(), b.waiting(), b.is_broken()), (1, 1, false));
});
