//! A chunk of the queue: 168 messages in the order of their arrival, in a block of one page.
//!
//! | words | what |
//! |---|---|
//! | 0, 1 | the next chunk, the one before |
//! | 2 | the number of its first message |
//! | 3 | how many of its messages are in the queue still, in flight or not |
//! | 4 to 6 | a bit for each message: it waits |
//! | 8 … | each message's three words: its ref; who took it last, and how often it was taken; when |
//!
//! The chunks follow one another without a gap in the numbers but for those that were dropped; only the last
//! one is filled. What a message's words mean:
//!
//! | its bit | who | the message |
//! |---|---|---|
//! | 1 | anything | waits |
//! | 0 | a participant | is in flight there |
//! | 0 | 0 | is done with |

use super::super::heap::Ref;
use crate::arena::layout::PAGE;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::lock::Serial;

/// Messages in a chunk.
pub(super) const PER_CHUNK: u64 = 168;
/// The words of a chunk, a message's, and those before the first one.
const WORDS: u64 = PAGE / 8;
const ENTRY_WORDS: u64 = 3;
const HEAD_WORDS: u64 = 8;
const BITS: u64 = 4;
pub(super) const MAPS: usize = PER_CHUNK.div_ceil(64) as usize;
const _: () = assert!(HEAD_WORDS + PER_CHUNK * ENTRY_WORDS <= WORDS && MAPS == 3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk(pub(super) u64);

/// Who took a message last, and how often it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taker {
    pub(super) serial: Serial,
    pub(super) count: u32,
}

impl Taker {
    pub(super) fn word(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.count)
    }
}

impl Chunk {
    pub(super) fn of(step: &Step, at: u64) -> Result<Chunk, ArenaError> {
        step.inner.stocked_words(at, WORDS, step.id)?;
        Ok(Chunk(at))
    }

    /// Of a fresh block, or one that nothing refers to.
    pub(super) fn begin(step: &Step, at: u64, prev: u64, first: u64) -> Result<Chunk, ArenaError> {
        for (i, word) in [0, prev, first, 0, 0, 0, 0, 0].into_iter().enumerate() {
            step.write(at + 8 * i as u64, word)?;
        }
        Ok(Chunk(at))
    }

    pub(super) fn alloc(step: &mut Step) -> Result<u64, ArenaError> {
        step.alloc(8 * WORDS)
    }

    pub(super) fn next_at(self) -> u64 {
        self.0
    }
    pub(super) fn prev_at(self) -> u64 {
        self.0 + 8
    }
    pub(super) fn live_at(self) -> u64 {
        self.0 + 24
    }

    pub(super) fn next(self, step: &Step) -> Result<u64, ArenaError> {
        step.load(self.next_at())
    }
    pub(super) fn prev(self, step: &Step) -> Result<u64, ArenaError> {
        step.load(self.prev_at())
    }
    pub(super) fn first(self, step: &Step) -> Result<u64, ArenaError> {
        step.load(self.0 + 16)
    }
    pub(super) fn live(self, step: &Step) -> Result<u64, ArenaError> {
        step.load(self.live_at())
    }

    /// How many messages were ever put into it.
    pub(super) fn filled(self, step: &Step, next_number: u64) -> Result<u64, ArenaError> {
        Ok(next_number.wrapping_sub(self.first(step)?).min(PER_CHUNK))
    }

    /// The chunk behind it. Their numbers grow, so that a chain that was scribbled over ends.
    pub(super) fn following(self, step: &Step) -> Result<Option<Chunk>, ArenaError> {
        match self.next(step)? {
            0 => Ok(None),
            at => {
                let next = Chunk::of(step, at)?;
                if next.first(step)? <= self.first(step)? {
                    return Err(step.corrupt("the chunks are out of order"));
                }
                Ok(Some(next))
            }
        }
    }

    fn map_at(self, i: u64) -> u64 {
        self.0 + 8 * (BITS + i / 64)
    }

    pub(super) fn maps(self, step: &Step) -> Result<[u64; MAPS], ArenaError> {
        step.load_all(self.0 + 8 * BITS)
    }

    /// Says of each message in `waiting` that it waits, beside those of which that is said already.
    pub(super) fn add_waiting(
        self,
        step: &mut Step,
        waiting: [u64; MAPS],
    ) -> Result<(), ArenaError> {
        let maps = self.maps(step)?;
        for (i, (old, more)) in (0..).zip(maps.into_iter().zip(waiting)) {
            if more != 0 {
                step.set(self.map_at(64 * i), old | more);
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn set_waiting(self, step: &mut Step, i: u64) -> Result<(), ArenaError> {
        let word = step.load(self.map_at(i))?;
        step.set(self.map_at(i), word | 1 << (i % 64));
        Ok(())
    }

    #[inline]
    pub(super) fn clear_waiting(self, step: &mut Step, i: u64) -> Result<(), ArenaError> {
        let word = step.load(self.map_at(i))?;
        step.set(self.map_at(i), word & !(1 << (i % 64)));
        Ok(())
    }

    /// The first of its messages that waits.
    #[inline]
    pub(super) fn first_waiting(self, step: &Step) -> Result<Option<u64>, ArenaError> {
        for (i, map) in (0..).zip(self.maps(step)?) {
            if map != 0 {
                let first = 64 * i + u64::from(map.trailing_zeros());
                return match first {
                    0..PER_CHUNK => Ok(Some(first)),
                    _ => Err(step.corrupt("a chunk's bits")),
                };
            }
        }
        Ok(None)
    }

    pub(super) fn entry(self, i: u64) -> Entry {
        Entry(self.0 + 8 * (HEAD_WORDS + ENTRY_WORDS * i))
    }
}

/// Whether the message `i` waits.
pub(super) fn waits(maps: &[u64; MAPS], i: u64) -> bool {
    maps[(i / 64) as usize] >> (i % 64) & 1 == 1
}

/// Where the words of a message lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    pub(super) fn taker_at(self) -> u64 {
        self.0 + 8
    }

    #[inline]
    pub(super) fn value(self, step: &Step) -> Result<Ref, ArenaError> {
        Ok(Ref(step.load(self.0)?))
    }

    #[inline]
    pub(super) fn taker(self, step: &Step) -> Result<Taker, ArenaError> {
        let word = step.load(self.taker_at())?;
        Ok(Taker { serial: (word >> 32) as Serial, count: word as u32 })
    }

    /// When it was taken. It is looked at only while the message is in flight.
    pub(super) fn since(self, step: &Step) -> Result<u64, ArenaError> {
        step.load(self.0 + 16)
    }

    /// Of a message that waits: nobody looks at it before it is taken.
    pub(super) fn write_since(self, step: &Step, now: u64) -> Result<(), ArenaError> {
        step.write(self.0 + 16, now)
    }

    /// Of a message that is not there yet.
    #[inline]
    pub(super) fn write(self, step: &Step, value: Ref) -> Result<(), ArenaError> {
        step.write(self.0, value.0)?;
        step.write(self.taker_at(), 0)
    }
}
