//! Entries that are gone through in batches, while others work on the dict.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use procession::collections::{Datum, Key};
use procession::{Family, RawDict};
use support::alone;

/// More are dead than alive, so with each that goes or comes others move.
fn sparse() -> (RawDict, BTreeSet<u64>) {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    for n in 0..3000u64 {
        dict.insert(&Key::plain(&n.to_le_bytes()), &Datum::plain(b"1"), None).unwrap();
    }
    for n in 0..1800u64 {
        assert!(dict.remove(&Key::plain(&n.to_le_bytes())).unwrap());
    }
    (dict, (1800..3000).collect())
}

/// All keys in batches, with something done in between.
fn walk(dict: &RawDict, mut between: impl FnMut(u64)) -> Vec<u64> {
    let (mut seen, mut from, shape) = (Vec::new(), Some(0), dict.shape().unwrap());
    while let Some(at) = from {
        let batch = dict.batch(at, 100).unwrap();
        assert_eq!(batch.shape, shape);
        for i in &batch.items {
            seen.push(u64::from_le_bytes(batch.bytes[i.key.clone()].try_into().unwrap()));
        }
        from = batch.next;
        for n in 2000..2004 {
            between(n);
        }
    }
    seen
}

alone!(a_value_that_is_replaced_moves_no_entry {
    let (one, two) = (Datum::plain(b"1"), Datum::plain(b"2"));
    type Replace<'a> = &'a dyn Fn(&RawDict, &Key<'_>);
    let ways: [(&str, Replace<'_>); 6] = [
        ("insert", &|dict, key| drop(dict.insert(key, &two, None).unwrap())),
        ("add_to", &|dict, key| assert!(dict.add_to(key, 1).unwrap() > 1)),
        ("compare_exchange", &|dict, key| {
            assert!(dict.compare_exchange(key, Some(&one), Some(&two)).unwrap());
            assert!(dict.compare_exchange(key, Some(&two), Some(&one)).unwrap());
        }),
        ("insert_many", &|dict, key| dict.insert_many(&[(*key, two)]).unwrap()),
        ("update_if", &|dict, key| {
            dict.update_if(dict.version(), &[(None, *key, two)]).unwrap().unwrap();
        }),
        ("replace_at", &|dict, key| {
            let seen = dict.find(key, &mut Vec::new()).unwrap();
            let pos = seen.found.unwrap().0;
            assert!(dict.replace_at(seen.version, pos, &two).unwrap().unwrap());
        }),
    ];
    for (how, replace) in ways {
        let (dict, there) = sparse();
        if how == "add_to" {
            for n in &there {
                dict.insert(&Key::plain(&n.to_le_bytes()), &Datum::plain(b"\x01"), None).unwrap();
            }
        }
        let seen = walk(&dict, |n| replace(&dict, &Key::plain(&n.to_le_bytes())));
        assert!(seen.iter().copied().eq(there), "{how}: {} of 1200", seen.len());
        assert_eq!(dict.check().unwrap(), [""; 0]);
    }
});
