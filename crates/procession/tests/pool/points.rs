//! A worker is killed at each crash point that a pool passes, in calls whose items and results are of all
//! kinds.

use std::collections::{BTreeMap, BTreeSet};

use procession::{Pool, Queue, TaskError, fault};

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] =
    tests![killed_at_each_point, killed_when_it_has_said_that_it_leaves];

const ITEMS: u64 = 60;

/// The first worker that comes is to be killed.
fn prepare((victim, plan): (Queue<String>, String)) {
    if victim.try_get().is_ok() {
        fault::arm(&plan);
    }
}

/// Notes that it was begun; the results are small, long, very long, and with a handle inside.
fn work((log, n, _): (Queue<u64>, u64, String)) -> (String, Option<Queue<u64>>) {
    log.put(n).unwrap();
    let length = [3, 3, 5000, 3, 60_000, 3][n as usize % 6];
    ("x".repeat(length), (n % 10 == 7).then_some(log))
}

fn killed_at_each_point() {
    let mut passed = BTreeSet::new();
    for &point in fault::POINTS {
        for pass in [1, 7] {
            if kill_at(&format!("{point}:{pass}")) {
                passed.insert(point);
            }
        }
    }
    for point in ["intended", "started", "logged", "run_ended", "flushed", "reported", "finished"] {
        assert!(passed.contains(format!("pool.{point}").as_str()), "pool.{point}: {passed:?}");
    }
}

/// Says whether a worker was killed.
fn kill_at(plan: &str) -> bool {
    let victim = Queue::unbounded().unwrap();
    victim.put(plan.to_owned()).unwrap();
    let pool = Pool::builder().workers(1).initializer(prepare, (victim, plan.to_owned()));
    let pool = pool.build().unwrap();
    let log: Queue<u64> = Queue::unbounded().unwrap();
    let item = |n| (log.clone(), n, "y".repeat(if n % 7 == 3 { 40_000 } else { 2 }));
    let (mut outcomes, mut lost) = (BTreeMap::new(), 0);
    for (n, outcome) in pool.map_unordered(work, (0..ITEMS).map(item)) {
        let is_lost = match &outcome {
            Ok((text, queue)) => {
                assert!(text.len() >= 3 && queue.is_some() == (n % 10 == 7), "{plan}: item {n}");
                false
            }
            Err(TaskError::WorkerLost { .. }) => true,
            Err(other) => panic!("{plan}: item {n}: {other}"),
        };
        lost += u64::from(is_lost);
        assert!(outcomes.insert(n as u64, is_lost).is_none(), "{plan}: item {n} twice");
    }
    assert!(outcomes.keys().copied().eq(0..ITEMS), "{plan}: an item has no outcome");
    let mut begun = BTreeMap::<u64, u64>::new();
    while let Ok(n) = log.try_get() {
        *begun.entry(n).or_default() += 1;
    }
    for (n, is_lost) in outcomes {
        let times = begun.get(&n).copied().unwrap_or(0);
        assert!(times == 1 || (is_lost && times == 0), "{plan}: item {n} was begun {times} times");
    }
    assert!(lost <= 1, "{plan}: {lost} items were lost");
    let stats = pool.stats();
    drop(pool);
    stats.started > 1
}

/// The sixth thing that a worker of five items logs is that it leaves the rest of its task.
fn killed_when_it_has_said_that_it_leaves() {
    for pass in 1..=8 {
        let victim = Queue::unbounded().unwrap();
        let plan = format!("pool.logged:{pass}");
        victim.put(plan.clone()).unwrap();
        let pool = Pool::builder().workers(1).max_tasks_per_worker(5);
        let pool = pool.initializer(prepare, (victim, plan.clone())).build().unwrap();
        // Nobody knows beforehand how many there are.
        let items = (0..20u64).filter(|_| true);
        let done: Vec<_> = pool.map_unordered(|n: u64| n, items).collect();
        assert_eq!(done.len(), 20, "{plan}");
        let lost = done.iter().filter(|(_, outcome)| outcome.is_err()).count();
        assert!(lost <= 1, "{plan}: {lost} items were lost");
    }
}
