//! A buffer for each thread, so that a message needs no allocation of its own.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// A buffer that grew beyond this is not kept.
const KEEP: usize = 1 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer, empty, until it is dropped. Who takes a second one meanwhile (a value that
/// puts another one while it is serialised) gets a fresh one.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    #[inline]
    pub(crate) fn take() -> Scratch {
        // A thread that is ending has no buffer any more.
        Scratch(BUFFER.try_with(Cell::take).unwrap_or_default())
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() <= KEEP {
            buffer.clear();
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;
    #[inline]
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_comes_back_empty_and_is_not_shared() {
        let mut first = Scratch::take();
        first.extend_from_slice(&[1; 100]);
        let at = first.as_ptr();
        let second = Scratch::take();
        assert!(second.is_empty() && second.as_ptr() != at);
        drop(second);
        drop(first);
        let again = Scratch::take();
        assert!(again.is_empty() && again.as_ptr() == at);
    }

    #[test]
    fn a_huge_buffer_is_not_hoarded() {
        Scratch::take().reserve(2 * KEEP);
        assert!(Scratch::take().capacity() <= KEEP);
    }
}
