//! Dicts against what std makes of the same operations; many, full, shared.
#![allow(missing_docs)]

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use procession::collections::{AddError, Batch, Datum, FindError, Key};
use procession::{ArenaError, Family, RawDict};
use support::random::{Random, seed, some_bytes};
use support::{Longest, alone, argument, fork, hex, role, say, start_with, unhex};

fn bytes_of(batch: &Batch) -> Vec<(Vec<u8>, Vec<u8>)> {
    let part = |r: &std::ops::Range<usize>| batch.bytes[r.clone()].to_vec();
    batch.items.iter().map(|i| (part(&i.key), part(&i.value))).collect()
}

/// As a dict of Python's: entries in the order of their insertion.
#[derive(Default)]
struct Model {
    order: Vec<Vec<u8>>,
    values: HashMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) -> Option<Vec<u8>> {
        let old = self.values.insert(key.clone(), value);
        if old.is_none() {
            self.order.push(key);
        }
        old
    }

    fn remove(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let old = self.values.remove(key)?;
        self.order.retain(|k| k != key);
        Some(old)
    }

    fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.order.iter().map(|k| (k.clone(), self.values[k].clone())).collect()
    }
}

fn some_key(random: &mut Random, of: u64) -> Vec<u8> {
    let n = random.below(of);
    let mut key = format!("{n}").into_bytes();
    match n % 50 {
        0 => key.extend([7; 5000]),
        1..=9 => key.extend([7; 20]),
        _ => {}
    }
    key
}

fn one_operation(dict: &RawDict, model: &mut Model, random: &mut Random, keys: u64) {
    let key = some_key(random, keys);
    let value = some_bytes(random, random.clone().below(256));
    let (k, v) = (Key::plain(&key), Datum::plain(&value));
    let mut out = Vec::new();
    match random.below(100) {
        0..=29 => {
            let old = dict.insert(&k, &v, Some(&mut out)).unwrap().map(|_| out);
            assert_eq!(old, model.insert(key, value));
        }
        30..=49 => {
            let found = dict.get(&k, &mut out).unwrap().map(|_| out);
            assert_eq!(found.as_ref(), model.values.get(&key));
        }
        50..=74 => {
            let found = dict.pop(&k, &mut out).unwrap().map(|_| out);
            assert_eq!(found, model.remove(&key));
        }
        75..=79 => assert_eq!(dict.remove(&k).unwrap(), model.remove(&key).is_some()),
        80..=84 => {
            let found = dict.set_default(&k, &v, &mut out).unwrap().map(|_| out);
            let had = model.values.get(&key).cloned();
            if had.is_none() {
                model.insert(key, value);
            }
            assert_eq!(found, had);
        }
        85..=89 => {
            let mut last = Vec::new();
            let popped = dict.pop_last(&mut last, &mut out).unwrap().map(|_| (last, out));
            let had = model.order.last().cloned().map(|k| {
                let v = model.remove(&k).unwrap();
                (k, v)
            });
            assert_eq!(popped, had);
        }
        90..=93 => {
            let many: Vec<_> = (0..random.below(200))
                .map(|n| (some_key(random, keys), some_bytes(random, n)))
                .collect();
            let given: Vec<_> =
                many.iter().map(|(k, v)| (Key::plain(k), Datum::plain(v))).collect();
            dict.insert_many(&given).unwrap();
            for (k, v) in many {
                model.insert(k, v);
            }
        }
        94..=96 => {
            let old = model.values.get(&key).cloned();
            let right = random.below(2) == 0;
            let given = if right { old.clone() } else { Some(b"another".to_vec()) };
            let datum = given.as_ref().map(|g| Datum::plain(g));
            let done = dict.compare_exchange(&k, datum.as_ref(), Some(&v)).unwrap();
            assert_eq!(done, given == old);
            if done {
                model.insert(key, value);
            }
        }
        97 => {
            let version = dict.version();
            assert!(dict.insert_if(version.wrapping_sub(1), &k, &v).unwrap().is_err());
            dict.insert_if(version, &k, &v).unwrap().unwrap();
            model.insert(key, value);
        }
        98 if random.below(20) == 0 => {
            dict.clear().unwrap();
            *model = Model::default();
        }
        _ => assert_eq!(dict.contains(&k).unwrap(), model.values.contains_key(&key)),
    }
}

fn agree(dict: &RawDict, model: &Model) {
    assert_eq!(dict.check().unwrap(), [""; 0]);
    assert_eq!(dict.len().unwrap(), model.order.len() as u64);
    let mut found = Vec::new();
    let (mut from, shape) = (Some(0), dict.shape().unwrap());
    while let Some(at) = from {
        let batch = dict.batch(at, 2000).unwrap();
        assert_eq!(batch.shape, shape);
        found.extend(bytes_of(&batch));
        from = batch.next;
    }
    assert!(found == model.entries(), "the entries or their order differ");
}

alone!(dicts_agree_with_a_model {
    let family = Family::current().unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    for keys in [5, 300, 3000] {
        let (dict, mut model) = (RawDict::create(family).unwrap(), Model::default());
        for n in 0..12_000 {
            one_operation(&dict, &mut model, &mut random, keys);
            if n % 500 == 0 {
                agree(&dict, &model);
            }
        }
        agree(&dict, &model);
        drop(dict);
        assert_eq!(family.check(), [""; 0]);
    }
});

alone!(a_million_entries {
    let family = Family::current().unwrap();
    const N: u64 = 1_000_000;
    let dict = RawDict::create(family).unwrap();
    let before = family.stats();
    let mut longest = [Longest::default(); 5];
    let mut timed = |i: usize, act: &mut dyn FnMut()| longest[i].of(act);
    let mut out = Vec::new();
    for n in 0..N {
        let (key, value) = (n.to_le_bytes(), [n as u8; 16]);
        timed(0, &mut || drop(dict.insert(&Key::plain(&key), &Datum::plain(&value), None).unwrap()));
    }
    for n in 0..N {
        let (key, value) = (n.to_le_bytes(), [!n as u8; 20]);
        timed(1, &mut || drop(dict.insert(&Key::plain(&key), &Datum::plain(&value), None).unwrap()));
    }
    for n in 0..N {
        out.clear();
        let key = n.to_le_bytes();
        timed(2, &mut || assert!(dict.get(&Key::plain(&key), &mut out).unwrap().is_some()));
        assert_eq!(out, [!n as u8; 20]);
    }
    let (mut from, mut seen) = (Some(0), 0);
    while let Some(at) = from {
        timed(4, &mut || {
            let batch = dict.batch(at, 64 << 10).unwrap();
            seen += batch.items.len() as u64;
            from = batch.next;
        });
    }
    assert_eq!((seen, dict.check().unwrap()), (N, Vec::new()));
    let full = family.stats();
    // In no order: every other one of those that are left, again and again.
    let mut left: Vec<u64> = (0..N).collect();
    while !left.is_empty() {
        let (gone, rest): (Vec<_>, Vec<_>) = left.iter().enumerate().partition(|(i, _)| i % 2 == 0);
        for (_, n) in gone {
            let key = n.to_le_bytes();
            timed(3, &mut || assert!(dict.remove(&Key::plain(&key)).unwrap()));
        }
        left = rest.into_iter().map(|(_, n)| *n).collect();
        let used = family.stats();
        let in_use = (used.arena_bytes - used.idle_bytes) >> 10;
        say(&format!("{} left: {in_use} KiB in use", left.len()));
    }
    for (what, took) in ["insert", "overwrite", "get", "remove", "batch"].iter().zip(longest) {
        say(&format!("{what}: {:?} each, {:?} at most", took.all / N as u32, took.one));
        assert!(took.one < Duration::from_millis(50), "{what}: {took:?}");
    }
    let after = family.stats();
    let in_use = |s: &procession::Stats| s.arena_bytes - s.idle_bytes;
    say(&format!(
        "in use: {} before, {} full, {} after",
        in_use(&before),
        in_use(&full),
        in_use(&after)
    ));
    assert!(in_use(&after) < in_use(&before) + (64 << 10));
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_full_arena_changes_nothing {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let mut model = Model::default();
    family.set_memory_limit(Some(family.stats().arena_bytes + (2 << 20)));
    let mut refused = 0;
    for n in 0u64..40_000 {
        let (key, value) = (n.to_le_bytes(), vec![n as u8; (n % 700) as usize]);
        match dict.insert(&Key::plain(&key), &Datum::plain(&value), None) {
            Ok(_) => drop(model.insert(key.to_vec(), value)),
            Err(FindError::Arena(ArenaError::Full { .. })) => refused += 1,
            Err(e) => panic!("{e}"),
        }
        if n % 1000 == 0 || refused == 1 {
            agree(&dict, &model);
        }
    }
    assert!(refused > 1000, "{refused}");
    let many: Vec<_> = (0..10_000u64).map(u64::to_le_bytes).collect();
    let given: Vec<_> = many.iter().map(|k| (Key::plain(k), Datum::plain(&[1; 300]))).collect();
    assert!(matches!(
        dict.insert_many(&given),
        Err(FindError::Arena(ArenaError::Full { .. }))
    ));
    agree(&dict, &model);
    assert_eq!(family.check(), [""; 0]);
    // What is removed can be used again.
    for n in 0u64..40_000 {
        dict.remove(&Key::plain(&n.to_le_bytes())).unwrap();
    }
    assert!(dict.is_empty().unwrap());
    dict.insert(&Key::plain(b"large"), &Datum::plain(&vec![0; 1 << 20]), None).unwrap();
    assert_eq!(family.check(), [""; 0]);
});

alone!(only_integers_are_added_to {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    let key = Key::plain(b"n");
    for text in [&b"\x07\x07"[..], b"\xc3", b"\xca\0\0\0\0", b"", b"\xa1a"] {
        dict.insert(&key, &Datum::plain(text), None).unwrap();
        assert!(matches!(dict.add_to(&key, 1), Err(AddError::NoInteger)), "{text:?}");
    }
    dict.insert(&key, &Datum { kind: 2, ..Datum::plain(b"\x07") }, None).unwrap();
    assert!(matches!(dict.add_to(&key, 1), Err(AddError::NoInteger)), "pickled");
    dict.insert(&key, &Datum::plain(b"\x07"), None).unwrap();
    assert_eq!(dict.add_to(&key, i64::MAX - 7).unwrap(), i64::MAX);
    assert!(matches!(dict.add_to(&key, 1), Err(AddError::Overflow)));
    assert_eq!(dict.add_to(&key, -1).unwrap(), i64::MAX - 1);
});

alone!(a_value_larger_than_an_extent {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let value: Vec<u8> = (0..66 << 20).map(|n: u32| (n >> 12) as u8).collect();
    let (key, mut out) = (Key::plain(b"long"), Vec::new());
    dict.insert(&key, &Datum::plain(&value), None).unwrap();
    assert!(dict.get(&key, &mut out).unwrap().is_some() && out == value);
    assert!(dict.compare_exchange(&key, Some(&Datum::plain(&value)), None).unwrap());
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_value_is_overwritten_where_it_lies {
    let dict = RawDict::create(Family::current().unwrap()).unwrap();
    let (key, mut out) = (Key::plain(b"n"), Vec::new());
    dict.insert(&key, &Datum::plain(&[0; 20]), None).unwrap();
    let bytes = dict.heap_bytes().unwrap();
    for n in 0..100u8 {
        let (kind, value) = (n % 9 + 1, vec![n; 17 + n as usize % 8]);
        let before = dict.version();
        dict.insert(&key, &Datum { kind, ..Datum::plain(&value) }, None).unwrap();
        assert_ne!(dict.version(), before);
        out.clear();
        assert_eq!(dict.get(&key, &mut out).unwrap().unwrap().kind, kind);
        assert_eq!(out, value);
        assert_eq!(dict.heap_bytes().unwrap(), bytes);
    }
    assert_eq!(dict.check().unwrap(), [""; 0]);
});

alone!(what_is_inside_lives_as_long_as_its_entry {
    let family = Family::current().unwrap();
    let (outer, inner) = (RawDict::create(family).unwrap(), RawDict::create(family).unwrap());
    let handle = inner.handle();
    {
        let value = Datum { holds: &[inner.lease()], ..Datum::plain(&handle) };
        outer.insert(&Key::plain(b"inner"), &value, None).unwrap();
    }
    inner.insert(&Key::plain(b"a"), &Datum::plain(b"1"), None).unwrap();
    drop(inner);
    let mut out = Vec::new();
    let copied = outer.get(&Key::plain(b"inner"), &mut out).unwrap().unwrap();
    assert_eq!(copied.holds.len(), 1);
    assert_eq!(RawDict::from_handle(&out).unwrap().len().unwrap(), 1);
    drop(copied);
    let copied = outer.pop(&Key::plain(b"inner"), &mut out).unwrap().unwrap();
    assert!(RawDict::from_handle(&handle).is_ok(), "who popped it has it still");
    drop(copied);
    assert!(RawDict::from_handle(&handle).is_err());
    assert_eq!(family.check(), [""; 0]);
});

/// What four processes do to one dict at the same time.
#[test]
fn hammer() {
    if role().as_deref() != Some("hammer") {
        return;
    }
    let _family = Family::attach_fd(support::inherited()).unwrap();
    let dict = RawDict::from_handle(&unhex(&argument("HANDLE"))).unwrap();
    let me: u64 = argument("ME").parse().unwrap();
    let mut random = Random(argument("SEED").parse().unwrap());
    let mut mine: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut sum = 0;
    let mut out = Vec::new();
    for _ in 0..20_000 {
        let n = random.below(500);
        let key = (me << 32 | n).to_le_bytes();
        let value = some_bytes(&mut random, n);
        out.clear();
        match random.below(10) {
            0..=4 => {
                let had = dict.insert(&Key::plain(&key), &Datum::plain(&value), Some(&mut out));
                assert_eq!(had.unwrap().map(|_| out.clone()), mine.insert(n, value));
            }
            5..=6 => {
                let had = dict.pop(&Key::plain(&key), &mut out).unwrap().map(|_| out.clone());
                assert_eq!(had, mine.remove(&n));
            }
            7 => {
                let had = dict.get(&Key::plain(&key), &mut out).unwrap().map(|_| out.clone());
                assert_eq!(had.as_ref(), mine.get(&n));
            }
            _ => {
                dict.add_to(&Key::plain(b"sum"), n.cast_signed()).unwrap();
                sum += n;
            }
        }
    }
    say(&format!("{sum} {}", mine.len()));
    std::process::exit(0);
}

alone!(four_processes_hammer_one_dict {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let seed = seed();
    eprintln!("seed {seed}");
    let children: Vec<_> = (0..4)
        .map(|me| {
            let arguments = [
                ("HANDLE", hex(&dict.handle())),
                ("ME", me.to_string()),
                ("SEED", (seed + me).to_string()),
            ];
            start_with("hammer", "hammer", &arguments, Some(family.fd()))
        })
        .collect();
    let (mut sum, mut len) = (0, 1);
    for child in children {
        let (lines, _) = child.finish();
        let numbers: Vec<u64> = lines[0].split(' ').map(|n| n.parse().unwrap()).collect();
        sum += numbers[0];
        len += numbers[1];
    }
    assert_eq!(dict.add_to(&Key::plain(b"sum"), 0).unwrap(), sum.cast_signed());
    assert_eq!(dict.len().unwrap(), len);
    assert_eq!(dict.check().unwrap(), [""; 0]);
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_change_wakes_who_waits_for_it {
    let family = Family::current().unwrap();
    let dict = RawDict::create(family).unwrap();
    let since = dict.version();
    let child = fork(|| {
        let deadline = Instant::now() + support::LIMIT;
        while dict.version() == since {
            assert_ne!(dict.wait_for_change(since, Some(deadline)), procession::Wait::TimedOut);
        }
    });
    while family.stats().participants.iter().all(|p| p.waiting_on.is_none()) {
        std::thread::yield_now();
    }
    dict.insert(&Key::plain(b"a"), &Datum::plain(b"1"), None).unwrap();
    assert_eq!(child.wait(), 0);
});

alone!(a_step_of_many {
    let family = Family::current().unwrap();
    let names: Vec<_> = (0..600_000u32).map(u32::to_le_bytes).collect();
    let data: Vec<_> = names.iter().map(|n| Datum::plain(n)).collect();
    let dict = RawDict::create(family).unwrap();
    let entries: Vec<_> = data.iter().map(|d| (Key::plain(d.bytes), *d)).collect();
    dict.insert_many(&entries).unwrap();
    assert_eq!(dict.len().unwrap(), 600_000);
    assert_eq!(dict.check().unwrap(), [""; 0]);
    assert_eq!(family.check(), [""; 0]);
});
