//! Primitives by the thousand, under wrong names, and scribbled over.
//!
//! Each test plays in a process of its own, with an arena of its own.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use procession::{
    Arrival, Family, HandleError, RawBarrier, RawCondition, RawEvent, RawLock, RawQueue,
    RawSemaphore, Wait,
};
use support::primitives::{family, sound};
use support::{alone, fork};

alone!(ten_thousand_locks_cost_no_descriptor {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    family().sweep().unwrap();
    let before = (descriptors(), family().stats().arena_bytes);
    let locks: Vec<_> = (0..10_000).map(|i| RawLock::create(family(), i % 2 == 0).unwrap()).collect();
    let held = || locks.iter().filter(|lock| lock.is_held()).count();
    for lock in locks.iter().step_by(3) {
        assert!(lock.try_acquire().unwrap().is_some());
    }
    assert_eq!(held(), 3334, "each is a lock of its own");
    assert_eq!(descriptors(), before.0);
    assert!(family().stats().arena_bytes - before.1 < 1 << 20);
    assert_eq!(family().stats().primitives, 10_000);
    for lock in locks.iter().step_by(3) {
        lock.release().unwrap();
    }
    assert_eq!(held(), 0);
    drop(locks);
    assert_eq!(family().stats().primitives, 0);
    sound();
});

alone!(slots_serve_every_kind_in_turn {
    for round in 0..200u32 {
        let lock = RawLock::create(family(), true).unwrap();
        assert!(lock.try_acquire().unwrap().is_some());
        lock.release().unwrap();
        drop(lock);
        let queue = RawQueue::create(family(), None).unwrap();
        queue.try_put(1, &round.to_le_bytes(), None).unwrap();
        let mut bytes = Vec::new();
        queue.try_get(&mut bytes).unwrap().unwrap();
        assert_eq!(bytes, round.to_le_bytes());
        queue.try_put(1, b"left in it", None).unwrap();
        drop(queue);
        let condition = RawCondition::create(family()).unwrap();
        assert_eq!(condition.waiting(), 0);
        assert!(condition.enlist().is_ok());
        drop(condition);
        let barrier = RawBarrier::create(family(), 2).unwrap();
        assert!(!barrier.is_broken() && barrier.waiting() == 0);
        barrier.abort();
        drop(barrier);
        let event = RawEvent::create(family()).unwrap();
        assert!(!event.is_set() && event.epoch() == 0);
        event.set();
        drop(event);
        let semaphore = RawSemaphore::create(family(), 1, 1).unwrap();
        assert!(semaphore.try_acquire());
    }
});

alone!(whom_the_family_has_no_room_for_sleeps_all_the_same {
    const PARTICIPANTS: u64 = 4 * 4096;
    const ALIVE: u64 = 2;
    let family = family();
    let event = RawEvent::create(family).unwrap();
    let fd = family.fd();
    let mut me = [0; 256];
    rustix::io::pread(fd, &mut me[..], PARTICIPANTS).unwrap();
    // All the other slots seem to be this process's, too.
    for slot in 1..4096 {
        let state = (1 << 12 | slot) << 32 | ALIVE;
        me[..8].copy_from_slice(&state.to_le_bytes());
        rustix::io::pwrite(fd, &me, PARTICIPANTS + slot * 256).unwrap();
    }
    let child = fork(|| {
        assert!(RawEvent::create(family).is_err(), "there is no room");
        let deadline = Some(Instant::now() + Duration::from_millis(600));
        let mut rounds = 0;
        while event.wait(0, deadline) != Wait::TimedOut {
            rounds += 1;
        }
        assert!(rounds < 10, "{rounds} looks in 600 ms");
    });
    assert_eq!(child.wait(), 0);
});

type Open = fn(&[u8]) -> Result<(), HandleError>;

alone!(a_handle_of_another_kind_is_none {
    let (lock, semaphore) = (RawLock::create(family(), false).unwrap(), RawSemaphore::create(family(), 0, 1).unwrap());
    let (event, condition) = (RawEvent::create(family()).unwrap(), RawCondition::create(family()).unwrap());
    let (barrier, queue) = (RawBarrier::create(family(), 2).unwrap(), RawQueue::create(family(), None).unwrap());
    let handles = [
        lock.handle(),
        semaphore.handle(),
        event.handle(),
        condition.handle(),
        barrier.handle(),
        queue.handle(),
    ];
    let open: [Open; 6] = [
        |bytes| RawLock::from_handle(bytes).map(drop),
        |bytes| RawSemaphore::from_handle(bytes).map(drop),
        |bytes| RawEvent::from_handle(bytes).map(drop),
        |bytes| RawCondition::from_handle(bytes).map(drop),
        |bytes| RawBarrier::from_handle(bytes).map(drop),
        |bytes| RawQueue::from_handle(bytes).map(drop),
    ];
    for (i, handle) in handles.iter().enumerate() {
        for (k, open) in open.iter().enumerate() {
            let opened = open(handle);
            assert_eq!(opened.is_ok(), i == k, "{i} as {k}");
            assert!(i == k || matches!(opened, Err(HandleError::Malformed)));
        }
        for bit in 0..handle.len() * 8 {
            let mut bad = handle.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            for open in open {
                let _ = open(&bad); // never a crash
            }
        }
    }
    let gone = lock.handle();
    drop(lock);
    assert!(matches!(RawLock::from_handle(&gone), Err(HandleError::Gone)));
    sound();
});

/// Pseudo-random numbers that are the same in each run.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Overwrites a word of the kind's own data in the slot of a handle. Internal locks and the life of
/// the object are other tests' matter.
fn scribble(family: Family, handle: &[u8], seed: &mut u64) {
    const OBJECTS: u64 = 4 * 4096 + 4096 * 256;
    let index = u64::from(u32::from_le_bytes(handle[28..32].try_into().unwrap()));
    let own = [32..48, 64..80, 88..128, 136..256, 264..512].map(|part| part.step_by(4));
    let own: Vec<u64> = own.into_iter().flatten().collect();
    // The first words most often: there the state lies.
    let at = if random(seed).is_multiple_of(2) {
        64 + random(seed) % 4 * 4
    } else {
        own[random(seed) as usize % own.len()]
    };
    let value = random(seed) as u32 >> (random(seed) % 32);
    let slot = OBJECTS + index * 512;
    rustix::io::pwrite(family.fd(), &value.to_le_bytes(), slot + at).unwrap();
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(1)
}

alone!(scribbled_primitives_are_errors_never_a_hang {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for round in 0..250 {
        let lock = RawLock::create(family(), round % 2 == 0).unwrap();
        let semaphore = RawSemaphore::create(family(), 1, 2).unwrap();
        let event = RawEvent::create(family()).unwrap();
        let condition = RawCondition::create(family()).unwrap();
        let barrier = RawBarrier::create(family(), 2).unwrap();
        let handles =
            [lock.handle(), semaphore.handle(), event.handle(), condition.handle(), barrier.handle()];
        for _ in 0..4 {
            let waiter = condition.enlist().unwrap();
            let arrival = barrier.arrive();
            for handle in &handles {
                scribble(family(), handle, &mut seed);
            }
            let _ = lock.try_acquire();
            let _ = (lock.is_mine(), lock.is_held(), lock.is_held_here(), lock.depth(), lock.holder());
            let _ = lock.wait(Some(soon()));
            let _ = lock.release();
            let _ = (semaphore.try_acquire(), semaphore.wait(Some(soon())), semaphore.release(1));
            let _ = event.wait(event.epoch(), Some(soon()));
            event.set();
            event.clear();
            let _ = waiter.wait(Some(soon()));
            let _ = condition.notify(1);
            let _ = (waiter.leave(), condition.waiting());
            match arrival {
                Ok(Arrival::Wait(waiter)) => {
                    let _ = (waiter.wait(Some(soon())), waiter.outcome());
                }
                Ok(Arrival::Last(runner)) => drop(runner.release()),
                Ok(Arrival::Busy) => drop(barrier.wait_while_busy(Some(soon()))),
                Err(_) => barrier.reset(),
            }
            let _ = format!("{lock:?} {semaphore:?} {event:?} {condition:?} {barrier:?}");
            for handle in &handles {
                let _ = (RawLock::from_handle(handle), RawBarrier::from_handle(handle));
            }
            let _ = family().sweep();
            let _ = family().check();
        }
    }
});
