//! Dicts, lists and values on a server, against those of this process; and from processes that are killed.
#![cfg(feature = "redis")]
#![allow(missing_docs, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod support;

use std::sync::{Arc, Barrier};

use procession::remote::{
    Added, Address, CollectionError, Exchanged, Patience, RemoteDict, RemoteError, RemoteList,
    Seen, Server, Settled, SharedDict, SharedList, SharedValue, Slice, key_in_field,
};
use support::random::{Random, seed, some_bytes};
use support::server::Server as Running;
use support::{argument, role, say, start};

fn open(url: &str) -> Server {
    Server::open(&Address::parse(url).unwrap()).unwrap()
}

/// A server, and this process's side of it.
fn both() -> (Running, Server) {
    let running = Running::start();
    let server = open(&running.url("p", "lease=3"));
    (running, server)
}

fn plain(body: &[u8]) -> Vec<u8> {
    [&[1], body].concat()
}

#[test]
fn typed_dict_is_as_at_home() {
    let (_running, server) = both();
    let ages: SharedDict<String, i64> = SharedDict::named(&server, "ages").unwrap();
    assert!(ages.insert("Ada", &36).unwrap() && !ages.insert("Ada", &37).unwrap());
    assert_eq!(ages.get_or_insert("Bob", 1).unwrap(), 1);
    assert_eq!(ages.get_or_insert("Bob", 2).unwrap(), 1);
    let same: SharedDict<String, i64> = SharedDict::attach(&server, ages.key()).unwrap();
    same.extend([("Cid".into(), 3), ("Ada".into(), 4)]).unwrap();
    let all = [("Ada", 4), ("Bob", 1), ("Cid", 3)].map(|(k, v)| (k.to_owned(), v));
    assert_eq!(ages.entries().unwrap(), all);
    assert_eq!((ages.len().unwrap(), ages.contains("Bob").unwrap()), (3, true));
    assert!(ages.compare_exchange("Bob", Some(&1), Some(&9)).unwrap());
    assert!(!ages.compare_exchange("Bob", Some(&1), None).unwrap());
    assert!(ages.compare_exchange("Bob", Some(&9), None).unwrap());
    assert!(ages.compare_exchange("Bob", None, Some(&5)).unwrap());
    assert_eq!(ages.pop_last().unwrap(), Some(("Bob".into(), 5)));
    assert_eq!(ages.remove("Cid").unwrap(), Some(3));
    assert_eq!(ages.remove("Cid").unwrap(), None);
    ages.clear().unwrap();
    assert!(ages.is_empty().unwrap() && ages.pop_last().unwrap().is_none());
    let error = SharedList::<i32>::named(&server, "ages").unwrap_err();
    assert!(matches!(error, RemoteError::WrongKind { .. }), "{error}");
}

#[test]
fn integers_of_64_bits_are_added_exactly() {
    let (_running, server) = both();
    let counts: SharedDict<u8, i64> = SharedDict::anonymous(&server).unwrap();
    let interesting =
        [0, 1, -1, 31, -32, -33, 127, 128, -128, -129, 255, 256, 65535, 65536, -32769];
    let large =
        [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX / 2, i64::MIN / 2, 1 << 32, -(1 << 31)];
    let all: Vec<i64> = interesting.into_iter().chain(large).collect();
    for &one in &all {
        for &other in &all {
            counts.insert(&1, &one).unwrap();
            assert_eq!(counts.add(&1, other).unwrap(), one + other);
            assert_eq!(counts.get(&1).unwrap(), Some(one + other));
            // Equal to what would have been stored whole: keys and exchanges go by the bytes.
            assert!(counts.compare_exchange(&1, Some(&(one + other)), Some(&0)).unwrap());
        }
        counts.remove(&2).unwrap();
        assert_eq!(counts.add(&2, one).unwrap(), one);
    }
    counts.insert(&1, &i64::MAX).unwrap();
    assert!(matches!(counts.add(&1, 1), Err(CollectionError::Overflow)));
    assert_eq!(counts.get(&1).unwrap(), Some(i64::MAX));
    let floats: SharedDict<u8, f64> = SharedDict::attach(&server, counts.key()).unwrap();
    floats.insert(&1, &1.5).unwrap();
    assert!(matches!(counts.add(&1, 1), Err(CollectionError::NoInteger)));
    assert_eq!(floats.get(&1).unwrap(), Some(1.5));
}

#[test]
fn typed_lists_and_values_are_as_at_home() {
    let (_running, server) = both();
    let list: SharedList<i32> = SharedList::anonymous(&server).unwrap();
    list.extend([3, -1, 2]).unwrap();
    list.push(&7).unwrap();
    list.insert(1, &5).unwrap();
    assert_eq!(list.values().unwrap(), [3, 5, -1, 2, 7]);
    list.set(-1, &6).unwrap();
    assert!(matches!(list.set(5, &0), Err(CollectionError::NoIndex)));
    list.sort_by_key(|n| n.abs()).unwrap();
    assert_eq!(list.values().unwrap(), [-1, 2, 3, 5, 6]);
    list.reverse().unwrap();
    list.splice(1, -1, [0]).unwrap();
    assert_eq!((list.get(-1).unwrap(), list.pop(0).unwrap()), (Some(-1), Some(6)));
    assert_eq!((list.get(2).unwrap(), list.pop(-3).unwrap(), list.len().unwrap()), (None, None, 2));
    list.clear().unwrap();
    assert!(list.is_empty().unwrap());

    let value: SharedValue<(u32, String)> =
        SharedValue::named(&server, "v", &(1, "a".into())).unwrap();
    let same: SharedValue<(u32, String)> =
        SharedValue::named(&server, "v", &(9, "z".into())).unwrap();
    assert_eq!(same.update(|(n, text)| (n + 1, text + "b")).unwrap(), (2, "ab".into()));
    assert_eq!(value.get().unwrap(), (2, "ab".into()));
    value.set(&(0, String::new())).unwrap();
    assert_eq!(same.get().unwrap(), (0, String::new()));
}

#[test]
fn a_handle_of_shared_memory_does_not_go_to_a_server() {
    let (_running, server) = both();
    let list: SharedList<procession::Queue<u8>> = SharedList::anonymous(&server).unwrap();
    let error = list.push(&procession::Queue::unbounded().unwrap()).unwrap_err();
    assert!(matches!(error, CollectionError::Encode(_)), "{error}");
    assert!(list.is_empty().unwrap());
}

#[test]
fn what_only_clients_can_compare() {
    let (_running, server) = both();
    let dict = RemoteDict::anonymous(&server).unwrap();
    let (one, two) = (plain(b"\x01"), plain(b"\x02"));
    dict.set(&one, b"1".to_vec()).unwrap();
    // A key of the group of `two`: say 2.0.
    let seen = dict.candidates(b"\x02").unwrap();
    assert!(seen.fields.is_empty());
    let odd = [(Settled::New(b"Aodd", b"\x02", &seen.mark), &b"odd's"[..])];
    assert!(dict.settle(odd).unwrap() && !dict.settle(odd).unwrap(), "the mark is an old one");
    assert_eq!(dict.get(&two).unwrap(), Seen::Unsure);
    assert_eq!(dict.set(&two, b"2".to_vec()).unwrap(), None);
    assert_eq!(dict.contains(&two).unwrap(), None);
    assert_eq!(dict.pop(&two).unwrap(), Seen::Unsure);
    assert_eq!(dict.set_default(&two, vec![1]).unwrap(), Seen::Unsure);
    assert_eq!(dict.exchange(&two, None, Some(&[1])).unwrap(), Exchanged::Unsure);
    assert_eq!(dict.add(&two, &plain(b"\x01"), false).unwrap(), Added::Unsure);
    assert!(!dict.update([(&plain(b"\x03")[..], &b"3"[..]), (&two, b"2")]).unwrap());
    assert_eq!(dict.len().unwrap(), 2, "an update that is unsure does nothing");
    assert_eq!(
        dict.get(&one).unwrap(),
        Seen::Value(b"1".to_vec()),
        "another group is not concerned"
    );
    let field = dict.candidates(b"\x02").unwrap().fields.remove(0);
    assert_eq!(key_in_field(&field), Some((b'A', &b"odd"[..])));
    assert!(dict.replace(&field, b"new".to_vec()).unwrap());
    assert_eq!(dict.pop(&field).unwrap(), Seen::Value(b"new".to_vec()));
    assert_eq!(dict.get(&two).unwrap(), Seen::Nothing);
    assert!(!dict.replace(&field, vec![1]).unwrap());

    // One that may be equal to any.
    let seen = dict.candidates(b"").unwrap();
    assert_eq!(seen.fields, std::slice::from_ref(&one));
    assert!(dict.settle([(Settled::New(b"Bany", b"", &seen.mark), &b"any's"[..])]).unwrap());
    assert_eq!(dict.get(&two).unwrap(), Seen::Unsure);
    assert_eq!(dict.candidates(b"\x01").unwrap().fields.len(), 2);
    // Two of the same bytes are two: a NaN is not equal to another.
    let seen = dict.candidates(b"").unwrap();
    assert!(dict.settle([(Settled::New(b"Bany", b"", &seen.mark), &b"more"[..])]).unwrap());
    assert_eq!(dict.len().unwrap(), 3);
    let all = dict.snapshot(true).unwrap();
    let keys: Vec<_> = all.fields.iter().map(|field| key_in_field(field).unwrap()).collect();
    assert_eq!(keys, [(1, &b"\x01"[..]), (b'B', b"any"), (b'B', b"any")]);
    assert_eq!(all.values, [&b"1"[..], b"any's", b"more"]);
    for field in &all.fields {
        assert!(matches!(dict.pop(field).unwrap(), Seen::Value(_)));
    }
    assert_eq!(dict.get(&two).unwrap(), Seen::Nothing, "no group is left");
}

#[test]
fn long_dicts_are_read_in_pages_as_they_are_at_one_moment() {
    let (_running, server) = both();
    let dict = RemoteDict::named(&server, "long").unwrap();
    let names: Vec<Vec<u8>> = (0..3000u32).map(|n| plain(&n.to_be_bytes())).collect();
    let value = vec![1; 1000];
    dict.update(names.iter().map(|name| (&name[..], &value[..]))).unwrap();
    let first = dict.page(b"0", true, 0, 1 << 20).unwrap();
    assert!(first.next.is_some() && first.fields.len() < 2000, "it takes more pages");
    let all = dict.snapshot(true).unwrap();
    assert_eq!((&all.fields, all.values.len()), (&names, 3000));
    // Others change it all the time: keys come in pairs.
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stopped, other) = (Arc::clone(&stop), dict.clone());
    let changing = std::thread::spawn(move || {
        let pair = [plain(b"left"), plain(b"right")];
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            other.update(pair.iter().map(|name| (&name[..], &b""[..]))).unwrap();
            // Both at once: the newest two.
            other.clear().unwrap();
            other.update(names.iter().map(|name| (&name[..], &value[..]))).unwrap();
        }
    });
    for _ in 0..20 {
        let all = dict.snapshot(true).unwrap();
        assert!(matches!(all.fields.len(), 0 | 2 | 3000 | 3002), "{}", all.fields.len());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    changing.join().unwrap();
}

#[test]
fn who_waits_for_a_key_is_woken() {
    let (_running, server) = both();
    let dict = RemoteDict::named(&server, "d").unwrap();
    let shape = dict.shape().unwrap();
    let nothing = Patience::of(std::time::Duration::from_millis(30));
    assert!(!dict.wait_for_change(shape, &nothing).unwrap());
    let gate = Arc::new(Barrier::new(2));
    let (theirs, other) = (Arc::clone(&gate), dict.clone());
    let waiting = std::thread::spawn(move || {
        theirs.wait();
        other.wait_for_change(shape, &Patience::of(support::LIMIT)).unwrap()
    });
    gate.wait();
    dict.set(&plain(b"k"), vec![1]).unwrap();
    assert!(waiting.join().unwrap());
}

/// What a slice of Python's means, said otherwise: the indices one by one.
fn places(slice: Slice, len: i64) -> Vec<usize> {
    let clip = |at: i64, low: i64, high: i64| (if at < 0 { at + len } else { at }).clamp(low, high);
    let up = slice.step > 0;
    let (low, high) = if up { (0, len) } else { (-1, len - 1) };
    let mut at = slice.start.map_or(if up { low } else { high }, |at| clip(at, low, high));
    let stop = slice.stop.map_or(if up { high } else { low }, |at| clip(at, low, high));
    let mut found = Vec::new();
    while if up { at < stop } else { at > stop } {
        found.push(at as usize);
        at += slice.step;
    }
    found
}

#[test]
fn lists_do_what_vectors_do() {
    let (_running, server) = both();
    let seed = seed();
    println!("PROCESSION_TEST_SEED={seed}");
    let mut random = Random(seed);
    for round in 0..40 {
        let list = RemoteList::anonymous(&server).unwrap();
        let start = [0, 1, 2, 5, 900, 2500, 5000][random.below(7) as usize];
        let mut model: Vec<Vec<u8>> = (0..start).map(|n: u32| plain(&n.to_be_bytes())).collect();
        list.splice(0, 0, model.iter().map(Vec::as_slice)).unwrap();
        for step in 0..30 {
            let (len, n) = (model.len() as i64, model.len() as u64);
            let mut place = || {
                random.below(n + 4).cast_signed() - if random.below(2) == 0 { len + 2 } else { 0 }
            };
            let (index, from, to) = (place(), place(), place());
            let at = if index < 0 { index + len } else { index };
            let inside = (0..len).contains(&at);
            let new: Vec<Vec<u8>> = (0..[0, 1, 1, 3, 40, 1500][random.below(6) as usize])
                .map(|n| plain(&some_bytes(&mut random, n)))
                .collect();
            let slices = || new.iter().map(Vec::as_slice);
            let bound = |at: i64| if at < 0 { at + len } else { at }.clamp(0, len) as usize;
            let told = format!(
                "round {round}, step {step}: {index} {from}..{to}, {} new, {len} long",
                new.len()
            );
            match random.below(9) {
                0 => assert_eq!(
                    list.get(index).unwrap().as_ref(),
                    inside.then(|| &model[at as usize]),
                    "{told}"
                ),
                1 => {
                    assert_eq!(list.set(index, plain(b"set")).unwrap(), inside, "{told}");
                    if inside {
                        model[at as usize] = plain(b"set");
                    }
                }
                2 | 3 => assert_eq!(
                    list.pop(index).unwrap(),
                    inside.then(|| model.remove(at as usize)),
                    "{told}"
                ),
                4 | 5 => {
                    list.splice(from, to, slices()).unwrap();
                    model.splice(bound(from)..bound(to).max(bound(from)), new.iter().cloned());
                }
                6 => {
                    list.splice(from, from, slices()).unwrap();
                    model.splice(bound(from)..bound(from), new.iter().cloned());
                }
                7 => {
                    let step = [-1, 2, -3, 7, -100][random.below(5) as usize];
                    let some = |at: i64| (at % 3 != 0).then_some(at);
                    let slice = Slice { start: some(from), stop: some(to), step };
                    let indices = places(slice, len);
                    let want: Vec<_> = indices.iter().map(|&i| model[i].clone()).collect();
                    assert_eq!(list.stride(slice).unwrap(), want, "{told} {slice:?}");
                    if random.below(2) == 0 {
                        list.cut_stride(slice).unwrap();
                        let mut i = 0;
                        model.retain(|_| (!indices.contains(&i), i += 1).0);
                    } else {
                        let values: Vec<_> =
                            (0..indices.len()).map(|n| plain(&n.to_be_bytes())).collect();
                        assert_eq!(
                            list.set_stride(slice, values.iter().map(Vec::as_slice)).unwrap(),
                            Ok(())
                        );
                        indices.iter().zip(values).for_each(|(&i, value)| model[i] = value);
                        let more =
                            list.set_stride(slice, vec![&b"\x01"[..]; indices.len() + 1]).unwrap();
                        assert_eq!(more, Err(indices.len() as u64));
                    }
                }
                _ => {
                    list.reverse().unwrap();
                    model.reverse();
                    if model.len() < 2000 {
                        assert!(list.repeat(2).unwrap());
                        model.extend(model.clone());
                    }
                }
            }
            assert_eq!(list.len().unwrap(), model.len() as u64, "{told}");
            let len = model.len() as i64;
            let bound = |at: i64| if at < 0 { at + len } else { at }.clamp(0, len) as usize;
            let part = &model[bound(from)..bound(to).max(bound(from))];
            assert!(list.slice(from, to).unwrap().items == part, "{told}");
        }
        assert!(list.slice(0, i64::MAX).unwrap().items == model, "round {round}");
    }
}

#[test]
fn a_list_is_sorted_and_cut_only_as_it_was_seen() {
    let (_running, server) = both();
    let list = RemoteList::anonymous(&server).unwrap();
    list.splice(0, 0, [&b"\x01c"[..], b"\x01a", b"\x01b"]).unwrap();
    let seen = list.slice(0, i64::MAX).unwrap();
    assert!(list.reorder(seen.version, &[1, 2, 0]).unwrap());
    assert_eq!(list.slice(0, 9).unwrap().items, [b"\x01a", b"\x01b", b"\x01c"]);
    assert!(!list.reorder(seen.version, &[1, 2, 0]).unwrap());
    assert!(!list.cut_if(seen.version, 0, 1).unwrap());
    assert!(list.cut_if(list.version().unwrap(), 0, 1).unwrap());
    assert_eq!(list.len().unwrap(), 2);
    assert!(!list.repeat(1 << 40).unwrap());
    assert!(list.repeat(0).unwrap() && list.is_empty().unwrap());
}

/// Keys that always have the same value, and how many such groups there are.
const GROUP: u64 = 7;
const GROUPS: u64 = 20;

fn name_of(group: u64, i: u64) -> Vec<u8> {
    plain(format!("{group}/{i}").as_bytes())
}

fn work(dict: &RemoteDict, list: &RemoteList, random: &mut Random) {
    let group = random.below(GROUPS);
    let names: Vec<_> = (0..GROUP).map(|i| name_of(group, i)).collect();
    let value = plain(&vec![random.next() as u8; [1, 20, 5000][random.below(3) as usize]]);
    match random.below(7) {
        0..=1 => {
            assert!(dict.update(names.iter().map(|name| (&name[..], &value[..]))).unwrap());
        }
        2 => drop(dict.set(&name_of(1000 + random.below(60), 0), value).unwrap()),
        3 => drop(dict.pop(&name_of(1000 + random.below(60), 0)).unwrap()),
        4 => list.splice(0, 0, vec![&value[..]; GROUP as usize]).unwrap(),
        5 if list.len().unwrap() > 700 => list.splice(70, 490, []).unwrap(),
        5 => list.splice(i64::MAX, i64::MAX, vec![&value[..]; GROUP as usize]).unwrap(),
        _ => list.reverse().unwrap(),
    }
}

#[test]
fn whoever_is_killed_has_done_all_or_nothing() {
    if role().is_some() {
        let server = open(&argument("URL"));
        let dict = RemoteDict::named(&server, "dict").unwrap();
        let list = RemoteList::named(&server, "list").unwrap();
        let counts: SharedDict<String, i64> = SharedDict::named(&server, "counts").unwrap();
        let mut random = Random(argument("SEED").parse().unwrap());
        say("ready");
        for n in 1.. {
            work(&dict, &list, &mut random);
            counts.add(&argument("NAME"), 1).unwrap();
            if n % 16 == 0 {
                say(&n.to_string());
            }
        }
    }
    let (running, server) = both();
    let seed = seed();
    println!("PROCESSION_TEST_SEED={seed}");
    let mut random = Random(seed);
    let dict = RemoteDict::named(&server, "dict").unwrap();
    let list = RemoteList::named(&server, "list").unwrap();
    let counts: SharedDict<String, i64> = SharedDict::named(&server, "counts").unwrap();
    let url = running.url("p", "lease=3");
    for kill in 0..20 {
        let mut children: Vec<_> = (0..2)
            .map(|n| {
                let arguments = [
                    ("URL", url.clone()),
                    ("SEED", (random.next() | 1).to_string()),
                    ("NAME", format!("{kill}/{n}")),
                ];
                start("whoever_is_killed_has_done_all_or_nothing", "worker", &arguments)
            })
            .collect();
        let mut said = [0, 0];
        for _ in 0..=random.below(4) {
            for (child, said) in children.iter_mut().zip(&mut said) {
                let told = child.hear();
                *said = told.parse().unwrap_or(0);
            }
        }
        for (n, mut child) in children.into_iter().enumerate() {
            child.child.kill().unwrap();
            let (lines, _) = child.finish();
            let last = lines.last().map_or(said[n], |line| line.parse().unwrap_or(said[n]));
            let counted = counts.get(&format!("{kill}/{n}")).unwrap().unwrap_or(0);
            assert!((last..=last + 16).contains(&counted), "{last} said, {counted} counted");
        }
        for group in 0..GROUPS {
            let first = dict.get(&name_of(group, 0)).unwrap();
            assert!((1..GROUP).all(|i| dict.get(&name_of(group, i)).unwrap() == first));
        }
        let all = dict.snapshot(true).unwrap();
        assert_eq!(all.fields.len() as u64, dict.len().unwrap());
        let values = list.slice(0, i64::MAX).unwrap();
        assert!(values.items.chunks(GROUP as usize).all(|some| some.iter().all(|v| *v == some[0])));
        assert_eq!(values.items.len() as u64 % GROUP, 0);
    }
}
