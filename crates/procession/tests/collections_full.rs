//! Dicts and lists where memory lacks: nothing is changed, nothing lost, and what is removed makes room.
#![allow(missing_docs)]

mod support;

use procession::collections::{Datum, FindError, Key};
use procession::{ArenaError, Family, RawDict, RawList};
use support::alone;

fn name(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

/// From now on no page can be had that is not there already.
fn no_more(family: Family) {
    family.set_memory_limit(Some(1));
}

alone!(a_step_that_fails_has_not_moved_the_version {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let names: Vec<_> = (0..3000).map(name).collect();
    let all = |byte: &'static [u8; 20]| -> Vec<_> {
        names.iter().map(|n| (None, Key::plain(n), Datum::plain(byte))).collect()
    };
    dict.update_if(dict.version(), &all(&[1; 20])).unwrap().unwrap();
    no_more(family);
    let version = dict.version();
    // Each is overwritten where it lies; what lacks is memory for the journal.
    assert!(matches!(dict.update_if(version, &all(&[2; 20])), Err(ArenaError::Full { .. })));
    assert_eq!(dict.version(), version);
    let all = dict.snapshot().unwrap();
    assert!(all.items.iter().all(|i| all.bytes[i.value.clone()] == [1; 20]));
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_handle_that_cannot_be_counted_leaves_its_value_where_it_is {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let key = Key::plain(b"inner");
    {
        let inner = RawDict::create(family).unwrap();
        let value = Datum { holds: &[inner.lease()], ..Datum::plain(b"inner") };
        dict.insert(&key, &value, None).unwrap();
        list.push(&value).unwrap();
        list.push(&Datum::plain(b"a")).unwrap();
    }
    // As many handles as one page has entries for.
    let _others: Vec<_> = (0..510).map(|_| RawList::create(family).unwrap()).collect();
    no_more(family);
    let (mut out, mut old) = (Vec::new(), Vec::new());
    let full = |e: FindError| matches!(e, FindError::Arena(ArenaError::Full { .. }));
    assert!(full(dict.get(&key, &mut out).unwrap_err()));
    assert!(full(dict.pop(&key, &mut out).unwrap_err()));
    assert!(full(dict.insert(&key, &Datum::plain(b"new"), Some(&mut old)).unwrap_err()));
    assert!(full(dict.set_default(&key, &Datum::plain(b"new"), &mut out).unwrap_err()));
    assert!(matches!(dict.snapshot(), Err(ArenaError::Full { .. })));
    assert!(matches!(dict.pop_last(&mut old, &mut out), Err(ArenaError::Full { .. })));
    assert!(matches!(list.get(0, &mut out), Err(ArenaError::Full { .. })));
    assert!(matches!(list.pop(0, &mut out), Err(ArenaError::Full { .. })));
    assert!(matches!(list.snapshot(), Err(ArenaError::Full { .. })));
    assert_eq!((dict.len().unwrap(), list.len().unwrap()), (1, 2));
    assert_eq!((&out[..], &old[..]), (&b""[..], &b""[..]));
    family.set_memory_limit(None);
    assert_eq!(dict.pop(&key, &mut out).unwrap().unwrap().holds.len(), 1);
    assert_eq!(list.pop(0, &mut old).unwrap().unwrap().holds.len(), 1);
    assert_eq!((&out[..], &old[..]), (&b"inner"[..], &b"inner"[..]));
    assert_eq!(family.check(), [""; 0]);
});

alone!(what_is_removed_needs_no_memory {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let long = |n: u64| [&name(n)[..], &[7; 5000]].concat();
    for n in 0..3000 {
        dict.insert(&Key::plain(&long(n)), &Datum::plain(&[n as u8; 6000]), None).unwrap();
    }
    no_more(family);
    for n in (0..3000).rev() {
        assert!(dict.remove(&Key::plain(&long(n))).unwrap(), "{n}");
    }
    assert_eq!(dict.check().unwrap(), [""; 0]);
    assert_eq!(family.check(), [""; 0]);
});

/// In the middle of a list a chunk is written anew, which may need a page: but at its ends none is.
fn emptied_from_everywhere(value: &[u8]) {
    let family = Family::current().unwrap();
    let list = RawList::create(family).unwrap();
    list.extend(&vec![Datum::plain(value); 3000]).unwrap();
    family.set_memory_limit(Some(family.stats().arena_bytes));
    let mut refused = 0;
    for n in 0.. {
        let len = list.len().unwrap();
        if len == 0 {
            break;
        }
        let index = [len.cast_signed() / 2, 0, -1][n % 3];
        match list.pop(index, &mut Vec::new()) {
            Ok(popped) => assert!(popped.is_some() && list.len().unwrap() == len - 1),
            Err(ArenaError::Full { .. }) => {
                assert!(n % 3 == 0 && list.len().unwrap() == len);
                refused += 1;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!(refused < 10, "what was freed at the ends is a page for the middle: {refused}");
    assert_eq!(list.check().unwrap(), [""; 0]);
    assert_eq!(family.check(), [""; 0]);
}

alone!(a_full_list_is_emptied {
    emptied_from_everywhere(&[7; 20]);
});

alone!(a_full_list_of_long_values_is_emptied {
    emptied_from_everywhere(&[7; 5000]);
});

alone!(memory_is_back_when_the_call_is {
    let family = Family::current().unwrap();
    let in_use = || family.stats().arena_bytes - family.stats().idle_bytes;
    let list = RawList::create(family).unwrap();
    list.push(&Datum::plain(b"a")).unwrap();
    let before = in_use();
    for (from, to) in [(0, i64::MAX), (1, -1)] {
        list.clear().unwrap();
        list.extend(&vec![Datum::plain(&[7; 100]); 100_000]).unwrap();
        assert!(in_use() > before + (10 << 20));
        list.splice(from, to, &[]).unwrap();
        let left = in_use().saturating_sub(before);
        assert!(left <= 512 << 10, "{from}..{to}: {left} bytes are left");
    }
    let values = vec![Datum::plain(&[7; 5000]); 3000];
    list.extend(&values).unwrap();
    list.splice(0, -1, &[]).unwrap();
    assert!(in_use().saturating_sub(before) <= 512 << 10);
});
