//! What the dead had in flight comes back.
//!
//! Who looks for the dead reads under the lock who has messages in flight, asks without it who of them
//! lives, and brings back what the dead had, chunk by chunk, under the lock again. Before the first of
//! these steps a root names the dead one, after the last one it does not. So if whoever does it is killed
//! on the way, the next one to have the lock finds out, and goes on before it does anything else: nobody
//! takes a later message before an earlier one that is coming back. A message that is back is not
//! in flight any more: so nothing comes back twice, whoever else has seen the death.

use super::chunk::{Chunk, MAPS, waits};
use super::{FIRST, LEN, NEXT, RETURNING, RawDeliveryQueue, UNFINISHED, steps};
use crate::arena::layout::stock::LOOKED;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::lock::{Owners, Serial};
use crate::sys::atomic::Ordering;
use crate::sys::clock;
use crate::sys::fault::crash_point;

/// Who is about to take something, or to sleep, looks for the dead if nobody has for so long.
pub(super) const LOOK_MS: u64 = 100;

/// Messages in flight.
pub(super) fn in_flight(step: &Step) -> u64 {
    step.root(UNFINISHED).saturating_sub(step.root(LEN))
}

/// Goes through the chunks up to that behind which nothing is in flight. `each` is told, of every message
/// in flight, the chunk and the place in it.
pub(super) fn walk_in_flight(
    step: &Step,
    mut each: impl FnMut(Chunk, u64) -> Result<(), ArenaError>,
) -> Result<(), ArenaError> {
    let mut left = in_flight(step);
    let mut at = match step.root(FIRST) {
        0 => None,
        first => Some(Chunk::of(step, first)?),
    };
    while let Some(chunk) = at
        && left != 0
    {
        let maps = chunk.maps(step)?;
        let waiting: u32 = maps.iter().map(|map| map.count_ones()).sum();
        let has_some = chunk.live(step)? != u64::from(waiting);
        let filled = if has_some { chunk.filled(step, step.root(NEXT))? } else { 0 };
        for i in 0..filled {
            if !waits(&maps, i) && chunk.entry(i).taker(step)?.serial != 0 {
                left = left.saturating_sub(1);
                each(chunk, i)?;
            }
        }
        at = chunk.following(step)?;
    }
    Ok(())
}

/// Makes wait again what the dead one has in flight. Who has the lock ends it in any case.
fn bring_back(step: &mut Step, dead: Serial) -> Result<u64, ArenaError> {
    let mut chunks: Vec<(Chunk, [u64; MAPS], u64, u64)> = Vec::new();
    walk_in_flight(step, |chunk, i| {
        let entry = chunk.entry(i);
        if entry.taker(step)?.serial != dead {
            return Ok(());
        }
        if chunks.last().is_none_or(|last| last.0 != chunk) {
            chunks.push((chunk, [0; MAPS], 0, 0));
        }
        if let Some((_, maps, n, bytes)) = chunks.last_mut() {
            maps[(i / 64) as usize] |= 1 << (i % 64);
            *n += 1;
            *bytes += entry.value(step)?.len(step)?;
        }
        Ok(())
    })?;
    if chunks.len() > 1 && step.root(RETURNING) != u64::from(dead) {
        step.set_root(RETURNING, u64::from(dead));
        step.commit_quietly()?;
    }
    let mut all = 0;
    for (chunk, maps, n, bytes) in chunks {
        chunk.add_waiting(step, maps)?;
        steps::come_back(step, chunk, n, bytes)?;
        crash_point!("delivery.returning");
        step.commit()?;
        crash_point!("delivery.returned");
        all += n;
    }
    if step.root(RETURNING) != 0 {
        step.set_root(RETURNING, 0);
        step.commit_quietly()?;
    }
    Ok(all)
}

/// Goes on where somebody was killed who brought back what another one had.
#[cold]
pub(super) fn resume(step: &mut Step) -> Result<(), ArenaError> {
    // That it is dead was found by one who could tell, which not everybody can.
    let dead = step.root(RETURNING) as Serial;
    bring_back(step, dead).map(drop)
}

impl RawDeliveryQueue {
    /// Looks now who has died, and makes wait again what they had in flight. Says how many messages came
    /// back. It takes some microseconds for each process that has something in flight; who waits does
    /// it by itself, ten times a second at most, and so does who takes.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue};
    /// let q = RawDeliveryQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.recover()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn recover(&self) -> Result<u64, ArenaError> {
        if self.in_flight() == 0 {
            return Ok(0);
        }
        self.stock.slot.root(LOOKED).store(clock::coarse_ms(), Ordering::Relaxed);
        let inner = self.stock.lease.inner;
        let mut takers: Vec<Serial> = Vec::new();
        let step = self.begin()?;
        walk_in_flight(&step, |chunk, i| {
            let serial = chunk.entry(i).taker(&step)?.serial;
            if !takers.contains(&serial) {
                takers.push(serial);
            }
            Ok(())
        })?;
        drop(step);
        let mut all = 0;
        for dead in takers.into_iter().filter(|&taker| inner.is_dead(taker)) {
            crash_point!("delivery.found_dead");
            let mut step = self.begin()?;
            all += bring_back(&mut step, dead)?;
            step.wake_nobody();
            drop(step);
        }
        if all != 0 {
            // What came back may be dropped at once, if the queue was shut down.
            drop(self.begin()?);
            self.wake_all();
        }
        Ok(all)
    }

    /// The same, unless somebody did in the last tenth of a second. Drops what is left of a queue if whoever
    /// shut it down at once was killed in the midst of it: that counts as done.
    ///
    /// # Errors
    /// As [`RawDeliveryQueue::recover`].
    #[inline]
    pub fn recover_if_due(&self) -> Result<(), ArenaError> {
        if self.in_flight() == 0 {
            if self.is_dropped() && self.stock.peek(LEN) != 0 {
                drop(self.begin()?);
            }
            return Ok(());
        }
        let last = self.stock.peek(LOOKED);
        if clock::coarse_ms().wrapping_sub(last) < LOOK_MS {
            return Ok(());
        }
        self.recover().map(drop)
    }
}
