//! How fast the three kinds of queue are: to and fro in one process, in bulk, and from one process to
//! another. `queues_speed [rounds]`: each round does all of it, so that they are compared side by side.

use std::time::Instant;

use procession::{LifoQueue, PriorityQueue, Queue};

mod support;

const N: u64 = 300_000;
const BULK: u64 = 100_000;

type Failure = Box<dyn std::error::Error>;

fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// One kind of queue: a name, and how it is put and got.
macro_rules! kind {
    ($name:literal, $queue:expr) => {{
        let q = $queue;
        let start = Instant::now();
        for n in 0..N {
            q.put(scattered(n))?;
            assert_eq!(q.get()?, scattered(n));
        }
        let to_and_fro = start.elapsed().as_nanos() as u64 / N;
        let start = Instant::now();
        (0..BULK).try_for_each(|n| q.put(scattered(n)))?;
        let filled = start.elapsed().as_nanos() as u64 / BULK;
        let start = Instant::now();
        for _ in 0..BULK {
            q.get()?;
        }
        let emptied = start.elapsed().as_nanos() as u64 / BULK;
        println!("{}: put and get {to_and_fro} ns; {BULK} put {filled}, got {emptied} ns", $name);
        let start = Instant::now();
        let mut other = support::again($name, &[q.handle()])?.spawn()?;
        let mut sum = 0u64;
        for _ in 0..N {
            sum = sum.wrapping_add(q.get()?);
        }
        let each = start.elapsed().as_nanos() as u64 / N;
        assert!(other.wait()?.success());
        assert_eq!(sum, (0..N).fold(0u64, |sum, n| sum.wrapping_add(scattered(n))));
        println!("{}: from a process to another {each} ns", $name);
    }};
}

/// The other process's part.
macro_rules! producer {
    ($queue:expr) => {{
        let q = $queue;
        (0..N).try_for_each(|n| q.put(scattered(n)))?;
        return Ok(());
    }};
}

fn main() -> Result<(), Failure> {
    if let Some((kind, handles)) = support::role() {
        match &kind[..] {
            "fifo" => producer!(Queue::from_handle(&handles[0])?),
            "lifo" => producer!(LifoQueue::from_handle(&handles[0])?),
            _ => producer!(PriorityQueue::from_handle(&handles[0])?),
        }
    }
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3);
    for _ in 0..rounds {
        kind!("fifo", Queue::bounded(1 << 20)?);
        kind!("lifo", LifoQueue::bounded(1 << 20)?);
        kind!("priority", PriorityQueue::bounded(1 << 20)?);
    }
    Ok(())
}
