//! What a queue promises while nobody dies.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use procession::{Family, GetError, PutError, Queue, RawQueue};
use support::{argument, hex, role, say, start, unhex};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn first_in_first_out_over_many_segments() {
    let q = Queue::unbounded().unwrap();
    q.put_many(0..100_000u64).unwrap();
    assert_eq!(q.len(), 100_000);
    for i in 0..100_000 {
        assert_eq!(q.try_get().unwrap(), i);
    }
    assert!(matches!(q.try_get(), Err(GetError::Empty)));
}

#[test]
fn every_size_around_every_boundary() {
    let q = Queue::unbounded().unwrap();
    let sizes =
        [0, 1, 3, 4, 5, 4000, 4070, 4080, 4090, 32_760, 32_764, 32_768, 32_770, 65_536, 1 << 20];
    for size in sizes.into_iter().flat_map(|s: usize| s.saturating_sub(2)..s + 3) {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        q.put(bytes.clone()).unwrap();
        q.put(vec![7]).unwrap();
        assert_eq!(q.try_get().unwrap(), bytes, "{size} bytes");
        assert_eq!(q.try_get().unwrap(), [7]);
    }
}

#[test]
fn a_bounded_queue_is_full_and_gives_the_value_back() {
    let q = Queue::bounded(2).unwrap();
    q.put("a".to_string()).unwrap();
    q.put("b".to_string()).unwrap();
    let Err(PutError::Full(value)) = q.try_put("c".to_string()) else { panic!("it is full") };
    assert_eq!(value, "c");
    let start = Instant::now();
    assert!(q.put_timeout(value, Duration::from_millis(30)).unwrap_err().is_full());
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(q.get().unwrap(), "a");
    q.put("d".to_string()).unwrap();
    assert_eq!(q.get_many(9).unwrap(), ["b", "d"]);
}

#[test]
fn closing_wakes_all_and_leaves_what_is_in() {
    let q: Queue<u32> = Queue::unbounded().unwrap();
    std::thread::scope(|s| {
        let waiters: Vec<_> = (0..3).map(|_| s.spawn(|| q.get_timeout(LONG))).collect();
        q.close();
        for w in waiters {
            assert!(matches!(w.join().unwrap(), Err(GetError::Closed)));
        }
    });
    assert!(matches!(q.put(1), Err(PutError::Closed(1))));
}

#[test]
fn threads_lose_and_double_nothing() {
    let q: Queue<(u64, u64)> = Queue::bounded(50).unwrap();
    const N: u64 = 20_000;
    let mut all: Vec<(u64, u64)> = std::thread::scope(|s| {
        for p in 0..3 {
            let q = q.clone();
            s.spawn(move || q.put_many((0..N).map(|i| (p, i))).unwrap());
        }
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let q = q.clone();
                s.spawn(move || {
                    let mut got = Vec::new();
                    let mut last = [None; 3];
                    for _ in 0..N {
                        let (p, i) = q.get_timeout(LONG).unwrap();
                        assert!(last[p as usize] < Some(i), "in order per producer");
                        last[p as usize] = Some(i);
                        got.push((p, i));
                    }
                    got
                })
            })
            .collect();
        consumers.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    all.sort_unstable();
    let wanted: Vec<_> = (0..3).flat_map(|p| (0..N).map(move |i| (p, i))).collect();
    assert_eq!(all, wanted);
}

#[test]
fn done_counts_puts() {
    let q = RawQueue::create(Family::current().unwrap(), None).unwrap();
    assert!(q.done().is_err());
    q.try_put(1, b"", None).unwrap();
    q.done().unwrap();
    assert_eq!(q.unfinished(), 0);
}

#[test]
fn a_message_of_another_type_is_an_error() {
    let q: Queue<String> = Queue::unbounded().unwrap();
    let same: Queue<u32> = Queue::from_handle(&q.handle()).unwrap();
    q.put("text".into()).unwrap();
    assert!(matches!(same.get(), Err(GetError::Decode(_))));
    q.raw().try_put(9, b"unknown", None).unwrap();
    assert!(matches!(q.get(), Err(GetError::Decode(_))));
}

#[test]
fn processes_share_and_a_sender_may_end_at_once() {
    if role().as_deref() == Some("sender") {
        let q: Queue<u64> = Queue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
        let large: Queue<Vec<u8>> = Queue::from_handle(&unhex(&argument("LARGE"))).unwrap();
        q.put_many(0..1000).unwrap();
        large.put(vec![3; 3 << 20]).unwrap();
        std::process::exit(0);
    }
    let q: Queue<u64> = Queue::unbounded().unwrap();
    let large: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    let handles = [("QUEUE", hex(&q.handle())), ("LARGE", hex(&large.handle()))];
    let sender = start("processes_share_and_a_sender_may_end_at_once", "sender", &handles);
    for i in 0..1000 {
        assert_eq!(q.get_timeout(LONG).unwrap(), i);
    }
    sender.finish();
    assert_eq!(large.get_timeout(LONG).unwrap(), vec![3; 3 << 20]);
}

#[test]
fn a_queue_inside_a_message_lives_until_it_is_read() {
    let family = Family::current().unwrap();
    let outer = RawQueue::create(family, None).unwrap();
    let inner = RawQueue::create(family, None).unwrap();
    inner.try_put(1, b"kept", None).unwrap();
    let handle = inner.handle();
    let block = family.alloc(0, &[inner.lease()]).unwrap();
    outer.try_put(1, b"", Some(block)).unwrap();
    drop(inner);
    let received = outer.try_get(&mut Vec::new()).unwrap().unwrap();
    let inner = RawQueue::from_handle(&handle).unwrap();
    drop(received);
    let mut bytes = Vec::new();
    inner.try_get(&mut bytes).unwrap().unwrap();
    assert_eq!(bytes, b"kept");
    drop(inner);
    assert!(RawQueue::from_handle(&handle).is_err(), "its last handle is gone");
}

#[test]
fn forged_handles_are_errors() {
    let q: Queue<u8> = Queue::unbounded().unwrap();
    let good = q.handle();
    for i in 0..good.len() {
        for flip in [1, 0x80] {
            let mut bad = good.clone();
            bad[i] ^= flip;
            // Some bytes are not looked at by who is in the family already: then it is the same queue.
            if let Ok(other) = Queue::<u8>::from_handle(&bad) {
                assert!(other.is_empty());
            }
        }
        assert!(Queue::<u8>::from_handle(&good[..i]).is_err());
    }
}

#[test]
fn a_bell_is_readable_while_there_is_something() {
    use rustix::event::{PollFd, PollFlags, poll};
    let q = RawQueue::create(Family::current().unwrap(), None).unwrap();
    let readable = || {
        // SAFETY: the bell's descriptor stays open while `q` lives.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(q.bell().unwrap()) };
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    assert!(!readable());
    q.try_put(1, b"a", None).unwrap();
    q.try_put(1, b"b", None).unwrap();
    assert!(readable());
    q.try_get(&mut Vec::new()).unwrap();
    assert!(readable(), "one is left");
    q.try_get(&mut Vec::new()).unwrap();
    assert!(!readable());
    let again = start("ring", "ring", &[("QUEUE", hex(&q.handle()))]);
    again.finish();
    assert!(readable(), "another process rings it");
}

#[test]
fn ring() {
    if role().as_deref() == Some("ring") {
        let q = RawQueue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
        q.try_put(1, b"c", None).unwrap();
        say("rung");
        std::process::exit(0);
    }
}
