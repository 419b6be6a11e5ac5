//! Each failure in each kind of call: exactly the item that it befell has it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use procession::pool::TaskOptions;
use procession::sync::Ended;
use procession::{Pool, Queue, TaskError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    each_failure_in_each_call,
    a_worker_that_dies_is_replaced,
    the_rest_of_a_chunk_goes_on,
    what_is_lost_can_be_tried_again,
    retries_are_counted,
    nothing_is_tried_again_unasked,
    a_time_limit_takes_the_item_alone,
    time_limits_while_nobody_waits,
    what_is_in_time_is_not_killed,
    what_cannot_be_sent,
    workers_are_replaced_after_so_many,
    a_result_that_is_too_large,
    a_panic_says_where,
];

/// What an item does to its worker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Fate {
    Fine(u32),
    Panics,
    Exits,
    IsKilled,
    Hangs,
    GivesRubbish,
}

/// Written well, and read never; or not even written.
#[derive(Debug, PartialEq)]
enum Outcome {
    Number(u32),
    Rubbish,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Outcome::Number(n) => to.serialize_u32(*n),
            Outcome::Rubbish => to.serialize_str("no number"),
        }
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Outcome, D::Error> {
        u32::deserialize(from).map(Outcome::Number)
    }
}

fn meet(fate: Fate) -> Outcome {
    match fate {
        Fate::Fine(n) => return Outcome::Number(n),
        Fate::Panics => panic!("fate"),
        Fate::Exits => std::process::exit(3),
        Fate::IsKilled => kill_self(),
        Fate::Hangs => std::thread::sleep(Duration::MAX),
        Fate::GivesRubbish => {}
    }
    Outcome::Rubbish
}

pub(crate) fn kill_self() -> ! {
    loop {
        let signal = rustix::process::Signal::KILL;
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
    }
}

fn is_right(fate: Fate, outcome: &Result<Outcome, TaskError>) -> bool {
    match (fate, outcome) {
        (Fate::Fine(n), Ok(Outcome::Number(m))) => n == *m,
        (Fate::Panics, Err(TaskError::Panicked { message, .. })) => message == "fate",
        (Fate::Exits, Err(TaskError::WorkerLost { ended, pid, .. })) => {
            *ended == Some(Ended::Exited(3)) && *pid != 0
        }
        (Fate::IsKilled, Err(TaskError::WorkerLost { ended, .. })) => {
            *ended == Some(Ended::Signalled(9))
        }
        (Fate::Hangs, Err(TaskError::TimedOut { limit, .. })) => *limit == LIMIT,
        (Fate::GivesRubbish, Err(TaskError::Result { .. })) => true,
        _ => false,
    }
}

const LIMIT: Duration = Duration::from_millis(100);

fn each_failure_in_each_call() {
    let pool = Pool::builder().workers(2).task_timeout(LIMIT).build().unwrap();
    let fates = [Fate::Panics, Fate::Exits, Fate::IsKilled, Fate::Hangs, Fate::GivesRubbish];
    for fate in fates {
        let outcome = pool.submit(meet, fate).join();
        assert!(is_right(fate, &outcome), "submit: {fate:?}: {outcome:?}");
        let mut items: Vec<Fate> = (0..40).map(Fate::Fine).collect();
        items[17] = fate;
        for (n, outcome) in pool.imap(meet, items.clone()).enumerate() {
            assert!(is_right(items[n], &outcome), "imap: item {n}, {:?}: {outcome:?}", items[n]);
        }
        let mut seen = 0;
        for (n, outcome) in pool.map_unordered(meet, items.clone()) {
            assert!(is_right(items[n], &outcome), "unordered: {n}, {:?}: {outcome:?}", items[n]);
            seen += 1;
        }
        assert_eq!(seen, 40);
        let outcome = pool.map(meet, items).map(|mut all| all.pop().unwrap());
        assert!(is_right(fate, &outcome), "map: {fate:?}: {outcome:?}");
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("loss.rs") && text.contains("item 17"), "{text}");
    }
    assert_eq!(pool.map(meet, [Fate::Fine(1)]).unwrap(), [Outcome::Number(1)]);
}

fn a_worker_that_dies_is_replaced() {
    let pool = Pool::new(1).unwrap();
    let pid = |(): ()| std::process::id();
    let first = pool.submit(pid, ()).join().unwrap();
    assert!(pool.submit(meet, Fate::IsKilled).join().is_err());
    let second = pool.submit(pid, ()).join().unwrap();
    assert_ne!(first, second);
    assert_eq!(pool.stats().started, 2);
}

fn log_and_meet((log, n, fate): (Queue<u32>, u32, Fate)) -> Outcome {
    log.put(n).unwrap();
    meet(fate)
}

fn the_rest_of_a_chunk_goes_on() {
    let pool = Pool::new(1).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let fate = |n| if n % 25 == 12 { Fate::IsKilled } else { Fate::Fine(n) };
    let items = (0..100).map(|n| (log.clone(), n, fate(n)));
    let together = pool.with(TaskOptions::new().chunk(50));
    for (n, outcome) in together.map_unordered(log_and_meet, items) {
        assert!(is_right(fate(n as u32), &outcome), "{n}: {outcome:?}");
    }
    let mut begun: Vec<u32> = std::iter::from_fn(|| log.try_get().ok()).collect();
    begun.sort_unstable();
    assert!(begun.into_iter().eq(0..100), "each was begun once");
    assert_eq!(pool.stats().lost, 4);
}

fn die_so_often((log, deaths): (Queue<u32>, u64)) -> u64 {
    log.put(1).unwrap();
    let tries = log.len();
    if tries <= deaths { kill_self() } else { tries }
}

fn what_is_lost_can_be_tried_again() {
    let pool = Pool::builder().workers(2).retries(3).build().unwrap();
    for deaths in 0..=3 {
        let log: Queue<u32> = Queue::unbounded().unwrap();
        let task = pool.submit(die_so_often, (log.clone(), deaths));
        assert_eq!(task.join().unwrap(), deaths + 1);
    }
    assert_eq!(pool.stats().retried, 6);
    let logs: Vec<Queue<u32>> = (0..20).map(|_| Queue::unbounded().unwrap()).collect();
    let items = logs.iter().enumerate().map(|(n, log)| (log.clone(), u64::from(n % 5 == 0)));
    let tries = pool.map(die_so_often, items).unwrap();
    assert!(tries.into_iter().eq((0..20).map(|n| 1 + u64::from(n % 5 == 0))));
}

fn retries_are_counted() {
    let pool = Pool::new(1).unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let twice = pool.with(TaskOptions::new().retries(2));
    let lost = twice.submit(die_so_often, (log.clone(), u64::MAX)).join();
    assert!(matches!(lost, Err(TaskError::WorkerLost { .. })), "{lost:?}");
    assert_eq!(log.len(), 3);
}

fn nothing_is_tried_again_unasked() {
    let pool = Pool::builder().workers(1).retries(5).task_timeout(LIMIT).build().unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    for fate in [Fate::Panics, Fate::Hangs, Fate::GivesRubbish] {
        let outcome = pool.submit(log_and_meet, (log.clone(), 1, fate)).join();
        assert!(is_right(fate, &outcome), "{outcome:?}");
        assert_eq!(log.get().unwrap(), 1);
        assert!(log.is_empty(), "{fate:?} ran again");
    }
    let plain = pool.with(TaskOptions::new());
    assert!(plain.submit(log_and_meet, (log.clone(), 1, Fate::Exits)).join().is_err());
    assert_eq!(log.len(), 1);
}

fn a_time_limit_takes_the_item_alone() {
    let pool = Pool::builder().workers(2).task_timeout(LIMIT).build().unwrap();
    let log: Queue<u32> = Queue::unbounded().unwrap();
    let fate = |n| if n % 20 == 7 { Fate::Hangs } else { Fate::Fine(n) };
    let begun = Instant::now();
    let items = (0..60).map(|n| (log.clone(), n, fate(n)));
    for (n, outcome) in pool.imap(log_and_meet, items).enumerate() {
        assert!(is_right(fate(n as u32), &outcome), "{n}: {outcome:?}");
    }
    assert!(begun.elapsed() >= LIMIT);
    let mut all: Vec<u32> = std::iter::from_fn(|| log.try_get().ok()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..60), "each was begun once");
}

fn time_limits_while_nobody_waits() {
    let pool = Pool::new(1).unwrap();
    let task = pool.with(TaskOptions::new().timeout(LIMIT)).submit(meet, Fate::Hangs);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !task.is_done() {
        assert!(Instant::now() < deadline, "its worker was not killed");
        std::thread::yield_now();
    }
    assert!(matches!(task.join(), Err(TaskError::TimedOut { .. })));
}

fn what_is_in_time_is_not_killed() {
    let pool = Pool::builder().workers(1).task_timeout(Duration::from_secs(2)).build().unwrap();
    // Together far longer than one may take.
    let nap = |n: u32| {
        std::thread::sleep(Duration::from_millis(30));
        n
    };
    let together = pool.with(TaskOptions::new().timeout(Duration::from_secs(1)).chunk(60));
    assert!(together.map(nap, 0..60).unwrap().into_iter().eq(0..60));
    assert_eq!(pool.stats().started, 1);
}

/// What cannot be written, or panics as it is.
#[derive(Debug, Deserialize)]
struct Awkward(u32);

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        match self.0 {
            1 => Err(S::Error::custom("unwilling")),
            2 => panic!("unable"),
            n => to.serialize_newtype_struct("Awkward", &n),
        }
    }
}

/// What cannot be read, or panics as it is.
#[derive(Debug, Serialize)]
struct Illegible(u32);

impl<'de> Deserialize<'de> for Illegible {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Illegible, D::Error> {
        match u32::deserialize(from)? {
            1 => Err(D::Error::custom("illegible")),
            2 => panic!("unreadable"),
            n => Ok(Illegible(n)),
        }
    }
}

fn what_cannot_be_sent() {
    let pool = Pool::new(1).unwrap();
    let all = || (0..10).map(|n| n % 5);
    for (n, outcome) in pool.imap(|it: Awkward| it.0, all().map(Awkward)).enumerate() {
        match (n % 5, outcome) {
            (1, Err(TaskError::Send { message, task })) => {
                assert!(message.contains("unwilling") && task.item == n, "{message}");
            }
            (2, Err(TaskError::Send { message, .. })) => assert_eq!(message, "unable"),
            (m, outcome) => assert_eq!(outcome.unwrap(), m as u32),
        }
    }
    for (n, outcome) in pool.map_unordered(Awkward, all()) {
        match (n % 5, outcome) {
            (1, Err(TaskError::Result { message, .. })) => assert!(message.contains("unwilling")),
            (2, Err(TaskError::Panicked { message, .. })) => assert_eq!(message, "unable"),
            (m, outcome) => assert_eq!(outcome.unwrap().0, m as u32),
        }
    }
    for (n, outcome) in pool.imap(|it: Illegible| it.0, all().map(Illegible)).enumerate() {
        match (n % 5, outcome) {
            (1, Err(TaskError::Receive { message, .. })) => assert!(message.contains("illegible")),
            (2, Err(TaskError::Panicked { message, .. })) => assert_eq!(message, "unreadable"),
            (m, outcome) => assert_eq!(outcome.unwrap(), m as u32),
        }
    }
    for (n, outcome) in pool.map_unordered(Illegible, all()) {
        match (n % 5, outcome) {
            (1, Err(TaskError::Result { message, .. })) => assert!(message.contains("illegible")),
            (2, Err(TaskError::Result { message, .. })) => assert_eq!(message, "unreadable"),
            (m, outcome) => assert_eq!(outcome.unwrap().0, m as u32),
        }
    }
    assert_eq!(pool.stats().started, 1);
}

fn workers_are_replaced_after_so_many() {
    let pool = Pool::builder().workers(1).max_tasks_per_worker(3).build().unwrap();
    let mut pids = pool.map(|_: u32| std::process::id(), 0..10).unwrap();
    pids.sort_unstable();
    let mut items: Vec<usize> = pids.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
    items.sort_unstable();
    assert_eq!(items, [1, 3, 3, 3]);
    let stats = pool.stats();
    assert_eq!((stats.lost, stats.failed, stats.done), (0, 0, 10));
}

fn a_result_that_is_too_large() {
    let family = procession::Family::current().unwrap();
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.map(|n: u32| n, [1]).unwrap(), [1]);
    family.set_memory_limit(Some(32 << 20));
    let huge = pool.submit(|n: usize| "x".repeat(n), 200 << 20).join();
    family.set_memory_limit(None);
    assert!(matches!(huge, Err(TaskError::Result { .. })), "{:?}", huge.map(|text| text.len()));
    assert_eq!(pool.map(|n: u32| n, [1]).unwrap(), [1]);
}

thread_local! {
    static LINE: Cell<u32> = const { Cell::new(0) };
}

fn a_panic_says_where() {
    let pool = Pool::new(1).unwrap();
    LINE.set(line!() + 1);
    let failed = pool.submit(|n: u32| -> u32 { panic!("it is {n}") }, 7).join().unwrap_err();
    let TaskError::Panicked { message, place, .. } = &failed else { panic!("{failed:?}") };
    assert_eq!(message, "it is 7");
    let place = place.as_ref().unwrap();
    assert!(place.contains(&format!("loss.rs:{}", LINE.get())), "{place}");
    assert!(failed.to_string().contains("it is 7"));
}
