//! Messages as bytes.
//!
//! A message's kind says its format. The core knows [`PLAIN`] only: MessagePack, which any language
//! reads. Structs are written as maps with their fields' names, so that a Python process sees a dict.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The kind of plain data.
pub const PLAIN: u8 = 1;

/// A value as MessagePack.
///
/// # Errors
/// The serialiser's text.
///
/// # Examples
/// ```
/// assert_eq!(procession::codec::encode(&7).unwrap(), [7]);
/// ```
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(value).map_err(|e| e.to_string())
}

/// Appends a value as MessagePack.
pub(crate) fn append<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    rmp_serde::encode::write_named(out, value).map_err(|e| e.to_string())
}

/// The value that MessagePack bytes say.
///
/// # Errors
/// The deserialiser's text.
///
/// # Examples
/// ```
/// assert_eq!(procession::codec::decode::<i32>(&[7]).unwrap(), 7);
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|e| e.to_string())
}

/// The integer that MessagePack bytes say, and nothing behind it.
pub(crate) fn decode_integer(bytes: &[u8]) -> Option<i64> {
    let mut rest = bytes;
    let n = rmp_serde::from_read(&mut rest).ok()?;
    rest.is_empty().then_some(n)
}
