//! Locks on a server: contention, leases, and the deaths of clients and servers.
#![cfg(feature = "redis")]
#![allow(missing_docs)]

mod support;

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use procession::remote::{
    Event, Family, LockError, Patience, RLock, RawLock, ReleaseError, RemoteError, Semaphore,
};
use support::folder::Folder;
use support::scene::{MOMENT, NAME, Scene, abandoned, ends_well, is_lost, take};
use support::{LIMIT as LONG, alone, fork};

alone!(one_at_a_time_and_tokens_grow {
    let scene = Scene::new("");
    let folder = Folder::new();
    let (total, log) = (folder.0.join("total"), folder.0.join("log"));
    fs::write(&total, "0").unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                let lock = scene.lock();
                for _ in 0..100 {
                    let guard = take(&lock);
                    let before: u32 = fs::read_to_string(&total).unwrap().parse().unwrap();
                    fs::write(&total, (before + 1).to_string()).unwrap();
                    let mut log = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
                    writeln!(log, "{}", guard.token()).unwrap();
                    guard.release().unwrap();
                }
            })
        })
        .collect();
    workers.iter().for_each(ends_well);
    assert_eq!(fs::read_to_string(&total).unwrap(), "400");
    let tokens: Vec<u64> = fs::read_to_string(&log).unwrap().lines().map(|t| t.parse().unwrap()).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "each is greater than all before");
});

alone!(tokens_grow_on_when_the_server_has_forgotten_all {
    let scene = Scene::new("");
    let before = take(&scene.lock()).token();
    scene.host.ask(&["FLUSHALL"]);
    assert!(take(&scene.lock()).token() > before);
});

alone!(a_killed_holders_lock_goes_to_the_next_one_who_is_told {
    let scene = Scene::new("lease=0.5");
    let (lock, held) = (scene.lock(), scene.event("held"));
    let child = fork(|| {
        procession::remote::set_name("unlucky");
        take(&lock).leak();
        held.set().unwrap();
        loop {
            thread::park();
        }
    });
    assert!(held.wait_timeout(LONG).unwrap());
    assert!(matches!(lock.try_acquire(), Err(LockError::Held)));
    let state = lock.state().unwrap().unwrap();
    assert_eq!((state.holder.pid, state.here, state.lives), (child.pid(), false, true));
    child.kill();
    let began = Instant::now();
    let (by, guard) = abandoned(lock.acquire_timeout(LONG));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((by.holder.pid, by.holder.name.as_str(), by.panicked), (child.pid(), "unlucky", false));
    assert!(by.to_string().contains(&by.holder.host) && !by.holder.host.is_empty(), "{by}");
    guard.release().unwrap();
    take(&lock).release().unwrap();
});

alone!(who_does_not_go_on_leaves_it_to_the_next_one_as_it_was {
    let scene = Scene::new("lease=0.3");
    let lock = scene.lock();
    let child = fork(|| take(&lock).leak());
    ends_well(&child);
    for _ in 0..2 {
        match lock.acquire_timeout(LONG) {
            Err(LockError::Abandoned(left)) => assert_eq!(left.holder().holder.pid, child.pid()),
            other => panic!("{other:?}"),
        }
    }
    abandoned(lock.acquire_timeout(LONG)).1.release().unwrap();
    take(&lock).release().unwrap();
});

alone!(a_panic_is_told_to_the_next_one {
    let scene = Scene::new("");
    let lock = scene.lock();
    let panicked = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = take(&lock);
                panic!("on purpose");
            })
            .join()
    });
    assert!(panicked.is_err());
    let (by, guard) = abandoned(lock.try_acquire());
    assert!(by.panicked && by.to_string().ends_with("panicked"), "{by}");
    drop(guard);
    drop(lock.try_acquire().unwrap());
});

alone!(a_stopped_holder_learns_that_it_lost_its_lock {
    let scene = Scene::new("lease=0.5");
    let (lock, held) = (scene.lock(), scene.event("held"));
    let (mut told, mut tell) = std::io::pipe().unwrap();
    let (mut heard, mut hear) = std::io::pipe().unwrap();
    let child = fork(|| {
        let guard = take(&lock);
        guard.check().unwrap();
        tell.write_all(&guard.token().to_le_bytes()).unwrap();
        held.set().unwrap();
        heard.read_exact(&mut [0]).unwrap();
        assert_eq!(lock.raw().token(), None, "known here, without the server");
        assert!(is_lost(&guard.check()));
        assert!(is_lost(&guard.release()));
        // And then it is as any other.
        assert!(matches!(lock.try_acquire(), Err(LockError::Held)));
    });
    assert!(held.wait_timeout(LONG).unwrap());
    child.signal(libc::SIGSTOP);
    let (by, guard) = abandoned(lock.acquire_timeout(LONG));
    assert_eq!(by.holder.pid, child.pid());
    let mut old = [0; 8];
    told.read_exact(&mut old).unwrap();
    assert!(guard.token() > u64::from_le_bytes(old));
    hear.write_all(b"!").unwrap();
    child.signal(libc::SIGCONT);
    ends_well(&child);
    guard.release().unwrap();
});

alone!(a_lost_lease_is_told_once_and_never_releases_another_ones_hold {
    let scene = Scene::new("");
    let lock = scene.lock();
    let guard = take(&lock);
    scene.lose_lease();
    // Another thread of this very process gets it under the process's next lease.
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let (_, other) = abandoned(lock.acquire_timeout(LONG));
            other
        });
        let other = other.join().unwrap();
        assert!(other.token() > guard.token());
        assert!(is_lost(&guard.check()));
        assert!(is_lost(&guard.release()));
        other.check().unwrap();
        other.release().unwrap();
    });
    assert!(matches!(lock.release(), Err(ReleaseError::NotHeld)));
});

alone!(anybody_may_release_a_plain_lock {
    let scene = Scene::new("lease=60");
    let lock = scene.lock();
    let guard = take(&lock);
    fork(|| lock.release().unwrap()).wait();
    // It was not lost: it was released for this one.
    assert!(matches!(lock.raw().check(&Patience::none()), Err(ReleaseError::NotHeld)));
    let other = fork(|| take(&lock).leak());
    ends_well(&other);
    drop(guard); // and is not another one's release
    assert!(lock.state().unwrap().is_some());
    lock.release().unwrap();
    let thread = thread::scope(|scope| scope.spawn(|| take(&lock)).join().unwrap());
    thread.release().unwrap();
});

alone!(a_fork_child_holds_nothing {
    let scene = Scene::new("");
    let (lock, again) = (scene.lock(), RLock::named(&scene.server, "again").unwrap());
    let guards = RefCell::new(Some((take(&lock), again.acquire().unwrap())));
    let child = fork(|| {
        assert_eq!((lock.raw().token(), again.depth()), (None, 0));
        assert!(matches!(lock.try_acquire(), Err(LockError::Held)));
        assert!(matches!(again.try_acquire(), Err(LockError::Held)));
        drop(guards.take());
    });
    ends_well(&child);
    let (one, other) = guards.take().unwrap();
    one.check().unwrap();
    other.check().unwrap();
});

alone!(who_leaves_on_purpose_leaves_plain_locks_held_and_reentrant_ones_free {
    let scene = Scene::new("lease=0.3");
    let (lock, again) = (scene.lock(), RLock::named(&scene.server, "again").unwrap());
    let child = fork(|| {
        take(&lock).leak();
        std::mem::forget(again.acquire().unwrap());
        procession::remote::leave_locks(LONG);
        procession::remote::leave_all(LONG);
    });
    ends_well(&child);
    again.try_acquire().unwrap().release().unwrap();
    assert!(matches!(lock.acquire_timeout(Duration::from_millis(500)), Err(LockError::Held)));
    lock.release().unwrap();
    lock.try_acquire().unwrap().release().unwrap();
});

alone!(a_reentrant_lock_counts {
    let scene = Scene::new("");
    let lock = scene.rlock();
    let outer = lock.acquire().unwrap();
    let same = scene.rlock();
    let inner = same.try_acquire().unwrap();
    assert_eq!((lock.depth(), outer.token()), (2, inner.token()));
    let held = || matches!(scene.rlock().try_acquire(), Err(LockError::Held));
    assert!(thread::scope(|scope| scope.spawn(held).join().unwrap()));
    inner.release().unwrap();
    assert!(thread::scope(|scope| scope.spawn(held).join().unwrap()));
    assert!(thread::scope(|scope| {
        let release = || lock.raw().release(&Patience::none());
        matches!(scope.spawn(release).join().unwrap(), Err(ReleaseError::NotOwner))
    }));
    outer.release().unwrap();
    assert!(!thread::scope(|scope| scope.spawn(held).join().unwrap()));
    assert!(matches!(lock.raw().release(&Patience::none()), Err(ReleaseError::NotOwner)));
});

alone!(a_lost_reentrant_lock_is_not_acquired_once_more {
    let scene = Scene::new("");
    let lock = scene.rlock();
    let guards = (lock.acquire().unwrap(), lock.acquire().unwrap());
    scene.lose_lease();
    assert!(matches!(lock.acquire(), Err(LockError::Remote(RemoteError::LeaseLost { .. }))));
    assert!(is_lost(&guards.1.release()));
    assert!(matches!(lock.acquire(), Err(LockError::Remote(RemoteError::LeaseLost { .. }))));
    assert!(is_lost(&guards.0.release()));
    let (by, guard) = abandoned(lock.try_acquire());
    assert_eq!(by.holder.pid, std::process::id());
    guard.check().unwrap();
});

alone!(a_server_that_restarts_keeps_the_holder_and_who_waits {
    let mut scene = Scene::on(support::server::Server::durable(), "lease=20&timeout=20");
    let lock = scene.lock();
    let guard = take(&lock);
    let waiter = fork(|| take(&lock).release().unwrap());
    scene.until_waiting(1);
    scene.host.restart();
    guard.check().unwrap();
    guard.release().unwrap();
    ends_well(&waiter);
});

alone!(a_server_that_forgot_the_lock_is_no_silent_loss {
    let mut scene = Scene::new("timeout=20");
    let lock = scene.lock();
    let guard = take(&lock);
    scene.host.restart();
    assert!(guard.check().is_err());
    match guard.release() {
        Err(RemoteError::LeaseLost { .. } | RemoteError::Gone(_)) => {}
        other => panic!("{other:?}"),
    }
    take(&scene.lock()).release().unwrap();
});

alone!(what_was_acquired_behind_a_time_out_is_given_back {
    let scene = Scene::new("lease=20&timeout=20");
    let lock = scene.lock();
    drop(take(&lock)); // the script is known
    scene.host.freeze();
    let late = lock.acquire_timeout(Duration::from_millis(60));
    assert!(matches!(late, Err(LockError::Remote(RemoteError::OutcomeUnknown { .. }))), "{late:?}");
    scene.host.thaw();
    thread::scope(|scope| scope.spawn(|| take(&lock).release().unwrap()).join().unwrap());
});

alone!(one_round_trip_each {
    let scene = Scene::new("lease=60");
    let (lock, permits) = (scene.lock(), Semaphore::bounded(&scene.server, 1).unwrap());
    let calls = || -> usize {
        let stats = scene.host.ask(&["INFO", "commandstats"]).join("\n");
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |n| n.parse().unwrap())
    };
    drop(take(&lock));
    drop(permits.acquire().unwrap());
    let before = calls();
    for _ in 0..10 {
        take(&lock).release().unwrap();
        drop(permits.acquire().unwrap());
    }
    assert_eq!(calls() - before, 40);
});

#[test]
fn a_family_leads_to_all_by_their_names() {
    let scene = Scene::new("");
    let family = Family::from(scene.server.clone());
    let (filled, lock) = family.condition("filled").unwrap();
    let (guard, notified) = filled.wait_timeout(lock.acquire().unwrap(), MOMENT).unwrap();
    assert!(!notified);
    let again = family.condition("filled").unwrap().1;
    assert_eq!(
        again.raw().state(&Patience::none()).unwrap().unwrap().depth,
        1,
        "the very same lock"
    );
    drop(guard);
    family.lock("l").unwrap().acquire().unwrap().release().unwrap();
    family.rlock("r").unwrap().acquire().unwrap().release().unwrap();
    family.semaphore("s", 2).unwrap().release(5, &Patience::none()).unwrap();
    assert_eq!(family.semaphore("s", 9).unwrap().value(&Patience::none()).unwrap(), 7);
    family.bounded_semaphore("b", 2).unwrap();
    let other = family.bounded_semaphore("b", 3).unwrap_err();
    assert_eq!(other.to_string(), "\"b\" has maximum 2, and not 3");
    family.event("e").unwrap().set().unwrap();
    family.barrier("w", 1).unwrap().wait().unwrap();
    assert!(matches!(family.barrier("w", 2), Err(RemoteError::Differs { .. })));
    let mut names: Vec<_> = family.names().unwrap().into_iter().map(|(_, kind)| kind).collect();
    names.sort();
    let kinds =
        ["barrier", "bounded_semaphore", "condition", "event", "lock", "rlock", "semaphore"];
    assert_eq!(names, kinds);
    for (name, _) in family.names().unwrap() {
        assert!(family.remove(&name).unwrap());
    }
    assert!(scene.host.keys("t").iter().all(|key| key.starts_with("t:client:")), "nothing is left");
    assert!(matches!(lock.acquire(), Err(LockError::Remote(RemoteError::Gone(_)))));
}

#[test]
fn a_name_is_of_one_kind() {
    let scene = Scene::new("");
    drop(scene.lock());
    for wrong in [
        RawLock::named(&scene.server, NAME, true).map(drop),
        Event::named(&scene.server, NAME).map(drop),
        Semaphore::named(&scene.server, NAME, 1).map(drop),
    ] {
        assert!(matches!(wrong, Err(RemoteError::WrongKind { .. })), "{wrong:?}");
    }
}
