//! Queues that deliver again, against a model; and what they do with room, waiting and shutting down.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use procession::collections::{Datum, NotInFlight, OfferError, Ticket};
use procession::{
    ArenaError, DeliveryError, DeliveryQueue, Family, GetError, PutError, RawDeliveryQueue,
    RawQueue, Wait,
};
use support::primitives::{sleepers, until};
use support::random::{Random, seed, some_bytes};
use support::{alone, fork};

fn sound(q: &RawDeliveryQueue) {
    assert_eq!(q.check().unwrap(), [""; 0]);
    assert_eq!(q.family().check(), [""; 0]);
}

fn queue() -> RawDeliveryQueue {
    RawDeliveryQueue::create(Family::current().unwrap(), None).unwrap()
}

fn take(q: &RawDeliveryQueue) -> Option<(Vec<u8>, Ticket)> {
    let mut out = Vec::new();
    let (_, ticket) = q.try_take(&mut out).unwrap()?;
    Some((out, ticket))
}

alone!(against_a_model {
    let q = queue();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    let (mut waiting, mut flying) = (BTreeMap::new(), Vec::<(u64, Vec<u8>, Ticket)>::new());
    let mut counts = BTreeMap::new();
    let mut longest = 0;
    let mut next = 0;
    for n in 0..60_000u64 {
        let grows = n / 7000 % 2 == 0;
        match random.below(10) {
            0..=4 if grows || random.below(3) == 0 => {
                let value = some_bytes(&mut random, n);
                q.try_put(&Datum { kind: 2, ..Datum::plain(&value) }).unwrap();
                waiting.insert(next, value);
                next += 1;
            }
            0..=5 => {
                let expected = waiting.pop_first();
                let got = take(&q);
                assert_eq!(got.as_ref().map(|got| &got.0), expected.as_ref().map(|one| &one.1));
                if let (Some((number, _)), Some((value, ticket))) = (expected, got) {
                    let count = counts.entry(number).or_insert(0);
                    *count += 1;
                    assert_eq!((ticket.count(), ticket.number()), (*count, number));
                    flying.push((number, value, ticket));
                }
            }
            which if !flying.is_empty() => {
                let i = random.below(flying.len() as u64) as usize;
                let (number, value, ticket) = flying.swap_remove(i);
                if which == 6 {
                    q.give_back(&ticket).unwrap().unwrap();
                    waiting.insert(number, value);
                } else {
                    q.done(&ticket).unwrap().unwrap();
                    counts.remove(&number);
                }
                assert_eq!(q.done(&ticket).unwrap(), Err(NotInFlight));
                assert_eq!(q.give_back(&ticket).unwrap(), Err(NotInFlight));
            }
            _ => {}
        }
        let bytes: usize = if n % 97 == 0 { waiting.values().map(Vec::len).sum() } else { 0 };
        assert!(n % 97 != 0 || q.bytes() == bytes as u64);
        assert_eq!((q.len(), q.in_flight()), (waiting.len() as u64, flying.len() as u64));
        longest = longest.max(waiting.len());
        if n % 997 == 0 {
            sound(&q);
            let mut listed: Vec<_> = flying.iter().map(|one| (one.0, one.2.count())).collect();
            listed.sort_unstable();
            let found: Vec<_> = q.in_flights().unwrap();
            assert_eq!(found.iter().map(|one| (one.number, one.count)).collect::<Vec<_>>(), listed);
            assert!(found.iter().all(|one| one.pid == std::process::id()));
        }
    }
    assert!(longest > 1000, "several chunks: {longest}");
    while let Some((value, ticket)) = take(&q) {
        assert_eq!(Some(value), waiting.pop_first().map(|one| one.1));
        q.done(&ticket).unwrap().unwrap();
    }
    flying.drain(..).for_each(|one| q.done(&one.2).unwrap().unwrap());
    assert_eq!((q.unfinished(), q.bytes(), waiting.len()), (0, 0, 0));
    sound(&q);
});

alone!(one_message_that_stays_in_flight_keeps_little_memory {
    let family = Family::current().unwrap();
    let in_use = || family.stats().arena_bytes - family.stats().idle_bytes;
    let q = queue();
    let before = in_use();
    for _ in 0..50_000 {
        q.try_put(&Datum::plain(&[7; 100])).unwrap();
    }
    let most = in_use() - before;
    assert!(most > 5 << 20);
    let all: Vec<_> = std::iter::from_fn(|| take(&q)).map(|one| one.1).collect();
    let (kept, done): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|ticket| ticket.number() % 5000 == 0);
    for ticket in &done {
        q.done(ticket).unwrap().unwrap();
    }
    // Each of them stood in a segment of 256 KiB of its own.
    let left = in_use() - before;
    assert!(left <= 800 << 10, "{left} of {most}");
    sound(&q);
    for ticket in &kept {
        q.give_back(ticket).unwrap().unwrap();
    }
    assert_eq!(q.len(), 10);
    for ticket in &kept {
        assert_eq!(take(&q).unwrap().1.number(), ticket.number());
    }
});

alone!(all_but_a_put_needs_no_memory {
    let family = Family::current().unwrap();
    let q = queue();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    for n in 0..3000 {
        q.try_put(&Datum::plain(&some_bytes(&mut random, n))).unwrap();
    }
    family.set_memory_limit(Some(1));
    let refused = q.try_put(&Datum::plain(&vec![7; 1 << 20])).unwrap_err();
    assert!(matches!(refused, OfferError::Arena(ArenaError::Full { .. })));
    let mut all: Vec<_> = std::iter::from_fn(|| take(&q)).map(|one| one.1).collect();
    assert_eq!(all.len(), 3000);
    all.iter().rev().for_each(|ticket| q.give_back(ticket).unwrap().unwrap());
    for _ in 0..1000 {
        all.push(take(&q).unwrap().1);
        q.done(&all.pop().unwrap()).unwrap().unwrap();
    }
    all = std::iter::from_fn(|| take(&q)).map(|one| one.1).take(1000).collect();
    q.shut_down_now().unwrap();
    assert_eq!(q.unfinished(), 1000);
    for ticket in &all {
        q.done(ticket).unwrap().unwrap();
    }
    assert_eq!(q.unfinished(), 0);
    sound(&q);
});

alone!(the_limits_are_of_what_waits {
    let family = Family::current().unwrap();
    let q = RawDeliveryQueue::create_limited(family, NonZeroU64::new(3), NonZeroU64::new(10)).unwrap();
    let put = |bytes: &[u8]| q.try_put(&Datum::plain(bytes));
    put(&[1; 20]).unwrap();
    assert!(matches!(put(b"x"), Err(OfferError::Full)), "alone");
    let large = take(&q).unwrap().1;
    for _ in 0..2 {
        put(b"12345").unwrap();
    }
    assert!(matches!(put(b"x"), Err(OfferError::Full)), "10 bytes");
    assert!(q.is_full() && q.has_room(0) && !q.has_room(1));
    put(b"").unwrap();
    assert!(matches!(put(b""), Err(OfferError::Full)), "3 messages");
    // What comes back needs no room.
    q.give_back(&large).unwrap().unwrap();
    assert_eq!((q.len(), q.bytes()), (4, 30));
    assert_eq!(take(&q).unwrap().0.len(), 20);
    let opened = RawDeliveryQueue::from_handle(&q.handle()).unwrap();
    assert_eq!((opened.capacity(), opened.max_bytes()), (q.capacity(), q.max_bytes()));
    sound(&q);
});

alone!(a_child_of_a_fork_does_not_own_what_its_parent_took {
    let q = queue();
    q.try_put(&Datum::plain(b"one")).unwrap();
    let (_, ticket) = take(&q).unwrap();
    let (other, mine) = (q.clone(), ticket);
    let status = fork(move || {
        assert_eq!(other.done(&mine).unwrap(), Err(NotInFlight));
        assert_eq!(other.give_back(&mine).unwrap(), Err(NotInFlight));
    })
    .wait();
    assert_eq!(status, 0);
    assert_eq!(q.recover().unwrap(), 0, "the child's end is not the parent's");
    q.done(&ticket).unwrap().unwrap();
});

alone!(what_a_process_had_comes_back_however_it_ends {
    let q = queue();
    for n in 0..10u8 {
        q.try_put(&Datum::plain(&[n])).unwrap();
    }
    let other = q.clone();
    fork(move || {
        for n in 0..5u8 {
            let (value, ticket) = take(&other).unwrap();
            assert_eq!(value, [n]);
            if n == 2 {
                other.done(&ticket).unwrap().unwrap();
            }
        }
    })
    .wait();
    assert_eq!(q.recover().unwrap(), 4);
    assert_eq!(q.recover().unwrap(), 0);
    let all: Vec<_> = std::iter::from_fn(|| take(&q)).collect();
    assert_eq!(all.iter().map(|one| one.0[0]).collect::<Vec<_>>(), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    let counts: Vec<_> = all.iter().map(|one| one.1.count()).collect();
    assert_eq!(counts, [2, 2, 2, 2, 1, 1, 1, 1, 1]);
    sound(&q);
});

alone!(what_handles_inside_name_lives_while_the_message_is_in_flight {
    let family = Family::current().unwrap();
    let q = queue();
    let inner = RawQueue::create(family, None).unwrap();
    let (handle, leases) = (inner.handle(), [inner.lease()]);
    q.try_put(&Datum { holds: &leases, ..Datum::plain(&handle) }).unwrap();
    drop((inner, leases));
    let other = q.clone();
    fork(move || drop(take(&other).unwrap())).wait();
    assert_eq!(q.recover().unwrap(), 1);
    let (bytes, ticket) = take(&q).unwrap();
    assert_eq!((&bytes, ticket.count()), (&handle, 2));
    assert!(RawQueue::from_handle(&handle).is_ok());
    q.done(&ticket).unwrap().unwrap();
    assert!(RawQueue::from_handle(&handle).is_err());
    sound(&q);
});

alone!(who_waits_is_woken_by_what_comes_back {
    let q = queue();
    q.try_put(&Datum::plain(b"one")).unwrap();
    let (mine, ticket) = (q.clone(), take(&q).unwrap().1);
    let waiting = std::thread::spawn(move || {
        loop {
            match take(&mine) {
                Some((_, ticket)) => return ticket.count(),
                None => drop(mine.wait_for_item(None)),
            }
        }
    });
    until(|| sleepers() > 0);
    q.give_back(&ticket).unwrap().unwrap();
    assert_eq!(waiting.join().unwrap(), 2);
});

alone!(who_waits_notices_a_death {
    let q = queue();
    q.try_put(&Datum::plain(b"one")).unwrap();
    let other = q.clone();
    let child = fork(move || {
        take(&other).unwrap();
        loop {
            std::thread::park();
        }
    });
    until(|| q.in_flight() == 1);
    let end = Instant::now() + Duration::from_secs(5);
    let waiting = {
        let q = q.clone();
        std::thread::spawn(move || {
            while take(&q).is_none() {
                assert_ne!(q.wait_for_item(Some(end)), Wait::TimedOut);
            }
        })
    };
    until(|| sleepers() > 0);
    let start = Instant::now();
    child.signal(libc::SIGKILL);
    waiting.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    child.wait();
});

alone!(shut_down {
    let q = queue();
    for n in 0..500u16 {
        q.try_put(&Datum::plain(&n.to_le_bytes())).unwrap();
    }
    let first = take(&q).unwrap().1;
    let second = take(&q).unwrap().1;
    q.close();
    assert!(matches!(q.try_put(&Datum::plain(b"")), Err(OfferError::Closed)));
    let third = take(&q).unwrap().1;
    q.shut_down_now().unwrap();
    assert_eq!((q.len(), q.in_flight(), q.unfinished()), (0, 3, 3));
    assert_eq!(q.wait_for_item(None), Wait::Again);
    q.done(&first).unwrap().unwrap();
    q.give_back(&second).unwrap().unwrap();
    assert_eq!(q.unfinished(), 1, "what is given back is dropped");
    q.done(&third).unwrap().unwrap();
    assert_eq!(q.wait_done(None), Wait::Again);
    sound(&q);
});

alone!(typed {
    let jobs: DeliveryQueue<String> = DeliveryQueue::bounded(2).unwrap();
    jobs.put_many(["a".to_owned(), "b".to_owned()]).unwrap();
    assert!(matches!(jobs.try_put("c".into()), Err(PutError::Full(_))));
    let first = jobs.get().unwrap();
    assert_eq!((first.as_str(), first.count(), jobs.in_flight()), ("a", 1, 1));
    drop(first);
    let both = jobs.get_many(9).unwrap();
    assert_eq!(both.iter().map(|one| (one.as_str(), one.count())).collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _both = both;
        panic!("on purpose");
    }));
    assert!(unwound.is_err());
    assert_eq!((jobs.len(), jobs.in_flight()), (2, 0), "a panic gives back");
    let mine = std::cell::Cell::new(jobs.try_get().ok());
    let status = fork(|| {
        let refused = mine.take().unwrap().done();
        assert!(matches!(refused, Err(DeliveryError::NotInFlight(_))));
        assert_eq!(jobs.get().unwrap().count(), 2);
        std::mem::forget(jobs.get());
    })
    .wait();
    assert_eq!(status, 0);
    assert_eq!(mine.take().unwrap().done().unwrap(), "a");
    // Given back by the child, taken again, and left behind.
    let job = jobs.try_get().unwrap();
    assert_eq!((job.as_str(), job.count()), ("b", 4));
    job.done().unwrap();
    jobs.join();
    assert!(jobs.join_timeout(Duration::ZERO));
    let odd: DeliveryQueue<u64> = DeliveryQueue::from_handle(&jobs.handle()).unwrap();
    jobs.put("text".into()).unwrap();
    assert!(matches!(odd.try_get(), Err(GetError::Decode(_))));
    assert_eq!(jobs.unfinished(), 0, "what can't be decoded is gone");
    jobs.close();
    assert!(matches!(jobs.get(), Err(GetError::Closed)));
    assert!(matches!(jobs.put("x".into()), Err(PutError::Closed(_))));
});
