//! What is done to several messages, or to all: each batch is put or taken under one lock, a step for each
//! message, and wakes once.

use super::{BYTES, Line, NET, OfferError, Order, Taken, UNFINISHED, stored};
use crate::arena::stock::Step;
use crate::collections::heap::Ref;
use crate::collections::list::Values;
use crate::error::ArenaError;

/// So many messages are put or taken before the lock is let go of: others wait meanwhile.
const BATCH: usize = 32;

impl<O: Order> Line<O> {
    /// Puts messages, in their order, until one is refused: `weigh` says the shape of its key and how many bytes
    /// it has, `prepare` and `place` are as in [`Line::put`]. Says how many were put, and what ended it.
    pub(in crate::collections) fn put_many<P>(
        &self,
        count: usize,
        weigh: impl Fn(usize) -> (u64, u64),
        prepare: impl Fn(usize) -> Result<P, ArenaError>,
        place: impl Fn(&mut Step, usize, &mut P) -> Result<(), OfferError>,
    ) -> (usize, Result<(), OfferError>) {
        let mut done = 0;
        let mut ended = Ok(());
        while done < count && ended.is_ok() {
            let end = count.min(done + BATCH);
            ended = self.stock.attempt(|| {
                let parts: Result<Vec<P>, _> = (done..end).map(&prepare).collect();
                let mut parts = parts?.into_iter();
                let mut step = self.stock.begin()?;
                let mut is_anothers = self.note(&step)?;
                while let Some(one) = parts.as_mut_slice().first_mut() {
                    let put = |step: &mut Step| place(step, done, one);
                    self.put_in(&mut step, weigh(done), is_anothers, put)?;
                    (done, is_anothers) = (done + 1, false);
                    let _ = parts.next();
                }
                drop(step);
                Ok::<_, OfferError>(())
            });
        }
        if done != 0 {
            self.tell_of_items();
        }
        (done, ended)
    }

    /// Takes what is there, at most `max` messages.
    pub(in crate::collections) fn get_many(&self, max: usize) -> Result<Values, ArenaError> {
        let mut values = Values::default();
        loop {
            let end = max.min(values.items.len() + BATCH);
            let taken = self.stock.attempt(|| self.take_batch(end, &mut values));
            match taken {
                Ok(()) if values.items.len() == end && end < max => {}
                // What was taken must not be lost. Whatever is wrong, the next one is told.
                Err(e) if values.items.is_empty() => return Err(e),
                _ => break,
            }
        }
        if !values.items.is_empty() {
            self.tell_of_room();
            self.pass_on();
        }
        Ok(values)
    }

    /// Takes messages until there are `end`.
    fn take_batch(&self, end: usize, values: &mut Values) -> Result<(), ArenaError> {
        let (mut all, mut last) = (Vec::new(), None);
        let mut step = self.stock.begin()?;
        self.note(&step)?;
        let taken = loop {
            if values.items.len() == end {
                break Ok(());
            }
            let start = values.bytes.len();
            if let Err(e) = self.take(&mut step, &mut values.bytes, &mut last) {
                values.bytes.truncate(start);
                break Err(e);
            }
            let Some(one): Option<Taken> = last.take() else {
                break Ok(());
            };
            values.items.push((one.kind, start..values.bytes.len()));
            all.push((values.items.len() - 1, one));
        };
        drop(step);
        for (i, one) in all {
            values.holds.extend(one.holds);
            if let Some(pin) = one.pin {
                let start = values.bytes.len();
                pin.copy_to(&mut values.bytes);
                values.items[i].1 = start..values.bytes.len();
            }
        }
        taken
    }

    /// Closes the queue and lets go of all that is in: each counts as done. Says how many those were. Who is
    /// killed in the midst of it leaves a closed queue with what he had not come to.
    pub(in crate::collections) fn shut_down_now(&self) -> Result<u64, ArenaError> {
        self.close();
        let dropped = self.stock.attempt(|| self.clear());
        let slot = self.stock.slot;
        slot.room.wake_all(&self.stock.lease.inner.ringing());
        slot.all_done.wake_all(&self.stock.lease.inner.ringing());
        dropped
    }

    fn clear(&self) -> Result<u64, ArenaError> {
        let mut step = self.stock.begin()?;
        self.note(&step)?;
        let (mut held, mut staged) = (None, 0);
        if let Some(stage) = self.stage()? {
            // Whoever comes next sees that it is closed.
            held = Some(stage.lock.lock(step.inner.me()?, step.inner));
            staged = self.clear_stage(&mut step, stage)?;
            self.count_out(&mut step, staged)?;
        }
        let left = stored(&step)?;
        if left != 0 {
            O::clear(&mut step)?;
            self.count_out(&mut step, left)?;
        }
        step.wake_nobody();
        drop(held);
        Ok(staged + left)
    }

    /// So many less are in, and not done with.
    fn count_out(&self, step: &mut Step, n: u64) -> Result<(), ArenaError> {
        if n != 0 {
            // More may have been reported as done than were taken.
            let unfinished = step.root(UNFINISHED);
            let most = unfinished.wrapping_add(self.tail()?);
            step.set_root(NET, step.root(NET).wrapping_sub(n));
            step.set_root(UNFINISHED, unfinished.wrapping_sub(n.min(most)));
            if self.limits.bytes != 0 {
                step.set_root(BYTES, 0);
            }
        }
        step.commit()
    }

    /// Copies all that `walk` goes by, in one step.
    pub(in crate::collections) fn snapshot(
        &self,
        walk: impl Fn(&Step, &mut dyn FnMut(Ref) -> Result<(), ArenaError>) -> Result<(), ArenaError>,
    ) -> Result<Values, ArenaError> {
        let read = |step: &Step| {
            let (len, version) = (stored(step)?, step.version());
            let mut values = Values { len, version, ..Values::default() };
            let (mut ids, mut pins) = (Vec::new(), Vec::new());
            walk(step, &mut |value| {
                let start = values.bytes.len();
                let pin = value.read_or_pin(step, &mut values.bytes)?;
                pins.extend(pin.map(|pin| (values.items.len(), pin)));
                values.items.push((value.kind(), start..values.bytes.len()));
                ids.extend(value.holds(step)?);
                Ok(())
            })?;
            Ok::<_, ArenaError>(((values, pins), ids))
        };
        let ((mut values, pins), holds) = self.stock.read_in(|| self.enter_unstaged(), read)?;
        values.holds = holds;
        for (i, pin) in pins {
            let start = values.bytes.len();
            pin.copy_to(&mut values.bytes);
            values.items[i].1 = start..values.bytes.len();
        }
        Ok(values)
    }
}
