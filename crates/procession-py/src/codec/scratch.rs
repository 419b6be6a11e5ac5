//! A thread's working memory for messages, so that a put or get allocates nothing.
//!
//! Taken for the time of one operation. Python code that runs in between (a `__reduce__`, say) may
//! put and get itself: it finds nothing to take and makes one of its own.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use procession::codec::order::OrderKey;

use super::keys::Keys;
use super::plain::Large;
use super::seen::Seen;

/// Above this, an unusually large message's memory is given back.
const KEEP: usize = 1 << 20;

thread_local! {
    static SPARE: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// What an operation works with.
#[derive(Default)]
pub(crate) struct Buffers {
    /// The message's inline part.
    pub(crate) bytes: Vec<u8>,
    /// Of several messages: where each ends.
    pub(crate) ends: Vec<usize>,
    /// Of a dict's entry: the key.
    pub(crate) key: Vec<u8>,
    /// What the message is ordered by, if it is.
    pub(crate) order: OrderKey,
    /// What the message leaves out of `bytes`.
    pub(super) large: Vec<Large>,
    pub(super) seen: Seen,
    pub(super) keys: Keys,
}

impl Buffers {
    /// Forgets the message in `bytes`.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.large.clear();
    }
}

/// The thread's [`Buffers`], given back when dropped.
pub(crate) struct Scratch(Option<Box<Buffers>>);

impl Scratch {
    /// Takes the thread's, or makes new ones if an operation further out has them.
    #[inline]
    pub(crate) fn take() -> Self {
        // A thread that is ending has none any more.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut buffers = spare.unwrap_or_default();
        buffers.bytes.clear();
        buffers.key.clear();
        buffers.ends.clear();
        Self(Some(buffers))
    }
}

impl Deref for Scratch {
    type Target = Buffers;

    #[inline]
    fn deref(&self) -> &Buffers {
        self.0.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Scratch {
    #[inline]
    fn deref_mut(&mut self) -> &mut Buffers {
        self.0.as_mut().expect("present until dropped")
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        let mut buffers = self.0.take();
        if let Some(buffers) = &mut buffers
            && buffers.bytes.capacity() > KEEP
        {
            buffers.bytes = Vec::new();
        }
        if let Some(buffers) = &mut buffers
            && buffers.key.capacity() > KEEP
        {
            buffers.key = Vec::new();
        }
        let _ = SPARE.try_with(|spare| spare.set(buffers));
    }
}
