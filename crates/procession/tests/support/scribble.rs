//! Damage: words of the arena overwritten, as a wrong program would.

use procession::Family;

use super::random::Random;

/// Where the first object lies, and where the data begins: see docs/memory-layout.md.
pub const OBJECTS: u64 = 0x10_4000;
pub const DATA: u64 = 0x4_2400_0000;

/// Overwrites a word of the object or of its blocks, but for the lock. Says what it was.
pub fn scribble(family: Family, random: &mut Random, object: u64) -> (u64, [u8; 8]) {
    let at = match random.below(3) {
        0 => OBJECTS + 512 * object + 72 + 8 * random.below(55),
        1 => DATA + 8 * random.below(8192),
        _ => DATA + (random.below(8) << 22) + 8 * random.below(65536),
    };
    let mut bytes = [0; 8];
    rustix::io::pread(family.fd(), &mut bytes, at).unwrap();
    let old = u64::from_le_bytes(bytes);
    let new = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => random.next(),
        3 => old.wrapping_add(random.below(5)).wrapping_sub(2),
        _ => old ^ 1 << random.below(64),
    };
    rustix::io::pwrite(family.fd(), &new.to_le_bytes(), at).unwrap();
    (at, bytes)
}
