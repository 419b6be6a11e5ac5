//! The tree from one end to the other: for snapshots, and to see whether it contradicts itself.

use std::collections::HashMap;

use super::super::heap::{self, Ref};
use super::super::line::stored;
use super::RawPriorityQueue;
use super::node::Node;
use super::tree::{self, ODD, TREE};
use crate::arena::stock::Step;
use crate::error::ArenaError;

/// All values, the lowest first.
pub(super) fn walk(
    step: &Step,
    each: &mut dyn FnMut(Ref) -> Result<(), ArenaError>,
) -> Result<(), ArenaError> {
    let mut left = stored(step)?;
    match tree::depth(step)? {
        0 => Ok(()),
        depth => walk_node(step, Ref(step.root(TREE)), depth, &mut left, each),
    }
}

/// `left`: how many there are at most, for a tree whose nodes were scribbled over may be endless.
fn walk_node(
    step: &Step,
    r: Ref,
    depth: usize,
    left: &mut u64,
    each: &mut dyn FnMut(Ref) -> Result<(), ArenaError>,
) -> Result<(), ArenaError> {
    let node = Node::of(step, r)?;
    let perm = node.perm(step)?;
    for rank in 0..perm.count() {
        let word = node.word(step, perm.slot(rank))?;
        if depth > 1 {
            walk_node(step, word, depth - 1, left, each)?;
        } else {
            *left =
                left.checked_sub(1).ok_or_else(|| step.corrupt("more is there than counted"))?;
            each(word)?;
        }
    }
    Ok(())
}

/// What was found in a tree.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    segments: HashMap<u64, u64>,
    len: u64,
    odd: u64,
    last: Option<Vec<u8>>,
}

impl Found {
    fn take(&mut self, step: &Step, r: Ref) -> Result<(), ArenaError> {
        if let Some((segment, size)) = heap::taken(step, r)? {
            *self.segments.entry(segment).or_default() += size;
        }
        Ok(())
    }

    /// The least that may be here, and what it must not be more than.
    fn node(
        &mut self,
        step: &Step,
        r: Ref,
        depth: usize,
        (low, high): (Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), ArenaError> {
        self.take(step, r)?;
        let node = Node::of(step, r)?;
        let perm = node.perm(step)?;
        if depth > 1 && perm.count() == 0 {
            self.wrong.push(format!("the node at {:#x} is empty", node.at));
        }
        if depth == 1 && perm.count() == 0 && self.len != 0 {
            self.wrong.push("an empty leaf behind others".into());
        }
        // Of the first entry no key is looked at.
        let mut keys: Vec<Option<Vec<u8>>> = Vec::new();
        for rank in 0..perm.count() {
            let slot = perm.slot(rank);
            let rest = node.rest(step, slot)?;
            self.take(step, rest)?;
            let is_known = !rest.is_none() && (depth == 1 || rank > 0);
            keys.push(if is_known { Some(node.key(step, slot)?) } else { None });
        }
        for rank in 0..perm.count() {
            let word = node.word(step, perm.slot(rank))?;
            if depth > 1 {
                let low = if rank == 0 { low } else { keys[rank].as_deref() };
                let high = if rank + 1 == perm.count() { high } else { keys[rank + 1].as_deref() };
                self.node(step, word, depth - 1, (low, high))?;
            } else {
                self.take(step, word)?;
                self.entry(keys[rank].take(), (low, high));
            }
        }
        Ok(())
    }

    fn entry(&mut self, key: Option<Vec<u8>>, (low, high): (Option<&[u8]>, Option<&[u8]>)) {
        self.len += 1;
        let Some(key) = key else {
            self.odd += 1;
            return;
        };
        let is_within =
            low.is_none_or(|low| *low <= key[..]) && high.is_none_or(|high| key[..] <= *high);
        let follows = self.last.as_ref().is_none_or(|last| *last <= key);
        if !is_within || !follows {
            self.wrong.push(format!("entry {} is out of order: {key:02x?}", self.len - 1));
        }
        self.last = Some(key);
    }
}

impl RawPriorityQueue {
    /// Everything in the queue that contradicts itself; empty if it is sound.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if it cannot even be read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawPriorityQueue};
    /// assert!(RawPriorityQueue::create(Family::current()?, None)?.check()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<Vec<String>, ArenaError> {
        let step = self.line.enter_unstaged()?;
        let mut found = Found::default();
        let depth = tree::depth(&step)?;
        if depth != 0 {
            found.node(&step, Ref(step.root(TREE)), depth, (None, None))?;
        }
        let Found { mut wrong, segments, len, odd, .. } = found;
        let counted = (stored(&step)?, step.root(ODD));
        if (len, odd) != counted {
            wrong.push(format!(
                "{len} entries are there, {odd} of them odd; counted are {counted:?}"
            ));
        }
        wrong.extend(heap::differences(&step, &segments)?);
        wrong.extend(self.line.faults(&step)?);
        Ok(wrong)
    }
}
