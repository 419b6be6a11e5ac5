//! A heap's end that goes back: queues fill again what they have just taken out.

use super::{HEAD, POS, ROOM, Ref, SMALL, TAIL};
use crate::arena::stock::Step;
use crate::error::ArenaError;

impl Ref {
    /// As [`Ref::drop`], of the last thing that a step does to the heap: what is free at its end is
    /// written next.
    #[inline]
    pub(in crate::collections) fn drop_last(self, step: &mut Step) -> Result<(), ArenaError> {
        self.drop(step)?;
        if self.tag() == SMALL {
            let (segment, len) = self.record(step)?;
            if step.root(TAIL) >> 8 == segment {
                if step.load(segment)? == 0 {
                    step.set_root(POS, segment + HEAD);
                } else if self.at() + Ref::size(len) == step.root(POS) {
                    step.set_root(POS, self.at());
                }
            }
        }
        Ok(())
    }

    /// As [`Ref::drop_last`], of the newest of all that is stored: nothing behind it is in use. With the
    /// last segment empty, and half of its own free, that is where the heap ends from now on.
    #[inline]
    pub(in crate::collections) fn drop_newest(self, step: &mut Step) -> Result<(), ArenaError> {
        self.drop_last(step)?;
        let tail = step.root(TAIL);
        if self.tag() == SMALL && tail >> 8 != self.at() & !((1 << (self.0 >> 3 & 31)) - 1) {
            self.end_here(step, tail)?;
        }
        Ok(())
    }

    #[cold]
    fn end_here(self, step: &mut Step, tail: u64) -> Result<(), ArenaError> {
        let (segment, _) = self.record(step)?;
        let log2 = self.0 >> 3 & 31;
        let is_half_free = self.at() - segment < 1 << (log2 - 1);
        if is_half_free && step.load(segment)? != 0 && step.load(tail >> 8)? == 0 {
            step.free(tail >> 8)?;
            step.set_root(ROOM, step.root(ROOM).saturating_sub(1 << (tail & 31)));
            step.set_root(TAIL, segment << 8 | log2);
            step.set_root(POS, self.at());
        }
        Ok(())
    }
}
