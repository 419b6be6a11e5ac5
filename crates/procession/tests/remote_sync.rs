//! Semaphores, events, conditions and barriers on a server: who is woken, and what the dead leave behind.
#![cfg(feature = "redis")]
#![allow(missing_docs)]

mod support;

use std::sync::Mutex;
use std::thread;

use procession::remote::{
    Barrier, BarrierError, Condition, Lock, LockError, Patience, RLock, RemoteError, Semaphore,
};
use support::scene::{MOMENT, NAME, Scene, ends_well, take, until};
use support::{Forked, LIMIT as LONG, alone, fork};

alone!(permits_are_counted_and_not_given_back_for_the_dead {
    let scene = Scene::new("lease=0.3");
    let permits = Semaphore::named_bounded(&scene.server, NAME, Some(2)).unwrap();
    let none = Patience::none();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                for _ in 0..20 {
                    drop(permits.acquire_timeout(LONG).unwrap().unwrap());
                }
            })
        })
        .collect();
    workers.iter().for_each(ends_well);
    assert_eq!((permits.value(&none).unwrap(), permits.max()), (2, 2));
    assert!(!permits.release(1, &none).unwrap(), "too many");
    let dying = fork(|| permits.acquire().unwrap().forget());
    ends_well(&dying);
    until(|| scene.host.keys("t:client").len() == 1);
    let last = permits.try_acquire().unwrap().unwrap();
    assert!(permits.try_acquire().unwrap().is_none());
    assert!(permits.acquire_timeout(MOMENT).unwrap().is_none());
    let waiter = fork(|| drop(permits.acquire_timeout(LONG).unwrap().unwrap()));
    scene.until_waiting(1);
    drop(last);
    ends_well(&waiter);
});

alone!(a_set_lets_everybody_go_on_also_if_it_is_cleared_at_once {
    let scene = Scene::new("");
    let event = scene.event(NAME);
    assert!(!event.wait_timeout(MOMENT).unwrap());
    let waiters: Vec<_> = (0..3).map(|_| fork(|| assert!(event.wait_timeout(LONG).unwrap()))).collect();
    scene.until_waiting(3);
    event.set().unwrap();
    event.clear().unwrap();
    waiters.iter().for_each(ends_well);
    assert!(!event.is_set(&Patience::none()).unwrap());
    event.set().unwrap();
    event.wait().unwrap();
});

/// Children that wait for a notification, and say so in a file when they have had it.
fn waiters(condition: &Condition, lock: &Lock, n: usize) -> Vec<Forked> {
    (0..n)
        .map(|_| {
            fork(|| {
                let (guard, notified) = condition.wait_timeout(take(lock), LONG).unwrap();
                assert!(notified);
                guard.release().unwrap();
            })
        })
        .collect()
}

alone!(exactly_so_many_are_woken_as_are_notified {
    let scene = Scene::new("");
    let (condition, lock) =
        (Condition::named(&scene.server, NAME).unwrap(), Lock::named(&scene.server, "lock").unwrap());
    let none = Patience::none();
    assert!(!condition.notify_one().unwrap());
    let (guard, notified) = condition.wait_timeout(take(&lock), MOMENT).unwrap();
    assert!(!notified);
    guard.release().unwrap();
    let children = waiters(&condition, &lock, 5);
    scene.until_waiting(5);
    assert_eq!(condition.waiting(&none).unwrap(), 5);
    assert_eq!(condition.notify(2, &none).unwrap(), 2);
    until(|| scene.size("HLEN", "notified") == 0);
    assert_eq!(condition.waiting(&none).unwrap(), 3);
    assert_eq!(condition.notify_all().unwrap(), 3);
    children.iter().for_each(ends_well);
    for part in ["entries", "notified", "members", "waiters"] {
        assert_eq!(scene.host.ask(&["EXISTS", &format!("t:n:{NAME}:{part}")]), ["0"], "{part}");
    }
});

alone!(the_dead_are_passed_over_and_pass_their_notification_on {
    let scene = Scene::new("lease=0.5");
    let (condition, lock) =
        (Condition::named(&scene.server, NAME).unwrap(), Lock::named(&scene.server, "lock").unwrap());
    let none = Patience::none();
    // The first is killed while it waits, the second when it was notified and has not the lock yet.
    let first = waiters(&condition, &lock, 1).pop().unwrap();
    scene.until_waiting(1);
    first.kill();
    let second = waiters(&condition, &lock, 1).pop().unwrap();
    until(|| scene.size("ZCARD", "entries") == 2);
    scene.until_waiting(2);
    until(|| condition.waiting(&none).unwrap() == 1);
    let third = waiters(&condition, &lock, 1).pop().unwrap();
    until(|| scene.size("ZCARD", "entries") == 3);
    let guard = take(&lock);
    assert_eq!(condition.notify(1, &none).unwrap(), 1);
    assert_eq!(scene.size("HLEN", "notified"), 1);
    second.kill();
    // Nobody notifies again: the third finds it by itself.
    until(|| condition.waiting(&none).unwrap() == 0);
    guard.release().unwrap();
    ends_well(&third);
});

alone!(a_wait_gives_a_reentrant_lock_back_wholly {
    let scene = Scene::new("");
    let (condition, lock) =
        (Condition::named(&scene.server, NAME).unwrap(), RLock::named(&scene.server, "lock").unwrap());
    let outer = lock.acquire().unwrap();
    let inner = lock.acquire().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            scene.until_waiting(1);
            let guard = lock.acquire_timeout(LONG).unwrap();
            assert!(condition.notify_one().unwrap());
            guard.release().unwrap();
        });
        let inner = condition.wait(inner).unwrap();
        assert_eq!(lock.depth(), 2);
        inner.release().unwrap();
    });
    outer.check().unwrap();
    outer.release().unwrap();
    assert!(lock.state().unwrap().is_none());
});

alone!(a_condition_of_who_has_lost_the_lock_does_not_wait {
    let scene = Scene::new("");
    let condition = Condition::named(&scene.server, NAME).unwrap();
    let guard = take(&Lock::named(&scene.server, "lock").unwrap());
    scene.lose_lease();
    let waited = condition.wait_timeout(guard, LONG);
    assert!(matches!(waited, Err(LockError::Remote(RemoteError::LeaseLost { .. }))), "{waited:?}");
    assert_eq!(condition.waiting(&Patience::none()).unwrap(), 0, "its place is given up");
});

fn barrier(scene: &Scene, parties: u32) -> Barrier {
    Barrier::named(&scene.server, NAME, parties).unwrap()
}

alone!(a_barrier_opens_again_and_again {
    let scene = Scene::new("");
    let barrier = barrier(&scene, 3);
    let children: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                for _ in 0..30 {
                    barrier.wait_timeout(LONG).unwrap();
                }
            })
        })
        .collect();
    children.iter().for_each(ends_well);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let here = barrier.wait_and(|| found.lock().unwrap().push((9, true))).unwrap();
                found.lock().unwrap().push((here.index(), here.is_leader()));
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    assert_eq!(found[0], (9, true), "the action comes before anybody goes on");
    found.sort_unstable();
    assert_eq!(found, [(0, false), (1, false), (2, true), (9, true)]);
    assert_eq!(scene.size("HLEN", "places"), 0);
});

alone!(a_barrier_breaks_and_is_mended {
    let scene = Scene::new("");
    let barrier = barrier(&scene, 2);
    let state = || barrier.state(&Patience::none()).unwrap();
    assert!(matches!(barrier.wait_timeout(MOMENT), Err(BarrierError::Broken)));
    assert!(state().is_broken);
    assert!(matches!(barrier.wait(), Err(BarrierError::Broken)));
    barrier.reset(&Patience::none()).unwrap();
    assert!(!state().is_broken);
    for end in ["abort", "reset", "panic"] {
        let waiter = fork(|| assert!(matches!(barrier.wait_timeout(LONG), Err(BarrierError::Broken))));
        until(|| state().waiting == 1);
        match end {
            "abort" => barrier.abort(&Patience::none()).unwrap(),
            "reset" => barrier.reset(&Patience::none()).unwrap(),
            _ => {
                let act = || barrier.wait_and(|| panic!("on purpose"));
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_err();
            }
        }
        ends_well(&waiter);
        assert_eq!(state().is_broken, end != "reset", "{end}");
        barrier.reset(&Patience::none()).unwrap();
    }
});

alone!(a_barrier_does_not_wait_for_the_dead {
    let scene = Scene::new("lease=0.5");
    let barrier = barrier(&scene, 3);
    let waiting = || barrier.state(&Patience::none()).unwrap().waiting;
    let dying = fork(|| drop(barrier.wait_timeout(LONG)));
    until(|| waiting() == 1);
    let other = fork(|| assert!(matches!(barrier.wait_timeout(LONG), Err(BarrierError::Broken))));
    until(|| waiting() == 2);
    dying.kill();
    ends_well(&other);
    barrier.reset(&Patience::none()).unwrap();
    // In the action.
    let pair = Barrier::named(&scene.server, "pair", 2).unwrap();
    let other = fork(|| assert!(matches!(pair.wait_timeout(LONG), Err(BarrierError::Broken))));
    until(|| pair.state(&Patience::none()).unwrap().waiting == 1);
    let acting = fork(|| {
        let _ = pair.wait_and(|| std::process::abort());
    });
    acting.wait();
    ends_well(&other);
});
