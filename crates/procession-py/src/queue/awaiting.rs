//! What event loops wait for at a queue.

use std::num::NonZeroU64;

use procession::{Awaited, End};
use pyo3::prelude::*;

use super::{PyQueueBase, Store};
use crate::blocking;
use crate::doorbell::{ALL, Ask};
use crate::error::Raise;

impl PyQueueBase {
    /// Answers a question of [`crate::doorbell`]. A queue that was closed lets all go on: they are told.
    pub(crate) fn ask<R>(&self, py: Python<'_>, what: Awaited, f: Ask<'_, R>) -> PyResult<R> {
        let queue = self.held(py)?;
        if let Store::Delivery(queue) = &*queue {
            blocking::settle(py, queue, End::Head)?;
            // A death rings nobody's bell.
            queue.recover_if_due().map_err(Raise::raise)?;
        }
        let ready = || match what {
            Awaited::Done if queue.unfinished() == 0 => ALL,
            Awaited::Done => 0,
            _ if self.is_closed() || queue.is_closed() => ALL,
            Awaited::Items => queue.len(),
            _ => room(&queue),
        };
        Ok(f(queue.family(), queue.spot(what), &ready))
    }
}

/// For how many messages there may be room. Where bytes are counted, too, one may still not fit.
fn room(queue: &Store) -> u64 {
    if queue.is_full() {
        return 0;
    }
    let capacity = queue.capacity().map_or(ALL, NonZeroU64::get);
    capacity.saturating_sub(queue.len()).max(1)
}
