//! Objects as dicts and lists store them: in one piece, and keys so that equal ones are found.
//!
//! A key that is equal to another one just if its bytes are ([`plain::encode_key`]) is of the kind
//! `Plain`, and found by its bytes. Any other, 1.0 or a member of an Enum, is stored as a value would
//! be, with [`ODD`] in its kind, and compared by `==` in the process that looks for it. So that few
//! have to be compared, `procession._keys` tries to find a plain key that is equal to it, or to which
//! no unequal key leads: that one's hash is used. Where it finds none the hash is `OPAQUE`.

use procession::Lease;
use procession::collections::{self, Datum, Key, OPAQUE};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::plain::Unplain;
use super::scratch::Buffers;
use super::{DecodeError, Kind, Policy, Prepared, decode_small, plain, prepare, prepare_plain};

/// Of a key's kind: it is compared by `==`.
const ODD: u8 = 0x40;

/// What stands in `scratch.bytes`, for storing.
#[derive(Debug)]
pub(crate) struct Value {
    kind: u8,
    holds: Vec<Lease>,
}

impl Value {
    /// Encodes `obj` to `scratch.bytes`. The errors are what pickle or the policy says about it.
    #[inline]
    pub(crate) fn of(
        obj: &Bound<'_, PyAny>,
        policy: Policy,
        scratch: &mut Buffers,
    ) -> PyResult<Self> {
        match prepare(obj, policy, scratch)? {
            Prepared::Plain if scratch.large.is_empty() => {
                Ok(Self { kind: Kind::Plain as u8, holds: Vec::new() })
            }
            prepared => Self::gather(obj.py(), prepared, scratch),
        }
    }

    /// Encodes `obj` to `scratch.bytes` if it is plain at first sight. Whether it is.
    pub(crate) fn if_plain(obj: &Bound<'_, PyAny>, scratch: &mut Buffers) -> PyResult<bool> {
        let Some(prepared) = prepare_plain(obj, scratch)? else { return Ok(false) };
        if !scratch.large.is_empty() {
            Self::gather(obj.py(), prepared, scratch)?;
        }
        Ok(true)
    }

    #[cold]
    fn gather(py: Python<'_>, prepared: Prepared<'_>, scratch: &mut Buffers) -> PyResult<Self> {
        let mut whole = Vec::new();
        let stored = match prepared {
            Prepared::Plain => {
                let len = plain::pieces(py, scratch).map(<[u8]>::len).sum();
                whole.try_reserve_exact(len).map_err(|_| PyMemoryError::new_err(()))?;
                plain::pieces(py, scratch).for_each(|piece| whole.extend_from_slice(piece));
                scratch.large.clear();
                Self { kind: Kind::Plain as u8, holds: Vec::new() }
            }
            Prepared::Pickle(pickled) => {
                let kind = if let Some(stream) = pickled.only_stream() {
                    whole.extend_from_slice(stream);
                    Kind::Pickle
                } else {
                    pickled.write_whole(&mut whole);
                    Kind::SmallBuffers
                };
                Self { kind: kind as u8, holds: pickled.into_handles() }
            }
        };
        scratch.bytes = whole;
        Ok(stored)
    }

    /// With the bytes of `scratch.bytes`, wherever these are by now.
    #[inline]
    pub(crate) fn datum<'a>(&'a self, bytes: &'a [u8]) -> Datum<'a> {
        Datum { kind: self.kind, bytes, holds: &self.holds }
    }

    /// Its kind; None if handles stand in it, which name what is in this machine's memory.
    pub(crate) fn without_handles(&self) -> Option<u8> {
        self.holds.is_empty().then_some(self.kind)
    }

    /// Whether it is plain, and so equal to another if the bytes are.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == Kind::Plain as u8
    }
}

/// What stands in `scratch.key`, for finding.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) hash: u64,
    kind: u8,
    holds: Vec<Lease>,
}

impl Name {
    /// Encodes a key to `scratch.key`. TypeError if it is unhashable.
    #[inline]
    pub(crate) fn of(
        key: &Bound<'_, PyAny>,
        policy: Policy,
        scratch: &mut Buffers,
    ) -> PyResult<Self> {
        scratch.key.clear();
        match plain::encode_key(key, &mut scratch.key) {
            Ok(()) => {
                let hash = collections::hash(&scratch.key);
                Ok(Self { hash, kind: Kind::Plain as u8, holds: Vec::new() })
            }
            Err(Unplain::NoMemory) => Err(PyMemoryError::new_err(())),
            Err(Unplain::Other) => Self::odd(key, policy, scratch),
        }
    }

    #[cold]
    fn odd(key: &Bound<'_, PyAny>, policy: Policy, scratch: &mut Buffers) -> PyResult<Self> {
        static EQUAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = key.py();
        key.hash()?;
        let Value { kind, holds } = Value::of(key, policy, scratch)?;
        let equal = EQUAL.import(py, "procession._keys", "plain_key")?.call1((key,))?;
        scratch.key.clear();
        let hash = match plain::encode_key(&equal, &mut scratch.key) {
            Ok(()) => collections::hash(&scratch.key),
            Err(_) => OPAQUE,
        };
        std::mem::swap(&mut scratch.key, &mut scratch.bytes);
        Ok(Self { hash, kind: kind | ODD, holds })
    }

    /// Whether it is found by its bytes; else always by `==`.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == Kind::Plain as u8
    }

    /// The kind of its message; None if there are handles in it.
    pub(crate) fn without_handles(&self) -> Option<u8> {
        self.holds.is_empty().then_some(self.kind)
    }

    /// Right after [`Name::of`]: the bytes of the plain key that it may be equal to, empty if it may equal any; None
    /// if it is found by its own bytes.
    pub(crate) fn group<'a>(&self, scratch: &'a Buffers) -> Option<&'a [u8]> {
        match self.hash {
            _ if self.is_plain() => None,
            OPAQUE => Some(&[]),
            _ => Some(&scratch.bytes),
        }
    }

    /// With the bytes of `scratch.key`, wherever these are by now.
    #[inline]
    pub(crate) fn key<'a>(&'a self, bytes: &'a [u8]) -> Key<'a> {
        let datum = Datum { kind: self.kind, bytes, holds: &self.holds };
        Key { hash: self.hash, datum }
    }
}

/// Whether a stored key may be one that is looked for. Who has plain keys only looks for no other, and
/// a key that somebody has pickled does not keep him from finding his.
pub(crate) fn may_equal(key_kind: u8, policy: Policy) -> bool {
    policy == Policy::Anything || without_odd(key_kind) == Kind::Plain as u8
}

/// A key's kind, without what says that it is compared.
pub(crate) fn without_odd(key_kind: u8) -> u8 {
    key_kind & !ODD
}

/// The object whose bytes are `scratch.bytes`, a value or a key, if the policy lets it out.
#[inline]
pub(crate) fn load<'py>(
    py: Python<'py>,
    kind: u8,
    policy: Policy,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    decode_small(py, without_odd(kind), policy, scratch)
}

/// The object of these bytes, if the policy lets it out.
pub(crate) fn load_from<'py>(
    py: Python<'py>,
    kind: u8,
    bytes: &[u8],
    policy: Policy,
    scratch: &mut Buffers,
) -> Result<Bound<'py, PyAny>, DecodeError> {
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(bytes);
    load(py, kind, policy, scratch)
}
