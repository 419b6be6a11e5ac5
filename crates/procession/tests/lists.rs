//! Lists against what std makes of the same operations; many, shared.
#![allow(missing_docs)]

mod support;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use procession::collections::{Datum, Values};
use procession::{Family, RawList};
use support::random::{Random, seed, some_bytes};
use support::{Longest, alone, argument, hex, role, say, start_with, unhex};

fn values_of(values: &Values) -> Vec<Vec<u8>> {
    values.items.iter().map(|(_, range)| values.bytes[range.clone()].to_vec()).collect()
}

/// Of a slice of Python's, with an end of it now and then.
fn some_bound(random: &mut Random, len: usize) -> (i64, usize) {
    let at = random.below(len as u64 + 3) as usize;
    let i = i64::try_from(at).unwrap();
    match random.below(4) {
        0 => (i64::MAX, len),
        1 => (-i, len.saturating_sub(at) * usize::from(at > 0)),
        _ => (i, len.min(at)),
    }
}

fn one_of_a_list(list: &RawList, model: &mut Vec<Vec<u8>>, random: &mut Random, most: usize) {
    let value = some_bytes(random, random.clone().below(256));
    let v = Datum::plain(&value);
    let len = model.len();
    let ((i, at), mut out) = (some_bound(random, len), Vec::new());
    let exact = i64::try_from(at).unwrap();
    match random.below(if len > most { 60 } else { 100 }) {
        0..=19 => {
            let found = list.pop(-1, &mut out).unwrap().map(|_| out);
            assert_eq!(found, model.pop());
        }
        20..=29 => {
            let found = list.pop(0, &mut out).unwrap().map(|_| out);
            assert_eq!(found, (len > 0).then(|| model.remove(0)));
        }
        30..=39 => {
            let found = list.pop(exact, &mut out).unwrap().map(|_| out);
            assert_eq!(found, (at < len).then(|| model.remove(at)));
        }
        40..=44 => {
            let (j, to) = some_bound(random, len);
            let to = to.max(at);
            let new: Vec<_> = (0..random.below(30)).map(|n| some_bytes(random, n)).collect();
            let data: Vec<_> = new.iter().map(|n| Datum::plain(n)).collect();
            list.splice(i, j, &data).unwrap();
            model.splice(at..to, new);
        }
        45 => {
            list.reverse().unwrap();
            model.reverse();
        }
        46 => {
            let all = list.snapshot().unwrap();
            let mut order: Vec<usize> = (0..len).collect();
            order.sort_by(|a, b| model[*a].cmp(&model[*b]));
            list.reorder(all.version, &order).unwrap().unwrap();
            model.sort();
        }
        47 if random.below(20) == 0 => {
            list.clear().unwrap();
            model.clear();
        }
        48 if random.below(5) == 0 => {
            let version = list.version();
            let data: Vec<_> = model.iter().rev().map(|n| Datum::plain(n)).collect();
            assert!(list.replace_all(version.wrapping_sub(1), &data).unwrap().is_err());
            list.replace_all(version, &data).unwrap().unwrap();
            model.reverse();
        }
        49..=54 => {
            let (j, to) = some_bound(random, len);
            assert_eq!(values_of(&list.slice(i, j).unwrap()), model[at..to.max(at)]);
        }
        55..=59 => {
            let found = list.get(exact, &mut out).unwrap().map(|_| out);
            assert_eq!(found.as_ref(), model.get(at));
        }
        60..=69 => {
            assert_eq!(list.set(exact, &v).unwrap(), at < len);
            if at < len {
                model[at] = value;
            }
        }
        70..=79 => {
            list.insert(i, &v).unwrap();
            model.insert(at, value);
        }
        80..=82 => {
            list.insert(0, &v).unwrap();
            model.insert(0, value);
        }
        83..=84 => {
            let new: Vec<_> = (0..random.below(400)).map(|n| vec![n as u8]).collect();
            let data: Vec<_> = new.iter().map(|n| Datum::plain(n)).collect();
            list.splice(i, i, &data).unwrap();
            model.splice(at..at, new);
        }
        _ => {
            list.push(&v).unwrap();
            model.push(value);
        }
    }
}

fn lists_agree(list: &RawList, model: &[Vec<u8>]) {
    assert_eq!(list.check().unwrap(), [""; 0]);
    assert!(values_of(&list.snapshot().unwrap()) == model, "the values differ");
}

alone!(lists_agree_with_a_model {
    let family = Family::current().unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    for most in [5, 700, 5000] {
        let (list, mut model) = (RawList::create(family).unwrap(), Vec::new());
        for n in 0..12_000 {
            one_of_a_list(&list, &mut model, &mut random, most);
            if n % 200 == 0 {
                lists_agree(&list, &model);
            }
        }
        lists_agree(&list, &model);
        drop(list);
        assert_eq!(family.check(), [""; 0]);
    }
});

alone!(a_step_of_a_million {
    let family = Family::current().unwrap();
    let names: Vec<_> = (0..1_000_000u32).map(u32::to_le_bytes).collect();
    let data: Vec<_> = names.iter().map(|n| Datum::plain(n)).collect();
    let list = RawList::create(family).unwrap();
    list.extend(&data).unwrap();
    assert_eq!(list.len().unwrap(), 1_000_000);
    assert_eq!(list.check().unwrap(), [""; 0]);
    list.splice(10, 999_990, &[]).unwrap();
    assert_eq!(list.check().unwrap(), [""; 0]);
    assert_eq!(list.snapshot().unwrap().bytes, [&names[..10], &names[999_990..]].concat().concat());
    assert_eq!(family.check(), [""; 0]);
});

/// What four processes do to one list at the same time: each adds numbers of its own in order, and takes
/// out whatever is first.
#[test]
fn hammer() {
    if role().as_deref() != Some("hammer") {
        return;
    }
    let _family = Family::attach_fd(support::inherited()).unwrap();
    let list = RawList::from_handle(&unhex(&argument("HANDLE"))).unwrap();
    let me: u32 = argument("ME").parse().unwrap();
    let mut random = Random(argument("SEED").parse().unwrap());
    let (mut taken, mut last) = (0u64, HashMap::new());
    for n in 0..20_000u32 {
        let value = [me.to_le_bytes(), n.to_le_bytes()].concat();
        list.push(&Datum::plain(&value)).unwrap();
        let mut out = Vec::new();
        match random.below(3) {
            0 if list.pop(0, &mut out).unwrap().is_some() => {
                let from = out[..4].to_vec();
                let number = u32::from_le_bytes(out[4..].try_into().unwrap());
                let before = last.insert(from, number);
                let ordered = before.is_none_or(|before| before < number || number == u32::MAX);
                assert!(ordered, "in another order");
                taken += 1;
            }
            1 => assert_eq!(list.slice(-5, -2).unwrap().items.len(), 3),
            _ => assert!(list.get(-1, &mut out).unwrap().is_some()),
        }
    }
    say(&taken.to_string());
    std::process::exit(0);
}

alone!(four_processes_hammer_one_list {
    let family = Family::current().unwrap();
    let list = RawList::create(family).unwrap();
    list.extend(&[Datum::plain(&[0xff; 8]); 10]).unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let children: Vec<_> = (0..4)
        .map(|me| {
            let arguments = [
                ("HANDLE", hex(&list.handle())),
                ("ME", me.to_string()),
                ("SEED", (seed + me).to_string()),
            ];
            start_with("hammer", "hammer", &arguments, Some(family.fd()))
        })
        .collect();
    let taken: u64 =
        children.into_iter().map(|child| child.finish().0[0].parse::<u64>().unwrap()).sum();
    assert_eq!(list.len().unwrap(), 80_010 - taken);
    let all = list.snapshot().unwrap();
    let mut last = HashMap::new();
    for value in values_of(&all).iter().filter(|value| value[0] != 0xff) {
        let number = u32::from_le_bytes(value[4..].try_into().unwrap());
        let before = last.insert(value[..4].to_vec(), number);
        assert!(before.is_none_or(|before| before < number));
    }
    assert_eq!(list.check().unwrap(), [""; 0]);
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
});

// Long enough that the directory has several tallies, and both of its ends move.
alone!(a_long_list_that_changes_anywhere {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let list = RawList::create(Family::current().unwrap()).unwrap();
    let mut model: VecDeque<u32> = (0..130_000).collect();
    let names: Vec<_> = model.iter().map(|n| n.to_le_bytes()).collect();
    list.extend(&names.iter().map(|n| Datum::plain(n)).collect::<Vec<_>>()).unwrap();
    let mut out = Vec::new();
    for n in 0..12_000u32 {
        let len = model.len() as u64;
        let at = [random.below(len), 0, random.below(3), len - 1 - random.below(3)]
            [random.below(4) as usize];
        let (i, at) = (at.cast_signed(), at as usize);
        out.clear();
        match random.below(8) {
            0..=2 => {
                list.insert(i, &Datum::plain(&n.to_le_bytes())).unwrap();
                model.insert(at, n);
            }
            3..=5 => {
                assert!(list.pop(i, &mut out).unwrap().is_some());
                assert_eq!(out, model.remove(at).unwrap().to_le_bytes());
            }
            6 => {
                assert!(list.get(i, &mut out).unwrap().is_some());
                assert_eq!(out, model[at].to_le_bytes());
            }
            _ => {
                list.set(i, &Datum::plain(&n.to_le_bytes())).unwrap();
                model[at] = n;
            }
        }
        if n % 3000 == 0 {
            assert_eq!(list.check().unwrap(), [""; 0]);
        }
        if n % 4000 == 3999 {
            // Even again, and on from there.
            list.reverse().unwrap();
            model = model.into_iter().rev().collect();
        }
    }
    let all: Vec<u8> = model.iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(list.snapshot().unwrap().bytes, all);
    assert_eq!(list.check().unwrap(), [""; 0]);
    // To nothing, from both ends.
    for n in 0..model.len() {
        list.pop(if n % 2 == 0 { 0 } else { -1 }, &mut out).unwrap().unwrap();
    }
    assert!(list.is_empty().unwrap());
    assert_eq!(list.family().check(), [""; 0]);
});

alone!(a_million_values {
    const N: i64 = 1_000_000;
    let list = RawList::create(Family::current().unwrap()).unwrap();
    let (value, mut out) = (Datum::plain(&[7; 16]), Vec::new());
    let mut longest = [Longest::default(); 9];
    let [push, set, first, pop_first, slice, pop, anywhere, uneven, pop_anywhere] = &mut longest;
    (0..N).for_each(|_| push.of(|| list.push(&value).unwrap()));
    (0..N / 10).for_each(|i| assert!(set.of(|| list.set(i * 7919 % N, &value).unwrap())));
    (0..N / 10).for_each(|_| first.of(|| list.insert(0, &value).unwrap()));
    (0..N / 10).for_each(|_| drop(pop_first.of(|| list.pop(0, &mut out).unwrap().unwrap())));
    (0..1000).for_each(|i| drop(slice.of(|| list.slice(i * 997, i * 997 + 100).unwrap())));
    (0..N / 10).for_each(|_| drop(pop.of(|| list.pop(-1, &mut out).unwrap().unwrap())));
    let len = N - N / 10;
    (0..N / 100).for_each(|i| anywhere.of(|| list.insert(i * 7919 % len, &value).unwrap()));
    out.clear();
    (0..N / 100).for_each(|i| drop(uneven.of(|| list.get(i * 7919 % len, &mut out).unwrap())));
    (0..N / 100).for_each(|i| drop(pop_anywhere.of(|| list.pop(i * 7919 % len, &mut out).unwrap())));
    let names = [
        "push", "set", "insert(0)", "pop(0)", "slice of 100", "pop(-1)", "insert anywhere",
        "get, uneven", "pop anywhere",
    ];
    for (what, took) in names.iter().zip(longest) {
        say(&format!("{what}: {:?} in all, {:?} at most", took.all, took.one));
        assert!(took.one < Duration::from_millis(50), "{what}: {took:?}");
    }
    assert_eq!(list.check().unwrap(), [""; 0]);
});

alone!(many_collections_within_one_another {
    let family = Family::current().unwrap();
    let mut inner = RawList::create(family).unwrap();
    for _ in 0..10_000 {
        let outer = RawList::create(family).unwrap();
        let holds = [inner.lease()];
        outer.push(&Datum { holds: &holds, ..Datum::plain(&inner.handle()) }).unwrap();
        inner = outer;
    }
    assert_eq!(family.stats().collections, 10_001);
    // All but the outermost live by it alone.
    drop(inner);
    assert_eq!(family.stats().collections, 0);
    assert_eq!(family.check(), [""; 0]);
});
