//! Messages as bytes.
//!
//! A message's kind says its format. The core knows [`PLAIN`] only: MessagePack, which any language
//! reads. What Rust and Python make of one another's values:
//!
//! | Rust, by serde | MessagePack | Python |
//! |---|---|---|
//! | `()`, `None` | nil | `None` |
//! | `bool`, integers up to 64 bits, `f32`, `f64` | the same | `bool`, `int`, `float` |
//! | `String`, `&str`, `char`, a unit variant | str | `str` |
//! | `Vec<u8>`, `&[u8]`, `serde_bytes` | bin; an empty `Vec<u8>` without `serde_bytes`: an empty array | `bytes` |
//! | `Vec`, arrays, tuples, tuple structs | array | `list` |
//! | structs (by their fields' names), maps | map | `dict` |
//! | a variant with data | map of one entry: name, data | `dict` |
//! | any sequence, when it is read; [`Value::Tuple`], … | extension 1, 2, 3 over one array | `tuple`, `set`, `frozenset` |
//!
//! [`Value`] is for who does not know beforehand what comes.

pub mod order;
mod unwrap;
mod value;

pub use value::Value;

use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The kind of plain data.
pub const PLAIN: u8 = 1;

/// The kind of bytes that stand for nothing but themselves: what a Python process sends as bytes, and
/// receives as what was pickled.
#[cfg(feature = "bytemuck")]
pub(crate) const BYTES: u8 = 5;

/// The kind of values as they lie in memory, one after the other.
#[cfg(feature = "bytemuck")]
pub(crate) const DATA: u8 = 6;

/// Extension types: a container of Python's that is no list, around one array.
const TUPLE: i8 = 1;
const SET: i8 = 2;
const FROZENSET: i8 = 3;

/// A value as MessagePack.
///
/// # Errors
/// The serialiser's text.
///
/// # Examples
/// ```
/// assert_eq!(procession::codec::encode(&7).unwrap(), [7]);
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode_into(&mut out, value)?;
    Ok(out)
}

/// A value as MessagePack, behind what `out` has already.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), String> {
    let mut to =
        rmp_serde::Serializer::new(out).with_bytes(BytesMode::ForceIterables).with_struct_map();
    value.serialize(&mut to).map_err(|e| e.to_string())
}

/// The value that MessagePack bytes say. Where Python wrote a tuple or a set, any sequence is read.
///
/// # Errors
/// The deserialiser's text.
///
/// # Examples
/// ```
/// use procession::codec;
/// assert_eq!(codec::decode::<i32>(&[7]).unwrap(), 7);
/// let python_tuple = [0xc7, 3, 1, 0x92, 7, 8]; // (7, 8)
/// assert_eq!(codec::decode::<(u8, u8)>(&python_tuple).unwrap(), (7, 8));
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).or_else(|error| match unwrap::sequences(bytes) {
        Some(plain) => rmp_serde::from_slice(&plain).map_err(|e| e.to_string()),
        None => Err(error.to_string()),
    })
}

/// The integer that MessagePack bytes say, and nothing behind it.
pub(crate) fn decode_integer(bytes: &[u8]) -> Option<i64> {
    let mut rest = bytes;
    let n = rmp_serde::from_read(&mut rest).ok()?;
    rest.is_empty().then_some(n)
}

/// The bytes that a MessagePack message of nothing but bytes has, and how many stand before them.
#[cfg(feature = "bytemuck")]
pub(crate) fn bytes_in(message: &[u8]) -> Option<(usize, &[u8])> {
    let lead = match message.first()? {
        0xc4 => 2,
        0xc5 => 3,
        0xc6 => 5,
        _ => return None,
    };
    let len = message.get(1..lead)?.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    let bytes = message.get(lead..)?;
    (bytes.len() == len).then_some((lead, bytes))
}
