//! What a server's objects cost against the `redis` crate itself: with the very same EVALSHA commands, and with
//! the plain commands that one would write without Procession.
//!
//! The commands are learnt from the server (MONITOR) while an operation is done once; they are then sent with the
//! crate's own means, each with the next sequence number, so that the server does the same work. The three take
//! turns, round by round; a ratio is that of the rates in one round. "scripts" is what the server counted (INFO
//! commandstats) for one operation: each is one round trip.
//!
//! ```text
//! valkey-server --port 7777 --save "" &
//! cargo run --release --features redis --example remote_speed -- redis://127.0.0.1:7777 [ROUNDS [OPERATIONS]]
//! ```

use std::io::{BufRead, BufReader, Write};
use std::time::Instant;

use procession::remote::{Family, Patience, SharedDict, SharedList};
use redis::{Commands, Connection};

type Failure = Box<dyn std::error::Error>;
type Step<'a> = Box<dyn FnMut() -> Result<(), Failure> + 'a>;
type Plain<'a> = Box<dyn FnMut(&mut Connection) -> Result<(), Failure> + 'a>;

struct Case<'a> {
    name: &'static str,
    /// How many of them are in one step.
    each: usize,
    /// Brings everything into the state from which so many steps can be done.
    before: Box<dyn FnMut(usize) -> Result<(), Failure> + 'a>,
    ours: Step<'a>,
    plain: Plain<'a>,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the address of a server, please: redis://host:port")?;
    let rounds: usize = arguments.next().map_or(Ok(9), |text| text.parse())?;
    let steps: usize = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let prefix = "procession-bench";
    let family = Family::open(&format!("{url}?prefix={prefix}"))?;
    let client = redis::Client::open(url.as_str())?;
    let mut raw = client.get_connection()?;
    println!(
        "{:<24}{:>10}{:>10}{:>20}{:>10}{:>20}{:>9}",
        "operation", "ours/s", "same/s", "to same", "plain/s", "to plain", "scripts"
    );
    let names = ["queue", "dict", "list", "lock", "event"];
    names.iter().try_for_each(|name| family.remove(name).map(drop))?;
    let mut seq = 0;
    for mut case in cases(&family, &client)? {
        (case.before)(2)?;
        (case.ours)()?; // a script that the server does not know yet would be sent twice
        let learnt = learn(&url, &mut *case.ours)?;
        let steps = (steps / case.each.min(10)).max(1);
        measure(&mut case, &learnt, (&mut raw, &mut seq), rounds, steps)?;
    }
    names.iter().try_for_each(|name| family.remove(name).map(drop))?;
    let () = redis::cmd("DEL").arg(&["plain", "plain2"]).query(&mut raw)?;
    procession::remote::leave_all(std::time::Duration::from_secs(1));
    Ok(())
}

fn cases<'a>(family: &'a Family, client: &redis::Client) -> Result<Vec<Case<'a>>, Failure> {
    let text = "x".repeat(100);
    let body = text.clone();
    let mut plain = client.get_connection()?;
    let queue = family.queue::<String>("queue", None)?;
    let filled = queue.clone();
    let fill = move |n: usize| -> Result<(), Failure> {
        while !filled.is_empty()? {
            filled.get_many(1000)?;
        }
        let () = redis::cmd("DEL").arg("plain").query(&mut plain)?;
        for _ in 0..n.div_ceil(1000) {
            let many = vec![body.clone(); 1000];
            filled.put_slice(&many)?;
            let () = plain.rpush("plain", many)?;
        }
        Ok(())
    };
    let fill = std::rc::Rc::new(std::cell::RefCell::new(fill));
    let before = |each: usize| {
        let fill = std::rc::Rc::clone(&fill);
        Box::new(move |n: usize| (fill.borrow_mut())(2 * n * each)) as Box<dyn FnMut(usize) -> _>
    };
    let (puts, gets, many_puts, many_gets) =
        (queue.clone(), queue.clone(), queue.clone(), queue.clone());
    let (one, hundred, same_hundred) =
        (text.clone(), vec![text.clone(); 100], vec![text.clone(); 100]);
    let (value, listed, mine) = (text.clone(), text.clone(), text.clone());
    let dict = SharedDict::<String, String>::named(family.server(), "dict")?;
    let dict2 = SharedDict::<String, String>::named(family.server(), "dict")?;
    let list = SharedList::<String>::named(family.server(), "list")?;
    let list2 = SharedList::<String>::named(family.server(), "list")?;
    let (lock, event, event2) =
        (family.lock("lock")?, family.event("event")?, family.event("event")?);
    let plain_one = text.clone();
    let nothing = || Box::new(|_| Ok(())) as Box<dyn FnMut(usize) -> Result<(), Failure>>;
    Ok(vec![
        Case {
            name: "put",
            each: 1,
            before: before(0),
            ours: Box::new(move || Ok(puts.put(one.clone())?)),
            plain: Box::new(move |raw| Ok(raw.rpush("plain", &plain_one)?)),
        },
        Case {
            name: "get",
            each: 1,
            before: before(1),
            ours: Box::new(move || gets.get().map(drop).map_err(Into::into)),
            plain: Box::new(|raw| {
                raw.lpop::<_, String>("plain", None).map(drop).map_err(Into::into)
            }),
        },
        Case {
            name: "put_many(100)",
            each: 100,
            before: before(0),
            ours: Box::new(move || Ok(many_puts.put_slice(&hundred)?)),
            plain: Box::new(move |raw| Ok(raw.rpush("plain", &same_hundred)?)),
        },
        Case {
            name: "get_many(100)",
            each: 100,
            before: before(100),
            ours: Box::new(move || many_gets.get_many(100).map(drop).map_err(Into::into)),
            plain: Box::new(|raw| {
                let hundred = std::num::NonZeroUsize::new(100);
                raw.lpop::<_, Vec<String>>("plain", hundred).map(drop).map_err(Into::into)
            }),
        },
        Case {
            name: "lock and release",
            each: 1,
            before: nothing(),
            ours: Box::new(move || Ok(lock.acquire()?.release()?)),
            plain: Box::new(|raw| {
                let mut set = redis::cmd("SET");
                let () = set.arg("plain2").arg("me").arg("NX").arg("PX").arg(10_000).query(raw)?;
                Ok(raw.del("plain2")?)
            }),
        },
        Case {
            name: "dict set",
            each: 1,
            before: nothing(),
            ours: Box::new(move || Ok(dict.insert("key", &value).map(|_| ())?)),
            plain: Box::new(move |raw| Ok(raw.hset("plain2", "key", &mine)?)),
        },
        Case {
            name: "dict get",
            each: 1,
            before: nothing(),
            ours: Box::new(move || dict2.get("key").map(drop).map_err(Into::into)),
            plain: Box::new(|raw| {
                raw.hget::<_, _, String>("plain2", "key").map(drop).map_err(Into::into)
            }),
        },
        Case {
            name: "list append",
            each: 1,
            before: nothing(),
            ours: Box::new(move || Ok(list.push(&listed)?)),
            plain: Box::new(move |raw| Ok(raw.rpush("plain", &text)?)),
        },
        Case {
            name: "list get",
            each: 1,
            before: nothing(),
            ours: Box::new(move || list2.get(0).map(drop).map_err(Into::into)),
            plain: Box::new(|raw| {
                raw.lindex::<_, String>("plain", 0).map(drop).map_err(Into::into)
            }),
        },
        Case {
            name: "event set",
            each: 1,
            before: nothing(),
            ours: Box::new(move || Ok(event.set()?)),
            plain: Box::new(|raw| Ok(raw.sadd("plain3", "set")?)),
        },
        Case {
            name: "event is_set",
            each: 1,
            before: nothing(),
            ours: Box::new(move || Ok(event2.is_set(&Patience::none()).map(|_| ())?)),
            plain: Box::new(|raw| Ok(raw.exists("plain3")?)),
        },
    ])
}

fn measure(
    case: &mut Case<'_>,
    learnt: &[Vec<Vec<u8>>],
    (raw, seq): (&mut Connection, &mut u64),
    rounds: usize,
    steps: usize,
) -> Result<(), Failure> {
    let (mut rates, mut scripts) = ([const { Vec::new() }; 3], 0.0);
    for round in 0..=rounds {
        for which in [round % 3, (round + 1) % 3, (round + 2) % 3] {
            (case.before)(steps)?;
            let counted = count_scripts(raw)?;
            let began = Instant::now();
            for _ in 0..steps {
                match which {
                    0 => (case.ours)()?,
                    1 => replay(learnt, seq, raw)?,
                    _ => (case.plain)(raw)?,
                }
            }
            let rate = (steps * case.each) as f64 / began.elapsed().as_secs_f64();
            if which == 0 {
                scripts = (count_scripts(raw)? - counted) as f64 / steps as f64;
            }
            if round > 0 {
                rates[which].push(rate);
            }
        }
    }
    let against = |other: usize| {
        let ratios = rates[0].iter().zip(&rates[other]).map(|(ours, theirs)| ours / theirs);
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        format!("{:.2} ({least:.2}–{most:.2})", ratios[ratios.len() / 2])
    };
    let rate = |which: usize| {
        let mut sorted = rates[which].clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    println!(
        "{:<24}{:>10.0}{:>10.0}{:>20}{:>10.0}{:>20}{scripts:>9.2}",
        case.name,
        rate(0),
        rate(1),
        against(1),
        rate(2),
        against(2)
    );
    Ok(())
}

/// Sends what was learnt, each command as one that the server has not had yet.
fn replay(learnt: &[Vec<Vec<u8>>], seq: &mut u64, raw: &mut Connection) -> Result<(), Failure> {
    let mut token = None;
    for words in learnt {
        let keys: usize = std::str::from_utf8(&words[2])?.parse()?;
        // Behind the keys stand the operation's own arguments, and then those of all scripts.
        let (first, slot) = (3 + keys, words.len() - 5);
        let number = slot + 1;
        let mut command = redis::Cmd::new();
        for (at, word) in words.iter().enumerate() {
            if at == slot && !words[number].is_empty() {
                command.arg(b"99");
            } else if at == number && !word.is_empty() {
                *seq += 1;
                command.arg(*seq);
            } else if let (true, Some(token)) = (at == first, token) {
                command.arg(token);
            } else {
                command.arg(word.as_slice());
            }
        }
        // A lock is given back with the token that it was taken with.
        if let redis::Value::Array(reply) = command.query(raw)?
            && let (true, Some(redis::Value::Int(number))) = (learnt.len() == 2, reply.get(1))
        {
            token = Some(*number);
        }
    }
    Ok(())
}

fn count_scripts(raw: &mut Connection) -> Result<u64, Failure> {
    let info: String = redis::cmd("INFO").arg("commandstats").query(raw)?;
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let number = calls.and_then(|rest| rest.split(',').next()).unwrap_or("0");
    Ok(number.parse()?)
}

/// The scripts that the server is asked for while a step is done.
fn learn(
    url: &str,
    step: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<Vec<Vec<Vec<u8>>>, Failure> {
    let place = url.trim_start_matches("redis://").trim_start_matches("valkey://");
    let mut stream = std::net::TcpStream::connect(place)?;
    stream.write_all(b"MONITOR\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    step()?;
    let mut marker = redis::Client::open(url)?.get_connection()?;
    let () = redis::cmd("ECHO").arg("that is all").query(&mut marker)?;
    let mut learnt = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err("the server has ended".into());
        }
        let words = words_of(&line);
        if words.last().is_some_and(|word| word == b"that is all") {
            return Ok(learnt);
        }
        // What the client's own thread sends is about no object.
        if words.first().is_some_and(|word| word.eq_ignore_ascii_case(b"EVALSHA"))
            && words.get(3).is_some_and(|key| key.starts_with(b"procession-bench:n:"))
        {
            learnt.push(words);
        }
    }
}

/// The words of a line of MONITOR's, which stand in quotes.
fn words_of(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut rest) = (Vec::new(), line.iter().copied().peekable());
    while rest.by_ref().any(|byte| byte == b'"') {
        let mut word = Vec::new();
        while let Some(byte) = rest.next() {
            match byte {
                b'"' => break,
                b'\\' => match rest.next() {
                    Some(b'x') => {
                        let digits = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
                        let text = String::from_utf8_lossy(&digits).into_owned();
                        word.push(u8::from_str_radix(&text, 16).unwrap_or(0));
                    }
                    Some(b'n') => word.push(b'\n'),
                    Some(b'r') => word.push(b'\r'),
                    Some(b't') => word.push(b'\t'),
                    Some(b'a') => word.push(7),
                    Some(b'b') => word.push(8),
                    Some(other) => word.push(other),
                    None => break,
                },
                byte => word.push(byte),
            }
        }
        words.push(word);
    }
    words
}
