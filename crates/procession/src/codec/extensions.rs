//! Python's tuples and sets: as plain arrays, for types that serde fills from sequences, and in the one
//! form that keys have.

use super::{FROZENSET, SET, TUPLE};

/// The same message without the extension headers around tuples and sets; `None` if there are none,
/// or the bytes end too early. Arrays and maps count elements and not bytes, so nothing else changes.
pub(super) fn sequences(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut found = false;
    while let Some(&marker) = rest.first() {
        let (head, body) = token(marker, rest)?;
        let is_wrapper = is_wrapper(rest.get(..head)?);
        let len = if is_wrapper { head } else { head.checked_add(body)? };
        let (token, after) = rest.split_at_checked(len)?;
        if is_wrapper {
            found = true;
        } else {
            out.extend_from_slice(token);
        }
        rest = after;
    }
    found.then_some(out)
}

/// A dict's key as Python writes it: all extensions have the long head, so that equal tuples are equal
/// bytes.
pub(super) fn key(bytes: Vec<u8>) -> Vec<u8> {
    if !matches!(bytes.first(), Some(0xc7..=0xc9 | 0xd4..=0xd8)) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 16);
    match lengthen(&bytes, &mut out) {
        Some(()) => out,
        None => bytes,
    }
}

fn lengthen(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = bytes;
    while let Some(&marker) = rest.first() {
        let (head, body) = token(marker, rest)?;
        let (token, after) = rest.split_at_checked(head.checked_add(body)?)?;
        if is_wrapper(&token[..head]) {
            out.extend([0xc9, 0, 0, 0, 0, token[head - 1]]);
            let from = out.len();
            lengthen(&token[head..], out)?;
            let len = u32::try_from(out.len() - from).ok()?;
            out[from - 5..from - 1].copy_from_slice(&len.to_be_bytes());
        } else {
            out.extend_from_slice(token);
        }
        rest = after;
    }
    Some(())
}

/// Whether it is the head of a tuple or a set.
fn is_wrapper(head: &[u8]) -> bool {
    let [0xc7..=0xc9 | 0xd4..=0xd8, .., kind] = head else { return false };
    [TUPLE, SET, FROZENSET].contains(&kind.cast_signed())
}

/// How long a token's head is (of an array or a map nothing else belongs to it), and its body.
fn token(marker: u8, bytes: &[u8]) -> Option<(usize, usize)> {
    let length = |size: usize| {
        let digits = bytes.get(1..=size)?;
        Some(digits.iter().fold(0usize, |n, &b| n << 8 | usize::from(b)))
    };
    Some(match marker {
        0xa0..=0xbf => (1, usize::from(marker & 0x1f)),
        0xc4 | 0xd9 => (2, length(1)?),
        0xc5 | 0xda => (3, length(2)?),
        0xc6 | 0xdb => (5, length(4)?),
        0xc7 => (3, length(1)?),
        0xc8 => (4, length(2)?),
        0xc9 => (6, length(4)?),
        0xcc | 0xd0 => (2, 0),
        0xcd | 0xd1 | 0xdc | 0xde => (3, 0),
        0xca | 0xce | 0xd2 | 0xdd | 0xdf => (5, 0),
        0xcb | 0xcf | 0xd3 => (9, 0),
        0xd4..=0xd8 => (2, 1 << (marker - 0xd4)),
        _ => (1, 0), // small numbers, nil, booleans, the heads of small arrays and maps
    })
}

#[cfg(test)]
mod tests {
    use super::{key, sequences};

    #[test]
    fn headers_go_and_all_else_stays() {
        // {"a": (1, [2, {3}], b"\xc7\x01\x01"), 1.5: -70000} in all lengths of heads
        let mut message = vec![0x82, 0xa1, b'a', 0xc9, 0, 0, 0, 17, 1, 0x93, 1, 0x92, 2];
        message.extend([0xd5, 2, 0x91, 3, 0xc4, 3, 0xc7, 1, 1]);
        message.extend([0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xd2, 0xff, 0xfe, 0xee, 0x90]);
        let mut plain = vec![0x82, 0xa1, b'a', 0x93, 1, 0x92, 2, 0x91, 3, 0xc4, 3, 0xc7, 1, 1];
        plain.extend([0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xd2, 0xff, 0xfe, 0xee, 0x90]);
        assert_eq!(sequences(&message), Some(plain));
    }

    #[test]
    fn a_key_has_long_heads_only() {
        let tuple = vec![0xc7, 7, 1, 0x93, 1, 0xd5, 1, 0x91, 2, 0xc0]; // (1, (2,), None)
        let long = [&[0xc9, 0, 0, 0, 11, 1, 0x93, 1][..], &[0xc9, 0, 0, 0, 2, 1, 0x91, 2, 0xc0]];
        assert_eq!(key(tuple), long.concat());
        assert_eq!(key(vec![0xa1, 0xc7]), [0xa1, 0xc7]);
        assert_eq!(key(vec![0xc7, 200, 1]), [0xc7, 200, 1]); // cut off: as it is
    }

    #[test]
    fn without_headers_or_cut_off_it_is_none() {
        assert_eq!(sequences(&[0x92, 1, 2]), None);
        assert_eq!(sequences(&[0xc7, 1, 9, 0]), None); // an extension that means something else
        assert_eq!(sequences(&[0xc9, 0, 0]), None);
        assert_eq!(sequences(&[0xd5, 1, 0x91, 0xdb, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
