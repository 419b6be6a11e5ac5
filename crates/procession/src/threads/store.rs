//! What a queue's items lie in: an order, and nothing of waiting.

use std::collections::VecDeque;

/// The place of a queue's items. It is only ever used under the queue's lock, so it runs no code that it
/// does not know: it drops no item, and compares only what it can compare by itself.
pub trait Store: Sized {
    /// What lies in it.
    type Item;

    /// Puts one in.
    ///
    /// # Errors
    /// The item, if only code that must not run here could tell its place.
    fn push(&mut self, item: Self::Item) -> Result<(), Self::Item>;

    /// Takes the next one out.
    ///
    /// # Errors
    /// [`Unsure`] if only code that must not run here could tell which one comes after it.
    fn pop(&mut self) -> Result<Option<Self::Item>, Unsure>;

    /// What `pop` would give.
    fn first(&self) -> Option<&Self::Item>;

    /// All of it; an empty one of the same order stays.
    #[must_use]
    fn take(&mut self) -> Self;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back memory; called when a queue was found empty.
    fn relax(&mut self);
}

/// The order cannot be told under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsure;

/// Room that an empty queue keeps without asking.
const KEPT: usize = 1024;

/// Half of the room goes back each time: a queue that fills up again and again has it again after one step,
/// one that does not has little left after ten.
pub(super) fn less_room(room: usize) -> Option<usize> {
    (room > KEPT).then_some(room / 2)
}

/// The oldest first.
#[derive(Clone, Debug)]
pub struct Fifo<T> {
    items: VecDeque<T>,
}

impl<T> Fifo<T> {
    /// The items, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { items: VecDeque::new() }
    }
}

impl<T> IntoIterator for Fifo<T> {
    type Item = T;
    type IntoIter = std::collections::vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<T> Store for Fifo<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) -> Result<(), T> {
        self.items.push_back(item);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Result<Option<T>, Unsure> {
        Ok(self.items.pop_front())
    }

    fn first(&self) -> Option<&T> {
        self.items.front()
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    fn relax(&mut self) {
        if let Some(room) = less_room(self.items.capacity()) {
            self.items.shrink_to(room);
        }
    }
}

/// The newest first.
#[derive(Clone, Debug)]
pub struct Lifo<T> {
    items: Vec<T>,
}

impl<T> Lifo<T> {
    /// The items, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> IntoIterator for Lifo<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    /// The oldest first.
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<T> Store for Lifo<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) -> Result<(), T> {
        self.items.push(item);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Result<Option<T>, Unsure> {
        Ok(self.items.pop())
    }

    fn first(&self) -> Option<&T> {
        self.items.last()
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    fn relax(&mut self) {
        if let Some(room) = less_room(self.items.capacity()) {
            self.items.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fifo, KEPT, Store};

    #[test]
    fn an_idle_queue_gives_its_room_back() {
        let mut store = Fifo::default();
        for value in 0..100 * KEPT {
            store.push(value).unwrap();
        }
        while store.pop().unwrap().is_some() {}
        let full = store.items.capacity();
        store.relax();
        assert!(store.items.capacity() < full);
        assert!(store.items.capacity() > full / 4, "a busy queue would need it again");
        (0..10).for_each(|_| store.relax());
        assert!(store.items.capacity() <= KEPT);
    }
}
