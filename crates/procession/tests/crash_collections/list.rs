//! Lists.

use procession::collections::{Datum, Part};
use procession::{Family, RawList};

use super::harness::{Given, Scenario, State, Subject, nothing, take_and_release, value_of};

/// What is done to a list. Values are named by a number, and have a length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Push(u64, usize),
    /// With a handle inside.
    PushHolding,
    Set(i64, u64, usize),
    Pop(i64),
    /// Copies a value out.
    Get(i64),
    Insert(i64, u64, usize),
    /// From one index to another, so many values of a length.
    Splice(i64, i64, u64, usize),
    Reverse,
    ReplaceAll(u64, usize),
    /// Every value with an even index, the last first, and one new one, of a length, behind each.
    Assemble(usize),
    Clear,
    /// Takes and releases the lock for its users.
    Lock,
    /// Of the dead.
    Sweep,
}
use Op::*;

/// An index of the model's, for one that is there.
fn at(i: i64, len: usize) -> usize {
    let n = i.unsigned_abs() as usize;
    if i < 0 { len - n } else { len.min(n) }
}

/// So long that a value is copied without the lock.
const LONG: usize = 70_000;

fn values(n: u64, len: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| value_of(i, len)).collect()
}

impl Subject for RawList {
    type Op = Op;
    const SCENARIOS: &'static [Scenario<Op>] = SCENARIOS;
    const AFTER: fn() -> Vec<Op> =
        || [pushes(0, 40, 50), vec![Lock, Pop(0), Reverse, Clear]].concat();

    fn create(family: Family) -> RawList {
        RawList::create(family).unwrap()
    }
    fn open(handle: &[u8]) -> RawList {
        RawList::from_handle(handle).unwrap()
    }
    fn handle(&self) -> Vec<u8> {
        RawList::handle(self)
    }
    fn faults(&self) -> Vec<String> {
        self.check().unwrap()
    }
    fn state(&self) -> State {
        let all = self.snapshot().unwrap();
        all.items.iter().map(|(_, range)| (0, all.bytes[range.clone()].to_vec())).collect()
    }

    fn on_model(op: Op, state: &mut State, handle: &[u8]) {
        let len = state.len();
        match op {
            Push(n, size) => state.push((0, value_of(n, size))),
            PushHolding => state.push((0, handle.to_vec())),
            Set(i, n, size) => state[at(i, len)].1 = value_of(n, size),
            Pop(i) => drop(state.remove(at(i, len))),
            Insert(i, n, size) => state.insert(at(i, len), (0, value_of(n, size))),
            Splice(i, j, n, size) => {
                let new = values(n, size).into_iter().map(|value| (0, value));
                state.splice(at(i, len)..at(j, len), new);
            }
            Reverse => state.reverse(),
            ReplaceAll(n, size) => {
                *state = values(n, size).into_iter().map(|value| (0, value)).collect();
            }
            Assemble(size) => {
                let old = std::mem::take(state);
                for (i, value) in old.into_iter().enumerate().step_by(2).rev() {
                    state.extend([value, (0, value_of(i as u64, size))]);
                }
            }
            Clear => state.clear(),
            Get(_) | Lock | Sweep => {}
        }
    }

    fn apply(&self, op: Op, given: &Given) {
        match op {
            Push(n, size) => self.push(&Datum::plain(&value_of(n, size))).unwrap(),
            PushHolding => {
                let leases = [given.inner.lease()];
                self.push(&Datum { holds: &leases, ..Datum::plain(&given.handle) }).unwrap();
            }
            Set(i, n, size) => assert!(self.set(i, &Datum::plain(&value_of(n, size))).unwrap()),
            Pop(i) => assert!(self.pop(i, &mut Vec::new()).unwrap().is_some()),
            Insert(i, n, size) => self.insert(i, &Datum::plain(&value_of(n, size))).unwrap(),
            Splice(_, _, n, size) | ReplaceAll(n, size) => {
                let values = values(n, size);
                let data: Vec<_> = values.iter().map(|value| Datum::plain(value)).collect();
                if let Splice(i, j, ..) = op {
                    self.splice(i, j, &data).unwrap();
                } else {
                    self.replace_all(self.version(), &data).unwrap().unwrap();
                }
            }
            Reverse => self.reverse().unwrap(),
            Assemble(size) => {
                let (version, len) = self.glance().unwrap();
                let new: Vec<_> = (0..len).map(|i| value_of(i, size)).collect();
                let parts: Vec<_> = (0..len)
                    .rev()
                    .filter(|i| i % 2 == 0)
                    .flat_map(|i| [Part::Old(i), Part::New(Datum::plain(&new[i as usize]))])
                    .collect();
                self.assemble(version, &parts).unwrap().unwrap();
            }
            Get(i) => drop(self.get(i, &mut Vec::new()).unwrap()),
            Clear => self.clear().unwrap(),
            Lock => take_and_release(&self.user_lock().unwrap()),
            Sweep => self.family().sweep().unwrap(),
        }
    }
}

fn little() -> Vec<Op> {
    vec![
        Push(1, 3),
        Push(2, 30),
        Push(3, 5000),
        PushHolding,
        Set(0, 9, 2),
        Set(1, 4, 40),
        Set(1, 4, 20),
        Set(1, 5, 19),
        Set(1, 6, 24),
        Set(2, 5, 6000),
        Set(-1, 6, 2),
        Insert(0, 7, 20),
        Insert(2, 8, 7),
        Pop(3),
        Pop(0),
        Pop(-1),
        Pop(0),
        Pop(0),
        Pop(-1),
    ]
}

fn pushes(from: u64, to: u64, size: usize) -> Vec<Op> {
    (from..to).map(|n| Push(n, size)).collect()
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
        played: || {
            [little(), pushes(0, 10, 300), pushes(0, 3, 9000), vec![Lock, PushHolding]].concat()
        },
        ..PLAIN
    },
    Scenario {
        name: "a new chunk",
        before: || pushes(0, 510, 7),
        played: || pushes(0, 5, 1),
        ..PLAIN
    },
    Scenario {
        name: "the ends of chunks",
        before: || pushes(0, 1030, 7),
        played: || [vec![Pop(0); 514], vec![Pop(-1); 8]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "near the ends",
        before: || pushes(0, 600, 20),
        played: || {
            vec![
                Pop(0),
                Pop(0),
                Insert(3, 1, 20),
                Insert(-3, 2, 20),
                Pop(4),
                Pop(-4),
                Insert(510, 3, 1),
                Pop(505),
            ]
        },
        ..PLAIN
    },
    Scenario {
        name: "in front",
        before: || [pushes(0, 1600, 7), vec![Insert(700, 1, 20)]].concat(),
        played: || [vec![Insert(0, 1, 20), Insert(0, 2, 7)], vec![Pop(0); 4]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "in the middle",
        before: || pushes(0, 1600, 20),
        played: || {
            vec![
                Insert(700, 1, 20),
                Insert(800, 2, 9),
                Pop(750),
                Splice(100, 1200, 3, 5000),
                Splice(50, 60, 700, 1),
                Splice(40, 780, 0, 0),
                Pop(50),
            ]
        },
        ..PLAIN
    },
    Scenario {
        name: "all at once",
        before: || [pushes(0, 600, 20), pushes(0, 6, 5000), vec![PushHolding]].concat(),
        played: || vec![Reverse, ReplaceAll(700, 30), Reverse, Splice(9, 9, 4, 5000), Clear],
        ..PLAIN
    },
    Scenario {
        name: "assembled",
        before: || [pushes(0, 600, 20), pushes(0, 4, 5000), vec![PushHolding]].concat(),
        played: || vec![Assemble(3), Assemble(30), Assemble(4500), Clear, Assemble(1), Push(1, 3)],
        ..PLAIN
    },
    Scenario {
        name: "tidies its heap",
        before: || pushes(0, 600, 200),
        played: || (0..200).flat_map(|i| [Pop(i), Pop(i)]).collect(),
        ..PLAIN
    },
    Scenario {
        name: "long values",
        before: || pushes(0, 4, LONG),
        played: || vec![Get(0), Set(0, 7, LONG), Pop(1), Pop(-1), Get(0), Clear],
        ..PLAIN
    },
    Scenario {
        name: "long values that a dead one was reading",
        victim: "pin.released:1",
        before: || pushes(0, 4, LONG),
        played: || vec![Get(0), Set(0, 8, LONG + 1), Pop(1), Sweep, Pop(-1), Get(0), Clear],
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
    Scenario { name: "sweeps a step", victim: "step.committed:1", played: sweeps, ..PLAIN },
    Scenario {
        name: "after a journal",
        before: || pushes(0, 30, 5000),
        victim: "step.journalled:1",
        played: || [vec![Splice(0, 20, 30, 300)], little()].concat(),
        ..PLAIN
    },
    Scenario {
        name: "finishes a journal",
        before: || pushes(0, 30, 5000),
        victim: "step.half_applied:40",
        played: || [vec![Splice(0, 20, 30, 300)], little()].concat(),
        ..PLAIN
    },
];
