//! How pools begin and end.

use std::time::{Duration, Instant};

use procession::pool::{Phase, RawPool};
use procession::sync::Ended;
use procession::{Family, Fork, Pool, PoolError, Process, Queue, TaskError, fork};

use crate::harness::{Test, children, tests};
use crate::loss::kill_self;

pub(crate) const TESTS: &[Test] = tests![
    as_many_workers_as_there_can_be,
    in_a_named_family,
    initializers,
    an_initializer_that_panics,
    an_initializer_that_dies,
    an_initializer_that_sometimes_dies,
    dropped_with_tasks_under_way,
    dropped_while_it_starts,
    joined,
    threads_that_wait_learn_of_the_end,
    killed_owners_take_their_workers_along,
    nested_pools_go_with_the_worker,
    a_fork_of_the_owner,
    locks_tell_who_died,
    two_hundred_pools,
];

fn as_many_workers_as_there_can_be() {
    assert!(matches!(Pool::new(0), Err(PoolError::Workers(0))));
    let most = RawPool::MAX_WORKERS as usize;
    assert!(matches!(Pool::new(most + 1), Err(PoolError::Workers(_))));
    assert!(Pool::builder().build().unwrap().workers() > 0);
    assert_eq!(Pool::new(5).unwrap().map(|n: u8| n, 0..9).unwrap().len(), 9);
}

/// In a process of its own, since whoever joins a family stays in it.
fn in_a_named_family() {
    Process::spawn(|(): ()| use_a_named_family(), ()).unwrap().join().unwrap();
}

fn use_a_named_family() {
    let name = format!("pool-test-{}", std::process::id());
    let family = Family::open(&name).unwrap();
    let pool = Pool::builder().workers(2).family(family).build().unwrap();
    let log: Queue<u64> = Queue::unbounded_in(family).unwrap();
    let items = (0..200).map(|n| (log.clone(), n));
    let put = |(log, n): (Queue<u64>, u64)| {
        log.put(n).unwrap();
        log
    };
    let all = pool.map(put, items).unwrap();
    assert!(all.iter().all(|same| same.len() == 200));
    assert_eq!(all[0].raw().family().id(), family.id());
}

static SETTING: std::sync::OnceLock<(String, Queue<u32>)> = std::sync::OnceLock::new();

fn set_up(setting: (String, Queue<u32>)) {
    setting.1.put(1).unwrap();
    SETTING.set(setting).unwrap();
}

fn initializers() {
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let pool = Pool::builder().workers(2).initializer(set_up, ("hello".into(), log.clone()));
    let pool = pool.max_tasks_per_worker(2).build().unwrap();
    let told = pool.map(|_: u32| SETTING.get().map(|it| it.0.clone()), 0..20).unwrap();
    assert!(told.iter().all(|it| it.as_deref() == Some("hello")));
    assert!(log.len() >= 10, "each of {} workers calls it", log.len());
}

fn broken(pool: &Pool) -> String {
    match pool.submit(|n: u32| n, 1).join() {
        Err(TaskError::Pool(PoolError::Broken(why))) => why,
        other => panic!("{other:?}"),
    }
}

fn an_initializer_that_panics() {
    let pool = Pool::builder().workers(2).initializer(|n: u32| panic!("number {n}"), 7);
    let pool = pool.build().unwrap();
    let why = broken(&pool);
    assert!(why.contains("initializer") && why.contains("number 7"), "{why}");
    assert!(why.contains("ends.rs"), "{why}");
    // It stays so, whatever is asked of it.
    assert!(matches!(pool.map(|n: u32| n, 0..3), Err(TaskError::Pool(PoolError::Broken(_)))));
    assert!(pool.map_unordered(|n: u32| n, 0..3).next().unwrap().1.is_err());
    assert!(matches!(pool.wait(), Err(PoolError::Broken(_))));
    assert!(pool.stats().started < 20);
}

fn an_initializer_that_dies() {
    let pool = Pool::builder().workers(1).initializer(|(): ()| kill_self(), ()).build().unwrap();
    let why = broken(&pool);
    assert!(why.contains("signal 9"), "{why}");
}

fn seldom(tries: Queue<u32>) {
    tries.put(0).unwrap();
    if !tries.len().is_multiple_of(3) {
        std::process::exit(1);
    }
}

fn an_initializer_that_sometimes_dies() {
    let tries: Queue<u32> = Queue::unbounded().unwrap();
    let pool = Pool::builder().workers(2).initializer(seldom, tries.clone()).build().unwrap();
    assert_eq!(pool.map(|n: u32| n, 0..100).unwrap().len(), 100);
    assert!(tries.len() >= 3);
}

fn gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']) || rest.is_empty())
}

/// Waits for something that others do.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn hang(log: Queue<u32>) {
    log.put(std::process::id()).unwrap();
    std::thread::sleep(Duration::MAX);
}

fn dropped_with_tasks_under_way() {
    let pool = Pool::new(2).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let tasks: Vec<_> = (0..1000).map(|_| pool.submit(hang, log.clone())).collect();
    let pids = [log.get().unwrap(), log.get().unwrap()];
    let begun = Instant::now();
    drop(pool);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(pids.iter().all(|&pid| gone(pid)) && children().is_empty());
    for task in tasks {
        assert!(matches!(task.join(), Err(TaskError::Pool(PoolError::Closed))));
    }
    assert!(log.is_empty(), "what was not begun was begun");
}

fn dropped_while_it_starts() {
    for _ in 0..5 {
        drop(Pool::new(3).unwrap());
    }
    assert!(children().is_empty());
}

fn joined() {
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<_> = (0..500).map(|n| pool.submit(|n: u64| n + 1, n)).collect();
    pool.join().unwrap();
    assert!(children().is_empty());
    assert!(tasks.into_iter().map(|task| task.join().unwrap()).eq(1..=500));
}

fn threads_that_wait_learn_of_the_end() {
    let pool = Pool::new(1).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let task = pool.submit(hang, log.clone());
    let waits = std::thread::spawn(move || task.join());
    log.get().unwrap();
    drop(pool);
    assert!(matches!(waits.join().unwrap(), Err(TaskError::Pool(PoolError::Closed))));
}

/// Says who its workers are, and waits.
fn own(log: Queue<u32>) {
    let pool = Pool::new(3).unwrap();
    for _ in 0..3 {
        drop(pool.submit(hang, log.clone()));
    }
    std::thread::sleep(Duration::MAX);
}

fn killed_owners_take_their_workers_along() {
    for _ in 0..3 {
        let log: Queue<u32> = Queue::unbounded().unwrap();
        let owner = Process::spawn(own, log.clone()).unwrap();
        let pids: Vec<u32> = (0..3).map(|_| log.get().unwrap()).collect();
        assert!(pids.iter().all(|&pid| !gone(pid)));
        owner.kill().unwrap();
        until("the workers outlive their owner", || pids.iter().all(|&pid| gone(pid)));
        drop(owner);
    }
}

fn nested_pools_go_with_the_worker() {
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let pool = Pool::builder().workers(1).task_timeout(Duration::from_millis(300)).build().unwrap();
    let outcome = pool.submit(own, log.clone()).join();
    assert!(matches!(outcome, Err(TaskError::TimedOut { .. })), "{outcome:?}");
    let pids: Vec<u32> = std::iter::from_fn(|| log.try_get().ok()).collect();
    until("the inner workers go on", || pids.iter().all(|&pid| gone(pid)));
}

fn a_fork_of_the_owner() {
    let pool = Pool::new(1).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    // SAFETY: the other threads wait or sleep; none holds a lock of the allocator's.
    match unsafe { fork() }.unwrap() {
        Fork::Child => {
            let refused = matches!(
                pool.submit(|n: u32| n, 1).join(),
                Err(TaskError::Pool(PoolError::NotOwner))
            );
            drop(pool); // and its workers live
            log.put(u32::from(refused)).unwrap();
            std::process::exit(0);
        }
        Fork::Parent(child) => {
            assert_eq!(log.get().unwrap(), 1);
            child.join().unwrap();
        }
    }
    assert_eq!(pool.submit(|n: u32| n, 1).join().unwrap(), 1);
    assert_eq!(pool.stats().started, 1);
}

fn locks_tell_who_died() {
    let lock = procession::RawLock::create(Family::current().unwrap(), false).unwrap();
    let pool = Pool::builder().workers(1).name("locker").build().unwrap();
    let take = |lock: procession::RawLock| -> () {
        assert!(lock.try_acquire().unwrap().is_some());
        kill_self()
    };
    let lost = pool.submit(take, procession::RawLock::from_handle(&lock.handle()).unwrap()).join();
    assert!(matches!(lost, Err(TaskError::WorkerLost { .. })), "{lost:?}");
    let acquired = loop {
        if let Some(acquired) = lock.try_acquire().unwrap() {
            break acquired;
        }
        let _ = lock.wait(None);
    };
    let procession::Acquired::Abandoned(by) = acquired else { panic!("{acquired:?}") };
    assert_eq!((by.name.as_str(), by.ended), ("locker-0", Some(Ended::Signalled(9))));
}

fn two_hundred_pools() {
    for n in 0..if cfg!(debug_assertions) { 40 } else { 200 } {
        let pool = Pool::new(1).unwrap();
        assert_eq!(pool.submit(|n: u32| n, n).join().unwrap(), n);
        assert!(matches!(pool.stats().workers[0].phase, Phase::Ready));
    }
}
