//! Runs: blocks of more than one span, made of neighbouring spans under the arena lock.
//!
//! A freed run stays whole while little is idle, so that the next message of its size finds warm
//! pages; otherwise it is cut up again. Up to an extent (64 MiB) a run lies within one extent; a
//! longer one begins at an extent's start and gets a mapping of its own in each process that uses it.

use std::mem::offset_of;
use std::sync::PoisonError;

use super::blocks::{TAG_BODY, TAG_RUN, owned};
use super::family::Inner;
use super::layout::{Desc, Header, PAGE, SPAN, SPANS_PER_EXTENT};
use super::redo::{Change, set};
use crate::error::ArenaError;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

/// Lengths of runs are rounded to quarters of a power of two, so that they fit again.
fn round(spans: u64) -> u64 {
    let step = (spans.next_power_of_two() / 8).max(1);
    spans.next_multiple_of(step)
}

impl Inner {
    pub(super) fn alloc_run(&self, len: u64) -> Result<u64, ArenaError> {
        let n = round(len.div_ceil(SPAN));
        let me = self.me()?;
        if let Some(at) = self.idle_run(n)? {
            return Ok(at);
        }
        let guard = self.guard()?;
        let first = self.find_spans(n)?;
        let at = first * SPAN;
        let used = self.header().spans_used.load(Ordering::Relaxed).max(first + n);
        let layout = &self.map.layout;
        let desc = layout.desc(at / PAGE);
        guard.commit(&[
            set(desc + offset_of!(Desc, owner) as u64, owned(me)),
            set(desc + offset_of!(Desc, backed) as u64, 0),
            set(desc + offset_of!(Desc, holds) as u64, 0),
            set(layout.span_word(first), n << 8 | TAG_RUN),
            Change { at: layout.span_word(first + 1), value: TAG_BODY, count: n - 1 },
            set(offset_of!(Header, spans_used) as u64, used),
        ])?;
        crash_point!("alloc.run_claimed");
        Ok(at)
    }

    /// A freed run of exactly this length.
    fn idle_run(&self, n: u64) -> Result<Option<u64>, ArenaError> {
        let me = self.me()?;
        let _one = self.alloc_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.header().spans_used.load(Ordering::Acquire);
        for span in self.map.layout.first_span()..end {
            if self.span_word(span)?.load(Ordering::Acquire) == n << 8 | TAG_RUN {
                let owner = &self.desc(span * SPAN)?.owner;
                self.participant(me).log.store(span * SPAN / PAGE + 1, Ordering::Relaxed);
                if owner.compare_exchange(0, owned(me), Ordering::AcqRel, Ordering::Relaxed).is_ok()
                {
                    // The word may have changed before the owner did: then it is another's by now.
                    if self.span_word(span)?.load(Ordering::Acquire) == n << 8 | TAG_RUN {
                        return Ok(Some(span * SPAN));
                    }
                    owner.store(0, Ordering::Release);
                    if let Ok(room) = self.block_room(span * SPAN) {
                        self.hint_free(span * SPAN, room)?; // it may be a cell by now
                    }
                }
            }
        }
        Ok(None)
    }

    /// Cuts a run of this participant's into free spans.
    pub(super) fn free_run(&self, at: u64, n: u64) -> Result<(), ArenaError> {
        let guard = self.guard()?;
        let layout = &self.map.layout;
        guard.commit(&[
            Change { at: layout.span_word(at / SPAN), value: 0, count: n },
            set(layout.desc(at / PAGE) + offset_of!(Desc, owner) as u64, 0),
        ])?;
        crash_point!("free.run_freed");
        Ok(())
    }

    /// The first of `n` neighbouring free spans. Under the arena lock.
    pub(super) fn find_spans(&self, n: u64) -> Result<u64, ArenaError> {
        let layout = &self.map.layout;
        let long = n > SPANS_PER_EXTENT;
        let mut first = layout.first_span();
        'next: while first + n <= layout.end_span() {
            let in_extent = first % SPANS_PER_EXTENT;
            if (long && in_extent != 0) || (!long && in_extent + n > SPANS_PER_EXTENT) {
                first = first.next_multiple_of(SPANS_PER_EXTENT).max(first + 1);
                if !long && (first % SPANS_PER_EXTENT) + n > SPANS_PER_EXTENT {
                    first = first.next_multiple_of(SPANS_PER_EXTENT);
                }
                continue;
            }
            for span in (first..first + n).rev() {
                if self.span_word(span)?.load(Ordering::Acquire) != 0 {
                    first = span + 1;
                    continue 'next;
                }
            }
            return Ok(first);
        }
        Err(ArenaError::Full { requested: n * SPAN, free: 0, why: "the arena's file is used up" })
    }
}
