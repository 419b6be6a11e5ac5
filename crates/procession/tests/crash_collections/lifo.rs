//! Queues whose newest message is taken first.

use procession::collections::Datum;
use procession::{Family, RawLifoQueue};

use super::harness::{Given, Scenario, State, Subject, nothing, value_of};

/// What is done to a queue. Values are named by a number, and have a length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Put(u64, usize),
    /// With a handle inside.
    PutHolding,
    Get,
    Peek,
    /// Reports one as done, if there is one that is not.
    Done,
    /// Takes all, in many steps.
    Drain,
    /// Of the dead.
    Sweep,
}
use Op::*;

/// So long that a value is copied without the lock.
const LONG: usize = 70_000;

impl Subject for RawLifoQueue {
    type Op = Op;
    const SCENARIOS: &'static [Scenario<Op>] = SCENARIOS;
    const POINTS: &'static [&'static str] = &["step.", "pin."];
    // What it changes fits into the record, and it wakes one only of those who wait.
    const NEVER: &'static [&'static str] = &["step.journalled", "step.unlocked"];
    const AFTER: fn() -> Vec<Op> = || [puts(0, 30, 50), vec![Get, Done, Drain]].concat();

    fn create(family: Family) -> RawLifoQueue {
        RawLifoQueue::create(family, None).unwrap()
    }
    fn open(handle: &[u8]) -> RawLifoQueue {
        RawLifoQueue::from_handle(handle).unwrap()
    }
    fn handle(&self) -> Vec<u8> {
        RawLifoQueue::handle(self)
    }
    fn faults(&self) -> Vec<String> {
        self.check().unwrap()
    }
    fn state(&self) -> State {
        let all = self.snapshot().unwrap();
        all.items.iter().map(|(_, range)| (0, all.bytes[range.clone()].to_vec())).collect()
    }

    /// The newest one first.
    fn on_model(op: Op, state: &mut State, handle: &[u8]) {
        match op {
            Put(n, size) => state.insert(0, (0, value_of(n, size))),
            PutHolding => state.insert(0, (0, handle.to_vec())),
            Get => drop(state.remove(0)),
            Drain => state.clear(),
            Peek | Done | Sweep => {}
        }
    }

    fn apply(&self, op: Op, given: &Given) {
        let mut out = Vec::new();
        match op {
            Put(n, size) => self.try_put(&Datum::plain(&value_of(n, size))).unwrap(),
            PutHolding => {
                let leases = [given.inner.lease()];
                self.try_put(&Datum { holds: &leases, ..Datum::plain(&given.handle) }).unwrap();
            }
            Get => assert!(self.try_get(&mut out).unwrap().is_some()),
            Peek => assert!(self.peek(&mut out).unwrap().is_some()),
            Done => drop(self.done().unwrap()),
            Drain => while self.try_get(&mut out).unwrap().is_some() {},
            Sweep => self.family().sweep().unwrap(),
        }
    }
}

fn puts(from: u64, to: u64, size: usize) -> Vec<Op> {
    (from..to).map(|n| Put(n, size)).collect()
}

fn little() -> Vec<Op> {
    vec![
        Put(1, 3),
        Put(2, 30),
        Get,
        Put(3, 5000),
        PutHolding,
        Peek,
        Get,
        Put(4, 40),
        Done,
        Get,
        Get,
        Put(5, 2000),
        Put(6, 2000),
        Get,
        Put(6, 3000),
        Get,
        Get,
        Get,
        Done,
    ]
}

fn sweeps() -> Vec<Op> {
    [vec![Sweep], little(), vec![Sweep]].concat()
}

const PLAIN: Scenario<Op> =
    Scenario { name: "plain", before: nothing, played: little, victim: "", own: false };

const SCENARIOS: &[Scenario<Op>] = &[
    PLAIN,
    Scenario {
        name: "its own",
        own: true,
        played: || [little(), puts(0, 10, 300), puts(0, 3, 9000), vec![PutHolding]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "the end of a block",
        before: || puts(0, 510, 7),
        played: || {
            let there = puts(0, 3, 1);
            [there.clone(), vec![Get; 4], there, vec![Get; 4]].concat()
        },
        ..PLAIN
    },
    Scenario {
        name: "a block that is not kept",
        before: || puts(0, 1024, 2),
        played: || vec![Get; 514],
        ..PLAIN
    },
    Scenario {
        name: "the heap shrinks",
        before: || puts(0, 40, 1000),
        played: || vec![Get; 40],
        ..PLAIN
    },
    Scenario {
        name: "all of a large heap",
        before: || puts(0, 60, 1000),
        played: || [vec![Get; 60], little()].concat(),
        ..PLAIN
    },
    Scenario {
        name: "long values",
        before: || puts(0, 4, LONG),
        played: || vec![Get, Put(0, LONG), Peek, Get, Get],
        ..PLAIN
    },
    Scenario {
        name: "a long value that a dead one was reading",
        victim: "pin.released:1",
        before: || puts(0, 4, LONG),
        played: || vec![Peek, Put(0, LONG), Get, Get, Sweep, Get],
        own: false,
    },
    Scenario { name: "after a half step", victim: "step.half_applied:3", ..PLAIN },
    Scenario { name: "after a block", victim: "step.block_given:1", played: sweeps, ..PLAIN },
    Scenario { name: "sweeps a step", victim: "step.committed:1", played: sweeps, ..PLAIN },
];
