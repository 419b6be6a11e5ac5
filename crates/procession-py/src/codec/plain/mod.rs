//! Plain data ⇄ MessagePack (<https://msgpack.org>, the specification of 2013): readable from any
//! language.
//!
//! | Python | MessagePack |
//! |---|---|
//! | `None`, `bool` | nil, false, true |
//! | `int` from -2⁶³ to 2⁶⁴-1 | the shortest integer |
//! | `float` | float 64 |
//! | `str` without surrogates, `bytes` | str, bin |
//! | `list` | array |
//! | `dict` | map, in the dict's order |
//! | `tuple`, `set`, `frozenset` | extension 1, 2, 3, whose body is one array |
//!
//! Extensions are written with a 32-bit length, because it is known only after the body; all forms
//! are read. A message is one value and nothing after it. In a block it is the same, in one piece.
//!
//! What must hold: *what comes out is what pickle would have given*. So exact types only, and
//! everything that MessagePack cannot say is left to pickle ([`Unplain`]): subclasses, huge ints,
//! surrogates, deep nesting, and an object that is met twice. For the last, containers and long
//! strings that somebody else refers to as well are remembered; a sole reference cannot be met
//! twice. Short strings, numbers and the empty tuple, whose identity nobody can rely on, may come
//! out as several equal objects.
//!
//! Encoding runs no Python code and allocates no Python object, so that nothing changes meanwhile.
//! An interpreter without a GIL gives no such promise: there containers are left to pickle.

mod decode;
mod encode;
mod window;

pub(super) use decode::{decode, decode_all, decode_block, decode_each};
pub(super) use encode::{Large, append, encode, encode_key, pack, pieces};

/// Deeper nesting is left to pickle; the decoder refuses it.
const MAX_DEPTH: u32 = 64;

/// Extension types.
const TUPLE: u8 = 1;
const SET: u8 = 2;
const FROZENSET: u8 = 3;

/// Why a value is not written as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplain {
    /// It is something else: pickle's work.
    Other,
    /// Memory ran out.
    NoMemory,
}
