//! A process is killed at every step of making a doorbell, listening, and ringing. Then others ring and
//! hear, nothing of the dead one's is in their way, and the arena is sound.
#![allow(missing_docs)]

mod support;

use procession::{Awaited, Doorbell, RawLock, RawQueue, fault};
use support::primitives::{family, sound};
use support::{alone, fork};

const POINTS: [&str; 5] =
    ["door.table_made", "door.described", "door.claimed", "door.entered", "door.ringing"];

fn heard(bell: &Doorbell) -> Vec<u32> {
    let mut rung = Vec::new();
    bell.heard(&mut rung);
    rung
}

/// What the child does: it listens to one queue, and rings for who listens to another.
fn listen_and_ring(own: &RawQueue, parents: &RawQueue) {
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(&own.spot(Awaited::Items)).unwrap();
    own.spot(Awaited::Items).announce();
    parents.try_put(1, b"", None).unwrap();
    own.try_put(1, b"", None).unwrap();
    assert_eq!(heard(&bell), [token]);
}

/// Another one, afterwards: it rings for both, and hears of its own.
fn goes_on(queues: &[&RawQueue]) {
    for queue in queues {
        let bell = Doorbell::new(family()).unwrap();
        let token = bell.listen(&queue.spot(Awaited::Items)).unwrap();
        queue.spot(Awaited::Items).announce();
        queue.try_put(1, b"", None).unwrap();
        assert_eq!(heard(&bell), [token]);
    }
}

fn scene() -> (RawQueue, RawQueue) {
    (RawQueue::create(family(), None).unwrap(), RawQueue::create(family(), None).unwrap())
}

alone!(killed_at_every_step_with_a_table_of_its_own_to_make {
    for point in &POINTS[..4] {
        // A family for each: only the first in it makes the table.
        let outcome = fork(|| {
            let (own, parents) = scene();
            let child = fork(|| {
                fault::arm(&format!("{point}:1"));
                listen_and_ring(&own, &parents);
            });
            assert_eq!(child.wait(), libc::SIGKILL, "{point} was not passed");
            goes_on(&[&own, &parents]);
            sound();
        });
        assert_eq!(outcome.wait(), 0, "{point}");
    }
});

alone!(killed_at_every_step_beside_who_listens {
    let (own, parents) = scene();
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(&parents.spot(Awaited::Items)).unwrap();
    for (i, point) in POINTS[1..].iter().enumerate() {
        parents.spot(Awaited::Items).announce();
        let child = fork(|| {
            fault::arm(&format!("{point}:1"));
            listen_and_ring(&own, &parents);
        });
        assert_eq!(child.wait(), libc::SIGKILL, "{point} was not passed");
        assert!(heard(&bell).is_empty(), "{point}: it was killed before");
        // Who was killed in the midst of ringing has put, and is not heard of before the tick.
        assert_eq!(parents.len(), u64::from(*point == "door.ringing") + i as u64);
        bell.tick();
        parents.spot(Awaited::Items).announce();
        parents.try_put(1, b"", None).unwrap();
        assert_eq!(heard(&bell), [token], "{point}");
        goes_on(&[&own]);
        sound();
    }
});

alone!(the_dead_ones_doors_and_entries_are_free_again {
    let (own, parents) = scene();
    // More than there are doors, and than entries may be in one place.
    for _ in 0..1100 {
        let child = fork(|| {
            let bell = Doorbell::new(family()).unwrap();
            bell.listen(&own.spot(Awaited::Items)).unwrap();
            std::mem::forget(bell);
        });
        assert_eq!(child.wait(), 0);
    }
    goes_on(&[&own, &parents]);
    sound();
});

alone!(a_dead_holders_lock_rings {
    let lock = RawLock::create(family(), false).unwrap();
    let child = fork(|| drop(lock.try_acquire().unwrap().unwrap()));
    assert_eq!(child.wait(), 0);
    let bell = Doorbell::new(family()).unwrap();
    let token = bell.listen(&lock.spot()).unwrap();
    lock.spot().announce();
    assert!(lock.is_held());
    family().sweep().unwrap();
    assert_eq!(heard(&bell), [token]);
    assert!(!lock.is_held());
});

/// A crash point that nothing passes proves nothing: all there are are in the list.
#[test]
fn every_point_is_in_the_list() {
    let all: Vec<_> = fault::POINTS.iter().filter(|p| p.starts_with("door.")).collect();
    assert_eq!(all, POINTS.iter().collect::<Vec<_>>());
}
