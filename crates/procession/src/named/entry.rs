//! What the directory says of a name, as bytes: a MessagePack array of the kind and a note. The objects are
//! the holds beside them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::codec;
use crate::error::ArenaError;

struct Note(Vec<u8>);

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Note, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Note;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Note, E> {
                Ok(Note(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

pub(super) fn encode(kind: &str, note: &[u8]) -> Result<Vec<u8>, ArenaError> {
    codec::encode(&(kind, Note(note.to_vec()))).map_err(ArenaError::Corrupt)
}

/// Kind and note.
pub(super) fn decode(kind: u8, bytes: &[u8]) -> Result<(String, Vec<u8>), ArenaError> {
    if kind != codec::PLAIN {
        return Err(ArenaError::Corrupt(format!("an entry of the directory has kind {kind}")));
    }
    let (kind, note): (String, Note) = codec::decode(bytes)
        .map_err(|e| ArenaError::Corrupt(format!("an entry of the directory: {e}")))?;
    Ok((kind, note.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_plain_values() {
        let bytes = encode("queue", b"\x00\xff").unwrap();
        assert_eq!(bytes, b"\x92\xa5queue\xc4\x02\x00\xff");
        assert_eq!(decode(codec::PLAIN, &bytes).unwrap(), ("queue".into(), vec![0, 255]));
    }

    #[test]
    fn what_is_none_is_an_error() {
        for bytes in [&b""[..], b"\x07", b"\x91\xa1x", b"\x92\x01\xc4\x00"] {
            assert!(
                matches!(decode(codec::PLAIN, bytes), Err(ArenaError::Corrupt(_))),
                "{bytes:?}"
            );
        }
        assert!(decode(2, &encode("queue", b"").unwrap()).is_err());
    }
}
