//! Dicts and lists in shared memory: what `procession.managers`' proxies are made of.
//!
//! Python code, a key's `__eq__` or what pickle runs, never runs inside a step of the core's: objects
//! are encoded before, decoded after, and compared in between, with the collection's version to say
//! whether the comparison still holds ([`settle`]).

mod dict;
mod list;

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

pub(crate) use dict::{PyDictBase, PyDictIterator};
pub(crate) use list::{PyListBase, PyListIterator};

/// An optional argument.
type Arg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Tries until it works: `attempt` gives None if the collection was changed in the middle.
fn settle<T>(py: Python<'_>, mut attempt: impl FnMut() -> PyResult<Option<T>>) -> PyResult<T> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    for tried in 0u32.. {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        py.check_signals()?;
        if tried > 8 {
            // Others change it all the time: not in step with them.
            let pause = TURN.fetch_add(0x9e37_79b9, Ordering::Relaxed) >> 24;
            py.detach(|| std::thread::sleep(std::time::Duration::from_micros(u64::from(pause))));
        }
    }
    unreachable!("it is tried for ever")
}
