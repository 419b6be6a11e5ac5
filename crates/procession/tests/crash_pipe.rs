//! A process is killed at every crash point of every operation on a pipe. Then whoever waits for it
//! is told, whoever shares its end goes on, every message is accounted for, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use procession::{Connection, Family, GetError, PutError, fault, pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{argument, hex, inherited, killed, role, say, start, start_with, unhex};

const PASSES: u64 = 3;
const SURVIVE: Duration = Duration::from_secs(1);

type End = Connection<Vec<u8>>;

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

/// What the survivor does while the child lives.
#[derive(Clone, Copy, PartialEq)]
enum Meanwhile {
    Nothing,
    /// A thread receives at the end that faces the child's.
    Receives,
    /// It has asked for the descriptor of that end.
    Selects,
    /// A thread sends until there is no room, and then waits.
    Sends,
}
use Meanwhile::{Nothing, Receives, Selects, Sends};

#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Messages on their way to the child, and their size.
    before: u64,
    size: usize,
    /// The survivor has a copy of the child's end, and goes on with it.
    shared: bool,
    meanwhile: Meanwhile,
    /// Another process with the child's end is killed first, at this point, while it sends.
    victim: &'static str,
}

const PLAIN: Scenario =
    Scenario { name: "", before: 0, size: 64, shared: false, meanwhile: Nothing, victim: "" };

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "send", ..PLAIN },
    Scenario { name: "send", size: 700, shared: true, meanwhile: Selects, ..PLAIN },
    Scenario { name: "send", size: 100_000, meanwhile: Selects, ..PLAIN },
    Scenario { name: "send", shared: true, meanwhile: Receives, ..PLAIN },
    Scenario { name: "send", size: 3 << 20, meanwhile: Receives, ..PLAIN },
    Scenario { name: "recv", before: 3, shared: true, ..PLAIN },
    Scenario { name: "recv", before: 3, size: 100_000, ..PLAIN },
    Scenario { name: "select", before: 2, shared: true, ..PLAIN },
    Scenario { name: "close", meanwhile: Sends, size: 200_000, ..PLAIN },
    Scenario { name: "close", before: 2, ..PLAIN },
    Scenario { name: "make", ..PLAIN },
    Scenario {
        name: "recover",
        victim: "bell.ringing:1",
        shared: true,
        meanwhile: Selects,
        ..PLAIN
    },
    Scenario { name: "recover", victim: "bell.rung:1", shared: true, meanwhile: Selects, ..PLAIN },
    Scenario { name: "recover", victim: "ring.placed:2", size: 50_000, shared: true, ..PLAIN },
];

#[test]
fn child() {
    let Some(role) = role().filter(|r| r != "survivor") else {
        return;
    };
    let end = End::from_parts(&unhex(&argument("END")), inherited()).unwrap();
    fault::arm(&argument("PLAN"));
    play(&role, end, argument("SIZE").parse().unwrap());
    for (name, n) in fault::hits() {
        say(&format!("hit {name} {n}"));
    }
    // As a process that ends without a word: no destructors.
    std::process::exit(0);
}

fn send(end: &End, i: u64, size: usize) {
    end.try_send(message(i, size)).unwrap();
    say(&format!("put {i}"));
}

fn play(role: &str, end: End, size: usize) {
    match role {
        "send" | "recover" | "victim" => {
            let n = if size > 1 << 20 { 1 } else { 5 };
            (100..100 + n).for_each(|i| send(&end, i, size));
            // What the survivor sent before; so the victim's end is used both ways.
            std::mem::forget(end);
        }
        "recv" | "select" => {
            if role == "select" {
                end.raw().selectable_fd().unwrap();
            }
            while let Ok(m) = end.try_recv() {
                say(&format!("got {}", number(&m)));
            }
            assert!(end.recv_timeout(Duration::from_millis(1)).is_err()); // arms, and sleeps a little
            std::mem::forget(end);
        }
        "close" => drop(end),
        "make" => {
            std::mem::forget(end);
            let (a, b) = pipe::<Vec<u8>>().unwrap();
            a.send(message(1, 64)).unwrap();
            drop(a);
            assert_eq!(number(&b.recv().unwrap()), 1);
        }
        other => panic!("no role is called {other}"),
    }
}

/// What children said that they sent and received.
#[derive(Default)]
struct Said {
    put: Vec<u64>,
    got: Vec<u64>,
    hits: BTreeMap<String, u64>,
}

impl Said {
    fn hear(&mut self, lines: &[String]) {
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["put", i] => self.put.push(i.parse().unwrap()),
                ["got", i] => self.got.push(i.parse().unwrap()),
                ["hit", name, n] => drop(self.hits.insert(name.to_owned(), n.parse().unwrap())),
                _ => panic!("the child said {line:?}"),
            }
        }
    }
}

/// Runs a scenario with a plan, in a survivor of its own. True if the child was killed.
fn run(index: usize, plan: &str) -> (bool, BTreeMap<String, u64>) {
    let arguments = [("SCENARIO", index.to_string()), ("PLAN", plan.to_owned())];
    let (lines, _) = start("survivor", "survivor", &arguments).finish();
    let mut said = Said::default();
    let (verdict, hits) = lines.split_last().expect("the survivor says how it went");
    said.hear(hits);
    (verdict == "killed", said.hits)
}

/// Runs a child with the other end, to its end.
fn child_with(end: &End, role: &str, size: usize, plan: &str, said: &mut Said) -> bool {
    let arguments =
        [("PLAN", plan.to_owned()), ("END", hex(&end.handle())), ("SIZE", size.to_string())];
    let (lines, status) = start_with("child", role, &arguments, Some(end.fd())).finish();
    said.hear(&lines);
    killed(status)
}

fn is_readable(end: &End) -> bool {
    let fd = end.raw().fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
}

/// Whether a thread of this process sleeps on a ring.
fn somebody_waits() -> bool {
    Family::current().unwrap().stats().participants.iter().any(|p| p.waiting_on.is_some())
}

#[test]
fn survivor() {
    if role().as_deref() != Some("survivor") {
        return;
    }
    let s = &SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()];
    let (here, there): (End, End) = pipe().unwrap();
    (0..s.before).for_each(|i| here.send(message(i, s.size)).unwrap());
    let mut said = Said::default();
    let mut got = Vec::new();
    let was_killed = thread::scope(|scope| {
        let mut receiver = None;
        let mut sender = None;
        match s.meanwhile {
            Nothing => {}
            Selects => drop(here.raw().selectable_fd().unwrap()),
            Receives => receiver = Some(scope.spawn(|| here.recv())),
            Sends => sender = Some(scope.spawn(|| send_until_broken(&here, s.size))),
        }
        while (receiver.is_some() || sender.is_some()) && !somebody_waits() {
            thread::yield_now();
        }
        if !s.victim.is_empty() {
            assert!(child_with(&there, "victim", s.size, s.victim, &mut said), "{}", s.victim);
        }
        let was_killed = child_with(&there, s.name, s.size, &argument("PLAN"), &mut said);
        let died = Instant::now();
        if s.shared {
            go_on(&here, &there, s, &mut got);
        }
        drop(there);
        if let Some(receiver) = receiver {
            // Killed before its first message, the child has closed the last copy.
            match receiver.join().unwrap() {
                Ok(m) => got.push(number(&m)),
                Err(e) => assert!(matches!(e, GetError::Closed) && said.put.is_empty(), "{e}"),
            }
        }
        if let Some(sender) = sender {
            sender.join().unwrap();
        }
        until_the_end(&here, &mut got);
        assert!(died.elapsed() < SURVIVE, "the survivor took {:?}", died.elapsed());
        was_killed
    });
    account(s, &said, &got, was_killed);
    drop(here);
    let family = Family::current().unwrap();
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    assert_eq!(family.stats().pipes, 0, "a pipe is left");
    said.hits.iter().for_each(|(name, n)| say(&format!("hit {name} {n}")));
    say(if was_killed { "killed" } else { "lived" });
    std::process::exit(0);
}

fn send_until_broken(here: &End, size: usize) {
    loop {
        match here.send(message(0, size)) {
            Ok(()) => {}
            Err(PutError::Closed(_)) => return,
            Err(e) => panic!("{e}"),
        }
    }
}

/// The other copy of the child's end goes on both ways, asleep or selecting.
fn go_on(here: &End, there: &End, s: &Scenario, got: &mut Vec<u64>) {
    let mut rest = Vec::new();
    while let Ok(m) = there.try_recv() {
        rest.push(number(&m));
    }
    got.extend(rest);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| there.recv_timeout(Duration::from_secs(20)).unwrap());
        while !somebody_waits() && !sleeper.is_finished() {
            thread::yield_now();
        }
        here.send(message(900, 64)).unwrap();
        assert_eq!(number(&sleeper.join().unwrap()), 900);
    });
    there.raw().selectable_fd().unwrap();
    assert!(!is_readable(there), "{}: readable with nothing to read", s.name);
    here.send(message(901, 64)).unwrap();
    assert!(is_readable(there), "{}: a message, and not readable", s.name);
    assert_eq!(number(&there.recv().unwrap()), 901);
    assert!(!is_readable(there));
    there.send(message(902, 64)).unwrap();
    if s.meanwhile == Selects {
        assert!(is_readable(here), "{}: a message, and not readable", s.name);
    }
}

/// All copies of the other end are closed: what was sent comes out, and then the end.
fn until_the_end(here: &End, got: &mut Vec<u64>) {
    loop {
        match here.recv() {
            Ok(m) => got.push(number(&m)),
            Err(GetError::Closed) => break,
            Err(e) => panic!("{e}"),
        }
    }
    assert!(matches!(here.send(message(0, 64)), Err(PutError::Closed(_))));
}

/// Nothing lost, nothing doubled, all in order.
fn account(s: &Scenario, said: &Said, got: &[u64], was_killed: bool) {
    let sent: Vec<u64> = got.iter().copied().filter(|i| (100..900).contains(i)).collect();
    if s.victim.is_empty() {
        assert!(sent.is_sorted(), "{sent:?}");
        assert!(sent.windows(2).all(|w| w[0] != w[1]), "doubled: {sent:?}");
    }
    for i in &said.put {
        assert!(sent.contains(i), "{}: {i} was sent and is lost: {sent:?}", s.name);
    }
    let spare = u64::from(was_killed) + u64::from(!s.victim.is_empty());
    assert!(sent.len() as u64 <= said.put.len() as u64 + spare, "{sent:?} of {:?}", said.put);
    if s.shared && matches!(s.name, "recv" | "select") {
        let mut to_child: Vec<u64> = said.got.clone();
        to_child.extend(got.iter().filter(|i| **i < 100));
        to_child.sort_unstable();
        assert!(to_child.windows(2).all(|w| w[0] != w[1]), "doubled: {to_child:?}");
        assert!(to_child.len() as u64 + u64::from(was_killed) >= s.before, "lost: {to_child:?}");
    }
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
                // How often a thread that receives or sends is woken is up to the scheduler.
                let varies = matches!(s.meanwhile, Receives | Sends);
                // And whether one sleeps at all, on a busy machine.
                let tries = if varies { 1 } else { 5 };
                let killed = (0..tries).any(|_| run(index, &plan).0);
                assert!(killed || varies, "{plan} was not passed");
            }
        }
    }
}

macro_rules! scenario {
    ($($test:ident: $name:literal)*) => { $(#[test] fn $test() { everywhere($name); })* };
}

scenario! {
    killed_in_send: "send"
    killed_in_recv: "recv"
    killed_in_recv_of_a_selector: "select"
    killed_in_close: "close"
    killed_in_making: "make"
    killed_in_recovery: "recover"
}

/// A crash point that nothing passes proves nothing. Those of queues are `crash.rs`'s.
#[test]
fn every_point_of_pipes_is_passed() {
    let mut seen: Vec<String> = Vec::new();
    for index in 0..SCENARIOS.len() {
        seen.extend(passes(index).into_keys());
    }
    let of_pipes = ["bell.", "pipe.", "close.", "ring.", "put.c", "get.c"];
    // Only queues take many at once, and are cut.
    let of_queues = ["ring.run_", "get.cut"];
    let missing: Vec<_> = fault::POINTS
        .iter()
        .filter(|p| of_pipes.iter().any(|of| p.starts_with(of)))
        .filter(|p| !of_queues.iter().any(|of| p.starts_with(of)))
        .filter(|p| !seen.iter().any(|s| s == *p))
        .collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
