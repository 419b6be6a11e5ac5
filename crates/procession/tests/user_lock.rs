//! The lock that a dict or a list has for its users.
#![allow(missing_docs)]

mod support;

use std::sync::Barrier;

use procession::collections::{Datum, Key};
use procession::{Acquired, Family, RawDict, RawList, RawLock};
use support::{alone, fork};

fn value() -> Datum<'static> {
    Datum::plain(b"a value that is too long for a ref")
}

alone!(it_survives_all_that_empties_its_collection {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let lock = dict.user_lock().unwrap();
    lock.try_acquire().unwrap().unwrap();
    let mine = || dict.user_lock().unwrap().is_mine();
    dict.insert(&Key::plain(b"a"), &value(), None).unwrap();
    assert!(dict.remove(&Key::plain(b"a")).unwrap() && mine());
    dict.insert(&Key::plain(b"a"), &value(), None).unwrap();
    dict.clear().unwrap();
    assert!(mine());

    let list = RawList::create(family).unwrap();
    let lock = list.user_lock().unwrap();
    lock.try_acquire().unwrap().unwrap();
    let mine = || list.user_lock().unwrap().is_mine();
    list.push(&value()).unwrap();
    assert!(list.pop(0, &mut Vec::new()).unwrap().is_some() && mine());
    list.extend(&vec![value(); 2000]).unwrap();
    list.replace_all(list.version(), &[value(); 3]).unwrap().unwrap();
    assert!(mine());
    list.clear().unwrap();
    assert!(mine());
    assert_eq!((dict.check().unwrap(), list.check().unwrap()), (vec![], vec![]));
    assert_eq!(family.check(), [""; 0]);
});

alone!(it_goes_with_its_collection_and_not_before {
    let family = Family::current().unwrap();
    let list = RawList::create(family).unwrap();
    let version = list.version();
    let handle = list.user_lock().unwrap().handle();
    assert_eq!(list.version(), version, "it is no change of the list");
    assert!(RawLock::from_handle(&handle).unwrap().is_reentrant());
    assert_eq!(family.stats().primitives, 1);
    let (lock, name) = (list.user_lock().unwrap(), list.handle());
    drop(list);
    assert!(RawList::from_handle(&name).is_err(), "the lock does not keep the list alive");
    lock.try_acquire().unwrap().unwrap();
    drop(lock);
    assert!(RawLock::from_handle(&handle).is_err());
    assert_eq!(family.stats().primitives, 0);
    assert_eq!(family.check(), [""; 0]);
});

alone!(it_is_the_same_one_for_those_who_come_first_at_the_same_time {
    let family = Family::current().unwrap();
    for _ in 0..1000 {
        let (dict, start) = (RawDict::create(family).unwrap(), Barrier::new(4));
        let first = || {
            start.wait();
            dict.user_lock().unwrap().handle()
        };
        let handles: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(first)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(handles.iter().all(|h| *h == handles[0]));
        assert_eq!(family.stats().primitives, 1);
    }
    assert_eq!(family.stats().primitives, 0);
    assert_eq!(family.check(), [""; 0]);
});

alone!(it_is_the_same_one_in_another_process_and_told_of_its_death {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let name = dict.handle();
    let child = fork(|| {
        let lock = RawDict::from_handle(&name).unwrap().user_lock().unwrap();
        assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean));
    });
    assert_eq!(child.wait(), 0);
    let lock = dict.user_lock().unwrap();
    let acquired = loop {
        if let Some(acquired) = lock.try_acquire().unwrap() {
            break acquired;
        }
        let _ = lock.wait(None);
    };
    assert!(matches!(acquired, Acquired::Abandoned(_)));
    // Single operations do not heed it.
    dict.insert(&Key::plain(b"a"), &value(), None).unwrap();
    lock.release().unwrap();
});

alone!(where_there_is_no_memory_for_it_nothing_is_left_behind {
    let family = Family::current().unwrap();
    let lists: Vec<_> = (0..2000).map(|_| RawList::create(family).unwrap()).collect();
    family.set_memory_limit(Some(family.stats().arena_bytes + (256 << 10)));
    let made = lists.iter().map(RawList::user_lock).take_while(Result::is_ok).count();
    assert!((10..200).contains(&made), "{made}");
    assert!(lists[made].user_lock().is_err());
    assert_eq!(family.stats().primitives, made as u64);
    assert_eq!(family.check(), [""; 0]);
    family.set_memory_limit(None);
    assert!(lists[made].user_lock().is_ok());
});
