//! Queues by priority against a model, and what is special to them.
#![allow(missing_docs)]

mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use procession::codec::order::{OrderKey, order_key};
use procession::collections::{Datum, OfferError};
use procession::{ArenaError, Family, PriorityQueue, PutError, RawPriorityQueue};
use serde::{Deserialize, Serialize};
use support::random::{Random, seed, some_bytes};
use support::{Longest, alone};

fn sound(q: &RawPriorityQueue) {
    assert_eq!(q.check().unwrap(), [""; 0]);
    assert_eq!(q.family().check(), [""; 0]);
}

/// Keys of all lengths, with many equal ones and many that begin alike.
fn some_key(random: &mut Random) -> OrderKey {
    let mut key = OrderKey::new();
    match random.below(4) {
        0 => key.signed(random.below(9).cast_signed() - 4),
        1 => assert!(key.float(random.next() as f64 / 3e9)),
        2 => key.unsigned(1 << 60 | random.below(50)),
        _ => key.signed(random.next().cast_signed() >> random.below(64)),
    }
    key
}

fn some_text_key(random: &mut Random) -> OrderKey {
    let mut key = OrderKey::new();
    let long = [0, 3, 20, 300, 5000][random.below(5) as usize];
    key.bytes(&[&vec![7; long][..], &random.below(30).to_le_bytes()[..1]].concat());
    key
}

/// Puts and gets at random, in phases of growth and decline, beside a binary heap.
fn against_a_model(mut key_of: impl FnMut(&mut Random) -> OrderKey, steps: u64, most: u64) {
    let family = Family::current().unwrap();
    let q = RawPriorityQueue::create(family, None).unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let mut model = BinaryHeap::new();
    let (mut arrival, mut longest) = (0u64, 0);
    for n in 0..steps {
        let grows = (n / most).is_multiple_of(2);
        if random.below(10) < if grows { 8 } else { 2 } {
            let key = key_of(&mut random);
            let mut value = arrival.to_le_bytes().to_vec();
            value.extend(some_bytes(&mut random, arrival));
            q.try_put(key.as_bytes(), &Datum { kind: 3, ..Datum::plain(&value) }).unwrap();
            model.push(Reverse((key.as_bytes().to_vec(), arrival, value)));
            arrival += 1;
        } else {
            let mut out = b"x".to_vec();
            let expected = model.pop().map(|Reverse((_, _, value))| value);
            let got = q.try_get(&mut out).unwrap();
            assert_eq!(
                got.map(|copied| (copied.kind, &out[1..])),
                expected.as_deref().map(|v| (3, v))
            );
        }
        assert_eq!(q.len(), model.len() as u64);
        longest = longest.max(model.len());
        if n % 997 == 0 {
            assert_eq!(q.check().unwrap(), [""; 0], "after {n}");
        }
    }
    assert!(longest as u64 > most / 2);
    let all = q.snapshot().unwrap();
    let mut expected: Vec<_> = model.into_iter().map(|Reverse(entry)| entry).collect();
    expected.sort();
    assert_eq!(all.items.len(), expected.len());
    for ((_, range), (_, _, value)) in all.items.into_iter().zip(expected) {
        let mut out = Vec::new();
        assert!(q.peek(&mut out).unwrap().is_some() && q.try_get(&mut out).unwrap().is_some());
        assert!(out.len() == 2 * value.len() && out.starts_with(&value) && out.ends_with(&value));
        assert_eq!(all.bytes[range], value);
    }
    sound(&q);
    drop(q);
    assert_eq!(family.check(), [""; 0]);
    assert_eq!(family.stats().queues, 0);
}

alone!(numbers_against_a_model {
    against_a_model(some_key, 40_000, 5000);
});

alone!(long_keys_against_a_model {
    against_a_model(some_text_key, 12_000, 1500);
});

alone!(in_order_backwards_and_all_alike {
    let q = RawPriorityQueue::create(Family::current().unwrap(), None).unwrap();
    let orders: [fn(u64) -> u64; 4] = [|n| n, |n| 5000 - n, |_| 7, |n| n % 3];
    for order in orders {
        for n in 0..5000 {
            let key = order_key(&order(n)).unwrap();
            q.try_put(key.as_bytes(), &Datum::plain(&n.to_le_bytes())).unwrap();
        }
        sound(&q);
        let mut expected: Vec<u64> = (0..5000).collect();
        expected.sort_by_key(|n| order(*n));
        for n in expected {
            let mut out = Vec::new();
            q.try_get(&mut out).unwrap().unwrap();
            assert_eq!(out, n.to_le_bytes());
        }
        sound(&q);
    }
});

alone!(a_million_entries_make_no_stop {
    let family = Family::current().unwrap();
    let q = RawPriorityQueue::create(family, None).unwrap();
    let in_use = || family.stats().arena_bytes - family.stats().idle_bytes;
    let before = in_use();
    let mut random = Random(9);
    let mut longest = Longest::default();
    for _ in 0..1_000_000 {
        let n = random.next();
        let key = order_key(&n).unwrap();
        longest.of(|| q.try_put(key.as_bytes(), &Datum::plain(&n.to_le_bytes())).unwrap());
    }
    let most = in_use() - before;
    let (mut last, mut out) = (0, Vec::new());
    for n in 0..1_000_000 {
        out.clear();
        longest.of(|| q.try_get(&mut out).unwrap().unwrap());
        let next = u64::from_le_bytes(out[..].try_into().unwrap());
        assert!(next >= last);
        last = next;
        if n == 900_000 {
            let left = in_use() - before;
            assert!(left < most / 3, "{left} of {most} bytes are left with a tenth of the entries");
            sound(&q);
        }
    }
    assert!(longest.one.as_millis() < 5, "{longest:?}");
    let left = in_use().saturating_sub(before);
    assert!(left <= 64 << 10, "{left} bytes are left");
});

alone!(what_is_taken_needs_no_memory {
    let family = Family::current().unwrap();
    let q = RawPriorityQueue::create(family, None).unwrap();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    for n in 0..4000 {
        let value = some_bytes(&mut random, n);
        q.try_put(some_text_key(&mut random).as_bytes(), &Datum::plain(&value)).unwrap();
    }
    let len = q.len();
    family.set_memory_limit(Some(1));
    let full = vec![7; 1 << 20];
    let refused = q.try_put(some_text_key(&mut random).as_bytes(), &Datum::plain(&full));
    assert!(matches!(refused, Err(OfferError::Arena(ArenaError::Full { .. }))));
    assert_eq!(q.len(), len);
    for left in (0..len).rev() {
        assert!(q.try_get(&mut Vec::new()).unwrap().is_some());
        assert_eq!(q.len(), left);
    }
    sound(&q);
});

alone!(handles_live_as_long_as_they_are_in_a_queue {
    let family = Family::current().unwrap();
    let q = RawPriorityQueue::create(family, None).unwrap();
    let key = order_key(&1).unwrap();
    {
        let inner = procession::RawDict::create(family).unwrap();
        let holds = [inner.lease()];
        q.try_put(key.as_bytes(), &Datum { holds: &holds, ..Datum::plain(&inner.handle()) }).unwrap();
    }
    assert_eq!(family.stats().collections, 1);
    let mut out = Vec::new();
    assert_eq!(q.peek(&mut out).unwrap().unwrap().holds.len(), 1);
    let taken = q.try_get(&mut out).unwrap().unwrap();
    assert_eq!(taken.holds.len(), 1);
    let handle = &out[out.len() / 2..];
    assert!(procession::RawDict::from_handle(handle).is_ok());
    drop(taken);
    assert_eq!(family.stats().collections, 0);
    sound(&q);
});

/// Text by its length, which no key of theirs says.
fn put_odd(q: &RawPriorityQueue, text: &[u8]) -> u32 {
    let mut compared = 0;
    loop {
        let place = q.place(|_, other| {
            compared += 1;
            Ok::<_, ArenaError>(text.len() < other.len())
        });
        let Ok(place) = place.unwrap() else { continue };
        match q.try_put_at(&place, &Datum::plain(text)) {
            Ok(()) => return compared,
            Err(OfferError::Outdated) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

alone!(what_only_its_owner_can_compare {
    let q = RawPriorityQueue::create(Family::current().unwrap(), None).unwrap();
    let mut random = Random(seed());
    eprintln!("seed {}", random.0);
    let mut model: Vec<Vec<u8>> = Vec::new();
    let mut most = 0;
    for n in 0..6000u64 {
        if n / 1500 % 2 == 0 || random.below(3) == 0 {
            let mut text = n.to_le_bytes().to_vec();
            text.resize(8 + random.below(200) as usize, 7);
            most = most.max(put_odd(&q, &text));
            let at = model.partition_point(|other| other.len() <= text.len());
            model.insert(at, text);
        } else if !model.is_empty() {
            let mut out = Vec::new();
            q.try_get(&mut out).unwrap().unwrap();
            assert_eq!(out, model.remove(0));
        }
        if n % 500 == 0 {
            sound(&q);
        }
    }
    assert!(most <= 24, "{most} comparisons are more than a bisection's");
    let key = order_key(&1).unwrap();
    let one = Datum::plain(b"one");
    assert!(matches!(q.try_put(key.as_bytes(), &one), Err(OfferError::Unsure)));
    while q.try_get(&mut Vec::new()).unwrap().is_some() {}
    q.try_put(key.as_bytes(), &one).unwrap();
    // Among such as have keys.
    q.try_put(order_key(&2).unwrap().as_bytes(), &Datum::plain(b"two two two")).unwrap();
    put_odd(&q, b"middle");
    assert_eq!(q.snapshot().unwrap().bytes, b"onemiddletwo two two");
    sound(&q);
});

alone!(a_place_is_good_for_one_version {
    let q = RawPriorityQueue::create(Family::current().unwrap(), None).unwrap();
    let place = || q.place(|_, _| Ok::<_, ArenaError>(false)).unwrap();
    let one = Datum::plain(b"1");
    let (first, second) = (place().unwrap(), place().unwrap());
    q.try_put_at(&first, &one).unwrap();
    assert!(matches!(q.try_put_at(&second, &one), Err(OfferError::Outdated)));
    let outdated = q.place(|_, _| {
        q.try_get(&mut Vec::new()).unwrap().unwrap();
        Ok::<_, ArenaError>(false)
    });
    // It was looked at, and then taken: the place is one of a former version.
    let place = outdated.unwrap();
    assert!(place.is_err() || matches!(q.try_put_at(&place.unwrap(), &one), Err(OfferError::Outdated)));
    assert_eq!(q.len(), 0);
    sound(&q);
});

alone!(several_who_compare_themselves_lose_nothing {
    let q = RawPriorityQueue::create(Family::current().unwrap(), None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3u8 {
            let q = &q;
            scope.spawn(move || {
                for n in 0..200u8 {
                    put_odd(q, &[&[thread, n][..], &vec![0; usize::from(n % 40)]].concat());
                }
            });
        }
    });
    let mut seen = std::collections::HashSet::new();
    let (mut out, mut last) = (Vec::new(), 0);
    while q.try_get(&mut out).unwrap().is_some() {
        assert!(out.len() >= last && seen.insert(out.clone()));
        last = out.len();
        out.clear();
    }
    assert_eq!(seen.len(), 600);
    sound(&q);
});

alone!(what_is_refused_has_changed_nothing {
    let q = RawPriorityQueue::create(Family::current().unwrap(), None).unwrap();
    let put = |key: &OrderKey| q.try_put(key.as_bytes(), &Datum::plain(b""));
    let row = |n: i64, text: Option<&str>| {
        let mut key = OrderKey::new();
        key.begin_row();
        key.signed(n);
        match text {
            Some(text) => key.text(text),
            None => key.signed(5),
        }
        key.end_row();
        key
    };
    for n in 0..100 {
        put(&row(n, (n != 50).then_some("a"))).unwrap();
    }
    let version = q.version();
    for key in [row(7, None), row(50, Some("b")), order_key(&3).unwrap(), order_key("a").unwrap()] {
        assert!(matches!(put(&key), Err(OfferError::Unordered(_))));
    }
    let mut long = OrderKey::new();
    long.text(&"a".repeat(2 << 20));
    assert!(matches!(put(&long), Err(OfferError::Unordered(_))));
    assert_eq!((q.version(), q.len()), (version, 100));
    put(&row(50, None)).unwrap();
    put(&row(300, None)).unwrap();
    sound(&q);
});

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Urgency {
    Now,
    Within { minutes: u32 },
    Whenever(Option<String>),
}

alone!(values_come_as_derive_orders_them {
    let q: PriorityQueue<(Urgency, u8)> = PriorityQueue::unbounded().unwrap();
    let mut all = vec![
        (Urgency::Whenever(Some("b".into())), 1),
        (Urgency::Within { minutes: 300 }, 2),
        (Urgency::Whenever(None), 3),
        (Urgency::Now, 5),
        (Urgency::Within { minutes: 5 }, 0),
        (Urgency::Now, 4),
        (Urgency::Whenever(Some("a".into())), 9),
    ];
    q.put_many(all.clone()).unwrap();
    all.sort();
    assert_eq!(q.try_iter().collect::<Result<Vec<_>, _>>().unwrap(), all);
});

alone!(values_with_a_priority_beside_them {
    let q = PriorityQueue::bounded(3).unwrap();
    q.put_with_priority(&1.5, "a".to_string()).unwrap();
    q.try_put_with_priority(&1, "b".to_string()).unwrap();
    let refused = q.put_with_priority(&f64::NAN, "c".to_string()).unwrap_err();
    assert!(matches!(&refused, PutError::Unordered(value, why) if value == "c" && why.contains("NaN")));
    let refused = q.put_with_priority("1", "c".to_string()).unwrap_err();
    assert!(matches!(refused, PutError::Unordered(..)));
    q.put_with_priority(&true, "c".to_string()).unwrap();
    let brief = std::time::Duration::from_millis(1);
    assert!(q.put_with_priority_timeout(&0, "d".to_string(), brief).unwrap_err().is_full());
    assert_eq!(q.get_many(9).unwrap(), ["b", "c", "a"]);
});
