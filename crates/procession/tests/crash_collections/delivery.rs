//! Queues that deliver again what the dead had taken.
//!
//! What was in flight in whoever is killed waits again: so taking changes nothing that is seen afterwards.

use std::cell::RefCell;
use std::collections::VecDeque;

use procession::collections::{Datum, Ticket};
use procession::{Family, RawDeliveryQueue};

use super::harness::{Given, Scenario, State, Subject, nothing, value_of};

/// What is done to a queue. Values are named by a number, and have a length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Put(u64, usize),
    /// With a handle inside.
    PutHolding,
    Take,
    Peek,
    /// Reports the oldest in flight here as done.
    Done,
    /// The same, of the newest.
    DoneNewest,
    /// Gives the newest in flight here back.
    GiveBack,
    /// Looks for the dead.
    Recover,
    /// Takes all, and reports each as done.
    Drain,
    /// Drops all that waits. What comes back later is dropped as well.
    ShutDown,
    /// Of the dead.
    Sweep,
}
use Op::*;

/// So long that a value is copied without the lock.
const LONG: usize = 70_000;
/// What is in flight in the process whose steps the model goes through.
const TAKEN: u64 = 1;

thread_local! {
    static MINE: RefCell<VecDeque<Ticket>> = const { RefCell::new(VecDeque::new()) };
}

fn take(q: &RawDeliveryQueue) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (_, ticket) = q.try_take(&mut out).unwrap()?;
    MINE.with_borrow_mut(|mine| mine.push_back(ticket));
    Some(out)
}

fn oldest() -> Ticket {
    MINE.with_borrow_mut(VecDeque::pop_front).expect("something is in flight")
}

fn newest() -> Ticket {
    MINE.with_borrow_mut(VecDeque::pop_back).expect("something is in flight")
}

impl Subject for RawDeliveryQueue {
    type Op = Op;
    const SCENARIOS: &'static [Scenario<Op>] = SCENARIOS;
    const POINTS: &'static [&'static str] = &["step.", "pin."];
    // It wakes by itself who waits.
    const NEVER: &'static [&'static str] = &["step.unlocked"];
    const AFTER: fn() -> Vec<Op> = || {
        let some = vec![Put(1, 50), Put(2, 3), Take, Done];
        [some, vec![Put(3, 2000); 200], vec![Drain]].concat()
    };

    fn create(family: Family) -> RawDeliveryQueue {
        RawDeliveryQueue::create(family, None).unwrap()
    }
    fn open(handle: &[u8]) -> RawDeliveryQueue {
        RawDeliveryQueue::from_handle(handle).unwrap()
    }
    fn handle(&self) -> Vec<u8> {
        RawDeliveryQueue::handle(self)
    }
    fn faults(&self) -> Vec<String> {
        self.check().unwrap()
    }
    fn state(&self) -> State {
        self.recover().unwrap();
        assert_eq!(self.in_flight(), 0);
        let mut all = State::new();
        while let Some(value) = take(self) {
            all.push((0, value));
        }
        MINE.take().iter().rev().for_each(|ticket| self.give_back(ticket).unwrap().unwrap());
        assert_eq!(self.unfinished(), all.len() as u64);
        all
    }

    fn on_model(op: Op, state: &mut State, handle: &[u8]) {
        let place = |state: &State, key| state.iter().position(|one| one.0 == key).unwrap();
        match op {
            Put(n, size) => state.push((0, value_of(n, size))),
            PutHolding => state.push((0, handle.to_vec())),
            Take => {
                let first = place(state, 0);
                state[first].0 = TAKEN;
            }
            // Of what was dropped nothing is in flight in anybody whose end the model goes on from.
            Done if state.is_empty() => {}
            Done => drop(state.remove(place(state, TAKEN))),
            DoneNewest => {
                let newest = state.iter().rposition(|one| one.0 == TAKEN).unwrap();
                state.remove(newest);
            }
            GiveBack => state.iter_mut().rfind(|one| one.0 == TAKEN).unwrap().0 = 0,
            // What is in flight when its taker dies is dropped, too.
            Drain | ShutDown => state.clear(),
            Peek | Recover | Sweep => {}
        }
    }

    fn when_ended(state: &mut State) {
        for one in state {
            one.0 = 0;
        }
    }

    fn apply(&self, op: Op, given: &Given) {
        match op {
            Put(..) | Take | Done if self.is_closed() && self.unfinished() == 0 => {}
            Put(n, size) => self.try_put(&Datum::plain(&value_of(n, size))).unwrap(),
            PutHolding => {
                let leases = [given.inner.lease()];
                self.try_put(&Datum { holds: &leases, ..Datum::plain(&given.handle) }).unwrap();
            }
            Take => drop(take(self).unwrap()),
            Peek => assert!(self.peek(&mut Vec::new()).unwrap().is_some()),
            Done => self.done(&oldest()).unwrap().unwrap(),
            DoneNewest => self.done(&newest()).unwrap().unwrap(),
            GiveBack => self.give_back(&newest()).unwrap().unwrap(),
            Recover => drop(self.recover().unwrap()),
            Drain => {
                while take(self).is_some() {}
                MINE.take().iter().for_each(|ticket| self.done(ticket).unwrap().unwrap());
            }
            ShutDown => self.shut_down_now().unwrap(),
            Sweep => self.family().sweep().unwrap(),
        }
    }
}

fn puts(from: u64, to: u64, size: usize) -> Vec<Op> {
    (from..to).map(|n| Put(n, size)).collect()
}

fn little() -> Vec<Op> {
    vec![
        Put(1, 30),
        Put(2, 3),
        Take,
        Put(3, 5000),
        PutHolding,
        Peek,
        Take,
        GiveBack,
        Take,
        Put(4, 40),
        Done,
        Take,
        Take,
        Done,
        Done,
        GiveBack,
        Take,
        Done,
    ]
}

/// What another one had comes back first. It was killed when it had taken so many.
fn takes(n: usize) -> Vec<Op> {
    [vec![Recover], vec![Take; n], vec![Done; 2], vec![Take], vec![GiveBack]].concat()
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
        name: "the end of a chunk",
        before: || puts(0, 166, 7),
        played: || [puts(0, 4, 1), vec![Take; 169], vec![Done; 170 - 1]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "chunks that are not kept",
        before: || puts(0, 510, 2),
        played: || [vec![Take; 400], vec![Done; 338]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "a sparse heap",
        before: || puts(0, 60, 1000),
        played: || {
            let mut all = Vec::new();
            for n in 0..60 {
                all.push(Take);
                if n % 9 != 0 {
                    all.push(DoneNewest);
                }
            }
            [all, puts(0, 4, 10)].concat()
        },
        ..PLAIN
    },
    Scenario {
        name: "long values",
        before: || puts(0, 4, LONG),
        played: || vec![Take, Put(0, LONG), Peek, Take, Done, Done],
        ..PLAIN
    },
    Scenario {
        name: "all is dropped",
        before: || puts(0, 180, 30),
        played: || [vec![Take; 3], vec![ShutDown, Done]].concat(),
        ..PLAIN
    },
    Scenario {
        name: "one comes back",
        before: || puts(0, 10, 30),
        played: || takes(3),
        victim: "delivery.ending:1",
        own: false,
    },
    Scenario {
        name: "many come back",
        before: || puts(0, 500, 30),
        played: || takes(400),
        victim: "delivery.ending:2",
        own: false,
    },
    Scenario {
        name: "somebody was killed who brought many back",
        before: || puts(0, 340, 9),
        played: || [takes(338), vec![Sweep]].concat(),
        victim: "delivery.ending:1",
        own: false,
    },
    Scenario { name: "after a half step", victim: "step.half_applied:3", ..PLAIN },
    Scenario {
        name: "after a block",
        victim: "step.block_given:1",
        played: || [vec![Sweep], little(), vec![Sweep]].concat(),
        ..PLAIN
    },
];
