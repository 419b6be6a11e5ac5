//! Processes that put into a queue, and such as move what is there into another one, are killed at random:
//! what was acknowledged is there once, but for one message in the hands of each that was moving them.
#![allow(missing_docs)]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use procession::{Family, LifoQueue, PriorityQueue, Queue};
use support::random::{Random, seed};
use support::{Running, alone, argument, hex, role, say, start_with, unhex};

const KILLS: u64 = 60;
/// Who put it, and its number there; the rest is to be of several lengths.
type Message = (u64, u64, String);

struct Queues {
    first: LifoQueue<Message>,
    second: PriorityQueue<Message>,
    acknowledged: Queue<(u64, u64)>,
}

impl Queues {
    fn handles(&self) -> [(&'static str, String); 3] {
        [
            ("FIRST", hex(&self.first.handle())),
            ("SECOND", hex(&self.second.handle())),
            ("ACKNOWLEDGED", hex(&self.acknowledged.handle())),
        ]
    }
}

#[test]
fn worker() {
    let Some(role) = role().filter(|role| ["putting", "moving"].contains(&&**role)) else {
        return;
    };
    let _family = Family::attach_fd(support::inherited()).unwrap();
    let first = LifoQueue::from_handle(&unhex(&argument("FIRST"))).unwrap();
    let second = PriorityQueue::from_handle(&unhex(&argument("SECOND"))).unwrap();
    let acknowledged = Queue::from_handle(&unhex(&argument("ACKNOWLEDGED"))).unwrap();
    let id: u64 = argument("ID").parse().unwrap();
    let mut random = Random(id * 77 + 1);
    let end = Instant::now() + support::LIMIT;
    say("at work");
    for n in 0.. {
        if Instant::now() > end {
            break;
        }
        if role == "moving" {
            let message: Message = first.get().unwrap();
            second.put(message).unwrap();
        } else {
            let len = [0, 10, 100, 6000][random.below(4) as usize];
            first.put((id, n, "x".repeat(len))).unwrap();
            acknowledged.put((id, n)).unwrap();
        }
    }
    panic!("nobody killed it");
}

alone!(killed_at_random {
    let family = Family::current().unwrap();
    let queues = Queues {
        first: LifoQueue::bounded(40).unwrap(),
        second: PriorityQueue::unbounded().unwrap(),
        acknowledged: Queue::unbounded().unwrap(),
    };
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let mut started = 0;
    let mut start = |what: usize| {
        started += 1;
        let mut arguments = queues.handles().to_vec();
        arguments.push(("ID", started.to_string()));
        let role = ["putting", "moving"][what % 2];
        let mut child = start_with("worker", role, &arguments, Some(family.fd()));
        assert_eq!(child.hear(), "at work");
        child
    };
    let kill = |mut victim: Running| {
        assert!(victim.child.try_wait().unwrap().is_none(), "it failed by itself");
        victim.child.kill().unwrap();
        assert!(support::killed(victim.finish().1));
    };
    let mut workers: Vec<_> = (0..4).map(&mut start).collect();
    let (mut taken, mut acknowledged) = (HashSet::new(), HashSet::new());
    let mut take = |all: Vec<Message>| {
        for (id, n, _) in all {
            assert!(taken.insert((id, n)), "{n} of {id} came twice");
        }
        taken.len()
    };
    let mut killed = [0; 2];
    for _ in 0..KILLS {
        // Some moment, whichever it is.
        std::thread::sleep(Duration::from_micros(random.below(10_000)));
        let which = random.below(4) as usize;
        let fresh = start(which);
        kill(std::mem::replace(&mut workers[which], fresh));
        killed[which % 2] += 1;
        take(queues.second.try_iter().map(Result::unwrap).collect());
        while let Ok(one) = queues.acknowledged.try_get() {
            acknowledged.insert(one);
        }
    }
    for (which, worker) in workers.into_iter().enumerate() {
        kill(worker);
        killed[which % 2] += 1;
    }
    family.sweep().unwrap();
    take(queues.second.try_iter().map(Result::unwrap).collect());
    let all = take(queues.first.try_iter().map(Result::unwrap).collect());
    while let Ok(one) = queues.acknowledged.try_get() {
        acknowledged.insert(one);
    }
    let lost = acknowledged.difference(&taken).count();
    let unasked = taken.difference(&acknowledged).count();
    assert!(lost <= killed[1], "{lost} of {all} are lost, {killed:?} were killed");
    assert!(unasked <= killed[0], "{unasked} of {all} were not acknowledged, {killed:?}");
    assert!(all > 500, "{all}");
    assert_eq!(queues.first.raw().check().unwrap(), [""; 0]);
    assert_eq!(queues.second.raw().check().unwrap(), [""; 0]);
    drop(queues);
    assert_eq!(family.check(), [""; 0]);
    assert_eq!(family.stats().queues, 0);
});
