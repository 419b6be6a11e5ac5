//! Queues whose newest message is taken first, against a model; and what both kinds of queue that are no
//! rings do with room, waiting and closing.
#![allow(missing_docs)]

mod support;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use procession::collections::{Datum, OfferError};
use procession::{
    ArenaError, Family, GetError, LifoQueue, PriorityQueue, PutError, Queue, RawLifoQueue,
    RawPriorityQueue, Wait,
};
use support::primitives::{sleepers, until};
use support::random::{Random, seed, some_bytes};
use support::{alone, fork};

fn sound(q: &RawLifoQueue) {
    assert_eq!(q.check().unwrap(), [""; 0]);
    assert_eq!(q.family().check(), [""; 0]);
}

alone!(against_a_model {
    let family = Family::current().unwrap();
    let q = RawLifoQueue::create(family, None).unwrap();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    let mut model = Vec::new();
    let mut longest = 0;
    for n in 0..40_000u64 {
        if random.below(10) < if n / 5000 % 2 == 0 { 7 } else { 3 } {
            let value = some_bytes(&mut random, n);
            q.try_put(&Datum { kind: 2, ..Datum::plain(&value) }).unwrap();
            model.push(value);
        } else {
            let mut out = b"x".to_vec();
            let got = q.try_get(&mut out).unwrap();
            assert_eq!(got.map(|copied| (copied.kind, &out[1..])), model.pop().as_deref().map(|v| (2, v)));
        }
        assert_eq!(q.len(), model.len() as u64);
        longest = longest.max(model.len());
        if n % 997 == 0 {
            sound(&q);
        }
    }
    assert!(longest > 1500, "several blocks: {longest}");
    let all = q.snapshot().unwrap();
    for (_, range) in all.items {
        let mut out = Vec::new();
        assert!(q.peek(&mut out).unwrap().is_some());
        assert_eq!((&out, &all.bytes[range]), (model.last().unwrap(), &out[..]));
        q.try_get(&mut Vec::new()).unwrap().unwrap();
        model.pop();
    }
    assert!(model.is_empty() && q.is_empty());
    sound(&q);
    drop(q);
    assert_eq!(family.check(), [""; 0]);
});

alone!(memory_comes_back_and_a_queue_that_goes_to_and_fro_takes_none {
    let family = Family::current().unwrap();
    let in_use = || family.stats().arena_bytes - family.stats().idle_bytes;
    let q = RawLifoQueue::create(family, None).unwrap();
    q.try_put(&Datum::plain(b"a")).unwrap();
    let before = in_use();
    let value = Datum::plain(&[7; 100]);
    for _ in 0..100_000 {
        q.try_put(&value).unwrap();
    }
    let most = in_use() - before;
    assert!(most > 10 << 20);
    // A stack's heap is a stack: what it grows again by lies where it was.
    for left in [50_000, 10_000, 511, 20] {
        while q.len() > left {
            q.try_get(&mut Vec::new()).unwrap().unwrap();
        }
        sound(&q);
        let now = in_use() - before;
        assert!(now <= 2 * left * 120 + (600 << 10), "{now} bytes for {left}");
        for _ in 0..3000 {
            q.try_put(&value).unwrap();
            q.try_put(&value).unwrap();
            q.try_get(&mut Vec::new()).unwrap().unwrap();
            q.try_get(&mut Vec::new()).unwrap().unwrap();
        }
        assert!(in_use() - before <= now + (300 << 10), "to and fro");
    }
    while q.try_get(&mut Vec::new()).unwrap().is_some() {}
    assert!(in_use() <= before + (40 << 10));
});

alone!(what_is_taken_needs_no_memory {
    let family = Family::current().unwrap();
    let q = RawLifoQueue::create(family, None).unwrap();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    for n in 0..5000 {
        q.try_put(&Datum::plain(&some_bytes(&mut random, n))).unwrap();
    }
    family.set_memory_limit(Some(1));
    let long = vec![7; 1 << 20];
    let refused = q.try_put(&Datum::plain(&long)).unwrap_err();
    assert!(matches!(refused, OfferError::Arena(ArenaError::Full { .. })));
    for left in (0..5000).rev() {
        assert!(q.try_get(&mut Vec::new()).unwrap().is_some());
        assert_eq!(q.len(), left);
    }
    sound(&q);
});

/// What is asked of both kinds.
macro_rules! of_both {
    ($module:ident, $queue:ident, $raw:ident) => {
        mod $module {
            use super::*;

            #[test]
            fn room_and_its_end() {
                let q = $queue::bounded(2).unwrap();
                q.put(1).unwrap();
                q.put(2).unwrap();
                assert!(q.is_full());
                assert!(matches!(q.try_put(3), Err(PutError::Full(3))));
                let start = Instant::now();
                assert!(q.put_timeout(3, Duration::from_millis(20)).unwrap_err().is_full());
                assert!(start.elapsed() >= Duration::from_millis(20));
                q.get().unwrap();
                q.put_deadline(3, Instant::now()).unwrap();
                assert_eq!((q.len(), q.capacity()), (2, Some(2)));
                assert_eq!($queue::<i32>::bounded(0).unwrap().capacity(), Some(1));
            }

            #[test]
            fn closed() {
                let q = $queue::unbounded().unwrap();
                q.put(7).unwrap();
                let waiter = q.clone();
                let bounded = $queue::bounded(1).unwrap();
                bounded.put(0).unwrap();
                std::thread::scope(|scope| {
                    let got = scope.spawn(|| (waiter.get().unwrap(), waiter.get()));
                    let put = scope.spawn(|| bounded.put(1));
                    until(|| q.is_empty() && sleepers() > 0);
                    q.close();
                    bounded.close();
                    let (first, second) = got.join().unwrap();
                    assert!(first == 7 && matches!(second, Err(GetError::Closed)));
                    assert!(matches!(put.join().unwrap(), Err(PutError::Closed(1))));
                });
                assert!(matches!(q.try_put(1), Err(PutError::Closed(1))) && q.is_closed());
                assert_eq!(bounded.iter().map(Result::unwrap).collect::<Vec<_>>(), [0]);
            }

            #[test]
            fn done() {
                let q = $raw::create(Family::current().unwrap(), NonZeroU64::new(9)).unwrap();
                let typed = $queue::from(q.clone());
                assert!(q.done().unwrap().is_err());
                typed.put_many([1, 2]).unwrap();
                assert_eq!(typed.get_many(5).unwrap().len(), 2);
                assert_eq!(q.unfinished(), 2);
                q.done().unwrap().unwrap();
                assert_eq!(q.wait_done(Some(Instant::now())), Wait::TimedOut);
                let waited = AtomicBool::new(false);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        while q.unfinished() != 0 {
                            let _ = q.wait_done(None);
                        }
                        waited.store(true, Ordering::SeqCst);
                    });
                    until(|| sleepers() > 0);
                    assert!(!waited.load(Ordering::SeqCst));
                    q.done().unwrap().unwrap();
                });
                assert_eq!(q.wait_done(None), Wait::Again);
                assert!(q.done().unwrap().is_err());
            }

            #[test]
            fn debug_shows_its_state() {
                let q = $queue::bounded(5).unwrap();
                q.put(1).unwrap();
                let text = format!("{q:?}");
                assert!(text.contains(stringify!($queue)) && text.contains("len: 1"), "{text}");
            }

            #[test]
            fn a_queue_travels_in_another_and_lives_there() {
                let outer: $queue<Queue<i32>> = $queue::unbounded().unwrap();
                let carrier: Queue<$queue<i32>> = Queue::unbounded().unwrap();
                let inner = $queue::unbounded().unwrap();
                inner.put(5).unwrap();
                carrier.put(inner).unwrap();
                assert_eq!(carrier.get().unwrap().get().unwrap(), 5);
                let fifo = Queue::unbounded().unwrap();
                fifo.put(6).unwrap();
                outer.put(fifo).unwrap();
                assert_eq!(outer.get().unwrap().get().unwrap(), 6);
            }
        }
    };
}

of_both!(lifo, LifoQueue, RawLifoQueue);
of_both!(priority, PriorityQueue, RawPriorityQueue);

/// Several processes put, several take: each value comes once. The room is little, so all wait for all.
fn to_many(handle: &[u8], put: fn(&[u8], u64), get: fn(&[u8]) -> Option<u64>, close: fn(&[u8])) {
    const EACH: u64 = 3000;
    let results: Queue<(u64, u64)> = Queue::unbounded().unwrap();
    let results = &results;
    let producers: Vec<_> =
        (0..2).map(|p| fork(|| (0..EACH).for_each(|n| put(handle, p * EACH + n)))).collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            fork(move || {
                let (mut sum, mut count) = (0u64, 0u64);
                while let Some(n) = get(handle) {
                    sum += n;
                    count += 1;
                }
                results.put((sum, count)).unwrap();
            })
        })
        .collect();
    for producer in producers {
        assert_eq!(producer.wait(), 0);
    }
    close(handle);
    for consumer in consumers {
        assert_eq!(consumer.wait(), 0);
    }
    let all = results.get_many(2).unwrap();
    assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 2 * EACH);
    assert_eq!(all.iter().map(|(sum, _)| sum).sum::<u64>(), (0..2 * EACH).sum());
}

alone!(newest_first_between_processes {
    let q: LifoQueue<u64> = LifoQueue::bounded(5).unwrap();
    to_many(
        &q.handle(),
        |handle, n| LifoQueue::from_handle(handle).unwrap().put(n).unwrap(),
        |handle| LifoQueue::from_handle(handle).unwrap().get().ok(),
        |handle| LifoQueue::<u64>::from_handle(handle).unwrap().close(),
    );
    sound(q.raw());
});

alone!(lowest_first_between_processes {
    let q: PriorityQueue<u64> = PriorityQueue::bounded(5).unwrap();
    to_many(
        &q.handle(),
        |handle, n| PriorityQueue::from_handle(handle).unwrap().put(n).unwrap(),
        |handle| PriorityQueue::from_handle(handle).unwrap().get().ok(),
        |handle| PriorityQueue::<u64>::from_handle(handle).unwrap().close(),
    );
    assert_eq!(q.raw().check().unwrap(), [""; 0]);
    assert_eq!(Family::current().unwrap().check(), [""; 0]);
});
