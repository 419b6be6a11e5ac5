//! A binary heap whose order is Python's `heapq`'s, comparison by comparison: the same pairs are compared,
//! in the same order, with the same one on the left, so that equal items come out as they do there.
//! (The algorithm: Williams 1964, with Floyd's way down to the leaf and up again.)
//!
//! Each operation first seeks and then moves. All comparisons are in the first part, which changes nothing:
//! a comparison that fails, or panics, leaves the heap and the item as they were.

use super::store::less_room;

/// More levels than memory could hold.
const LEVELS: usize = 64;

/// The least first.
#[derive(Clone, Debug)]
pub struct Heap<T> {
    items: Vec<T>,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> Heap<T> {
    /// Puts an item in; `less` says whether the first one comes before the second.
    ///
    /// # Errors
    /// What `less` failed with, and the item.
    pub fn push<E>(
        &mut self,
        item: T,
        mut less: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<(), (T, E)> {
        let mut place = self.items.len();
        while place > 0 {
            let parent = (place - 1) / 2;
            match less(&item, &self.items[parent]) {
                Ok(true) => place = parent,
                Ok(false) => break,
                Err(error) => return Err((item, error)),
            }
        }
        let mut at = self.items.len();
        self.items.push(item);
        while at > place {
            let parent = (at - 1) / 2;
            self.items.swap(at, parent);
            at = parent;
        }
        Ok(())
    }

    /// Takes the least one out.
    ///
    /// # Errors
    /// What `less` failed with.
    pub fn pop<E>(
        &mut self,
        mut less: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<Option<T>, E> {
        let Some((last, rest)) = self.items.split_last() else { return Ok(None) };
        // Down along the lesser children; path[0] is the root.
        let mut path = [0_usize; LEVELS];
        let mut depth = 0;
        let mut child = 1;
        while child < rest.len() {
            if child + 1 < rest.len() && !less(&rest[child], &rest[child + 1])? {
                child += 1;
            }
            depth += 1;
            path[depth] = child;
            child = 2 * child + 1;
        }
        // Up again, to where the last one belongs.
        while depth > 0 && less(last, &rest[path[depth]])? {
            depth -= 1;
        }
        let last = self.items.pop();
        if self.items.is_empty() {
            return Ok(last);
        }
        for step in 0..depth {
            self.items.swap(path[step], path[step + 1]);
        }
        Ok(last.map(|last| std::mem::replace(&mut self.items[path[depth]], last)))
    }

    /// The least one.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.items.first()
    }

    /// The items as they lie.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Gives back memory.
    pub fn relax(&mut self) {
        if let Some(room) = less_room(self.items.capacity()) {
            self.items.shrink_to(room);
        }
    }
}

impl<T> IntoIterator for Heap<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    /// As they lie: a heap, if they are put into a list in this order.
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::Heap;

    #[allow(clippy::trivially_copy_pass_by_ref)] // as the heap calls it
    fn less(a: &u32, b: &u32) -> Result<bool, u32> {
        if *a == 13 || *b == 13 { Err(*a) } else { Ok(a < b) }
    }

    #[test]
    fn comes_out_in_order() {
        let mut heap = Heap::default();
        let mut seed = 1_u32;
        let mut all = Vec::new();
        for _ in 0..500 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            all.push((seed >> 8) % 1000 + 100);
            heap.push((seed >> 8) % 1000 + 100, less).unwrap();
        }
        all.sort_unstable();
        let mut out = Vec::new();
        while let Some(item) = heap.pop(less).unwrap() {
            out.push(item);
        }
        assert_eq!(out, all);
    }

    #[test]
    fn equal_items_keep_heapqs_order() {
        // What CPython's heapq gives for objects whose `<` looks at the key alone.
        let mut heap = Heap::default();
        let by_key = |a: &(u8, char), b: &(u8, char)| Ok::<_, ()>(a.0 < b.0);
        for (i, name) in "abcdefgh".chars().enumerate() {
            heap.push((u8::from(i % 2 == 0), name), by_key).unwrap();
        }
        let mut out = String::new();
        while let Some((_, name)) = heap.pop(by_key).unwrap() {
            out.push(name);
        }
        assert_eq!(out, "bfdhgcea");
    }

    #[test]
    fn a_comparison_that_fails_changes_nothing() {
        let mut heap = Heap::default();
        for item in [5, 9, 7] {
            heap.push(item, less).unwrap();
        }
        assert_eq!(heap.push(13, less), Err((13, 13)));
        assert_eq!(heap.iter().copied().collect::<Vec<_>>(), [5, 9, 7]);
        let mut calls = 0;
        let failing = |_: &u32, _: &u32| {
            calls += 1;
            if calls == 2 { Err("no") } else { Ok(true) }
        };
        heap.push(10, less).unwrap();
        assert_eq!(heap.pop(failing), Err("no"));
        assert_eq!(heap.iter().copied().collect::<Vec<_>>(), [5, 9, 7, 10]);
    }
}
