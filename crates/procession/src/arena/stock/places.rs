//! A map by places in the arena: no two are equal but for being the same, and nobody chooses them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(super) type Places = HashMap<u64, u64, BuildHasherDefault<Spread>>;

/// Spreads a place's bits over the word.
#[derive(Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, place: u64) {
        let h = (self.0 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = h ^ h >> 32;
    }
}
