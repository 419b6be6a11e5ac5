//! `FamilyBase`: a named family, and what has a name in it.
//!
//! An object is found or made here, and given as handles: the classes open these as any others. So the
//! kinds are the core's, and a Rust program finds the same objects.

use std::num::NonZeroU64;
use std::sync::OnceLock;

use procession::sync::{RawBarrier, RawCondition, RawEvent, RawLock, RawSemaphore};
use procession::{Family, Lease, NamedError, NamedObject, RawDict, RawList};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::codec::store::Value;
use crate::codec::{Policy, Scratch};
use crate::error::Raise;
use crate::family;
use crate::lease::PyLease;
use crate::queue::{self, Order, Store};

/// As many permits as a semaphore can have.
const PERMITS_MAX: u32 = i32::MAX.cast_unsigned();

/// The native part of a named family. Use `procession.Family`.
#[pyclass(frozen, subclass, weakref, name = "FamilyBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyFamilyBase {
    family: OnceLock<Family>,
}

#[pymethods]
impl PyFamilyBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { family: OnceLock::new() }
    }

    /// Joins the family of that name, which is made if nobody is in it.
    fn _open(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let family = py.detach(|| Family::open(name)).map_err(Raise::raise)?;
        family::introduce(family);
        self.family.set(family).map_err(|_| PyRuntimeError::new_err("it was opened already"))
    }

    /// The family's own name for itself, in hexadecimal: another one each time that it is made.
    #[getter]
    fn _id(&self) -> PyResult<String> {
        Ok(self.held()?.id().to_string())
    }

    /// The object of that name, which is made if there is none: the handles of what it consists of, and
    /// what keeps it alive until they are opened.
    #[pyo3(signature = (kind, name, argument, plain_only))]
    fn _object<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        name: &str,
        argument: &Bound<'py, PyAny>,
        plain_only: bool,
    ) -> PyResult<(Vec<Bound<'py, PyBytes>>, PyLease)> {
        let wanted = Wanted::of(kind, argument, Policy::plain_only(plain_only))?;
        let family = self.held()?;
        let object = py
            .detach(|| {
                let object = family.object(name, kind, |family| {
                    Ok::<_, NamedError>(NamedObject::new(kind, wanted.create(family)?))
                })?;
                wanted.agrees(name, &object)?;
                Ok(object)
            })
            .map_err(|error: NamedError| error.raise())?;
        let handles = object.handles().iter().map(|handle| PyBytes::new(py, handle)).collect();
        Ok((handles, PyLease::of(object.leases)))
    }

    /// What has a name: a dict of the kinds.
    fn _names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let family = self.held()?;
        let names = PyDict::new(py);
        for (name, kind) in py.detach(|| family.names()).map_err(Raise::raise)? {
            names.set_item(name, kind)?;
        }
        Ok(names)
    }

    /// Takes a name away. Whether there was one.
    fn _remove(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let family = self.held()?;
        py.detach(|| family.remove(name)).map_err(Raise::raise)
    }

    /// What the family uses, as `stats()` says it of this process's own.
    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        family::stats_of(py, *self.held()?)
    }

    /// What is wrong in the arena, as sentences. For tests.
    fn _check(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let family = self.held()?;
        Ok(py.detach(|| family.check()))
    }
}

impl PyFamilyBase {
    fn held(&self) -> PyResult<&Family> {
        self.family.get().ok_or_else(|| PyRuntimeError::new_err("Family.__init__() was not called"))
    }
}

/// What an object is to be like, if it is made now, or must be like.
enum Wanted {
    /// Whatever it is.
    Queue(Order),
    /// None: without a bound.
    QueueOf(Order, Option<NonZeroU64>),
    Lock {
        reentrant: bool,
    },
    Semaphore(u32),
    /// None: whatever it is.
    BoundedSemaphore(Option<u32>),
    Event,
    Condition,
    Barrier(u32),
    Dict,
    List,
    /// The first value.
    Value(Value, Vec<u8>),
}

impl Wanted {
    fn of(kind: &str, argument: &Bound<'_, PyAny>, policy: Policy) -> PyResult<Self> {
        let given = (!argument.is_none()).then_some(argument);
        Ok(match kind {
            "queue" | "joinable_queue" => Self::queue(Order::Fifo, given)?,
            "delivery_queue" => Self::queue(Order::Delivery, given)?,
            "lifo_queue" => Self::queue(Order::Lifo, given)?,
            "priority_queue" => Self::queue(Order::Priority, given)?,
            "lock" => Self::Lock { reentrant: false },
            "rlock" => Self::Lock { reentrant: true },
            "semaphore" => Self::Semaphore(given.map_or(Ok(1), permits)?),
            "bounded_semaphore" => Self::BoundedSemaphore(given.map(permits).transpose()?),
            "event" => Self::Event,
            "condition" => Self::Condition,
            "barrier" => Self::Barrier(given.map_or(Ok(1), PyAnyMethods::extract)?),
            "dict" => Self::Dict,
            "list" => Self::List,
            "value" => {
                let mut scratch = Scratch::take();
                let value = Value::of(argument, policy, &mut scratch)?;
                Self::Value(value, scratch.bytes.clone())
            }
            _ => return Err(PyValueError::new_err(format!("no kind of object: {kind}"))),
        })
    }

    fn queue(order: Order, maxsize: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(match maxsize {
            Some(maxsize) => Self::QueueOf(order, queue::capacity(maxsize)?),
            None => Self::Queue(order),
        })
    }

    /// Makes it.
    fn create(&self, family: Family) -> Result<Vec<Lease>, NamedError> {
        Ok(match self {
            Self::Queue(order) => vec![Store::create(family, *order, None, None)?.lease()],
            Self::QueueOf(order, bound) => {
                vec![Store::create(family, *order, *bound, None)?.lease()]
            }
            Self::Lock { reentrant } => vec![RawLock::create(family, *reentrant)?.lease()],
            Self::Semaphore(value) => {
                vec![RawSemaphore::create(family, *value, PERMITS_MAX)?.lease()]
            }
            Self::BoundedSemaphore(value) => {
                let value = value.unwrap_or(1);
                vec![RawSemaphore::create(family, value, value)?.lease()]
            }
            Self::Event => vec![RawEvent::create(family)?.lease()],
            Self::Condition => {
                let lock = RawLock::create(family, true)?;
                vec![RawCondition::create(family)?.lease(), lock.lease()]
            }
            Self::Barrier(parties) => vec![RawBarrier::create(family, *parties)?.lease()],
            Self::Dict => vec![RawDict::create(family)?.lease()],
            Self::List => vec![RawList::create(family)?.lease()],
            Self::Value(value, bytes) => {
                let list = RawList::create(family)?;
                list.push(&value.datum(bytes))?;
                vec![list.lease()]
            }
        })
    }

    /// Whether one that was there already is as this process wants it.
    fn agrees(&self, name: &str, object: &NamedObject) -> Result<(), NamedError> {
        if object.is_new {
            return Ok(());
        }
        let handles = object.handles();
        let handle = handles.first().map_or(&[][..], Vec::as_slice);
        match self {
            Self::QueueOf(_, bound) => {
                let found = Store::from_handle(handle)?.capacity();
                let say = |bound: Option<NonZeroU64>| {
                    bound.map_or_else(|| "without bound".into(), |n| n.to_string())
                };
                differs(name, "capacity", say(found), say(*bound))
            }
            Self::BoundedSemaphore(Some(value)) => {
                let found = RawSemaphore::from_handle(handle)?.max();
                differs(name, "maximum", found.to_string(), value.to_string())
            }
            Self::Barrier(parties) => {
                let found = RawBarrier::from_handle(handle)?.parties();
                differs(name, "parties", found.to_string(), parties.to_string())
            }
            _ => Ok(()),
        }
    }
}

fn differs(
    name: &str,
    what: &'static str,
    found: String,
    wanted: String,
) -> Result<(), NamedError> {
    if found == wanted {
        return Ok(());
    }
    Err(NamedError::Differs { name: name.into(), what, found, wanted })
}

fn permits(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let permits: i64 = value.extract()?;
    match u32::try_from(permits) {
        Ok(permits) if permits <= PERMITS_MAX => Ok(permits),
        _ => Err(PyValueError::new_err(format!("a semaphore can't have {permits} permits"))),
    }
}
