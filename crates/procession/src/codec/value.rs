//! A value of any type that plain data has.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use super::{FROZENSET, SET, TUPLE};

/// As deep as Python's side nests plain data; what is deeper is refused.
const MAX_DEPTH: u32 = 64;
const TOO_DEEP: &str = "nested more than 64 levels deep";

/// What a message says whose type is not known beforehand: the plain data of Python.
///
/// `Queue<Value>` takes whatever plain data a Python process puts. What Python had to pickle is a
/// [`GetError::Decode`](crate::GetError).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Queue, Value};
/// let q: Queue<Value> = Queue::unbounded()?;
/// q.put(Value::Tuple(vec![Value::Int(1), "one".into()]))?;
/// let Value::Tuple(items) = q.get()? else { panic!() };
/// assert_eq!(items[1].as_str(), Some("one"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Python's `None`.
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int` from -2⁶³ to 2⁶⁴-1; a larger one can't be serialised.
    Int(i128),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// A `list`.
    List(Vec<Value>),
    /// A `tuple`.
    Tuple(Vec<Value>),
    /// A `set`, in no particular order.
    Set(Vec<Value>),
    /// A `frozenset`, in no particular order.
    FrozenSet(Vec<Value>),
    /// A `dict`, in its order.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The text, if it is one.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(procession::Value::from("hello").as_str(), Some("hello"));
    /// ```
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is an integer that fits.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(procession::Value::Int(7).as_i64(), Some(7));
    /// ```
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// What a dict has under a text.
    ///
    /// # Examples
    /// ```
    /// use procession::Value;
    /// let dict = Value::Dict(vec![("a".into(), Value::Int(1))]);
    /// assert_eq!(dict.get("a"), Some(&Value::Int(1)));
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(entries) => {
                entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $made:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Value {
                $made
            }
        })*
    };
}

from! {
    bool: v => Value::Bool(v);
    i32: v => Value::Int(v.into());
    i64: v => Value::Int(v.into());
    u32: v => Value::Int(v.into());
    u64: v => Value::Int(v.into());
    f64: v => Value::Float(v);
    &str: v => Value::Str(v.into());
    String: v => Value::Str(v);
    Vec<Value>: v => Value::List(v);
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let _one = Depth::enter().ok_or_else(|| S::Error::custom(TOO_DEEP))?;
        match self {
            Value::None => to.serialize_unit(),
            Value::Bool(v) => to.serialize_bool(*v),
            Value::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => to.serialize_i64(n),
                (_, Ok(n)) => to.serialize_u64(n),
                _ => Err(S::Error::custom(format!("{n} is no integer of 64 bits"))),
            },
            Value::Float(v) => to.serialize_f64(*v),
            Value::Str(v) => to.serialize_str(v),
            Value::Bytes(v) => to.serialize_bytes(v),
            Value::List(items) => to.collect_seq(items),
            Value::Tuple(items) => wrapped(TUPLE, items, to),
            Value::Set(items) => wrapped(SET, items, to),
            Value::FrozenSet(items) => wrapped(FROZENSET, items, to),
            Value::Dict(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// An extension around the array of the items; other formats than ours have the array alone.
fn wrapped<S: Serializer>(tag: i8, items: &Vec<Value>, to: S) -> Result<S::Ok, S::Error> {
    if to.is_human_readable() {
        return to.collect_seq(items);
    }
    let body = super::encode(items).map_err(S::Error::custom)?;
    let body = Bytes(&body);
    to.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(tag, body))
}

/// Bytes that serde knows as such.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
        let _one = Depth::enter().ok_or_else(|| D::Error::custom(TOO_DEEP))?;
        from.deserialize_any(AnyValue)
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// One more level of nesting. An extension's body has a deserialiser of its own, so that nobody else
/// counts over all levels.
struct Depth;

impl Depth {
    fn enter() -> Option<Depth> {
        let depth = DEPTH.get();
        (depth <= MAX_DEPTH).then(|| {
            DEPTH.set(depth + 1);
            Depth
        })
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Int(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Str(v.into()))
    }

    fn visit_bytes<E>(self, v: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(v.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Dict(entries))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(Wrapped)
    }
}

/// Reads an extension: its type, and the array inside.
struct Wrapped;

impl<'de> Visitor<'de> for Wrapped {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tuple or a set")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let missing = || A::Error::custom("an extension that ends early");
        let tag: i8 = from.next_element()?.ok_or_else(missing)?;
        let Body(body) = from.next_element()?.ok_or_else(missing)?;
        let wrap = match tag {
            TUPLE => Value::Tuple,
            SET => Value::Set,
            FROZENSET => Value::FrozenSet,
            _ => return Err(A::Error::custom(format!("extension type {tag} is unknown"))),
        };
        match rmp_serde::from_slice(&body).map_err(A::Error::custom)? {
            Value::List(items) => Ok(wrap(items)),
            _ => Err(A::Error::custom("a tuple or set that holds no array")),
        }
    }
}

struct Body(Vec<u8>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Body, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, v: &[u8]) -> Result<Body, E> {
                Ok(Body(v.into()))
            }
        }
        from.deserialize_bytes(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::{TUPLE, Value};
    use crate::codec::{decode, encode};

    fn all() -> Value {
        Value::List(vec![
            Value::None,
            Value::Bool(true),
            Value::Int(i64::MIN.into()),
            Value::Int(u64::MAX.into()),
            Value::Float(0.1),
            Value::Str("ü".into()),
            Value::Bytes(vec![]),
            Value::Bytes(vec![0, 255]),
            Value::Tuple(vec![Value::Tuple(vec![]), Value::List(vec![])]),
            Value::Set(vec![Value::Int(1)]),
            Value::FrozenSet(vec!["x".into()]),
            Value::Dict(vec![(Value::Tuple(vec![Value::Int(1), Value::Int(2)]), Value::None)]),
        ])
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode::<Value>(&encode(&all()).unwrap()), Ok(all()));
    }

    #[test]
    fn too_large_an_integer_is_refused() {
        assert!(encode(&Value::Int(1 << 64)).unwrap_err().contains("64 bits"));
    }

    #[test]
    fn what_nobody_could_read_is_not_written() {
        let nested = |depth| (0..depth).fold(Value::None, |inner, _| Value::List(vec![inner]));
        assert!(decode::<Value>(&encode(&nested(64)).unwrap()).is_ok());
        assert!(encode(&nested(65)).unwrap_err().contains("64 levels"));
    }

    #[test]
    fn nesting_is_bounded_however_it_is_done() {
        let mut tuples = vec![0x90];
        for depth in 0..100 {
            let len = u32::try_from(tuples.len() + 1).unwrap().to_be_bytes();
            let head = [&[0xc9][..], &len, &[TUPLE.cast_unsigned(), 0x91]].concat();
            tuples.splice(0..0, head);
            assert_eq!(decode::<Value>(&tuples).is_ok(), depth < 64, "{depth}");
        }
        assert!(decode::<Value>(&tuples).is_err());
        let lists = vec![0x91; 1_000_000];
        assert!(decode::<Value>(&lists).is_err());
    }
}
