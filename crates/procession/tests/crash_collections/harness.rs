//! How a scenario is played, and judged.

use std::collections::{BTreeMap, BTreeSet};

use procession::{Family, RawDict, fault};

use super::support::{argument, hex, inherited, killed, role, say, start, start_with, unhex};

const PASSES: u64 = 3;

/// Keys and values, in order; of a list, the keys are 0.
pub(super) type State = Vec<(u64, Vec<u8>)>;

pub(super) fn value_of(key: u64, len: usize) -> Vec<u8> {
    (0..len).map(|i| (key as usize + i + len) as u8).collect()
}

/// A dict whose handle may be stored.
pub(super) struct Given {
    pub(super) inner: RawDict,
    pub(super) handle: Vec<u8>,
}

pub(super) fn take_and_release(lock: &procession::RawLock) {
    assert!(lock.try_acquire().unwrap().is_some());
    lock.release().unwrap();
}

pub(super) struct Scenario<Op: 'static> {
    pub(super) name: &'static str,
    pub(super) before: fn() -> Vec<Op>,
    pub(super) played: fn() -> Vec<Op>,
    /// Another process is killed first, at this point of the operations.
    pub(super) victim: &'static str,
    /// The child makes the collection that it plays with, and drops it.
    pub(super) own: bool,
}

/// Before nothing was done.
pub(super) fn nothing<Op>() -> Vec<Op> {
    Vec::new()
}

/// A kind of collection.
pub(super) trait Subject: Sized {
    type Op: Copy + std::fmt::Debug + 'static;
    const SCENARIOS: &'static [Scenario<Self::Op>];
    /// Crash points beside its own that some scenario must pass, by the beginnings of their names; and such
    /// as it never comes by.
    const POINTS: &'static [&'static str] = &["step.", "pin.", "companion."];
    const NEVER: &'static [&'static str] = &[];
    /// What a survivor does with it, after which it is empty.
    const AFTER: fn() -> Vec<Self::Op>;
    fn create(family: Family) -> Self;
    fn open(handle: &[u8]) -> Self;
    fn handle(&self) -> Vec<u8>;
    fn faults(&self) -> Vec<String>;
    fn state(&self) -> State;
    fn apply(&self, op: Self::Op, given: &Given);
    fn on_model(op: Self::Op, state: &mut State, handle: &[u8]);
    /// What becomes of the state when who made the steps has ended.
    fn when_ended(_: &mut State) {}
}

fn scenario<S: Subject>() -> &'static Scenario<S::Op> {
    &S::SCENARIOS[argument("SCENARIO").parse::<usize>().unwrap()]
}

pub(super) fn child<S: Subject>() {
    let family = Family::attach_fd(inherited()).unwrap();
    let subject = match &*argument("HANDLE") {
        "" => S::create(family),
        handle => S::open(&unhex(handle)),
    };
    let handle = unhex(&argument("INNER"));
    let given = Given { inner: RawDict::from_handle(&handle).unwrap(), handle };
    fault::arm(&argument("PLAN"));
    for (n, op) in (scenario::<S>().played)().into_iter().enumerate() {
        say(&format!("begun {n}"));
        subject.apply(op, &given);
    }
    say("begun all");
    drop(subject);
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

fn play<S: Subject>(family: Family, subject: Option<&S>, given: &Given, plan: &str) -> Ended {
    let arguments = [
        ("PLAN", plan.to_owned()),
        ("HANDLE", subject.map(|s| hex(&s.handle())).unwrap_or_default()),
        ("INNER", hex(&given.handle)),
        ("SCENARIO", argument("SCENARIO")),
        ("KIND", argument("KIND")),
    ];
    let (lines, status) = start_with("child", "worker", &arguments, Some(family.fd())).finish();
    let (begun, hits): (Vec<_>, Vec<_>) = lines.into_iter().partition(|l| l.starts_with("begun"));
    let last = begun.last().expect("it began").strip_prefix("begun ").unwrap().parse().ok();
    Ended { killed: killed(status), begun: last, hits }
}

/// What one has done that has ended: how many operations at least, and at most.
fn steps(ended: &Ended, all: usize) -> std::ops::RangeInclusive<usize> {
    ended.begun.map_or(all..=all, |n| n..=n + 1)
}

/// The collection must be as after some of the operations of each who ended, none of them by half.
fn judge<S: Subject>(subject: &S, state: &State, ended: &[&Ended], given: &Given) {
    let ops = (scenario::<S>().played)();
    let mut possible = vec![state.clone()];
    for one in ended {
        let (low, high) = steps(one, ops.len()).into_inner();
        let mut next = Vec::new();
        for mut state in possible {
            for (n, op) in ops[..high].iter().enumerate() {
                if n == low {
                    next.push(state.clone());
                }
                S::on_model(*op, &mut state, &given.handle);
            }
            next.push(state);
        }
        next.iter_mut().for_each(S::when_ended);
        possible = next;
    }
    assert_eq!(subject.faults(), [""; 0]);
    let found = subject.state();
    let short: Vec<_> = found.iter().map(|(key, value)| (key, value.len())).collect();
    let begun: Vec<_> = ended.iter().map(|e| steps(e, ops.len())).collect();
    assert!(possible.contains(&found), "an operation was done by half: {short:?} after {begun:?}");
}

pub(super) fn survivor<S: Subject>() {
    let s = scenario::<S>();
    let family = Family::current().unwrap();
    let (subject, inner) = (S::create(family), RawDict::create(family).unwrap());
    let given = Given { handle: inner.handle(), inner };
    let mut state = State::new();
    for op in (s.before)() {
        subject.apply(op, &given);
        S::on_model(op, &mut state, &given.handle);
    }
    let mut victim = None;
    if !s.victim.is_empty() {
        let ended = play(family, Some(&subject), &given, s.victim);
        assert!(ended.killed, "{}", s.victim);
        victim = Some(ended);
    }
    let ended = play(family, (!s.own).then_some(&subject), &given, &argument("PLAN"));
    // Every other time it is the sweep that finds what the dead one left.
    if argument("PLAN").ends_with('2') {
        family.sweep().unwrap();
        assert_eq!(family.check(), [""; 0]);
    }
    let mut all: Vec<_> = victim.iter().collect();
    if !s.own {
        all.push(&ended);
    }
    judge(&subject, &state, &all, &given);
    // It goes on.
    for op in (S::AFTER)() {
        subject.apply(op, &given);
    }
    assert_eq!((subject.state(), subject.faults()), (State::new(), Vec::new()));
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    drop((subject, given));
    assert_eq!(family.check(), [""; 0]);
    ended.hits.iter().for_each(|hit| say(hit));
    say(if ended.killed { "killed" } else { "lived" });
    std::process::exit(0);
}

/// Runs a scenario with a plan, in a survivor of its own. True if the child was killed.
fn run(kind: &str, index: usize, plan: &str) -> (bool, BTreeMap<String, u64>) {
    let arguments =
        [("SCENARIO", index.to_string()), ("PLAN", plan.to_owned()), ("KIND", kind.to_owned())];
    let (lines, _) = start("survivor", "survivor", &arguments).finish();
    let (verdict, hits) = lines.split_last().expect("the survivor says how it went");
    let hits = hits.iter().map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
    });
    (verdict == "killed", hits.collect())
}

/// All scenarios of a kind, at all points; and a point that none passes proves nothing.
pub(super) fn killed_everywhere<S: Subject>(kind: &str) {
    if role().is_some() {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, scenario) in S::SCENARIOS.iter().enumerate() {
        let (was_killed, hits) = run(kind, index, "");
        assert!(!was_killed);
        for (point, n) in &hits {
            for pass in 1..=(*n).min(PASSES) {
                let plan = format!("{point}:{pass}");
                println!("{} {plan}", scenario.name);
                assert!(run(kind, index, &plan).0, "{plan} was not passed");
            }
        }
        seen.extend(hits.into_keys());
    }
    let own = format!("{kind}.");
    let of_these = |p: &&&str| {
        let is_of = S::POINTS.iter().any(|of| p.starts_with(of)) || p.starts_with(&own);
        is_of && !S::NEVER.contains(*p)
    };
    let passed = seen.iter().find(|p| S::NEVER.contains(&&***p));
    assert!(passed.is_none(), "{passed:?} is passed");
    let missing: Vec<_> =
        fault::POINTS.iter().filter(of_these).filter(|p| !seen.contains(**p)).collect();
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
