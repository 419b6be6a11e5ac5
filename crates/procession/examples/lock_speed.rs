//! What it costs to lock a number, add one, and unlock it: a mutex of this crate beside the standard
//! library's, in one thread and in two. Rounds of both take turns.

use std::sync::Mutex as StdMutex;
use std::time::{Duration, Instant};

use procession::Mutex;

const ROUNDS: usize = 9;

fn timed(threads: usize, each: u64, act: impl Fn() + Sync) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| act()));
        }
    });
    let took: Duration = start.elapsed();
    took.as_secs_f64() * 1e9 / (each * threads as u64) as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let each = std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse())?;
    for threads in [1, 2] {
        let (ours, std) = (Mutex::new(&0u64)?, StdMutex::new(0u64));
        let mut figures = Vec::new();
        for _ in 0..ROUNDS {
            let here = timed(threads, each, || *ours.lock().unwrap() += 1);
            let there = timed(threads, each, || *std.lock().unwrap() += 1);
            figures.push((here / there, here, there));
        }
        figures.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, here, there) = figures[ROUNDS / 2];
        let (least, most) = (figures[0].0, figures[ROUNDS - 1].0);
        println!(
            "{threads} threads: {here:.0} ns, std {there:.0} ns; ratio {ratio:.1} ({least:.1} to {most:.1})"
        );
        assert_eq!(*ours.lock()?, each * (threads * ROUNDS) as u64);
    }
    Ok(())
}
