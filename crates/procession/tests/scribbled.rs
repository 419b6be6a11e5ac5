//! Dicts and lists whose words were overwritten: an error, never a crash, never a hang.
#![allow(missing_docs)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use procession::collections::{Datum, FindError, Key, OPAQUE, Part};
use procession::{ArenaError, Family, RawDict, RawList};
use support::random::{Random, seed, some_bytes};
use support::scribble::{DATA, scribble};
use support::{alone, argument, role, say, start};

const ROUNDS: u64 = 120;
/// Whether damage was noticed.
fn noticed<T, E: Into<FindError>>(done: Result<T, E>) -> u64 {
    match done.map_err(E::into) {
        Ok(_) | Err(FindError::Arena(ArenaError::Full { .. }) | FindError::Unsure) => 0,
        Err(FindError::Arena(ArenaError::Corrupt(_))) => 1,
        Err(e) => panic!("{e}"),
    }
}

fn with_dict(dict: &RawDict, random: &mut Random) -> u64 {
    let key = random.below(900).to_le_bytes();
    let value = some_bytes(random, 1);
    let (key, value, mut out) = (Key::plain(&key), Datum::plain(&value), Vec::new());
    match random.below(40) {
        0..=14 => noticed(dict.insert(&key, &value, None)),
        15..=19 => noticed(dict.get(&key, &mut out)),
        20..=33 => noticed(dict.remove(&key)),
        34 => noticed(dict.pop_last(&mut Vec::new(), &mut out)),
        35 => noticed(dict.insert_many(&[(key, value); 9])),
        36 => noticed(dict.snapshot()),
        37 => noticed(dict.candidates(&[key.hash, OPAQUE])),
        38 => noticed(dict.check()),
        _ if random.below(20) == 0 => noticed(dict.clear()),
        _ => noticed(dict.set_default(&key, &value, &mut out)),
    }
}

fn reordered(list: &RawList) -> Result<(), ArenaError> {
    let (version, len) = (list.version(), list.len()?);
    if len > 100_000 {
        return Ok(()); // so long it never was
    }
    let order: Vec<usize> = (0..len as usize).rev().collect();
    let parts: Vec<_> = order.iter().map(|i| Part::Old(*i as u64)).collect();
    list.reorder(version, &order)?.unwrap();
    list.assemble(list.version(), &parts)?.unwrap();
    Ok(())
}

/// `calm`: nobody scribbles meanwhile. An order for another length than the list has is the caller's
/// mistake.
fn with_list(list: &RawList, random: &mut Random, calm: bool) -> u64 {
    let value = some_bytes(random, 1);
    let (value, mut out) = (Datum::plain(&value), Vec::new());
    let i = i64::from(random.below(1200) as u32);
    match random.below(40) {
        0..=9 => noticed(list.push(&value)),
        10..=19 => noticed(list.insert(i, &value)),
        20..=24 => noticed(list.get(i, &mut out)),
        25..=29 => noticed(list.set(i, &value)),
        30..=34 => noticed(list.pop(i, &mut out)),
        35 => noticed(list.splice(i, i + 300, &[value; 20])),
        36 => noticed(list.snapshot()),
        37 if calm && random.below(2) == 0 => noticed(reordered(list)),
        37 => noticed(list.reverse()),
        38 => noticed(list.check()),
        _ if random.below(20) == 0 => noticed(list.clear()),
        _ => noticed(list.replace_all(list.version(), &[value; 30])),
    }
}

#[test]
fn scribbled() {
    if role().as_deref() != Some("scribbled") {
        return;
    }
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(64 << 20));
    let mut random = Random(argument("SEED").parse().unwrap());
    let is_dict = random.below(2) == 0;
    let mut errors = 0;
    if is_dict {
        let dict = RawDict::create(family).unwrap();
        (0..3000).for_each(|_| assert_eq!(with_dict(&dict, &mut random), 0));
        for _ in 0..40 {
            scribble(family, &mut random, 0);
            errors += (0..40).map(|_| with_dict(&dict, &mut random)).sum::<u64>();
        }
    } else {
        let list = RawList::create(family).unwrap();
        (0..3000).for_each(|_| assert_eq!(with_list(&list, &mut random, true), 0));
        for _ in 0..40 {
            scribble(family, &mut random, 0);
            errors += (0..40).map(|_| with_list(&list, &mut random, true)).sum::<u64>();
        }
    }
    let _ = family.check();
    say(&errors.to_string());
    std::process::exit(0);
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The same, while another thread scribbles without end. Most often it puts back what was there, so that
/// there is something left to go wrong.
#[test]
fn scribbling() {
    if role().as_deref() != Some("scribbling") {
        return;
    }
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(64 << 20));
    let mut random = Random(argument("SEED").parse().unwrap());
    let mut other = Random(random.next());
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let is_dict = random.below(2) == 0;
    let one = |random: &mut Random| {
        if is_dict { with_dict(&dict, random) } else { with_list(&list, random, false) }
    };
    (0..3000).for_each(|_| assert_eq!(one(&mut random), 0));
    let done = AtomicBool::new(false);
    let errors: u64 = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (at, old) = scribble(family, &mut other, u64::from(!is_dict));
                if other.below(50) != 0 {
                    rustix::io::pwrite(family.fd(), &old, at).unwrap();
                }
            }
        });
        // The flag is set also if this panics.
        let _end = SetAtEnd(&done);
        (0..3000).map(|_| one(&mut random)).sum()
    });
    say(&errors.to_string());
    std::process::exit(0);
}

/// Names another life of the object whose handle is in a value.
fn make_stale(family: Family, marker: [u8; 8]) {
    let mut page = [0; 4096];
    for at in (DATA..DATA + (64 << 20)).step_by(4096) {
        rustix::io::pread(family.fd(), &mut page[..], at).unwrap();
        if page.starts_with(&marker) {
            let entry = u64::from_le_bytes(page[8..16].try_into().unwrap());
            assert_eq!(entry & 0xf, 1, "{entry:#x}");
            let stale = entry + (1 << 36);
            rustix::io::pwrite(family.fd(), &stale.to_le_bytes(), at + 8).unwrap();
            return;
        }
    }
    panic!("the value is nowhere");
}

alone!(a_handle_of_what_is_gone_is_an_error_and_no_endless_search {
    let family = Family::current().unwrap();
    let (dict, list) = (RawDict::create(family).unwrap(), RawList::create(family).unwrap());
    let (inner, key) = (RawDict::create(family).unwrap(), Key::plain(b"inner"));
    let holds = [inner.lease()];
    for (marker, is_dict) in [(b"in dict!", true), (b"in list!", false)] {
        let value = Datum { holds: &holds, ..Datum::plain(marker) };
        if is_dict {
            dict.insert(&key, &value, None).unwrap();
        } else {
            list.push(&value).unwrap();
        }
        make_stale(family, *marker);
    }
    let mut out = Vec::new();
    assert_eq!(noticed(dict.get(&key, &mut out)), 1);
    assert_eq!(noticed(dict.pop(&key, &mut out)), 1);
    assert_eq!(noticed(dict.insert(&key, &Datum::plain(b"new"), Some(&mut out))), 1);
    assert_eq!(noticed(dict.snapshot()), 1);
    assert_eq!(noticed(dict.candidates(&[key.hash])), 1);
    assert_eq!(noticed(list.get(0, &mut out)), 1);
    assert_eq!(noticed(list.pop(0, &mut out)), 1);
    assert_eq!(noticed(list.snapshot()), 1);
    assert!(out.is_empty());
    // It can be thrown away.
    assert!(dict.remove(&key).unwrap());
    assert!(list.set(0, &Datum::plain(b"new")).unwrap());
});

fn rounds(role: &str, n: u64) {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut noticed = 0;
    for round in 0..n {
        let seed =
            (seed.wrapping_add(round).wrapping_mul(2) | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        eprintln!("round {round}: {seed}");
        let (lines, _) = start(role, role, &[("SEED", seed.to_string())]).finish();
        noticed += u64::from(lines[0] != "0");
    }
    assert!(noticed > n / 2, "in {noticed} rounds the damage was noticed");
}

alone!(a_scribbled_collection_is_an_error_never_a_crash {
    rounds("scribbled", ROUNDS);
});

alone!(a_collection_that_is_being_scribbled_over_is_an_error_never_a_crash {
    rounds("scribbling", ROUNDS / 4);
});
