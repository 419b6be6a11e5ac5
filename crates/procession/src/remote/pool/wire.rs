//! What owners and workers send to each other, as `procession.remote._task` says it: plain data.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, PLAIN, Value};

pub(super) const VERSION: i128 = 1;
/// The item is a tuple of arguments, and keywords; one argument; a tuple of arguments.
const APPLY: i128 = 0;
const MAP: i128 = 1;
/// The first item that fails ends its task.
const STOPS: i128 = 1;

/// A task, for who serves functions by their names.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) first: i128,
    mode: i128,
    pub(super) stops: bool,
    /// How long an item may take.
    pub(super) limit: Option<Duration>,
    pub(super) function: String,
    pub(super) items: Vec<Vec<u8>>,
}

/// What became of an item.
#[derive(Debug)]
pub(super) enum Item {
    /// A message.
    Value(Vec<u8>),
    /// The kind, the text, the traceback.
    Failed(String, String, String),
    /// Which worker had it, and what became of its process.
    Lost(Who, String),
    /// The server has forgotten it.
    Forgotten,
    /// It took too long. The worker, and whether its process was ended.
    Late(Who, bool),
}

/// Which worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// Its process.
    pub pid: u32,
    /// The name of its machine.
    pub host: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.pid, self.host)
    }
}

impl Who {
    /// From what a worker says of itself, which is JSON.
    pub(super) fn of(about: &str) -> Who {
        let field = |name: &str| {
            let (_, rest) = about.split_once(&format!("\"{name}\":"))?;
            let rest = rest.trim_start();
            let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            quoted.or_else(|| rest.split([',', '}']).next()).map(str::trim)
        };
        let pid = field("pid").and_then(|pid| pid.parse().ok()).unwrap_or_default();
        Who { pid, host: field("host").unwrap_or_default().to_owned() }
    }
}

fn message<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut out = vec![PLAIN];
    out.extend(codec::encode(value)?);
    Ok(out)
}

fn plain<T: DeserializeOwned>(message: &[u8]) -> Result<T, String> {
    match message.split_first() {
        Some((&PLAIN, body)) => codec::decode(body),
        _ => Err("it is not plain data, but a pickle".into()),
    }
}

fn items(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::List(items) | Value::Tuple(items) => Ok(items),
        other => Err(format!("not a list: {other:?}")),
    }
}

impl Order {
    pub(super) fn read(body: &[u8]) -> Result<Order, String> {
        let parts = items(plain(body)?)?;
        let [
            Value::Int(VERSION),
            _,
            Value::Int(first),
            Value::Int(mode),
            Value::Int(flags),
            limit,
            function,
            all,
        ] = <[Value; 8]>::try_from(parts).map_err(|_| "it has other parts")?
        else {
            return Err("it is of another version".into());
        };
        let Some(Value::Str(function)) = items(function)?.pop() else {
            return Err("it names no function".into());
        };
        let bytes = |item| match item {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(format!("not a message: {other:?}")),
        };
        let all = items(all)?.into_iter().map(bytes).collect::<Result<_, String>>()?;
        let limit = match limit {
            Value::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Value::Int(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            _ => None,
        };
        Ok(Order { first, mode, stops: flags & STOPS != 0, limit, function, items: all })
    }

    /// The arguments that an item is; one alone is itself.
    pub(super) fn arguments<A: DeserializeOwned>(&self, item: &[u8]) -> Result<A, String> {
        if self.mode != APPLY {
            return plain(item);
        }
        let mut parts = items(plain(item)?)?;
        let (Some(keywords), Some(args)) = (parts.pop(), parts.pop()) else {
            return Err("it has no arguments".into());
        };
        if !matches!(&keywords, Value::Dict(pairs) if pairs.is_empty()) {
            return Err("a function of a Rust worker takes no keywords".into());
        }
        let mut args = items(args)?;
        let args = if args.len() == 1 { args.remove(0) } else { Value::List(args) };
        codec::decode(&codec::encode(&args)?)
    }
}

/// A task of one item for the function of that name: one that is served, or one of Python's.
pub(super) fn order<A: Serialize>(
    kind: &str,
    name: &str,
    limit: Option<Duration>,
    args: &A,
) -> Result<Vec<u8>, String> {
    let text = |text: &str| Value::Str(text.to_owned());
    let function = Value::List(vec![text(kind), text(name)]);
    message(&Value::List(vec![
        Value::Int(VERSION),
        text(name),
        Value::Int(0),
        Value::Int(MAP),
        Value::Int(0),
        limit.map_or(Value::None, |limit| Value::Float(limit.as_secs_f64())),
        function,
        Value::List(vec![Value::Bytes(message(args)?)]),
    ]))
}

/// The options of a pool that has none.
pub(super) fn options() -> Result<Vec<u8>, String> {
    let nothing = [Value::Int(VERSION), Value::None, Value::None, Value::Bool(true)];
    message(&Value::List(nothing.into()))
}

/// A report of a task's outcomes.
pub(super) fn report(first: i128, outcomes: Vec<Vec<u8>>) -> Vec<u8> {
    let outcomes = outcomes.into_iter().map(Value::Bytes).collect();
    message(&Value::List(vec![Value::Int(first), Value::List(outcomes)])).unwrap_or_default()
}

/// The outcome that is a value.
pub(super) fn value<R: Serialize>(value: &R) -> Result<Vec<u8>, String> {
    let mut out = vec![b'v'];
    out.extend(message(value)?);
    Ok(out)
}

/// The outcome that is a failure: which function, and what it said.
pub(super) fn failure(function: &str, said: &str) -> Vec<u8> {
    let text = |text: &str| Value::Str(text.to_owned());
    let whole = format!("{function}: {said}");
    let parts = vec![text(""), text("RuntimeError"), Value::None, text(&whole), text("")];
    let mut out = vec![b'e'];
    out.extend(message(&Value::List(parts)).unwrap_or_default());
    out
}

/// The outcome of an item that takes too long, at a thread of this process's, which can't be ended.
pub(super) fn late(host: &str, index: i128) -> Vec<u8> {
    let pid = std::process::id().into();
    let parts = [Value::Str("late".into()), Value::Int(pid), Value::None, Value::Str(host.into())];
    let mut out = vec![b'l'];
    out.extend(
        message(&Value::List([&parts[..], &[Value::Int(index)]].concat())).unwrap_or_default(),
    );
    out
}

/// The one outcome of a task of one item.
pub(super) fn outcome(report: &[u8]) -> Result<Item, String> {
    let outcomes = items(plain(report)?)?.pop().map_or(Ok(Vec::new()), items)?;
    let Some(Value::Bytes(outcome)) = outcomes.into_iter().next() else {
        return Err("there is no outcome".into());
    };
    let (kind, rest) = outcome.split_first().ok_or("an empty outcome")?;
    let said = |at: usize, parts: &[Value]| match parts.get(at) {
        Some(Value::Str(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        _ => String::new(),
    };
    match kind {
        b'v' => Ok(Item::Value(rest.to_vec())),
        b'e' => {
            let parts = items(plain(rest)?)?;
            Ok(Item::Failed(said(1, &parts), said(3, &parts), said(4, &parts)))
        }
        b'l' => {
            let parts = items(plain(rest)?)?;
            let who =
                Who { pid: said(1, &parts).parse().unwrap_or_default(), host: said(3, &parts) };
            let code = parts.get(2).and_then(|code| match code {
                Value::Int(code) => Some(*code),
                _ => None,
            });
            if said(0, &parts) == "late" {
                return Ok(Item::Late(who, code.is_some()));
            }
            Ok(Item::Lost(
                who,
                match code {
                    Some(code @ 0..) => format!("exited with code {code}"),
                    Some(signal) => format!("was killed by signal {}", -signal),
                    None => "died".into(),
                },
            ))
        }
        b'f' => Ok(Item::Failed("an exception".into(), "it was pickled".into(), String::new())),
        _ => Err("an outcome of an unknown kind".into()),
    }
}

/// What a worker says that can't work for a pool.
pub(super) fn text(message: &[u8]) -> String {
    plain(message).unwrap_or_else(|_| String::from_utf8_lossy(message).into_owned())
}

/// The value of such a message.
pub(super) fn read_value<R: DeserializeOwned>(message: &[u8]) -> Result<R, String> {
    plain(message)
}
