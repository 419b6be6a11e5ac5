//! A worker of a pool is killed at every crash point. Then the owner knows which items are done, at
//! most one item is lost, all others are done exactly once, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use procession::pool::{Entries, RawPool, RawWorker, Remains, Report, Step};
use procession::{Family, fault};
use support::{argument, hex, inherited, killed, role, say, start, start_with, unhex};

const PASSES: u64 = 3;
const TASKS: u64 = 3;
const ITEMS: u32 = 4;

/// How a child works: what it logs, or reports as a message of its own.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Bytes of an outcome.
    size: usize,
    /// Bytes of a task's block; 0: none.
    block: usize,
    /// Outcomes join others in runs, but for item 2's.
    joins: bool,
    /// Another worker is killed first, at this point.
    victim: &'static str,
}

const PLAIN: Scenario = Scenario { name: "logs", size: 8, block: 0, joins: false, victim: "" };

const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario { name: "logs runs", joins: true, ..PLAIN },
    Scenario { name: "fills its log with runs", joins: true, size: 6000, ..PLAIN },
    Scenario { name: "fills its log", size: 6000, ..PLAIN },
    Scenario { name: "reports", size: 50_000, ..PLAIN },
    Scenario { name: "takes blocks", block: 100_000, ..PLAIN },
    Scenario { name: "takes over", victim: "pool.intended:1", ..PLAIN },
    Scenario { name: "takes over a block", victim: "get.block_noted:2", block: 100_000, ..PLAIN },
    Scenario { name: "follows", victim: "get.committed:2", ..PLAIN },
];

fn play(worker: &RawWorker, size: usize, joins: bool) {
    worker.ready();
    let mut bytes = Vec::new();
    while let Some(task) = worker.take(&mut bytes).unwrap() {
        let n = task.number;
        for item in 0..ITEMS {
            assert!(worker.start(item).is_some());
            say(&format!("begun {n} {item}"));
            give(worker, n, item, &vec![item as u8; size], joins && item != 2);
            say(&format!("done {n} {item}"));
        }
        assert!(worker.finish(n, Duration::from_millis(1)).unwrap());
    }
}

fn give(worker: &RawWorker, n: u64, item: u32, outcome: &[u8], joins: bool) {
    if outcome.len() > 20_000 {
        let mut block = worker.family().alloc(outcome.len(), &[]).unwrap();
        block.write(0, outcome);
        worker.report((n, item, 7), (2, b"", Some(block))).unwrap();
    } else if !worker.log(item, 7, outcome, joins).unwrap() {
        worker.flush(n, Duration::ZERO).unwrap();
        assert!(worker.log(item, 7, outcome, joins).unwrap());
    }
}

#[test]
fn child() {
    if !matches!(role().as_deref(), Some("worker")) {
        return;
    }
    let family = Family::attach_fd(inherited()).unwrap();
    let worker = RawWorker::from_handle(&unhex(&argument("HANDLE"))).unwrap();
    assert_eq!(worker.family().id(), family.id());
    fault::arm(&argument("PLAN"));
    play(&worker, argument("SIZE").parse().unwrap(), argument("JOINS") == "true");
    for (name, n) in fault::hits() {
        say(&format!("hit {name} {n}"));
    }
    std::process::exit(0);
}

type Item = (u64, u32);

/// What is known of a pool's items.
#[derive(Default)]
struct Known {
    /// A task's number → the first of its items, and how many.
    tasks: BTreeMap<u64, (u64, u32)>,
    outcomes: BTreeMap<Item, u32>,
    lost: BTreeSet<Item>,
    begun: BTreeMap<Item, u32>,
    said_done: BTreeSet<Item>,
}

impl Known {
    /// Takes in a log; an outcome has so many bytes.
    fn log(&mut self, task: u64, log: &[u8], size: usize) {
        for entry in Entries::new(log) {
            assert!(entry.is_run || entry.bytes.len() == size);
            for (item, bytes) in (entry.item..).zip(entry.bytes.chunks(size)) {
                assert!(bytes.len() == size && bytes.iter().all(|b| u32::from(*b) == item), "torn");
                self.outcome(task, item);
            }
        }
    }

    fn outcome(&mut self, task: u64, item: u32) {
        let (first, count) = self.tasks[&task];
        assert!(item < count);
        // The first one counts; the tasks here are not cut, so a task stands for its first self.
        *self.outcomes.entry((first, item)).or_default() += 1;
    }

    fn collect(&mut self, pool: &RawPool, size: usize) {
        let mut inline = Vec::new();
        while let Some(arrived) = pool.try_report(&mut inline).unwrap() {
            match arrived.what {
                Report::Log { .. } => self.log(arrived.task, &inline, size),
                Report::Single { item, message, .. } => {
                    let block = message.block.unwrap();
                    let mut bytes = vec![0; block.len()];
                    block.read(0, &mut bytes);
                    assert!(bytes.iter().all(|b| u32::from(*b) == item), "torn");
                    self.outcome(arrived.task, item);
                }
                _ => unreachable!(),
            }
        }
    }

    /// As the owner does it.
    fn bury(&mut self, pool: &RawPool, index: u32, size: usize) {
        self.collect(pool, size);
        self.decide(&pool.bury(index).unwrap(), size);
    }

    /// A task whose worker has ended is done by somebody else: here, at once.
    fn decide(&mut self, remains: &Remains, size: usize) {
        let Some(task) = remains.task else { return };
        self.log(task, &remains.log, size);
        let (first, count) = self.tasks[&task];
        for item in 0..count {
            if self.outcomes.contains_key(&(first, item)) {
                continue;
            }
            if remains.step == Step::Item(item) {
                self.lost.insert((first, item));
            } else {
                assert!(
                    !matches!(remains.step, Step::Item(at) if at > item),
                    "item {item} of {first} was passed and has no outcome: {remains:?}"
                );
                self.outcomes.insert((first, item), 1); // by somebody else
                assert!(!self.begun.contains_key(&(first, item)), "{item} of {first} runs twice");
            }
        }
    }
}

fn work(pool: &RawPool, index: u32, s: &Scenario, plan: &str, known: &mut Known) -> Ended {
    let arguments = [
        ("PLAN", plan.to_owned()),
        ("HANDLE", hex(&pool.handle(index))),
        ("SIZE", s.size.to_string()),
        ("JOINS", s.joins.to_string()),
    ];
    let family = pool.family();
    let (lines, status) = start_with("child", "worker", &arguments, Some(family.fd())).finish();
    let mut hits = BTreeMap::new();
    for line in &lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begun", n, item] => {
                let item = (n.parse().unwrap(), item.parse().unwrap());
                *known.begun.entry(item).or_default() += 1;
            }
            ["done", n, item] => {
                known.said_done.insert((n.parse().unwrap(), item.parse().unwrap()));
            }
            ["hit", name, n] => drop(hits.insert(name.to_owned(), n.parse().unwrap())),
            _ => panic!("the child said {line:?}"),
        }
    }
    Ended { killed: killed(status), hits }
}

struct Ended {
    killed: bool,
    hits: BTreeMap<String, u64>,
}

#[test]
fn survivor() {
    if role().as_deref() != Some("survivor") {
        return;
    }
    let s = &SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()];
    let family = Family::current().unwrap();
    let pool = RawPool::create(family, 3).unwrap();
    let mut known = Known::default();
    for _ in 0..TASKS {
        let block = (s.block > 0).then(|| family.alloc(s.block, &[]).unwrap());
        let n = pool.push(1, b"task", block).unwrap();
        known.tasks.insert(n, (n, ITEMS));
    }
    if !s.victim.is_empty() {
        assert!(work(&pool, 0, s, s.victim, &mut known).killed, "{}", s.victim);
    }
    let ended = work(&pool, 1, s, &argument("PLAN"), &mut known);
    // The victim is buried late: another was at the queue since.
    (0..2).for_each(|index| known.bury(&pool, index, s.size));
    // A third does what is left.
    let third = work(&pool, 2, s, "", &mut known);
    assert!(!third.killed);
    known.bury(&pool, 2, s.size);
    assert_eq!(pool.waiting(), 0);
    let deaths = usize::from(ended.killed) + usize::from(!s.victim.is_empty());
    assert!(known.lost.len() <= deaths, "{} killed, lost: {:?}", deaths, known.lost);
    assert!(known.lost.is_disjoint(&known.said_done), "lost, and done: {:?}", known.lost);
    for task in 0..TASKS {
        for item in 0..ITEMS {
            let it = (task, item);
            let known_of = known.outcomes.contains_key(&it) || known.lost.contains(&it);
            assert!(known_of, "nobody knows of {it:?}");
            assert!(known.begun.get(&it).is_none_or(|n| *n == 1), "{it:?} was begun twice");
        }
    }
    drop(pool);
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    assert_eq!(family.stats().queues, 0, "a queue is left");
    ended.hits.iter().for_each(|(name, n)| say(&format!("hit {name} {n}")));
    say(if ended.killed { "killed" } else { "lived" });
    std::process::exit(0);
}

/// Runs a scenario with a plan, in a survivor of its own. True if the child was killed.
fn run(index: usize, plan: &str) -> (bool, BTreeMap<String, u64>) {
    let arguments = [("SCENARIO", index.to_string()), ("PLAN", plan.to_owned())];
    let (lines, _) = start("survivor", "survivor", &arguments).finish();
    let (verdict, hits) = lines.split_last().expect("the survivor says how it went");
    let hits = hits.iter().map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
    });
    (verdict == "killed", hits.collect())
}

fn everywhere(index: usize) -> BTreeSet<String> {
    let (was_killed, hits) = run(index, "");
    assert!(!was_killed);
    for (point, n) in &hits {
        for pass in 1..=(*n).min(PASSES) {
            let plan = format!("{point}:{pass}");
            println!("{} {plan}", SCENARIOS[index].name);
            assert!(run(index, &plan).0, "{plan} was not passed");
        }
    }
    hits.into_keys().collect()
}

/// All scenarios, at all points; and a point that none passes proves nothing.
#[test]
fn killed_everywhere() {
    if role().is_some() {
        return;
    }
    let seen: BTreeSet<String> = (0..SCENARIOS.len()).flat_map(everywhere).collect();
    let of_pools = fault::POINTS.iter().filter(|p| p.starts_with("pool."));
    let missing: Vec<_> = of_pools.filter(|p| !seen.contains(**p)).collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
