//! Many values of a dict on a server that are set in one step.
#![cfg(feature = "redis")]
#![allow(missing_docs)]

mod support;

use procession::remote::{Address, RemoteDict, Server, Settled, key_in_field};
use support::random::{Random, seed};
use support::server::Server as Running;

fn both() -> (Running, Server) {
    let running = Running::start();
    let server = Server::open(&Address::parse(&running.url("p", "")).unwrap()).unwrap();
    (running, server)
}

fn plain(body: &[u8]) -> Vec<u8> {
    [&[1], body].concat()
}

/// How many commands the server has done, those in scripts as well.
fn commands(running: &Running) -> u64 {
    let stats = running.ask(&["INFO", "commandstats"]).join("\n");
    let calls = stats.split(":calls=").skip(1).map(|rest| rest.split(',').next().unwrap());
    calls.map(|n| n.parse::<u64>().unwrap()).sum()
}

#[test]
fn many_values_are_set_by_few_commands() {
    let (running, server) = both();
    let dict = RemoteDict::named(&server, "many").unwrap();
    let seed = seed();
    println!("PROCESSION_TEST_SEED={seed}");
    let mut random = Random(seed);
    // An odd key of a group of its own concerns nobody.
    let seen = dict.candidates(b"\x02").unwrap();
    let odd = [(Settled::New(b"Aodd", b"\x02", &seen.mark), &b"odd"[..])];
    for with_odd in [false, true] {
        if with_odd {
            dict.clear().unwrap();
            assert!(dict.settle(odd).unwrap());
        }
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for n in [0, 1, 499, 500, 501, 1000, 3000] {
            // Some of them are there, some twice.
            let name = |random: &mut Random| plain(&random.below(2000).to_be_bytes());
            let entries: Vec<_> =
                (0..n).map(|i: u32| (name(&mut random), i.to_be_bytes().to_vec())).collect();
            let before = (dict.page(b"0", false, 1, 0).unwrap(), commands(&running));
            assert!(dict.update(entries.iter().map(|(k, v)| (&k[..], &v[..]))).unwrap());
            let done = commands(&running) - before.1;
            let each = if with_odd { u64::from(n) } else { 0 };
            assert!(done < 80 + each, "{done} commands for {n} entries");
            let (mut replaced, mut added) = (false, false);
            for (key, value) in entries {
                if let Some(entry) = model.iter_mut().find(|entry| entry.0 == key) {
                    entry.1 = value;
                    replaced = true;
                } else {
                    model.push((key, value));
                    added = true;
                }
            }
            let all = dict.snapshot(true).unwrap();
            let skip = usize::from(with_odd);
            assert!(all.fields[skip..].iter().eq(model.iter().map(|entry| &entry.0)), "{n}");
            assert!(all.values[skip..].iter().eq(model.iter().map(|entry| &entry.1)), "{n}");
            assert_eq!(all.shape != before.0.shape, added, "{n}");
            assert_eq!(all.version != before.0.version, replaced, "{n}");
        }
    }
}

#[test]
fn compared_keys_are_set_in_their_order() {
    let (_running, server) = both();
    let dict = RemoteDict::anonymous(&server).unwrap();
    let [one, two, three] = [b"\x01", b"\x02", b"\x03"].map(|body| plain(body));
    dict.set(&one, b"1".to_vec()).unwrap();
    let marks = [b"\x02", b"\x03", b"\x04"].map(|group| dict.candidates(group).unwrap().mark);
    let all = [
        (Settled::New(&three, b"\x03", &marks[1]), &b"3"[..]),
        (Settled::There(&one), b"new"),
        (Settled::New(b"Aodd", b"\x04", &marks[2]), b"odd"),
        (Settled::New(&two, b"\x02", &marks[0]), b"2"),
    ];
    let gone = [(Settled::There(&two), &b"?"[..]), all[0]];
    assert!(!dict.settle(gone).unwrap() && dict.len().unwrap() == 1, "all or nothing");
    assert!(dict.settle(all).unwrap());
    let all = dict.snapshot(true).unwrap();
    let keys: Vec<_> = all.fields.iter().map(|field| key_in_field(field).unwrap().1).collect();
    assert_eq!(keys, [&b"\x01"[..], b"\x03", b"odd", b"\x02"]);
    assert_eq!(all.values, [&b"new"[..], b"3", b"odd", b"2"]);
    assert_eq!(dict.candidates(b"\x04").unwrap().fields.len(), 1);
}
