//! One process is stopped between two steps on a dict or a list, or forks there, while others go on.
#![allow(missing_docs)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use procession::collections::{Datum, Key};
use procession::{Family, RawDict, RawList, fault};
use support::primitives::until;
use support::{Forked, alone, fork, stopped};

const KEY: Key<'static> = Key { hash: 7, datum: Datum { kind: 1, bytes: b"key", holds: &[] } };

/// A child that stops itself at a point of what it does.
fn stopped_at(point: &str, body: impl FnOnce()) -> Forked {
    let child = fork(|| {
        fault::arm(&format!("{point}:1:stop"));
        body();
    });
    until(|| stopped(child.pid()));
    child
}

fn goes_on(child: &Forked) {
    child.signal(libc::SIGCONT);
    assert_eq!(child.wait(), 0);
}

alone!(who_reads_a_long_value_keeps_nobody_waiting {
    let family = Family::current().unwrap();
    let (old, new) = (vec![1; 9 << 20], vec![2; 9 << 20]);
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    dict.insert(&KEY, &Datum::plain(&old), None).unwrap();
    list.push(&Datum::plain(&old)).unwrap();
    let mut out = Vec::new();
    // Replaced, then removed, and what comes then takes other memory.
    let of_dict = stopped_at("pin.copying", || {
        dict.get(&KEY, &mut out).unwrap().unwrap();
        assert!(out == old);
    });
    let of_list = stopped_at("pin.copying", || {
        list.slice(0, 1).map(|all| assert!(all.bytes == old)).unwrap();
    });
    let popper = stopped_at("pin.copying", || {
        dict.pop(&KEY, &mut out).unwrap().unwrap();
        assert!(out == old);
    });
    assert!(dict.is_empty().unwrap());
    dict.insert(&KEY, &Datum::plain(&new), None).unwrap();
    assert!(list.set(0, &Datum::plain(&new)).unwrap());
    list.clear().unwrap();
    dict.insert(&Key::plain(b"another"), &Datum::plain(&new), None).unwrap();
    goes_on(&of_dict);
    goes_on(&of_list);
    goes_on(&popper);
    dict.get(&KEY, &mut out).unwrap().unwrap();
    assert!(out == new);
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
});

alone!(what_a_killed_one_was_reading_is_freed {
    let family = Family::current().unwrap();
    let value = vec![1; 70 << 20];
    let dict = RawDict::create(family).unwrap();
    let in_use = || family.stats().arena_bytes - family.stats().idle_bytes;
    dict.insert(&KEY, &Datum::plain(b"short"), None).unwrap();
    let before = in_use();
    dict.insert(&KEY, &Datum::plain(&value), None).unwrap();
    let reader = stopped_at("pin.copying", || drop(dict.get(&KEY, &mut Vec::new()).unwrap()));
    dict.insert(&KEY, &Datum::plain(b"short"), None).unwrap();
    assert!(in_use() > before + (64 << 20), "it is still being read");
    reader.kill();
    family.sweep().unwrap();
    assert!(in_use() <= before + (1 << 20));
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_stopped_holder_is_waited_for_and_a_killed_one_is_not {
    let family = Family::current().unwrap();
    for point in ["step.written", "step.committed", "step.half_applied"] {
        for killed in [false, true] {
            let dict = RawDict::create(family).unwrap();
            dict.insert(&Key::plain(b"first"), &Datum::plain(b"1"), None).unwrap();
            let holder = stopped_at(point, || {
                dict.insert(&KEY, &Datum::plain(b"the holder's"), None).unwrap();
            });
            let waiting = AtomicBool::new(true);
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let added = dict.insert(&KEY, &Datum::plain(b"the waiter's"), None).unwrap();
                    waiting.store(false, Ordering::SeqCst);
                    added.is_none()
                });
                // Longer than it takes to doubt that the holder lives.
                let start = Instant::now();
                until(|| start.elapsed() > Duration::from_millis(120));
                assert!(waiting.load(Ordering::SeqCst), "the stopped one has the lock");
                if killed { holder.kill() } else { goes_on(&holder) }
                let was_first = waiter.join().unwrap();
                assert_eq!(was_first, killed && point == "step.written", "{point}");
            });
            assert_eq!(dict.len().unwrap(), 2);
            assert_eq!(dict.check().unwrap(), [""; 0]);
            family.sweep().unwrap();
            assert_eq!(family.check(), [""; 0]);
        }
    }
});

/// Where the slot of an object lies: see docs/memory-layout.md.
fn slot_at(handle: &[u8]) -> u64 {
    0x10_4000 + 512 * u64::from(u32::from_le_bytes(handle[28..32].try_into().unwrap()))
}

alone!(one_damaged_collection_does_not_keep_what_the_dead_held {
    let family = Family::current().unwrap();
    let damaged = RawDict::create(family).unwrap();
    damaged.insert(&Key::plain(b"first"), &Datum::plain(b"1"), None).unwrap();
    let holder = stopped_at("step.committed", || {
        let _other = RawDict::create(family).unwrap();
        let _block = family.alloc(1 << 20, &[]).unwrap();
        damaged.insert(&KEY, &Datum::plain(b"2"), None).unwrap();
    });
    assert_eq!(family.stats().collections, 2);
    // More changes than the record has room for.
    let redo_count = slot_at(&damaged.handle()) + 120;
    rustix::io::pwrite(family.fd(), &99u64.to_le_bytes(), redo_count).unwrap();
    holder.kill();
    family.sweep().unwrap();
    assert_eq!((family.stats().collections, family.stats().participants.len()), (1, 1));
    assert!(damaged.len().is_err(), "who uses it is told");
});

alone!(children_forked_while_other_threads_work_go_on {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let inner = RawDict::create(family).unwrap();
    let holds = [inner.lease()];
    let value = Datum { holds: &holds, ..Datum::plain(b"with a handle") };
    let work = |n: u64| {
        let name = (n % 50).to_le_bytes();
        let (key, mut out) = (Key::plain(&name), Vec::new());
        dict.insert(&key, &value, None).unwrap();
        dict.get(&key, &mut out).unwrap();
        dict.pop(&key, &mut out).unwrap();
        dict.insert(&key, &Datum::plain(&vec![n as u8; 100_000]), None).unwrap();
        dict.get(&key, &mut out).unwrap();
        list.push(&value).unwrap();
        list.pop(0, &mut out).unwrap();
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2u64 {
            let (work, done) = (&work, &done);
            scope.spawn(move || {
                let mut n = thread * 25;
                while !done.load(Ordering::Relaxed) {
                    work(n);
                    n += 1;
                }
            });
        }
        for _ in 0..60 {
            let child = fork(|| (0..20).for_each(work));
            assert_eq!(child.wait(), 0);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((dict.check().unwrap(), list.check().unwrap()), (vec![], vec![]));
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    drop((dict, list));
    assert_eq!(family.stats().collections, 1);
});
