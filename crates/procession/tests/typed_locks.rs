//! Locks with guards, as a program uses them: what is held when, and who is told what when a holder dies,
//! panics, or forks.
#![allow(missing_docs)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use procession::{
    Condition, Ended, Event, HandleError, Lock, LockError, LockGuard, RLock, ReleaseError,
    Semaphore,
};
use support::primitives::{family, somebody_waits, sound, until};
use support::{alone, fork};

const NOTICE: Duration = Duration::from_millis(500);
const MOMENT: Duration = Duration::from_millis(2);

/// Does this and waits to be killed.
fn for_ever(first: impl FnOnce()) -> ! {
    first();
    loop {
        thread::park();
    }
}

fn panicking(act: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    assert!(catch_unwind(AssertUnwindSafe(act)).is_err());
    std::panic::set_hook(hook);
}

#[test]
fn a_guard_is_the_lock() {
    let lock = Lock::new().unwrap();
    let same = Lock::from_handle(&lock.handle()).unwrap();
    let guard = lock.acquire().unwrap();
    assert!(matches!(same.try_acquire(), Err(LockError::Held)));
    let start = Instant::now();
    assert!(matches!(same.acquire_timeout(MOMENT), Err(LockError::Held)));
    assert!(start.elapsed() >= MOMENT);
    assert_eq!(same.holder().unwrap().pid, std::process::id());
    thread::scope(|scope| {
        scope.spawn(move || drop(guard)); // it may go in any thread
    });
    assert!(!same.is_held() && same.holder().is_none());
    same.acquire_timeout(Duration::MAX).unwrap().leak();
    assert!(lock.is_held());
    lock.release().unwrap();
    assert_eq!(lock.release(), Err(ReleaseError::NotHeld));
}

#[test]
fn kinds_of_locks_are_told_apart() {
    let (lock, reentrant) = (Lock::new().unwrap(), RLock::new().unwrap());
    let event = Event::new().unwrap();
    assert!(matches!(RLock::from_handle(&lock.handle()), Err(HandleError::Malformed)));
    assert!(matches!(Lock::from_handle(&reentrant.handle()), Err(HandleError::Malformed)));
    assert!(matches!(Lock::from_handle(&event.handle()), Err(HandleError::Malformed)));
    let (again, gone) = (lock.clone(), event.handle());
    drop((lock, event));
    assert!(Event::from_handle(&gone).is_err(), "the last one has gone");
    assert!(Lock::from_handle(&again.handle()).is_ok(), "a clone keeps it");
}

#[test]
fn who_released_it_elsewhere_did_not_release_the_next_one() {
    let lock = Lock::new().unwrap();
    let guard = lock.acquire().unwrap();
    lock.release().unwrap();
    drop(guard);
    assert!(!lock.is_held());
}

alone!(a_killed_holder_is_named_and_the_guard_is_in_the_error {
    let (lock, taken) = (Lock::new().unwrap(), Event::new().unwrap());
    let child = fork(|| {
        family().set_name("the one who dies");
        let _guard = lock.acquire().unwrap();
        for_ever(|| taken.set())
    });
    taken.wait();
    assert_eq!(lock.holder().unwrap().name, "the one who dies");
    child.kill();
    let died = Instant::now();
    let Err(LockError::Abandoned(left)) = lock.acquire() else { panic!("not told") };
    assert!(died.elapsed() < NOTICE, "{:?}", died.elapsed());
    assert_eq!((left.holder().pid, left.holder().name.as_str()), (child.pid(), "the one who dies"));
    let text = left.to_string();
    assert!(text.contains(&child.pid().to_string()) && text.contains("the one who dies"), "{text}");
    let guard = left.into_guard();
    assert!(lock.is_held());
    drop(guard);
    drop(lock.acquire().unwrap()); // told once
    sound();
});

alone!(an_error_that_is_passed_on_leaves_the_lock_as_it_was {
    fn careless(lock: &Lock) -> Result<(), Box<dyn std::error::Error>> {
        let _guard = lock.acquire()?;
        Ok(())
    }
    let lock = Lock::new().unwrap();
    let child = fork(|| lock.acquire().unwrap().leak());
    child.wait();
    let first = careless(&lock).unwrap_err().to_string();
    assert!(!lock.is_held());
    assert_eq!(careless(&lock).unwrap_err().to_string(), first, "told again, the same");
    assert!(first.contains(&child.pid().to_string()), "{first}");
    drop(lock.acquire().or_else(LockError::into_guard).unwrap());
    careless(&lock).unwrap();
});

alone!(a_panic_leaves_the_lock_abandoned {
    family().set_name("clumsy");
    let lock = Lock::new().unwrap();
    panicking(|| {
        let _guard = lock.acquire().unwrap();
        panic!("on purpose");
    });
    let Err(LockError::Abandoned(left)) = lock.try_acquire() else { panic!("not told") };
    let by = left.holder();
    assert_eq!((by.pid, by.name.as_str()), (std::process::id(), "clumsy"));
    assert_eq!(by.ended, Some(Ended::Panicked));
    assert!(left.to_string().ends_with("(clumsy) panicked"), "{left}");
    drop(left.into_guard());
    drop(lock.try_acquire().unwrap());
    sound();
});

alone!(who_took_it_while_it_panicked_has_nothing_to_say {
    struct OnUnwind<'a>(&'a Lock);
    impl Drop for OnUnwind<'_> {
        fn drop(&mut self) {
            drop(self.0.acquire().unwrap());
        }
    }
    let lock = Lock::new().unwrap();
    panicking(|| {
        let _cleans_up = OnUnwind(&lock);
        panic!("on purpose");
    });
    drop(lock.try_acquire().unwrap());
});

alone!(a_fork_child_has_no_guard {
    let (lock, reentrant, permits) = (Lock::new().unwrap(), RLock::new().unwrap(), Semaphore::bounded(1).unwrap());
    let guards = (lock.acquire().unwrap(), reentrant.acquire().unwrap(), permits.acquire());
    let child = fork(|| {
        // SAFETY: the child leaves by `_exit`, so the originals are never dropped.
        drop(unsafe { std::ptr::read(&raw const guards) });
        assert!(matches!(lock.try_acquire(), Err(LockError::Held)));
    });
    assert_eq!(child.wait(), 0);
    assert!(lock.is_held() && reentrant.is_held() && permits.try_acquire().is_none());
    drop(guards);
    assert!(!lock.is_held() && !reentrant.is_held() && permits.value() == 1);
    sound();
});

#[test]
fn a_reentrant_lock_goes_with_its_last_guard() {
    let lock = RLock::new().unwrap();
    let (one, two) = (lock.acquire().unwrap(), lock.acquire().unwrap());
    assert!(lock.is_mine() && lock.depth() == 2);
    drop(one);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!lock.is_mine());
            assert!(matches!(lock.acquire_timeout(MOMENT), Err(LockError::Held)));
        });
    });
    drop(two);
    assert!(!lock.is_held());
}

#[test]
fn a_panic_inside_is_told_when_the_outermost_guard_goes() {
    let lock = RLock::new().unwrap();
    let outer = lock.acquire().unwrap();
    panicking(|| {
        let _inner = lock.acquire().unwrap();
        panic!("on purpose");
    });
    assert_eq!(lock.depth(), 1, "the thread has seen to the panic");
    drop(outer);
    drop(lock.acquire().unwrap());
    panicking(|| {
        let (_outer, _inner) = (lock.acquire().unwrap(), lock.acquire().unwrap());
        panic!("on purpose");
    });
    let Err(LockError::Abandoned(left)) = lock.acquire() else { panic!("not told") };
    assert_eq!(left.holder().ended, Some(Ended::Panicked));
    drop(left.into_guard());
    assert!(!lock.is_held());
}

alone!(a_condition_lets_go_of_a_reentrant_lock_altogether {
    let (lock, condition) = (RLock::new().unwrap(), Condition::new().unwrap());
    let child = fork(|| {
        until(|| condition.waiting() == 1);
        let guard = lock.acquire().unwrap();
        assert!(condition.notify_one());
        drop(guard);
    });
    let (outer, inner) = (lock.acquire().unwrap(), lock.acquire().unwrap());
    let inner = condition.wait(inner).unwrap();
    assert_eq!(lock.depth(), 2);
    drop(inner);
    assert!(lock.is_held());
    drop(outer);
    assert!(!lock.is_held());
    assert_eq!(child.wait(), 0);
});

alone!(a_waiter_that_is_notified_by_one_who_dies_is_told {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    let child = fork(|| {
        until(|| condition.waiting() == 1);
        lock.acquire().unwrap().leak();
        condition.notify_all();
    });
    let Err(LockError::Abandoned(left)) = condition.wait(lock.acquire().unwrap()) else { panic!("not told") };
    assert_eq!(left.holder().pid, child.pid());
    let guard: LockGuard<'static> = left.into_guard();
    drop(guard);
    child.wait();
    sound();
});

#[test]
fn a_wait_that_times_out_has_the_lock_again() {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    let (guard, notified) = condition.wait_timeout(lock.acquire().unwrap(), MOMENT).unwrap();
    assert!(!notified && lock.is_held() && condition.waiting() == 0);
    drop(guard);
    assert_eq!((condition.notify_one(), condition.notify_all()), (false, 0));
}

alone!(waiters_in_many_processes_are_woken_in_turn {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    let woken = Semaphore::new(0).unwrap();
    let children: Vec<_> = (0..5)
        .map(|_| {
            fork(|| {
                drop(condition.wait(lock.acquire().unwrap()).unwrap());
                woken.release(1).unwrap();
            })
        })
        .collect();
    until(|| condition.waiting() == 5);
    assert_eq!(condition.notify(2), 2);
    until(|| woken.value() == 2);
    assert_eq!(condition.waiting(), 3);
    assert_eq!(condition.notify_all(), 3);
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!(woken.value(), 5);
    sound();
});

alone!(a_blocked_acquire_goes_on_after_a_signal {
    extern "C" fn nothing(_: i32) {}
    let (lock, taken) = (Lock::new().unwrap(), Event::new().unwrap());
    let guard = lock.acquire().unwrap();
    let child = fork(|| {
        // SAFETY: installs a handler that does nothing.
        unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as usize) };
        let _guard = lock.acquire().unwrap();
        taken.set();
    });
    until(somebody_waits);
    for _ in 0..20 {
        child.signal(libc::SIGUSR1);
    }
    assert!(!taken.wait_timeout(MOMENT));
    drop(guard);
    assert_eq!(child.wait(), 0);
    assert!(taken.is_set());
});

alone!(more_processes_than_cores_take_turns {
    let (lock, count) = (Lock::new().unwrap(), Semaphore::new(0).unwrap());
    let inside = Semaphore::bounded(1).unwrap();
    let children: Vec<_> = (0..8)
        .map(|_| {
            fork(|| {
                for _ in 0..2000 {
                    let _guard = lock.acquire().unwrap();
                    let _alone = inside.try_acquire().expect("nobody else is inside");
                    count.release(1).unwrap();
                }
            })
        })
        .collect();
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!(count.value(), 16_000);
    sound();
});
