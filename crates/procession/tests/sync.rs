//! Locks, semaphores, events, conditions and barriers as a program uses them, and what the death of
//! a process does to each.
#![allow(missing_docs)]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use procession::{Acquired, Ended, RawEvent, RawLock, RawSemaphore, ReleaseError, Wait};
use support::primitives::{
    abandoned, acquire, family, sleepers, somebody_waits, sound, take, until, wait,
};
use support::{alone, fork};

/// Within this a death must be noticed.
const NOTICE: Duration = Duration::from_millis(500);

fn lock(reentrant: bool) -> RawLock {
    RawLock::create(family(), reentrant).unwrap()
}

#[test]
fn a_plain_lock_is_anybodys_to_release() {
    let lock = lock(false);
    assert_eq!(lock.release(), Err(ReleaseError::NotHeld));
    assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean));
    assert_eq!(lock.try_acquire().unwrap(), None, "not even by its holder");
    assert!(lock.is_mine() && lock.is_held() && lock.is_held_here());
    assert_eq!(lock.depth(), 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!lock.is_mine() && lock.is_held_here());
            assert_eq!(lock.depth(), 0);
            lock.release().unwrap();
        });
    });
    assert!(!lock.is_held() && !lock.is_mine());
    assert_eq!(lock.holder(), None);
}

#[test]
fn a_reentrant_lock_counts_and_is_its_threads() {
    let lock = lock(true);
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    let same = RawLock::from_handle(&lock.handle()).unwrap();
    for lock in [&lock, &same, &lock] {
        assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean));
    }
    assert_eq!((lock.depth(), same.depth()), (3, 3), "two handles are one lock");
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lock.try_acquire().unwrap(), None);
            assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
            assert_eq!(lock.wait(Some(Instant::now())), Wait::TimedOut);
        });
    });
    (0..3).for_each(|_| same.release().unwrap());
    assert!(!lock.is_held());
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean)));
    });
    assert!(lock.is_held_here() && !lock.is_mine(), "a thread that ended has it still");
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_released() {
    let lock = lock(false);
    acquire(&lock);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    acquire(&lock);
                    lock.release().unwrap();
                })
            })
            .collect();
        until(|| somebody_waits() || waiters.iter().any(thread::ScopedJoinHandle::is_finished));
        lock.release().unwrap();
    });
    assert!(!lock.is_held());
}

alone!(a_killed_holder_leaves_the_lock_abandoned {
    for reentrant in [false, true] {
        let (lock, taken) = (lock(reentrant), RawEvent::create(family()).unwrap());
        let child = fork(|| {
            family().set_name("the one who dies");
            acquire(&lock);
            taken.set();
            loop {
                thread::park();
            }
        });
        until(|| taken.is_set());
        assert_eq!(lock.try_acquire().unwrap(), None);
        assert_eq!(lock.holder().unwrap().pid, child.pid());
        child.signal(libc::SIGKILL);
        let start = Instant::now();
        let by = abandoned(acquire(&lock));
        assert!(start.elapsed() < NOTICE, "{:?}", start.elapsed());
        assert_eq!((by.pid, by.name.as_str()), (child.pid(), "the one who dies"));
        assert_eq!(by.ended, Some(Ended::Signalled(9)), "the zombie says so");
        child.wait();
        lock.release().unwrap();
        assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean), "told once");
        lock.release().unwrap();
    }
    sound();
});

alone!(who_waits_already_is_told {
    let (lock, taken) = (lock(false), RawEvent::create(family()).unwrap());
    let child = fork(|| {
        acquire(&lock);
        taken.set();
        loop {
            thread::park();
        }
    });
    until(|| taken.is_set());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| (acquire(&lock), Instant::now()));
        until(somebody_waits);
        let died = Instant::now();
        child.signal(libc::SIGKILL);
        child.wait();
        let (acquired, then) = waiter.join().unwrap();
        assert_eq!(abandoned(acquired).pid, child.pid());
        assert!(then - died < NOTICE, "{:?}", then - died);
    });
});

alone!(who_only_tries_is_told_as_well {
    let lock = lock(false);
    fork(|| drop(acquire(&lock))).wait();
    let start = Instant::now();
    let acquired = loop {
        if let Some(acquired) = lock.try_acquire().unwrap() {
            break acquired;
        }
        assert!(start.elapsed() < NOTICE);
        thread::yield_now();
    };
    abandoned(acquired);
});

alone!(how_it_ended_can_be_told_by_who_waited_for_it {
    let lock = lock(false);
    let child = fork(|| drop(acquire(&lock)));
    let status = child.wait();
    family().record_exit(child.pid(), Ended::from_wait_status(status).unwrap());
    let by = abandoned(acquire(&lock));
    assert_eq!((by.pid, by.ended), (child.pid(), Some(Ended::Exited(0))), "_exit is a crash");
});

alone!(a_clean_exit_keeps_a_lock_and_frees_a_reentrant_one {
    let locks = [lock(false), lock(true), lock(false)];
    let [plain, reentrant, dropped] = &locks;
    let child = fork(|| {
        for lock in [plain, reentrant, dropped] {
            acquire(lock);
        }
        // SAFETY: the child leaves by `_exit`, so the original is never dropped.
        drop(unsafe { std::ptr::read(dropped) });
        family().leave_cleanly();
    });
    child.wait();
    assert_eq!(reentrant.try_acquire().unwrap(), Some(Acquired::Clean));
    for lock in [plain, dropped] {
        assert_eq!(lock.try_acquire().unwrap(), None);
        assert_eq!(lock.wait(Some(Instant::now() + NOTICE)), Wait::Again);
        family().sweep().unwrap();
        assert!(lock.is_held() && lock.holder().is_none(), "held by nobody");
        lock.release().unwrap();
        assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean));
    }
    sound();
});

alone!(a_thread_that_goes_on_keeps_its_lock_to_the_end {
    for reentrant in [true, false] {
        let (lock, left) = (lock(reentrant), RawEvent::create(family()).unwrap());
        let child = fork(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    acquire(&lock);
                    until(|| left.is_set());
                    assert!(lock.is_mine() && lock.depth() == 1);
                    loop {
                        thread::park();
                    }
                });
                until(|| lock.is_held_here());
                family().leave_cleanly();
                left.set();
            });
        });
        until(|| left.is_set());
        assert_eq!(lock.wait(Some(Instant::now() + NOTICE)), Wait::Again);
        assert_eq!(lock.try_acquire().unwrap(), None);
        assert_eq!(lock.holder().unwrap().pid, child.pid());
        child.kill();
        let died = Instant::now();
        let free = || if reentrant { lock.try_acquire().unwrap() } else { lock.release().ok().map(|()| Acquired::Clean) };
        assert_eq!(wait(free, |deadline| lock.wait(deadline)), Acquired::Clean);
        assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    }
});

alone!(what_is_abandoned_is_nobodys_to_release {
    let lock = lock(false);
    let child = fork(|| drop(acquire(&lock)));
    child.wait();
    family().sweep().unwrap();
    assert!(!lock.is_held());
    assert_eq!(lock.release(), Err(ReleaseError::NotHeld));
    assert_eq!(abandoned(acquire(&lock)).pid, child.pid(), "and it is still told");
    lock.release().unwrap();
    assert_eq!(lock.release(), Err(ReleaseError::NotHeld));
});

alone!(a_lock_acquired_after_leaving_is_kept_too {
    let (plain, reentrant) = (lock(false), lock(true));
    fork(|| {
        family().leave_cleanly();
        acquire(&plain);
        acquire(&reentrant);
    })
    .wait();
    family().sweep().unwrap();
    assert!(plain.is_held() && plain.holder().is_none());
    assert_eq!(reentrant.try_acquire().unwrap(), Some(Acquired::Clean));
});

alone!(a_stopped_holder_keeps_the_lock {
    let (lock, taken) = (lock(false), RawEvent::create(family()).unwrap());
    let child = fork(|| {
        acquire(&lock);
        taken.set();
        loop {
            thread::park();
        }
    });
    until(|| taken.is_set());
    child.signal(libc::SIGSTOP);
    let deadline = Some(Instant::now() + 2 * NOTICE);
    while lock.wait(deadline) != Wait::TimedOut {
        assert_eq!(lock.try_acquire().unwrap(), None);
    }
    family().sweep().unwrap();
    assert_eq!(lock.holder().unwrap().pid, child.pid());
    child.kill();
    abandoned(acquire(&lock));
});

alone!(the_parents_locks_stay_the_parents {
    let lock = lock(true);
    acquire(&lock);
    let status = fork(|| {
        assert!(!lock.is_mine() && !lock.is_held_here());
        assert_eq!(lock.try_acquire().unwrap(), None);
        assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    })
    .wait();
    assert_eq!(status, 0);
    assert_eq!(lock.depth(), 1);
    lock.release().unwrap();
});

alone!(what_was_abandoned_can_be_put_back {
    let lock = lock(true);
    let child = fork(|| {
        family().set_name("gone");
        acquire(&lock);
    });
    child.wait();
    let first = abandoned(acquire(&lock));
    lock.put_back(&first);
    assert!(!lock.is_mine() && !lock.is_held());
    let second = abandoned(acquire(&lock));
    assert_eq!(first, second);
    assert_eq!(second.name, "gone");
    lock.release().unwrap();
    lock.put_back(&first);
    assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean), "it was not held");
});

alone!(more_processes_than_cores_exclude_each_other {
    let (lock, count) = (lock(false), RawSemaphore::create(family(), 0, u32::MAX).unwrap());
    let inside = RawSemaphore::create(family(), 0, 1).unwrap();
    let children: Vec<_> = (0..8)
        .map(|_| {
            fork(|| {
                for _ in 0..2000 {
                    acquire(&lock);
                    inside.release(1).unwrap();
                    count.release(1).unwrap();
                    assert!(inside.try_acquire());
                    lock.release().unwrap();
                }
            })
        })
        .collect();
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!(count.value(), 16_000);
    sound();
});

#[test]
fn a_semaphore_counts() {
    let s = RawSemaphore::create(family(), 2, 3).unwrap();
    assert!(s.try_acquire() && s.try_acquire() && !s.try_acquire());
    assert_eq!(s.wait(Some(Instant::now())), Wait::TimedOut);
    assert!(s.release(4).is_err());
    assert_eq!(s.value(), 0, "all or none");
    s.release(3).unwrap();
    assert!(s.release(1).is_err());
    assert_eq!((s.value(), s.max()), (3, 3));
    assert!(s.release(u32::MAX).is_err());
}

alone!(permits_go_from_process_to_process {
    let (there, back) = (
        RawSemaphore::create(family(), 0, 4).unwrap(),
        RawSemaphore::create(family(), 0, 4).unwrap(),
    );
    let children: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                for _ in 0..500 {
                    take(&there);
                    back.release(1).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..500 {
        there.release(4).unwrap();
        (0..4).for_each(|_| take(&back));
    }
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!((there.value(), back.value()), (0, 0));
    sound();
});

alone!(a_killed_sleeper_delays_a_permit_and_takes_none {
    let s = RawSemaphore::create(family(), 0, 4).unwrap();
    let child = fork(|| loop {
        let _ = s.wait(None);
    });
    until(somebody_waits);
    child.signal(libc::SIGSTOP); // so that the wake-up goes to it
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            take(&s);
            Instant::now()
        });
        until(|| sleepers() > 1);
        s.release(1).unwrap();
        child.kill();
        let start = Instant::now();
        assert!(waiter.join().unwrap().saturating_duration_since(start) < NOTICE);
    });
    assert_eq!(s.value(), 0);
});

alone!(a_set_lets_everyone_through_who_waited {
    let event = RawEvent::create(family()).unwrap();
    let here = RawSemaphore::create(family(), 0, 9).unwrap();
    let children: Vec<_> = (0..6)
        .map(|_| {
            fork(|| {
                let since = event.epoch();
                here.release(1).unwrap();
                let passed = || (event.is_set() || event.epoch() != since).then_some(());
                wait(passed, |deadline| event.wait(since, deadline));
            })
        })
        .collect();
    until(|| here.value() == 6);
    event.set();
    event.clear();
    assert!(children.iter().all(|c| c.wait() == 0));
    assert!(!event.is_set());
    event.set();
    event.set();
    assert!(event.is_set());
    assert_eq!(event.epoch(), 2);
});
