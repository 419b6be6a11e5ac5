//! A list of those who wait: one word each, so that each can be told alone, and so that it is known
//! whose wait ends when a process dies.
//!
//! An entry is 0, or its owner in the lower 13 bits and what it waits for above them.

use crate::sys::atomic::{AtomicU32, Ordering};

pub(crate) const OWNER_BITS: u32 = 13;
pub(crate) const OWNER: u32 = (1 << OWNER_BITS) - 1;

/// Whose an entry is: a participant's slot + 1.
pub(crate) type Owner = u32;

pub(crate) fn owner_of(entry: u32) -> Owner {
    entry & OWNER
}

/// The entries, wherever they lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries<'a>(pub(crate) [&'a [AtomicU32]; 3]);

impl<'a> Entries<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a AtomicU32> {
        self.0.into_iter().flatten()
    }

    /// Whether some entry is this one's.
    pub(crate) fn name(self, owner: Owner) -> bool {
        self.iter().any(|entry| owner_of(entry.load(Ordering::Acquire)) == owner)
    }

    /// Takes a free entry, the first from `hint` on; `None` if there is none.
    pub(crate) fn claim(self, hint: u32, value: u32) -> Option<&'a AtomicU32> {
        let n = self.0.iter().map(|part| part.len()).sum::<usize>();
        let from = hint as usize % n;
        self.iter().skip(from).chain(self.iter().take(from)).find(|entry| {
            entry.load(Ordering::Relaxed) == 0
                && entry.compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }
}
