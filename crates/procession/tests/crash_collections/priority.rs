//! Queues by priority.

use procession::codec::order::{OrderKey, order_key};
use procession::collections::Datum;
use procession::{ArenaError, Family, RawPriorityQueue};

use super::harness::{Given, Scenario, State, Subject, nothing, value_of};

/// What is done to a queue. Values are named by a number, and have a length; their order is that of their
/// first byte.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Put(u64, usize),
    /// With a key of so many bytes more.
    PutBy(usize, u64, usize),
    /// With a handle inside.
    PutHolding,
    /// Without a key.
    PutOdd(u64, usize),
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

const LONG: usize = 70_000;

fn key_of(value: &[u8], more: usize) -> OrderKey {
    if more == 0 {
        return order_key(&value[0]).unwrap();
    }
    let mut key = OrderKey::new();
    key.bytes(&[&vec![7; more][..], &value[..1]].concat());
    key
}

/// Behind all that are not more.
fn insert(state: &mut State, value: Vec<u8>) {
    let at = state.partition_point(|(_, other)| other[0] <= value[0]);
    state.insert(at, (0, value));
}

impl Subject for RawPriorityQueue {
    type Op = Op;
    const SCENARIOS: &'static [Scenario<Op>] = SCENARIOS;
    const POINTS: &'static [&'static str] = &["step.", "pin."];
    // It wakes one only of those who wait.
    const NEVER: &'static [&'static str] = &["step.unlocked"];
    const AFTER: fn() -> Vec<Op> = || [vec![Drain], puts(0, 60, 50), vec![Get, Drain]].concat();

    fn create(family: Family) -> RawPriorityQueue {
        RawPriorityQueue::create(family, None).unwrap()
    }
    fn open(handle: &[u8]) -> RawPriorityQueue {
        RawPriorityQueue::from_handle(handle).unwrap()
    }
    fn handle(&self) -> Vec<u8> {
        RawPriorityQueue::handle(self)
    }
    fn faults(&self) -> Vec<String> {
        self.check().unwrap()
    }
    fn state(&self) -> State {
        let all = self.snapshot().unwrap();
        all.items.iter().map(|(_, range)| (0, all.bytes[range.clone()].to_vec())).collect()
    }

    fn on_model(op: Op, state: &mut State, handle: &[u8]) {
        match op {
            Put(n, size) | PutBy(_, n, size) | PutOdd(n, size) => insert(state, value_of(n, size)),
            PutHolding => insert(state, handle.to_vec()),
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
        let put = |value: &[u8], more| {
            self.try_put(key_of(value, more).as_bytes(), &Datum::plain(value)).unwrap();
        };
        match op {
            Put(n, size) => put(&value_of(n, size), 0),
            PutBy(more, n, size) => put(&value_of(n, size), more),
            PutHolding => {
                let (leases, key) = ([given.inner.lease()], key_of(&given.handle, 0));
                let value = Datum { holds: &leases, ..Datum::plain(&given.handle) };
                self.try_put(key.as_bytes(), &value).unwrap();
            }
            PutOdd(n, size) => {
                let value = value_of(n, size);
                let place = self.place(|_, other| Ok::<_, ArenaError>(value[0] < other[0]));
                self.try_put_at(&place.unwrap().unwrap(), &Datum::plain(&value)).unwrap();
            }
            Get => assert!(self.try_get(&mut out).unwrap().is_some()),
            Peek => assert!(self.peek(&mut out).unwrap().is_some()),
            Done => drop(self.done().unwrap()),
            Drain => while self.try_get(&mut out).unwrap().is_some() {},
            GetMany(n) => assert!(self.try_get_many(n).unwrap().items.len() <= n),
            PutMany(from, to) => {
                let values: Vec<_> = (from..to).map(|n| value_of(n, 20)).collect();
                let keys: Vec<_> = values.iter().map(|value| key_of(value, 0)).collect();
                let all = keys.iter().map(OrderKey::as_bytes).zip(values.iter());
                let all: Vec<_> = all.map(|(key, value)| (key, Datum::plain(value))).collect();
                assert_eq!(self.try_put_many(&all).0, all.len());
            }
            ShutDown => drop(self.shut_down_now().unwrap()),
            Sweep => self.family().sweep().unwrap(),
        }
    }
}

/// Numbers that jump about.
fn scattered(from: u64, to: u64) -> impl Iterator<Item = u64> {
    (from..to).map(|n| n * 37 % 101)
}

fn puts(from: u64, to: u64, size: usize) -> Vec<Op> {
    scattered(from, to).map(|n| Put(n, size)).collect()
}

fn puts_by(more: usize, from: u64, to: u64, size: usize) -> Vec<Op> {
    scattered(from, to).map(|n| PutBy(more, n, size)).collect()
}

fn little() -> Vec<Op> {
    vec![
        Put(9, 3),
        Put(2, 30),
        Put(5, 3),
        Get,
        Put(3, 5000),
        PutHolding,
        Peek,
        Get,
        Put(4, 40),
        Done,
        Get,
        Put(5, 2000),
        Put(1, 2000),
        Get,
        Get,
        Get,
        Get,
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
        played: || [little(), puts(0, 40, 300), puts(0, 3, 9000), vec![PutHolding]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "a leaf is split",
        before: || puts(0, 14, 7),
        played: || puts(20, 30, 20),
        ..PLAIN
    },
    Scenario {
        name: "splits upwards",
        before: || puts_by(20, 0, 140, 30),
        played: || puts_by(20, 140, 240, 100),
        ..PLAIN
    },
    Scenario {
        name: "in order",
        before: || (0..14).map(|n| PutBy(30, n, 20)).collect(),
        played: || (14..40).map(|n| PutBy(30, n, 20)).collect(),
        ..PLAIN
    },
    Scenario {
        name: "leaves are dropped",
        before: || puts_by(20, 0, 160, 30),
        played: || [vec![Get; 150], puts_by(20, 0, 5, 30), vec![Get; 15]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "long keys",
        before: || puts_by(5000, 0, 14, 30),
        played: || [puts_by(5000, 14, 20, 6000), vec![Get; 20]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "all memory at once",
        before: || [puts(0, 400, 1000), vec![Get; 390]].concat(),
        played: || [vec![Get; 10], little()].concat(),
        ..PLAIN
    },
    Scenario {
        name: "what has no key",
        before: || puts(0, 30, 7),
        played: || (30..45).flat_map(|n| [PutOdd(n, 20), Get]).collect(),
        ..PLAIN
    },
    Scenario {
        name: "a journal",
        before: || (0..112).map(|n| PutBy(30, n, 20)).collect(),
        played: || (112..140).map(|n| PutBy(30, n % 120, 300)).collect(),
        ..PLAIN
    },
    Scenario {
        name: "tidies its heap",
        before: || puts(0, 600, 200),
        played: || vec![Get; 450],
        ..PLAIN
    },
    Scenario {
        name: "long values",
        before: || (0..4).map(|n| Put(n, LONG)).collect(),
        played: || vec![Get, Put(0, LONG), Peek, Get, Get],
        ..PLAIN
    },
    Scenario {
        name: "a long value that a dead one was reading",
        victim: "pin.released:1",
        before: || (0..4).map(|n| Put(n, LONG)).collect(),
        played: || vec![Peek, Put(0, LONG), Get, Get, Sweep, Get],
        own: false,
    },
    Scenario { name: "after a half step", victim: "step.half_applied:3", ..PLAIN },
    Scenario { name: "after a block", victim: "step.block_given:1", played: sweeps, ..PLAIN },
    Scenario { name: "sweeps a step", victim: "step.committed:1", played: sweeps, ..PLAIN },
    Scenario {
        name: "after a leaf that was to be dropped",
        before: || puts_by(20, 0, 60, 30),
        victim: "priority.leaf_dropped:1",
        played: || [vec![Get; 17], puts_by(20, 70, 80, 30), vec![Peek, Get]].concat(),
        ..PLAIN
    },
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
