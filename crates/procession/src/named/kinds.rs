//! What can have a name, and the call for each.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Named, NamedError};
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::collections::{SharedDict, SharedList, SharedValue};
use crate::error::HandleError;
use crate::queue::Queue;
use crate::sync::{RawBarrier, RawCondition, RawEvent, RawLock, RawSemaphore};

/// As many permits as any language's semaphore can have.
const PERMITS_MAX: u32 = i32::MAX.cast_unsigned();

fn differs(
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

/// The handle of an object that consists of one.
fn only(handles: &[Vec<u8>]) -> Result<&[u8], HandleError> {
    let [handle] = handles else { return Err(HandleError::Malformed) };
    Ok(handle)
}

/// `capacity: None`: as it is, and unbounded if it is new.
impl<T> Named for Queue<T> {
    const KIND: &'static str = "queue";
    type Params = Option<u64>;

    fn create_in(family: Family, capacity: &Option<u64>) -> Result<Self, NamedError> {
        Ok(match capacity {
            Some(n) => Queue::bounded_in(family, *n)?,
            None => Queue::unbounded_in(family)?,
        })
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.raw().lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        Queue::from_handle(only(handles)?)
    }
    fn agrees(&self, name: &str, capacity: &Option<u64>) -> Result<(), NamedError> {
        let Some(wanted) = capacity else { return Ok(()) };
        let found = self.capacity().map_or_else(|| "without bound".into(), |n| n.to_string());
        differs(name, "capacity", found, (*wanted).max(1))
    }
}

/// What consists of one object, and nothing else is to be said about.
macro_rules! plain {
    ($kind:literal, $type:ident<$($p:ident),*>, $family:ident => $create:expr, $lease:expr) => {
        impl<$($p),*> Named for $type<$($p),*> {
            const KIND: &'static str = $kind;
            type Params = ();

            fn create_in($family: Family, (): &()) -> Result<Self, NamedError> {
                Ok($create?)
            }
            fn leases(&self) -> Vec<Lease> {
                let lease: fn(&Self) -> Lease = $lease;
                vec![lease(self)]
            }
            fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
                $type::from_handle(only(handles)?)
            }
        }
    };
}

plain!("dict", SharedDict<K, V>, family => SharedDict::new_in(family), |dict| dict.raw().lease());
plain!("list", SharedList<T>, family => SharedList::new_in(family), |list| list.raw().lease());
plain!("event", RawEvent<>, family => RawEvent::create(family), RawEvent::lease);

impl<T: Serialize + DeserializeOwned> Named for SharedValue<T> {
    const KIND: &'static str = "value";
    type Params = T;

    fn create_in(family: Family, initial: &T) -> Result<Self, NamedError> {
        Ok(SharedValue::new_in(family, initial)?)
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.raw().lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        SharedValue::from_handle(only(handles)?)
    }
}

impl Named for RawSemaphore {
    const KIND: &'static str = "semaphore";
    type Params = u32;

    fn create_in(family: Family, initial: &u32) -> Result<Self, NamedError> {
        Ok(RawSemaphore::create(family, (*initial).min(PERMITS_MAX), PERMITS_MAX)?)
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        RawSemaphore::from_handle(only(handles)?)
    }
}

impl Named for RawBarrier {
    const KIND: &'static str = "barrier";
    type Params = u32;

    fn create_in(family: Family, parties: &u32) -> Result<Self, NamedError> {
        Ok(RawBarrier::create(family, *parties)?)
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        RawBarrier::from_handle(only(handles)?)
    }
    fn agrees(&self, name: &str, parties: &u32) -> Result<(), NamedError> {
        differs(name, "parties", self.parties(), parties)
    }
}

/// A condition and the reentrant lock that belongs to it.
impl Named for (RawCondition, RawLock) {
    const KIND: &'static str = "condition";
    type Params = ();

    fn create_in(family: Family, (): &()) -> Result<Self, NamedError> {
        Ok((RawCondition::create(family)?, RawLock::create(family, true)?))
    }
    fn leases(&self) -> Vec<Lease> {
        vec![self.0.lease(), self.1.lease()]
    }
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
        let [condition, lock] = handles else { return Err(HandleError::Malformed) };
        Ok((RawCondition::from_handle(condition)?, RawLock::from_handle(lock)?))
    }
}

/// A lock that is not reentrant, and one that is: names of two kinds.
struct Plain(RawLock);
struct Reentrant(RawLock);

macro_rules! lock {
    ($type:ident, $kind:literal, $reentrant:literal) => {
        impl Named for $type {
            const KIND: &'static str = $kind;
            type Params = ();

            fn create_in(family: Family, (): &()) -> Result<Self, NamedError> {
                Ok($type(RawLock::create(family, $reentrant)?))
            }
            fn leases(&self) -> Vec<Lease> {
                vec![self.0.lease()]
            }
            fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError> {
                Ok($type(RawLock::from_handle(only(handles)?)?))
            }
        }
    };
}

lock!(Plain, "lock", false);
lock!(Reentrant, "rlock", true);

/// The objects that have this name in the family; each is made if there is none of that name.
///
/// All may fail as [`Family::named`] does, and none waits for another process.
impl Family {
    /// A queue. `capacity`: how many values it holds; one that is there already must have it.
    /// `None`: as it is, and without a bound if it is new.
    ///
    /// The values' type is not noted: it must be the same in all programs.
    ///
    /// # Errors
    /// As [`Family::named`]; [`NamedError::Differs`] if it has another capacity.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, NamedError, Queue};
    /// let family = Family::current()?;
    /// let jobs: Queue<u32> = family.queue("jobs", Some(10))?;
    /// assert_eq!(family.queue::<u32>("jobs", None)?.capacity(), Some(10));
    /// assert!(matches!(family.queue::<u32>("jobs", Some(11)), Err(NamedError::Differs { .. })));
    /// # Ok(()) }
    /// ```
    pub fn queue<T>(&self, name: &str, capacity: Option<u64>) -> Result<Queue<T>, NamedError> {
        self.named(name, &capacity)
    }

    /// A dict.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, SharedDict};
    /// let ages: SharedDict<String, u32> = Family::current()?.dict("ages")?;
    /// ages.insert("Ada", &36)?;
    /// # Ok(()) }
    /// ```
    pub fn dict<K, V>(&self, name: &str) -> Result<SharedDict<K, V>, NamedError> {
        self.named(name, &())
    }

    /// A list.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, SharedList};
    /// let log: SharedList<String> = Family::current()?.list("log")?;
    /// log.push(&"begun".into())?;
    /// # Ok(()) }
    /// ```
    pub fn list<T>(&self, name: &str) -> Result<SharedList<T>, NamedError> {
        self.named(name, &())
    }

    /// A single value; `initial` if it is new.
    ///
    /// # Errors
    /// As [`Family::named`]; [`NamedError::Encode`] if `initial` can't be serialised.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.value("count", &0)?.update(|n| n + 1)?;
    /// assert_eq!(family.value("count", &0)?.get()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn value<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        initial: &T,
    ) -> Result<SharedValue<T>, NamedError> {
        self.named(name, initial)
    }

    /// A lock that is not reentrant.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(!procession::Family::current()?.lock("printer")?.is_reentrant());
    /// # Ok(()) }
    /// ```
    pub fn lock(&self, name: &str) -> Result<RawLock, NamedError> {
        Ok(self.named::<Plain>(name, &())?.0)
    }

    /// A reentrant lock.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(procession::Family::current()?.rlock("printer")?.is_reentrant());
    /// # Ok(()) }
    /// ```
    pub fn rlock(&self, name: &str) -> Result<RawLock, NamedError> {
        Ok(self.named::<Reentrant>(name, &())?.0)
    }

    /// A semaphore, with so many permits if it is new.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// assert!(family.semaphore("places", 2)?.try_acquire());
    /// assert_eq!(family.semaphore("places", 2)?.value(), 1);
    /// # Ok(()) }
    /// ```
    pub fn semaphore(&self, name: &str, initial: u32) -> Result<RawSemaphore, NamedError> {
        self.named(name, &initial)
    }

    /// An event.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// procession::Family::current()?.event("ready")?.set();
    /// # Ok(()) }
    /// ```
    pub fn event(&self, name: &str) -> Result<RawEvent, NamedError> {
        self.named(name, &())
    }

    /// A condition, and the reentrant lock that belongs to it.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (filled, lock) = procession::Family::current()?.condition("filled")?;
    /// assert_eq!(filled.notify(1)?, 0);
    /// # Ok(()) }
    /// ```
    pub fn condition(&self, name: &str) -> Result<(RawCondition, RawLock), NamedError> {
        self.named(name, &())
    }

    /// A barrier for so many; one that is there already must be for as many.
    ///
    /// # Errors
    /// As [`Family::named`]; [`NamedError::Differs`] if it is for another number.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(procession::Family::current()?.barrier("start", 3)?.parties(), 3);
    /// # Ok(()) }
    /// ```
    pub fn barrier(&self, name: &str, parties: u32) -> Result<RawBarrier, NamedError> {
        self.named(name, &parties)
    }
}
