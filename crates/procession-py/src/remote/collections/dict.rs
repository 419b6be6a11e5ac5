//! `RemoteDictBase`: what a dict on a server is made of.
//!
//! A key is a *name*: its message, and its group unless it is found by its bytes. Where only this process can tell whether
//! keys are equal a method answers `NotImplemented`.

// What PyO3 takes out of an argument is handed over.
#![allow(clippy::needless_pass_by_value)]

use std::time::Duration;

use procession::remote::{Added, Exchanged, RemoteDict, Seen, Settled, key_in_field};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::super::there::At;
use super::super::{PyRemoteServer, interruptible, message};
use super::{Kept, borrowed, given};
use crate::blocking::Patience;
use crate::codec::store;
use crate::codec::{DecodeError, Policy, Scratch};

/// A name: the message, and the group.
type Named<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);
/// Messages, of keys and of values.
type Messages<'py> = Vec<Bound<'py, PyBytes>>;

/// The native part of a dict on a server. Use `procession.Family(url).dict(name)`.
#[pyclass(frozen, subclass, weakref, name = "RemoteDictBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteDictBase {
    kept: Kept<RemoteDict>,
}

#[pymethods]
impl PyRemoteDictBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { kept: Kept::new() }
    }

    /// Makes a new dict.
    fn _create(&self, server: &Bound<'_, PyRemoteServer>) -> PyResult<()> {
        self.kept.there.begin(server, RemoteDict::anonymous)
    }

    /// Becomes the dict of that name, which is made if there is none.
    fn _find(&self, server: &Bound<'_, PyRemoteServer>, name: &str) -> PyResult<()> {
        self.kept.there.begin(server, |at| RemoteDict::named(at, name))
    }

    /// Becomes the object that a handle names.
    fn _attach(&self, server: &Bound<'_, PyRemoteServer>, key: &str) -> PyResult<()> {
        self.kept.there.begin(server, |at| RemoteDict::attach(at, key))
    }

    /// Its server, and what names it there; `to_send`: for a handle that is about to travel.
    #[pyo3(signature = (to_send=false))]
    fn _there(&self, py: Python<'_>, to_send: bool) -> PyResult<At> {
        self.kept.there.at(py, to_send)
    }

    /// From now on this process stores plain data only, and unpickles nothing that it finds.
    fn _refuse_pickle(&self) {
        self.kept.refuse_pickle();
    }

    /// Whether it does so.
    #[getter]
    fn _plain_only(&self) -> bool {
        self.kept.policy() == Policy::PlainOnly
    }

    /// An object as a message.
    fn _pack<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.kept.pack(obj)
    }

    /// A message's object.
    fn _unpack<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.kept.unpack(py, message)
    }

    /// The key of the dict's own lock.
    fn _lock_key(&self, py: Python<'_>) -> PyResult<String> {
        self.kept.ask(py, RemoteDict::lock_key)
    }

    /// A key's message, and its group if it is not found by its bytes.
    fn _name<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Named<'py>> {
        let (py, mut scratch) = (key.py(), Scratch::take());
        let server = self.kept.there.server(py)?;
        let (kind, name) = message::encode_key(server, key, self.kept.policy(), &mut scratch)?;
        let group = name.group(&scratch).map(|group| PyBytes::new(py, group));
        let message = [&[kind], &scratch.key[..]].concat();
        Ok((PyBytes::new(py, &message), group))
    }

    /// The key of a field; with `maybe`, `NotImplemented` if this process may not look at it.
    #[pyo3(signature = (field, maybe=false))]
    fn _unpack_key<'py>(
        &self,
        py: Python<'py>,
        field: &[u8],
        maybe: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (kind, body) = key_in_field(field).ok_or(DecodeError::Corrupt("a dict's field"))?;
        if maybe && !store::may_equal(kind, self.kept.policy()) {
            return Ok(unsure(py));
        }
        self.kept.unpack_parts(py, store::without_odd(kind), body)
    }

    /// Asks other clients to change nothing for so many milliseconds; 0 ends that. Whether nobody else has.
    fn _claim(&self, py: Python<'_>, ms: u64) -> PyResult<bool> {
        self.kept.ask(py, |it| it.claim(Duration::from_millis(ms)))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.kept.ask(py, RemoteDict::len)? as usize)
    }

    /// The value of a field, or None.
    fn _get<'py>(&self, py: Python<'py>, field: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(seen(py, self.kept.ask(py, |dict| dict.get(field))?))
    }

    /// Whether there is such a field.
    fn _contains<'py>(&self, py: Python<'py>, field: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        truth(py, self.kept.ask(py, |dict| dict.contains(field))?)
    }

    /// Sets a plain key's value. Whether it is a new one.
    fn _set<'py>(
        &self,
        py: Python<'py>,
        field: &[u8],
        value: Vec<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        truth(py, self.kept.ask(py, |dict| dict.set(field, value))?)
    }

    /// Replaces a field's value. Whether it is there.
    fn _replace(&self, py: Python<'_>, field: &[u8], value: Vec<u8>) -> PyResult<bool> {
        self.kept.ask(py, |dict| dict.replace(field, value))
    }

    /// A plain key's value; None if it is set now.
    fn _default<'py>(
        &self,
        py: Python<'py>,
        field: &[u8],
        value: Vec<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(seen(py, self.kept.ask(py, |dict| dict.set_default(field, value))?))
    }

    /// Removes a field. Its value, or None.
    fn _pop<'py>(&self, py: Python<'py>, field: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        Ok(seen(py, self.kept.ask(py, |dict| dict.pop(field))?))
    }

    /// Removes the newest entry. Field and value, or None.
    fn _popitem<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let popped = self.kept.ask(py, RemoteDict::pop_last)?;
        Ok(popped.map(|(field, value)| (PyBytes::new(py, &field), PyBytes::new(py, &value))))
    }

    /// Sets a field's value if it is `old`, or if there is none. True; or what it is, in a tuple.
    #[pyo3(signature = (field, old, new))]
    fn _exchange<'py>(
        &self,
        py: Python<'py>,
        field: &[u8],
        old: Option<&[u8]>,
        new: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.kept.ask(py, |dict| dict.exchange(field, old, Some(new)))? {
            Exchanged::Done => truth(py, Some(true)),
            Exchanged::Is(value) => is(py, value),
            Exchanged::Unsure => Ok(unsure(py)),
        }
    }

    /// Adds to a plain key's number. The sum's message; or what it is, in a tuple, if the server can't add these.
    fn _add<'py>(
        &self,
        py: Python<'py>,
        field: &[u8],
        summand: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.kept.ask(py, |dict| dict.add(field, summand, false))? {
            Added::Sum(sum) => Ok(PyBytes::new(py, &sum).into_any()),
            Added::NotHere(value) => is(py, value),
            Added::Unsure => Ok(unsure(py)),
        }
    }

    /// Sets the values of plain keys, each of which stands before its value. Whether bytes tell that they are these.
    fn _update(&self, py: Python<'_>, entries: Messages<'_>) -> PyResult<bool> {
        let entries = borrowed(&entries);
        self.kept.ask(py, |dict| dict.update(entries.chunks_exact(2).map(|two| (two[0], two[1]))))
    }

    /// Sets the values of keys that were compared: (field, value), or (key, value, group, mark) for a new one. Whether
    /// all is as it was.
    fn _settle(&self, py: Python<'_>, entries: Vec<Messages<'_>>) -> PyResult<bool> {
        let entries: Vec<Vec<&[u8]>> = entries.iter().map(|entry| borrowed(entry)).collect();
        let settled = entries.iter().filter_map(|entry| match entry[..] {
            [field, value] => Some((Settled::There(field), value)),
            [key, value, group, mark] => Some((Settled::New(key, group, mark), value)),
            _ => None,
        });
        let settled: Vec<_> = settled.collect();
        self.kept.ask(py, |dict| dict.settle(settled))
    }

    /// The keys that may be equal to one of a group: their mark, and their fields.
    fn _candidates<'py>(
        &self,
        py: Python<'py>,
        group: &[u8],
    ) -> PyResult<(Bound<'py, PyBytes>, Messages<'py>)> {
        let found = self.kept.ask(py, |dict| dict.candidates(group))?;
        Ok((PyBytes::new(py, &found.mark), given(py, &found.fields)))
    }

    /// Some fields behind a place, the shape, and the next place if there are more.
    fn _page<'py>(
        &self,
        py: Python<'py>,
        after: &[u8],
        bytes: i64,
    ) -> PyResult<(Messages<'py>, i64, Option<Bound<'py, PyBytes>>)> {
        let page = self.kept.ask(py, |dict| dict.page(after, false, 0, bytes))?;
        let next = page.next.map(|next| PyBytes::new(py, &next));
        Ok((given(py, &page.fields), page.shape, next))
    }

    /// All fields, and their values if these are asked for, as they are at one moment.
    fn _snapshot<'py>(
        &self,
        py: Python<'py>,
        with_values: bool,
    ) -> PyResult<(Messages<'py>, Messages<'py>)> {
        let all = self.kept.ask(py, |dict| dict.snapshot(with_values))?;
        Ok((given(py, &all.fields), given(py, &all.values)))
    }

    /// Removes all entries.
    fn _clear(&self, py: Python<'_>) -> PyResult<()> {
        self.kept.ask(py, RemoteDict::clear)
    }

    /// A number that moves when keys are added or removed.
    fn _shape(&self, py: Python<'_>) -> PyResult<i64> {
        self.kept.ask(py, RemoteDict::shape)
    }

    /// Waits until that is another one, at most so many seconds. Whether it is.
    #[pyo3(signature = (since, timeout))]
    fn _wait(
        &self,
        py: Python<'_>,
        since: i64,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let (patience, dict) = (Patience::from_args(None, timeout)?, self.kept.there.get()?);
        interruptible(py, patience, |patience| dict.wait_for_change(since, patience))
    }
}

fn unsure(py: Python<'_>) -> Bound<'_, PyAny> {
    py.NotImplemented().into_bound(py)
}

fn seen(py: Python<'_>, seen: Seen) -> Bound<'_, PyAny> {
    match seen {
        Seen::Nothing => py.None().into_bound(py),
        Seen::Value(value) => PyBytes::new(py, &value).into_any(),
        Seen::Unsure => unsure(py),
    }
}

fn truth(py: Python<'_>, found: Option<bool>) -> PyResult<Bound<'_, PyAny>> {
    match found {
        Some(found) => Ok(found.into_pyobject(py)?.to_owned().into_any()),
        None => Ok(unsure(py)),
    }
}

fn is(py: Python<'_>, value: Option<Vec<u8>>) -> PyResult<Bound<'_, PyAny>> {
    let value = value.map(|value| PyBytes::new(py, &value));
    Ok((value,).into_pyobject(py)?.into_any())
}
