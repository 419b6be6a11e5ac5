//! Queues on a server: order, bounds, waiting, ends, and what a call does that breaks.
#![cfg(feature = "redis")]

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use procession::remote::queue::{Limits, NewMessage, QueueKind, RemoteQueue};
use procession::remote::{
    Family, GetError, JoinableQueue, LifoQueue, Patience, PriorityQueue, PutError, Queue,
    RemoteError,
};
use support::LIMIT;
use support::server::Server;

fn family(server: &Server) -> Family {
    Family::open(&server.url("q", "lease=1&timeout=5")).unwrap()
}

/// Who waits at a queue, by the part of it where he is entered.
fn until_waiting(server: &Server, key: &str, part: &str, n: usize) {
    let deadline = Instant::now() + LIMIT;
    while server.ask(&["ZCARD", &format!("{key}:{part}")]) != [n.to_string()] {
        assert!(Instant::now() < deadline, "nobody waits");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Opening a client wakes nobody, but tries whether it may.
fn family_that_only_waits(server: &Server) -> Family {
    let family = Family::open(&server.url("q", "lease=3000")).unwrap();
    server.ask(&["CONFIG", "RESETSTAT"]);
    family
}

/// How often the server has woken somebody: who waits looks by himself, too, so that alone says little.
fn wakes(server: &Server) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]).join("");
    let calls = stats.split("cmdstat_publish:calls=").nth(1);
    calls.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

fn bytes(body: &[u8]) -> NewMessage<'_> {
    NewMessage { kind: 7, body, key: &[] }
}

#[test]
fn who_is_refused_leaves_his_room_to_the_next_one() {
    let server = Server::start();
    let family = family(&server);
    let q: PriorityQueue<u8> = family.priority_queue("q", Some(2)).unwrap();
    q.put_with_priority(&1, 1).unwrap();
    q.put_with_priority(&3, 3).unwrap();
    thread::scope(|scope| {
        let wrong = scope.spawn(|| q.put_with_priority("text", 9));
        until_waiting(&server, &q.key(), "putters", 1);
        // The next one, who does not look by himself.
        let client = server.keys("q:client").remove(0);
        let next = format!("{}:999999", client.rsplit(':').next().unwrap());
        server.ask(&["ZADD", &format!("{}:putters", q.key()), "1e18", &next]);
        assert_eq!(q.get().unwrap(), 1);
        assert!(matches!(wrong.join().unwrap(), Err(PutError::Unordered(9, _))));
        until_waiting(&server, &q.key(), "putters", 0);
    });
    assert_eq!((q.get().unwrap(), q.len().unwrap()), (3, 0));
}

#[test]
fn orders() {
    let server = Server::start();
    let family = family(&server);
    let fifo: Queue<u32> = family.queue("fifo", None).unwrap();
    let lifo: LifoQueue<u32> = family.lifo_queue("lifo", None).unwrap();
    let least: PriorityQueue<(i32, String)> = family.priority_queue("least", None).unwrap();
    for n in [3, 1, 2] {
        fifo.put(n).unwrap();
        lifo.put(n).unwrap();
    }
    assert_eq!((fifo.peek().unwrap(), lifo.peek().unwrap()), (3, 2));
    assert_eq!(fifo.get_many(10).unwrap(), [3, 1, 2]);
    assert_eq!([lifo.get().unwrap(), lifo.get().unwrap(), lifo.get().unwrap()], [2, 1, 3]);
    for (n, text) in [(2, "a"), (-1, "z"), (-1, "b"), (300, "c"), (7, "\0")] {
        least.put((n, text.into())).unwrap();
    }
    assert_eq!(least.peek().unwrap().0, -1);
    let all: Vec<_> = least.try_iter().map(|one| one.unwrap().0).collect();
    assert_eq!(all, [-1, -1, 2, 7, 300]);
    assert!(matches!(fifo.try_get(), Err(GetError::Empty)));
    assert!(matches!(lifo.try_peek(), Err(GetError::Empty)));
    assert!(matches!(least.get_timeout(Duration::from_millis(5)), Err(GetError::Empty)));
}

#[test]
fn equal_priorities_keep_their_order() {
    let server = Server::start();
    let q: PriorityQueue<String> = PriorityQueue::unbounded_in(&family(&server)).unwrap();
    // More than 256 numbers of arrival, so that their bytes' order counts.
    let names: Vec<_> = (0..600).map(|n| format!("{n}")).collect();
    for name in &names[..300] {
        q.put_with_priority(&1, name.clone()).unwrap();
    }
    q.put_with_priority(&0.5, "first".into()).unwrap();
    for name in &names[300..] {
        q.put_with_priority(&1.0, name.clone()).unwrap();
    }
    assert_eq!(q.get().unwrap(), "first");
    assert_eq!(q.get_many(1000).unwrap(), names);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let server = Server::start();
    let q: PriorityQueue<u8> = PriorityQueue::unbounded_in(&family(&server)).unwrap();
    q.put_with_priority(&(1, "a"), 0).unwrap();
    q.put_with_priority(&(2, 5), 1).unwrap(); // 1 and 2 differ before the text and the number
    for (priority, n) in [((1, 7), 2), ((2, 4), 3)] {
        let put = q.put_with_priority(&priority, n);
        assert_eq!(matches!(put, Err(PutError::Unordered(2, _))), n == 2, "{put:?}");
    }
    assert!(matches!(q.put_with_priority("text", 4), Err(PutError::Unordered(4, _))));
    assert!(matches!(q.put_with_priority(&f64::NAN, 5), Err(PutError::Unordered(5, _))));
    assert_eq!(q.get_many(10).unwrap(), [0, 3, 1]);
    q.put_with_priority("text", 6).unwrap(); // empty, it takes any
    assert!(matches!(q.try_put_with_priority(&1, 7), Err(PutError::Unordered(7, _))));
    let strings: PriorityQueue<&str> = PriorityQueue::unbounded_in(&family(&server)).unwrap();
    let refused = strings.put_slice(&["b", "a"]);
    assert!(refused.is_ok() && strings.len().unwrap() == 2);
}

#[test]
fn bounds_of_number_and_bytes() {
    let server = Server::start();
    let family = family(&server);
    let q: Queue<u8> = Queue::bounded_in(&family, 2).unwrap();
    q.put_slice(&[1, 2]).unwrap();
    assert!(q.is_full().unwrap());
    assert_eq!(q.try_put(3).unwrap_err().into_inner(), 3);
    assert!(q.put_timeout(3, Duration::from_millis(5)).unwrap_err().is_full());
    assert_eq!(q.get_many(9).unwrap(), [1, 2]);

    for kind in [QueueKind::Fifo, QueueKind::Lifo, QueueKind::Priority, QueueKind::Delivery] {
        let limits = Limits { messages: 0, bytes: 10 };
        let q = RemoteQueue::anonymous(family.server(), kind, limits).unwrap();
        q.put(bytes(&[0; 20]), &Patience::none()).unwrap(); // alone it may be larger
        assert!(q.put(bytes(&[]), &Patience::none()).unwrap_err().is_full());
        assert_eq!((q.bytes_in().unwrap(), q.is_full().unwrap()), (20, true));
        assert_eq!(q.get(&Patience::none()).unwrap().body().len(), 20);
        let many = [bytes(&[1; 4]), bytes(&[2; 5]), bytes(&[3; 2])];
        let put = q.put_many(&many, &Patience::none());
        assert!(matches!(put, Err(PutError::Full(2))), "{kind:?}: {put:?}");
        assert_eq!((q.bytes_in().unwrap(), q.len().unwrap()), (9, 2));
        assert_eq!(q.get_many(5, &Patience::none()).unwrap().len(), 2);
        assert_eq!(q.bytes_in().unwrap(), 0);
    }
}

#[test]
fn who_waits_is_woken() {
    let server = Server::start();
    let family = family(&server);
    let patient = family_that_only_waits(&server);
    let q: Queue<u32> = patient.queue("q", Some(1)).unwrap();
    let (key, other) = (q.key(), family.queue::<u32>("q", None).unwrap());
    thread::scope(|scope| {
        let getter = scope.spawn(|| q.get());
        until_waiting(&server, &key, "getters", 1);
        other.put(1).unwrap();
        assert_eq!(getter.join().unwrap().unwrap(), 1);
        assert_eq!(wakes(&server), 1);

        other.put(2).unwrap();
        let putter = scope.spawn(|| q.put(3));
        until_waiting(&server, &key, "putters", 1);
        assert_eq!(other.get().unwrap(), 2);
        putter.join().unwrap().unwrap();
        assert_eq!(wakes(&server), 2);
        assert_eq!(other.get().unwrap(), 3);

        // One who looks keeps nothing from one who takes.
        let peeker = scope.spawn(|| q.peek());
        until_waiting(&server, &key, "getters", 1);
        let getter = scope.spawn(|| q.get());
        until_waiting(&server, &key, "getters", 2);
        other.put(4).unwrap();
        assert_eq!(getter.join().unwrap().unwrap(), 4);
        assert_eq!(wakes(&server), 4);
        other.put(5).unwrap();
        assert!(matches!(peeker.join().unwrap(), Ok(4 | 5)));
    });
    assert!(server.ask(&["ZRANGE", &format!("{key}:getters"), "0", "-1"]).is_empty());
}

#[test]
fn room_in_bytes_wakes_all_who_fit() {
    let server = Server::start();
    let family = family_that_only_waits(&server);
    let limits = Limits { messages: 0, bytes: 10 };
    let q = RemoteQueue::anonymous(family.server(), QueueKind::Joinable, limits).unwrap();
    q.put(bytes(&[0; 10]), &Patience::none()).unwrap();
    thread::scope(|scope| {
        let putters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| q.put(bytes(&[1; 3]), &Patience::of(LIMIT)))).collect();
        until_waiting(&server, q.key(), "putters", 3);
        q.get(&Patience::none()).unwrap();
        assert_eq!(wakes(&server), 3);
        for putter in putters {
            putter.join().unwrap().unwrap();
        }
    });
    assert_eq!(q.len().unwrap(), 3);
}

#[test]
fn large_batches_go_in_steps() {
    let server = Server::start();
    let family = family(&server);
    let q: Queue<u32> = Queue::unbounded_in(&family).unwrap();
    let all: Vec<u32> = (0..5500).collect();
    q.put_slice(&all).unwrap();
    assert_eq!(q.get_many(2500).unwrap(), all[..2500]);
    assert_eq!(q.get_many(usize::MAX).unwrap(), all[2500..]);

    // Nine messages of a megabyte: neither put nor taken in one step.
    let big: Queue<String> = Queue::unbounded_in(&family).unwrap();
    let texts: Vec<_> = (0..9).map(|n| n.to_string().repeat(1 << 20)).collect();
    big.put_slice(&texts).unwrap();
    assert_eq!(big.get_many(20).unwrap(), texts);

    // Room comes for some at a time.
    let narrow: Queue<u32> = family.queue("narrow", Some(7)).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| narrow.put_slice(&all[..50]));
        let mut got = Vec::new();
        while got.len() < 50 {
            got.extend(narrow.get_many(5).unwrap());
        }
        putter.join().unwrap().unwrap();
        assert_eq!(got, all[..50]);
    });
}

#[test]
fn join_waits_until_all_is_done() {
    let server = Server::start();
    let family = family_that_only_waits(&server);
    let q: JoinableQueue<u32> = family.joinable_queue("jobs", None).unwrap();
    q.put_slice(&[1, 2]).unwrap();
    assert_eq!((q.get().unwrap(), q.get().unwrap(), q.unfinished().unwrap()), (1, 2, 2));
    assert!(!q.join_timeout(Duration::from_millis(5)).unwrap());
    thread::scope(|scope| {
        let joiner = scope.spawn(|| q.join_timeout(LIMIT));
        until_waiting(&server, &q.key(), "joiners", 1);
        assert!(q.task_done().unwrap());
        assert_eq!(wakes(&server), 0);
        assert!(q.task_done().unwrap());
        assert_eq!(wakes(&server), 1);
        assert!(joiner.join().unwrap().unwrap());
    });
    assert!(!q.task_done().unwrap());
    q.join().unwrap();
}

#[test]
fn shutdown_ends_puts_and_gets() {
    let server = Server::start();
    let family = family_that_only_waits(&server);
    let q: JoinableQueue<u32> = family.joinable_queue("jobs", Some(2)).unwrap();
    q.put_slice(&[1, 2]).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| q.put(3));
        until_waiting(&server, &q.key(), "putters", 1);
        q.close().unwrap();
        assert_eq!(wakes(&server), 1);
        assert!(matches!(putter.join().unwrap(), Err(PutError::Closed(3))));
    });
    assert!(q.is_closed().unwrap());
    assert!(matches!(q.put(4), Err(PutError::Closed(4))));
    let all: Vec<_> = q.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(all, [1, 2]);
    assert!(matches!(q.get(), Err(GetError::Closed)));
    assert!(matches!(q.peek(), Err(GetError::Closed)));

    for kind in [QueueKind::Joinable, QueueKind::Lifo, QueueKind::Priority, QueueKind::Delivery] {
        let q = RemoteQueue::anonymous(family.server(), kind, Limits::default()).unwrap();
        q.put_many(&[bytes(b"a"), bytes(b"b"), bytes(b"c")], &Patience::none()).unwrap();
        let taken = q.get(&Patience::none()).unwrap();
        assert_eq!(q.shutdown(true).unwrap(), 2);
        assert_eq!((q.len().unwrap(), q.bytes_in().unwrap(), q.unfinished().unwrap()), (0, 0, 1));
        // What would come back is dropped like the rest.
        q.give_back(&[taken]).unwrap();
        assert_eq!((q.len().unwrap(), q.unfinished().unwrap()), (0, 0), "{kind:?}");
        assert!(matches!(q.get(&Patience::forever()), Err(GetError::Closed)));
    }

    let q: Queue<u32> = family.queue("waited", None).unwrap();
    thread::scope(|scope| {
        let getter = scope.spawn(|| q.get());
        until_waiting(&server, &q.key(), "getters", 1);
        q.close().unwrap();
        assert!(matches!(getter.join().unwrap(), Err(GetError::Closed)));
    });
}

#[test]
fn what_is_given_back_stands_where_it_stood() {
    let server = Server::start();
    let family = family(&server);
    for kind in [QueueKind::Fifo, QueueKind::Lifo, QueueKind::Priority, QueueKind::Delivery] {
        let q = RemoteQueue::anonymous(family.server(), kind, Limits::of(3)).unwrap();
        let put = |body: &'static [u8]| {
            q.put(NewMessage { kind: 7, body, key: body }, &Patience::none()).unwrap();
        };
        let bodies = || {
            let seen = q.get_many(9, &Patience::none()).unwrap();
            q.give_back(&seen).unwrap();
            seen.iter().map(|one| one.body().to_vec()).collect::<Vec<_>>()
        };
        for body in [&[0x40, b'a', 0], &[0x40, b'b', 0], &[0x40, b'c', 0]] {
            put(body);
        }
        let before = (bodies(), q.bytes_in().unwrap(), q.unfinished().unwrap());
        let taken = q.get_many(2, &Patience::none()).unwrap();
        q.give_back(&taken).unwrap();
        assert_eq!((bodies(), q.bytes_in().unwrap(), q.unfinished().unwrap()), before, "{kind:?}");
        assert_eq!(bodies(), before.0);
        assert!(q.get_many(9, &Patience::none()).unwrap().iter().all(|one| one.kind() == 7));
    }
}

#[test]
fn a_name_has_one_kind_and_one_capacity() {
    let server = Server::start();
    let family = family(&server);
    let q: Queue<u32> = family.queue("q:1%", Some(3)).unwrap();
    q.put(1).unwrap();
    assert_eq!(family.queue::<u32>("q:1%", None).unwrap().capacity(), Some(3));
    assert!(matches!(family.queue::<u32>("q:1%", Some(4)), Err(RemoteError::Differs { .. })));
    assert!(matches!(family.lifo_queue::<u32>("q:1%", None), Err(RemoteError::WrongKind { .. })));
    assert_eq!(family.names().unwrap(), [("q:1%".to_string(), "queue".to_string())]);
    assert!(family.remove("q:1%").unwrap());
    assert!(!family.remove("q:1%").unwrap());
    assert!(matches!(q.put(2), Err(PutError::Remote(2, RemoteError::Gone(_)))));
    assert!(matches!(q.len(), Err(RemoteError::Gone(_))));
    assert!(server.ask(&["KEYS", "q:n:*"]).is_empty());
}

#[test]
fn an_anonymous_queue_goes_with_its_last_handle() {
    let server = Server::start();
    let family = family(&server);
    let q: Queue<u32> = Queue::unbounded_in(&family).unwrap();
    q.put(1).unwrap();
    let again: Queue<u32> = Queue::attach(&family, &q.key()).unwrap();
    assert_eq!(again.get().unwrap(), 1);
    let ttl: i64 = server.ask(&["PTTL", q.raw().key()])[0].parse().unwrap();
    assert!(ttl > 0, "it would stay for ever");
    let alone: Queue<u32> = Queue::unbounded_in(&family).unwrap();
    let key = alone.raw().key().to_owned();
    alone.put(1).unwrap();
    drop(alone);
    let deadline = Instant::now() + LIMIT;
    while !server.ask(&["KEYS", &format!("{key}*")]).is_empty() {
        assert!(Instant::now() < deadline, "it stays");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_message_of_another_type_is_an_error() {
    let server = Server::start();
    let q: Queue<u32> = family(&server).queue("q", None).unwrap();
    q.raw().put(bytes(b"?"), &Patience::none()).unwrap();
    q.put(1).unwrap();
    assert!(matches!(q.get(), Err(GetError::Decode(_))));
    assert_eq!(q.get().unwrap(), 1);
}

#[test]
fn a_server_without_memory_gives_out_what_it_has() {
    let server = Server::with(&["--maxmemory", "12mb", "--maxmemory-policy", "noeviction"]);
    let family = family(&server);
    let body = vec![0; 200_000];
    for kind in [QueueKind::Fifo, QueueKind::Lifo, QueueKind::Priority, QueueKind::Delivery] {
        let q = RemoteQueue::anonymous(family.server(), kind, Limits::default()).unwrap();
        let empty = RemoteQueue::anonymous(family.server(), kind, Limits::default()).unwrap();
        let message = NewMessage { kind: 1, body: &body, key: &[0x33] };
        let mut n = 0;
        let refused = loop {
            match q.put(message, &Patience::none()) {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, PutError::Remote((), RemoteError::Server { .. })), "{refused:?}");
        // Nothing of the refused one is there, and who waits is not told of what is not his matter.
        assert_eq!((q.len().unwrap(), q.bytes_in().unwrap()), (n, n * 200_000));
        let waited = empty.get(&Patience::of(Duration::from_millis(5)));
        assert!(matches!(waited, Err(GetError::Empty)), "{kind:?}: {waited:?}");
        for _ in 0..n {
            let taken = q.get(&Patience::none()).unwrap();
            assert_eq!(taken.body().len(), 200_000);
            if let Some(ticket) = taken.ticket() {
                assert!(q.done(ticket).unwrap());
            }
        }
        assert!(q.is_empty().unwrap() && n > 10, "{kind:?}: {n}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_among_many() {
    let server = Server::start();
    let family = family(&server);
    for kind in [QueueKind::Fifo, QueueKind::Priority, QueueKind::Lifo] {
        let q = RemoteQueue::anonymous(family.server(), kind, Limits::of(5)).unwrap();
        let (send, taken) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..3 {
                let (q, send) = (q.clone(), send.clone());
                scope.spawn(move || {
                    while let Ok(one) = q.get(&Patience::of(LIMIT)) {
                        send.send(one.body().to_vec()).unwrap();
                    }
                });
            }
            let putters: Vec<_> = (0..3u8)
                .map(|who| {
                    let q = &q;
                    scope.spawn(move || {
                        for n in 0..100 {
                            let message = NewMessage { kind: 1, body: &[who, n], key: &[0x33] };
                            q.put(message, &Patience::of(LIMIT)).unwrap();
                        }
                    })
                })
                .collect();
            for putter in putters {
                putter.join().unwrap();
            }
            q.shutdown(false).unwrap();
        });
        drop(send);
        let mut all: Vec<_> = taken.iter().collect();
        all.sort();
        let expected: Vec<_> = (0..3).flat_map(|who| (0..100).map(move |n| vec![who, n])).collect();
        assert_eq!(all, expected, "{kind:?}");
    }
}
