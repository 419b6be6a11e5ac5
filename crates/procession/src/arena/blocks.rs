//! The block allocator: power-of-two cells in spans of 4 MiB, runs of spans for more.
//!
//! The truth about a block is one word in the descriptor of its first page, outside the block:
//!
//! | owner word | meaning |
//! |---|---|
//! | 0 | free |
//! | serial, refs, `OWNED` | that participant's (serial 0: only fork children's, which `refs` counts) |
//! | 0, refs, `STOCKED` | a dict's or a list's, of which `refs` readers read it without the lock |
//! | serial, 0, `TRANSIT` | given by that participant to a queue; whether it arrived, and whether it was taken, is decided by comparing the message's number with the queue's counts |
//!
//! A block is allocated by one compare-and-swap from 0 and freed by one store of 0. Everything else
//! is a hint: per span a bit for each cell that may be free, per class the lowest span worth looking
//! at. A hint may be wrong; the only wrong that costs something is a free cell without its bit, so
//! whoever is between the two writes the page into the log of its slot, and the sweep sets the bit.
//!
//! First the cells that this process had lately ([`Recent`]), then the lowest free one: the same few
//! blocks are used again and again, and stay in the caches.
//! Cells are virtual memory; pages are backed when first asked for and given back when a lot is idle.
//! A span that was cut into cells keeps its class: the file is far larger than memory.

use std::sync::PoisonError;

use super::family::Inner;
use super::layout::{CLASSES, Desc, MAX_CLASS, MIN_CLASS, PAGE, SPAN};
use super::map::corrupt;
use super::recent::Recent;
use super::redo::set;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::fault::crash_point;

pub(crate) const OWNED: u64 = 1;
pub(crate) const TRANSIT: u64 = 2;
pub(crate) const STOCKED: u64 = 3;

/// Span words: 0 free; otherwise `value << 8 | tag`.
pub(crate) const TAG_CLASS: u64 = 1;
pub(crate) const TAG_RUN: u64 = 2;
pub(crate) const TAG_BODY: u64 = 3;

pub(crate) fn owned(serial: Serial) -> u64 {
    u64::from(serial) << 32 | OWNED
}
pub(crate) fn transit(serial: Serial) -> u64 {
    u64::from(serial) << 32 | TRANSIT
}
pub(crate) fn owner_of(word: u64) -> (Serial, u64, u64) {
    ((word >> 32) as Serial, (word >> 4) & 0x0fff_ffff, word & 0xf)
}

/// The word of a span that is cut into cells of a class.
fn cells_of(class: u32) -> u64 {
    u64::from(class) << 8 | TAG_CLASS
}

fn class_of(len: u64) -> u32 {
    len.max(1).next_power_of_two().trailing_zeros().max(MIN_CLASS)
}

impl Inner {
    /// The descriptor of the block that begins at `at`.
    pub(crate) fn desc(&self, at: u64) -> Result<&Desc, ArenaError> {
        if !at.is_multiple_of(PAGE) || at < self.map.layout.data || at >= self.map.layout.size {
            return Err(corrupt(format!("{at:#x} is no block")));
        }
        self.map.at(self.map.layout.desc(at / PAGE))
    }

    pub(crate) fn span_word(&self, span: u64) -> Result<&AtomicU64, ArenaError> {
        self.map.word(self.map.layout.span_word(span))
    }

    /// How many bytes the block that begins at `at` may use; an error if none can begin there.
    pub(crate) fn block_room(&self, at: u64) -> Result<u64, ArenaError> {
        let word = self.span_word(at / SPAN)?.load(Ordering::Acquire);
        let (value, tag) = (word >> 8, word & 0xff);
        match tag {
            TAG_CLASS if value <= u64::from(MAX_CLASS) && at.is_multiple_of(1 << value) => {
                Ok(1 << value)
            }
            TAG_RUN if at.is_multiple_of(SPAN) => Ok(value * SPAN),
            _ => Err(corrupt(format!("no block begins at {at:#x}"))),
        }
    }

    /// A block of at least `len` bytes, backed by memory, owned by this participant. It is not
    /// zeroed. When memory lacks, what the dead held and what lies idle is taken first.
    pub(crate) fn alloc_block(&self, len: u64) -> Result<u64, ArenaError> {
        match self.alloc_once(len) {
            Err(ArenaError::Full { .. }) => {
                self.sweep_now()?;
                self.reclaim(len)?;
                self.alloc_once(len)
            }
            done => done,
        }
    }

    /// The same, with what memory there is.
    pub(crate) fn alloc_once(&self, len: u64) -> Result<u64, ArenaError> {
        if len > self.map.layout.size {
            let why = "it is longer than the arena's file";
            return Err(ArenaError::Full { requested: len, free: 0, why });
        }
        let at = if len <= SPAN { self.alloc_cell(class_of(len))? } else { self.alloc_run(len)? };
        crash_point!("alloc.owned");
        let desc = self.desc(at)?;
        desc.len.store(len, Ordering::Relaxed);
        let had = desc.backed.load(Ordering::Relaxed);
        if had > 0 {
            self.header().idle.fetch_sub(had, Ordering::Relaxed);
        }
        if had < len
            && let Err(e) = self.back(at, desc, had, len)
        {
            self.free_block(at)?;
            return Err(e);
        }
        Ok(at)
    }

    fn alloc_cell(&self, class: u32) -> Result<u64, ArenaError> {
        let mut recent = self.alloc_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = &self.header().span_hint[(class - MIN_CLASS) as usize];
        let me = self.me()?;
        if let Some(at) = self.take_recent(&mut recent, class, me)? {
            return Ok(at);
        }
        loop {
            let from = hint.load(Ordering::Relaxed).max(self.map.layout.first_span());
            let end = self.header().spans_used.load(Ordering::Acquire);
            for span in from..end {
                if self.span_word(span)?.load(Ordering::Acquire) == cells_of(class)
                    && let Some(at) = self.take_cell(span, class, me)?
                {
                    if span > from {
                        self.advance_hint(class, from, span)?;
                    }
                    recent.note(class, at);
                    return Ok(at);
                }
            }
            if end > from {
                self.advance_hint(class, from, end)?;
            }
            self.claim_span(class)?;
        }
    }

    /// Says that the spans below `to` have no free cell, which was true a moment ago.
    fn advance_hint(&self, class: u32, from: u64, to: u64) -> Result<(), ArenaError> {
        let hint = &self.header().span_hint[(class - MIN_CLASS) as usize];
        let seen = hint.load(Ordering::Relaxed);
        if seen > from
            || hint.compare_exchange(seen, to, Ordering::SeqCst, Ordering::Relaxed).is_err()
        {
            return Ok(());
        }
        // Who frees sets the bit, then lowers the hint: it was lowered after our change, or the bit
        // can be seen now.
        for span in from..to {
            if self.span_word(span)?.load(Ordering::Acquire) != cells_of(class) {
                continue;
            }
            for w in 0..(SPAN >> class).div_ceil(64) {
                if self.map.word(self.map.layout.span_bits(span, w))?.load(Ordering::SeqCst) != 0 {
                    hint.fetch_min(span, Ordering::SeqCst);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The lowest free cell of a span.
    fn take_cell(&self, span: u64, class: u32, me: Serial) -> Result<Option<u64>, ArenaError> {
        let cells = SPAN >> class;
        for w in 0..cells.div_ceil(64) {
            let bits = self.map.word(self.map.layout.span_bits(span, w))?;
            loop {
                let seen = bits.load(Ordering::Relaxed);
                if seen == 0 {
                    break;
                }
                let cell = w * 64 + u64::from(seen.trailing_zeros());
                if cell >= cells {
                    break;
                }
                let at = span * SPAN + (cell << class);
                if self.take_if_free(at, bits, 1 << (cell % 64), me)? {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// Takes a cell whose hint is this bit, if it is free.
    fn take_if_free(
        &self,
        at: u64,
        bits: &AtomicU64,
        bit: u64,
        me: Serial,
    ) -> Result<bool, ArenaError> {
        self.participant(me).log.store(at / PAGE + 1, Ordering::Relaxed);
        crash_point!("alloc.logged");
        bits.fetch_and(!bit, Ordering::AcqRel);
        crash_point!("alloc.hint_taken");
        let owner = &self.desc(at)?.owner;
        Ok(owner.compare_exchange(0, owned(me), Ordering::AcqRel, Ordering::Relaxed).is_ok())
    }

    /// A cell that this process had lately and that is free again.
    fn take_recent(
        &self,
        recent: &mut Recent,
        class: u32,
        me: Serial,
    ) -> Result<Option<u64>, ArenaError> {
        for at in recent.of(class) {
            if self.desc(at)?.owner.load(Ordering::Relaxed) != 0
                || self.span_word(at / SPAN)?.load(Ordering::Acquire) != cells_of(class)
            {
                continue;
            }
            let cell = (at % SPAN) >> class;
            let bits = self.map.word(self.map.layout.span_bits(at / SPAN, cell / 64))?;
            if self.take_if_free(at, bits, 1 << (cell % 64), me)? {
                recent.note(class, at);
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Cuts a free span into cells of a class.
    fn claim_span(&self, class: u32) -> Result<(), ArenaError> {
        let guard = self.guard()?;
        let span = self.find_spans(1)?;
        crash_point!("alloc.span_found");
        // The bits of a free span mean nothing, so they can be set before it is anyone's.
        let cells = SPAN >> class;
        for w in 0..16 {
            let here = cells.saturating_sub(w * 64).min(64);
            let bits = if here == 64 { u64::MAX } else { (1 << here) - 1 };
            self.map.word(self.map.layout.span_bits(span, w))?.store(bits, Ordering::Relaxed);
        }
        let used = self.header().spans_used.load(Ordering::Relaxed).max(span + 1);
        guard.commit(&[
            set(self.map.layout.span_word(span), cells_of(class)),
            set(std::mem::offset_of!(super::layout::Header, spans_used) as u64, used),
        ])?;
        crash_point!("alloc.span_claimed");
        self.header().span_hint[(class - MIN_CLASS) as usize].fetch_min(span, Ordering::Relaxed);
        Ok(())
    }

    /// Frees a block of this participant (or of a dead one that is being swept): releases what it
    /// holds, gives its pages back if a lot is idle, and makes it anybody's.
    pub(crate) fn free_block(&self, at: u64) -> Result<(), ArenaError> {
        let mut dying = Vec::new();
        self.free_block_into(at, &mut dying)?;
        self.reap_all(dying)
    }

    /// The same, but objects whose last handle it held are left in `dying` for the caller to reap.
    pub(crate) fn free_block_into(&self, at: u64, dying: &mut Vec<u64>) -> Result<(), ArenaError> {
        crash_point!("free.start");
        let desc = self.desc(at)?;
        let room = self.block_room(at)?;
        self.release_holds_of(at, desc, room, dying)?;
        crash_point!("free.holds_released");
        desc.queue.store(0, Ordering::Relaxed);
        desc.taker.store(0, Ordering::Relaxed);
        let backed = desc.backed.load(Ordering::Relaxed);
        let keep = super::backing::IDLE_KEEP
            .min(self.limit(self.header().backed.load(Ordering::Relaxed)) / 4);
        let idle = self.header().idle.load(Ordering::Relaxed).saturating_add(backed);
        let mut kept = backed;
        if backed >= super::backing::GIVE_BACK_MIN
            && idle > keep
            && self.give_back(at, desc, backed)
        {
            kept = 0;
            if room > SPAN {
                return self.free_run(at, room / SPAN);
            }
        }
        let _one = self.alloc_lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.participant(self.me()?).log.store(at / PAGE + 1, Ordering::Relaxed);
        crash_point!("free.logged");
        self.header().idle.fetch_add(kept, Ordering::Relaxed);
        desc.owner.store(0, Ordering::Release);
        crash_point!("free.freed");
        self.hint_free(at, room)
    }

    /// Notes that the cell at `at` may be free.
    pub(crate) fn hint_free(&self, at: u64, room: u64) -> Result<(), ArenaError> {
        if room > SPAN {
            return Ok(()); // idle runs are found by their span words
        }
        let span = at / SPAN;
        let class = room.trailing_zeros();
        let cell = (at % SPAN) >> class;
        let bits = self.map.word(self.map.layout.span_bits(span, cell / 64))?;
        bits.fetch_or(1 << (cell % 64), Ordering::AcqRel);
        if let Some(hint) = self.header().span_hint.get((class - MIN_CLASS) as usize) {
            hint.fetch_min(span, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether a free block would be found by an allocation.
    pub(crate) fn has_hint(&self, at: u64, room: u64) -> Result<bool, ArenaError> {
        if room > SPAN {
            return Ok(true);
        }
        let class = room.trailing_zeros();
        let cell = (at % SPAN) >> class;
        let bits = self.map.word(self.map.layout.span_bits(at / SPAN, cell / 64))?;
        let low = &self.header().span_hint[(class - MIN_CLASS) as usize];
        let bit = bits.load(Ordering::Relaxed) >> (cell % 64) & 1 == 1;
        Ok(bit && low.load(Ordering::Relaxed) <= at / SPAN)
    }

    /// Visits every block, free ones included.
    pub(crate) fn each_block(
        &self,
        mut visit: impl FnMut(u64, &Desc) -> Result<(), ArenaError>,
    ) -> Result<(), ArenaError> {
        let end = self.header().spans_used.load(Ordering::Acquire).min(self.map.layout.end_span());
        for span in self.map.layout.first_span()..end {
            let word = self.span_word(span)?.load(Ordering::Acquire);
            let at = span * SPAN;
            match (word >> 8, word & 0xff) {
                (class, TAG_CLASS) if class <= u64::from(MAX_CLASS) => {
                    for cell in 0..SPAN >> class {
                        let at = at + (cell << class);
                        visit(at, self.desc(at)?)?;
                    }
                }
                (_, TAG_RUN) => visit(at, self.desc(at)?)?,
                _ => {}
            }
        }
        Ok(())
    }
}

const _: () = assert!(CLASSES == 11 && SPAN == 1 << MAX_CLASS);
