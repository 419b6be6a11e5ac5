//! Which objects of a message were met already.
//!
//! Only those are asked about whose reference count says that they may be met twice; mostly there
//! are few of them.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Up to here a search is a walk.
const FEW: usize = 16;

/// Addresses of objects.
#[derive(Debug, Default)]
pub(super) struct Seen {
    few: Vec<usize>,
    many: HashSet<usize, BuildHasherDefault<AddressHasher>>,
}

impl Seen {
    /// Forgets all, keeping a moderate amount of memory.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many = HashSet::default();
        }
    }

    /// Remembers `address`; false if it was there.
    #[inline]
    pub(super) fn insert(&mut self, address: usize) -> bool {
        if self.few.len() < FEW {
            let new = !self.few.contains(&address);
            if new {
                self.few.push(address);
            }
            return new;
        }
        self.insert_slow(address)
    }

    #[cold]
    fn insert_slow(&mut self, address: usize) -> bool {
        if self.many.is_empty() {
            self.many.extend(self.few.iter().copied());
        }
        self.many.insert(address)
    }
}

/// Spreads addresses, whose low bits are zero and whose high bits are alike.
#[derive(Debug, Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        let spread = (address as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }
}
