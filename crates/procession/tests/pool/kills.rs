//! Workers are killed at random instants, under load.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procession::pool::TaskOptions;
use procession::{Pool, Queue, TaskError};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![killed_at_random, killed_at_random_and_tried_again];

fn kills() -> u64 {
    if std::env::var_os("PROCESSION_LONG").is_some() { 1000 } else { 50 }
}

/// A sequence that is different in each run, and can be had again.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = std::env::var("PROCESSION_SEED").ok().and_then(|text| text.parse().ok());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = seed.unwrap_or(now.as_nanos() as u64 | 1);
        println!("PROCESSION_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Kills workers of the pool until so many are killed, then says that it is over.
fn killer(pool: &Pool, over: &AtomicBool) {
    let (mut random, mut killed) = (Random::new(), HashSet::new());
    while (killed.len() as u64) < kills() {
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let workers = pool.stats().workers;
        let pid = workers[random.below(workers.len() as u64) as usize].pid;
        if let Some(pid) = Pid::from_raw(pid.cast_signed())
            && !killed.contains(&pid)
            && kill_process(pid, Signal::KILL).is_ok()
        {
            killed.insert(pid);
        }
    }
    over.store(true, Ordering::Relaxed);
}

/// Notes that it was begun, works a little, and gives results of all sizes.
fn work((log, n): (Queue<u64>, u64)) -> (u64, String) {
    log.put(n).unwrap();
    let length = match n % 50 {
        0 => 200_000,
        1..10 => 5000,
        _ => n as usize % 20,
    };
    let spin = (0..n % 1000).fold(n, |h, i| std::hint::black_box(h.rotate_left(5) ^ i));
    std::hint::black_box(spin);
    (n, "x".repeat(length))
}

/// Runs calls until the killer is done; gives how often each item was begun, and its outcome.
fn run(pool: &Pool, retries: u32) -> (BTreeMap<u64, u64>, BTreeMap<u64, Result<(), TaskError>>) {
    let over = AtomicBool::new(false);
    let log: Queue<u64> = Queue::unbounded().unwrap();
    let (mut begun, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
    let note = |begun: &mut BTreeMap<u64, u64>| {
        while let Ok(n) = log.try_get() {
            *begun.entry(n).or_default() += 1;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| killer(pool, &over));
        let items = (0..).take_while(|_| !over.load(Ordering::Relaxed));
        let calls = pool.with(TaskOptions::new().retries(retries));
        for (n, outcome) in calls.map_unordered(work, items.map(|n| (log.clone(), n))) {
            let n = n as u64;
            let outcome = outcome.map(|(same, _)| assert_eq!(same, n));
            assert!(outcomes.insert(n, outcome).is_none(), "item {n} has two outcomes");
            if n.is_multiple_of(256) {
                note(&mut begun);
            }
        }
    });
    note(&mut begun);
    let items = outcomes.len() as u64;
    assert!(outcomes.keys().copied().eq(0..items), "an item has no outcome");
    (begun, outcomes)
}

fn killed_at_random() {
    let pool = Pool::new(2).unwrap();
    let (begun, outcomes) = run(&pool, 0);
    let mut lost = 0;
    for (n, outcome) in &outcomes {
        match outcome {
            Ok(()) => assert_eq!(begun.get(n), Some(&1), "item {n}"),
            Err(TaskError::WorkerLost { .. }) => {
                lost += 1;
                assert!(begun.get(n).is_none_or(|&times| times == 1), "item {n}");
            }
            Err(other) => panic!("item {n}: {other}"),
        }
    }
    let stats = pool.stats();
    assert!(
        lost <= kills() && stats.lost == lost,
        "{lost} lost, {} as the pool counts",
        stats.lost
    );
    assert!(stats.started >= kills());
    println!("{} items, {lost} lost, {} processes", outcomes.len(), stats.started);
}

fn killed_at_random_and_tried_again() {
    let pool = Pool::new(2).unwrap();
    let (begun, outcomes) = run(&pool, 1000);
    assert!(outcomes.values().all(Result::is_ok));
    let again: u64 = begun.values().map(|times| times - 1).sum();
    let stats = pool.stats();
    assert!(again <= stats.retried && stats.retried <= kills(), "{again}, {}", stats.retried);
}
