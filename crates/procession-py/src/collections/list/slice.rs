//! Slices of lists.

use procession::collections::Part;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};

use super::super::{ready, settle};
use super::{List, whole};
use crate::args;
use crate::error::Raise;

/// A slice's parts, as they were given.
pub(crate) struct Slice {
    pub(crate) start: Option<i64>,
    pub(crate) stop: Option<i64>,
    pub(crate) step: i64,
}

impl Slice {
    pub(crate) fn of(slice: &Bound<'_, PySlice>) -> PyResult<Self> {
        let py = slice.py();
        let part = |name| {
            let part = slice.getattr(name)?;
            if part.is_none() {
                return Ok(None);
            }
            if !part.get_type().hasattr("__index__")? {
                let text = "slice indices must be integers or None or have an __index__ method";
                return Err(PyTypeError::new_err(text));
            }
            args::bound(&part).map(Some)
        };
        let (start, stop) = (part(intern!(py, "start"))?, part(intern!(py, "stop"))?);
        match part(intern!(py, "step"))? {
            Some(0) => Err(PyValueError::new_err("slice step cannot be zero")),
            step => Ok(Self { start, stop, step: step.unwrap_or(1) }),
        }
    }

    /// Where a slice without steps begins and ends, as the core takes it.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        (self.step == 1).then(|| (self.start.unwrap_or(0), self.stop.unwrap_or(i64::MAX)))
    }

    /// What is said if no iterable is assigned to it.
    pub(crate) fn complaint(&self, py: Python<'_>) -> &'static str {
        match self.bounds() {
            Some(_) if py.version_info() < (3, 13) => "can only assign an iterable",
            _ => "must assign iterable to extended slice",
        }
    }

    /// The indices of a list of this length, in the slice's order.
    fn indices(&self, len: u64) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        let (len, step) = (i64::try_from(len).unwrap_or(i64::MAX), self.step.max(-i64::MAX));
        // CPython's `PySlice_AdjustIndices`.
        let (low, high) = if step < 0 { (-1, len - 1) } else { (0, len) };
        let place = |bound: Option<i64>, missing| match bound {
            Some(at) if at < 0 => at.saturating_add(len).max(low),
            Some(at) => at.min(high),
            None => missing,
        };
        let (start, stop) = if step < 0 {
            (place(self.start, high), place(self.stop, low))
        } else {
            (place(self.start, low), place(self.stop, high))
        };
        let way = if step < 0 { start - stop } else { stop - start };
        let count = if way <= 0 { 0 } else { (way - 1) / step.abs() + 1 };
        // Each lies between 0 and the length.
        (0..count.cast_unsigned() as usize)
            .map(move |i| (start + i.cast_signed() as i64 * step).cast_unsigned() as usize)
    }
}

pub(super) fn get<'py>(list: &List, slice: &Bound<'py, PySlice>) -> PyResult<Bound<'py, PyList>> {
    let (py, slice) = (slice.py(), Slice::of(slice)?);
    if let Some((from, to)) = slice.bounds() {
        return whole::objects(py, list, &list.slice(from, to).map_err(Raise::raise)?);
    }
    let all = list.snapshot().map_err(Raise::raise)?;
    let some = PyList::empty(py);
    for i in slice.indices(all.len) {
        some.append(whole::object(py, list, &all, i)?)?;
    }
    Ok(some)
}

pub(super) fn set(
    list: &List,
    slice: &Bound<'_, PySlice>,
    values: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (py, slice) = (slice.py(), Slice::of(slice)?);
    if values.try_iter().is_err() {
        return Err(PyTypeError::new_err(slice.complaint(py)));
    }
    let values = whole::Values::of(values, list.policy())?;
    let data = values.data();
    ready(py, list)?;
    if let Some((from, to)) = slice.bounds() {
        return list.splice(from, to, &data).map_err(Raise::raise);
    }
    settle(py, list, || {
        let (version, len) = list.glance().map_err(Raise::raise)?;
        let indices = slice.indices(len);
        if indices.len() != data.len() {
            return Err(PyValueError::new_err(format!(
                "attempt to assign sequence of size {} to extended slice of size {}",
                data.len(),
                indices.len()
            )));
        }
        let mut parts: Vec<Part<'_>> = (0..len).map(Part::Old).collect();
        for (i, datum) in indices.zip(&data) {
            parts[i] = Part::New(*datum);
        }
        Ok(list.assemble(version, &parts).map_err(Raise::raise)?.ok())
    })
}

pub(super) fn delete(list: &List, slice: &Bound<'_, PySlice>) -> PyResult<()> {
    let (py, slice) = (slice.py(), Slice::of(slice)?);
    if let Some((from, to)) = slice.bounds() {
        return list.splice(from, to, &[]).map_err(Raise::raise);
    }
    settle(py, list, || {
        let (version, len) = list.glance().map_err(Raise::raise)?;
        let mut stays = vec![true; len as usize];
        slice.indices(len).for_each(|i| stays[i] = false);
        let parts: Vec<Part<'_>> =
            (0..len).zip(stays).filter(|(_, stays)| *stays).map(|(i, _)| Part::Old(i)).collect();
        Ok(list.assemble(version, &parts).map_err(Raise::raise)?.ok())
    })
}
