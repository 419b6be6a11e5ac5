//! The lock with many readers: who waits for whom, and what the death of a reader or a writer does.
#![allow(missing_docs)]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use procession::{Acquired, Event, LockError, RawRwLock, ReleaseError, RwLock, Semaphore, Wait};
use support::primitives::{abandoned, family, sleepers, somebody_waits, sound, until};
use support::{Forked, alone, fork};

/// Within this a death must be noticed; a reader's only after a slice of sleep and a sweep.
const NOTICE: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(20);

/// A child that does this and then waits to be killed.
fn stuck(ready: &Event, act: impl FnOnce()) -> Forked {
    let child = fork(|| {
        act();
        ready.set();
        loop {
            thread::park();
        }
    });
    assert!(ready.wait_timeout(LONG));
    ready.clear();
    child
}

#[test]
fn readers_share_and_writers_exclude() {
    let lock = RawRwLock::create(family()).unwrap();
    for _ in 0..3 {
        assert_eq!(lock.try_read().unwrap(), Some(Acquired::Clean));
    }
    assert_eq!((lock.readers(), lock.try_write().unwrap()), (3, None));
    assert_eq!(lock.release_write(), Err(ReleaseError::NotHeld));
    (0..3).for_each(|_| lock.release_read().unwrap());
    assert_eq!(lock.release_read(), Err(ReleaseError::NotHeld));
    assert_eq!(lock.try_write().unwrap(), Some(Acquired::Clean));
    assert_eq!(lock.writer().unwrap().pid, std::process::id());
    assert_eq!((lock.try_write().unwrap(), lock.try_read().unwrap()), (None, None));
    assert_eq!(lock.wait_to_read(Some(Instant::now())), Wait::TimedOut);
    lock.release_write().unwrap();
    assert!(lock.writer().is_none());
    assert_eq!(lock.wait_to_read(None), Wait::Again);
}

#[test]
fn a_writer_that_only_tries_turns_nobody_away() {
    let lock = RawRwLock::create(family()).unwrap();
    lock.try_read().unwrap();
    assert_eq!(lock.try_write().unwrap(), None);
    assert_eq!(lock.try_read().unwrap(), Some(Acquired::Clean));
    let mut attempt = lock.attempt();
    assert_eq!(attempt.try_write().unwrap(), None);
    assert_eq!(lock.try_read().unwrap(), None, "a writer waits");
    assert_eq!(lock.release_write(), Err(ReleaseError::NotHeld), "it does not write yet");
    assert_eq!(attempt.wait(Some(Instant::now())), Wait::TimedOut);
    drop(attempt);
    assert_eq!(lock.try_read().unwrap(), Some(Acquired::Clean), "it has given up");
    (0..3).for_each(|_| lock.release_read().unwrap());
}

#[test]
fn time_outs_are_kept_on_both_sides() {
    let lock = RwLock::new(&1).unwrap();
    let guard = lock.read().unwrap();
    let start = Instant::now();
    assert!(matches!(lock.write_timeout(MOMENT), Err(LockError::Held)));
    assert!(start.elapsed() >= MOMENT);
    drop((lock.try_read().unwrap(), guard));
    let guard = lock.write().unwrap();
    assert!(matches!(lock.read_timeout(MOMENT), Err(LockError::Held)));
    assert!(matches!(lock.write_timeout(MOMENT), Err(LockError::Held)));
    drop(guard);
    assert_eq!(*lock.read_timeout(Duration::MAX).unwrap(), 1);
}

alone!(a_writer_waits_for_readers_and_they_for_it {
    let lock = RwLock::new(&0).unwrap();
    let guard = lock.read().unwrap();
    let writer = fork(|| *lock.write().unwrap() = 1);
    until(|| lock.writer().is_some() && somebody_waits());
    assert!(matches!(lock.try_read(), Err(LockError::Held)), "it is the writer's turn");
    let reader = fork(|| assert_eq!(*lock.read().unwrap(), 1));
    until(|| sleepers() == 2);
    drop(guard);
    assert_eq!((writer.wait(), reader.wait()), (0, 0));
    sound();
});

alone!(writers_are_not_starved_by_readers {
    let (lock, over) = (RwLock::new(&0u64).unwrap(), Event::new().unwrap());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                let mut last = lock.read().unwrap();
                while !over.is_set() {
                    // Never free of readers of this process, but that a writer waits.
                    if let Ok(next) = lock.try_read() {
                        last = next;
                    } else {
                        drop(last);
                        last = lock.read().unwrap();
                    }
                }
                drop(last);
            })
        })
        .collect();
    until(|| lock.readers() >= 3);
    for n in 0..200 {
        let mut guard = lock.write_timeout(LONG).unwrap();
        assert_eq!(*guard, n);
        *guard += 1;
    }
    over.set();
    assert!(readers.iter().all(|r| r.wait() == 0));
    sound();
});

alone!(many_write_and_read_and_nothing_is_torn {
    let (pair, inside) = (RwLock::new(&(0u64, 0u64)).unwrap(), Semaphore::bounded(1).unwrap());
    let children: Vec<_> = (0..6)
        .map(|id| {
            let (pair, inside) = (&pair, &inside);
            fork(move || {
                for n in 0..1000 {
                    if n % 5 == id % 5 {
                        let mut guard = pair.write().unwrap();
                        let _alone = inside.try_acquire().expect("nobody else writes");
                        guard.0 += 1;
                        guard.1 += 2;
                    } else {
                        let guard = pair.read().unwrap();
                        assert_eq!(inside.value(), 1, "nobody writes");
                        assert_eq!(2 * guard.0, guard.1);
                    }
                }
            })
        })
        .collect();
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!(*pair.read().unwrap(), (1200, 2400));
    sound();
});

alone!(threads_of_one_process_share_its_place {
    let lock = RwLock::new(&5).unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..100).map(|_| scope.spawn(|| lock.read().unwrap())).collect();
        let guards: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        assert_eq!(lock.readers(), 100);
        assert!(guards.iter().all(|g| **g == 5));
    });
    drop(lock.try_write().unwrap());
    sound();
});

alone!(a_dead_readers_reading_ends {
    let (lock, ready) = (RwLock::new(&1).unwrap(), Event::new().unwrap());
    let child = stuck(&ready, || std::mem::forget((lock.read().unwrap(), lock.read().unwrap())));
    let other = lock.read().unwrap();
    assert_eq!(lock.readers(), 3);
    child.kill();
    let died = Instant::now();
    drop(other);
    // Nobody is told: a reader leaves nothing behind.
    *lock.write_timeout(LONG).unwrap() = 2;
    assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    assert_eq!(lock.readers(), 0);
    sound();
});

alone!(a_stopped_reader_reads_on {
    let (lock, ready) = (RwLock::new(&1).unwrap(), Event::new().unwrap());
    let child = stuck(&ready, || std::mem::forget(lock.read().unwrap()));
    child.signal(libc::SIGSTOP);
    assert!(matches!(lock.write_timeout(NOTICE), Err(LockError::Held)));
    child.kill();
    drop(lock.write_timeout(LONG).unwrap());
});

alone!(a_writer_that_dies_waiting_has_never_been {
    let (lock, waits) = (RwLock::new(&1).unwrap(), lock_waits());
    let guard = lock.read().unwrap();
    let child = fork(|| drop(lock.write().unwrap()));
    until(|| lock.writer().is_some_and(|w| w.pid == child.pid()) && waits());
    child.kill();
    let died = Instant::now();
    drop(lock.read_timeout(LONG).unwrap());
    assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    drop(guard);
    drop(lock.try_write().unwrap()); // not abandoned
    sound();
});

fn lock_waits() -> impl Fn() -> bool {
    || sleepers() == 1
}

alone!(a_dead_writer_is_told_of_until_somebody_has_written {
    let (lock, ready) = (RwLock::new(&1).unwrap(), Event::new().unwrap());
    let child = stuck(&ready, || {
        let mut guard = lock.write().unwrap();
        *guard = 2;
        guard.save().unwrap();
        *guard = 3;
        std::mem::forget(guard);
    });
    child.kill();
    for _ in 0..2 {
        let Err(LockError::Abandoned(left)) = lock.read() else { panic!("a reader is not told") };
        assert_eq!(left.holder().pid, child.pid());
        assert_eq!(*left.into_guard(), 2);
    }
    // One who waits for those readers dies as well: it is still the first one that is told of.
    let guard = lock.read().or_else(LockError::into_guard).unwrap();
    let second = fork(|| drop(lock.write()));
    until(|| lock.writer().is_some_and(|w| w.pid == second.pid()) && somebody_waits());
    second.kill();
    until(|| lock.try_read().is_err_and(|e| matches!(e, LockError::Abandoned(_))));
    drop(guard);
    let Err(LockError::Abandoned(left)) = lock.write() else { panic!("not told") };
    assert_eq!(left.holder().pid, child.pid());
    drop(left); // not seen to
    let Err(LockError::Abandoned(left)) = lock.write() else { panic!("not told again") };
    assert_eq!(left.holder().pid, child.pid());
    *left.into_guard() = 4;
    assert_eq!(*lock.read().unwrap(), 4);
    assert_eq!(*lock.write().unwrap(), 4);
    sound();
});

alone!(a_writer_that_gives_up_leaves_it_abandoned {
    let lock = RawRwLock::create(family()).unwrap();
    let child = fork(|| drop(lock.try_write().unwrap()));
    child.wait();
    until(|| lock.try_read().unwrap().is_some());
    let mut attempt = lock.attempt();
    assert_eq!(attempt.try_write().unwrap(), None);
    drop(attempt);
    lock.release_read().unwrap();
    assert_eq!(abandoned(lock.try_write().unwrap().unwrap()).pid, child.pid());
    lock.release_write().unwrap();
    assert_eq!(lock.try_write().unwrap(), Some(Acquired::Clean));
});

// Who finds no place waits; and gets one when one of those who read goes, or dies.
alone!(a_process_for_whom_there_is_no_place_waits {
    let (lock, ready) = (RwLock::new(&7).unwrap(), Event::new().unwrap());
    let first: Vec<_> = (0..RawRwLock::PLACES)
        .map(|_| stuck(&ready, || std::mem::forget(lock.read().unwrap())))
        .collect();
    assert_eq!(lock.readers() as usize, RawRwLock::PLACES);
    assert!(matches!(lock.try_read(), Err(LockError::Held)));
    let late = fork(|| assert_eq!(*lock.read_timeout(LONG).unwrap(), 7));
    until(somebody_waits);
    first[0].kill();
    assert_eq!(late.wait(), 0);
    first.iter().skip(1).for_each(Forked::kill);
    drop(lock.write_timeout(LONG).unwrap());
    sound();
});

alone!(who_has_a_place_may_read_more_often {
    let (lock, ready) = (RwLock::new(&7).unwrap(), Event::new().unwrap());
    let here = lock.read().unwrap();
    let others: Vec<_> = (1..RawRwLock::PLACES)
        .map(|_| stuck(&ready, || std::mem::forget(lock.read().unwrap())))
        .collect();
    drop((lock.try_read().unwrap(), here));
    drop(lock.try_read().unwrap());
    others.iter().for_each(Forked::kill);
    family().sweep().unwrap();
    assert_eq!(lock.readers(), 0);
    sound();
});

alone!(a_fork_child_does_not_read_what_its_parent_reads {
    let lock = RwLock::new(&7).unwrap();
    let guard = lock.read().unwrap();
    let attempt = RawRwLock::create(family()).unwrap();
    let child = fork(|| {
        // SAFETY: the child leaves by `_exit`, so the original is never dropped.
        drop(unsafe { std::ptr::read(&raw const guard) });
        assert_eq!(lock.readers(), 1);
        drop(lock.read().unwrap());
    });
    assert_eq!(child.wait(), 0);
    assert_eq!(lock.readers(), 1);
    drop((guard, attempt));
    sound();
});

alone!(who_only_tries_to_write_notices_dead_readers_as_well {
    let lock = RwLock::new(&1u8).unwrap();
    let child = fork(|| {
        std::mem::forget(lock.read().unwrap());
        loop {
            std::thread::park();
        }
    });
    until(|| lock.readers() == 1);
    assert!(lock.try_write().is_err());
    child.kill();
    until(|| lock.try_write().is_ok());
    sound();
});
