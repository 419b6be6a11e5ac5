//! Where things lie in the arena's file. `docs/memory-layout.md` draws it.
//!
//! ```text
//! 0            header: magic, version, limits, the arena lock and its redo record
//! participants one slot of 256 bytes for each attached process
//! objects      type-stable slots of 512 bytes
//! span words   8 bytes for each span of 4 MiB: what the span is used for
//! span bits    128 bytes for each span: which cells may be free (a hint)
//! descriptors  64 bytes for each page of 4 KiB: who owns the block that begins there (the truth)
//! data         spans
//! ```
//!
//! All tables are sized for the whole (sparse) file; memory is charged only for the parts that are
//! touched. Invariant of [`ShmSafe`]: such a type is `repr(C)`, holds atomics only, and any bytes are
//! a valid value of it.

pub(crate) mod pool;
pub(crate) mod stock;
pub(crate) mod sync;

use std::mem::{offset_of, size_of};

use crate::lock::Lock;
use crate::ring::fifo::{Head, Tail};
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::wait::WaitWord;

pub(crate) use crate::sys::memory::PAGE;

pub(crate) const SPAN: u64 = 4 << 20;
pub(crate) const EXTENT: u64 = 64 << 20;
/// The file's size where nothing limits it.
pub(crate) const FILE_SIZE: u64 = 1 << 40;

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"processn");
pub(crate) const VERSION: u64 = 8;

pub(crate) const MAX_PARTICIPANTS: u64 = 4096;
/// Size classes are powers of two from a page to a span.
pub(crate) const MIN_CLASS: u32 = 12;
pub(crate) const MAX_CLASS: u32 = 22;
pub(crate) const CLASSES: usize = (MAX_CLASS - MIN_CLASS + 1) as usize;
pub(crate) const SPANS_PER_EXTENT: u64 = EXTENT / SPAN;
pub(crate) const REDO_LEN: usize = 8;
pub(crate) const NAME_WORDS: usize = 6;
/// A family's name has at most 100 bytes.
pub(crate) const FAMILY_NAME_WORDS: usize = 13;

/// May be overlaid on shared memory.
///
/// # Safety
/// `repr(C)`, atomics only (no pointer, address, descriptor or padding that is read), every bit
/// pattern valid, the same layout in every process of this version.
pub(crate) unsafe trait ShmSafe {}

/// One absolute change of a redo record: `count` words from `at` on become `value`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RedoEntry {
    pub(crate) at: AtomicU64,
    pub(crate) value: AtomicU64,
    pub(crate) count: AtomicU64,
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU64,
    pub(crate) size: AtomicU64,
    pub(crate) id: [AtomicU64; 2],
    /// Bytes that may be backed by memory; 0: most of what is left.
    pub(crate) limit: AtomicU64,
    /// Bytes backed by memory, and those of them that lie idle in free blocks.
    pub(crate) backed: AtomicU64,
    pub(crate) idle: AtomicU64,
    pub(crate) last_sweep: AtomicU64,
    /// Spans from here on were never used.
    pub(crate) spans_used: AtomicU64,
    /// Slots from here on were never used.
    pub(crate) objects_used: AtomicU64,
    /// Head of the list of free object slots: index + 1.
    pub(crate) object_free: AtomicU64,
    pub(crate) lock: Lock,
    pad: AtomicU32,
    /// How many entries are committed; 0: none.
    pub(crate) redo_count: AtomicU64,
    pub(crate) redo: [RedoEntry; REDO_LEN],
    /// Per class: no span below this one has a free cell.
    pub(crate) span_hint: [AtomicU64; CLASSES],
    /// The hold entry of the directory of names; 0: there is none yet. It is never released.
    pub(crate) directory: AtomicU64,
    /// What the family is called: UTF-8, then zeroes. Written before anybody else is in it.
    pub(crate) name: [AtomicU64; FAMILY_NAME_WORDS],
    /// The block with the table of listeners (see `listeners.rs`); 0: no event loop has waited yet.
    pub(crate) listeners: AtomicU64,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Header {}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Participant {
    /// `serial << 32 | state`; the serial of a free slot is its last owner's.
    pub(crate) state: AtomicU64,
    pub(crate) pid: AtomicU32,
    /// Number of the arena's descriptor in that process.
    pub(crate) fd: AtomicU32,
    pub(crate) start: AtomicU64,
    pub(crate) namespace: AtomicU64,
    /// When the slot was claimed, in milliseconds of the monotonic clock.
    pub(crate) since: AtomicU64,
    /// Who is taking back what this one held.
    pub(crate) sweeper: AtomicU32,
    /// Object that it sleeps on: index + 1.
    pub(crate) waiting_on: AtomicU32,
    /// Page of the block that it is allocating or freeing, whose hint bit may be lost: page + 1.
    pub(crate) log: AtomicU64,
    /// 1: it has said that it leaves: what it holds when it ends it leaves on purpose.
    pub(crate) left: AtomicU64,
    /// How it ended, if somebody told: see `estate.rs`.
    pub(crate) ended: AtomicU64,
    /// What it calls itself: UTF-8, then zeroes.
    pub(crate) name: Name,
    /// 1: of the family's meeting place it counts as gone, because it is about to end.
    pub(crate) departed: AtomicU64,
    pad: [AtomicU64; 16],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Participant {}

/// A process's name.
pub(crate) type Name = [AtomicU64; NAME_WORDS];

/// Who owns the block that begins at this page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Desc {
    /// `serial << 32 | refs << 4 | state`, see `blocks.rs`.
    pub(crate) owner: AtomicU64,
    /// `generation << 32 | index` of the queue that it is given to.
    pub(crate) queue: AtomicU64,
    /// The message that gives it.
    pub(crate) given: AtomicU64,
    /// Who takes it (serial), with which message.
    pub(crate) taker: AtomicU64,
    pub(crate) taken: AtomicU64,
    /// Bytes of data.
    pub(crate) len: AtomicU64,
    /// Bytes from its start that are backed by memory.
    pub(crate) backed: AtomicU64,
    /// Hold entries behind the data (see `holds.rs`).
    pub(crate) holds: AtomicU64,
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Desc {}

/// A slot of the object table. The two sides of the ring lie two cache lines apart (adjacent lines
/// are fetched together); what both read and neither writes in passing lies before them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Object {
    /// `generation << 8 | state`.
    pub(crate) state: AtomicU64,
    /// Hold entries that name this object.
    pub(crate) refs: AtomicU64,
    pub(crate) next_free: AtomicU64,
    /// Who is taking it apart (serial).
    pub(crate) reaper: AtomicU64,
    /// How much may be in it: messages and bytes; 0: no bound.
    pub(crate) capacity: [AtomicU64; 2],
    /// [`CLOSED`]: no more puts; [`CUT`]: and what was in it is dropped.
    pub(crate) closed: AtomicU64,
    /// What it is: see `objects.rs`.
    pub(crate) kind: AtomicU64,
    pub(crate) items: WaitWord,
    pub(crate) room: WaitWord,
    pub(crate) all_done: WaitWord,
    /// A pipe's: whether the reading socket holds the bell's byte, see `pipe/bell.rs`.
    pub(crate) bell: AtomicU32,
    /// The block that lists the bells of those who select on this queue; of memory its block; of a dict
    /// or a list the one that names its companion. 0: none.
    pub(crate) bells: AtomicU64,
    /// A pipe's: how often a copy of either end was closed.
    pub(crate) closes: AtomicU64,
    /// A pipe's: inodes of the reading and of the writing socket.
    pub(crate) sockets: [AtomicU64; 2],
    pad2: [AtomicU64; 2],
    pub(crate) tail_lock: Lock,
    pad3: AtomicU32,
    pub(crate) tail: Tail,
    /// The block and the segment that the owner of the tail lock is giving to the queue.
    pub(crate) pending: [AtomicU64; 2],
    pad4: [AtomicU64; 6],
    pub(crate) head_lock: Lock,
    /// A pool's: the worker that is taking a task just now, plus one. Written under the head lock.
    pub(crate) claimant: AtomicU32,
    pub(crate) head: Head,
    /// Of a queue that is cut: how many messages had been taken; all others count as never put.
    pub(crate) cut: AtomicU64,
    pad6: [AtomicU64; 7],
    /// Messages reported as done.
    pub(crate) done: AtomicU64,
    pad7: [AtomicU64; 15],
}
// SAFETY: atomics only, `repr(C)`.
unsafe impl ShmSafe for Object {}

// SAFETY: atomics are `repr(C)`-compatible with their integers.
unsafe impl ShmSafe for AtomicU64 {}
// SAFETY: as above; an array has no padding.
unsafe impl<const N: usize> ShmSafe for [AtomicU64; N] {}

const _: () = {
    assert!(size_of::<Header>() <= PAGE as usize);
    assert!(size_of::<Participant>() == 256);
    assert!(size_of::<Desc>() == 64);
    assert!(size_of::<Object>() == 512);
    assert!(offset_of!(Object, tail_lock) == 128);
    assert!(offset_of!(Object, head_lock) == 256);
    assert!(offset_of!(Object, items) == 64);
    assert!(offset_of!(Object, bells) == 80);
};

/// Values of [`Object::closed`].
pub(crate) const CLOSED: u64 = 1;
pub(crate) const CUT: u64 = 2;

/// Where the tables of a file of a given size begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) size: u64,
    pub(crate) participants: u64,
    pub(crate) objects: u64,
    pub(crate) max_objects: u64,
    pub(crate) span_words: u64,
    pub(crate) span_bits: u64,
    pub(crate) descs: u64,
    pub(crate) data: u64,
}

impl Layout {
    /// `None` if the file is too small to hold anything.
    pub(crate) fn new(size: u64) -> Option<Layout> {
        let spans = size / SPAN;
        let participants = 4 * PAGE;
        let objects = participants + MAX_PARTICIPANTS * size_of::<Participant>() as u64;
        let max_objects = (size >> 16).clamp(4096, 1 << 20);
        let span_words = objects + max_objects * size_of::<Object>() as u64;
        let span_bits = (span_words + spans * 8).next_multiple_of(PAGE);
        let descs = (span_bits + spans * 128).next_multiple_of(PAGE);
        let data = (descs + (size / PAGE) * size_of::<Desc>() as u64).next_multiple_of(EXTENT);
        (data + EXTENT <= size && size <= FILE_SIZE && size.is_multiple_of(EXTENT)).then_some(
            Layout { size, participants, objects, max_objects, span_words, span_bits, descs, data },
        )
    }

    pub(crate) fn first_span(&self) -> u64 {
        self.data / SPAN
    }
    pub(crate) fn end_span(&self) -> u64 {
        self.size / SPAN
    }
    pub(crate) fn participant(&self, slot: u64) -> u64 {
        self.participants + slot * size_of::<Participant>() as u64
    }
    pub(crate) fn object(&self, index: u64) -> u64 {
        self.objects + index * size_of::<Object>() as u64
    }
    pub(crate) fn span_word(&self, span: u64) -> u64 {
        self.span_words + span * 8
    }
    pub(crate) fn span_bits(&self, span: u64, word: u64) -> u64 {
        self.span_bits + span * 128 + word * 8
    }
    pub(crate) fn desc(&self, page: u64) -> u64 {
        self.descs + page * size_of::<Desc>() as u64
    }
}
