//! Each call is done exactly once, whatever becomes of its connection.
#![cfg(feature = "redis")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use procession::remote::{Family, GetError, Queue};
use support::proxy::{Fate, Proxy, is_script};
use support::random::{Random, seed};
use support::server::Server;

const FATES: [Fate; 4] = [Fate::CutBefore, Fate::CutAfter, Fate::Hang, Fate::Garbage];
// A half of the time-out is for how long the first attempt waits for an answer.
const QUERY: &str = "timeout=2&lease=20";

fn through(proxy: &Proxy, prefix: &str) -> (Family, Queue<u64>) {
    let family = Family::open(&Server::url_at(proxy.port, prefix, QUERY)).unwrap();
    let q = family.queue("q", None).unwrap();
    (family, q)
}

#[test]
fn each_call_that_is_cut_garbled_or_not_answered_is_done_once() {
    let server = Server::start();
    let mut number = 0;
    for fate in FATES {
        let mut nth = 1;
        // One call more is spoilt in each round, until there is none left to spoil.
        loop {
            number += 1;
            let prefix = format!("p{number}");
            let (proxy, seen) = Proxy::once(server.port(), nth, fate);
            let (family, q) = through(&proxy, &prefix);
            q.put(1).unwrap();
            q.put_many([2, 3, 4]).unwrap();
            assert_eq!(q.len().unwrap(), 4);
            assert_eq!(q.get().unwrap(), 1);
            assert_eq!(q.peek().unwrap(), 2);
            assert_eq!(q.get_many(2).unwrap(), [2, 3], "{fate:?} of {nth}");
            q.put(5).unwrap();
            assert_eq!([q.get().unwrap(), q.get().unwrap()], [4, 5], "{fate:?} of {nth}");
            assert!(matches!(q.try_get(), Err(GetError::Empty)), "{fate:?} of {nth}");
            assert!(family.remove("q").unwrap(), "{fate:?} of {nth}");
            if seen.load(Ordering::Relaxed) < nth {
                break;
            }
            nth += 1;
        }
        assert!(nth > 9, "{fate:?}: only {nth} calls were spoilt");
    }
}

#[test]
fn a_call_that_arrives_late_does_nothing() {
    let server = Server::start();
    // A get of an empty queue is overtaken by its own repetition, which finds nothing and changes nothing. When it
    // arrives at last there is something to take, which others have put.
    let direct = Family::open(&server.url("get", QUERY)).unwrap();
    let other: Queue<u64> = direct.queue("q", None).unwrap();
    other.put(6).unwrap();
    assert_eq!(other.get().unwrap(), 6);
    // The server knows the scripts by now: the first one opens the queue, the second one is the get.
    let (proxy, _) = Proxy::once(server.port(), 2, Fate::Late);
    let (_, q) = through(&proxy, "get");
    assert!(matches!(q.try_get(), Err(GetError::Empty)));
    other.put(7).unwrap();
    proxy.deliver(1);
    assert_eq!(other.try_get().unwrap(), 7);

    let (proxy, _) = Proxy::once(server.port(), 2, Fate::Late);
    let (_, q) = through(&proxy, "put");
    q.put(6).unwrap();
    proxy.deliver(1);
    assert_eq!([q.len().unwrap(), q.try_get().unwrap()], [1, 6]);
    assert!(matches!(q.try_get(), Err(GetError::Empty)));
}

#[test]
fn many_threads_over_a_line_that_often_breaks_lose_and_double_nothing() {
    const EACH: u64 = 300;
    let seed = seed();
    println!("PROCESSION_TEST_SEED={seed}");
    let random = std::sync::Mutex::new(Random(seed));
    let spoilt = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counts = Arc::clone(&spoilt);
    let server = Server::start();
    let proxy = Proxy::new(server.port(), move |words| {
        let mut random = random.lock().unwrap();
        if !is_script(words) || random.below(10) > 0 {
            return Fate::Pass;
        }
        // Late ones arrive at the end, when nobody expects them.
        let all = [Fate::CutBefore, Fate::CutAfter, Fate::Garbage, Fate::Late];
        let fate = all[random.below(4) as usize];
        counts[usize::from(fate == Fate::Late)].fetch_add(1, Ordering::Relaxed);
        fate
    });
    let (_, q) = through(&proxy, "many");
    let mut found: Vec<u64> = std::thread::scope(|scope| {
        for producer in 0..4 {
            let q = &q;
            scope.spawn(move || {
                for i in 0..EACH {
                    q.put(producer * EACH + i).unwrap();
                }
            });
        }
        let takers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..EACH).map(|_| q.get().unwrap()).collect::<Vec<_>>()))
            .collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    let late = spoilt[1].load(Ordering::Relaxed);
    assert!(late > 10 && spoilt[0].load(Ordering::Relaxed) > 100);
    proxy.deliver(late);
    found.sort_unstable();
    let wanted: Vec<_> = (0..4 * EACH).collect();
    assert_eq!(found, wanted);
    assert!(q.is_empty().unwrap());
}

#[test]
fn a_line_that_is_cut_at_any_time_loses_and_doubles_nothing() {
    let server = Server::start();
    let proxy = Proxy::new(server.port(), |_| Fate::Pass);
    let (_, q) = through(&proxy, "cuts");
    let over = std::sync::atomic::AtomicBool::new(false);
    let found: Vec<u64> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(seed());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_micros(random.below(20_000)));
                proxy.cut();
            }
        });
        scope.spawn(|| (0..3000).for_each(|i| q.put(i).unwrap()));
        let found = (0..3000).map(|_| q.get().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        found
    });
    assert_eq!(found, (0..3000).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_all_that_it_confirmed() {
    let mut server = Server::durable();
    let family = Family::open(&server.url("kills", QUERY)).unwrap();
    let q: Queue<u64> = family.queue("q", None).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let found: Vec<u64> = std::thread::scope(|scope| {
        let putter = q.clone();
        scope.spawn(move || {
            for i in 0..3000 {
                putter.put(i).unwrap();
                let _ = send.send(i);
            }
        });
        let taker = scope.spawn(|| (0..3000).map(|_| q.get().unwrap()).collect());
        for round in 1..=5 {
            while receive.recv().unwrap() < round * 500 {}
            server.restart();
        }
        taker.join().unwrap()
    });
    assert_eq!(found, (0..3000).collect::<Vec<_>>());
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again() {
    let server = Server::start();
    let family = Family::open(&server.url("flush", QUERY)).unwrap();
    let q: Queue<u64> = family.queue("q", None).unwrap();
    for i in 0..100 {
        q.put(i).unwrap();
        server.ask(&["SCRIPT", "FLUSH"]);
        assert_eq!(q.get().unwrap(), i);
    }
}
