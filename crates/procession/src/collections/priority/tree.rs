//! The tree: what is added to it anywhere, and taken from it at its lower end only.
//!
//! A node that is full is split, and its parent learns of the new one; at the end of everything the new
//! one begins empty, so that what comes in order fills its nodes. Nodes are never joined: only the first
//! leaf loses entries. When it has none left it is dropped, in a step of its own: so taking the lowest
//! changes no more words than the record has room for, and needs no memory.

use super::super::heap::{self, MOVING, Ref, TAIL};
use super::super::line::STAGE;
use super::node::{Entry, Key, Node, Perm, WIDTH};
use crate::arena::stock::Step;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// Roots: the topmost node, how many levels there are (0: no node), how many entries have no key, whether
/// the first leaf may be empty (a hint).
pub(super) const TREE: usize = 7;
pub(super) const DEPTH: usize = 8;
pub(super) const ODD: usize = 9;
const PRUNE: usize = 10;
/// Every node but the first of a level has at least seven entries.
pub(super) const DEEPEST: usize = 13;
/// A queue that is empty gives its memory back if it has more than so much.
const KEPT: u64 = 32 << 10;
/// Entries that stay where they are when a node is split.
const HALF: usize = 8;

/// An entry's place in a node, or the place for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) node: Node,
    pub(super) perm: Perm,
    pub(super) rank: usize,
}

impl Spot {
    pub(super) fn slot(&self) -> usize {
        self.perm.slot(self.rank)
    }
}

/// The way from the topmost node to a place in one without children.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    spots: [Spot; DEEPEST],
    len: usize,
}

impl Path {
    fn new() -> Path {
        let nowhere = Spot { node: Node { at: 0 }, perm: Perm(0), rank: 0 };
        Path { spots: [nowhere; DEEPEST], len: 0 }
    }

    fn push(&mut self, spot: Spot) {
        self.spots[self.len] = spot;
        self.len += 1;
    }

    #[inline]
    pub(super) fn spots(&self) -> &[Spot] {
        &self.spots[..self.len]
    }

    #[inline]
    pub(super) fn leaf(&self) -> &Spot {
        &self.spots[self.len - 1]
    }

    /// What is above the leaf.
    pub(super) fn above(&self) -> &[Spot] {
        &self.spots[..self.len - 1]
    }

    /// The hint of the leaf behind this path's.
    pub(super) fn next_leaf(&self) -> Option<u64> {
        let above = self.above();
        let level = above.iter().rposition(|spot| spot.rank + 1 < spot.perm.count())?;
        let hint = above[..level].iter().fold(0, |hint, spot| hint << 4 | spot.rank as u64);
        Some(((hint << 4) + above[level].rank as u64 + 1) << (4 * (above.len() - 1 - level)))
    }
}

/// How many levels there are.
#[inline]
pub(super) fn depth(step: &Step) -> Result<usize, ArenaError> {
    let depth = step.root(DEPTH);
    if depth > DEEPEST as u64 {
        return Err(step.corrupt("the tree's depth"));
    }
    Ok(depth as usize)
}

/// Goes down the tree: `rank` says where to go in each node, of which there is at least one.
#[inline]
pub(super) fn descend(
    step: &Step,
    mut rank: impl FnMut(Node, bool) -> Result<(Perm, usize), ArenaError>,
) -> Result<Path, ArenaError> {
    let (mut path, mut r, depth) = (Path::new(), Ref(step.root(TREE)), depth(step)?);
    for level in 1..=depth {
        let node = Node::of(step, r)?;
        let (perm, rank) = rank(node, level == depth)?;
        path.push(Spot { node, perm, rank });
        if level < depth {
            r = node.word(step, perm.slot(rank))?;
        }
    }
    if path.len == 0 { Err(step.corrupt("there is no tree")) } else { Ok(path) }
}

/// As [`descend`], if only the end matters.
#[inline]
pub(super) fn leaf(
    step: &Step,
    mut rank: impl FnMut(Node, bool) -> Result<(Perm, usize), ArenaError>,
) -> Result<Spot, ArenaError> {
    let (mut r, depth) = (Ref(step.root(TREE)), depth(step)?);
    for _ in 1..depth {
        let node = Node::of(step, r)?;
        let (perm, rank) = rank(node, false)?;
        r = node.word(step, perm.slot(rank))?;
    }
    let node = Node::of(step, r)?;
    let (perm, rank) = rank(node, true)?;
    Ok(Spot { node, perm, rank })
}

/// Where a key belongs, behind all that are not more; and where the next entry's key is, if it is in
/// another node.
#[inline]
pub(super) fn seek(step: &Step, key: &Key<'_>) -> Result<(Spot, Option<Spot>), ArenaError> {
    let mut next = None;
    let spot = leaf(step, |node, is_leaf| {
        if is_leaf {
            return node.upper_bound(step, key, 0);
        }
        let (perm, above) = node.upper_bound(step, key, 1)?;
        if above < perm.count() {
            next = Some(Spot { node, perm, rank: above });
        }
        Ok((perm, above - 1))
    })?;
    Ok((spot, next))
}

/// The way that [`seek`] goes.
pub(super) fn way(step: &Step, key: &Key<'_>) -> Result<Path, ArenaError> {
    descend(step, |node, is_leaf| {
        let (perm, above) = node.upper_bound(step, key, usize::from(!is_leaf))?;
        Ok((perm, if is_leaf { above } else { above - 1 }))
    })
}

/// The lowest entry: its value, and where it is.
#[inline]
pub(super) fn first(step: &Step) -> Result<(Ref, Spot), ArenaError> {
    let mut spot = leaf(step, |node, _| Ok((node.perm(step)?, 0)))?;
    if spot.perm.count() == 0 {
        spot = first_behind_empty_ones(step)?;
    }
    Ok((spot.node.word(step, spot.slot())?, spot))
}

/// Whether a key is less than the lowest one; there is one.
#[inline]
pub(super) fn is_before_first(step: &Step, key: &Key<'_>) -> Result<bool, ArenaError> {
    let (_, spot) = first(step)?;
    Ok(spot.node.compare(step, spot.slot(), key)?.is_gt())
}

/// There was no memory to drop the first leaf, or no time.
#[cold]
fn first_behind_empty_ones(step: &Step) -> Result<Spot, ArenaError> {
    let mut hint = Some(0);
    while let Some(at) = hint {
        let path = follow_hint(step, at)?;
        if path.leaf().perm.count() > 0 {
            return Ok(*path.leaf());
        }
        hint = path.next_leaf();
    }
    Err(step.corrupt("no leaf has entries"))
}

/// The way to the leaf that a hint names: a path of ranks, four bits each, the last one's lowest. Where
/// there is no such rank it leads to the last one.
pub(super) fn follow_hint(step: &Step, hint: u64) -> Result<Path, ArenaError> {
    let mut level = depth(step)? as u32;
    descend(step, |node, _| {
        level -= 1;
        let perm = node.perm(step)?;
        let rank = if level == 0 { 0 } else { (hint >> (4 * (level - 1)) & 15) as usize };
        Ok((perm, rank.min(perm.count().saturating_sub(1))))
    })
}

/// Makes an entry the first one of an empty tree.
pub(super) fn begin(step: &mut Step, entry: &Entry) -> Result<(), ArenaError> {
    let node = Node::fresh(step, &[*entry])?;
    step.set_root(TREE, node.0);
    step.set_root(DEPTH, 1);
    Ok(())
}

/// Adds an entry at a place in a leaf, if that has room.
#[inline]
pub(super) fn insert(step: &mut Step, spot: &Spot, entry: &Entry) -> Result<bool, ArenaError> {
    let Spot { node, perm, rank } = *spot;
    if perm.count() == WIDTH {
        return Ok(false);
    }
    let (perm, slot) = perm.insert(rank);
    node.write(step, slot, entry)?;
    step.set(node.at, perm.0);
    Ok(true)
}

/// Adds an entry at the end of a path, at which there is no room.
#[cold]
pub(super) fn split(step: &mut Step, path: &Path, entry: &Entry) -> Result<(), ArenaError> {
    let mut entry = *entry;
    for (level, spot) in path.spots().iter().enumerate().rev() {
        let Spot { node, perm, mut rank } = *spot;
        if level + 1 < path.len {
            rank += 1; // behind the child that was split
        }
        if perm.count() < WIDTH {
            let (perm, slot) = perm.insert(rank);
            node.write(step, slot, &entry)?;
            step.set(node.at, perm.0);
            return Ok(());
        }
        let is_last = path.spots()[..level].iter().all(|up| up.rank + 1 == up.perm.count());
        let half = if is_last && rank == WIDTH { WIDTH } else { HALF };
        let mut right = Vec::with_capacity(WIDTH + 1);
        for rank in half..WIDTH {
            right.push(node.entry(step, perm.slot(rank))?);
        }
        if rank > half || half == WIDTH {
            right.insert(rank - half, entry);
            step.set(node.at, perm.cut(half).0);
        } else {
            // The slot is in use until the commit.
            let (perm, slot) = perm.cut(half).insert(rank);
            node.set(step, slot, &entry);
            step.set(node.at, perm.0);
        }
        let word = Node::fresh(step, &right)?;
        crash_point!("priority.split");
        let Entry { first, rest, .. } = right[0];
        // What is above keeps a key of its own: this one may be taken out.
        entry = Entry { first, word, rest: rest.duplicate(step)? };
    }
    if path.len == DEEPEST {
        return Err(step.corrupt("the tree is too deep"));
    }
    let old = Entry { first: 0, word: Ref(step.root(TREE)), rest: Ref(0) };
    let top = Node::fresh(step, &[old, entry])?;
    step.set_root(TREE, top.0);
    step.set_root(DEPTH, path.len as u64 + 1);
    Ok(())
}

/// Gives all memory back.
pub(super) fn empty(step: &mut Step) -> Result<(), ArenaError> {
    step.free_all(step.root(STAGE))?;
    for root in [TREE, DEPTH, ODD, TAIL, MOVING] {
        if step.root(root) != 0 {
            step.set_root(root, 0);
        }
    }
    crash_point!("priority.emptied");
    Ok(())
}

/// Lets go of the first entry; `left` stay.
#[inline]
pub(super) fn remove_first(
    step: &mut Step,
    value: Ref,
    leaf: Spot,
    left: u64,
) -> Result<(), ArenaError> {
    if left == 0 && (heap::room(step) > KEPT || depth(step)? > 1) {
        return empty(step);
    }
    let rest = leaf.node.rest(step, leaf.slot())?;
    step.set(leaf.node.at, leaf.perm.remove(0).0);
    if leaf.perm.count() == 1 {
        step.write_root(PRUNE, 1);
    }
    if rest.is_none() {
        step.set_root(ODD, step.root(ODD).saturating_sub(1));
    }
    // The value was stored last.
    value.drop_last(step)?;
    rest.drop_last(step)?;
    crash_point!("priority.taking");
    Ok(())
}

/// Drops the first leaves, as far as they are empty. Nobody sees a difference.
#[inline]
pub(super) fn prune(step: &mut Step) -> Result<(), ArenaError> {
    if step.root(PRUNE) != 0 { prune_all(step) } else { Ok(()) }
}

#[cold]
fn prune_all(step: &mut Step) -> Result<(), ArenaError> {
    while depth(step)? > 1 {
        let path = descend(step, |node, _| Ok((node.perm(step)?, 0)))?;
        if path.leaf().perm.count() > 0 {
            break;
        }
        drop_first_leaf(step, &path)?;
        step.commit_quietly()?;
    }
    step.write_root(PRUNE, 0);
    Ok(())
}

/// The first leaf has no entries any more.
fn drop_first_leaf(step: &mut Step, path: &Path) -> Result<(), ArenaError> {
    let above = path.above();
    let level = above.iter().rposition(|spot| spot.perm.count() > 1);
    // The topmost node has at least two children.
    let level = level.ok_or_else(|| step.corrupt("a node has too few children"))?;
    let Spot { node, perm, .. } = above[level];
    for spot in &above[level..] {
        spot.node.word(step, spot.slot())?.drop(step)?;
        spot.node.rest(step, spot.slot())?.drop(step)?;
    }
    let perm = perm.remove(0);
    step.set(node.at, perm.0);
    crash_point!("priority.leaf_dropped");
    if level == 0 && perm.count() == 1 { flatten(step, node, perm) } else { Ok(()) }
}

/// The topmost node has one child: that is the topmost from now on, and so on.
fn flatten(step: &mut Step, mut node: Node, mut perm: Perm) -> Result<(), ArenaError> {
    let mut depth = depth(step)?;
    let mut top = Ref(step.root(TREE));
    while depth > 1 && perm.count() == 1 {
        let slot = perm.slot(0);
        let (child, rest) = (node.word(step, slot)?, node.rest(step, slot)?);
        top.drop(step)?;
        rest.drop(step)?;
        (top, depth) = (child, depth - 1);
        node = Node::of(step, child)?;
        perm = node.perm(step)?;
    }
    step.set_root(TREE, top.0);
    step.set_root(DEPTH, depth as u64);
    Ok(())
}
