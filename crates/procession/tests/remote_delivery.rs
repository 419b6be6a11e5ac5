//! Messages in flight on a server: what the dead had comes back, what was done does not, and a client that was cut off is
//! told what it lost.
#![cfg(feature = "redis")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use procession::remote::queue::{Limits, NewMessage, QueueKind, RemoteQueue};
use procession::remote::{Delivery, DeliveryQueue, Family, GetError, Patience, RemoteError};
use support::server::Server;
use support::{LIMIT, argument, killed, role, say, start};

/// Each query of an address is a client of its own.
fn jobs(server: &Server, query: &str) -> DeliveryQueue<u32> {
    Family::open(&server.url("q", query)).unwrap().delivery_queue("jobs", None).unwrap()
}

fn shown(taken: &[Delivery<u32>]) -> Vec<(u32, u32)> {
    taken.iter().map(|one| (**one, one.count())).collect()
}

/// As if that client had not been heard of for its lease.
fn declare_dead(server: &Server, life: &str) {
    assert_eq!(server.ask(&["DEL", &format!("q:client:{life}")]), ["1"]);
}

/// All that is left of a queue when all is done.
fn assert_clean(server: &Server) {
    assert_eq!(server.keys("q:n"), ["q:n:jobs"]);
}

#[test]
fn done_or_given_back() {
    let server = Server::start();
    let q = jobs(&server, "lease=3000");
    q.put_slice(&[10, 20, 30]).unwrap();
    let taken = q.get_many(2).unwrap();
    assert_eq!(shown(&taken), [(10, 1), (20, 1)]);
    assert_eq!(taken[1].number(), 1);
    assert_eq!((q.len().unwrap(), q.in_flight().unwrap(), q.unfinished().unwrap()), (1, 2, 3));
    let flights = q.in_flights().unwrap();
    assert_eq!(
        flights.iter().map(|one| (one.number, one.count, one.bytes)).collect::<Vec<_>>(),
        [(0, 1, 1), (1, 1, 1)]
    );
    assert_eq!(flights[0].pid, Some(std::process::id()));
    let [first, second] = taken.try_into().unwrap();
    second.give_back().unwrap();
    drop(first); // without a word
    let again = q.get_many(9).unwrap();
    assert_eq!(shown(&again), [(10, 2), (20, 2), (30, 1)]);
    assert!(matches!(q.try_get(), Err(GetError::Empty)));
    for one in again {
        one.done().unwrap();
    }
    q.join().unwrap();
    assert_clean(&server);
}

#[test]
fn a_bound_is_of_what_waits() {
    let server = Server::start();
    let family = Family::open(&server.url("q", "")).unwrap();
    let q: DeliveryQueue<u32> = DeliveryQueue::bounded_in(&family, 1).unwrap();
    q.put(1).unwrap();
    let one = q.get().unwrap();
    q.try_put(2).unwrap();
    assert!(q.try_put(3).unwrap_err().is_full());
    one.give_back().unwrap();
    assert_eq!(q.len().unwrap(), 2);
    assert_eq!(shown(&q.get_many(9).unwrap()), [(1, 2), (2, 1)]);
}

#[test]
fn what_a_killed_process_had_comes_back() {
    let entry = "what_a_killed_process_had_comes_back";
    if role().is_some() {
        let q: DeliveryQueue<u32> =
            Family::open(&argument("URL")).unwrap().delivery_queue("jobs", None).unwrap();
        let taken = q.get_many(2).unwrap();
        let done = q.get().unwrap();
        assert_eq!(done.done().unwrap(), 3);
        say(&format!("{:?}", shown(&taken)));
        loop {
            thread::park();
        }
    }
    let server = Server::start();
    let q = jobs(&server, "lease=1");
    q.put_slice(&[1, 2, 3, 4]).unwrap();
    let url = server.url("q", "lease=1");
    let mut worker = start(entry, "worker", &[("URL", url)]);
    assert_eq!(worker.hear(), "[(1, 1), (2, 1)]");
    let mine = q.get().unwrap();
    assert_eq!(*mine, 4);
    worker.child.kill().unwrap();
    assert!(killed(worker.finish().1));
    // Who waits takes it, without anybody else's doing.
    let back = q.get_timeout(LIMIT).unwrap();
    assert_eq!((*back, back.count()), (1, 2));
    q.put(5).unwrap();
    let rest = q.get_many(9).unwrap();
    assert_eq!(shown(&rest), [(2, 2), (5, 1)]);
    for one in rest.into_iter().chain([back, mine]) {
        one.done().unwrap();
    }
    q.join().unwrap();
    assert_clean(&server);
}

#[test]
fn what_comes_back_stands_before_what_came_later() {
    let server = Server::start();
    let (q, other, third) =
        (jobs(&server, "lease=3000"), jobs(&server, "lease=3001"), jobs(&server, "lease=3002"));
    q.put_slice(&[0, 1, 2, 3, 4, 5]).unwrap();
    let mut taken = Vec::new();
    for n in 0..4 {
        taken.push(if n % 2 == 0 { other.get().unwrap() } else { third.get().unwrap() });
    }
    let lives: Vec<_> = q.in_flights().unwrap().into_iter().map(|one| one.life).collect();
    for life in lives.iter().collect::<std::collections::BTreeSet<_>>() {
        declare_dead(&server, life);
    }
    // Something waits, so that is looked for now and then only.
    let deadline = Instant::now() + LIMIT;
    while q.len().unwrap() != 6 {
        assert!(Instant::now() < deadline, "they do not come back");
        q.get().unwrap().give_back().unwrap();
    }
    let all = q.get_many(9).unwrap();
    let values: Vec<_> = all.iter().map(|one| **one).collect();
    assert_eq!(values, [0, 1, 2, 3, 4, 5]);
    assert_eq!([all[1].count(), all[3].count(), all[5].count()], [2, 2, 1]);
    // They were told that it is theirs no more; what is dropped then takes nothing from anybody.
    let last = taken.pop().unwrap();
    let said = last.done();
    assert!(matches!(said, Err(RemoteError::LeaseLost { .. })), "{said:?}");
    let said = taken.pop().unwrap().give_back();
    assert!(matches!(said, Err(RemoteError::LeaseLost { .. })), "{said:?}");
    drop(taken);
    assert_eq!(q.in_flight().unwrap(), 6);
    for one in all {
        one.done().unwrap();
    }
    assert_clean(&server);
}

#[test]
fn what_is_late_but_nobody_elses_is_done() {
    let server = Server::start();
    let (q, other) = (jobs(&server, "lease=3000"), jobs(&server, "lease=3001"));
    q.put(1).unwrap();
    let one = q.get().unwrap();
    declare_dead(&server, &other.in_flights().unwrap()[0].life);
    assert_eq!(one.done().unwrap(), 1);
    assert!(matches!(other.try_get(), Err(GetError::Empty)));
    assert_clean(&server);
}

#[test]
fn a_ticket_is_good_once() {
    let server = Server::start();
    let q = jobs(&server, "lease=3000").raw().clone();
    q.put(NewMessage { kind: 1, body: &[1], key: &[] }, &Patience::none()).unwrap();
    let first = q.get(&Patience::none()).unwrap().ticket().unwrap().clone();
    assert!(q.return_ticket(&first).unwrap());
    let second = q.get(&Patience::none()).unwrap().ticket().unwrap().clone();
    // The same client has it again, and the old ticket is not the new one's.
    assert!(!q.done(&first).unwrap());
    assert_eq!(q.in_flight().unwrap(), 1);
    assert!(q.done(&second).unwrap());
    assert!(!q.done(&second).unwrap() && !q.return_ticket(&second).unwrap());
    assert_clean(&server);
}

#[test]
fn a_fork_child_has_nothing_in_flight() {
    let entry = "a_fork_child_has_nothing_in_flight";
    if role().is_none() {
        let server = Server::start();
        let (_, status) = start(entry, "parent", &[("URL", server.url("q", "lease=60"))]).finish();
        assert!(status.success());
        return assert_clean(&server);
    }
    let family = Family::open(&argument("URL")).unwrap();
    let q: DeliveryQueue<u32> = family.delivery_queue("jobs", None).unwrap();
    q.put_slice(&[1, 2]).unwrap();
    let (first, second) = (q.get().unwrap(), q.get().unwrap());
    // SAFETY: the child uses what survives a fork only, and ends without unwinding.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let said = first.done();
        let is_not_its_own = matches!(said, Err(RemoteError::LeaseLost { .. }));
        drop(second);
        let flights = q.in_flight();
        let right = is_not_its_own && matches!(flights, Ok(2));
        // SAFETY: nothing is to be cleaned up.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = 0;
    // SAFETY: a child of this process, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert_eq!(shown(&[first, second]), [(1, 1), (2, 1)]);
    assert_eq!(shown(&q.get_many(2).unwrap()), [(1, 2), (2, 2)]); // dropped, and given back so
    q.get().unwrap().done().unwrap();
    q.get().unwrap().done().unwrap();
}

#[test]
fn what_comes_back_after_the_end_is_dropped() {
    let server = Server::start();
    let (q, other) = (jobs(&server, "lease=2"), jobs(&server, "lease=3001"));
    q.put_slice(&[1, 2, 3]).unwrap();
    let mine = q.get().unwrap();
    let theirs = other.get().unwrap();
    assert_eq!(q.shut_down_now().unwrap(), 1);
    assert!(matches!(q.get(), Err(GetError::Closed)));
    assert!(!q.join_timeout(Duration::from_millis(1)).unwrap());
    mine.done().unwrap();
    declare_dead(&server, &q.in_flights().unwrap()[0].life);
    assert!(matches!(q.get(), Err(GetError::Closed)));
    assert!(q.join_timeout(LIMIT).unwrap());
    drop(theirs);
    assert_clean(&server);

    // Without dropping, what comes back is still given out.
    let q: DeliveryQueue<u32> = DeliveryQueue::unbounded_in(&family_of(&server)).unwrap();
    q.put(1).unwrap();
    let one = q.get().unwrap();
    q.close().unwrap();
    one.give_back().unwrap();
    assert_eq!(shown(&q.get_many(1).unwrap()), [(1, 2)]);
}

fn family_of(server: &Server) -> Family {
    Family::open(&server.url("q", "lease=3000")).unwrap()
}

#[test]
fn who_joins_is_woken_by_the_last_done() {
    let server = Server::start();
    let q = jobs(&server, "lease=3000");
    q.put_slice(&[1, 2]).unwrap();
    thread::scope(|scope| {
        let joiner = scope.spawn(|| q.join_timeout(LIMIT));
        let deadline = Instant::now() + LIMIT;
        while server.ask(&["ZCARD", "q:n:jobs:joiners"]) != ["1"] {
            assert!(Instant::now() < deadline, "nobody waits");
        }
        for one in q.get_many(2).unwrap() {
            one.done().unwrap();
        }
        assert!(joiner.join().unwrap().unwrap());
    });
}

#[test]
fn what_was_taken_for_nobody_goes_back() {
    let server = Server::start();
    let other = Family::open(&server.url("q", "lease=3&timeout=30")).unwrap();
    let kinds = [QueueKind::Fifo, QueueKind::Lifo, QueueKind::Priority, QueueKind::Delivery];
    for (i, kind) in kinds.into_iter().enumerate() {
        // A client of its own, whose one connection is there when the server stops.
        let url = server.url("q", &format!("lease=3&timeout=1.{i}"));
        let family = Family::open(&url).unwrap();
        let q = RemoteQueue::anonymous(family.server(), kind, Limits::default()).unwrap();
        let seen = RemoteQueue::attach(other.server(), kind, q.key_to_send()).unwrap();
        for n in 0..3 {
            seen.put(NewMessage { kind: 1, body: &[n], key: &[0x33] }, &Patience::none()).unwrap();
        }
        let first = seen.peek(&Patience::none()).unwrap().body().to_vec();
        let before = pops(&server);
        server.freeze();
        // The server takes the call, and does not answer in time.
        let got = q.get(&Patience::none());
        server.thaw();
        assert!(
            matches!(got, Err(GetError::Remote(RemoteError::OutcomeUnknown { .. }))),
            "{got:?}"
        );
        let deadline = Instant::now() + LIMIT;
        while pops(&server) == before || seen.len().unwrap() != 3 {
            assert!(Instant::now() < deadline, "{kind:?}: it does not come back");
            thread::sleep(Duration::from_millis(5));
        }
        let back = seen.get_many(9, &Patience::none()).unwrap();
        assert_eq!((back[0].body(), back.len()), (&first[..], 3), "{kind:?}");
        assert!(back[0].ticket().is_none_or(|ticket| ticket.count() == 1));
    }
}

/// How often the server has taken something out, for whomever.
fn pops(server: &Server) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]).join("");
    let calls = |name: &str| {
        let line = stats.split(&format!("cmdstat_{name}:calls=")).nth(1)?;
        line.split(',').next()?.parse::<u64>().ok()
    };
    ["lpop", "rpop", "zpopmin"].into_iter().filter_map(calls).sum()
}
