//! A thread queue as `procession::threads` wants its host: the interpreter's lock, Python callbacks, and
//! sleep that Ctrl-C ends.

use std::time::{Duration, Instant};

use procession::threads::{
    Change, Host, Parked, Parker, Refusal, Side, State, Store, deliver, deliver_all,
    is_main_thread, this_thread, wait,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::PyThreadQueueBase;
use super::guarded::raise_later;
use super::items::Items;
use super::plain::Entry;
use crate::blocking::Patience;

/// What an attempt under the lock has come to.
pub(super) enum Try<T> {
    /// That.
    Done(T),
    /// Nothing.
    Refused(Refusal),
    /// Python code must look into the store, which was taken away for it.
    Store(Items),
}

/// What a queue's lock protects.
pub(super) type Inside = State<Items, Py<PyAny>>;

/// A queue, and a thread that is attached.
#[derive(Clone, Copy)]
pub(super) struct Here<'a, 'py> {
    pub(super) queue: &'a PyThreadQueueBase,
    pub(super) py: Python<'py>,
}

/// A signal that came just before the main thread fell asleep is noticed so much later. Other threads run no
/// handlers.
const LOOK: Duration = Duration::from_millis(250);

impl Host for Here<'_, '_> {
    type Store = Items;
    type Call = Py<PyAny>;
    type Stop = PyErr;

    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut Inside) -> R) -> R {
        self.queue.state.with(self.py, act)
    }

    fn call(&self, call: Py<PyAny>) -> bool {
        match call.into_bound(self.py).call0() {
            Ok(heard) => !heard.is(PyBool::new(self.py, false)),
            Err(error) => {
                // A closed event loop says so. Everything else is not about the callback: a signal's handler
                // ran inside, say.
                if !error.is_instance_of::<PyRuntimeError>(self.py) {
                    raise_later(self.py, error);
                }
                false
            }
        }
    }

    fn sleep(&self, parker: &Parker, deadline: Option<Instant>) -> PyResult<bool> {
        // Looks by itself, so that nobody waits for the interpreter meanwhile.
        let park = |left: Option<Duration>| {
            let most = is_main_thread().then_some(LOOK);
            parker.park(left.map_or(most, |left| Some(most.map_or(left, |most| most.min(left)))))
        };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            let parked = self.py.detach(|| park(left));
            self.py.check_signals()?;
            if parked == Parked::Woken {
                return Ok(true);
            }
        }
    }
}

impl Here<'_, '_> {
    /// Tries once, or until patience ends.
    pub(super) fn attempt<R>(
        self,
        side: Side,
        patience: Patience,
        mut attempt: impl FnMut(&mut Inside) -> Option<R>,
    ) -> PyResult<Option<R>> {
        match patience {
            Patience::None => Ok(self.with(attempt)),
            Patience::Until(deadline) => {
                // Who finds something need not make ready for a sleep.
                match self.with(&mut attempt) {
                    Some(gained) => Ok(Some(gained)),
                    None => wait(&self, side, deadline, attempt),
                }
            }
        }
    }

    /// What an operation has come to, with the store if it needs that.
    pub(super) fn refused<T>(state: &mut Inside, refusal: Refusal) -> Try<T> {
        match refusal {
            Refusal::Unsure => match state.take_away(this_thread()) {
                Ok(items) => Try::Store(items),
                Err(refusal) => Try::Refused(refusal),
            },
            refusal => Try::Refused(refusal),
        }
    }

    /// Waits until the store is back.
    pub(super) fn await_store(self) -> PyResult<()> {
        let back = self.try_await_store();
        if back.is_err() {
            self.pass_on();
        }
        back
    }

    /// Who was woken and gives up leaves whatever there is to the next ones.
    fn pass_on(self) {
        for side in [Side::Item, Side::Room] {
            deliver(&self, side, self.with(|state| state.pass_on(side)));
        }
    }

    fn try_await_store(self) -> PyResult<()> {
        if self.with(|state| state.is_lost()) {
            return Err(PyRuntimeError::new_err(
                "the queue's items were being compared by a thread that a fork has left behind",
            ));
        }
        if self.with(|state| state.holder()) == Some(this_thread()) {
            return Err(PyRuntimeError::new_err(
                "the queue is used while its items are compared, by the same thread",
            ));
        }
        let back = |state: &mut Inside| state.holder().is_none().then_some(());
        wait(&self, Side::Back, None, back).map(|_| ())
    }

    /// Appends the items to a container, completes the queue's opening, and hands it over; if anything of
    /// that fails the queue is as it was.
    pub(super) fn open_away(
        self,
        items: Items,
        append: &Bound<'_, PyAny>,
        complete: impl FnOnce() -> PyResult<()>,
    ) -> PyResult<()> {
        let mut away = Away { here: self, items, change: Change::None };
        away.items.try_each(|item| append.call1((item,)).map(drop))?;
        complete()?;
        let (items, wakes) = (away.items.take(), self.with(State::hand_over));
        std::mem::forget(away);
        deliver_all(&self, wakes);
        drop(items);
        Ok(())
    }

    /// Puts an item where only Python code can tell its place. An exception out of that leaves the queue as
    /// it was.
    pub(super) fn put_away(self, items: Items, item: Py<PyAny>) -> PyResult<()> {
        let mut away = Away { here: self, items, change: Change::None };
        let Items::Heap(heap) = &mut away.items else { return Ok(()) };
        match heap.push(Entry::new(item), |a, b| a.less_python(b, self.py)) {
            Ok(()) => {
                away.change = Change::Put;
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Takes an item where only Python code can tell the next one; `None` if there is none.
    pub(super) fn get_away(self, items: Items) -> PyResult<Option<Py<PyAny>>> {
        let mut away = Away { here: self, items, change: Change::None };
        let Items::Heap(heap) = &mut away.items else { return Ok(None) };
        let got = heap.pop(|a, b| a.less_python(b, self.py))?;
        if got.is_some() {
            away.change = Change::Got;
        }
        Ok(got.map(|entry| entry.item))
    }
}

/// The store, in the hands of one thread that holds no lock.
struct Away<'a, 'py> {
    here: Here<'a, 'py>,
    items: Items,
    change: Change,
}

impl Drop for Away<'_, '_> {
    fn drop(&mut self) {
        let items = self.items.take();
        let back = self.here.with(|state| state.bring_back(items, self.change));
        deliver_all(&self.here, back);
        let side = match self.change {
            Change::None => return self.here.pass_on(),
            Change::Put => Side::Item,
            Change::Got => Side::Room,
        };
        deliver(&self.here, side, self.here.with(|state| state.pass_on(side)));
    }
}

/// From `block` and `timeout` as `queue.Queue` has them.
pub(super) fn patience(
    block: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Patience> {
    if let Some(block) = block
        && !block.is_truthy()?
    {
        return Ok(Patience::None);
    }
    match timeout {
        None => Ok(Patience::Until(None)),
        Some(timeout) if timeout.is_none() => Ok(Patience::Until(None)),
        Some(timeout) if timeout.lt(0)? => {
            Err(PyValueError::new_err("'timeout' must be a non-negative number"))
        }
        Some(timeout) => Patience::from_timeout(timeout),
    }
}
