//! Keys that bytes cannot compare: when a dict says that it is unsure, and what the caller does then.
#![allow(missing_docs)]

mod support;

use procession::collections::{AddError, Batch, CollectionError, Datum, FindError, Key, OPAQUE};
use procession::{Family, RawDict, SharedDict};
use support::alone;
use support::random::{Random, seed};

/// A kind that is not plain.
const STRANGE: u8 = 2;

fn key(hash: u64, kind: u8, bytes: &[u8]) -> Key<'_> {
    Key { hash, datum: Datum { kind, bytes, holds: &[] } }
}

fn names(batch: &Batch) -> Vec<&[u8]> {
    batch.items.iter().map(|i| &batch.bytes[i.key.clone()]).collect()
}

fn unsure<T>(done: Result<T, FindError>) -> bool {
    match done {
        Ok(_) => false,
        Err(FindError::Unsure) => true,
        Err(e) => panic!("{e}"),
    }
}

/// Asks all operations that look a key up, and that they agree; a miss changes nothing.
fn all_unsure(dict: &RawDict, key: &Key<'_>) -> bool {
    let (value, mut out, mut old) = (Datum::plain(b"new"), Vec::new(), Vec::new());
    let (len, version) = (dict.len().unwrap(), dict.version());
    let is = unsure(dict.contains(key));
    assert_eq!(unsure(dict.get(key, &mut out)), is);
    assert_eq!(unsure(dict.find(key, &mut out)), is);
    assert_eq!(unsure(dict.remove(key)), is);
    assert_eq!(unsure(dict.pop(key, &mut out)), is);
    assert_eq!(unsure(dict.compare_exchange(key, Some(&value), Some(&value))), is);
    if is {
        assert!(unsure(dict.insert(key, &value, Some(&mut old))));
        assert!(unsure(dict.set_default(key, &value, &mut out)));
        assert!(unsure(dict.compare_exchange(key, None, Some(&value))));
        assert!(matches!(dict.add_to(key, 1), Err(AddError::Find(FindError::Unsure))));
        let other = Key::plain(b"quite another");
        assert!(unsure(dict.insert_many(&[(other, value), (*key, value)])));
        assert_eq!((out, old), (Vec::new(), Vec::new()));
        assert_eq!((dict.len().unwrap(), dict.version()), (len, version));
    }
    is
}

alone!(a_miss_is_unsure_just_where_it_must_be {
    let family = Family::current().unwrap();
    let (plain, strange) = (procession::codec::PLAIN, STRANGE);
    // What is in the dict; what is asked for; whether that is unsure.
    let cases = [
        (None, (5, plain), false),
        (None, (5, strange), false),
        (None, (OPAQUE, strange), false),
        (Some((5, plain)), (5, plain), false),
        (Some((5, plain)), (6, plain), false),
        (Some((5, plain)), (5, strange), true),
        (Some((5, plain)), (6, strange), false),
        (Some((5, plain)), (OPAQUE, strange), true),
        (Some((5, plain)), (OPAQUE, plain), false),
        (Some((5, strange)), (5, plain), true),
        (Some((5, strange)), (6, plain), false),
        (Some((5, strange)), (5, strange), true),
        (Some((5, strange)), (6, strange), false),
        (Some((5, strange)), (OPAQUE, strange), true),
        (Some((OPAQUE, strange)), (5, plain), true),
        (Some((OPAQUE, strange)), (5, strange), true),
        (Some((OPAQUE, strange)), (OPAQUE, strange), true),
    ];
    for (there, (hash, kind), expected) in cases {
        let dict = RawDict::create(family).unwrap();
        if let Some((hash, kind)) = there {
            dict.insert(&key(hash, kind, b"there"), &Datum::plain(b"old"), None).unwrap();
            assert!(!all_unsure(&dict, &key(hash, kind, b"there")), "what is there is found");
            dict.insert(&key(hash, kind, b"there"), &Datum::plain(b"old"), None).unwrap();
        }
        let case = format!("{there:?}, asked for {hash:x} {kind}");
        assert_eq!(all_unsure(&dict, &key(hash, kind, b"asked")), expected, "{case}");
        assert_eq!(dict.check().unwrap(), [""; 0]);
    }
    assert_eq!(family.check(), [""; 0]);
});

alone!(what_is_gone_makes_nobody_unsure {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    let (asked, value) = (Key::plain(b"asked"), Datum::plain(b"1"));
    for hash in [OPAQUE, asked.hash] {
        let strange = key(hash, STRANGE, b"strange");
        dict.insert(&Key::plain(b"stays"), &value, None).unwrap();
        dict.insert_if(dict.version(), &strange, &value).unwrap().unwrap();
        assert!(unsure(dict.contains(&asked)));
        assert!(dict.remove(&strange).unwrap());
        assert!(!dict.contains(&asked).unwrap());
        dict.insert_if(dict.version(), &strange, &value).unwrap().unwrap();
        assert!(unsure(dict.contains(&asked)));
        dict.clear().unwrap();
        assert!(!dict.contains(&asked).unwrap());
    }
});

alone!(two_of_one_call_that_may_be_equal_are_unsure {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    let (one, same) = (Key::plain(b"1"), key(Key::plain(b"1").hash, STRANGE, b"True"));
    let (value, other) = (Datum::plain(b"a"), Datum::plain(b"b"));
    let long = [0; 9000];
    assert!(unsure(dict.insert_many(&[(one, Datum::plain(&long)), (same, value)])));
    assert!(unsure(dict.insert_many(&[(same, value), (one, Datum::plain(&long))])));
    assert!(dict.is_empty().unwrap());
    dict.update_if(dict.version(), &[(None, one, value), (None, one, other)]).unwrap().unwrap();
    assert_eq!(dict.snapshot().unwrap().bytes, b"1b");
    assert_eq!(dict.family().check(), [""; 0]);
});

alone!(candidates_are_of_one_moment_and_each_only_once {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    // Until both tables of the index are in use.
    let mut n = 0u64;
    let mut add = || {
        for (i, hash) in [7, OPAQUE, 1000 + n].into_iter().enumerate() {
            let name = [i as u8 + STRANGE, n as u8, (n >> 8) as u8];
            let key = key(hash, STRANGE, &name);
            dict.insert_if(dict.version(), &key, &Datum::plain(b"v")).unwrap().unwrap();
        }
        n += 1;
        (n, dict.version())
    };
    for _ in 0..300 {
        let (n, version) = add();
        let found = dict.candidates(&[OPAQUE, 7, 7, 12]).unwrap();
        assert_eq!((found.items.len() as u64, found.version, found.len), (2 * n, version, 3 * n));
        assert!(found.items.is_sorted_by_key(|i| i.pos));
        assert!(found.items.iter().all(|i| &found.bytes[i.value.clone()] == b"v"));
        let keys = dict.candidate_keys(&[7, OPAQUE]).unwrap();
        assert_eq!((names(&keys), keys.version), (names(&found), version));
        assert!(keys.items.iter().all(|i| i.value.is_empty()));
    }
    assert!(dict.candidates(&[]).unwrap().items.is_empty());
    let keys = dict.key_batch(0, usize::MAX).unwrap();
    assert_eq!(names(&keys), names(&dict.snapshot().unwrap()));
    assert_eq!(keys.bytes.len(), 3 * keys.items.len());
});

/// Keys that are equal if their first byte is, as only the caller knows.
fn set_as_python_does(dict: &RawDict, wanted: &Key<'_>, value: &Datum<'_>) {
    if !unsure(dict.insert(wanted, value, None)) {
        return;
    }
    loop {
        let all = match wanted.hash {
            OPAQUE => dict.snapshot().unwrap(),
            hash => dict.candidates(&[hash, OPAQUE]).unwrap(),
        };
        let equal = |i: &&procession::collections::Item| {
            all.bytes[i.key.clone()][0] == wanted.datum.bytes[0]
        };
        let done = match all.items.iter().find(equal) {
            Some(i) => dict.update_if(all.version, &[(Some(i.pos), *wanted, *value)]).unwrap(),
            None => dict.insert_if(all.version, wanted, value).unwrap().map(drop),
        };
        if done.is_ok() {
            return;
        }
    }
}

alone!(the_callers_equality_holds_with_four_threads {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let dict = &dict;
            scope.spawn(move || {
                let mut random = Random((seed + thread).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                for _ in 0..3000 {
                    let class = random.below(30) as u8;
                    // A class has one plain form, or is opaque, or mixed.
                    let (hash, kind, form) = match (class % 3, random.below(3) as u8) {
                        (0, _) | (1, 0) => (u64::from(class), procession::codec::PLAIN, 0),
                        (1, form) => (u64::from(class), STRANGE, form),
                        (_, form) => (OPAQUE, STRANGE, form),
                    };
                    let name = [class, form];
                    let wanted = key(hash, kind, &name);
                    if random.below(4) == 0 && !unsure(dict.remove(&wanted)) {
                        continue;
                    }
                    set_as_python_does(dict, &wanted, &Datum::plain(&[thread as u8; 3]));
                }
            });
        }
    });
    let all = dict.snapshot().unwrap();
    let mut classes: Vec<u8> = names(&all).iter().map(|n| n[0]).collect();
    let len = classes.len();
    classes.sort_unstable();
    classes.dedup();
    assert_eq!(classes.len(), len, "a key is there twice");
    assert!(len > 5);
    assert_eq!(dict.check().unwrap(), [""; 0]);
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_glimpse_is_what_conditional_operations_need {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    let (key, mut out) = (Key::plain(b"key"), Vec::new());
    let none = dict.find(&key, &mut out).unwrap();
    assert!(none.found.is_none());
    dict.insert_if(none.version, &key, &Datum::plain(b"1")).unwrap().unwrap();
    assert!(dict.insert_if(none.version, &key, &Datum::plain(b"2")).unwrap().is_err());
    let one = dict.find(&key, &mut out).unwrap();
    assert_eq!(out, b"1");
    let pos = one.found.unwrap().0;
    assert!(dict.get_at(one.version, pos, &mut out).unwrap().unwrap().is_some());
    assert_eq!(out, b"11");
    dict.insert(&Key::plain(b"other"), &Datum::plain(b"3"), None).unwrap();
    assert!(dict.replace_at(one.version, pos, &Datum::plain(b"4")).unwrap().is_err());
    let two = dict.find(&key, &mut out).unwrap();
    assert!(dict.remove_at(two.version, pos, &mut out).unwrap().unwrap().is_some());
    assert!(dict.remove_at(two.version, pos, &mut out).unwrap().is_err());
});

alone!(a_typed_dict_says_that_only_python_can_tell {
    let dict: SharedDict<u32, i64> = SharedDict::new().unwrap();
    dict.insert(&1, &10).unwrap();
    dict.raw().insert(&key(OPAQUE, STRANGE, b"?"), &Datum::plain(b"\x01"), None).unwrap_err();
    let strange = key(OPAQUE, STRANGE, b"?");
    dict.raw().insert_if(dict.version(), &strange, &Datum::plain(b"\x01")).unwrap().unwrap();
    assert_eq!(dict.get(&1).unwrap(), Some(10));
    assert_eq!(dict.add(&1, 1).unwrap(), 11);
    let unsure = |e: CollectionError| {
        assert!(e.to_string().contains("only Python"), "{e}");
        matches!(e, CollectionError::Unsure)
    };
    assert!(unsure(dict.get(&2).unwrap_err()) && unsure(dict.contains(&2).unwrap_err()));
    assert!(unsure(dict.insert(&2, &1).unwrap_err()) && unsure(dict.add(&2, 1).unwrap_err()));
    assert!(unsure(dict.get_or_insert(&2, 1).unwrap_err()) && unsure(dict.remove(&2).unwrap_err()));
    assert!(unsure(dict.extend([(2, 1)]).unwrap_err()));
    assert!(unsure(dict.compare_exchange(&2, None, Some(&1)).unwrap_err()));
    assert_eq!(dict.len().unwrap(), 2);
});
