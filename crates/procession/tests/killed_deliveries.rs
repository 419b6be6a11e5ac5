//! Processes that take from a queue which delivers again are killed at random: every message is worked on, no
//! delivery is made twice, and what comes back says how often it was taken.
#![allow(missing_docs)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use procession::{DeliveryQueue, Family, Queue};
use support::random::{Random, seed};
use support::{Running, alone, argument, hex, role, say, start_with, unhex};

const KILLS: usize = 200;
const WORKERS: usize = 4;
/// Most of what a worker has in flight.
const BATCH: usize = 3;
const WORK: Duration = Duration::from_micros(50);
/// A number; the rest is to be of several lengths.
type Message = (u64, String);

#[test]
fn worker() {
    let Some(_) = role().filter(|role| role == "working") else {
        return;
    };
    let _family = Family::attach_fd(support::inherited()).unwrap();
    let jobs: DeliveryQueue<Message> =
        DeliveryQueue::from_handle(&unhex(&argument("JOBS"))).unwrap();
    let log: Queue<(u64, u32)> = Queue::from_handle(&unhex(&argument("LOG"))).unwrap();
    say("at work");
    let end = Instant::now() + support::LIMIT;
    while Instant::now() < end {
        for job in jobs.get_many(BATCH).unwrap() {
            // The work: so long that there is always more to do than is done.
            let begun = Instant::now();
            while begun.elapsed() < WORK {
                std::hint::spin_loop();
            }
            log.put((job.0, job.count())).unwrap();
            if job.0 % 5 == 0 && job.count() == 1 {
                job.give_back().unwrap();
            } else {
                job.done().unwrap();
            }
        }
    }
    panic!("nobody killed it");
}

alone!(killed_at_random {
    let family = Family::current().unwrap();
    let jobs: DeliveryQueue<Message> = DeliveryQueue::bounded(50).unwrap();
    let log: Queue<(u64, u32)> = Queue::unbounded().unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let arguments = [("JOBS", hex(&jobs.handle())), ("LOG", hex(&log.handle()))];
    let start = || {
        let mut child = start_with("worker", "working", &arguments, Some(family.fd()));
        assert_eq!(child.hear(), "at work");
        child
    };
    let kill = |mut victim: Running| {
        assert!(victim.child.try_wait().unwrap().is_none(), "it failed by itself");
        victim.child.kill().unwrap();
        assert!(support::killed(victim.finish().1));
    };
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start()).collect();
    let mut deliveries: HashMap<u64, HashSet<u32>> = HashMap::new();
    let mut note = |(number, count): (u64, u32)| {
        assert!(deliveries.entry(number).or_default().insert(count), "{number}, {count} came twice");
    };
    let mut numbers = 0;
    for _ in 0..KILLS {
        let fresh = start();
        let which = random.below(WORKERS as u64) as usize;
        let pid = workers[which].child.id();
        let until = Instant::now() + Duration::from_micros(random.below(6000));
        let is_at_work = || jobs.in_flights().unwrap().iter().any(|one| one.pid == pid);
        // One of four is killed whatever it does.
        while Instant::now() < until || (which > 0 && !is_at_work()) {
            let len = [0, 10, 100, 6000][random.below(4) as usize];
            let soon = Duration::from_millis(1);
            if jobs.put_timeout((numbers, "x".repeat(len)), soon).is_ok() {
                numbers += 1;
            }
        }
        kill(std::mem::replace(&mut workers[which], fresh));
        log.try_iter().map(Result::unwrap).for_each(&mut note);
    }
    workers.into_iter().for_each(kill);
    log.try_iter().map(Result::unwrap).for_each(&mut note);
    for job in jobs.try_iter() {
        let job = job.unwrap();
        note((job.0, job.count()));
        job.done().unwrap();
    }
    assert_eq!((jobs.len(), jobs.unfinished()), (0, 0));
    assert!(numbers > 1000, "{numbers}");
    // Each of them was delivered; in the log one delivery of each who was killed may be missing, for a
    // message that it took and did not come to.
    let mut again = 0;
    for number in 0..numbers {
        let counts = deliveries.get(&number).unwrap_or_else(|| panic!("{number} is lost"));
        let most = *counts.iter().max().unwrap();
        let own = 1 + usize::from(number % 5 == 0);
        again += (most as usize).saturating_sub(own);
    }
    let killed = KILLS + WORKERS;
    assert!((KILLS / 10..=killed * BATCH).contains(&again), "{again} came back of {killed} killed");
    assert_eq!(jobs.raw().check().unwrap(), [""; 0]);
    drop((jobs, log));
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
});
