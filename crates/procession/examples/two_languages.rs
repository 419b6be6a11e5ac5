//! The Rust half of a conversation with a Python process of the same named family:
//! `two_languages FAMILY (talk N | flood | echo | count N | hold)`. `tests/test_two_languages.py` has
//! the other half.

use std::io::Write;
use std::time::Duration;

use procession::{Family, Queue, SharedDict, Value};

type Failure = Box<dyn std::error::Error>;

/// Longer than any healthy wait: then the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let family = Family::open(arguments.first().ok_or("which family?")?)?;
    let to_python: Queue<Value> = family.queue("to python", Some(1000))?;
    let to_rust: Queue<Value> = family.queue("to rust", Some(1000))?;
    match arguments[1..] {
        ["talk", n] => talk(n.parse()?, &to_python, &to_rust),
        ["flood"] => flood(&to_python),
        ["echo"] => echo(&to_rust, &to_python),
        ["count", n] => count(family, n.parse()?),
        ["hold"] => hold(family),
        _ => Err("talk N, flood, echo, count N or hold?".into()),
    }
}

/// The message with this number: both languages make the same.
fn message(n: u64) -> Value {
    let number = i128::from(n);
    match n % 12 {
        0 => Value::Int(number),
        1 => Value::Int(-number * number),
        2 => Value::Int(i128::from(u64::MAX) - number),
        3 => Value::Float(n as f64 / 8.0),
        4 => Value::Str(format!("number {n}: ½ 🦀")),
        5 => Value::Bytes((0..n % 300).map(|i| (i + n) as u8).collect()),
        6 => Value::List((0..n % 5).map(|i| Value::Int(number + i128::from(i))).collect()),
        7 => Value::Tuple(vec![Value::Int(number), Value::None, Value::Bool(n.is_multiple_of(2))]),
        8 => Value::Dict(vec![
            ("n".into(), Value::Int(number)),
            (Value::Int(number), Value::List(vec![message(n / 2)])),
            (Value::Tuple(vec!["a".into(), Value::Int(1)]), Value::Dict(vec![])),
        ]),
        9 => Value::FrozenSet(vec![Value::Int(number)]),
        10 if n % 100 == 10 => Value::Bytes(vec![n as u8; 100_000]),
        10 => Value::Str("x".repeat((n % 1000) as usize)),
        _ => Value::Set(vec!["one".into()]),
    }
}

fn talk(n: u64, to_python: &Queue<Value>, to_rust: &Queue<Value>) -> Result<(), Failure> {
    let speaker = to_python.clone();
    let speaking = std::thread::spawn(move || {
        for i in 0..n {
            speaker.put_timeout(message(i), PATIENCE).map_err(|e| e.to_string())?;
        }
        Ok::<(), String>(())
    });
    for i in 0..n {
        let got = to_rust.get_timeout(PATIENCE)?;
        if got != message(i) {
            return Err(format!("message {i} is {got:?}").into());
        }
    }
    speaking.join().map_err(|_| "the speaker panicked")??;
    tell("ok")
}

/// Messages without end, until somebody kills this process.
fn flood(to_python: &Queue<Value>) -> Result<(), Failure> {
    for i in 0.. {
        to_python.put_timeout(message(i), PATIENCE)?;
    }
    Ok(())
}

/// Sends back what comes, until that is `None`.
fn echo(to_rust: &Queue<Value>, to_python: &Queue<Value>) -> Result<(), Failure> {
    loop {
        let got = to_rust.get_timeout(PATIENCE)?;
        let is_last = got == Value::None;
        to_python.put_timeout(got, PATIENCE)?;
        if is_last {
            return Ok(());
        }
    }
}

/// Adds one, so many times, to a number that Python adds to as well: two operations under one lock.
fn count(family: Family, n: u64) -> Result<(), Failure> {
    let lock = family.lock("guard")?;
    let numbers: SharedDict<String, u64> = family.dict("numbers")?;
    for _ in 0..n {
        let _held = lock.acquire_timeout(PATIENCE)?;
        let so_far = numbers.get("both")?.unwrap_or(0);
        numbers.insert("both", &(so_far + 1))?;
    }
    tell("ok")
}

/// Takes the lock and keeps it until somebody kills this process.
fn hold(family: Family) -> Result<(), Failure> {
    let lock = family.lock("guard")?;
    let _held = lock.acquire_timeout(PATIENCE)?;
    tell("held")?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn tell(word: &str) -> Result<(), Failure> {
    println!("{word}");
    Ok(std::io::stdout().flush()?)
}
