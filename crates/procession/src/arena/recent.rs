//! Which cells this process had lately.
//!
//! What a process wrote is in its core's cache. If it writes the same cell next time, the lines are
//! there; another's cell has to be fetched from that one's core first. Two processes that send one
//! another 1 MB, of which the receiver looks at a little, take a third of the time so.

use super::layout::{CLASSES, MIN_CLASS};

/// So many of each class: as many messages as are often under way.
const KEPT: usize = 8;

/// Newest first; 0: none.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    cells: [[u64; KEPT]; CLASSES],
}

impl Recent {
    pub(super) fn of(&self, class: u32) -> impl Iterator<Item = u64> + use<> {
        self.cells[(class - MIN_CLASS) as usize].into_iter().take_while(|&at| at != 0)
    }

    pub(super) fn note(&mut self, class: u32, at: u64) {
        let cells = &mut self.cells[(class - MIN_CLASS) as usize];
        let place = cells.iter().position(|&known| known == at).unwrap_or(KEPT - 1);
        cells[..=place].rotate_right(1);
        cells[0] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Recent};

    #[test]
    fn the_newest_comes_first_and_the_oldest_is_forgotten() {
        let mut recent = Recent::default();
        assert_eq!(recent.of(12).count(), 0);
        for at in 1..=KEPT as u64 + 1 {
            recent.note(12, at);
        }
        recent.note(12, 5);
        let kept: Vec<u64> = recent.of(12).collect();
        assert_eq!(kept, [5, 9, 8, 7, 6, 4, 3, 2]);
        assert_eq!(recent.of(13).count(), 0);
    }
}
