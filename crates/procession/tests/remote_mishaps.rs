//! Servers that refuse, clients that are many, stopped or forked.
#![cfg(feature = "redis")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use procession::remote::{DeliveryQueue, Family, GetError, PutError, Queue, RemoteError};
use support::server::Server;
use support::{fork, role, say, start};

fn family(server: &Server, prefix: &str, query: &str) -> Family {
    Family::open(&server.url(prefix, query)).unwrap()
}

/// Opens a family that can't be opened, and what is told about it, without secrets.
fn refused(url: &str) -> RemoteError {
    let began = Instant::now();
    let error = Family::open(url).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    error
}

#[test]
fn a_wrong_password_or_database_is_told_at_once_and_never_shown() {
    let server = Server::with(&["--requirepass", "richtig"]);
    let port = server.port();
    for url in [
        format!("redis://127.0.0.1:{port}?timeout=60"),
        format!("redis://:geheim@127.0.0.1:{port}?timeout=60"),
        format!("redis://wer:geheim@127.0.0.1:{port}?timeout=60"),
    ] {
        let error = refused(&url);
        assert!(matches!(error, RemoteError::Server { .. }), "{url}: {error:?}");
    }
    let open = Server::start();
    let error = refused(&format!("redis://127.0.0.1:{}/99?timeout=60", open.port()));
    assert!(error.to_string().contains("DB index is out of range"), "{error}");
}

#[test]
fn a_user_who_may_not_is_refused() {
    let server = Server::start();
    server.ask(&["ACL", "SETUSER", "reader", "on", ">geheim", "~*", "&*", "+@all", "-evalsha"]);
    let url = format!("redis://reader:geheim@127.0.0.1:{}?prefix=p&timeout=60", server.port());
    let family = Family::open(&url).unwrap();
    let error = family.queue::<u64>("q", None).unwrap_err();
    assert!(error.to_string().contains("NOPERM"), "{error}");
    assert!(!format!("{error:?}").contains("geheim"));
}

#[test]
fn what_is_no_server_is_told_in_time() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&format!("redis://127.0.0.1:{nobody}?timeout=0.5"));
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");

    // Some answer every call with something else, some with nothing.
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"$99999999999999\r\n", b"*-7\r\n", b""]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut buffer = [0; 1000];
                    while client.read(&mut buffer).is_ok_and(|n| n > 0) {
                        let _ = client.write_all(answer);
                    }
                });
            }
        });
        refused(&format!("redis://127.0.0.1:{port}?timeout=0.5"));
    }
}

#[test]
fn a_server_without_memory_refuses_what_is_put_and_gives_what_it_has() {
    let server = Server::start();
    let q: Queue<Vec<u8>> = family(&server, "p", "timeout=60").queue("q", None).unwrap();
    for i in 0..100 {
        q.put(vec![i; 100]).unwrap();
    }
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..3 {
        match q.put(vec![0; 100]) {
            Err(PutError::Remote(value, error @ RemoteError::Server { .. })) => {
                assert_eq!(value.len(), 100);
                assert!(error.to_string().contains("OOM"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    for i in 0..50 {
        assert_eq!(q.get().unwrap(), [i; 100]);
    }
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    q.put(vec![100; 100]).unwrap();
    for i in 50..=100 {
        assert_eq!(q.get().unwrap(), [i; 100]);
    }
    assert!(q.is_empty().unwrap());
}

#[test]
fn who_meets_a_replica_waits_until_it_is_none_or_says_why() {
    let first = Server::start();
    let second = Server::start();
    let q: Queue<u64> = family(&second, "p", "timeout=0.5").queue("q", None).unwrap();
    second.ask(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]);
    let error = q.put(1).unwrap_err().to_string();
    assert!(error.contains("read only replica"), "{error}");

    // Also who meets it with the first call of all.
    let open = || family(&second, "other", "timeout=20").queue::<u64>("q", None).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open().put(2).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        second.ask(&["REPLICAOF", "NO", "ONE"]);
    });
    assert_eq!(open().get().unwrap(), 2);
}

#[test]
fn two_hundred_threads_use_one_client() {
    let server = Server::start();
    let q: Queue<u64> = family(&server, "p", "timeout=60").queue("q", None).unwrap();
    let back: Queue<u64> = family(&server, "p", "timeout=60").queue("back", Some(10)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| (0..20).for_each(|_| back.put(q.get().unwrap() + 1).unwrap()));
            scope.spawn(|| (0..20).for_each(|i| q.put(i).unwrap()));
        }
        let sum: u64 = (0..2000).map(|_| back.get().unwrap()).sum();
        assert_eq!(sum, 100 * (1..=20).sum::<u64>());
    });
    // One client, whose hash is one key.
    assert_eq!(server.keys("p:client").len(), 1);
}

#[test]
fn three_hundred_clients_use_one_queue() {
    let server = Server::start();
    let all: Vec<Queue<u64>> = (0..300)
        .map(|i| {
            family(&server, "p", &format!("timeout=60&keep={}", 3600 + i)).queue("q", None).unwrap()
        })
        .collect();
    assert_eq!(server.keys("p:client").len(), 300);
    std::thread::scope(|scope| {
        for (i, q) in all.iter().enumerate() {
            scope.spawn(move || {
                if i % 2 == 0 { q.put(i as u64).unwrap() } else { assert!(q.get().unwrap() < 300) }
            });
        }
    });
    assert!(all[0].is_empty().unwrap());
}

#[test]
fn fork_children_have_clients_of_their_own() {
    if role().is_none() {
        let server = Server::start();
        let name = "fork_children_have_clients_of_their_own";
        let (_, status) = start(name, "forks", &[("URL", server.url("p", "timeout=20"))]).finish();
        assert!(status.success());
        return;
    }
    let family = Family::open(&support::argument("URL")).unwrap();
    let q: Queue<u64> = family.queue("q", None).unwrap();
    q.put(0).unwrap();
    let children: Vec<_> = (1..=4)
        .map(|child| {
            fork(|| {
                for i in 0..200 {
                    q.put(child * 1000 + i).unwrap();
                }
            })
        })
        .collect();
    // This one goes on meanwhile, by the very connections that were there before the forks.
    for i in 0..200 {
        q.put(5000 + i).unwrap();
    }
    for child in children {
        assert_eq!(child.wait(), 0);
    }
    let mut found = Vec::new();
    while let Ok(one) = q.try_get() {
        found.push(one);
    }
    assert_eq!(found.len(), 1001);
    for child in 1..=5 {
        let its: Vec<_> = found.iter().copied().filter(|n| n / 1000 == child).collect();
        assert_eq!(its, (child * 1000..child * 1000 + 200).collect::<Vec<_>>());
    }
    std::process::exit(0);
}

#[test]
fn who_is_stopped_for_longer_than_his_lease_is_told_what_he_lost() {
    if role().is_some() {
        let family = Family::open(&support::argument("URL")).unwrap();
        let q: DeliveryQueue<u64> = family.delivery_queue("q", None).unwrap();
        let held = q.get().unwrap();
        say("held");
        support::folder::stay();
        // Stopped and gone on with in between.
        assert!(matches!(held.done(), Err(RemoteError::LeaseLost { .. })));
        // And goes on under another name.
        assert_eq!(q.get().unwrap().done().unwrap(), 2);
        std::process::exit(0);
    }
    let server = Server::start();
    let url = server.url("p", "lease=0.5&timeout=20");
    let q: DeliveryQueue<u64> = Family::open(&url).unwrap().delivery_queue("q", None).unwrap();
    q.put(1).unwrap();
    let folder = support::folder::Folder::new();
    let entry = "who_is_stopped_for_longer_than_his_lease_is_told_what_he_lost";
    let mut player = folder.start(entry, "stopped", "n", &[("URL", url)]);
    assert_eq!(player.hear(), "held");
    // SAFETY: no memory is involved; the child is this process's own and not reaped yet.
    let signal = |n| unsafe { libc::kill(player.pid().cast_signed(), n) };
    signal(libc::SIGSTOP);
    let again = q.get_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((*again, again.count()), (1, 2));
    again.done().unwrap();
    q.put(2).unwrap();
    signal(libc::SIGCONT);
    player.release();
    assert!(matches!(q.try_get(), Err(GetError::Empty)));
    assert_eq!(q.unfinished().unwrap(), 0);
}

#[test]
fn a_server_that_is_stopped_for_longer_than_a_call_waits_does_it_once() {
    let server = Server::start();
    let q: Queue<u64> = family(&server, "p", "timeout=1.2&lease=60").queue("q", None).unwrap();
    q.put(0).unwrap();
    server.freeze();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| q.put(1));
        // The first sending waits 0.6 s, and others follow.
        std::thread::sleep(Duration::from_millis(900));
        server.thaw();
        put.join().unwrap().unwrap();
    });
    server.freeze();
    let began = Instant::now();
    match q.put(2) {
        Err(PutError::Remote(2, RemoteError::OutcomeUnknown { .. })) => {}
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    // A get that fails gives back what it may have taken.
    assert!(matches!(q.get(), Err(GetError::Remote(RemoteError::Unreachable { .. }))));
    server.thaw();
    let mut found: Vec<u64> = Vec::new();
    while let Ok(one) = q.get_timeout(Duration::from_secs(1)) {
        found.push(one);
    }
    found.sort_unstable();
    // The second put may have been done or not, but not twice.
    assert!([vec![0, 1], vec![0, 1, 2]].contains(&found), "{found:?}");
}

#[test]
fn who_has_no_time_left_is_told_soon_each_time_that_the_server_hangs() {
    let server = Server::start();
    let q: Queue<u64> = family(&server, "p", "timeout=30&lease=60").queue("q", None).unwrap();
    for _ in 0..3 {
        assert!(q.is_empty().unwrap());
        server.freeze();
        let began = Instant::now();
        assert!(matches!(q.try_get(), Err(GetError::Remote(_))));
        let tried = began.elapsed();
        assert!(matches!(q.get_timeout(Duration::from_secs(1)), Err(GetError::Remote(_))));
        let both = began.elapsed();
        server.thaw();
        assert!(tried < Duration::from_secs(5), "{tried:?}");
        assert!(both < tried + Duration::from_secs(6), "{both:?}");
    }
}

#[test]
fn whoever_only_looks_asks_again_under_another_lease() {
    let server = Server::start();
    let q: Queue<u64> = family(&server, "p", "timeout=8&lease=0.5").queue("q", None).unwrap();
    q.put(1).unwrap();
    server.freeze();
    std::thread::scope(|scope| {
        let peek = scope.spawn(|| q.peek());
        // It has been asked in vain for 4 s, and the lease is over.
        std::thread::sleep(Duration::from_secs(5));
        server.thaw();
        assert_eq!(peek.join().unwrap().unwrap(), 1);
    });
    assert_eq!(q.get().unwrap(), 1);
}
