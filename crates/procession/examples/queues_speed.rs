//! How fast the stack and the queue by priority are beside the plain queue, for numbers: to and fro in one
//! process, in bulk, from one process to another, and among eight. `queues_speed [rounds [case]]`: each round does
//! all three one after the other, and what counts is the ratio within a round: its median, and from where to
//! where it goes.

use std::num::NonZeroU64;
use std::process::Child;
use std::time::Instant;

use procession::{LifoQueue, PriorityQueue, Queue};

mod support;

/// Messages of one measurement.
const N: u64 = 300_000;
const BULK: u64 = 100_000;
const MANY: u64 = 4;
const KINDS: [&str; 3] = ["queue", "lifo", "priority"];
type Case = fn(&str) -> Result<u64, Failure>;

const CASES: [(&str, Case); 6] = [
    ("one process, put and get", to_and_fro),
    ("one process, a backlog of 100,000", in_bulk),
    ("1 to 1, unbounded", |kind| between(kind, 1, 0)),
    ("1 to 1, at most 1,000", |kind| between(kind, 1, 1000)),
    ("1 to 1, at most 1,000,000", |kind| between(kind, 1, 1_000_000)),
    ("4 to 4, at most 1,000", |kind| between(kind, MANY, 1000)),
];

type Failure = Box<dyn std::error::Error>;

/// One of the three.
trait Ends {
    fn put(&self, n: u64) -> Result<(), Failure>;
    fn get(&self) -> Result<u64, Failure>;
    fn handle(&self) -> Vec<u8>;
}

macro_rules! ends {
    ($($type:ident)*) => { $(
        impl Ends for $type<u64> {
            fn put(&self, n: u64) -> Result<(), Failure> {
                Ok($type::put(self, n)?)
            }
            fn get(&self) -> Result<u64, Failure> {
                Ok($type::get(self)?)
            }
            fn handle(&self) -> Vec<u8> {
                $type::handle(self)
            }
        }
    )* };
}
ends!(Queue LifoQueue PriorityQueue);

fn create(kind: &str, capacity: u64) -> Result<Box<dyn Ends>, Failure> {
    let Some(capacity) = NonZeroU64::new(capacity).map(NonZeroU64::get) else {
        return Ok(match kind {
            "lifo" => Box::new(LifoQueue::unbounded()?),
            "priority" => Box::new(PriorityQueue::unbounded()?),
            _ => Box::new(Queue::unbounded()?),
        });
    };
    Ok(match kind {
        "lifo" => Box::new(LifoQueue::bounded(capacity)?),
        "priority" => Box::new(PriorityQueue::bounded(capacity)?),
        _ => Box::new(Queue::bounded(capacity)?),
    })
}

fn open(kind: &str, handle: &[u8]) -> Result<Box<dyn Ends>, Failure> {
    Ok(match kind {
        "lifo" => Box::new(LifoQueue::from_handle(handle)?),
        "priority" => Box::new(PriorityQueue::from_handle(handle)?),
        _ => Box::new(Queue::from_handle(handle)?),
    })
}

/// Numbers in no order.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn to_and_fro(kind: &str) -> Result<u64, Failure> {
    let q = create(kind, 0)?;
    let start = Instant::now();
    for n in 0..N {
        q.put(scattered(n))?;
        assert_eq!(q.get()?, scattered(n));
    }
    Ok(start.elapsed().as_nanos() as u64 / N)
}

fn in_bulk(kind: &str) -> Result<u64, Failure> {
    let q = create(kind, 0)?;
    let start = Instant::now();
    (0..BULK).try_for_each(|n| q.put(scattered(n)))?;
    for _ in 0..BULK {
        q.get()?;
    }
    Ok(start.elapsed().as_nanos() as u64 / BULK)
}

/// So many processes put, and as many take, this one among them.
fn between(kind: &str, pairs: u64, capacity: u64) -> Result<u64, Failure> {
    let (q, ready, go) = (create(kind, capacity)?, Queue::unbounded()?, Queue::unbounded()?);
    let handles = [q.handle(), Ends::handle(&ready), Ends::handle(&go)];
    let each = N / pairs;
    let start_one = |role: &str| -> Result<Child, Failure> {
        Ok(support::again(&format!("{kind} {role} {each}"), &handles)?.spawn()?)
    };
    let mut others: Vec<Child> = Vec::new();
    for i in 0..pairs {
        others.push(start_one("put")?);
        if i > 0 {
            others.push(start_one("get")?);
        }
    }
    for _ in &others {
        Queue::<u64>::get(&ready)?;
    }
    let start = Instant::now();
    for _ in &others {
        Queue::put(&go, 0)?;
    }
    for _ in 0..each {
        q.get()?;
    }
    for other in &mut others {
        assert!(other.wait()?.success());
    }
    Ok(start.elapsed().as_nanos() as u64 / (each * pairs))
}

/// What another process does.
fn play(role: &str, handles: &[Vec<u8>]) -> Result<(), Failure> {
    let [kind, role, each] = role.split(' ').collect::<Vec<_>>()[..] else {
        return Err("no such role".into());
    };
    let (q, each) = (open(kind, &handles[0])?, each.parse()?);
    Queue::from_handle(&handles[1])?.put(0u64)?;
    Queue::<u64>::from_handle(&handles[2])?.get()?;
    match role {
        "put" => (0..each).try_for_each(|n| q.put(scattered(n))),
        _ => (0..each).try_for_each(|_| q.get().map(drop)),
    }
}

/// The middle one, the least and the most.
fn spread<T: PartialOrd + Copy>(mut all: Vec<T>) -> (T, T, T) {
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    (all[all.len() / 2], all[0], all[all.len() - 1])
}

fn main() -> Result<(), Failure> {
    if let Some((role, handles)) = support::role() {
        return play(&role, &handles);
    }
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3).max(1);
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for (name, case) in CASES.iter().filter(|case| case.0.contains(&wanted)) {
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (kind, times) in KINDS.iter().zip(&mut times) {
                times.push(case(kind)?);
            }
        }
        println!("{name}:");
        for (kind, all) in KINDS.iter().zip(&times) {
            let ratios = all.iter().zip(&times[0]).map(|(a, b)| *a as f64 / *b as f64).collect();
            let ((ns, least, most), (ratio, low, high)) = (spread(all.clone()), spread(ratios));
            println!(
                "  {kind:8} {ns:6} ns ({least} to {most}), {ratio:.2} times ({low:.2} to {high:.2})"
            );
        }
    }
    Ok(())
}
