//! The directory of chunks.
//!
//! A directory of 2ⁿ words lists the chunks, one after the other, anywhere from word 2ⁿ⁻⁶ on; there is
//! room before the first and behind the last. The words before are *tallies*: how many refs those
//! chunks have whose words lie in the same 64. So an index tells its chunk after a short search.
//!
//! A list is *even* while all chunks but the first and the last are full: then no search is needed, and
//! the tallies mean nothing. They are made when it ceases to be even.

use std::ops::Range;

use super::chunks::{CHUNK, Chunk};
use super::{CHUNKS, DIR, EVEN, FIRST};
use crate::arena::stock::Step;
use crate::error::ArenaError;

const MIN_LOG2: u32 = 9;
const MAX_LOG2: u32 = 36;
const GROUP_LOG2: u32 = 6;

/// The directory as the roots have it: where it lies, the places of the first chunk and behind the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dir {
    at: u64,
    log2: u32,
    first: u64,
    end: u64,
}

impl Dir {
    #[inline]
    pub(super) fn of(step: &Step) -> Result<Option<Dir>, ArenaError> {
        let (dir, first, n) = (step.root(DIR), step.root(FIRST), step.root(CHUNKS));
        if dir == 0 {
            return Ok(None);
        }
        let dir = Dir { at: dir >> 8, log2: dir as u32 & 63, first, end: first.wrapping_add(n) };
        let sound = (MIN_LOG2..=MAX_LOG2).contains(&dir.log2)
            && (Dir::begin(dir.log2)..=dir.end).contains(&first)
            && dir.end <= dir.places();
        if sound { Ok(Some(dir)) } else { Err(step.corrupt("the number of chunks")) }
    }

    /// Before all of it is gone through: it is as long as it says, so that comes to an end.
    fn check(self, step: &Step) -> Result<(), ArenaError> {
        step.inner.stocked_words(self.at, self.places(), step.id)
    }

    /// In a list with values.
    #[inline]
    pub(super) fn there(step: &Step) -> Result<Dir, ArenaError> {
        Dir::of(step)?.ok_or_else(|| step.corrupt("the directory of chunks"))
    }

    /// All chunks' words.
    fn words(self, step: &Step) -> Result<Vec<u64>, ArenaError> {
        self.check(step)?;
        step.load_many(self.word_at(self.first), self.len())
    }

    /// How many chunks there are.
    #[inline]
    pub(super) fn len(self) -> u64 {
        self.end - self.first
    }

    #[inline]
    pub(super) fn chunk(self, step: &Step, k: u64) -> Result<Chunk, ArenaError> {
        if k >= self.len() {
            return Err(step.corrupt("the number of chunks"));
        }
        let chunk = Chunk::of(step.load(self.word_at(self.first.wrapping_add(k)))?);
        if chunk.is_sound() { Ok(chunk) } else { Err(step.corrupt("a chunk")) }
    }

    /// Chunk `k` is another one.
    #[inline]
    pub(super) fn set(
        self,
        step: &mut Step,
        k: u64,
        old: Chunk,
        new: Chunk,
    ) -> Result<(), ArenaError> {
        if step.root(EVEN) == 0 {
            tally(step, self, self.first.wrapping_add(k), old.count, new.count)?;
        }
        step.set(self.word_at(self.first.wrapping_add(k)), new.word());
        Ok(())
    }

    /// In a list that is not even: the chunk of the value with this index, and which of its refs that is.
    pub(super) fn search(
        self,
        step: &Step,
        mut index: u64,
    ) -> Result<(u64, Chunk, u64), ArenaError> {
        let dir = self;
        dir.check(step)?;
        let mut place = dir.first;
        while place < dir.end {
            let sum = step.load(dir.tally_at(place))?;
            if index < sum {
                break;
            }
            index -= sum;
            place = ((place >> GROUP_LOG2) + 1) << GROUP_LOG2;
        }
        for place in place..dir.end.min(((place >> GROUP_LOG2) + 1) << GROUP_LOG2) {
            let chunk = dir.chunk(step, place - dir.first)?;
            if index < chunk.count {
                return Ok((place - dir.first, chunk, index));
            }
            index -= chunk.count;
        }
        Err(step.corrupt("the chunks' counts"))
    }

    /// The first place of a chunk.
    fn begin(log2: u32) -> u64 {
        1 << (log2 - GROUP_LOG2)
    }

    fn places(self) -> u64 {
        1 << self.log2
    }

    fn word_at(self, place: u64) -> u64 {
        self.at.wrapping_add(place.wrapping_mul(8))
    }

    fn tally_at(self, place: u64) -> u64 {
        self.word_at(place >> GROUP_LOG2)
    }
}

/// How many chunks there are.
#[inline]
pub(super) fn count(step: &Step) -> Result<u64, ArenaError> {
    Ok(Dir::of(step)?.map_or(0, Dir::len))
}

fn all_words(step: &Step) -> Result<Vec<u64>, ArenaError> {
    Dir::of(step)?.map_or(Ok(Vec::new()), |dir| dir.words(step))
}

/// A chunk has `new` refs instead of `old`.
fn tally(step: &mut Step, dir: Dir, place: u64, old: u64, new: u64) -> Result<(), ArenaError> {
    let at = dir.tally_at(place);
    let sum = step.load(at)?.wrapping_sub(old).wrapping_add(new);
    step.set(at, sum);
    Ok(())
}

/// Whether all chunks but the ends are full. After all that changes them.
pub(super) fn set_even(step: &mut Step, even: bool) -> Result<(), ArenaError> {
    let is = step.root(EVEN) != 0;
    if is && !even {
        make_tallies(step)?;
    }
    if is != even {
        step.set_root(EVEN, u64::from(even));
    }
    Ok(())
}

#[cold]
fn make_tallies(step: &mut Step) -> Result<(), ArenaError> {
    let dir = Dir::there(step)?;
    let words = dir.words(step)?;
    let mut sums = vec![0; Dir::begin(dir.log2) as usize];
    for (place, word) in (dir.first..).zip(words) {
        sums[(place >> GROUP_LOG2) as usize] += Chunk::of(word).count;
    }
    // In a list that is even, or in a new directory, nobody looks at them.
    let unseen = step.is_root(EVEN, 1) || !step.is_root(DIR, step.root(DIR));
    for (i, sum) in (0..).zip(sums) {
        if unseen {
            step.write_unseen(dir.word_at(i), sum)?;
        } else {
            step.set(dir.word_at(i), sum);
        }
    }
    Ok(())
}

/// Adds a chunk before the others, or behind them.
pub(super) fn add(step: &mut Step, new: Chunk, front: bool) -> Result<(), ArenaError> {
    let n = count(step)?;
    // The one that was at this end is not any more.
    let was_even = n == 0 || step.root(EVEN) != 0;
    let end = if front { 0 } else { n.wrapping_sub(1) };
    let even = was_even && (n < 2 || Dir::there(step)?.chunk(step, end)?.count == CHUNK);
    let place = Dir::of(step)?.and_then(|dir| {
        let place = if front { dir.first - 1 } else { dir.end };
        (Dir::begin(dir.log2)..dir.places()).contains(&place).then_some((dir, place))
    });
    if let Some((dir, place)) = place {
        step.set_root(CHUNKS, n + 1);
        if front {
            step.set_root(FIRST, place);
        }
        step.set(dir.word_at(place), new.word());
        if step.root(EVEN) == 0 {
            tally(step, dir, place, 0, new.count)?;
        }
    } else {
        let mut all = all_words(step)?;
        all.insert(if front { 0 } else { all.len() }, new.word());
        renew(step, &all, front)?;
    }
    set_even(step, even)
}

/// Takes the first or the last chunk out, which has one ref.
pub(super) fn drop_end(step: &mut Step, k: u64) -> Result<(), ArenaError> {
    let dir = Dir::there(step)?;
    let n = dir.len();
    if step.root(EVEN) == 0 {
        tally(step, dir, dir.first + k, 1, 0)?;
    }
    step.set_root(CHUNKS, n.saturating_sub(1));
    if k == 0 {
        step.set_root(FIRST, dir.first + 1);
    }
    // Of two chunks both are ends.
    if n <= 3 { set_even(step, true) } else { Ok(()) }
}

/// Makes the chunks `range` into these.
pub(super) fn replace(step: &mut Step, range: Range<u64>, new: &[Chunk]) -> Result<(), ArenaError> {
    let (all, n) = (count(step)?, new.len() as u64);
    if range.start > range.end || range.end > all {
        return Err(step.corrupt("the number of chunks"));
    }
    let total = all - (range.end - range.start) + n;
    let inner = |k: u64| k != 0 && k + 1 != total;
    let full = (range.start..).zip(new).all(|(k, c)| !inner(k) || c.count == CHUNK);
    let even = n == total || step.root(EVEN) != 0;
    if range.end - range.start == n {
        let dir = Dir::there(step)?;
        for (k, c) in range.zip(new) {
            let old = dir.chunk(step, k)?;
            dir.set(step, k, old, *c)?;
        }
    } else {
        let mut words = all_words(step)?;
        if range.end > words.len() as u64 {
            return Err(step.corrupt("the number of chunks"));
        }
        words.splice(range.start as usize..range.end as usize, new.iter().map(|c| c.word()));
        renew(step, &words, false)?;
    }
    set_even(step, even && full)
}

/// A directory of these words, with room on both sides. In a list that is not even its tallies count.
fn renew(step: &mut Step, words: &[u64], front: bool) -> Result<(), ArenaError> {
    let n = words.len() as u64;
    let log2 = (2 * n).next_power_of_two().trailing_zeros().max(MIN_LOG2);
    let spare = (1 << log2) - Dir::begin(log2) - n;
    let first = Dir::begin(log2) + if front { spare / 4 * 3 } else { spare / 8 };
    let new = Dir { at: step.alloc(8 << log2)?, log2, first, end: first + n };
    step.write_many(new.word_at(first), words)?;
    let old = step.root(DIR);
    if old != 0 {
        step.free(old >> 8)?;
    }
    step.set_root(DIR, new.at << 8 | u64::from(log2));
    step.set_root(FIRST, first);
    step.set_root(CHUNKS, n);
    if step.root(EVEN) == 0 { make_tallies(step) } else { Ok(()) }
}

/// What the tallies say else than the chunks.
pub(super) fn differences(step: &Step) -> Result<Vec<String>, ArenaError> {
    let Some(dir) = Dir::of(step)?.filter(|_| step.root(EVEN) == 0) else {
        return Ok(Vec::new());
    };
    dir.check(step)?;
    let mut sums = vec![0; Dir::begin(dir.log2) as usize];
    for place in dir.first..dir.end {
        sums[(place >> GROUP_LOG2) as usize] += dir.chunk(step, place - dir.first)?.count;
    }
    let mut wrong = Vec::new();
    for (i, sum) in (0..).zip(sums) {
        let told = step.load(dir.word_at(i))?;
        if told != sum {
            wrong.push(format!("{sum} values are in group {i} of the chunks, {told} are told"));
        }
    }
    Ok(wrong)
}
