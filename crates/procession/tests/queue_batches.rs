//! Many messages at once, a look at the next one, a bound in bytes, and the end at once: while nobody dies.
#![allow(missing_docs)]

mod support;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use procession::{Family, GetError, JoinableQueue, PutError, Queue, RawQueue, TryPutError, Wait};
use support::random::Random;
use support::{argument, hex, role, start, unhex};

const LONG: Duration = Duration::from_secs(20);

fn raw(messages: u64, bytes: u64) -> RawQueue {
    let [messages, bytes] = [messages, bytes].map(NonZeroU64::new);
    RawQueue::create_limited(Family::current().unwrap(), messages, bytes).unwrap()
}

#[test]
fn slices_and_single_values_keep_their_order() {
    let q = Queue::unbounded().unwrap();
    let all: Vec<u64> = (0..100_000).collect();
    q.put_slice(&all[..70_000]).unwrap();
    q.put(70_000).unwrap();
    q.put_slice(&all[70_001..]).unwrap();
    assert_eq!(q.len(), 100_000);
    assert_eq!(q.get_many(1).unwrap(), [0]);
    assert_eq!(q.get().unwrap(), 1);
    let mut got = vec![0, 1];
    while let Ok(more) = q.try_get().map(|first| [vec![first], q.get_many(777).unwrap()].concat()) {
        got.extend(more);
        if q.is_empty() {
            break;
        }
    }
    assert_eq!(got, all);
}

#[test]
fn messages_with_blocks_and_handles_come_between() {
    let q: Queue<(Vec<u8>, Option<Queue<u8>>)> = Queue::unbounded().unwrap();
    let inner = Queue::unbounded().unwrap();
    inner.put(9).unwrap();
    let sizes = [0, 10, 3000, 100_000, 1, 2, 40_000, 3];
    let values: Vec<_> = sizes.iter().map(|&n| (vec![n as u8; n], Some(inner.clone()))).collect();
    let plain: Vec<_> = sizes.iter().map(|&n| (vec![n as u8; n], None)).collect();
    q.put_slice(&plain).unwrap();
    q.put_slice(&values).unwrap();
    drop((inner, values));
    let got = q.get_many(100).unwrap();
    let lengths: Vec<_> = got.iter().map(|(bytes, _)| bytes.len()).collect();
    assert_eq!(lengths, [sizes, sizes].concat());
    assert!(got.iter().all(|(bytes, _)| bytes.iter().all(|&b| b == bytes.len() as u8)));
    assert_eq!(got[15].1.as_ref().unwrap().get().unwrap(), 9);
}

#[test]
fn what_does_not_decode_is_skipped_behind_the_first() {
    let q: Queue<u32> = Queue::unbounded().unwrap();
    let texts: Queue<String> = Queue::from_handle(&q.handle()).unwrap();
    q.put_slice(&[1, 2]).unwrap();
    texts.put("text".into()).unwrap();
    q.put(3).unwrap();
    assert_eq!(q.get_many(10).unwrap(), [1, 2, 3]);
    texts.put("text".into()).unwrap();
    q.put(4).unwrap();
    assert!(matches!(q.get_many(10), Err(GetError::Decode(_))));
    assert_eq!(q.get_many(10).unwrap(), [4]);
}

#[test]
fn a_slice_waits_for_room_and_says_where_it_ended() {
    let q = Queue::bounded(3).unwrap();
    std::thread::scope(|s| {
        let put = s.spawn(|| q.put_slice(&(0..1000).collect::<Vec<u32>>()));
        for i in 0..600 {
            assert_eq!(q.get_timeout(LONG).unwrap(), i);
        }
        q.close();
        let Err(PutError::Closed(n)) = put.join().unwrap() else { panic!("it was closed") };
        let left: Vec<u32> = q.iter().map(Result::unwrap).collect();
        assert_eq!(left, (600..n as u32).collect::<Vec<_>>());
    });
    let names = ["a", "b"].map(|_| Unwritable);
    let q = Queue::unbounded().unwrap();
    assert!(matches!(q.put_slice(&names), Err(PutError::Encode(0, _))));
}

struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[test]
fn raw_batches_stop_before_another_kind() {
    let q = raw(0, 0);
    let ends: Vec<usize> = (1..=1000).collect();
    let (mut put, mut rounds) = (0, 0);
    while put < 1000 {
        put += q.try_put_many(1, &[7; 1000], &ends, put).unwrap();
        rounds += 1;
    }
    assert!(rounds > 1, "a run is bounded");
    q.try_put(2, b"x", None).unwrap();
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    assert_eq!(q.try_get_many(2, 9, &mut bytes, &mut ends).unwrap(), Some(0));
    let mut got = 0;
    while let Some(n @ 1..) = q.try_get_many(1, usize::MAX, &mut bytes, &mut ends).unwrap() {
        assert_eq!(bytes, vec![7; n]);
        assert_eq!(ends, (1..=n).collect::<Vec<_>>());
        got += n;
    }
    assert_eq!((got, q.len()), (1000, 1));
    assert_eq!(q.try_get_many(2, 9, &mut bytes, &mut ends).unwrap(), Some(1));
    assert_eq!(q.try_get_many(2, 9, &mut bytes, &mut ends).unwrap(), None);
}

#[test]
fn peeking_leaves_the_message_and_what_is_inside() {
    let q: Queue<(Vec<u8>, Option<Queue<u8>>)> = Queue::unbounded().unwrap();
    assert!(matches!(q.try_peek(), Err(GetError::Empty)));
    for n in [3, 5000, 9 << 20] {
        let inner = Queue::unbounded().unwrap();
        inner.put(1).unwrap();
        let name = inner.handle();
        q.put((vec![5; n], Some(inner))).unwrap();
        let (first, handle) = q.peek().unwrap();
        let (second, _) = q.peek_timeout(LONG).unwrap();
        assert!(first == second && first == vec![5; n]);
        assert_eq!(q.len(), 1);
        assert_eq!(q.get().unwrap().0.len(), n);
        // What was got is gone with its handles; the copy's own keep the queue inside.
        assert_eq!(handle.unwrap().try_get().unwrap(), 1);
        assert!(RawQueue::from_handle(&name).is_err(), "nothing holds it any more");
    }
    q.close();
    assert!(matches!(q.peek(), Err(GetError::Closed)));
}

#[test]
fn who_only_peeks_keeps_no_message_from_others() {
    let q: Queue<u32> = Queue::unbounded().unwrap();
    std::thread::scope(|s| {
        let peeking: Vec<_> = (0..3).map(|_| s.spawn(|| q.peek_timeout(LONG).is_ok())).collect();
        let getting = s.spawn(|| q.get_timeout(LONG));
        let waiting = || {
            let stats = Family::current().unwrap().stats();
            stats.participants.iter().any(|p| p.waiting_on.is_some())
        };
        while !waiting() {
            std::thread::yield_now();
        }
        q.put(1).unwrap();
        assert_eq!(getting.join().unwrap().unwrap(), 1);
        q.put(2).unwrap();
        assert!(peeking.into_iter().all(|p| p.join().unwrap()));
    });
}

#[test]
fn peekers_and_takers_see_whole_messages() {
    let q: Queue<Vec<u8>> = Queue::bounded(3).unwrap();
    const N: usize = 2_000;
    std::thread::scope(|s| {
        s.spawn(|| (0..N).for_each(|i| q.put(vec![i as u8; 20_000 + i]).unwrap()));
        let peek = || {
            let mut last = 0;
            while let Ok(m) = q.peek_timeout(LONG) {
                let i = m.len() - 20_000;
                assert!(i >= last && m.iter().all(|&b| b == i as u8), "message {i}");
                last = i;
            }
        };
        s.spawn(peek);
        s.spawn(peek);
        for i in 0..N {
            let m = q.get_timeout(LONG).unwrap();
            assert!(m.len() == 20_000 + i && m.iter().all(|&b| b == i as u8));
        }
        q.close();
    });
}

#[test]
fn bytes_bound_a_queue() {
    let q = raw(0, 1000);
    assert_eq!((q.max_bytes(), q.capacity()), (NonZeroU64::new(1000), None));
    q.try_put(1, &[0; 4000], None).unwrap(); // alone it may be of any size
    assert!(q.is_full());
    assert!(matches!(q.try_put(1, b"", None), Err(TryPutError::Full(None))));
    q.try_get(&mut Vec::new()).unwrap().unwrap();
    let block = Family::current().unwrap().alloc(600, &[]).unwrap();
    q.try_put(1, b"", Some(block)).unwrap();
    assert_eq!(q.bytes(), 624);
    let block = Family::current().unwrap().alloc(600, &[]).unwrap();
    assert!(matches!(q.try_put(1, b"", Some(block)), Err(TryPutError::Full(Some(_)))));
    assert!(!q.is_full(), "there is room for less");
    assert_eq!(q.try_put_many(1, &[1; 400], &[100, 200, 300, 400], 0).unwrap(), 3);
    assert_eq!(q.bytes(), 624 + 3 * 104);
    let same = RawQueue::from_handle(&q.handle()).unwrap();
    assert_eq!(same.max_bytes(), q.max_bytes());
}

/// Who waits for room is told of exactly as much as a put finds.
#[test]
fn room_for_some_bytes_is_what_a_put_takes() {
    let (a, now) = (raw(0, 64), Some(std::time::Instant::now()));
    let empty = || Some(a.family().alloc(0, &[]).unwrap());
    a.try_put(1, &[0; 28], None).unwrap();
    assert_eq!(a.bytes(), 32);
    assert_eq!(a.wait_for_room_of(29, None, now), Wait::TimedOut);
    assert_eq!(a.wait_for_room_of(9, Some(0), now), Wait::TimedOut);
    assert!(matches!(a.try_put(1, &[0; 29], None), Err(TryPutError::Full(_))));
    assert!(matches!(a.try_put(1, &[0; 9], empty()), Err(TryPutError::Full(_))));
    assert_eq!(a.wait_for_room_of(28, None, now), Wait::Again);
    assert_eq!(a.wait_for_room_of(8, Some(0), now), Wait::Again);
    a.try_put(1, &[0; 8], empty()).unwrap();
    assert_eq!(a.bytes(), 64);
}

#[test]
fn the_large_and_the_small_all_get_in() {
    let q: Queue<Vec<u8>> = Queue::bounded_by(NonZeroU64::new(50), NonZeroU64::new(3000)).unwrap();
    const N: usize = 300;
    std::thread::scope(|s| {
        for size in [5, 100, 1500, 2900, 5000] {
            let q = &q;
            s.spawn(move || (0..N).for_each(|_| q.put(vec![0; size]).unwrap()));
        }
        let mut counts = std::collections::HashMap::new();
        for _ in 0..5 * N {
            let m = q.get_timeout(LONG).unwrap();
            assert!(q.raw().bytes() <= 3000 || q.len() <= 1);
            *counts.entry(m.len()).or_insert(0) += 1;
        }
        assert!(counts.len() == 5 && counts.values().all(|&n| n == N), "{counts:?}");
    });
    assert_eq!(q.raw().bytes(), 0);
}

/// Random operations, and what a `VecDeque` makes of them.
#[test]
fn as_a_model_says() {
    for seed in 1..=40 {
        let mut random = Random(seed);
        let mut below = |n: u64| random.below(n);
        let (most, bytes) = [(0, 0), (5, 0), (0, 700), (9, 900)][below(4) as usize];
        let q = raw(most, bytes);
        let mut model = VecDeque::<(u8, Vec<u8>)>::new();
        let weight = |m: &(u8, Vec<u8>)| (4 + m.1.len() as u64).next_multiple_of(8);
        let fits = |model: &VecDeque<_>, m: &(u8, Vec<u8>)| {
            let used: u64 = model.iter().map(weight).sum();
            (most == 0 || (model.len() as u64) < most)
                && (bytes == 0 || model.is_empty() || used + weight(m) <= bytes)
        };
        let mut next = 0u8;
        for _ in 0..2000 {
            let mut message = |n| {
                next = next.wrapping_add(1);
                vec![next; n as usize]
            };
            match below(6) {
                0 => {
                    let m = (1 + below(2) as u8, message(below(200)));
                    let put = q.try_put(m.0, &m.1, None).is_ok();
                    assert_eq!(put, fits(&model, &m), "seed {seed}");
                    if put {
                        model.push_back(m);
                    }
                }
                1 | 2 => {
                    let all: Vec<_> = (0..=below(9)).map(|_| message(below(90))).collect();
                    let ends: Vec<_> = all
                        .iter()
                        .scan(0, |at, m| {
                            *at += m.len();
                            Some(*at)
                        })
                        .collect();
                    let mut put = q.try_put_many(1, &all.concat(), &ends, 0).unwrap_or(0);
                    for m in all.into_iter().map(|m| (1, m)) {
                        if put == 0 {
                            // A run may be shorter than what fits, and never longer; the first always is put.
                            break;
                        }
                        put -= 1;
                        assert!(fits(&model, &m), "seed {seed}");
                        model.push_back(m);
                    }
                    assert_eq!(put, 0);
                }
                3 => {
                    let mut inline = Vec::new();
                    let got = q.try_get(&mut inline).unwrap().map(|r| (r.kind, inline));
                    assert_eq!(got, model.pop_front(), "seed {seed}");
                }
                4 => {
                    let mut inline = Vec::new();
                    let seen = q.peek(&mut inline).unwrap().map(|r| (r.kind, inline));
                    assert_eq!(seen.as_ref(), model.front(), "seed {seed}");
                }
                _ => {
                    let (mut out, mut ends) = (Vec::new(), Vec::new());
                    let max = 1 + below(12) as usize;
                    let n = q.try_get_many(1, max, &mut out, &mut ends).unwrap();
                    let same = model.iter().take_while(|m| m.0 == 1).count().min(max);
                    assert_eq!(n.is_none(), model.is_empty(), "seed {seed}");
                    let n = n.unwrap_or(0);
                    assert!(n <= same && (n > 0) == (same > 0), "seed {seed}: {n} of {same}");
                    let mut start = 0;
                    for end in ends {
                        assert_eq!(out[start..end], model.pop_front().unwrap().1, "seed {seed}");
                        start = end;
                    }
                }
            }
            assert_eq!(q.len(), model.len() as u64);
            assert_eq!(q.bytes(), model.iter().map(weight).sum::<u64>());
        }
    }
}

#[test]
fn shut_down_now_drops_all_and_wakes_all() {
    let q: JoinableQueue<Vec<u8>> = JoinableQueue::unbounded().unwrap();
    q.put_slice(&[vec![1], vec![2; 100_000], vec![3]]).unwrap();
    q.get().unwrap();
    std::thread::scope(|s| {
        let join = s.spawn(|| q.join());
        q.shut_down_now().unwrap();
        assert!(q.is_empty() && q.unfinished() == 1 && !join.is_finished());
        q.task_done().unwrap();
        join.join().unwrap();
    });
    assert!(q.task_done().is_err(), "what was dropped is nobody's");
    assert!(matches!(q.get(), Err(GetError::Closed)));
    assert!(matches!(q.try_peek(), Err(GetError::Closed)));
    assert!(matches!(q.put(vec![]), Err(PutError::Closed(_))));
    assert!(matches!(q.put_slice(&[vec![]]), Err(PutError::Closed(0))));
    assert_eq!(q.raw().try_get_many(1, 9, &mut Vec::new(), &mut Vec::new()).unwrap(), None);
    q.shut_down_now().unwrap();
    q.close();
    assert!(q.is_empty(), "to close it afterwards brings nothing back");
}

/// Waiters of all kinds, in another process, hear of it.
#[test]
fn waiters_elsewhere_hear_of_the_end() {
    if let Some(role) = role() {
        let q: JoinableQueue<u8> = JoinableQueue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
        match role.as_str() {
            "get" => assert!(matches!(q.get_timeout(LONG), Err(GetError::Closed))),
            "peek" => assert!(matches!(q.peek_timeout(LONG), Err(GetError::Closed))),
            "put" => assert!(matches!(q.put_timeout(1, LONG), Err(PutError::Closed(1)))),
            _ => assert!(q.join_timeout(LONG)),
        }
        std::process::exit(0);
    }
    let empty: JoinableQueue<u8> = JoinableQueue::unbounded().unwrap();
    let full: JoinableQueue<u8> = JoinableQueue::bounded(1).unwrap();
    full.put(1).unwrap();
    let child = |role: &str, q: &JoinableQueue<u8>| {
        start("waiters_elsewhere_hear_of_the_end", role, &[("QUEUE", hex(&q.handle()))])
    };
    let children =
        [child("get", &empty), child("peek", &empty), child("put", &full), child("join", &full)];
    let asleep = || {
        let stats = Family::current().unwrap().stats();
        stats.participants.iter().filter(|p| p.waiting_on.is_some()).count()
    };
    let begun = std::time::Instant::now();
    while asleep() < 4 {
        assert!(begun.elapsed() < LONG, "only {} sleep", asleep());
        std::thread::yield_now();
    }
    empty.close();
    full.shut_down_now().unwrap();
    for child in children {
        assert!(child.finish().1.success());
    }
}
