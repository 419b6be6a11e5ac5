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
    /// Takes so many.
    GetMany(usize),
    /// So many values under one lock.
    PutMany(u64, u64),
    /// Closes it and drops all.
    ShutDown,
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
            Drain | ShutDown => state.clear(),
            GetMany(n) => drop(state.drain(..n.min(state.len()))),
            PutMany(from, to) => {
                (from..to).for_each(|n| Self::on_model(Put(n, 20), state, handle));
            }
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
            GetMany(n) => assert!(self.try_get_many(n).unwrap().items.len() <= n),
            PutMany(from, to) => {
                let values: Vec<_> = (from..to).map(|n| value_of(n, 20)).collect();
                let values: Vec<_> = values.iter().map(|value| Datum::plain(value)).collect();
                assert_eq!(self.try_put_many(&values).0, values.len());
            }
            ShutDown => drop(self.shut_down_now().unwrap()),
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
    Scenario {
        // Each message is a step of its own: so here are batches of one.
        name: "in batches",
        played: || vec![PutMany(0, 1), PutMany(1, 2), GetMany(1), PutMany(3, 4), GetMany(1)],
        ..PLAIN
    },
    Scenario {
        name: "many at once",
        own: true,
        played: || vec![PutMany(0, 3), GetMany(2), PutMany(3, 40), GetMany(90)],
        ..PLAIN
    },
    Scenario {
        name: "by the stage",
        before: || puts(0, 5, 20),
        victim: "stage.made:1",
        played: || {
            let all =
                [vec![Put(1, 20), Put(2, 30), Get, Get], puts(0, 4, 20), vec![Get, Peek, Done]];
            [all.concat(), puts(0, 3, 5), vec![Get; 4]].concat()
        },
        ..PLAIN
    },
    Scenario {
        // What comes when nothing is in is staged, also by who was here last.
        name: "often empty",
        before: || [[Put(1, 20), Get].repeat(40), puts(0, 1, 20)].concat(),
        played: || vec![Get, Put(4, 20), Get, Put(3, 5), Put(2, 30), Get, Peek, Get, Done],
        ..PLAIN
    },
    Scenario {
        name: "a stage that is full",
        before: || puts(0, 5, 20),
        victim: "stage.made:1",
        played: || [puts(5, 80, 20), vec![Put(3, 5000), Get, Sweep]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "shut down",
        own: true,
        played: || [puts(0, 5, 20), vec![ShutDown, ShutDown]].concat(),
        ..PLAIN
    },
];
