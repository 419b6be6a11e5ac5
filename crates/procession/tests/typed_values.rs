//! Mutexes: what the value is after whoever had it let go of it, died, panicked, or could not save it.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use procession::{
    Condition, Ended, Event, LockError, Mutex, Queue, RwLock, SharedValue, ValueError,
};
use serde::{Deserialize, Serialize};
use support::primitives::{family, sound, until};
use support::{alone, fork};

#[test]
fn the_value_is_written_back_if_it_was_borrowed_mutably() {
    let mutex = Mutex::new(&vec![1, 2]).unwrap();
    let same: Mutex<Vec<i32>> = Mutex::from_handle(&mutex.handle()).unwrap();
    let mut guard = mutex.lock().unwrap();
    guard.push(3);
    assert!(matches!(same.try_lock(), Err(LockError::Held)));
    assert!(matches!(same.lock_timeout(Duration::from_millis(1)), Err(LockError::Held)));
    assert_eq!(same.get().unwrap(), [1, 2], "nobody sees it yet");
    guard.save().unwrap();
    assert_eq!(same.get().unwrap(), [1, 2, 3]);
    guard.push(4);
    guard.discard();
    assert_eq!(*same.lock().unwrap(), [1, 2, 3]);
    assert!(format!("{same:?}").contains("Mutex") && !same.is_held());
}

#[test]
fn values_of_every_length_come_back() {
    let mutex = Mutex::new(&Vec::<u64>::new()).unwrap();
    let lock = RwLock::new(&Vec::<u64>::new()).unwrap();
    let lengths = (0..40).chain([100, 1000, 100_000, 3, 100_000, 99_999, 0, 5]);
    for n in lengths {
        let wanted: Vec<u64> = (0..n).map(|i| i * 0x1_0000_0001).collect();
        mutex.lock().unwrap().clone_from(&wanted);
        lock.write().unwrap().clone_from(&wanted);
        assert_eq!(*mutex.lock().unwrap(), wanted);
        assert_eq!(*lock.read().unwrap(), wanted);
        assert_eq!((mutex.get().unwrap(), lock.get().unwrap()), (wanted.clone(), wanted));
    }
}

alone!(what_a_value_took_is_given_back {
    sound(); // a page of entries
    let mutex = Mutex::new(&vec![0u8; 1 << 20]).unwrap();
    let lock = RwLock::new(&vec![0u8; 1 << 20]).unwrap();
    let with_values = family().stats();
    assert_eq!(with_values.primitives, 2);
    for n in 0..50 {
        mutex.lock().unwrap().fill(n);
        lock.write().unwrap().fill(n);
    }
    assert!(family().stats().arena_bytes <= 3 * with_values.arena_bytes, "blocks are used again");
    sound();
    drop((mutex, lock));
    let stats = family().stats();
    assert_eq!(stats.primitives, 0);
    sound();
});

#[test]
fn a_type_that_is_not_the_values_is_an_error_and_the_lock_is_free() {
    let mutex = Mutex::new(&"text".to_string()).unwrap();
    let wrong: Mutex<u32> = Mutex::from_handle(&mutex.handle()).unwrap();
    assert!(matches!(wrong.lock(), Err(LockError::Decode(_))));
    assert!(matches!(wrong.get(), Err(ValueError::Decode(_))));
    assert_eq!(*mutex.try_lock().unwrap(), "text");
    let lock = RwLock::new(&"text".to_string()).unwrap();
    let wrong: RwLock<u32> = RwLock::from_handle(&lock.handle()).unwrap();
    assert!(matches!(wrong.read(), Err(LockError::Decode(_))));
    assert!(matches!(wrong.write(), Err(LockError::Decode(_))));
    assert_eq!(*lock.try_write().unwrap(), "text");
    assert!(Mutex::<String>::from_handle(&lock.handle()).is_err());
    assert!(RwLock::<String>::from_handle(&mutex.handle()).is_err());
}

alone!(a_killed_holder_leaves_the_value_that_was_saved_last {
    for len in [1, 1000] {
        let (mutex, changed) = (Mutex::new(&vec![0u64; len]).unwrap(), Event::new().unwrap());
        let child = fork(|| {
            let mut guard = mutex.lock().unwrap();
            guard.fill(1);
            guard.save().unwrap();
            guard.fill(2);
            changed.set();
            loop {
                thread::park();
            }
        });
        changed.wait();
        assert_eq!(mutex.get().unwrap(), vec![1; len], "seen while it is held");
        child.kill();
        let Err(LockError::Abandoned(left)) = mutex.lock() else { panic!("not told") };
        assert_eq!(left.holder().pid, child.pid());
        let mut guard = left.into_guard();
        assert_eq!(*guard, vec![1; len]);
        guard.fill(3);
        drop(guard);
        assert_eq!(*mutex.lock().unwrap(), vec![3; len]);
    }
    sound();
});

// A lock that only a guard releases must not stay held for ever by one who left on purpose.
alone!(who_leaves_cleanly_with_it_has_abandoned_it_too {
    let (mutex, lock) = (Mutex::new(&1).unwrap(), RwLock::new(&1).unwrap());
    fork(|| {
        std::mem::forget((mutex.lock().unwrap(), lock.write().unwrap()));
        family().leave_cleanly();
    })
    .wait();
    assert!(matches!(mutex.lock(), Err(LockError::Abandoned(_))));
    assert!(matches!(lock.write(), Err(LockError::Abandoned(_))));
});

fn panicking(act: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    assert!(catch_unwind(AssertUnwindSafe(act)).is_err());
    std::panic::set_hook(hook);
}

#[test]
fn a_panic_writes_nothing_back() {
    let (mutex, lock) = (Mutex::new(&1).unwrap(), RwLock::new(&1).unwrap());
    panicking(|| {
        *mutex.lock().unwrap() = 2;
        *lock.write().unwrap() = 2;
        let (mut one, mut two) = (mutex.lock().unwrap(), lock.write().unwrap());
        (*one, *two) = (3, 3);
        panic!("on purpose");
    });
    let Err(LockError::Abandoned(left)) = mutex.lock() else { panic!("not told") };
    assert_eq!(left.holder().ended, Some(Ended::Panicked));
    drop(left); // not seen to
    let guard = mutex.lock().or_else(LockError::into_guard).unwrap();
    assert_eq!(*guard, 2);
    drop(guard);
    assert_eq!(*mutex.lock().unwrap(), 2);
    let Err(LockError::Abandoned(left)) = lock.read() else { panic!("a reader is not told") };
    assert_eq!(*left.into_guard(), 2);
    assert!(lock.read().is_err(), "until somebody has written");
    drop(lock.write().or_else(LockError::into_guard).unwrap());
    assert_eq!(*lock.read().unwrap(), 2);
}

/// Can't be serialised when it is negative.
#[derive(Debug, PartialEq, Deserialize)]
struct Fussy(i32);

impl Serialize for Fussy {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 < 0 {
            return Err(serde::ser::Error::custom("negative"));
        }
        to.serialize_newtype_struct("Fussy", &self.0)
    }
}

#[test]
fn what_can_not_be_saved_is_told_to_who_asks_and_to_the_next_one() {
    assert!(Mutex::new(&Fussy(-1)).is_err());
    let (mutex, condition) = (Mutex::new(&Fussy(1)).unwrap(), Condition::new().unwrap());
    let mut guard = mutex.lock().unwrap();
    guard.0 = -1;
    assert!(matches!(guard.save(), Err(ValueError::Encode(_))));
    let Err(LockError::Unsaved(mut guard, _)) = condition.wait(guard) else { panic!("it waited") };
    assert!(mutex.is_held() && *guard == Fussy(-1) && condition.waiting() == 0);
    guard.0 = 2;
    guard.save().unwrap();
    guard.0 = -2;
    drop(guard);
    let Err(LockError::Abandoned(left)) = mutex.lock() else { panic!("not told") };
    assert_eq!(left.holder().ended, Some(Ended::Unsaved));
    assert_eq!(*left.into_guard(), Fussy(2));
    drop(mutex.lock().unwrap());
    let lock = RwLock::new(&Fussy(1)).unwrap();
    lock.write().unwrap().0 = -1;
    assert!(matches!(lock.read(), Err(LockError::Abandoned(_))));
    assert_eq!(lock.get().unwrap(), Fussy(1));
}

alone!(a_full_arena_keeps_the_old_value {
    let mutex = Mutex::new(&vec![1u8; 10_000]).unwrap();
    family().set_memory_limit(Some(1 << 20));
    let mut guard = mutex.lock().unwrap();
    guard.resize(64 << 20, 2);
    assert!(matches!(guard.save(), Err(ValueError::Arena(_))));
    drop(guard);
    let Err(LockError::Abandoned(left)) = mutex.lock() else { panic!("not told") };
    assert_eq!(left.holder().ended, Some(Ended::Unsaved));
    assert_eq!(*left.into_guard(), vec![1; 10_000]);
    family().set_memory_limit(None);
    *mutex.lock().unwrap() = vec![2; 100];
    sound();
});

alone!(no_increment_is_lost_among_processes {
    let counts = Mutex::new(&BTreeMap::<u32, u64>::new()).unwrap();
    let total = Mutex::new(&0u64).unwrap();
    let children: Vec<_> = (0..4)
        .map(|id| {
            let (counts, total) = (&counts, &total);
            fork(move || {
                for _ in 0..2000 {
                    *counts.lock().unwrap().entry(id).or_default() += 1;
                    *total.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    assert!(children.iter().all(|c| c.wait() == 0));
    assert_eq!(*total.lock().unwrap(), 8000);
    assert_eq!(*counts.lock().unwrap(), (0..4).map(|id| (id, 2000)).collect());
    sound();
});

// Lengths that lie in the lock, in a block, and in a run that is mapped for itself.
alone!(a_snapshot_is_never_torn {
    let (mutex, over) = (Mutex::new(&vec![0u64]).unwrap(), Event::new().unwrap());
    let lock = RwLock::new(&vec![0u64]).unwrap();
    let start = std::time::Instant::now();
    let child = fork(|| {
        for n in 1.. {
            assert!(start.elapsed() < support::LIMIT, "nobody reads any more");
            let len = [1, 7, 14, 15, 600, 5000][n as usize % 6];
            *mutex.lock().unwrap() = vec![n; len];
            *lock.write().unwrap() = vec![n; len];
            if over.is_set() {
                break;
            }
        }
    });
    let whole = |value: &[u64]| assert!(value.iter().all(|n| n == &value[0]), "{value:?}");
    until(|| lock.get().unwrap()[0] > 0);
    let mut last = 0;
    for _ in 0..20_000 {
        let value = mutex.get().unwrap();
        whole(&value);
        assert!(value[0] >= last, "it went back");
        last = value[0];
        whole(&lock.get().unwrap());
    }
    whole(&lock.read().unwrap());
    over.set();
    assert_eq!(child.wait(), 0);
    sound();
});

alone!(what_was_read_for_a_snapshot_by_one_who_was_killed_is_freed {
    let mutex = Mutex::new(&vec![0u64; 100_000]).unwrap();
    for _ in 0..20 {
        let (reading, ready) = (&mutex, Event::new().unwrap());
        let child = fork(|| {
            ready.set();
            loop {
                reading.get().unwrap();
            }
        });
        ready.wait();
        for n in 0..4 {
            mutex.lock().unwrap().fill(n);
        }
        child.kill();
        sound();
    }
});

// The object of a handle inside lives as long as the value, and no longer.
alone!(handles_live_in_values {
    let first: Queue<u32> = Queue::unbounded().unwrap();
    let mutex = Mutex::new(&first).unwrap();
    first.put(7).unwrap();
    drop(first);
    assert_eq!(mutex.lock().unwrap().get().unwrap(), 7);
    let child = fork(|| {
        let second = Queue::unbounded().unwrap();
        second.put(8).unwrap();
        *mutex.lock().unwrap() = second;
    });
    assert_eq!(child.wait(), 0);
    family().sweep().unwrap();
    assert_eq!(family().stats().queues, 1);
    assert_eq!(mutex.get().unwrap().get().unwrap(), 8);
    let inside = Mutex::new(&Some(mutex.clone())).unwrap();
    drop(mutex);
    *inside.lock().unwrap().as_ref().unwrap().lock().unwrap() = Queue::unbounded().unwrap();
    *inside.lock().unwrap() = None;
    assert_eq!((family().stats().queues, family().stats().primitives), (0, 1));
    // And a mutex in another value.
    let value = SharedValue::new(&inside).unwrap();
    drop(inside);
    assert!(value.get().unwrap().lock().unwrap().is_none());
    drop(value);
    assert_eq!(family().stats().primitives, 0);
    sound();
});

alone!(a_condition_waits_for_a_value {
    let (jobs, changed) = (Mutex::new(&Vec::<u32>::new()).unwrap(), Condition::new().unwrap());
    let child = fork(|| {
        for job in 0..100 {
            jobs.lock().unwrap().push(job);
            changed.notify_one();
            let empty = changed.wait_while(jobs.lock().unwrap(), |jobs| !jobs.is_empty()).unwrap();
            drop(empty);
        }
    });
    for job in 0..100 {
        let mut taken = changed.wait_while(jobs.lock().unwrap(), |jobs| jobs.is_empty()).unwrap();
        assert_eq!(taken.pop(), Some(job));
        drop(taken);
        changed.notify_one();
    }
    assert_eq!(child.wait(), 0);
    let guard = jobs.lock().unwrap();
    let moment = Duration::from_millis(2);
    let (guard, came) = changed.wait_timeout_while(guard, moment, |jobs| jobs.is_empty()).unwrap();
    assert!(!came && jobs.is_held());
    drop(guard);
    until(|| changed.waiting() == 0);
    sound();
});

// The guard's copy in a fork child neither writes nor releases.
alone!(a_fork_child_writes_nothing_back {
    let (mutex, lock) = (Mutex::new(&1).unwrap(), RwLock::new(&1).unwrap());
    let mut guards = (mutex.lock().unwrap(), lock.write().unwrap());
    (*guards.0, *guards.1) = (2, 2);
    let child = fork(|| {
        // SAFETY: the child leaves by `_exit`, so the originals are never dropped.
        let mut copies = unsafe { std::ptr::read(&raw const guards) };
        copies.0.save().unwrap();
        drop(copies);
        assert!(matches!(mutex.try_lock(), Err(LockError::Held)));
        assert!(matches!(lock.try_read(), Err(LockError::Held)));
        assert_eq!((mutex.get().unwrap(), lock.get().unwrap()), (1, 1));
    });
    assert_eq!(child.wait(), 0);
    drop(guards);
    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (2, 2));
});
