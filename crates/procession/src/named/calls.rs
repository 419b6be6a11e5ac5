//! The call for each kind of object.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::NamedError;
use super::kinds::Bounded;
use crate::arena::family::Family;
use crate::collections::{
    DeliveryQueue, LifoQueue, PriorityQueue, SharedDict, SharedList, SharedValue,
};
use crate::primitives::{Barrier, Condition, Event, Lock, Mutex, RLock, RwLock, Semaphore};
use crate::queue::{JoinableQueue, Queue};

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

    /// A queue that can be joined; its capacity is as of [`Family::queue`].
    ///
    /// # Errors
    /// As [`Family::queue`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::Family::current()?.joinable_queue("jobs", None)?;
    /// jobs.put(1)?;
    /// assert_eq!((jobs.get()?, jobs.unfinished()), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn joinable_queue<T>(
        &self,
        name: &str,
        capacity: Option<u64>,
    ) -> Result<JoinableQueue<T>, NamedError> {
        self.named(name, &capacity)
    }

    /// A queue whose values are delivered at least once; its capacity is as of [`Family::queue`].
    ///
    /// # Errors
    /// As [`Family::queue`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs = procession::Family::current()?.delivery_queue("jobs", None)?;
    /// jobs.put(1)?;
    /// assert_eq!(jobs.get()?.done()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn delivery_queue<T>(
        &self,
        name: &str,
        capacity: Option<u64>,
    ) -> Result<DeliveryQueue<T>, NamedError> {
        self.named(name, &capacity)
    }

    /// A queue that gives what came last first; its capacity is as of [`Family::queue`].
    ///
    /// # Errors
    /// As [`Family::queue`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pile = procession::Family::current()?.lifo_queue("pile", Some(10))?;
    /// pile.put_many([1, 2])?;
    /// assert_eq!(pile.get()?, 2);
    /// # Ok(()) }
    /// ```
    pub fn lifo_queue<T>(
        &self,
        name: &str,
        capacity: Option<u64>,
    ) -> Result<LifoQueue<T>, NamedError> {
        self.named(name, &capacity)
    }

    /// A queue that gives the least first; its capacity is as of [`Family::queue`].
    ///
    /// # Errors
    /// As [`Family::queue`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let due = procession::Family::current()?.priority_queue("due", None)?;
    /// due.put_many([30, 10, 20])?;
    /// assert_eq!(due.get()?, 10);
    /// # Ok(()) }
    /// ```
    pub fn priority_queue<T>(
        &self,
        name: &str,
        capacity: Option<u64>,
    ) -> Result<PriorityQueue<T>, NamedError> {
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

    /// A value with its lock; `initial` if it is new.
    ///
    /// # Errors
    /// As [`Family::value`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// *family.mutex("count", &0)?.lock()? += 1;
    /// assert_eq!(*family.mutex("count", &0)?.lock()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn mutex<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        initial: &T,
    ) -> Result<Mutex<T>, NamedError> {
        self.named(name, initial)
    }

    /// A value that many may read at a time, or one may write; `initial` if it is new.
    ///
    /// # Errors
    /// As [`Family::value`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.rwlock("text", &String::new())?.write()?.push('a');
    /// assert_eq!(*family.rwlock("text", &String::new())?.read()?, "a");
    /// # Ok(()) }
    /// ```
    pub fn rwlock<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        initial: &T,
    ) -> Result<RwLock<T>, NamedError> {
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
    /// let printer = procession::Family::current()?.lock("printer")?;
    /// let guard = printer.acquire()?;
    /// # Ok(()) }
    /// ```
    pub fn lock(&self, name: &str) -> Result<Lock, NamedError> {
        self.named(name, &())
    }

    /// A reentrant lock.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let printer = procession::Family::current()?.rlock("printer")?;
    /// let (outer, inner) = (printer.acquire()?, printer.acquire()?);
    /// assert_eq!(printer.depth(), 2);
    /// # Ok(()) }
    /// ```
    pub fn rlock(&self, name: &str) -> Result<RLock, NamedError> {
        self.named(name, &())
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
    /// family.semaphore("places", 2)?.acquire().forget();
    /// assert_eq!(family.semaphore("places", 2)?.value(), 1);
    /// # Ok(()) }
    /// ```
    pub fn semaphore(&self, name: &str, initial: u32) -> Result<Semaphore, NamedError> {
        self.named(name, &initial)
    }

    /// A semaphore that never has more than so many permits; one that is there already must have as many.
    ///
    /// # Errors
    /// As [`Family::named`]; [`NamedError::Differs`] if it has another number.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let places = procession::Family::current()?.bounded_semaphore("places", 2)?;
    /// assert!(places.release(1).is_err());
    /// # Ok(()) }
    /// ```
    pub fn bounded_semaphore(&self, name: &str, permits: u32) -> Result<Semaphore, NamedError> {
        Ok(self.named::<Bounded>(name, &permits)?.0)
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
    pub fn event(&self, name: &str) -> Result<Event, NamedError> {
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
    /// let guard = lock.acquire()?;
    /// let (guard, was_told) = filled.wait_timeout(guard, std::time::Duration::ZERO)?;
    /// assert!(!was_told);
    /// # Ok(()) }
    /// ```
    pub fn condition(&self, name: &str) -> Result<(Condition, RLock), NamedError> {
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
    pub fn barrier(&self, name: &str, parties: u32) -> Result<Barrier, NamedError> {
        self.named(name, &parties)
    }
}
