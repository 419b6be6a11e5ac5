//! What owners and workers send to each other, as `procession.remote._task` says it: plain data.

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
    /// The text.
    Lost(String),
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
            _,
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
        Ok(Order { first, mode, stops: flags & STOPS != 0, function, items: all })
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
pub(super) fn order<A: Serialize>(kind: &str, name: &str, args: &A) -> Result<Vec<u8>, String> {
    let text = |text: &str| Value::Str(text.to_owned());
    let function = Value::List(vec![text(kind), text(name)]);
    message(&Value::List(vec![
        Value::Int(VERSION),
        text(name),
        Value::Int(0),
        Value::Int(MAP),
        Value::Int(0),
        Value::None,
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
            let (pid, code, host) = (said(1, &parts), said(2, &parts), said(3, &parts));
            Ok(Item::Lost(format!("its process {pid} on {host} ended with {code}")))
        }
        b'f' => Ok(Item::Failed("an exception".into(), "it was pickled".into(), String::new())),
        _ => Err("an outcome of an unknown kind".into()),
    }
}

/// The value of such a message.
pub(super) fn read_value<R: DeserializeOwned>(message: &[u8]) -> Result<R, String> {
    plain(message)
}
