//! A task as a message, and how an outcome is tagged.
//!
//! ```text
//! mode (1), flags (1), length of the function (2), number of items (4), function
//! … and what the codec made of the item, or of the list of items
//! ```
//!
//! The function is a pickle, or the handle of shared memory that holds one, if it is long.

use procession::pool::RawPool;
use procession::{Family, Lease, RawMemory};
use pyo3::prelude::*;

use crate::codec;
use crate::error::{CorruptArenaError, Raise};
use crate::memory;

/// How a function is called with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// The item is arguments and keywords.
    Apply = 0,
    /// The item is the argument.
    Map = 1,
    /// The item is the arguments.
    Star = 2,
}

impl Mode {
    pub(super) fn from_wire(mode: u8) -> Option<Self> {
        [Self::Apply, Self::Map, Self::Star].into_iter().find(|known| *known as u8 == mode)
    }
}

/// The first item that fails ends its task.
pub(super) const STOP: u8 = 1;
/// The body is the one item, and no list.
pub(super) const ALONE: u8 = 2;
/// The function's place has the handle of shared memory.
const LONG: u8 = 4;
/// As concurrent.futures has it: whatever is raised is an outcome, but for Ctrl-C, and so is what is
/// raised as an outcome is pickled.
pub(super) const CATCH: u8 = 8;

/// An outcome's tag: the kind of its message, and these.
pub(super) const KIND: u8 = 0x0f;
/// It is an exception.
pub(super) const FAILED: u8 = 0x10;
/// This item and those behind it in the task were not begun, since one before had failed.
pub(super) const SKIPPED: u8 = 0x20;
/// The task could not be unpacked: its items are to come alone.
pub(super) const APART: u8 = 0x40;

/// Longer functions go through shared memory.
const SHORT: usize = RawPool::PREFIX_MAX - HEAD;
const HEAD: usize = 8;

/// A function on its way to the workers.
pub(super) struct Function {
    bytes: Vec<u8>,
    flags: u8,
    mode: Mode,
    /// What the workers need until the call is over: the function's memory, and what it refers to.
    _memory: Option<RawMemory>,
    _leases: Vec<Lease>,
}

impl Function {
    /// Pickles it. Runs Python code.
    pub(super) fn new(
        family: Family,
        function: &Bound<'_, PyAny>,
        mode: Mode,
        flags: u8,
    ) -> PyResult<Self> {
        let (bytes, leases) = codec::prepare_function(function)?;
        if bytes.len() <= SHORT {
            return Ok(Self { bytes, flags, mode, _memory: None, _leases: leases });
        }
        let memory = memory::shared_copy(family, &bytes).map_err(Raise::raise)?;
        let (bytes, flags) = (memory.handle(), flags | LONG);
        Ok(Self { bytes, flags, mode, _memory: Some(memory), _leases: leases })
    }

    /// Writes what comes before the items.
    pub(super) fn write(&self, items: u32, alone: bool, out: &mut Vec<u8>) {
        let flags = self.flags | if alone { ALONE } else { 0 };
        out.clear();
        out.extend_from_slice(&[self.mode as u8, flags]);
        out.extend_from_slice(&(self.bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(&items.to_le_bytes());
        out.extend_from_slice(&self.bytes);
    }
}

/// What comes before the items, as the worker reads it.
pub(super) struct Head {
    pub(super) mode: Mode,
    pub(super) flags: u8,
    pub(super) items: u32,
    /// Where the items begin.
    pub(super) len: usize,
}

impl Head {
    pub(super) fn read(bytes: &[u8]) -> PyResult<(Self, &[u8])> {
        let corrupt = || CorruptArenaError::new_err("not a task of Procession");
        let &[mode, flags, low, high, a, b, c, d] = bytes.first_chunk().ok_or_else(corrupt)?;
        let len = HEAD + usize::from(u16::from_le_bytes([low, high]));
        let function = bytes.get(HEAD..len).ok_or_else(corrupt)?;
        let mode = Mode::from_wire(mode).ok_or_else(corrupt)?;
        let items = u32::from_le_bytes([a, b, c, d]);
        Ok((Self { mode, flags, items, len }, function))
    }
}

/// The worker's last function.
///
/// One that was pickled by reference is the same object whenever it is loaded, so it is kept. Of
/// another the pickle is kept: a bound method, say, comes with the state of its object, which a task
/// may change, and each task finds it fresh.
#[derive(Default)]
pub(super) struct Loaded {
    key: Vec<u8>,
    pickle: Vec<u8>,
    object: Option<Py<PyAny>>,
}

impl Loaded {
    /// Runs Python code, as loading does.
    pub(super) fn get<'py>(
        &mut self,
        py: Python<'py>,
        head: &Head,
        function: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let known = !self.key.is_empty() && self.key == function;
        if known && let Some(object) = &self.object {
            return Ok(object.bind(py).clone());
        }
        if !known {
            self.object = None;
            self.key.clear();
            self.pickle = if head.flags & LONG != 0 {
                memory::copy_of_shared(&RawMemory::from_handle(function).map_err(Raise::raise)?)
            } else {
                function.to_vec()
            };
            self.key.extend_from_slice(function);
        }
        let object = codec::loads(py, &self.pickle)?;
        if is_reference(&self.pickle) {
            self.object = Some(object.clone().unbind());
        }
        Ok(object)
    }
}

/// Whether a pickle is a module's and an object's name, and nothing else.
fn is_reference(pickle: &[u8]) -> bool {
    fn name(rest: &[u8]) -> Option<&[u8]> {
        let [0x8c, len, rest @ ..] = rest else {
            return None; // SHORT_BINUNICODE
        };
        rest.get(usize::from(*len)..)?.strip_prefix(b"\x94") // MEMOIZE
    }
    let frame = match pickle {
        [0x80, 4 | 5, 0x95, rest @ ..] => rest.get(8..), // PROTO, FRAME
        _ => None,
    };
    frame.and_then(name).and_then(name) == Some(b"\x93\x94.") // STACK_GLOBAL, MEMOIZE, STOP
}
