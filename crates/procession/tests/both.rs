//! One suite for both back ends: the typed queues, locks and collections by name, at home and on a server.
#![cfg(feature = "redis")]
// One suite for what gives back nothing and for what gives back a result.
#![allow(clippy::unit_arg, clippy::needless_for_each)]
#![allow(missing_docs)]

mod support;

use std::sync::OnceLock;
use std::time::Duration;

use support::LIMIT;
use support::server::Server;

const SOON: Duration = Duration::from_millis(20);

/// What a call says that cannot fail at home and can over a network.
trait Known {
    type Of;
    fn known(self) -> Self::Of;
}

impl Known for u64 {
    type Of = u64;
    fn known(self) -> u64 {
        self
    }
}

impl Known for bool {
    type Of = bool;
    fn known(self) -> bool {
        self
    }
}

impl Known for () {
    type Of = ();
    fn known(self) {}
}

impl<T> Known for Option<T> {
    type Of = Option<T>;
    fn known(self) -> Option<T> {
        self
    }
}

impl<T, E: std::fmt::Debug> Known for Result<T, E> {
    type Of = T;
    fn known(self) -> T {
        self.unwrap()
    }
}

/// A name that no other test has.
fn name(of: &str) -> String {
    let thread = std::thread::current();
    format!("{of} of {}", thread.name().unwrap_or("?"))
}

mod arena {
    pub(crate) use procession::{Family, GetError, LockError, PutError};

    pub(crate) fn family() -> Family {
        Family::current().unwrap()
    }
}

mod redis {
    use super::{OnceLock, Server};
    pub(crate) use procession::remote::{Family, GetError, LockError, PutError};

    pub(crate) fn family() -> Family {
        // Kept for the whole run: its guard ends it with this process.
        static SERVER: OnceLock<Server> = OnceLock::new();
        Family::open(&SERVER.get_or_init(Server::start).url("both", "")).unwrap()
    }
}

/// The same tests for each of the modules above.
macro_rules! for_both {
    ($($(#[$attribute:meta])* fn $test:ident($family:ident) $body:block)*) => {
        mod at_home {
            use super::arena::{GetError, LockError, PutError, family};
            #[allow(unused_imports)]
            use super::*;
            $($(#[$attribute])* #[test] fn $test() { let $family = family(); $body })*
        }
        mod on_a_server {
            use super::redis::{GetError, LockError, PutError, family};
            #[allow(unused_imports)]
            use super::*;
            $($(#[$attribute])* #[test] fn $test() { let $family = family(); $body })*
        }
    };
}

for_both! {
    fn values_come_in_their_order(family) {
        let q = family.queue::<(u32, String)>(&name("q"), None).unwrap();
        for n in 0..100 {
            q.put((n, format!("number {n}"))).unwrap();
        }
        assert_eq!(q.len().known(), 100);
        assert_eq!(q.peek().unwrap().0, 0);
        for n in 0..100 {
            assert_eq!(q.get().unwrap(), (n, format!("number {n}")));
        }
        assert!(q.is_empty().known());
        assert!(matches!(q.try_get(), Err(GetError::Empty)));
        assert!(matches!(q.get_timeout(SOON), Err(GetError::Empty)));
    }

    fn a_full_queue_takes_no_more(family) {
        let q = family.queue::<u32>(&name("q"), Some(2)).unwrap();
        assert_eq!(q.capacity(), Some(2));
        q.put(1).unwrap();
        assert!(!q.is_full().known());
        q.put(2).unwrap();
        assert!(q.is_full().known());
        assert!(matches!(q.try_put(3), Err(PutError::Full(3))));
        assert!(matches!(q.put_timeout(3, SOON), Err(PutError::Full(3))));
        assert_eq!(q.get().unwrap(), 1);
        q.try_put(3).unwrap();
        assert_eq!(q.get_many(10).unwrap(), [2, 3]);
    }

    fn who_waits_gets_what_comes_and_what_has_room_goes_in(family) {
        let q = family.queue::<u32>(&name("q"), Some(1)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..200 {
                    q.put_timeout(n, LIMIT).unwrap();
                }
            });
            for n in 0..200 {
                assert_eq!(q.get_timeout(LIMIT).unwrap(), n);
            }
        });
    }

    fn a_shutdown_lets_out_what_is_in(family) {
        let q = family.queue::<u32>(&name("q"), None).unwrap();
        q.put_many([1, 2]).unwrap();
        q.close().known();
        assert!(q.is_closed().known());
        assert!(matches!(q.put(3), Err(PutError::Closed(3))));
        assert_eq!(q.get().unwrap(), 1);
        assert_eq!(q.iter().map(|n| n.unwrap()).collect::<Vec<_>>(), [2]);
        assert!(matches!(q.get(), Err(GetError::Closed)));
    }

    fn a_shutdown_ends_a_wait(family) {
        let q = family.queue::<u32>(&name("q"), None).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| q.get_timeout(LIMIT));
            q.shut_down_now().known();
            assert!(matches!(waits.join().unwrap(), Err(GetError::Closed)));
        });
    }

    fn tasks_are_joined(family) {
        let q = family.joinable_queue::<u32>(&name("q"), None).unwrap();
        q.put_many([1, 2]).unwrap();
        assert_eq!(q.unfinished().known(), 2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while q.try_get().is_ok() {
                    q.task_done().unwrap();
                }
            });
            assert!(q.join_timeout(LIMIT).known());
        });
        assert_eq!(q.unfinished().known(), 0);
    }

    fn the_newest_first(family) {
        let q = family.lifo_queue::<u32>(&name("q"), None).unwrap();
        q.put_many([1, 2, 3]).unwrap();
        assert_eq!((q.peek().unwrap(), q.get().unwrap(), q.get().unwrap()), (3, 3, 2));
        q.put(4).unwrap();
        assert_eq!(q.get_many(5).unwrap(), [4, 1]);
    }

    fn the_least_first_and_equal_ones_as_they_came(family) {
        let q = family.priority_queue::<(i64, String)>(&name("q"), None).unwrap();
        for (priority, text) in [(5, "x"), (-3, "b"), (i64::MAX, ""), (-3, "a"), (i64::MIN, "z")] {
            q.put((priority, text.into())).unwrap();
        }
        let got: Vec<_> = (0..5).map(|_| q.get().unwrap().0).collect();
        assert_eq!(got, [i64::MIN, -3, -3, 5, i64::MAX]);
        for text in ["first", "second", "third"] {
            q.put_with_priority(&7, (0, text.into())).unwrap();
        }
        let texts: Vec<_> = (0..3).map(|_| q.get().unwrap().1).collect();
        assert_eq!(texts, ["first", "second", "third"]);
    }

    fn what_is_not_done_comes_again(family) {
        let q = family.delivery_queue::<u32>(&name("q"), None).unwrap();
        q.put_many([1, 2]).unwrap();
        let first = q.get().unwrap();
        assert_eq!((*first, first.count(), first.number()), (1, 1, 0));
        assert_eq!((q.len().known(), q.in_flight().known()), (1, 1));
        drop(first);
        let again = q.get().unwrap();
        assert_eq!((again.count(), again.done().unwrap()), (2, 1));
        q.get().unwrap().give_back().unwrap();
        assert_eq!(q.get().unwrap().done().unwrap(), 2);
        assert!(q.join_timeout(LIMIT).known());
    }

    fn a_name_is_of_one_kind_and_one_size(family) {
        let mine = name("q");
        family.queue::<u32>(&mine, Some(3)).unwrap();
        assert_eq!(family.queue::<u32>(&mine, None).unwrap().capacity(), Some(3));
        assert!(family.queue::<u32>(&mine, Some(4)).is_err());
        assert!(family.lifo_queue::<u32>(&mine, None).is_err());
        assert!(family.names().unwrap().contains(&(mine.clone(), "queue".into())));
        assert!(family.remove(&mine).unwrap() && !family.remove(&mine).unwrap());
        assert!(family.lifo_queue::<u32>(&mine, None).is_ok());
    }

    fn nothing_is_lost_or_doubled_among_threads(family) {
        let q = family.queue::<u32>(&name("q"), Some(7)).unwrap();
        let mut got = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| q.iter().map(|n| n.unwrap()).collect::<Vec<_>>()))
                .collect();
            let putters: Vec<_> = (0..3u32)
                .map(|me| {
                    let q = &q;
                    scope.spawn(move || (0..300).for_each(|n| q.put(me * 1000 + n).unwrap()))
                })
                .collect();
            putters.into_iter().for_each(|each| each.join().unwrap());
            q.close().known();
            takers.into_iter().flat_map(|each| each.join().unwrap()).collect::<Vec<_>>()
        });
        got.sort_unstable();
        let put = (0..3).flat_map(|me| (0..300).map(move |n| me * 1000 + n)).collect::<Vec<_>>();
        assert_eq!(got, put);
    }

    fn a_lock_is_held_by_one(family) {
        let lock = family.lock(&name("lock")).unwrap();
        let other = family.lock(&name("lock")).unwrap();
        let guard = lock.acquire().unwrap();
        assert!(matches!(other.try_acquire(), Err(LockError::Held)));
        assert!(matches!(other.acquire_timeout(SOON), Err(LockError::Held)));
        drop(guard);
        drop(other.acquire().unwrap());
        assert!(lock.release().is_err());
    }

    fn a_lock_keeps_threads_apart(family) {
        let (lock, count) = (name("lock"), family.value(&name("count"), &0u32).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let lock = family.lock(&lock).unwrap();
                    for _ in 0..50 {
                        let _guard = lock.acquire().unwrap();
                        count.set(&(count.get().unwrap() + 1)).unwrap();
                    }
                });
            }
        });
        assert_eq!(count.get().unwrap(), 200);
    }

    fn its_holder_takes_an_rlock_again(family) {
        let lock = family.rlock(&name("lock")).unwrap();
        let outer = lock.acquire().unwrap();
        let inner = lock.acquire().unwrap();
        assert_eq!(lock.depth(), 2);
        let of = name("lock");
        let is_held = || {
            let lock = family.rlock(&of).unwrap();
            matches!(lock.try_acquire(), Err(LockError::Held))
        };
        assert!(std::thread::scope(|scope| scope.spawn(is_held).join().unwrap()));
        drop(inner);
        assert!(lock.is_mine() && !is_held());
        assert!(std::thread::scope(|scope| scope.spawn(is_held).join().unwrap()));
        drop(outer);
        assert_eq!(lock.depth(), 0);
        assert!(!std::thread::scope(|scope| scope.spawn(is_held).join().unwrap()));
    }

    fn a_semaphore_has_so_many_permits(family) {
        let permits = family.semaphore(&name("permits"), 2).unwrap();
        let one = permits.acquire_timeout(LIMIT).known().unwrap();
        let other = permits.try_acquire().known().unwrap();
        assert!(permits.try_acquire().known().is_none());
        assert!(permits.acquire_timeout(SOON).known().is_none());
        drop(one);
        assert!(permits.try_acquire().known().is_some());
        drop(other);
    }

    fn an_event_lets_all_through(family) {
        let event = family.event(&name("event")).unwrap();
        assert!(!event.wait_timeout(SOON).known());
        std::thread::scope(|scope| {
            let waits: Vec<_> =
                (0..3).map(|_| scope.spawn(|| event.wait_timeout(LIMIT).known())).collect();
            event.set().known();
            assert!(waits.into_iter().all(|each| each.join().unwrap()));
        });
        event.clear().known();
        assert!(!event.wait_timeout(SOON).known());
    }

    fn a_barrier_waits_for_all(family) {
        let barrier = family.barrier(&name("barrier"), 3).unwrap();
        assert!(family.barrier(&name("barrier"), 4).is_err());
        let mut places: Vec<_> = std::thread::scope(|scope| {
            let waits: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| barrier.wait_timeout(LIMIT).unwrap().index()))
                .collect();
            waits.into_iter().map(|each| each.join().unwrap()).collect()
        });
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
        assert!(barrier.wait_timeout(SOON).is_err());
    }

    fn a_dict_is_one_for_all_and_in_order(family) {
        let dict = family.dict::<String, i64>(&name("dict")).unwrap();
        assert!(dict.insert("a", &1).unwrap() && !dict.insert("a", &2).unwrap());
        dict.extend([("b".to_string(), 3), ("c".to_string(), 4)]).unwrap();
        let same = family.dict::<String, i64>(&name("dict")).unwrap();
        assert_eq!((same.get("a").unwrap(), same.get("z").unwrap()), (Some(2), None));
        assert_eq!((same.add("a", 5).unwrap(), same.add("new", -1).unwrap()), (7, -1));
        assert!(same.compare_exchange("b", Some(&3), Some(&30)).unwrap());
        assert!(!same.compare_exchange("b", Some(&3), Some(&31)).unwrap());
        assert_eq!(same.get_or_insert("b", 0).unwrap(), 30);
        assert_eq!(same.remove("c").unwrap(), Some(4));
        let entries = [("a", 7), ("b", 30), ("new", -1)].map(|(key, n)| (key.to_string(), n));
        assert_eq!(dict.entries().unwrap(), entries);
        assert_eq!(dict.pop_last().unwrap().unwrap().0, "new");
        assert!(dict.contains("a").unwrap() && dict.len().unwrap() == 2);
        dict.clear().unwrap();
        assert!(same.is_empty().unwrap() && same.pop_last().unwrap().is_none());
    }

    fn no_addition_is_lost(family) {
        let of = name("dict");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let dict = family.dict::<String, i64>(&of).unwrap();
                    (0..100).for_each(|_| assert!(dict.add("n", 1).unwrap() > 0));
                });
            }
        });
        assert_eq!(family.dict::<String, i64>(&of).unwrap().get("n").unwrap(), Some(400));
    }

    fn a_list_does_what_lists_do(family) {
        let list = family.list::<u32>(&name("list")).unwrap();
        list.extend([3, 1, 2]).unwrap();
        list.push(&5).unwrap();
        list.insert(0, &9).unwrap();
        assert_eq!(list.values().unwrap(), [9, 3, 1, 2, 5]);
        assert_eq!((list.get(-1).unwrap(), list.get(7).unwrap()), (Some(5), None));
        list.set(1, &4).unwrap();
        assert!(list.set(9, &4).is_err());
        list.splice(1, 3, [7, 7, 7]).unwrap();
        assert_eq!(list.values().unwrap(), [9, 7, 7, 7, 2, 5]);
        assert_eq!((list.pop(0).unwrap(), list.pop(-1).unwrap()), (Some(9), Some(5)));
        list.sort_by_key(|n| *n).unwrap();
        list.reverse().unwrap();
        assert_eq!(list.values().unwrap(), [7, 7, 7, 2]);
        assert_eq!(list.len().unwrap(), 4);
        list.clear().unwrap();
        assert!(list.is_empty().unwrap() && list.pop(0).unwrap().is_none());
    }

    fn an_update_of_a_value_is_one_step(family) {
        let of = name("value");
        family.value(&of, &0u32).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let value = family.value(&of, &7u32).unwrap();
                    (0..50).for_each(|_| assert!(value.update(|n| n + 1).unwrap() > 0));
                });
            }
        });
        assert_eq!(family.value(&of, &7u32).unwrap().get().unwrap(), 200);
    }
}
