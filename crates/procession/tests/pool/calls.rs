//! What calls give.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use procession::pool::TaskOptions;
use procession::{Pool, Queue, SharedDict, TaskError};
use serde::{Deserialize, Serialize};

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    a_map_is_ordered,
    a_map_of_nothing,
    many_small_ones,
    large_ones,
    imap_is_ordered,
    unordered_gives_each_once,
    structs_travel,
    the_iterator_is_taken_lazily,
    an_endless_iterator,
    a_slow_iterator_delays_no_result,
    a_stream_that_is_dropped,
    an_iterator_that_panics,
    an_iterator_that_waits_holds_up_nobody,
    what_may_be_shared,
    submitted_ones,
    timeouts_of_waiting,
    a_result_is_given_once,
    cancelled_before_it_began,
    a_scope_waits,
    a_scope_tells_failures,
    a_scope_that_panics_waits,
    handles_in_arguments_and_results,
    threads_share_a_pool,
    nobody_waits,
    nested_pools,
    statistics,
    limits_of_chunks,
    debug_says_something,
];

fn double(n: u64) -> u64 {
    2 * n
}

fn a_map_is_ordered() {
    let pool = Pool::new(2).unwrap();
    let expected: Vec<u64> = (0..1000).map(double).collect();
    assert_eq!(pool.map(double, 0..1000).unwrap(), expected);
    assert_eq!(pool.map(|n: i32| n - 1, [3, 2]).unwrap(), [2, 1]);
}

fn a_map_of_nothing() {
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.map(double, []).unwrap(), []);
    assert_eq!(pool.imap(double, []).count(), 0);
    assert_eq!(pool.map_unordered(double, []).count(), 0);
    assert_eq!(pool.scope(|_| 7).unwrap(), 7);
}

fn many_small_ones() {
    let pool = Pool::new(2).unwrap();
    let all = pool.map(double, 0..100_000).unwrap();
    assert!(all.into_iter().eq((0..100_000).map(double)));
    // They went in runs.
    assert!(pool.stats().workers.iter().map(|worker| worker.chunks).sum::<u64>() < 10_000);
    let sum: u64 = pool.map_unordered(double, 0..100_000).map(|(_, n)| n.unwrap()).sum();
    assert_eq!(sum, (0..100_000).map(double).sum());
    assert_eq!(pool.stats().done, 200_000);
}

fn letters((letter, n): (char, usize)) -> String {
    std::iter::repeat_n(letter, n).collect()
}

fn large_ones() {
    let pool = Pool::new(2).unwrap();
    // Around each bound: of what is logged, of what is inline, of what needs a block.
    let sizes = [0, 1, 126, 127, 128, 4090, 4096, 4100, 16_000, 32_700, 32_800, 1 << 20, 9 << 20];
    let items: Vec<_> = sizes.iter().map(|&n| ('x', n)).collect();
    let got = pool.map(letters, items).unwrap();
    assert!(got.iter().map(String::len).eq(sizes), "{:?}", got.iter().map(String::len));
    let texts: Vec<String> = sizes.iter().map(|&n| letters(('y', n))).collect();
    assert!(pool.map(|text: String| text.len(), texts).unwrap().into_iter().eq(sizes));
}

fn imap_is_ordered() {
    let pool = Pool::new(2).unwrap();
    // The first ones take the longest.
    fn late(n: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(20 - 2 * n));
        n
    }
    let single = pool.with(TaskOptions::new().chunk(1));
    assert!(single.imap(late, 0..10).map(Result::unwrap).eq(0..10));
}

fn unordered_gives_each_once() {
    let pool = Pool::new(2).unwrap();
    let mut seen = BTreeMap::new();
    for (item, result) in pool.map_unordered(|n: usize| n * n, 0..5000) {
        assert_eq!(seen.insert(item, result.unwrap()), None);
    }
    assert!(seen.into_iter().eq((0..5000).map(|n| (n, n * n))));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: f64 },
    Polygon(Vec<(i32, i32)>),
}

fn structs_travel() {
    let pool = Pool::new(1).unwrap();
    let all = [Shape::Point, Shape::Circle { radius: 1.5 }, Shape::Polygon(vec![(1, 2), (3, -4)])];
    assert_eq!(pool.map(|shape: Shape| shape, all.clone()).unwrap(), all);
    assert_eq!(pool.map(|(): ()| (), [(), ()]).unwrap(), [(), ()]);
    let name: Option<String> = pool.submit(|name: Option<String>| name, None).join().unwrap();
    assert_eq!(name, None);
}

/// An iterator that says how many were taken.
fn counted(taken: &Arc<AtomicUsize>) -> impl Iterator<Item = usize> + use<> {
    let taken = Arc::clone(taken);
    (0..).inspect(move |_| {
        taken.fetch_add(1, Ordering::Relaxed);
    })
}

fn the_iterator_is_taken_lazily() {
    let pool = Pool::new(2).unwrap();
    let few = pool.with(TaskOptions::new().ahead(10));
    let taken = Arc::new(AtomicUsize::new(0));
    let mut results = few.imap(|n: usize| n, counted(&taken));
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    for n in 0..100 {
        assert_eq!(results.next().unwrap().unwrap(), n);
        let ahead = taken.load(Ordering::Relaxed) - n;
        assert!(ahead <= 21, "{ahead} taken ahead of {n}"); // ten, and those that wait to be given
    }
}

fn an_endless_iterator() {
    let pool = Pool::new(2).unwrap();
    let firsts: Vec<_> = pool.imap(double, 0..).take(3000).map(Result::unwrap).collect();
    assert!(firsts.into_iter().eq((0..3000).map(double)));
    let some: Vec<_> = pool.map_unordered(double, 0..).take(3000).collect();
    assert!(some.iter().all(|(item, result)| *result.as_ref().unwrap() == 2 * *item as u64));
}

fn a_slow_iterator_delays_no_result() {
    let pool = Pool::new(1).unwrap();
    pool.map(double, 0..10_000).unwrap(); // it knows that items are fast
    let begun = Instant::now();
    let slow = (0..).inspect(|_| std::thread::sleep(Duration::from_millis(20)));
    assert_eq!(pool.imap(double, slow).take(5).filter_map(Result::ok).count(), 5);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

fn a_stream_that_is_dropped() {
    let pool = Pool::new(2).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let items = std::iter::repeat_n(log.clone(), 1000);
    let slow = |log: Queue<u32>| {
        log.put(1).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    };
    let single = pool.with(TaskOptions::new().chunk(1));
    let mut results = single.map_unordered(slow, items);
    results.next().unwrap().1.unwrap();
    drop(results);
    pool.wait().unwrap();
    let begun = log.len();
    assert!(begun < 100, "{begun} were begun");
    assert_eq!(pool.map(double, [1]).unwrap(), [2]);
    assert_eq!(log.len(), begun);
}

fn an_iterator_that_panics() {
    let pool = Pool::new(1).unwrap();
    let bad = (0..100).map(|n| if n == 50 { panic!("no more") } else { n });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.map(double, bad)));
    assert!(caught.is_err());
    pool.wait().unwrap();
    assert_eq!(pool.map(double, [1]).unwrap(), [2]);
}

fn an_iterator_that_waits_holds_up_nobody() {
    let pool = Pool::new(1).unwrap();
    let (feed, items) = std::sync::mpsc::channel::<u64>();
    let log: Queue<u64> = Queue::unbounded().unwrap();
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| pool.imap(double, items).map(Result::unwrap).sum::<u64>());
        feed.send(1).unwrap();
        // More than may be under way, which nobody waits for, while that thread waits for an item.
        for n in 0..3000 {
            let task = |(log, n): (Queue<u64>, u64)| log.put(n).unwrap();
            drop(pool.submit(task, (log.clone(), n)));
        }
        for _ in 0..3000 {
            log.get_timeout(Duration::from_secs(20)).unwrap();
        }
        feed.send(2).unwrap();
        drop(feed);
        assert_eq!(stream.join().unwrap(), 6);
    });
}

fn what_may_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Pool>();
    shared::<procession::Task<Cell<u32>>>();
    shared::<TaskError>();
    fn sent<T: Send>(_: &T) {}
    sent(&Pool::new(1).unwrap().imap(double, 0..3));
}

fn submitted_ones() {
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<_> = (0..5000).map(|n| pool.submit(double, n)).collect();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.join().unwrap(), 2 * n);
    }
    let text = pool.submit(|(a, b): (String, char)| format!("{a}{b}"), ("ab".into(), 'c'));
    assert_eq!(text.join().unwrap(), "abc");
}

fn timeouts_of_waiting() {
    let pool = Pool::new(1).unwrap();
    let gate: Queue<u32> = Queue::unbounded().unwrap();
    let mut task = pool.submit(|gate: Queue<u32>| gate.get().unwrap(), gate.clone());
    assert!(task.try_join().is_none() && !task.is_done());
    assert!(task.join_timeout(Duration::from_millis(20)).is_none());
    assert!(!pool.wait_timeout(Duration::from_millis(20)).unwrap());
    gate.put(5).unwrap();
    assert_eq!(task.join_timeout(Duration::MAX).unwrap().unwrap(), 5);
    assert!(task.is_done() && pool.wait_timeout(Duration::ZERO).unwrap());
}

fn a_result_is_given_once() {
    let pool = Pool::new(1).unwrap();
    let mut task = pool.submit(double, 4);
    pool.wait().unwrap();
    assert_eq!(task.try_join().unwrap().unwrap(), 8);
    assert!(matches!(task.try_join(), Some(Err(TaskError::Taken))));
    assert!(matches!(task.join(), Err(TaskError::Taken)));
}

fn cancelled_before_it_began() {
    let pool = Pool::new(1).unwrap();
    let gate: Queue<u32> = Queue::unbounded().unwrap();
    let first = pool.submit(|gate: Queue<u32>| gate.get().unwrap(), gate.clone());
    let rest: Vec<_> = (0..100)
        .map(|n| {
            pool.submit(|(gate, n): (Queue<u32>, u32)| gate.put(n).unwrap(), (gate.clone(), n))
        })
        .collect();
    for task in &rest {
        task.cancel();
    }
    gate.put(1000).unwrap();
    assert_eq!(first.join().unwrap(), 1000);
    let cancelled = rest.into_iter().map(procession::Task::join);
    let done = cancelled.filter(|outcome| !matches!(outcome, Err(TaskError::Cancelled))).count();
    assert_eq!(gate.len(), done as u64);
    assert_eq!(done, 0);
}

fn a_scope_waits() {
    let pool = Pool::new(2).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let kept = pool.scope(|scope| {
        for n in 0..20 {
            let _ = scope.submit(
                |(log, n): (Queue<u32>, u32)| {
                    std::thread::sleep(Duration::from_millis(1));
                    log.put(n).unwrap();
                },
                (log.clone(), n),
            );
        }
        scope.submit(double, 3).join().unwrap()
    });
    assert_eq!(kept.unwrap(), 6);
    assert_eq!(log.len(), 20);
}

fn fails(_: u32) -> u32 {
    panic!("on purpose")
}

fn a_scope_tells_failures() {
    let pool = Pool::new(1).unwrap();
    let told = pool.scope(|scope| drop(scope.submit(fails, 1)));
    assert!(matches!(told, Err(TaskError::Panicked { .. })), "{told:?}");
    let taken = pool.scope(|scope| scope.submit(fails, 1).join().is_err());
    assert!(taken.unwrap());
}

fn a_scope_that_panics_waits() {
    let pool = Pool::new(1).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let body = || {
        pool.scope(|scope| {
            let slow = |log: Queue<u32>| {
                std::thread::sleep(Duration::from_millis(50));
                log.put(1).unwrap();
            };
            let _ = scope.submit(slow, log.clone());
            panic!("the body's");
        })
    };
    let caught: Result<Result<(), _>, _> =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "the body's");
    assert_eq!(log.len(), 1);
}

fn handles_in_arguments_and_results() {
    let pool = Pool::new(2).unwrap();
    let dict: SharedDict<u32, Queue<String>> = SharedDict::new().unwrap();
    let make = |(dict, n): (SharedDict<u32, Queue<String>>, u32)| {
        let queue = Queue::unbounded().unwrap();
        queue.put(format!("from {n}")).unwrap();
        dict.insert(&n, &queue).unwrap();
        queue
    };
    let items = (0..50).map(|n| (dict.clone(), n));
    let queues: Vec<Queue<String>> = pool.map(make, items).unwrap();
    drop(pool); // whoever made them is gone
    for (n, queue) in (0..).zip(&queues) {
        assert_eq!(queue.get().unwrap(), format!("from {n}"));
        assert!(dict.get(&n).unwrap().unwrap().is_empty());
    }
}

fn threads_share_a_pool() {
    let pool = Pool::new(2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..20 {
                    let first = thread * 1000 + round;
                    let expected: Vec<_> = (first..first + 300).map(double).collect();
                    match round % 3 {
                        0 => assert_eq!(pool.map(double, first..first + 300).unwrap(), expected),
                        1 => assert_eq!(pool.submit(double, first).join().unwrap(), expected[0]),
                        _ => {
                            let all = pool.imap(double, first..first + 300);
                            assert!(all.map(Result::unwrap).eq(expected));
                        }
                    }
                }
            });
        }
    });
}

fn nobody_waits() {
    let pool = Pool::new(2).unwrap();
    let log: Queue<u64> = Queue::unbounded().unwrap();
    // More than may be under way: somebody must send the later ones, though nobody waits for them.
    for n in 0..3000 {
        let task = |(log, n): (Queue<u64>, u64)| log.put(n).unwrap();
        drop(pool.submit(task, (log.clone(), n)));
    }
    let mut got: Vec<u64> =
        (0..3000).map(|_| log.get_timeout(Duration::from_secs(20)).unwrap()).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..3000));
}

fn inner_sum(n: u64) -> u64 {
    let pool = Pool::new(2).unwrap();
    pool.map(double, 0..n).unwrap().into_iter().sum()
}

fn nested_pools() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(inner_sum, [3, 4, 5]).unwrap(), [6, 12, 20]);
}

fn statistics() {
    let pool = Pool::builder().workers(2).name("counted").build().unwrap();
    let gate: Queue<u32> = Queue::unbounded().unwrap();
    let task = pool.submit(|gate: Queue<u32>| gate.get().unwrap(), gate.clone());
    let line = line!() - 1;
    let at_it = loop {
        let stats = pool.stats();
        if let Some(worker) = stats.workers.iter().find(|worker| worker.task.is_some()) {
            break (worker.clone(), stats.calls.clone());
        }
        std::thread::yield_now();
    };
    let (worker, calls) = at_it;
    let id = worker.task.unwrap();
    assert!(id.caller.file().ends_with("calls.rs") && id.caller.line() == line && id.item == 0);
    assert_eq!(id.to_string(), format!("task of {}:{line}", id.caller.file()));
    assert!(worker.pid != 0 && calls.len() == 1 && calls[0].done == 0 && calls[0].taken == 1);
    gate.put(1).unwrap();
    task.join().unwrap();
    let _ = pool.map(|n: u32| assert!(n != 3), 0..4);
    let stats = pool.stats();
    assert_eq!((stats.failed, stats.lost, stats.started), (1, 0, 2));
    assert!(stats.done >= 1 && stats.calls.is_empty());
    let name = procession::Family::current().unwrap().stats();
    assert!(name.participants.iter().any(|member| member.name.starts_with("counted-")));
}

fn limits_of_chunks() {
    let pool = Pool::new(1).unwrap();
    pool.with(TaskOptions::new().chunk(7)).map(double, 0..70).unwrap();
    assert!(pool.stats().workers[0].chunks >= 10);
}

fn debug_says_something() {
    let pool = Pool::new(1).unwrap();
    let task = pool.submit(double, 1);
    let stream = pool.imap(double, 0..3);
    for text in [
        format!("{pool:?}"),
        format!("{task:?}"),
        format!("{stream:?}"),
        format!("{:?}", Pool::builder()),
    ] {
        assert!(text.len() > 10 && !text.contains("0x"), "{text}");
    }
    drop(stream);
    task.join().unwrap();
}
