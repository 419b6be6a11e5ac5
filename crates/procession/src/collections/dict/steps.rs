//! What the operations are made of: changes of a step that is under way.

use super::super::heap::{self, MOVING, Ready, TAIL};
use super::table::{self, Entry, Found};
use super::{DIR, DST, END, INDEX, Key, LEN, OLD, SHAPE, SRC, index, upkeep};
use crate::arena::stock::Step;
use crate::codec::PLAIN;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// The entry with this hash, kind and bytes.
#[inline]
pub(super) fn lookup(step: &Step, key: &Key<'_>) -> Result<Option<Found>, ArenaError> {
    for table in index::tables(step) {
        if let found @ Some(_) = search(step, table?, key, |_| ())? {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The same in one table of the index; what else has the hash is shown to `other`.
#[inline]
pub(super) fn search(
    step: &Step,
    table: index::Table,
    key: &Key<'_>,
    mut other: impl FnMut(&Found),
) -> Result<Option<Found>, ArenaError> {
    let mut found = None;
    table.find(step, key.hash, |pos| {
        let Some(f) = table::read(step, pos)?.filter(|f| f.entry.hash == key.hash) else {
            return Ok(false);
        };
        if !f.entry.key.equals(step, &key.datum)? {
            other(&f);
            return Ok(false);
        }
        found = Some(f);
        Ok(true)
    })?;
    Ok(found)
}

/// The same of a key of plain data. Any other one is not the same for having the same bytes: two
/// objects that are equal to nobody else are pickled alike.
pub(super) fn lookup_plain(step: &Step, key: &Key<'_>) -> Result<Option<Found>, ArenaError> {
    if key.datum.kind == PLAIN { lookup(step, key) } else { Ok(None) }
}

/// Whether the index leads to this entry.
pub(super) fn is_found(step: &Step, entry: &Found) -> Result<bool, ArenaError> {
    let found = index::find(step, entry.entry.hash, |pos| Ok(pos == entry.pos))?;
    Ok(found.is_some())
}

/// Adds an entry behind the others.
pub(super) fn append(
    step: &mut Step,
    key: &Key<'_>,
    ready_key: &mut Ready<'_>,
    value: &mut Ready<'_>,
) -> Result<(), ArenaError> {
    let (len, pos) = (step.root(LEN), table::end(step)?);
    if len > pos {
        return Err(step.corrupt("the number of entries"));
    }
    let entry = Entry { hash: key.hash, key: ready_key.put(step)?, value: value.put(step)? };
    table::write_behind(step, pos, &entry)?;
    crash_point!("dict.entry_written");
    index::insert(step, key.hash, pos, len)?;
    step.set_root(LEN, len.wrapping_add(1));
    step.set_root(END, pos + 1);
    step.set_root(SHAPE, step.root(SHAPE).wrapping_add(1));
    Ok(())
}

/// Adds an entry, and commits it; false if the key is not ready.
pub(super) fn add(
    step: &mut Step,
    key: &Key<'_>,
    ready_key: &mut Option<Ready<'_>>,
    value: &mut Ready<'_>,
) -> Result<bool, ArenaError> {
    let Some(ready_key) = ready_key else {
        return Ok(false);
    };
    make_way(step, 1)?;
    append(step, key, ready_key, value)?;
    step.commit()?;
    upkeep::do_some(step, true);
    Ok(true)
}

pub(super) fn replace(
    step: &mut Step,
    found: &Found,
    value: &mut Ready<'_>,
) -> Result<(), ArenaError> {
    heap::replace(step, found.value_at(), found.entry.value, value)?;
    crash_point!("dict.value_written");
    Ok(())
}

pub(super) fn remove(step: &mut Step, found: &Found) -> Result<(), ArenaError> {
    let len = step.root(LEN);
    if len <= 1 {
        return empty(step);
    }
    index::change(step, found.entry.hash, found.pos, None)?;
    step.set(found.key_at(), 0);
    found.entry.key.drop(step)?;
    found.entry.value.drop(step)?;
    step.set_root(LEN, len - 1);
    step.set_root(SHAPE, step.root(SHAPE).wrapping_add(1));
    if found.pos + 1 == step.root(END) {
        let end = end_without(step, found.pos)?;
        let before = step.root(END).div_ceil(table::PER_SEGMENT);
        for segment in end.div_ceil(table::PER_SEGMENT)..before {
            table::free_segment(step, segment)?;
        }
        step.set_root(END, end);
    }
    Ok(())
}

/// Where the entries end, when there are none from `end` on. Not below where entries are moved from.
pub(super) fn end_without(step: &Step, mut end: u64) -> Result<u64, ArenaError> {
    let low = if step.root(DST) == 0 { 0 } else { step.root(SRC) };
    while end > low && table::read(step, end - 1)?.is_none() {
        end -= 1;
    }
    Ok(end)
}

/// Gives all memory back. What the roots that are not set here mean depends on those that are.
pub(super) fn empty(step: &mut Step) -> Result<(), ArenaError> {
    step.free_all(0)?;
    step.set_root(SHAPE, step.root(SHAPE).wrapping_add(1));
    for root in [LEN, END, DIR, INDEX, OLD, DST, TAIL, MOVING] {
        if step.root(root) != 0 {
            step.set_root(root, 0);
        }
    }
    Ok(())
}

/// The last entry.
pub(super) fn last(step: &Step) -> Result<Option<Found>, ArenaError> {
    let mut pos = table::end(step)?;
    let gap = match step.root(DST) {
        0 => 0..0,
        dst => dst - 1..step.root(SRC),
    };
    while pos > 0 {
        // Between where entries are moved from and to, all are dead.
        if pos == gap.end && !gap.is_empty() {
            pos = gap.start;
            continue;
        }
        pos -= 1;
        if let Some(found) = table::read(step, pos)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Before a step that adds `more` entries: lets the index be followed by another if it must.
pub(super) fn make_way(step: &mut Step, more: u64) -> Result<(), ArenaError> {
    while !index::is_renewed(step) && index::is_tight(step, more) {
        index::copy_some(step, |step, pos| Ok(table::read(step, pos)?.map(|f| f.entry.hash)))?;
    }
    Ok(())
}
