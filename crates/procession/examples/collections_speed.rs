//! How fast dicts and lists are: alone, and with four processes at one, unless it is to stay alone.
//! `collections_speed [rounds [alone]]`

use std::time::Instant;

use procession::collections::{Datum, Key};
use procession::{Family, RawDict, RawList};

const N: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let [_, role, dict, list] = &std::env::args().collect::<Vec<_>>()[..] {
        return child(role, &unhex(dict), &unhex(list));
    }
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3);
    let family = Family::current()?;
    for _ in 0..rounds {
        let (dict, list) = (RawDict::create(family)?, RawList::create(family)?);
        set_get(&dict, 0)?;
        append(&list)?;
        new_keys(&RawDict::create(family)?)?;
        if std::env::args().nth(2).is_some() {
            continue;
        }
        let names = [hex(&dict.handle()), hex(&list.handle())];
        for role in ["set+get", "append"] {
            let list_len = list.len()?;
            let start = Instant::now();
            let exe = std::env::current_exe()?;
            let four =
                (0..4).map(|_| std::process::Command::new(&exe).arg(role).args(&names).spawn());
            for mut child in four.collect::<Result<Vec<_>, _>>()? {
                assert!(child.wait()?.success());
            }
            let each = start.elapsed().as_nanos() as u64 / (4 * N);
            println!("{role}, four processes: {each} ns");
            assert!(role == "set+get" || list.len()? == list_len + 4 * N);
        }
    }
    Ok(())
}

fn child(role: &str, dict: &[u8], list: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let (dict, list) = (RawDict::from_handle(dict)?, RawList::from_handle(list)?);
    if role == "append" { append(&list) } else { set_get(&dict, u64::from(std::process::id())) }
}

fn set_get(dict: &RawDict, me: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = Vec::new();
    let mut longest = 0;
    let start = Instant::now();
    for n in 0..N {
        let (key, value) = ((me + n % 1000).to_le_bytes(), [n as u8; 12]);
        let one = Instant::now();
        dict.insert(&Key::plain(&key), &Datum::plain(&value), None)?;
        out.clear();
        dict.get(&Key::plain(&key), &mut out)?;
        longest = longest.max(one.elapsed().as_micros());
        assert!(me != 0 || out == value);
    }
    println!("set+get: {} ns, {longest} us at most", start.elapsed().as_nanos() as u64 / N);
    Ok(())
}

/// Keys that are not there: looked for, added, removed.
fn new_keys(dict: &RawDict) -> Result<(), Box<dyn std::error::Error>> {
    for n in 0..2000u64 {
        dict.insert(&Key::plain(&n.to_le_bytes()), &Datum::plain(&[n as u8; 4]), None)?;
    }
    let timed = |what: &str, act: &dyn Fn(&[u8; 8]) -> bool| {
        let start = Instant::now();
        for n in 0..N {
            assert!(act(&(2000 + n % 1000).to_le_bytes()));
        }
        println!("{what}: {} ns", start.elapsed().as_nanos() as u64 / N);
    };
    timed("miss", &|key| matches!(dict.contains(&Key::plain(key)), Ok(false)));
    timed("add and remove", &|key| {
        let key = Key::plain(key);
        dict.insert(&key, &Datum::plain(&[7; 4]), None).is_ok() && dict.remove(&key).is_ok()
    });
    Ok(())
}

fn append(list: &RawList) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    for n in 0..N {
        list.push(&Datum::plain(&[n as u8; 4]))?;
    }
    println!("append: {} ns", start.elapsed().as_nanos() as u64 / N);
    let start = Instant::now();
    for n in 0..N / 4 {
        list.push(&Datum::plain(&[n as u8; 20]))?;
        list.pop(-1, &mut Vec::new())?;
    }
    println!("append+pop of 20 bytes: {} ns", start.elapsed().as_nanos() as u64 / (N / 4));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .filter_map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}
