//! A node of the tree: up to 15 entries, in the order that its first word gives them.
//!
//! | words | what |
//! |---|---|
//! | 0 | the order: how many entries there are (4 bits), then, rank by rank, each one's slot (4 bits); behind these the free slots |
//! | 1 to 15 | of each slot the first eight bytes of the key, as a number |
//! | 16 to 30 | the value's ref; of an inner node the child's |
//! | 31 to 45 | the rest of the key: a ref, whose kind says how many of the first eight bytes there are; 0: no key |
//!
//! An entry is added by writing a free slot, which nobody looks at, and one word: so it takes or leaves
//! its place by one store, whatever its rank. (The idea is Masstree's: Mao, Kohler and Morris, 2012.)
//!
//! An entry of an inner node has a key that is not less than any in the children before its own, and not
//! more than any in its own. That of the first entry is never looked at.

use std::cmp::Ordering;

use super::super::heap::{self, Datum, Ref};
use crate::arena::stock::Step;
use crate::error::ArenaError;

pub(super) const WIDTH: usize = 15;
const WORDS: usize = 1 + 3 * WIDTH;
pub(super) const BYTES: u64 = 8 * WORDS as u64;
/// Rank `i` has slot `i`.
const ALL_FREE: u64 = 0xedcb_a987_6543_2100;

/// The order of a node's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Perm(pub(super) u64);

/// The bits of all ranks from this one on.
fn from(rank: usize) -> u64 {
    u64::MAX.checked_shl(4 * (rank as u32 + 1)).unwrap_or(0)
}

impl Perm {
    #[inline]
    pub(super) fn count(self) -> usize {
        (self.0 & 15) as usize
    }

    /// The slot of a rank; 15, which no slot has, if the word was scribbled over.
    #[inline]
    pub(super) fn slot(self, rank: usize) -> usize {
        (self.0 >> (4 * (rank + 1)) & 15) as usize
    }

    /// With one of the free slots at a rank. There must be one.
    #[inline]
    pub(super) fn insert(self, rank: usize) -> (Perm, usize) {
        let n = self.count();
        let slot = self.slot(n);
        let moved = (self.0 & from(rank) & !from(n)) << 4;
        let rest = self.0 & (!from(rank) | from(n + 1));
        (Perm((rest | moved | (slot as u64) << (4 * (rank + 1))) + 1), slot)
    }

    /// Without a rank.
    #[inline]
    pub(super) fn remove(self, rank: usize) -> Perm {
        let n = self.count();
        let slot = self.slot(rank) as u64;
        let moved = (self.0 & from(rank + 1) & !from(n)) >> 4;
        let rest = self.0 & (!from(rank) | from(n));
        Perm((rest | moved | slot << (4 * n)) - 1)
    }

    /// The first so many only.
    pub(super) fn cut(self, count: usize) -> Perm {
        Perm(self.0 & !15 | count as u64)
    }

    pub(super) fn of_first(count: usize) -> Perm {
        Perm(ALL_FREE | count as u64)
    }
}

/// What a node says of something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) first: u64,
    pub(super) word: Ref,
    pub(super) rest: Ref,
}

/// An order key: its first eight bytes as a number, how many of them there are, the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) first: u64,
}

impl<'a> Key<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Key<'a> {
        let mut first = [0; 8];
        let head = bytes.len().min(8);
        first[..head].copy_from_slice(&bytes[..head]);
        Key { bytes, first: u64::from_be_bytes(first) }
    }

    /// How many of the first eight bytes there are.
    #[inline]
    pub(super) fn head(self) -> u8 {
        self.bytes.len().min(8) as u8
    }

    #[inline]
    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes.get(8..).unwrap_or_default()
    }

    /// The others as they are stored.
    #[inline]
    pub(super) fn rest_datum(self) -> Datum<'a> {
        Datum { kind: self.head(), bytes: self.rest(), holds: &[] }
    }
}

/// Where a node lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: u64,
}

impl Node {
    #[inline]
    pub(super) fn of(step: &Step, r: Ref) -> Result<Node, ArenaError> {
        Ok(Node { at: r.bytes_at(step, BYTES)? })
    }

    #[inline]
    pub(super) fn perm(self, step: &Step) -> Result<Perm, ArenaError> {
        Ok(Perm(step.load(self.at)?))
    }

    /// Where the word of a slot lies that refers to the value or the child.
    #[inline]
    pub(super) fn word_at(self, slot: usize) -> u64 {
        self.at + 8 * (1 + WIDTH + slot) as u64
    }

    pub(super) fn rest_at(self, slot: usize) -> u64 {
        self.at + 8 * (1 + 2 * WIDTH + slot) as u64
    }

    fn first_at(self, slot: usize) -> u64 {
        self.at + 8 * (1 + slot) as u64
    }

    #[inline]
    pub(super) fn word(self, step: &Step, slot: usize) -> Result<Ref, ArenaError> {
        if slot >= WIDTH {
            return Err(step.corrupt("a node's order"));
        }
        Ok(Ref(step.load(self.word_at(slot))?))
    }

    #[inline]
    pub(super) fn rest(self, step: &Step, slot: usize) -> Result<Ref, ArenaError> {
        if slot >= WIDTH {
            return Err(step.corrupt("a node's order"));
        }
        Ok(Ref(step.load(self.rest_at(slot))?))
    }

    pub(super) fn first(self, step: &Step, slot: usize) -> Result<u64, ArenaError> {
        if slot >= WIDTH {
            return Err(step.corrupt("a node's order"));
        }
        step.load(self.first_at(slot))
    }

    pub(super) fn entry(self, step: &Step, slot: usize) -> Result<Entry, ArenaError> {
        let (first, word) = (self.first(step, slot)?, self.word(step, slot)?);
        Ok(Entry { first, word, rest: self.rest(step, slot)? })
    }

    /// Writes an entry into a slot that nobody looks at.
    #[inline]
    pub(super) fn write(self, step: &Step, slot: usize, entry: &Entry) -> Result<(), ArenaError> {
        if slot >= WIDTH {
            return Err(step.corrupt("a node's order"));
        }
        step.write(self.first_at(slot), entry.first)?;
        step.write(self.word_at(slot), entry.word.0)?;
        step.write(self.rest_at(slot), entry.rest.0)
    }

    /// Writes an entry, when the step is committed, into a slot that is in use until then.
    pub(super) fn set(self, step: &mut Step, slot: usize, entry: &Entry) {
        step.set(self.first_at(slot), entry.first);
        step.set(self.word_at(slot), entry.word.0);
        step.set(self.rest_at(slot), entry.rest.0);
    }

    /// A node with these entries.
    pub(super) fn fresh(step: &mut Step, entries: &[Entry]) -> Result<Ref, ArenaError> {
        let mut words = [0; WORDS];
        words[0] = Perm::of_first(entries.len()).0;
        for (slot, entry) in entries.iter().enumerate().take(WIDTH) {
            words[1 + slot] = entry.first;
            words[1 + WIDTH + slot] = entry.word.0;
            words[1 + 2 * WIDTH + slot] = entry.rest.0;
        }
        heap::append_words(step, &words)
    }

    /// The rank, not less than `from`, of the first entry whose key is more than this one.
    #[inline]
    pub(super) fn upper_bound(
        self,
        step: &Step,
        key: &Key<'_>,
        from: usize,
    ) -> Result<(Perm, usize), ArenaError> {
        let words: [u64; 1 + WIDTH] = step.load_all(self.at)?;
        let perm = Perm(words[0]);
        let (mut low, mut high) = (from, perm.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            let slot = perm.slot(middle);
            let first = *words.get(1 + slot).ok_or_else(|| step.corrupt("a node's order"))?;
            let order = match first.cmp(&key.first) {
                Ordering::Equal => self.compare_rest(step, slot, key)?,
                order => order,
            };
            if order == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok((perm, low))
    }

    /// Compares a slot's key, which begins like this one, with it.
    #[inline]
    fn compare_rest(self, step: &Step, slot: usize, key: &Key<'_>) -> Result<Ordering, ArenaError> {
        let rest = self.rest(step, slot)?;
        if Some(rest) == Ref::tiny(key.head(), key.rest()) {
            return Ok(Ordering::Equal);
        }
        compare_long(step, rest, key)
    }

    /// Compares a slot's key with this one.
    #[inline]
    pub(super) fn compare(
        self,
        step: &Step,
        slot: usize,
        key: &Key<'_>,
    ) -> Result<Ordering, ArenaError> {
        match self.first(step, slot)?.cmp(&key.first) {
            Ordering::Equal => self.compare_rest(step, slot, key),
            order => Ok(order),
        }
    }

    /// The whole key of a slot.
    pub(super) fn key(self, step: &Step, slot: usize) -> Result<Vec<u8>, ArenaError> {
        let (first, rest) = (self.first(step, slot)?, self.rest(step, slot)?);
        let mut bytes = first.to_be_bytes()[..usize::from(rest.kind().min(8))].to_vec();
        rest.read(step, &mut bytes)?;
        Ok(bytes)
    }
}

#[cold]
fn compare_long(step: &Step, rest: Ref, key: &Key<'_>) -> Result<Ordering, ArenaError> {
    let mut bytes = Vec::with_capacity(64);
    rest.read(step, &mut bytes)?;
    Ok(rest.kind().cmp(&key.head()).then_with(|| bytes[..].cmp(key.rest())))
}

#[cfg(test)]
mod tests {
    use super::{Perm, WIDTH};

    #[test]
    fn an_order_is_changed_as_a_list_is() {
        let mut random = 88_172_645_463_325_252u64;
        let (mut perm, mut list) = (Perm::of_first(0), Vec::new());
        let mut fullest = 0;
        for n in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let put = random.is_multiple_of(4) == (n / 100 % 2 == 1);
            let at = (random >> 20) as usize;
            if put && list.len() < WIDTH {
                let rank = at % (list.len() + 1);
                let (next, slot) = perm.insert(rank);
                assert!(slot < WIDTH && !list.contains(&slot));
                list.insert(rank, slot);
                perm = next;
            } else if !list.is_empty() {
                let rank = at % list.len();
                list.remove(rank);
                perm = perm.remove(rank);
            }
            assert_eq!(perm.count(), list.len());
            assert!((0..list.len()).all(|rank| perm.slot(rank) == list[rank]), "{n}");
            let mut all: Vec<_> = (0..WIDTH).map(|rank| perm.slot(rank)).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..WIDTH), "every slot is once in it");
            fullest = fullest.max(list.len());
        }
        assert_eq!(fullest, WIDTH);
    }
}
