//! Pools over a server, as Rust has them: functions served by names, and what happens when somebody dies.

#![cfg(feature = "redis")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use procession::remote::pool::{
    CallError, NewTask, Outcome, Pool, RawOwner, RawTask, RawWorker, Report, Told, Worker,
};
use procession::remote::{Address, Patience, RemoteError, Server as Place};
use support::server::Server;

const LIMIT: Duration = Duration::from_secs(20);

fn place(url: &str) -> Place {
    Place::open(&Address::parse(url).unwrap()).unwrap()
}

fn limit() -> Patience<'static> {
    Patience::of(LIMIT)
}

fn put(owner: &RawOwner, numbers: &[u64]) {
    let tasks: Vec<_> =
        numbers.iter().map(|&number| NewTask { number, need: "", body: b"do" }).collect();
    owner.put(&tasks, &[], &[], &limit()).unwrap();
}

fn told(task: &RawTask, outcome: Outcome) -> Told<'_> {
    Told { pool: &task.pool, task: &task.task, outcome, body: b"done" }
}

/// The task's number, without what tells its takings apart.
fn number(task: &RawTask) -> &str {
    task.task.split(':').next().unwrap()
}

fn enter(place: &Place) -> RawWorker {
    RawWorker::enter(place, "board", vec![String::new()], "{}").unwrap()
}

#[test]
fn functions_are_served_by_their_names() {
    let server = Server::start();
    let url = server.url("served", "lease=2");
    let worker = Worker::open(&url)
        .unwrap()
        .threads(2)
        .serve("add", |(a, b): (i64, i64)| a + b)
        .serve("lengths", |words: Vec<String>| -> HashMap<String, usize> {
            words.into_iter().map(|word| (word.clone(), word.len())).collect()
        })
        .try_serve("odd", |n: u32| if n % 2 == 1 { Ok(n) } else { Err("it is even") })
        .serve("panic", |(): ()| -> () { panic!("on purpose") });
    let stopper = worker.stopper();
    let running = thread::spawn(move || worker.run());
    let pool = Pool::open(&url, "default").unwrap();
    assert_eq!(pool.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
    let tasks: Vec<_> = (0..300).map(|n| pool.submit::<_, i64>("add", &(n, n)).unwrap()).collect();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.join().unwrap(), 2 * n);
    }
    let lengths: HashMap<String, usize> = pool.call("lengths", &["one", "three"]).unwrap();
    assert_eq!(lengths["three"], 5);
    assert_eq!(pool.call::<_, u32>("odd", &7).unwrap(), 7);
    let error = pool.call::<_, u32>("odd", &8).unwrap_err();
    assert_eq!(error.to_string(), "odd: RuntimeError: it is even");
    let Err(CallError::Failed { message, .. }) = pool.call::<_, ()>("panic", &()) else { panic!() };
    assert!(message.contains("on purpose"), "{message}");
    let Err(CallError::Failed { .. }) = pool.call::<_, u32>("odd", &"text") else { panic!() };
    drop(pool);
    stopper.stop();
    running.join().unwrap().unwrap();
    let left = server.keys("served");
    assert!(left.iter().all(|key| key.contains(":client:")), "{left:?}");
}

#[test]
fn a_task_is_one_workers_and_comes_back_once() {
    let server = Server::start();
    let place = place(&server.url("once", "lease=2"));
    let (owner, _) = RawOwner::open(&place, "board", b"options").unwrap();
    let worker = enter(&place);
    put(&owner, &[1, 2]);
    let first = worker.take(&[], &limit()).unwrap().unwrap();
    assert_eq!((&*first.body, number(&first)), (&b"do"[..], "1"));
    assert_eq!(worker.about(&first.pool, "").unwrap().0.unwrap(), b"options");
    // Told twice, it counts once.
    let second = worker.take(&[told(&first, Outcome::Done)], &limit()).unwrap().unwrap();
    worker.tell(&[told(&first, Outcome::Done), told(&second, Outcome::Part)]).unwrap();
    assert_eq!(
        owner.results(&limit()).unwrap(),
        [Report::Done(1, b"done".into()), Report::Part(2, b"done".into())]
    );
    // What was not begun is another's, and in its old place.
    put(&owner, &[3]);
    worker.tell(&[told(&second, Outcome::Back)]).unwrap();
    let other = enter(&place);
    assert_eq!(number(&other.take(&[], &limit()).unwrap().unwrap()), "2");
    assert_eq!(number(&other.take(&[], &limit()).unwrap().unwrap()), "3");
    assert_eq!(other.take(&[], &Patience::none()).unwrap(), None);
    worker.tell(&[told(&second, Outcome::Done)]).unwrap();
    other.leave(true).unwrap();
    let lost = owner.results(&limit()).unwrap();
    assert!(
        matches!(lost[..], [Report::Lost { left: true, .. }, Report::Lost { left: true, .. }]),
        "{lost:?}"
    );
    assert_eq!(owner.results(&Patience::none()).unwrap(), []);
}

#[test]
fn pools_take_turns() {
    let server = Server::start();
    let place = place(&server.url("turns", "lease=2"));
    let (one, _) = RawOwner::open(&place, "board", b"").unwrap();
    let (two, _) = RawOwner::open(&place, "board", b"").unwrap();
    put(&one, &(1..100).collect::<Vec<_>>());
    put(&two, &[1, 2]);
    let worker = enter(&place);
    let order: Vec<_> = (0..5).map(|_| worker.take(&[], &limit()).unwrap().unwrap().pool).collect();
    let [a, b] = [one.key(), two.key()];
    assert_eq!(order, [a, b, a, b, a]);
}

#[test]
fn who_refuses_a_pool_has_it_no_more_and_the_last_one_breaks_it() {
    let server = Server::start();
    let place = place(&server.url("refused", "lease=2"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let (one, two) = (enter(&place), enter(&place));
    put(&owner, &[1]);
    let task = one.take(&[], &limit()).unwrap().unwrap();
    one.tell(&[told(&task, Outcome::Refused)]).unwrap();
    assert_eq!(one.take(&[], &Patience::none()).unwrap(), None);
    assert_eq!(owner.results(&Patience::none()).unwrap(), []);
    let task = two.take(&[], &limit()).unwrap().unwrap();
    two.tell(&[told(&task, Outcome::Refused)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Broken(b"done".into())]);
}

#[test]
fn who_can_do_nothing_of_the_kind_is_not_hoped_for() {
    let server = Server::start();
    let place = place(&server.url("kinds", "lease=2"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let willing = enter(&place);
    let other = RawWorker::enter(&place, "board", vec!["add".into()], "{}").unwrap();
    put(&owner, &[1]);
    assert_eq!(other.take(&[], &Patience::none()).unwrap(), None);
    let task = willing.take(&[], &limit()).unwrap().unwrap();
    willing.tell(&[told(&task, Outcome::Refused)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Broken(b"done".into())]);
    // The other way round it is the one who comes who is hoped for.
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    willing.leave(false).unwrap();
    put(&owner, &[1]);
    owner.sweep(&limit()).unwrap();
    assert_eq!(owner.results(&Patience::none()).unwrap(), []);
    assert_eq!(number(&enter(&place).take(&[], &limit()).unwrap().unwrap()), "1");
}

#[test]
fn what_is_larger_than_the_server_takes_is_refused_by_itself() {
    let server = Server::with(&["--proto-max-bulk-len", "1mb"]);
    let place = place(&server.url("large", "lease=60&timeout=60"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    for bytes in [(1 << 20) + 1, 8 << 20] {
        let body = vec![0; bytes];
        let task = NewTask { number: 1, need: "", body: &body };
        let began = Instant::now();
        let Err(RemoteError::TooLarge { bytes: told, setting, .. }) =
            owner.put(&[task], &[], &[], &limit())
        else {
            panic!()
        };
        assert!(began.elapsed() < LIMIT);
        assert_eq!(told, bytes);
        assert!(setting.contains("proto-max-bulk-len"), "{setting}");
    }
    put(&owner, &[2]);
    assert_eq!(number(&enter(&place).take(&[], &limit()).unwrap().unwrap()), "2");
}

#[test]
fn a_result_that_is_larger_than_the_server_takes_is_an_error_and_ends_nothing() {
    let server = Server::with(&["--proto-max-bulk-len", "1mb"]);
    let url = server.url("results", "lease=60&timeout=60");
    let worker = Worker::open(&url).unwrap().threads(1).serve("zeros", |n: usize| vec![0_u32; n]);
    let stopper = worker.stopper();
    let running = thread::spawn(move || worker.run());
    let pool = Pool::open(&url, "default").unwrap();
    let error = pool.call::<_, Vec<u32>>("zeros", &(3 << 20)).unwrap_err().to_string();
    assert!(error.starts_with("zeros: ") && error.contains("proto-max-bulk-len"), "{error}");
    assert_eq!(pool.call::<_, Vec<u32>>("zeros", &2).unwrap(), [0, 0]);
    stopper.stop();
    running.join().unwrap().unwrap();
}

#[test]
fn errors_say_which_function_and_which_worker() {
    let server = Server::start();
    let url = server.url("errors", "lease=2");
    let pool = Pool::open(&url, "default").unwrap();
    let about = r#"{"host": "there", "pid": 77, "seats": 1}"#;
    let worker = RawWorker::enter(&place(&url), "default", vec!["add".into()], about).unwrap();
    let task = pool.submit::<_, i64>("add", &(1, 2)).unwrap();
    let taken = worker.take(&[], &limit()).unwrap().unwrap();
    worker.tell(&[told(&taken, Outcome::Lost)]).unwrap();
    let error = task.join().unwrap_err();
    let CallError::Lost { function, worker: who, .. } = &error else { panic!("{error}") };
    assert_eq!((&**function, who.pid, &*who.host), ("add", 77, "there"));
    assert_eq!(error.to_string(), "add: its worker 77 on there was stopped in the midst of it");
    let task = pool.submit::<_, i64>("add", &(1, 2)).unwrap();
    let taken = worker.take(&[], &limit()).unwrap().unwrap();
    worker.tell(&[told(&taken, Outcome::Done)]).unwrap(); // which is no report
    let error = task.join().unwrap_err().to_string();
    assert!(error.starts_with("add: "), "{error}");
    let task = pool.submit::<_, i64>("add", &(1, 2)).unwrap();
    drop(pool);
    assert_eq!(task.join().unwrap_err().to_string(), "add: the pool has ended: it was dropped");
}

#[test]
fn who_takes_too_long_is_told_of_and_left_behind() {
    let server = Server::start();
    let url = server.url("late", "lease=30");
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&gate);
    let worker = Worker::open(&url)
        .unwrap()
        .threads(1)
        .serve("add", |(a, b): (i64, i64)| a + b)
        .serve("wait", move |n: u32| {
            let (opened, changed) = &*theirs;
            drop(changed.wait_while(opened.lock().unwrap(), |opened| !*opened).unwrap());
            n
        });
    let stopper = worker.stopper();
    let running = thread::spawn(move || worker.run());
    let pool = Pool::open(&url, "default").unwrap().task_timeout(Duration::from_millis(300));
    let error = pool.call::<_, u32>("wait", &1).unwrap_err();
    let CallError::TimedOut { function, worker, ended: false, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((&**function, worker.pid), ("wait", std::process::id()));
    assert!(error.to_string().starts_with("wait: no result after 300ms"), "{error}");
    // Its only seat is free again, though the function has not returned.
    let patient = Pool::open(&url, "default").unwrap().task_timeout(LIMIT);
    assert_eq!(patient.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(patient.call::<_, u32>("wait", &2).unwrap(), 2);
    stopper.stop();
    running.join().unwrap().unwrap();
}

#[test]
fn the_dead_are_not_hoped_for() {
    let server = Server::start();
    // Addresses that differ are clients of their own.
    let living = place(&server.url("dead", "lease=60&timeout=9"));
    let (owner, _) = RawOwner::open(&living, "board", b"").unwrap();
    let one = enter(&living);
    let of_living = living.stats().unwrap().clients[0].id.clone();
    let dying = place(&server.url("dead", "lease=60&timeout=8"));
    let _other = enter(&dying);
    put(&owner, &[1]);
    let task = one.take(&[], &limit()).unwrap().unwrap();
    one.tell(&[told(&task, Outcome::Refused)]).unwrap();
    assert_eq!(owner.results(&Patience::none()).unwrap(), [], "the other one may be willing");
    let clients = living.stats().unwrap().clients;
    let dead = &clients.iter().find(|client| client.id != of_living).unwrap().id;
    server.ask(&["DEL", &format!("dead:client:{dead}")]);
    owner.sweep(&limit()).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Broken(b"done".into())]);
}

#[test]
fn a_worker_waits_until_there_is_something() {
    let server = Server::start();
    let place = place(&server.url("waits", "lease=30"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let worker = enter(&place);
    thread::scope(|scope| {
        let taken = scope.spawn(|| (worker.take(&[], &limit()).unwrap().unwrap(), Instant::now()));
        while server.ask(&["ZCARD", "waits:n:pools%3Aboard:idle"])[0] != "1" {
            thread::yield_now();
        }
        let put_at = Instant::now();
        put(&owner, &[1]);
        let (_, at) = taken.join().unwrap();
        // By a wake-up, and not since it looked after a third of its lease.
        assert!(at - put_at < Duration::from_secs(5));
    });
}

#[test]
fn what_is_cancelled_is_not_done() {
    let server = Server::start();
    let place = place(&server.url("cancelled", "lease=2"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    put(&owner, &[1, 2, 3]);
    assert_eq!(owner.cancel(&[1, 3, 9]).unwrap(), [1, 3]);
    let worker = enter(&place);
    assert_eq!(number(&worker.take(&[], &limit()).unwrap().unwrap()), "2");
    assert_eq!(worker.take(&[], &Patience::none()).unwrap(), None);
    owner.end().unwrap();
    worker.leave(false).unwrap();
    let left = server.keys("cancelled");
    assert!(left.iter().all(|key| key.contains(":client:")), "{left:?}");
}

#[test]
fn what_is_told_again_is_of_that_taking_alone() {
    let server = Server::start();
    let place = place(&server.url("again", "lease=2"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let worker = enter(&place);
    put(&owner, &[1]);
    let first = worker.take(&[], &limit()).unwrap().unwrap();
    worker.tell(&[told(&first, Outcome::Back)]).unwrap();
    let second = worker.take(&[], &limit()).unwrap().unwrap();
    // Another seat of the same worker has it by now.
    worker.tell(&[told(&first, Outcome::Back)]).unwrap();
    assert_eq!(worker.take(&[], &Patience::none()).unwrap(), None);
    worker.tell(&[told(&second, Outcome::Lost)]).unwrap();
    let lost = owner.results(&limit()).unwrap();
    let [Report::Lost { number: 1, left: true, worker }] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!(worker, "{}");
}

#[test]
fn without_memory_what_was_put_is_done_and_taken() {
    let server = Server::start();
    let place = place(&server.url("full", "lease=20&timeout=20"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let worker = enter(&place);
    put(&owner, &[1, 2, 3]);
    let first = worker.take(&[], &limit()).unwrap().unwrap();
    worker.tell(&[told(&first, Outcome::Done)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap().len(), 1);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let second = worker.take(&[], &limit()).unwrap().unwrap();
    let third = worker.take(&[told(&second, Outcome::Done)], &limit()).unwrap().unwrap();
    worker.tell(&[told(&third, Outcome::Done)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap().len(), 2);
    // More is put when there is room for it.
    thread::scope(|scope| {
        let more = scope.spawn(|| put(&owner, &[4]));
        while server.ask(&["INFO", "errorstats"]).iter().all(|line| !line.contains("_OOM")) {
            thread::yield_now();
        }
        assert!(!more.is_finished());
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        more.join().unwrap();
    });
    assert_eq!(number(&worker.take(&[], &limit()).unwrap().unwrap()), "4");
}

#[test]
fn what_a_restored_server_has_forgotten_is_told() {
    let mut server = Server::start();
    let place = place(&server.url("restored", "lease=4&timeout=20"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let worker = enter(&place);
    put(&owner, &[1, 2]);
    let first = worker.take(&[], &limit()).unwrap().unwrap();
    server.ask(&["SAVE"]);
    worker.tell(&[told(&first, Outcome::Done)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Done(1, b"done".into())]);
    put(&owner, &[3, 4]);
    server.restart();
    // The second is there as before, and the others will never be reported.
    let second = worker.take(&[], &limit()).unwrap().unwrap();
    assert_eq!(number(&second), "2");
    let mut forgotten = Vec::new();
    while forgotten.len() < 2 {
        for report in owner.results(&limit()).unwrap() {
            let Report::Forgotten(number) = report else { panic!("{report:?}") };
            forgotten.push(number);
        }
    }
    forgotten.sort_unstable();
    assert_eq!(forgotten, [3, 4]);
    worker.tell(&[told(&second, Outcome::Done)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Done(2, b"done".into())]);
}

#[test]
fn where_pools_meet_is_nobodys_to_remove() {
    let server = Server::start();
    let url = server.url("board", "lease=4");
    let place = place(&url);
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    put(&owner, &[1]);
    let family = procession::remote::Family::open(&url).unwrap();
    assert_eq!(family.names().unwrap(), []);
    assert!(!family.remove("pools:board").unwrap());
    // Somebody does it all the same: the pool finds its place again.
    let keys = server.keys("board");
    let board = keys.iter().filter(|key| key.starts_with("board:n:"));
    let words: Vec<_> = ["UNLINK"].into_iter().chain(board.map(String::as_str)).collect();
    assert!(words.len() > 2, "{keys:?}");
    server.ask(&words);
    let worker = enter(&place);
    thread::scope(|scope| {
        let owner = scope.spawn(|| owner.results(&limit()).unwrap());
        let task = worker.take(&[], &limit()).unwrap().unwrap();
        worker.tell(&[told(&task, Outcome::Done)]).unwrap();
        assert_eq!(owner.join().unwrap(), [Report::Done(1, b"done".into())]);
    });
}

#[test]
fn what_was_told_to_a_server_that_forgot_it_is_told_as_lost() {
    let mut server = Server::start();
    let place = place(&server.url("told", "lease=4&timeout=20"));
    let (owner, _) = RawOwner::open(&place, "board", b"").unwrap();
    let worker = enter(&place);
    put(&owner, &[1, 2]);
    let first = worker.take(&[], &limit()).unwrap().unwrap();
    let second = worker.take(&[], &limit()).unwrap().unwrap();
    server.ask(&["SAVE"]);
    worker.tell(&[told(&first, Outcome::Done)]).unwrap();
    server.restart();
    // Nobody would ever tell of the first one; the second one it has.
    let found = thread::scope(|scope| {
        let found = scope.spawn(|| owner.results(&limit()).unwrap());
        while !found.is_finished() {
            worker.beat("{}").unwrap();
            thread::yield_now();
        }
        found.join().unwrap()
    });
    assert!(matches!(found[..], [Report::Lost { number: 1, left: true, .. }]), "{found:?}");
    worker.tell(&[told(&second, Outcome::Done)]).unwrap();
    assert_eq!(owner.results(&limit()).unwrap(), [Report::Done(2, b"done".into())]);
}
