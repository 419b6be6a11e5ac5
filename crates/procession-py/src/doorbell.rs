//! `Doorbell`: how an event loop waits for queues, locks, semaphores and events. See `_aio.py`.

use std::os::fd::RawFd;

use procession::{Awaited, Doorbell, Family, Spot};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::Raise;
use crate::queue::PyQueueBase;
use crate::sync::{PyEventBase, PyLockBase, PySemaphoreBase};

/// As many may go on as like: what is waited for will never end, or never come.
pub(crate) const ALL: u64 = u32::MAX as u64;

/// What an event loop hears by of the objects of one family that its tasks wait for.
#[pyclass(frozen, name = "Doorbell", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyDoorbell {
    bell: Doorbell,
    family: Family,
}

/// What is asked of an object: where one waits there, and how many may go on.
pub(crate) type Ask<'a, R> = &'a mut dyn FnMut(Family, Spot<'_>, &dyn Fn() -> u64) -> R;

#[pymethods]
impl PyDoorbell {
    /// For the family of this object.
    #[new]
    fn new(of: &Bound<'_, PyAny>) -> PyResult<Self> {
        let family = ask(of, 0, &mut |family, _, _| family)?;
        Ok(Self { bell: Doorbell::new(family).map_err(Raise::raise)?, family })
    }

    /// Readable when heard() has something to say.
    fn fileno(&self) -> RawFd {
        self.bell.fd()
    }

    /// From now on it is rung for this. A number that stands for it in heard(); -1: there is no place,
    /// it is heard of at the ticks only; None: the object is of another family.
    fn listen(&self, of: &Bound<'_, PyAny>, what: u8) -> PyResult<Option<i64>> {
        ask(of, what, &mut |family, spot, _| {
            (family.id() == self.family.id()).then(|| self.bell.listen(&spot).map_or(-1, i64::from))
        })
    }

    /// It is not rung for this any more.
    fn stop(&self, token: i64) {
        if let Ok(token) = u32::try_from(token) {
            self.bell.stop(token);
        }
    }

    /// What it was rung for since the last time.
    fn heard(&self) -> Vec<u32> {
        let mut rung = Vec::new();
        self.bell.heard(&mut rung);
        rung
    }

    /// To be called after each slice of waiting. All who wait look again after it.
    fn tick(&self, py: Python<'_>) {
        py.detach(|| self.bell.tick());
    }

    /// How many tasks may go on at this moment that wait for this.
    #[staticmethod]
    fn ready(of: &Bound<'_, PyAny>, what: u8) -> PyResult<u64> {
        ask(of, what, &mut |_, _, ready| ready())
    }

    /// Says that somebody waits for this, and then the same.
    #[staticmethod]
    fn announce(of: &Bound<'_, PyAny>, what: u8) -> PyResult<u64> {
        ask(of, what, &mut |_, spot, ready| {
            spot.announce();
            ready()
        })
    }
}

fn ask<R>(of: &Bound<'_, PyAny>, what: u8, f: Ask<'_, R>) -> PyResult<R> {
    if let Ok(queue) = of.cast::<PyQueueBase>() {
        let what = match what {
            0 => Awaited::Items,
            1 => Awaited::Room,
            2 => Awaited::Done,
            _ => return Err(PyValueError::new_err("nothing that can be waited for")),
        };
        return queue.get().ask(of.py(), what, f);
    }
    if let Ok(lock) = of.cast::<PyLockBase>() {
        let lock = lock.get().held()?;
        return Ok(f(lock.family(), lock.spot(), &|| u64::from(!lock.is_held())));
    }
    if let Ok(semaphore) = of.cast::<PySemaphoreBase>() {
        let semaphore = semaphore.get().held()?;
        return Ok(f(semaphore.family(), semaphore.spot(), &|| semaphore.value().into()));
    }
    if let Ok(event) = of.cast::<PyEventBase>() {
        let event = event.get().held()?;
        return Ok(f(event.family(), event.spot(), &|| if event.is_set() { ALL } else { 0 }));
    }
    Err(PyTypeError::new_err("not an object that tasks can wait for"))
}
