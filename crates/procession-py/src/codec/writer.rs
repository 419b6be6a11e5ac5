//! Appends to a message, with memory running out as an ordinary error.

use super::plain::Unplain;

/// A growing byte string.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    /// Makes sure that `more` bytes fit.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) -> Result<(), Unplain> {
        if self.0.capacity() - self.0.len() < more { self.reserve_slow(more) } else { Ok(()) }
    }

    #[cold]
    fn reserve_slow(&mut self, more: usize) -> Result<(), Unplain> {
        self.0.try_reserve(more.max(256)).map_err(|_| Unplain::NoMemory)
    }

    /// Appends an array, whose length is known to the compiler.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Unplain> {
        self.reserve(N)?;
        self.0.extend_from_slice(&bytes);
        Ok(())
    }

    /// Appends a marker byte and a number, most significant byte first.
    #[inline]
    pub(super) fn marked<const N: usize>(
        &mut self,
        marker: u8,
        number: [u8; N],
    ) -> Result<(), Unplain> {
        self.reserve(N + 1)?;
        self.0.push(marker);
        self.0.extend_from_slice(&number);
        Ok(())
    }

    /// Appends bytes.
    #[inline]
    pub(super) fn slice(&mut self, bytes: &[u8]) -> Result<(), Unplain> {
        self.reserve(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
