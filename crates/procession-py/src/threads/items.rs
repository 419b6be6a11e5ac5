//! What a thread queue's objects lie in.

use procession::threads::{Fifo, Heap, Lifo, Store, Unsure};
use pyo3::PyTraverseError;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;

use super::plain::Entry;

/// Objects in one of three orders.
#[derive(Debug)]
pub(super) enum Items {
    Fifo(Fifo<Py<PyAny>>),
    Lifo(Lifo<Py<PyAny>>),
    Heap(Heap<Entry>),
}

impl Items {
    /// By its name.
    pub(super) fn of_order(order: &str) -> Option<Self> {
        match order {
            "fifo" => Some(Self::default()),
            "lifo" => Some(Self::Lifo(Lifo::default())),
            "priority" => Some(Self::Heap(Heap::default())),
            _ => None,
        }
    }

    /// Each one, in the order of the attribute `queue` of the standard library's.
    pub(super) fn try_each<E>(
        &self,
        mut act: impl FnMut(&Py<PyAny>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Fifo(items) => items.iter().try_for_each(act),
            Self::Lifo(items) => items.iter().try_for_each(act),
            Self::Heap(items) => items.iter().try_for_each(|entry| act(&entry.item)),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.try_each(|item| visit.call(item))
    }
}

impl Default for Items {
    fn default() -> Self {
        Self::Fifo(Fifo::default())
    }
}

impl Store for Items {
    type Item = Py<PyAny>;

    #[inline]
    fn push(&mut self, item: Py<PyAny>) -> Result<(), Py<PyAny>> {
        match self {
            Self::Fifo(items) => items.push(item),
            Self::Lifo(items) => items.push(item),
            Self::Heap(items) => {
                items.push(Entry::new(item), Entry::less).map_err(|(entry, Unsure)| entry.item)
            }
        }
    }

    #[inline]
    fn pop(&mut self) -> Result<Option<Py<PyAny>>, Unsure> {
        match self {
            Self::Fifo(items) => items.pop(),
            Self::Lifo(items) => items.pop(),
            Self::Heap(items) => Ok(items.pop(Entry::less)?.map(|entry| entry.item)),
        }
    }

    fn first(&self) -> Option<&Py<PyAny>> {
        match self {
            Self::Fifo(items) => items.first(),
            Self::Lifo(items) => items.first(),
            Self::Heap(items) => items.first().map(|entry| &entry.item),
        }
    }

    fn take(&mut self) -> Self {
        let empty = match self {
            Self::Fifo(_) => Self::Fifo(Fifo::default()),
            Self::Lifo(_) => Self::Lifo(Lifo::default()),
            Self::Heap(_) => Self::Heap(Heap::default()),
        };
        std::mem::replace(self, empty)
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Fifo(items) => items.len(),
            Self::Lifo(items) => items.len(),
            Self::Heap(items) => items.len(),
        }
    }

    fn relax(&mut self) {
        match self {
            Self::Fifo(items) => items.relax(),
            Self::Lifo(items) => items.relax(),
            Self::Heap(items) => items.relax(),
        }
    }
}
