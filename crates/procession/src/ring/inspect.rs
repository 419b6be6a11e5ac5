//! What looks at a ring as a whole: from outside its locks, or when nobody uses it.

use super::fifo::{BlockRef, Cursor, Head, JUMP_KIND, Limits, Memory, Tail, read};
use crate::sys::atomic::{AtomicU64, Ordering};

/// Whether there is room for `weight` bytes more, as far as one can know without the tail lock.
pub(crate) fn has_room(head: &Head, tail: &Tail, limits: Limits, weight: u64) -> bool {
    let there = len(head, tail);
    let after = tail.bytes().wrapping_sub(head.bytes()).saturating_add(weight);
    (limits.messages == 0 || there < limits.messages)
        && (limits.bytes == 0 || there == 0 || after <= limits.bytes)
}

/// The number of messages between the two, exact at an instant of this call.
pub(crate) fn len(head: &Head, tail: &Tail) -> u64 {
    loop {
        let before = head.count.load(Ordering::SeqCst);
        let t = tail.count.load(Ordering::SeqCst);
        if head.count.load(Ordering::SeqCst) == before {
            return t.wrapping_sub(before);
        }
    }
}

/// The weight of all messages between the two: exact while they rest.
pub(crate) fn bytes(head: &Head, tail: &Tail) -> u64 {
    let gone = head.bytes();
    tail.bytes().saturating_sub(gone)
}

/// Forgets the cursors of a ring that is being taken apart: the addresses of the words to clear.
pub(crate) fn cursor_words<'a>(head: &'a Head, tail: &'a Tail) -> [&'a AtomicU64; 4] {
    [&head.cursor[0], &head.cursor[1], &tail.cursor[0], &tail.cursor[1]]
}

/// Visits what lies in a ring that nobody changes: segments, and the blocks of messages.
pub(crate) fn walk<M: Memory>(
    mem: &M,
    head: &Head,
    tail: &Tail,
    mut visit: impl FnMut(Result<BlockRef, Cursor>),
) -> Result<(), M::Error> {
    let mut cursor = head.cursor();
    let mut sink = Vec::new();
    if cursor.0 != 0 {
        visit(Err(cursor));
    }
    let mut bytes = head.bytes();
    for _ in head.count()..tail.count() {
        mem.check(cursor)?;
        let mut first = mem.load(cursor.at())?;
        if first as u32 == JUMP_KIND {
            cursor = Cursor(mem.load(cursor.at() + 8)?);
            mem.check(cursor)?;
            visit(Err(cursor));
            first = mem.load(cursor.at())?;
        }
        sink.clear();
        let (popped, size) = read(mem, cursor, first, &mut sink)?;
        if let Some(b) = popped.block {
            visit(Ok(b));
        }
        bytes = bytes.wrapping_add(size + popped.block.map_or(0, |b| b.len));
        cursor = cursor.advanced(size);
    }
    if bytes != tail.bytes() {
        return Err(mem.corrupt("the messages' sizes are not what was counted"));
    }
    if cursor != tail.cursor() {
        return Err(mem.corrupt("the last record does not end where the tail begins"));
    }
    Ok(())
}
