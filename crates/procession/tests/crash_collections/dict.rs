//! Dicts.

use procession::collections::{Datum, Key};
use procession::{Family, RawDict};

use super::harness::{Given, Scenario, State, Subject, nothing, take_and_release, value_of};

/// What is done to a collection. Numbers are keys or indices, and lengths of values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Insert(u64, usize),
    /// With a handle inside.
    InsertHolding(u64),
    Remove(u64),
    /// Copies a value out.
    Get(u64),
    PopLast,
    Add(u64),
    /// So many keys from one on.
    Many(u64, u64, usize),
    Clear,
    /// Takes and releases the lock for its users.
    Lock,
    /// Of the dead.
    Sweep,
}
use Op::*;

impl Subject for RawDict {
    type Op = Op;
    const SCENARIOS: &'static [Scenario<Op>] = SCENARIOS;
    const AFTER: fn() -> Vec<Op> =
        || [inserts(10_000, 10_040, 50), vec![Lock, PopLast, Clear]].concat();

    fn create(family: Family) -> RawDict {
        RawDict::create(family).unwrap()
    }
    fn open(handle: &[u8]) -> RawDict {
        RawDict::from_handle(handle).unwrap()
    }
    fn handle(&self) -> Vec<u8> {
        RawDict::handle(self)
    }
    fn faults(&self) -> Vec<String> {
        self.check().unwrap()
    }
    fn state(&self) -> State {
        let all = self.snapshot().unwrap();
        let name = |i: &procession::collections::Item| {
            u64::from_le_bytes(all.bytes[i.key.clone()].try_into().unwrap())
        };
        all.items.iter().map(|i| (name(i), all.bytes[i.value.clone()].to_vec())).collect()
    }

    fn on_model(op: Op, state: &mut State, handle: &[u8]) {
        let mut put = |key: u64, value: Vec<u8>| match state.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => state.push((key, value)),
        };
        match op {
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
            Get(_) | Lock | Sweep => {}
        }
    }

    fn apply(&self, op: Op, given: &Given) {
        let dict = self;
        let names: Vec<[u8; 8]> = match op {
            Insert(key, _) | InsertHolding(key) | Remove(key) | Get(key) | Add(key) => {
                vec![name_of(key)]
            }
            Many(from, n, _) => (from..from + n).map(name_of).collect(),
            _ => Vec::new(),
        };
        let keys: Vec<Key<'_>> = names.iter().map(|name| Key::plain(name)).collect();
        match op {
            Insert(key, len) => {
                drop(dict.insert(&keys[0], &Datum::plain(&value_of(key, len)), None).unwrap());
            }
            InsertHolding(_) => {
                let leases = [given.inner.lease()];
                let value = Datum { holds: &leases, ..Datum::plain(&given.handle) };
                drop(dict.insert(&keys[0], &value, None).unwrap());
            }
            Remove(_) => drop(dict.pop(&keys[0], &mut Vec::new()).unwrap()),
            Get(_) => drop(dict.get(&keys[0], &mut Vec::new()).unwrap()),
            PopLast => drop(dict.pop_last(&mut Vec::new(), &mut Vec::new()).unwrap()),
            Add(_) => drop(dict.add_to(&keys[0], 1).unwrap()),
            Many(from, n, len) => {
                let values: Vec<_> = (from..from + n).map(|key| value_of(key, len)).collect();
                let all = keys.iter().zip(&values).map(|(k, v)| (*k, Datum::plain(v)));
                dict.insert_many(&all.collect::<Vec<_>>()).unwrap();
            }
            Clear => dict.clear().unwrap(),
            Lock => take_and_release(&dict.user_lock().unwrap()),
            Sweep => dict.family().sweep().unwrap(),
        }
    }
}

/// So long that a value is copied without the lock.
const LONG: usize = 70_000;

fn name_of(key: u64) -> [u8; 8] {
    key.to_le_bytes()
}

fn little() -> Vec<Op> {
    vec![
        Insert(1, 3),
        Insert(2, 30),
        Insert(3, 5000),
        InsertHolding(4),
        Insert(2, 40),
        Insert(2, 20),
        Insert(2, 19),
        Insert(2, 24),
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

const PLAIN: Scenario<Op> =
    Scenario { name: "plain", before: nothing, played: little, victim: "", own: false };

fn inserts(from: u64, to: u64, len: usize) -> Vec<Op> {
    (from..to).map(|key| Insert(key, len)).collect()
}

const SCENARIOS: &[Scenario<Op>] = &[
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
    Scenario {
        name: "long values",
        before: || inserts(0, 4, LONG),
        played: || vec![Get(0), Insert(0, LONG), Remove(1), PopLast, Get(2), Clear],
        ..PLAIN
    },
    Scenario {
        name: "long values that a dead one was reading",
        victim: "pin.released:1",
        before: || inserts(0, 4, LONG),
        played: || vec![Get(0), Insert(0, LONG + 1), Remove(1), Sweep, PopLast, Get(2), Clear],
        own: false,
    },
    Scenario {
        name: "the lock of its users",
        played: || [vec![Lock], little(), vec![Lock, Clear, Lock]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "a lock while another makes one",
        victim: "companion.made:1",
        played: || vec![Lock, Sweep, Lock],
        before: nothing,
        own: false,
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
    [little(), inserts(0, 10, 300), inserts(10, 13, 9000), vec![Lock, InsertHolding(20)]].concat()
}
