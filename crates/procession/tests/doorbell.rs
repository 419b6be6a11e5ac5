//! An event loop's bell: rung by whoever brings about what is listened for, in any process.
#![allow(missing_docs)]

use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use procession::{
    Awaited, Doorbell, Family, Fork, RawEvent, RawLifoQueue, RawLock, RawQueue, RawSemaphore, Spot,
    fork,
};
use rustix::event::{PollFd, PollFlags, poll};

const PATIENCE: Duration = Duration::from_secs(20);

fn family() -> Family {
    Family::current().unwrap()
}

fn is_readable(fd: RawFd, limit: Duration) -> bool {
    // SAFETY: the bell lives.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let limit = rustix::time::Timespec::try_from(limit).unwrap();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap() == 1
}

fn heard(bell: &Doorbell) -> Vec<u32> {
    let mut rung = Vec::new();
    bell.heard(&mut rung);
    rung.sort_unstable();
    rung.dedup();
    rung
}

/// Listens, announces, and sees that `act` rings, and rings once.
fn rings(spot: &Spot<'_>, act: impl FnOnce()) {
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(spot).unwrap();
    spot.announce();
    assert!(heard(&bell).is_empty() && !is_readable(bell.fd(), Duration::ZERO));
    act();
    assert!(is_readable(bell.fd(), PATIENCE));
    assert_eq!(heard(&bell), [token]);
    assert!(!is_readable(bell.fd(), Duration::ZERO));
}

#[test]
fn it_is_rung_for_everything() {
    let q = RawQueue::create(family(), NonZeroU64::new(1)).unwrap();
    rings(&q.spot(Awaited::Items), || q.try_put(1, b"", None).unwrap());
    rings(&q.spot(Awaited::Room), || assert!(q.try_get(&mut Vec::new()).unwrap().is_some()));
    rings(&q.spot(Awaited::Done), || q.done().unwrap());
    rings(&q.spot(Awaited::Items), || q.close());
    let lock = RawLock::create(family(), false).unwrap();
    lock.try_acquire().unwrap();
    rings(&lock.spot(), || lock.release().unwrap());
    let permits = RawSemaphore::create(family(), 0, 1).unwrap();
    rings(&permits.spot(), || permits.release(1).unwrap());
    let event = RawEvent::create(family()).unwrap();
    rings(&event.spot(), || event.set());
    let line = RawLifoQueue::create(family(), None).unwrap();
    rings(&line.spot(Awaited::Items), || line.close());
}

#[test]
fn who_is_not_announced_costs_nobody_a_ring() {
    let q = RawQueue::create(family(), None).unwrap();
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(&q.spot(Awaited::Items)).unwrap();
    q.try_put(1, b"", None).unwrap();
    assert!(heard(&bell).is_empty());
    q.spot(Awaited::Items).announce();
    q.try_put(1, b"", None).unwrap();
    q.try_put(1, b"", None).unwrap();
    assert_eq!(heard(&bell), [token]);
    bell.stop(token);
    q.spot(Awaited::Items).announce();
    q.try_put(1, b"", None).unwrap();
    assert!(heard(&bell).is_empty());
}

#[test]
fn another_process_rings_and_a_dead_one_leaves_nothing() {
    let (there, here) =
        (RawQueue::create(family(), None).unwrap(), RawQueue::create(family(), None).unwrap());
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(&here.spot(Awaited::Items)).unwrap();
    here.spot(Awaited::Items).announce();
    // SAFETY: no other thread of this program holds anything that the child needs: tests of this file
    // that run beside it hold locks of the family for moments, and those are the fork's to hold.
    match unsafe { fork() }.unwrap() {
        Fork::Child => {
            // The parent's bell is nothing here; one of its own dies with this process.
            let inherited = bell.listen(&there.spot(Awaited::Items));
            let own = Doorbell::new(family()).unwrap();
            let own = own.listen(&there.spot(Awaited::Items)).map(|_| own);
            here.try_put(1, b"", None).unwrap();
            let is_right = inherited.is_none() && own.is_some();
            std::mem::forget(own);
            // SAFETY: ends the process, without what the test harness would do.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        Fork::Parent(child) => child.join().unwrap(),
    }
    assert!(is_readable(bell.fd(), PATIENCE));
    assert_eq!(heard(&bell), [token]);
    // Its entry is stale as soon as it is swept, and whoever rings there drops it.
    family().sweep().unwrap();
    there.spot(Awaited::Items).announce();
    there.try_put(1, b"", None).unwrap();
    assert!(heard(&bell).is_empty());
    let again = Doorbell::new(family()).unwrap();
    assert!(again.listen(&there.spot(Awaited::Items)).is_some());
}

#[test]
fn many_loops_at_one_word_and_many_words_of_one_loop() {
    let q = RawQueue::create(family(), None).unwrap();
    let spot = q.spot(Awaited::Items);
    let loops: Vec<_> = (0..100).map(|_| Doorbell::new(family()).unwrap()).collect();
    let tokens: Vec<_> = loops.iter().map(|bell| bell.listen(&spot).unwrap()).collect();
    spot.announce();
    q.try_put(1, b"", None).unwrap();
    for (bell, token) in loops.iter().zip(tokens) {
        assert_eq!(heard(bell), [token]);
    }
    drop(loops);
    let bell = Doorbell::new(family()).unwrap();
    let all: Vec<_> = (0..3000).map(|_| RawSemaphore::create(family(), 0, 1).unwrap()).collect();
    let mut tokens: Vec<_> = all.iter().map(|one| bell.listen(&one.spot()).unwrap()).collect();
    for one in &all {
        one.spot().announce();
        one.release(1).unwrap();
    }
    tokens.sort_unstable();
    assert_eq!(heard(&bell), tokens);
    // More than a pipe holds: nothing is told twice, and nothing is forgotten.
    for _ in 0..3 {
        for one in &all {
            assert!(one.try_acquire());
            one.spot().announce();
            one.release(1).unwrap();
        }
        assert_eq!(heard(&bell), tokens);
    }
}
