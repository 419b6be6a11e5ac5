//! A process is killed at every crash point of the operations on dicts and lists. Then the collection
//! is as before the operation or as after it, it goes on, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use procession::collections::{Datum, Key};
use procession::{Family, RawDict, fault};
use support::{argument, hex, inherited, killed, role, say, start, start_with, unhex};

const PASSES: u64 = 3;

/// What is done to a collection. Numbers are keys or indices, and lengths of values.
#[derive(Debug, Clone, Copy)]
enum Op {
    Insert(u64, usize),
    /// With a handle inside.
    InsertHolding(u64),
    Remove(u64),
    PopLast,
    Add(u64),
    /// So many keys from one on.
    Many(u64, u64, usize),
    Clear,
    /// Of the dead.
    Sweep,
}
use Op::*;

/// Keys and values, in order.
type State = Vec<(u64, Vec<u8>)>;

fn value_of(key: u64, len: usize) -> Vec<u8> {
    (0..len).map(|i| (key as usize + i + len) as u8).collect()
}

impl Op {
    fn on_model(self, state: &mut State, handle: &[u8]) {
        let mut put = |key: u64, value: Vec<u8>| match state.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => state.push((key, value)),
        };
        match self {
            Insert(key, len) => put(key, value_of(key, len)),
            InsertHolding(key) => put(key, handle.to_vec()),
            Many(from, n, len) => (from..from + n).for_each(|key| put(key, value_of(key, len))),
            Remove(key) => state.retain(|(k, _)| *k != key),
            PopLast => drop(state.pop()),
            Add(key) => match state.iter_mut().find(|(k, _)| *k == key) {
                Some(entry) => entry.1[0] += 1,
                None => state.push((key, vec![1])),
            },
            Clear => state.clear(),
            Sweep => {}
        }
    }

    fn on_dict(self, dict: &RawDict, inner: &RawDict, handle: &[u8]) {
        let names: Vec<[u8; 8]> = match self {
            Insert(key, _) | InsertHolding(key) | Remove(key) | Add(key) => vec![name_of(key)],
            Many(from, n, _) => (from..from + n).map(name_of).collect(),
            _ => Vec::new(),
        };
        let keys: Vec<Key<'_>> = names.iter().map(|name| Key::plain(name)).collect();
        match self {
            Insert(key, len) => {
                drop(dict.insert(&keys[0], &Datum::plain(&value_of(key, len)), None).unwrap());
            }
            InsertHolding(_) => {
                let leases = [inner.lease()];
                let value = Datum { holds: &leases, ..Datum::plain(handle) };
                drop(dict.insert(&keys[0], &value, None).unwrap());
            }
            Remove(_) => drop(dict.pop(&keys[0], &mut Vec::new()).unwrap()),
            PopLast => drop(dict.pop_last(&mut Vec::new(), &mut Vec::new()).unwrap()),
            Add(_) => drop(dict.add_to(&keys[0], 1).unwrap()),
            Many(from, n, len) => {
                let values: Vec<_> = (from..from + n).map(|key| value_of(key, len)).collect();
                let all = keys.iter().zip(&values).map(|(k, v)| (*k, Datum::plain(v)));
                dict.insert_many(&all.collect::<Vec<_>>()).unwrap();
            }
            Clear => dict.clear().unwrap(),
            Sweep => dict.family().sweep().unwrap(),
        }
    }
}

/// One that needs no room in the heap, or one that does.
fn name_of(key: u64) -> [u8; 8] {
    key.to_le_bytes()
}

fn state_of(dict: &RawDict) -> State {
    let all = dict.snapshot().unwrap();
    let name = |i: &procession::collections::Item| {
        u64::from_le_bytes(all.bytes[i.key.clone()].try_into().unwrap())
    };
    all.items.iter().map(|i| (name(i), all.bytes[i.value.clone()].to_vec())).collect()
}

struct Scenario {
    name: &'static str,
    before: fn() -> Vec<Op>,
    played: fn() -> Vec<Op>,
    /// Another process is killed first, at this point of the operations.
    victim: &'static str,
    /// The child makes the dict that it plays with, and drops it.
    own: bool,
}

fn nothing() -> Vec<Op> {
    Vec::new()
}

fn little() -> Vec<Op> {
    vec![
        Insert(1, 3),
        Insert(2, 30),
        Insert(3, 5000),
        InsertHolding(4),
        Insert(2, 40),
        Insert(3, 6000),
        Insert(4, 2),
        Add(105),
        Add(105),
        Remove(3),
        PopLast,
        Remove(1),
        PopLast,
        PopLast,
    ]
}

const PLAIN: Scenario =
    Scenario { name: "plain", before: nothing, played: little, victim: "", own: false };

fn inserts(from: u64, to: u64, len: usize) -> Vec<Op> {
    (from..to).map(|key| Insert(key, len)).collect()
}

const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario { name: "its own", own: true, played: own, ..PLAIN },
    Scenario {
        name: "grows",
        before: || inserts(0, 380, 1),
        played: || inserts(380, 388, 1),
        ..PLAIN
    },
    Scenario {
        name: "a new segment",
        before: || inserts(0, 510, 7),
        played: || inserts(510, 515, 7),
        ..PLAIN
    },
    Scenario {
        name: "a new index",
        before: || inserts(0, 384, 1),
        played: || inserts(384, 450, 1),
        ..PLAIN
    },
    Scenario {
        name: "a sparse index",
        before: || [inserts(0, 1700, 1), (0..1440).map(Remove).collect()].concat(),
        played: || (1440..1500).map(Remove).collect(),
        ..PLAIN
    },
    Scenario {
        name: "closes ranks",
        before: || [inserts(0, 2000, 1), (0..1250).map(Remove).collect()].concat(),
        played: || (1250..1600).map(Remove).collect(),
        ..PLAIN
    },
    Scenario {
        name: "tidies its heap",
        before: || inserts(0, 600, 200),
        played: || (0..600).filter(|key| key % 3 != 0).map(Remove).collect(),
        ..PLAIN
    },
    Scenario {
        name: "overwrites",
        before: || inserts(0, 40, 1000),
        played: || [inserts(0, 40, 900), inserts(0, 40, 800)].concat(),
        ..PLAIN
    },
    Scenario {
        name: "many at once",
        before: || [inserts(0, 30, 100), inserts(30, 36, 5000)].concat(),
        played: || vec![Many(20, 40, 300), Many(58, 4, 5000), Many(0, 500, 10)],
        ..PLAIN
    },
    Scenario {
        name: "clears",
        before: || [inserts(0, 30, 100), inserts(30, 50, 5000), vec![InsertHolding(50)]].concat(),
        played: || vec![Clear, Insert(3, 10), Clear],
        ..PLAIN
    },
    Scenario { name: "after a half step", victim: "step.half_applied:3", ..PLAIN },
    Scenario { name: "after a block", victim: "step.block_given:2", played: sweeps, ..PLAIN },
    Scenario { name: "sweeps a step", victim: "step.committed:4", played: sweeps, ..PLAIN },
    Scenario {
        name: "after a journal",
        before: || inserts(0, 30, 5000),
        victim: "step.journalled:1",
        played: || [vec![Many(0, 30, 300)], little()].concat(),
        ..PLAIN
    },
    Scenario {
        name: "finishes a journal",
        before: || inserts(0, 30, 5000),
        victim: "step.half_applied:40",
        played: || [vec![Many(0, 30, 300)], little()].concat(),
        ..PLAIN
    },
];

fn sweeps() -> Vec<Op> {
    [vec![Sweep], little(), vec![Sweep]].concat()
}

fn own() -> Vec<Op> {
    [little(), inserts(0, 10, 300), inserts(10, 13, 9000), vec![InsertHolding(20)]].concat()
}

#[test]
fn child() {
    if role().as_deref() != Some("worker") {
        return;
    }
    let family = Family::attach_fd(inherited()).unwrap();
    let dict = match &*argument("HANDLE") {
        "" => RawDict::create(family).unwrap(),
        handle => RawDict::from_handle(&unhex(handle)).unwrap(),
    };
    let handle = unhex(&argument("INNER"));
    let inner = RawDict::from_handle(&handle).unwrap();
    let ops = (SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()].played)();
    fault::arm(&argument("PLAN"));
    for (n, op) in ops.into_iter().enumerate() {
        say(&format!("begun {n}"));
        op.on_dict(&dict, &inner, &handle);
    }
    say("begun all");
    drop(dict);
    for (name, n) in fault::hits() {
        say(&format!("hit {name} {n}"));
    }
    std::process::exit(0);
}

struct Ended {
    killed: bool,
    /// The operation that it had begun; none: it did all.
    begun: Option<usize>,
    hits: Vec<String>,
}

fn play(family: Family, dict: Option<&RawDict>, inner: &RawDict, plan: &str) -> Ended {
    let arguments = [
        ("PLAN", plan.to_owned()),
        ("HANDLE", dict.map(|dict| hex(&dict.handle())).unwrap_or_default()),
        ("INNER", hex(&inner.handle())),
        ("SCENARIO", argument("SCENARIO")),
    ];
    let (lines, status) = start_with("child", "worker", &arguments, Some(family.fd())).finish();
    let (begun, hits): (Vec<_>, Vec<_>) = lines.into_iter().partition(|l| l.starts_with("begun"));
    let last = begun.last().expect("it began").strip_prefix("begun ").unwrap().parse().ok();
    Ended { killed: killed(status), begun: last, hits }
}

/// The collection must be as before what a process was at, or as after it. Gives how it is.
fn judge(dict: &RawDict, state: &State, ended: &Ended, ops: &[Op], handle: &[u8]) -> State {
    let mut before = state.clone();
    for op in &ops[..ended.begun.unwrap_or(ops.len())] {
        op.on_model(&mut before, handle);
    }
    let found = state_of(dict);
    assert_eq!(dict.check().unwrap(), [""; 0]);
    if found == before {
        return found;
    }
    let op = ended.begun.map(|n| ops[n]).expect("all was done, and it is not so");
    op.on_model(&mut before, handle);
    assert!(found == before, "{op:?} was done by half");
    found
}

#[test]
fn survivor() {
    if role().as_deref() != Some("survivor") {
        return;
    }
    let s = &SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()];
    let family = Family::current().unwrap();
    let (dict, inner) = (RawDict::create(family).unwrap(), RawDict::create(family).unwrap());
    let handle = inner.handle();
    let mut state = State::new();
    for op in (s.before)() {
        op.on_dict(&dict, &inner, &handle);
        op.on_model(&mut state, &handle);
    }
    let ops = (s.played)();
    let mut victim = None;
    if !s.victim.is_empty() {
        let ended = play(family, Some(&dict), &inner, s.victim);
        assert!(ended.killed, "{}", s.victim);
        victim = Some(ended);
    }
    let ended = play(family, (!s.own).then_some(&dict), &inner, &argument("PLAN"));
    // Every other time it is the sweep that finds what the dead one left.
    if argument("PLAN").ends_with('2') {
        family.sweep().unwrap();
        assert_eq!(family.check(), [""; 0]);
    }
    if s.own {
        assert_eq!(state_of(&dict), state);
    } else if let Some(victim) = victim {
        // The second one went on from either state of the first.
        judge_two(&dict, &state, [&victim, &ended], &ops, &handle);
    } else {
        judge(&dict, &state, &ended, &ops, &handle);
    }
    // It goes on.
    for op in inserts(10_000, 10_040, 50).into_iter().chain([PopLast, Clear]) {
        op.on_dict(&dict, &inner, &handle);
    }
    assert!(dict.is_empty().unwrap() && dict.check().unwrap().is_empty());
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    drop((dict, inner));
    assert_eq!(family.check(), [""; 0]);
    ended.hits.iter().for_each(|hit| say(hit));
    say(if ended.killed { "killed" } else { "lived" });
    std::process::exit(0);
}

fn judge_two(dict: &RawDict, state: &State, ended: [&Ended; 2], ops: &[Op], handle: &[u8]) {
    let done = |state: &State, to: usize| {
        let mut after = state.clone();
        ops[..to.min(ops.len())].iter().for_each(|op| op.on_model(&mut after, handle));
        after
    };
    let steps = |e: &Ended| e.begun.map_or(ops.len()..=ops.len(), |n| n..=n + 1);
    let found = state_of(dict);
    assert_eq!(dict.check().unwrap(), [""; 0]);
    let mut possible = steps(ended[0])
        .flat_map(|first| steps(ended[1]).map(move |second| (first, second)))
        .map(|(first, second)| done(&done(state, first), second));
    let keys = || found.iter().map(|(key, value)| (key, value.len())).collect::<Vec<_>>();
    assert!(
        possible.any(|state| state == found),
        "an operation was done by half: {:?} after {:?} and {:?}",
        keys(),
        steps(ended[0]),
        steps(ended[1])
    );
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
    let of_these = |p: &&&str| ["step.", "dict.", "list."].iter().any(|of| p.starts_with(of));
    let missing: Vec<_> =
        fault::POINTS.iter().filter(of_these).filter(|p| !seen.contains(**p)).collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
