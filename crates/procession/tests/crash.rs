//! A process is killed at every crash point of every operation, in every state of the queue that
//! matters; then a survivor must go on within a second, every message must be accounted for, and the
//! arena must be sound.
//!
//! A scenario is first run to its end to learn which points it passes how often; then it is run again
//! for each point and each pass, killed there. The last test asserts that all scenarios together pass
//! every point that has a name.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use procession::{Family, Queue, fault};
use support::deeds::{destroy, fork, idle};
use support::{Running, argument, hex, killed, role, say, start, stopped, unhex};

/// Passes of one point beyond this are like those before.
const PASSES: u64 = 3;
const SURVIVE: Duration = Duration::from_secs(1);

/// Message `i`: its number, then bytes that follow from it, `size` in all.
fn message(i: u64, size: usize) -> Vec<u8> {
    let mut m = i.to_le_bytes().to_vec();
    m.extend((8..size).map(|k| (i as usize * 31 + k) as u8));
    m
}

fn number(m: &[u8]) -> u64 {
    let i = u64::from_le_bytes(m[..8].try_into().unwrap());
    assert_eq!(m, message(i, m.len()), "message {i} is torn");
    i
}

#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Capacity of the queue; 0: none.
    bound: u64,
    /// How many messages of which size lie in it before.
    before: u64,
    size: usize,
    /// Another process that is killed first, at these points, while it puts.
    victim: &'static str,
    /// A thread of the parent waits in `get` meanwhile.
    waiter: bool,
}

const PLAIN: Scenario =
    Scenario { name: "", bound: 0, before: 0, size: 64, victim: "", waiter: false };

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "put", ..PLAIN },
    Scenario { name: "put", before: 30, size: 120, ..PLAIN },
    Scenario { name: "put", size: 100_000, ..PLAIN },
    Scenario { name: "put", size: 9 << 20, ..PLAIN },
    Scenario { name: "put", waiter: true, ..PLAIN },
    Scenario { name: "put_full", bound: 4, before: 2, ..PLAIN },
    Scenario { name: "put_many", size: 700, ..PLAIN },
    Scenario { name: "get", before: 3, ..PLAIN },
    Scenario { name: "get", before: 40, size: 200, ..PLAIN },
    Scenario { name: "get", before: 3, size: 100_000, ..PLAIN },
    Scenario { name: "get", before: 2, size: 9 << 20, ..PLAIN },
    Scenario { name: "get_many", before: 12, size: 700, bound: 12, ..PLAIN },
    Scenario { name: "put_slice", ..PLAIN },
    Scenario { name: "put_slice", size: 700, before: 3, ..PLAIN },
    Scenario { name: "put_slice", bound: 7, before: 2, ..PLAIN },
    Scenario { name: "get_many", before: 30, size: 700, ..PLAIN },
    Scenario { name: "get_many", before: 8, size: 40, ..PLAIN },
    // Five to a segment: the last one of an even run is the first behind a jump.
    Scenario { name: "get_even", before: 12, size: 700, ..PLAIN },
    Scenario { name: "peek", before: 2, ..PLAIN },
    Scenario { name: "peek", before: 2, size: 100_000, ..PLAIN },
    Scenario { name: "peek", before: 2, size: 9 << 20, ..PLAIN },
    Scenario { name: "shut_down", before: 30, size: 700, ..PLAIN },
    Scenario { name: "shut_down", before: 2, size: 100_000, ..PLAIN },
    Scenario { name: "done", before: 2, ..PLAIN },
    Scenario { name: "destroy", ..PLAIN },
    Scenario { name: "fork", before: 2, size: 50_000, ..PLAIN },
    Scenario { name: "idle", ..PLAIN },
    Scenario { name: "recover", victim: "ring.placed:2", size: 40_000, ..PLAIN },
    Scenario { name: "recover", victim: "ring.placed:2", size: 40_000, before: 3, ..PLAIN },
    Scenario { name: "recover", victim: "redo.committed:2", ..PLAIN },
    Scenario { name: "recover", victim: "object.drained:1", ..PLAIN },
    Scenario { name: "recover", victim: "fork.holds_copied:1", ..PLAIN },
];

#[test]
fn child() {
    let Some(role) = role().filter(|r| r != "survivor") else {
        return;
    };
    fault::arm(&argument("PLAN"));
    let queue: Queue<Vec<u8>> = Queue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
    let size: usize = argument("SIZE").parse().unwrap();
    play(&role, &queue, size);
    for (name, n) in fault::hits() {
        say(&format!("hit {name} {n}"));
    }
    // As a process that ends without a word: no destructors.
    std::process::exit(0);
}

fn put(queue: &Queue<Vec<u8>>, i: u64, size: usize) {
    queue.try_put(message(i, size)).unwrap();
    say(&format!("put {i}"));
}

fn play(role: &str, queue: &Queue<Vec<u8>>, size: usize) {
    match role {
        "put" => {
            let n = if size > 1 << 20 { 2 } else { 5 };
            (100..100 + n).for_each(|i| put(queue, i, size));
        }
        "put_full" => {
            put(queue, 100, size);
            put(queue, 101, size);
            assert!(queue.try_put(message(102, size)).unwrap_err().is_full());
        }
        "put_many" => {
            queue.put_many((100..110).map(|i| message(i, size))).unwrap();
            (100..110).for_each(|i| say(&format!("put {i}")));
        }
        "put_slice" => {
            let all: Vec<_> = (100..110).map(|i| message(i, size)).collect();
            // What does not fit is left; nobody makes room.
            let room = queue.capacity().map_or(10, |most| (most - queue.len()) as usize);
            queue.put_slice(&all[..room.min(10)]).unwrap();
            (100..110).take(room).for_each(|i| say(&format!("put {i}")));
        }
        "peek" => {
            assert_eq!(number(&queue.try_peek().unwrap()), 0);
            assert_eq!(number(&queue.try_peek().unwrap()), 0);
        }
        "shut_down" => queue.shut_down_now().unwrap(),
        "get" => {
            while let Ok(m) = queue.try_get() {
                say(&format!("got {}", number(&m)));
            }
        }
        "get_many" => {
            for m in queue.get_many(100).unwrap() {
                say(&format!("got {}", number(&m)));
            }
        }
        "get_even" => {
            say(&format!("got {}", number(&queue.try_get().unwrap())));
            for m in queue.get_many(5).unwrap() {
                say(&format!("got {}", number(&m)));
            }
        }
        "done" => (0..2).for_each(|_| queue.raw().done().unwrap()),
        "destroy" => destroy(),
        "fork" => fork(queue),
        "idle" => idle(),
        "recover" => {
            Family::current().unwrap().sweep().unwrap();
            put(queue, 500, 64);
        }
        "victim" => {
            (200..203).for_each(|i| {
                let _ = queue.try_get().map(|m| say(&format!("got {}", number(&m))));
                put(queue, i, size);
            });
            destroy();
            fork(queue);
        }
        other => panic!("no role is called {other}"),
    }
}

struct Stage {
    queue: Queue<Vec<u8>>,
    /// Numbers that must come out of the queue or have been taken.
    there: Vec<u64>,
}

impl Stage {
    fn set(s: &Scenario) -> Stage {
        let queue =
            if s.bound == 0 { Queue::unbounded() } else { Queue::bounded(s.bound) }.unwrap();
        (0..s.before).for_each(|i| queue.try_put(message(i, s.size)).unwrap());
        Stage { queue, there: (0..s.before).collect() }
    }

    fn child(&self, role: &str, s: &Scenario, plan: &str) -> Running {
        let arguments = [
            ("PLAN", plan.to_owned()),
            ("QUEUE", hex(&self.queue.handle())),
            ("SIZE", s.size.to_string()),
        ];
        start("child", role, &arguments)
    }
}

/// What children said that they put and got.
#[derive(Default)]
struct Said {
    put: Vec<u64>,
    got: Vec<u64>,
    /// Messages that were taken without a number said.
    taken: u64,
    hits: BTreeMap<String, u64>,
}

impl Said {
    fn hear(&mut self, lines: &[String]) {
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["put", i] => self.put.push(i.parse().unwrap()),
                ["got", i] => self.got.push(i.parse().unwrap()),
                ["taken"] => self.taken += 1,
                ["hit", name, n] => drop(self.hits.insert(name.to_owned(), n.parse().unwrap())),
                _ => panic!("the child said {line:?}"),
            }
        }
    }
}

/// Runs a scenario with a plan, in a survivor of its own: a fresh process with a fresh arena. True if
/// the child was killed.
fn run(index: usize, plan: &str) -> (bool, BTreeMap<String, u64>) {
    let arguments = [("SCENARIO", index.to_string()), ("PLAN", plan.to_owned())];
    let (lines, _) = start("survivor", "survivor", &arguments).finish();
    let mut said = Said::default();
    let (verdict, hits) = lines.split_last().expect("the survivor says how it went");
    said.hear(hits);
    (verdict == "killed", said.hits)
}

#[test]
fn survivor() {
    if role().as_deref() != Some("survivor") {
        return;
    }
    let s = &SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()];
    let plan = argument("PLAN");
    let stage = Stage::set(s);
    let mut said = Said::default();
    let mut dead = 0;
    if !s.victim.is_empty() {
        let (lines, status) = stage.child("victim", s, s.victim).finish();
        assert!(killed(status), "the victim passes {}", s.victim);
        said.hear(&lines);
        dead += 1;
    }
    let family = Family::current().unwrap();
    let waiter = s.waiter.then(|| {
        let queue = stage.queue.clone();
        std::thread::spawn(move || queue.get_timeout(Duration::from_secs(20)).map(|m| number(&m)))
    });
    while s.waiter && family.stats().participants.iter().all(|p| p.waiting_on.is_none()) {
        std::thread::yield_now();
    }
    let (lines, status) = stage.child(s.name, s, &plan).finish();
    said.hear(&lines);
    dead += u64::from(killed(status));
    let died = Instant::now();
    survive(s, &stage);
    if let Some(waiter) = waiter {
        said.got.push(waiter.join().unwrap().expect("the waiter is woken"));
    }
    assert!(died.elapsed() < SURVIVE, "the survivor took {:?}", died.elapsed());
    account(s, &stage, &said, dead);
    family.set_memory_limit(None);
    drop(stage);
    // Who was killed while a child was being born leaves a name that is given up after half a second.
    let swept = Instant::now();
    loop {
        family.sweep().unwrap();
        let wrong = family.check();
        if wrong.is_empty() {
            break;
        }
        assert!(swept.elapsed() < 2 * SURVIVE, "{wrong:?}");
        std::thread::yield_now();
    }
    assert_eq!(family.stats().queues, 0, "a queue is left");
    said.hits.iter().for_each(|(name, n)| say(&format!("hit {name} {n}")));
    say(if killed(status) { "killed" } else { "lived" });
    std::process::exit(0);
}

/// The survivor puts, which needs the locks and memory that the dead had.
fn survive(s: &Scenario, stage: &Stage) {
    if s.name == "shut_down" {
        return shut_down(s, stage);
    }
    let m = message(1000, 64);
    if s.bound == 0 {
        stage.queue.try_put(m).unwrap();
    } else if let Err(e) = stage.queue.put_timeout(m, Duration::ZERO) {
        assert!(e.is_full());
        let got = number(&stage.queue.try_get().unwrap());
        stage.queue.try_put(message(got, s.size)).unwrap();
    }
    Family::current().unwrap().sweep().unwrap();
}

/// Where the queue is not closed all is there yet; else what is there can be got, or nothing is. Then to shut
/// it down once more leaves nothing, in the queue or anywhere else, and nobody waits for it.
fn shut_down(s: &Scenario, stage: &Stage) {
    let len = stage.queue.len();
    assert!(len == 0 || len == s.before, "{len} are left");
    let mut got = 0;
    if len > 0 {
        assert_eq!(number(&stage.queue.try_get().unwrap()), 0);
        got = 1;
    }
    stage.queue.shut_down_now().unwrap();
    assert!(stage.queue.is_empty() && stage.queue.is_closed());
    assert!(matches!(stage.queue.get(), Err(procession::GetError::Closed)));
    assert_eq!(stage.queue.raw().unfinished(), got);
    Family::current().unwrap().sweep().unwrap();
}

/// Nothing lost, nothing doubled: what was put is there or was got, but for what the dead were taking.
fn account(s: &Scenario, stage: &Stage, said: &Said, dead: u64) {
    let mut out: Vec<u64> = Vec::new();
    while let Ok(m) = stage.queue.try_get() {
        out.push(number(&m));
    }
    let mut all = said.got.clone();
    all.extend(&out);
    all.sort_unstable();
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once, "{}: doubled", s.name);
    let mut wanted = if s.name == "shut_down" { Vec::new() } else { stage.there.clone() };
    wanted.extend(&said.put);
    let missing = wanted.iter().filter(|i| !once.contains(i)).count() as u64;
    // A killed consumer may have had one message that it could not tell of, or a batch.
    let had = if s.name.starts_with("get_") { s.before } else { 1 };
    assert!(
        missing <= said.taken + dead * had,
        "{}: lost {missing} of {wanted:?}: {once:?}",
        s.name
    );
}

fn passes(index: usize) -> BTreeMap<String, u64> {
    let (killed, hits) = run(index, "");
    assert!(!killed);
    hits
}

fn everywhere(name: &str) {
    for (index, s) in SCENARIOS.iter().enumerate().filter(|(_, s)| s.name == name) {
        for (point, n) in passes(index) {
            for pass in 1..=n.min(PASSES) {
                let plan = format!("{point}:{pass}");
                println!("{name} {index} {plan}");
                let (killed, _) = run(index, &plan);
                // How often a waiter is woken is up to the scheduler, and so is whether parent or
                // child is the last to let go of a block.
                let by_chance = s.waiter || s.name == "fork" && point.starts_with("free.");
                assert!(killed || by_chance, "{plan} was not passed");
            }
        }
    }
}

macro_rules! scenario {
    ($($test:ident: $name:literal)*) => { $(#[test] fn $test() { everywhere($name); })* };
}

scenario! {
    killed_in_put: "put"
    killed_in_put_on_full: "put_full"
    killed_in_put_many: "put_many"
    killed_in_put_slice: "put_slice"
    killed_in_peek: "peek"
    killed_in_shut_down: "shut_down"
    killed_in_get: "get"
    killed_in_get_many: "get_many"
    killed_in_get_of_an_even_run: "get_even"
    killed_in_done: "done"
    killed_in_destroy: "destroy"
    killed_in_fork: "fork"
    killed_while_giving_back: "idle"
    killed_in_recovery: "recover"
}

/// A stopped owner keeps its lock, a dead one loses it, and who is killed while taking it over or
/// handing it on leaves it to the next.
#[test]
fn killed_around_a_contended_lock() {
    for plan in ["ring.placed:1:stop,lock.before_wake:1", "ring.placed:1:stop"] {
        let stage = Stage::set(&PLAIN);
        let running = stage.child("put", &PLAIN, plan);
        let pid = rustix::process::Pid::from_raw(running.child.id().cast_signed()).unwrap();
        while !stopped(running.child.id()) {
            std::thread::yield_now();
        }
        let queue = stage.queue.clone();
        let blocked = std::thread::spawn(move || queue.try_put(message(7, 64)).unwrap());
        // The lock's waiter looks for the dead after 2 ms and every 50 ms; the stopped one is not.
        std::thread::sleep(Duration::from_millis(200));
        assert!(!blocked.is_finished(), "a stopped owner keeps its lock");
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        let (_, status) = running.finish();
        assert_eq!(killed(status), plan.contains("before_wake"));
        blocked.join().unwrap();
        let mut got = Vec::new();
        while let Ok(m) = stage.queue.try_get() {
            got.push(number(&m));
        }
        assert!(got.contains(&7) && got.contains(&100), "{got:?}");
    }
    let stage = Stage::set(&PLAIN);
    assert!(killed(stage.child("put", &PLAIN, "ring.placed:1").finish().1));
    assert!(killed(stage.child("put", &PLAIN, "lock.taken_over:1").finish().1));
    stage.queue.try_put(message(1, 64)).unwrap();
    assert_eq!(number(&stage.queue.try_get().unwrap()), 1);
}

/// Points that only a fork's child passes, who cannot tell.
const IN_THE_CHILD: [&str; 2] = ["fork.child", "fork.child_alive"];

/// The newborn is killed before, and just after, it can speak for itself; its parent goes on.
#[test]
fn killed_while_being_born() {
    let index = SCENARIOS.iter().position(|s| s.name == "fork").unwrap();
    for point in IN_THE_CHILD {
        let (killed, hits) = run(index, &format!("{point}:1"));
        assert!(!killed, "{point}: the parent goes on");
        assert!(hits.contains_key("grandchild-killed"), "{point} was not passed");
    }
}

/// Points of other objects: `crash_pipe.rs`, `crash_pool.rs`, `crash_sync.rs`, `crash_values.rs`,
/// `crash_named.rs`, `crash_doorbell.rs`, `crash_collections` and `memory.rs` kill there.
const ELSEWHERE: [&str; 20] = [
    "door.",
    "bell.",
    "pipe.",
    "pool.",
    "close.",
    "sync.",
    "memory.",
    "pin.",
    "companion.",
    "step.",
    "dict.",
    "list.",
    "family.",
    "named.",
    "stage.",
    "delivery.",
    "lifo.",
    "priority.",
    "cell.",
    "rw.",
];

/// A crash point that nothing passes proves nothing.
#[test]
fn every_point_is_passed() {
    let mut seen: Vec<String> = ["lock.before_wake", "lock.taken_over"].map(String::from).to_vec();
    for index in 0..SCENARIOS.len() {
        seen.extend(passes(index).into_keys());
    }
    // The two above are killed at by `killed_around_a_contended_lock`, these by `killed_while_being_born`.
    seen.extend(IN_THE_CHILD.map(String::from));
    let missing: Vec<_> = fault::POINTS
        .iter()
        .filter(|p| !ELSEWHERE.iter().any(|of| p.starts_with(of)))
        .filter(|p| !seen.iter().any(|s| s == *p))
        .collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
