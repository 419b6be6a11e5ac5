//! A barrier: one word that everyone moves, a gate to sleep at, and a list of those who are there.
//!
//! | phase | meaning | ends by |
//! |---|---|---|
//! | `FILLING` | fewer than `parties` have arrived | the last arrival |
//! | `ACTION` | all have; the last one runs what is to be run | its release: the next generation |
//! | `BROKEN` | somebody gave up, or died | a reset: the next generation |
//!
//! Beside the phase stand the number of arrivals, the generation, and of the last 16 generations
//! whether they were released (1) or broken and reset (0). Who waits knows its generation, and its
//! entry tells it of a reset however late it looks; who found no free entry is told by those 16.
//!
//! What must hold: an entry with the current generation stands in the list before its owner's arrival
//! counts, and goes only after that one knows the outcome; so the sweep breaks every generation in
//! which a dead one was counted or about to be, and no other. And a generation goes by a reset only
//! when it is `BROKEN`, where nobody arrives any more, and all its entries say `RESET`.

use std::time::Duration;

use super::entries::{Entries, OWNER, OWNER_BITS, Owner, owner_of};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, WaitWord, Woken};

/// In an entry: its generation was broken, and is over.
const RESET: u32 = 1 << OWNER_BITS;
const MARK_SHIFT: u32 = OWNER_BITS + 1;

const FILLING: u64 = 0;
const ACTION: u64 = 1;
const BROKEN: u64 = 2;

const ARRIVED_SHIFT: u32 = 2;
const OUTCOMES_SHIFT: u32 = 18;
const GENERATION_SHIFT: u32 = 34;
const GENERATIONS: u64 = 1 << (64 - GENERATION_SHIFT);
/// How many outcomes are remembered for those without an entry.
const OUTCOMES: u64 = 16;
pub(crate) const MAX_PARTIES: u32 = (1 << (OUTCOMES_SHIFT - ARRIVED_SHIFT)) - 1;

/// The barrier is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the barrier is broken")]
pub struct Broken;

/// The state's word, taken apart.
#[derive(Debug, Clone, Copy)]
struct State {
    phase: u64,
    arrived: u64,
    outcomes: u64,
    generation: u64,
}

impl State {
    fn of(word: u64) -> State {
        State {
            phase: word & 0b11,
            arrived: word >> ARRIVED_SHIFT & u64::from(MAX_PARTIES),
            outcomes: word >> OUTCOMES_SHIFT & ((1 << OUTCOMES) - 1),
            generation: word >> GENERATION_SHIFT,
        }
    }

    fn word(self) -> u64 {
        self.phase
            | self.arrived << ARRIVED_SHIFT
            | self.outcomes << OUTCOMES_SHIFT
            | self.generation << GENERATION_SHIFT
    }

    /// The generation after this one, which ended well or not.
    fn next(self, released: bool) -> State {
        let bit = 1 << (self.generation % OUTCOMES);
        State {
            phase: FILLING,
            arrived: 0,
            outcomes: if released { self.outcomes | bit } else { self.outcomes & !bit },
            generation: (self.generation + 1) % GENERATIONS,
        }
    }

    /// What an entry says above its owner.
    fn mark(self) -> u32 {
        (self.generation as u32) << MARK_SHIFT
    }

    /// Whether somebody's entry is of this generation.
    fn is_of(self, entry: u32) -> bool {
        owner_of(entry) != 0 && entry & !(RESET | OWNER) == self.mark()
    }

    /// How a generation ended, as far as this word knows.
    fn outcome_of(self, generation: u64) -> Option<Result<(), Broken>> {
        match self.generation.wrapping_sub(generation) % GENERATIONS {
            0 if self.phase == BROKEN => Some(Err(Broken)),
            0 => None,
            1..=OUTCOMES if self.outcomes >> (generation % OUTCOMES) & 1 == 0 => Some(Err(Broken)),
            _ => Some(Ok(())),
        }
    }
}

/// The words that are no entries. In the arena, zeroed memory is a fresh barrier.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Gate {
    state: AtomicU64,
    sleepers: WaitWord,
    pad: AtomicU32,
}

impl Gate {
    #[cfg(loom)]
    pub(crate) fn new() -> Gate {
        Gate { state: AtomicU64::new(0), sleepers: WaitWord::new(), pad: AtomicU32::new(0) }
    }
}

/// Somebody who has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) index: u32,
    /// Everyone is there, and this one is to release them.
    pub(crate) is_last: bool,
    generation: u64,
    entry: Option<&'a AtomicU32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Barrier<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) entries: Entries<'a>,
    pub(crate) parties: u32,
}

impl<'a> Barrier<'a> {
    fn state(self) -> State {
        State::of(self.gate.state.load(Ordering::Acquire))
    }

    /// Moves the state on by `step`, until that says `None`, which is the result, or has come true.
    fn change(self, step: impl Fn(State) -> Option<State>) -> Option<State> {
        let mut seen = self.gate.state.load(Ordering::Acquire);
        loop {
            let next = step(State::of(seen))?;
            let (new, order) = (next.word(), Ordering::AcqRel);
            match self.gate.state.compare_exchange(seen, new, order, Ordering::Acquire) {
                Ok(_) => return Some(next),
                Err(now) => seen = now,
            }
        }
    }

    /// Arrives. `None`: an action is being run, and the next generation has not begun.
    pub(crate) fn arrive(self, owner: Owner) -> Result<Option<Arrived<'a>>, Broken> {
        let mut entry: Option<&AtomicU32> = None;
        let refused = loop {
            let seen = self.state();
            match seen.phase {
                FILLING => {}
                ACTION => break Ok(None),
                _ => break Err(Broken),
            }
            let value = owner | seen.mark();
            match entry {
                Some(entry) => entry.store(value, Ordering::Release),
                None => entry = self.entries.claim(owner, value),
            }
            crash_point!("sync.arriving");
            let arrived = seen.arrived + 1;
            let is_last = arrived >= u64::from(self.parties);
            let next = State { arrived, phase: if is_last { ACTION } else { FILLING }, ..seen };
            let (old, new, order) = (seen.word(), next.word(), Ordering::AcqRel);
            if self.gate.state.compare_exchange(old, new, order, Ordering::Relaxed).is_ok() {
                crash_point!("sync.arrived");
                let (index, generation) = (seen.arrived as u32, seen.generation);
                return Ok(Some(Arrived { index, is_last, generation, entry }));
            }
        };
        if let Some(entry) = entry {
            entry.store(0, Ordering::Release);
        }
        refused
    }

    /// Lets the generation go whose last arrival this was; the result is false if it was broken.
    pub(crate) fn release(self, last: &Arrived<'_>, how: &impl Sleep) -> bool {
        let released = self.change(|s| {
            (s.generation == last.generation && s.phase == ACTION).then(|| s.next(true))
        });
        crash_point!("sync.released");
        if released.is_some() {
            self.gate.sleepers.wake_all(how);
        }
        released.is_some()
    }

    /// How the generation ended; `None`: not yet.
    pub(crate) fn outcome(self, arrived: &Arrived<'_>) -> Option<Result<(), Broken>> {
        let outcome = self.state().outcome_of(arrived.generation)?;
        // Read after the state: if that has gone on by a reset, the entry says so.
        let is_reset = |entry: &AtomicU32| entry.load(Ordering::Acquire) & RESET != 0;
        Some(if arrived.entry.is_some_and(is_reset) { Err(Broken) } else { outcome })
    }

    /// Breaks the barrier; if `only` is given, only if that one's generation is undecided.
    pub(crate) fn abort(self, only: Option<&Arrived<'_>>, how: &impl Sleep) {
        let broken = self.change(|s| {
            let meant = only.is_none_or(|a| s.generation == a.generation);
            (meant && s.phase != BROKEN).then_some(State { phase: BROKEN, ..s })
        });
        crash_point!("sync.broken");
        if broken.is_some() {
            self.gate.sleepers.wake_all(how);
        }
    }

    /// Begins anew: who waits finds the barrier broken.
    pub(crate) fn reset(self, how: &impl Sleep) {
        let fresh = |s: State| s.phase == FILLING && s.arrived == 0;
        let breaking = |s: State| (!fresh(s)).then_some(State { phase: BROKEN, ..s });
        let Some(broken) = self.change(breaking) else {
            return;
        };
        crash_point!("sync.resetting");
        for entry in self.entries.iter() {
            let seen = entry.load(Ordering::Acquire);
            if broken.is_of(seen) {
                // If it has changed, its owner has left, and knows.
                let (told, order) = (seen | RESET, Ordering::AcqRel);
                let _ = entry.compare_exchange(seen, told, order, Ordering::Relaxed);
            }
        }
        crash_point!("sync.told_of_reset");
        self.change(|s| (s.generation == broken.generation).then(|| s.next(false)));
        self.gate.sleepers.wake_all(how);
    }

    /// Goes away: after the outcome, or when it no longer matters.
    pub(crate) fn leave(arrived: &Arrived<'_>) {
        crash_point!("sync.leaving");
        if let Some(entry) = arrived.entry {
            entry.store(0, Ordering::Release);
        }
    }

    /// Sleeps until the outcome is known.
    pub(crate) fn sleep(self, how: &impl Sleep, limit: Duration, arrived: &Arrived<'_>) -> Woken {
        self.gate.sleepers.sleep(how, limit, || self.outcome(arrived).is_some())
    }

    /// Sleeps while an action is being run.
    pub(crate) fn sleep_while_busy(self, how: &impl Sleep, limit: Duration) -> Woken {
        self.gate.sleepers.sleep(how, limit, || !self.is_busy())
    }

    pub(crate) fn is_busy(self) -> bool {
        self.state().phase == ACTION
    }

    pub(crate) fn is_broken(self) -> bool {
        self.state().phase == BROKEN
    }

    /// How many have arrived and are not released.
    pub(crate) fn waiting(self) -> u32 {
        let seen = self.state();
        if seen.phase == BROKEN { 0 } else { seen.arrived as u32 }
    }

    /// Whose the entries are.
    pub(crate) fn owners(self) -> impl Iterator<Item = Owner> {
        let seen = self.entries.iter().map(|entry| owner_of(entry.load(Ordering::Relaxed)));
        seen.filter(|&owner| owner != 0)
    }

    /// Breaks the generation in which one who is gone has arrived. Of the same one, one at a time may
    /// do this. `slept_here`: it is known to have slept at this barrier, perhaps without an entry,
    /// because there was none left.
    pub(crate) fn bury(self, gone: Owner, slept_here: bool, how: &impl Sleep) {
        let mut listed = false;
        for entry in self.entries.iter() {
            let seen = entry.load(Ordering::Acquire);
            if owner_of(seen) != gone {
                continue;
            }
            listed = true;
            self.break_if(|s| seen & RESET == 0 && s.is_of(seen), how);
            crash_point!("sync.broken_for_the_dead");
            // Whatever a reset has made of it: nobody else may free it.
            entry.store(0, Ordering::Release);
        }
        if slept_here && !listed {
            self.break_if(|s| s.arrived > 0, how);
        }
    }

    fn break_if(self, meant: impl Fn(State) -> bool, how: &impl Sleep) {
        let broken = self.change(|s| {
            let next = State { phase: BROKEN, ..s };
            (s.phase != BROKEN && meant(s)).then_some(next)
        });
        if broken.is_some() {
            self.gate.sleepers.wake_all(how);
        }
    }
}
