//! What is in flight, and whether the queue contradicts itself.

use std::collections::HashMap;
use std::time::Duration;

use super::super::heap;
use super::back::{in_flight, walk_in_flight};
use super::chunk::{Chunk, PER_CHUNK, waits};
use super::{BYTES, FIRST, HEAD, LAST, LEN, NEXT, RETURNING, RawDeliveryQueue, SPARE, UNFINISHED};
use crate::arena::estate::text;
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::Ordering;
use crate::sys::clock;

/// A message in flight.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawDeliveryQueue, collections::Datum};
/// let q = RawDeliveryQueue::create(Family::current()?, None)?;
/// q.try_put(&Datum::plain(b"one"))?;
/// q.try_take(&mut Vec::new())?.expect("it is there");
/// let one = &q.in_flights()?[0];
/// assert_eq!((one.pid, one.count, one.bytes), (std::process::id(), 1, 3));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// The process that has it, in its own pid namespace.
    pub pid: u32,
    /// That process's name in the family, never used again.
    pub serial: u32,
    /// What it calls itself: see [`Family::set_name`](crate::Family::set_name).
    pub name: String,
    /// How often the message was taken.
    pub count: u32,
    /// How many messages were put before it.
    pub number: u64,
    /// How long ago it was taken, to some milliseconds.
    pub age: Duration,
    /// Its length.
    pub bytes: u64,
}

/// What a walk through all messages found.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    segments: HashMap<u64, u64>,
    waiting: u64,
    bytes: u64,
    all: u64,
    last: u64,
    head_seen: bool,
}

impl Found {
    fn chunk(&mut self, step: &Step, chunk: Chunk) -> Result<(), ArenaError> {
        let (filled, maps) = (chunk.filled(step, step.root(NEXT))?, chunk.maps(step)?);
        let is_last = chunk.next(step)? == 0;
        if chunk.prev(step)? != self.last || (is_last != (step.root(LAST) == chunk.0)) {
            self.wrong.push(format!("the chunk at {:#x} is not linked", chunk.0));
        }
        if filled == 0 || (!is_last && filled != PER_CHUNK) {
            self.wrong.push(format!("the chunk at {:#x} has {filled} messages", chunk.0));
        }
        self.head_seen |= step.root(HEAD) == chunk.0;
        let mut live = 0;
        for i in 0..filled {
            let (entry, waits) = (chunk.entry(i), waits(&maps, i));
            if !waits && entry.taker(step)?.serial == 0 {
                continue;
            }
            live += 1;
            let value = entry.value(step)?;
            if let Some((segment, size)) = heap::taken(step, value)? {
                *self.segments.entry(segment).or_default() += size;
            }
            if waits {
                self.waiting += 1;
                self.bytes += value.len(step)?;
                if !self.head_seen {
                    self.wrong.push(format!("message {i} waits before the head"));
                }
            }
        }
        if (filled..64 * maps.len() as u64).any(|i| waits(&maps, i)) {
            self.wrong.push("a message waits that was never put".into());
        }
        if live != chunk.live(step)? {
            let booked = chunk.live(step)?;
            self.wrong.push(format!("a chunk has {live} messages, {booked} are booked"));
        }
        self.all += live;
        self.last = chunk.0;
        Ok(())
    }
}

impl RawDeliveryQueue {
    /// What is in flight, and where, in the order of arrival.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    pub fn in_flights(&self) -> Result<Vec<InFlight>, ArenaError> {
        self.recover()?;
        let (inner, now) = (self.stock.lease.inner, clock::coarse_ms());
        let step = self.begin()?;
        let mut all = Vec::with_capacity(in_flight(&step).min(1 << 16) as usize);
        walk_in_flight(&step, |chunk, i| {
            let entry = chunk.entry(i);
            let taker = entry.taker(&step)?;
            all.push(InFlight {
                pid: 0,
                serial: taker.serial,
                name: String::new(),
                count: taker.count,
                number: chunk.first(&step)?.wrapping_add(i),
                age: Duration::from_millis(now.saturating_sub(entry.since(&step)?)),
                bytes: entry.value(&step)?.len(&step)?,
            });
            Ok(())
        })?;
        drop(step);
        let mut known: HashMap<Serial, (u32, String)> = HashMap::new();
        for one in &mut all {
            let who = known.entry(one.serial).or_insert_with(|| {
                let p = inner.participant(one.serial);
                (p.pid.load(Ordering::Relaxed), text(&p.name))
            });
            (one.pid, one.name) = who.clone();
        }
        Ok(all)
    }

    /// Everything in the queue that contradicts itself; empty if it is sound.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if it cannot even be read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDeliveryQueue};
    /// assert!(RawDeliveryQueue::create(Family::current()?, None)?.check()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<Vec<String>, ArenaError> {
        let step = self.begin()?;
        let mut found = Found::default();
        let mut at = match step.root(FIRST) {
            0 => None,
            first => Some(Chunk::of(&step, first)?),
        };
        while let Some(chunk) = at {
            found.chunk(&step, chunk)?;
            at = chunk.following(&step)?;
        }
        let Found { mut wrong, segments, waiting, bytes, all, last, head_seen } = found;
        let booked = [LEN, BYTES, UNFINISHED].map(|root| step.root(root));
        if [waiting, bytes, all] != booked {
            wrong.push(format!("{waiting} wait with {bytes} bytes, of {all}; booked: {booked:?}"));
        }
        if last != step.root(LAST) || head_seen != (last != 0) {
            wrong.push("the ends of the chain".into());
        }
        if step.root(RETURNING) != 0 {
            wrong.push("messages are coming back".into());
        }
        if step.root(SPARE) != 0 {
            Chunk::of(&step, step.root(SPARE))?;
        }
        wrong.extend(heap::differences(&step, &segments)?);
        Ok(wrong)
    }
}
