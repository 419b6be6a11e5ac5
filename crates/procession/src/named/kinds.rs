//! What can have a name: which objects of the arena it consists of, and when one that is there is the one
//! that is wanted.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Named, NamedError};
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::collections::{
    DeliveryQueue, LifoQueue, PriorityQueue, SharedDict, SharedList, SharedValue,
};
use crate::error::HandleError;
use crate::primitives::{Barrier, Condition, Event, Lock, Mutex, RLock, RwLock, Semaphore};
use crate::queue::{JoinableQueue, Queue};
use crate::sync::RawSemaphore;

/// As many permits as any language's semaphore can have.
const PERMITS_MAX: u32 = i32::MAX.cast_unsigned();

fn agree(
    name: &str,
    what: &'static str,
    found: impl Display,
    wanted: impl Display,
) -> Result<(), NamedError> {
    let (found, wanted) = (found.to_string(), wanted.to_string());
    if found == wanted {
        return Ok(());
    }
    Err(NamedError::Differs { name: name.into(), what, found, wanted })
}

/// The handle of what consists of one object.
fn only(handles: &[Vec<u8>]) -> Result<&[u8], HandleError> {
    let [handle] = handles else { return Err(HandleError::Malformed) };
    Ok(handle)
}

/// The objects of what consists of one, and how it is opened.
macro_rules! one_object {
    ($type:ident, $lease:expr) => {
        fn leases(&self) -> Vec<Lease> {
            let lease: fn(&Self) -> Lease = $lease;
            vec![lease(self)]
        }
        fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
            $type::from_handle(only(handles)?)
        }
    };
}

/// A queue. `None`: with the capacity that it has, without a bound if it is new.
macro_rules! queue {
    ($type:ident, $kind:literal) => {
        impl<T> Named for $type<T> {
            const KIND: &'static str = $kind;
            type Params = Option<u64>;

            fn create_in(family: Family, capacity: &Option<u64>) -> Result<Self, NamedError> {
                Ok(match capacity {
                    Some(n) => $type::bounded_in(family, *n)?,
                    None => $type::unbounded_in(family)?,
                })
            }
            fn agrees(&self, name: &str, capacity: &Option<u64>) -> Result<(), NamedError> {
                let Some(wanted) = capacity else { return Ok(()) };
                let found = self.raw().capacity().map(|n| n.to_string());
                let found = found.unwrap_or_else(|| "without bound".into());
                agree(name, "capacity", found, (*wanted).max(1))
            }
            one_object!($type, |queue| queue.raw().lease());
        }
    };
}

queue!(Queue, "queue");
queue!(JoinableQueue, "joinable_queue");
queue!(DeliveryQueue, "delivery_queue");
queue!(LifoQueue, "lifo_queue");
queue!(PriorityQueue, "priority_queue");

/// What is made of nothing.
macro_rules! plain {
    ($kind:literal, $type:ident $(, $p:ident)*) => {
        impl<$($p),*> Named for $type<$($p),*> {
            const KIND: &'static str = $kind;
            type Params = ();

            fn create_in(family: Family, (): &()) -> Result<Self, NamedError> {
                Ok($type::new_in(family)?)
            }
            one_object!($type, |it| it.raw().lease());
        }
    };
}

plain!("dict", SharedDict, K, V);
plain!("list", SharedList, T);
plain!("lock", Lock);
plain!("rlock", RLock);
plain!("event", Event);

/// What is made of a value, if it is new.
macro_rules! valued {
    ($kind:literal, $type:ident, $lease:expr) => {
        impl<T: Serialize + DeserializeOwned> Named for $type<T> {
            const KIND: &'static str = $kind;
            type Params = T;

            fn create_in(family: Family, initial: &T) -> Result<Self, NamedError> {
                Ok($type::new_in(family, initial)?)
            }
            one_object!($type, $lease);
        }
    };
}

valued!("value", SharedValue, |value| value.raw().lease());
valued!("mutex", Mutex, Mutex::lease);
valued!("rwlock", RwLock, RwLock::lease);

impl Named for Semaphore {
    const KIND: &'static str = "semaphore";
    type Params = u32;

    fn create_in(family: Family, initial: &u32) -> Result<Self, NamedError> {
        let permits = (*initial).min(PERMITS_MAX);
        Ok(RawSemaphore::create(family, permits, PERMITS_MAX)?.into())
    }
    one_object!(Semaphore, |semaphore| semaphore.raw().lease());
}

/// A semaphore that never has more permits than at first.
#[derive(Debug)]
pub(super) struct Bounded(pub(super) Semaphore);

impl Bounded {
    fn from_handle(handle: &[u8]) -> Result<Bounded, HandleError> {
        Semaphore::from_handle(handle).map(Bounded)
    }
}

impl Named for Bounded {
    const KIND: &'static str = "bounded_semaphore";
    type Params = u32;

    fn create_in(family: Family, permits: &u32) -> Result<Self, NamedError> {
        Ok(Bounded(Semaphore::bounded_in(family, *permits)?))
    }
    fn agrees(&self, name: &str, permits: &u32) -> Result<(), NamedError> {
        agree(name, "permits", self.0.raw().max(), permits)
    }
    one_object!(Bounded, |semaphore| semaphore.0.raw().lease());
}

impl Named for Barrier {
    const KIND: &'static str = "barrier";
    type Params = u32;

    fn create_in(family: Family, parties: &u32) -> Result<Self, NamedError> {
        Ok(Barrier::new_in(family, *parties)?)
    }
    fn agrees(&self, name: &str, parties: &u32) -> Result<(), NamedError> {
        agree(name, "parties", self.parties(), parties)
    }
    one_object!(Barrier, |barrier| barrier.raw().lease());
}

/// A condition and the reentrant lock that belongs to it.
impl Named for (Condition, RLock) {
    const KIND: &'static str = "condition";
    type Params = ();

    fn create_in(family: Family, (): &()) -> Result<Self, NamedError> {
        Ok((Condition::new_in(family)?, RLock::new_in(family)?))
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.0.raw().lease(), self.1.raw().lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        let [condition, lock] = handles else { return Err(HandleError::Malformed) };
        Ok((Condition::from_handle(condition)?, RLock::from_handle(lock)?))
    }
}
