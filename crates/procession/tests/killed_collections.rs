//! Processes that work on one dict and one list are killed at random; nobody ever sees half an operation.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use procession::collections::{Datum, Key};
use procession::{Family, RawDict, RawList};
use support::random::{Random, seed};
use support::{alone, argument, hex, role, say, start_with, unhex};

const KILLS: u64 = 60;
/// Keys that always have the same value, and how many such groups there are.
const GROUP: u64 = 7;
const GROUPS: u64 = 40;

fn name_of(group: u64, i: u64) -> [u8; 16] {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&group.to_le_bytes());
    name[8..].copy_from_slice(&i.to_le_bytes());
    name
}

fn work(dict: &RawDict, list: &RawList, random: &mut Random) {
    let group = random.below(GROUPS);
    let names: Vec<_> = (0..GROUP).map(|i| name_of(group, i)).collect();
    let value = vec![random.next() as u8; [1, 20, 200, 5000][random.below(4) as usize]];
    match random.below(10) {
        0..=2 => {
            let group: Vec<_> =
                names.iter().map(|name| (Key::plain(name), Datum::plain(&value))).collect();
            dict.insert_many(&group).unwrap();
        }
        3 => {
            // One by one, under a key of its own.
            let name = name_of(1000 + random.below(600), 0);
            let (key, value) = (Key::plain(&name), Datum::plain(&value));
            dict.insert(&key, &value, None).unwrap();
        }
        4..=5 => {
            let name = name_of(1000 + random.below(600), 0);
            dict.remove(&Key::plain(&name)).unwrap();
        }
        6 => drop(dict.add_to(&Key::plain(b"n"), 1).unwrap()),
        7 => {
            let data = vec![Datum::plain(&value); GROUP as usize];
            list.extend(&data).unwrap();
        }
        8 if list.len().unwrap() > 3000 => {
            list.splice(700, 700 + 7 * 300, &[]).unwrap();
        }
        8 => list.splice(0, 0, &vec![Datum::plain(&value); GROUP as usize]).unwrap(),
        _ => list.reverse().unwrap(),
    }
}

/// What must be so at any time.
fn look(dict: &RawDict, list: &RawList) {
    let all = dict.snapshot().unwrap();
    let mut groups = vec![Vec::new(); GROUPS as usize];
    for item in &all.items {
        if let Ok(name) = <[u8; 16]>::try_from(&all.bytes[item.key.clone()]) {
            let group = u64::from_le_bytes(name[..8].try_into().unwrap()) as usize;
            if let Some(group) = groups.get_mut(group) {
                group.push(&all.bytes[item.value.clone()]);
            }
        }
    }
    for group in groups.iter().filter(|group| !group.is_empty()) {
        assert!(group.len() as u64 == GROUP && group.iter().all(|v| *v == group[0]), "half");
    }
    let all = list.snapshot().unwrap();
    for group in all.items.chunks(GROUP as usize) {
        let bytes = |i: usize| &all.bytes[group[i].1.clone()];
        assert!(group.len() as u64 == GROUP && (1..group.len()).all(|i| bytes(i) == bytes(0)));
    }
}

#[test]
fn worker() {
    if role().as_deref() != Some("worker") {
        return;
    }
    let _family = Family::attach_fd(support::inherited()).unwrap();
    let dict = RawDict::from_handle(&unhex(&argument("DICT"))).unwrap();
    let list = RawList::from_handle(&unhex(&argument("LIST"))).unwrap();
    let mut random = Random(argument("SEED").parse().unwrap());
    let end = Instant::now() + support::LIMIT;
    say("at work");
    while Instant::now() < end {
        for _ in 0..50 {
            work(&dict, &list, &mut random);
        }
        look(&dict, &list);
    }
    panic!("nobody killed it");
}

alone!(killed_at_random {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let start = |seed: u64| {
        let arguments = [
            ("DICT", hex(&dict.handle())),
            ("LIST", hex(&list.handle())),
            ("SEED", (seed | 1).to_string()),
        ];
        let mut child = start_with("worker", "worker", &arguments, Some(family.fd()));
        assert_eq!(child.hear(), "at work");
        child
    };
    let mut workers: Vec<_> = (0..3).map(|_| start(random.next())).collect();
    for _ in 0..KILLS {
        // Some moment, whichever it is.
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let victim = random.below(3) as usize;
        let fresh = start(random.next());
        let mut dead = std::mem::replace(&mut workers[victim], fresh);
        assert!(dead.child.try_wait().unwrap().is_none(), "it failed by itself");
        dead.child.kill().unwrap();
        assert!(support::killed(dead.finish().1));
        look(&dict, &list);
    }
    for mut worker in workers {
        assert!(worker.child.try_wait().unwrap().is_none(), "it failed by itself");
        worker.child.kill().unwrap();
        worker.finish();
    }
    family.sweep().unwrap();
    look(&dict, &list);
    assert_eq!((dict.check().unwrap(), list.check().unwrap()), (vec![], vec![]));
    assert_eq!(family.check(), [""; 0]);
    drop((dict, list));
    assert_eq!(family.check(), [""; 0]);
    assert_eq!(family.stats().collections, 0);
});
