//! A server without memory: what gives something back is done all the same.
#![cfg(feature = "redis")]
#![allow(missing_docs)]

mod support;

use procession::remote::{
    Family, JoinableQueue, LockError, Patience, PriorityQueue, Queue, RemoteError,
};
use support::LIMIT;
use support::scene::{Scene, take};

/// Nothing is written any more that needs memory.
fn fill(scene: &Scene) {
    scene.host.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = Queue::<u8>::unbounded_in(&family(scene)).unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
}

fn family(scene: &Scene) -> Family {
    scene.server.clone().into()
}

#[test]
fn locks_permits_and_events_are_given_back() {
    let scene = Scene::new("");
    let rlock = scene.rlock();
    let family = family(&scene);
    let (lock, permits) = (family.lock("lock").unwrap(), family.semaphore("permits", 1).unwrap());
    let (set, changed) = (family.event("set").unwrap(), family.condition("changed").unwrap().0);
    let barrier = family.barrier("barrier", 2).unwrap();
    let (outer, inner) = (rlock.acquire().unwrap(), rlock.acquire().unwrap());
    let (held, permit) = (take(&lock), permits.acquire().unwrap());
    let place = changed.enlist(&Patience::forever()).unwrap();
    fill(&scene);
    inner.release().unwrap();
    assert_eq!(rlock.depth(), 1);
    outer.release().unwrap();
    held.release().unwrap();
    drop(permit);
    assert_eq!(permits.value(&Patience::forever()).unwrap(), 1);
    set.set().unwrap();
    assert!(set.is_set(&Patience::forever()).unwrap());
    assert!(changed.notify_one().unwrap());
    assert!(place.leave(&Patience::forever()).unwrap(), "it was notified");
    barrier.abort(&Patience::none()).unwrap();
    // What takes something is refused, and has changed nothing.
    let refused = lock.try_acquire().unwrap_err();
    assert!(matches!(refused, LockError::Remote(RemoteError::Server { .. })), "{refused:?}");
    assert!(lock.state().unwrap().is_none() && rlock.state().unwrap().is_none());
}

#[test]
fn a_lock_left_behind_goes_on_by_panic() {
    let scene = Scene::new("");
    let lock = scene.lock();
    let panicked = std::thread::scope(|scope| {
        let held = scope.spawn(|| {
            let _guard = take(&lock);
            fill(&scene);
            panic!("as it should");
        });
        held.join().is_err()
    });
    assert!(panicked);
    scene.host.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let (by, guard) = support::scene::abandoned(lock.acquire_timeout(LIMIT));
    assert!(by.panicked);
    guard.release().unwrap();
}

#[test]
fn messages_are_put_back_and_counted() {
    let scene = Scene::new("");
    let family = family(&scene);
    let joined: JoinableQueue<Vec<u8>> = family.joinable_queue("joined", None).unwrap();
    let ordered: PriorityQueue<u8> = family.priority_queue("ordered", None).unwrap();
    joined.put(vec![7; 1000]).unwrap();
    ordered.put(2).unwrap();
    ordered.put(1).unwrap();
    fill(&scene);
    let patience = Patience::none();
    let taken = joined.raw().get(&patience).unwrap();
    joined.raw().give_back(&[taken]).unwrap();
    let taken = ordered.raw().get(&patience).unwrap();
    ordered.raw().give_back(&[taken]).unwrap();
    assert_eq!((ordered.try_get().unwrap(), ordered.try_get().unwrap()), (1, 2));
    assert_eq!(joined.try_get().unwrap(), [7; 1000]);
    assert!(joined.task_done().unwrap());
    assert!(joined.join_timeout(LIMIT).unwrap());
    joined.close().unwrap();
    assert!(joined.is_closed().unwrap());
}
