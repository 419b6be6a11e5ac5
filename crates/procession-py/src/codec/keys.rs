//! A small cache of strings that lately were keys of dicts.
//!
//! Messages of one program mostly have the same few keys. Finding the string that was made last
//! time is cheaper than making one, and it knows its hash already. Per thread, direct-mapped,
//! bounded; only short ASCII.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// A power of two.
const PLACES: usize = 256;

/// The cache.
#[derive(Default)]
pub(super) struct Keys(Option<Box<[Option<Entry>; PLACES]>>);

struct Entry {
    spelling: Spelling,
    object: Py<PyAny>,
}

impl Keys {
    /// The string that `text` spells, if it is of the kind that is cached.
    #[inline]
    pub(super) fn get<'py>(&mut self, py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyAny>> {
        let spelling = Spelling::of(text)?;
        let places = self.0.get_or_insert_with(no_places);
        let place = &mut places[spelling.place()];
        if let Some(entry) = place
            && entry.spelling.is(spelling)
        {
            return Some(entry.object.bind(py).clone());
        }
        replace(py, place, spelling, text)
    }
}

#[cold]
fn no_places() -> Box<[Option<Entry>; PLACES]> {
    Box::new([const { None }; PLACES])
}

#[cold]
fn replace<'py>(
    py: Python<'py>,
    place: &mut Option<Entry>,
    spelling: Spelling,
    text: &[u8],
) -> Option<Bound<'py, PyAny>> {
    let object = PyString::new(py, str::from_utf8(text).ok()?).into_any();
    *place = Some(Entry { spelling, object: object.clone().unbind() });
    Some(object)
}

/// A short string in words. Where the length is no multiple of a word they overlap, and so say all
/// of it.
#[derive(Clone, Copy)]
struct Spelling {
    len: usize,
    words: [u64; 3],
}

impl Spelling {
    /// None if `text` is too long or is not ASCII.
    #[inline]
    fn of(text: &[u8]) -> Option<Self> {
        let len = text.len();
        let words = match len {
            0 => [0; 3],
            1..4 => [
                u64::from(text[0]) | u64::from(text[len / 2]) << 8 | u64::from(text[len - 1]) << 16,
                0,
                0,
            ],
            4..8 => [u64::from(half(text, 0)) | u64::from(half(text, len - 4)) << 32, 0, 0],
            8..17 => [word(text, 0), word(text, len - 8), 0],
            17..25 => [word(text, 0), word(text, 8), word(text, len - 8)],
            _ => return None,
        };
        let all = words[0] | words[1] | words[2];
        (all & 0x8080_8080_8080_8080 == 0).then_some(Self { len, words })
    }

    /// Equality, in a form that stays in registers.
    #[inline]
    fn is(self, other: Self) -> bool {
        self.len == other.len
            && self.words[0] == other.words[0]
            && self.words[1] == other.words[1]
            && self.words[2] == other.words[2]
    }

    #[inline]
    fn place(self) -> usize {
        let [first, second, third] = self.words;
        let mixed = first ^ second.rotate_left(23) ^ third.rotate_left(43) ^ self.len as u64;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % PLACES
    }
}

#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    text[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn half(text: &[u8], at: usize) -> u32 {
    text[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
