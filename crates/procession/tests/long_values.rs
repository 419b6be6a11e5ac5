//! Values so long that they are copied out without the lock.
#![allow(missing_docs)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use procession::collections::{Datum, Key};
use procession::{Family, RawDict, RawList};
use support::alone;

/// One that lies in a run of spans and has a mapping of its own, and one that does not.
const LENGTHS: [usize; 2] = [65 << 20, 300_000];

fn is_one_of(bytes: &[u8], len: usize) -> bool {
    bytes.len() == len && bytes.iter().all(|b| *b == bytes[0])
}

fn write(dict: &RawDict, list: &RawList, values: &[Vec<u8>], rounds: usize) {
    for n in 0..rounds {
        let (value, mut old) = (&values[n % values.len()], Vec::new());
        dict.insert(&Key::plain(b"long"), &Datum::plain(value), Some(&mut old)).unwrap().unwrap();
        assert!(is_one_of(&old, value.len()));
        assert!(list.set(0, &Datum::plain(value)).unwrap());
    }
}

fn read(dict: &RawDict, list: &RawList, len: usize) {
    let mut out = Vec::new();
    dict.get(&Key::plain(b"long"), &mut out).unwrap().unwrap();
    assert!(is_one_of(&out, len));
    out.clear();
    list.get(0, &mut out).unwrap().unwrap();
    assert!(is_one_of(&out, len));
    let all = dict.snapshot().unwrap();
    assert!(is_one_of(&all.bytes[all.items[0].value.clone()], len));
}

alone!(a_value_that_is_replaced_while_it_is_read_is_whole {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let key = Key::plain(b"long");
    for len in LENGTHS {
        let values: Vec<_> = (0..4u8).map(|n| vec![n; len]).collect();
        dict.insert(&key, &Datum::plain(&values[0]), None).unwrap();
        list.push(&Datum::plain(&values[0])).unwrap();
        let rounds = if len > 1 << 20 { 6 } else { 400 };
        let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&dict, &list, &values, rounds));
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        read(&dict, &list, len);
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let written = writer.join();
            done.store(true, Ordering::Relaxed);
            written.unwrap();
        });
        assert!(reads.load(Ordering::Relaxed) > 0);
        let mut out = Vec::new();
        dict.pop(&key, &mut out).unwrap().unwrap();
        assert!(is_one_of(&out, len));
        list.pop(0, &mut out).unwrap().unwrap();
        assert_eq!(family.check(), [""; 0]);
    }
});

alone!(long_and_short_values_come_out_in_order {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let value = |n: u8| vec![n; if n.is_multiple_of(3) { 70_000 + usize::from(n) } else { usize::from(n) }];
    for n in 0..60u8 {
        dict.insert(&Key::plain(&[n]), &Datum::plain(&value(n)), None).unwrap();
        list.push(&Datum::plain(&value(n))).unwrap();
    }
    let (all, values) = (dict.snapshot().unwrap(), list.snapshot().unwrap());
    for n in 0..60u8 {
        let item = &all.items[usize::from(n)];
        assert_eq!(all.bytes[item.key.clone()], [n]);
        assert!(all.bytes[item.value.clone()] == value(n));
        assert!(values.bytes[values.items[usize::from(n)].1.clone()] == value(n));
    }
    // What is long counts for the length of a batch.
    let some = dict.batch(0, 100_000).unwrap();
    assert_eq!((some.items.len(), some.next), (4, Some(4)));

    // What was in the vector before stays there.
    let both = |n: u8| [b"before", &value(n)[..]].concat();
    let mut out = b"before".to_vec();
    dict.insert(&Key::plain(&[3]), &Datum::plain(b""), Some(&mut out)).unwrap().unwrap();
    assert!(out == both(3));
    dict.insert(&Key::plain(b"last"), &Datum::plain(&value(3)), None).unwrap();
    let (mut key, mut out) = (Vec::new(), b"before".to_vec());
    dict.pop_last(&mut key, &mut out).unwrap().unwrap();
    assert!(key == b"last" && out == both(3));
    let mut out = b"before".to_vec();
    list.pop(-3, &mut out).unwrap().unwrap();
    assert!(out == both(57));
    drop((dict, list));
    assert_eq!(family.check(), [""; 0]);
});
