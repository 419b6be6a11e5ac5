//! The typed face: a queue's state under a mutex.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{GetError, PutError, TooManyDone};
use super::mutex::Mutex;
use super::park::{Parked, Parker};
use super::state::{Refusal, Side, State};
use super::store::{Fifo, Lifo, Store};
use super::wait::{Host, deliver, deliver_all, wait};

/// What is called when a wait is over.
type Call = Box<dyn FnOnce() + Send>;

/// A queue between the threads of one process; the oldest value comes out first. A clone is another handle of
/// the same queue.
///
/// # Blocking
/// `put` waits while a bounded queue is full, `get` while it is empty; `try_` variants never wait for room or
/// for a value, `_timeout` variants no longer than that. A wait is a sleep in the kernel, and costs two system
/// calls in all; nobody who finds what it needs makes one.
///
/// # Fairness
/// Who waits longest is woken first, one for each value and each place. Who comes by just then may be faster;
/// then the one who was woken is first in line again.
///
/// # After a panic, after a fork
/// No code of `T`'s runs under the lock, not even its drop, so nothing can be left half done. A queue is not for
/// both sides of a fork of a process with many threads: [`Queue`](crate::Queue) is.
///
/// # Examples
/// ```
/// use procession::threads::Queue;
///
/// let jobs = Queue::bounded(2);
/// let done = Queue::new();
/// let worker = std::thread::spawn({
///     let (jobs, done) = (jobs.clone(), done.clone());
///     move || {
///         for job in jobs.iter() {
///             done.put(job * 2).unwrap();
///         }
///     }
/// });
/// for job in 1..=3 {
///     jobs.put(job).unwrap(); // waits while two are there
/// }
/// jobs.shut_down(); // the worker's loop ends when it has taken the rest
/// worker.join().unwrap();
/// assert_eq!(done.get_many(usize::MAX).unwrap(), [2, 4, 6]);
/// ```
pub struct Queue<T, S: Store<Item = T> = Fifo<T>> {
    shared: Arc<Shared<S>>,
}

/// The newest value comes out first.
///
/// # Examples
/// ```
/// use procession::threads::LifoQueue;
///
/// let stack = LifoQueue::default();
/// stack.put('a').unwrap();
/// stack.put('b').unwrap();
/// assert_eq!(stack.get().unwrap(), 'b');
/// ```
pub type LifoQueue<T> = Queue<T, Lifo<T>>;

struct Shared<S: Store> {
    state: Mutex<State<S, Call>>,
}

/// Nothing ends a wait of the typed face but its deadline.
enum Never {}

impl<S: Store> Host for Shared<S> {
    type Store = S;
    type Call = Call;
    type Stop = Never;

    fn with<R>(&self, act: impl FnOnce(&mut State<S, Call>) -> R) -> R {
        self.state.with(act)
    }

    fn call(&self, call: Call) -> bool {
        call();
        true
    }

    fn sleep(&self, parker: &Parker, deadline: Option<Instant>) -> Result<bool, Never> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if parker.park(left) == Parked::Woken {
                return Ok(true);
            }
            if left.is_some_and(|left| left.is_zero() || cfg!(loom)) {
                return Ok(false);
            }
        }
    }
}

/// How long to wait.
#[derive(Clone, Copy)]
enum Patience {
    None,
    Until(Option<Instant>),
}

impl Patience {
    /// A time-out beyond what the clock can say is no time-out.
    fn of(timeout: Duration) -> Patience {
        Patience::Until(Instant::now().checked_add(timeout))
    }
}

impl<T> Queue<T> {
    /// An empty queue without a bound.
    ///
    /// # Examples
    /// ```
    /// let queue = procession::threads::Queue::new();
    /// queue.put("anything that is Send").unwrap();
    /// ```
    #[must_use]
    pub fn new() -> Queue<T> {
        Queue::default()
    }

    /// An empty queue in which so many values have room; with zero, it has no bound.
    ///
    /// # Examples
    /// ```
    /// let queue = procession::threads::Queue::bounded(1);
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.try_put(2).unwrap_err().into_inner(), 2);
    /// ```
    #[must_use]
    pub fn bounded(capacity: usize) -> Queue<T> {
        let queue = Queue::default();
        queue.set_capacity(capacity);
        queue
    }
}

impl<T, S: Store<Item = T>> Queue<T, S> {
    /// Puts a value in; waits while the queue is full.
    ///
    /// # Errors
    /// The value, if the queue was shut down.
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_patiently(value, Patience::Until(None))
    }

    /// Puts a value in, if there is room.
    ///
    /// # Errors
    /// The value, if the queue is full or was shut down.
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_patiently(value, Patience::None)
    }

    /// Puts a value in; waits at most so long.
    ///
    /// # Errors
    /// The value, if the queue is still full or was shut down.
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_patiently(value, Patience::of(timeout))
    }

    fn put_patiently(&self, value: T, patience: Patience) -> Result<(), PutError<T>> {
        let mut value = Some(value);
        let put = self.attempt(Side::Room, patience, |state| match state.put(value.take()?) {
            Ok(wake) => Some(Ok(wake)),
            Err((refusal, back)) => {
                value = Some(back);
                (refusal != Refusal::Full).then_some(Err(()))
            }
        });
        match (put, value) {
            (Some(Ok(wake)), _) => {
                deliver(&*self.shared, Side::Item, wake);
                Ok(())
            }
            (Some(Err(())), Some(value)) => Err(PutError::ShutDown(value)),
            (None, Some(value)) => Err(PutError::Full(value)),
            (_, None) => unreachable!("what was not put was given back"),
        }
    }

    /// Takes the next value; waits for one.
    ///
    /// # Errors
    /// [`GetError::ShutDown`], if the queue was shut down and is empty.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_patiently(Patience::Until(None))
    }

    /// Takes the next value, if there is one.
    ///
    /// # Errors
    /// [`GetError`], if there is none.
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_patiently(Patience::None)
    }

    /// Takes the next value; waits at most so long.
    ///
    /// # Errors
    /// [`GetError`], if none came.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_patiently(Patience::of(timeout))
    }

    fn get_patiently(&self, patience: Patience) -> Result<T, GetError> {
        let got = self.attempt(Side::Item, patience, |state| unless_empty(state.get()));
        let (value, wake) = got.ok_or(GetError::Empty)?.map_err(|()| GetError::ShutDown)?;
        deliver(&*self.shared, Side::Room, wake);
        Ok(value)
    }

    /// Takes what is there, at most `max` values; waits for the first only.
    ///
    /// # Errors
    /// [`GetError::ShutDown`], if the queue was shut down and is empty.
    pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut wakes = Vec::new();
        let got = self.attempt(Side::Item, Patience::Until(None), |state| {
            unless_empty(state.get_many(max, &mut wakes))
        });
        for wake in wakes {
            deliver(&*self.shared, Side::Room, Some(wake));
        }
        got.ok_or(GetError::Empty)?.map_err(|()| GetError::ShutDown)
    }

    /// Values as they come, until the queue is shut down and empty.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.get().ok())
    }

    /// How many values are in it at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.with(|state| state.len())
    }

    /// Whether there is none at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room at this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.with(|state| state.is_full())
    }

    /// Sets how many values have room; zero is no bound. What is there beyond that stays.
    pub fn set_capacity(&self, capacity: usize) {
        let wakes = self.shared.with(|state| state.set_capacity(Some(capacity)));
        deliver_all(&*self.shared, wakes);
    }

    /// From now on nobody puts; what is there may still be taken. All who wait are woken.
    pub fn shut_down(&self) {
        deliver_all(&*self.shared, self.shared.with(State::shut_down).unwrap_or_default());
    }

    /// The same, and the rest comes back; it counts as done.
    #[allow(clippy::must_use_candidate)] // many only want it gone
    pub fn shut_down_now(&self) -> S {
        let (rest, wakes) = self.shared.with(|state| {
            // Refused only to those who take the store away or open the queue, which nobody does here.
            let mut wakes = state.shut_down().unwrap_or_default();
            let drained = state.drain().ok();
            let rest = drained.map(|(rest, more)| {
                wakes.extend(more);
                rest
            });
            (rest, wakes)
        });
        deliver_all(&*self.shared, wakes);
        rest.unwrap_or_else(|| unreachable!("nobody has the store"))
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.with(|state| state.is_shut_down())
    }

    /// Says that a value that was taken is done with.
    ///
    /// # Errors
    /// [`TooManyDone`], if every value was already.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let wakes = self.shared.with(State::task_done).map_err(|_| TooManyDone)?;
        deliver_all(&*self.shared, wakes);
        Ok(())
    }

    /// Waits until every value that was put is done with.
    pub fn join(&self) {
        let over = |state: &mut State<S, Call>| (state.unfinished() == 0).then_some(());
        self.attempt(Side::Done, Patience::Until(None), over);
    }

    /// Calls `call` once, from whatever thread, when there may be a value to take or the queue is shut down;
    /// `None` if that is so now, and it is not called. It must not panic, and should be quick: whoever puts
    /// waits for it.
    ///
    /// # Examples
    /// ```
    /// use procession::threads::Queue;
    ///
    /// let (queue, rung) = (Queue::new(), Queue::new());
    /// let bell = rung.clone();
    /// assert!(queue.when_item(move || bell.put(()).unwrap()).is_some());
    /// queue.put(1).unwrap();
    /// assert_eq!(rung.len(), 1);
    /// ```
    pub fn when_item(&self, call: impl FnOnce() + Send + 'static) -> Option<Waiting<T, S>> {
        let call: Call = Box::new(call);
        let ticket = self.shared.with(|state| {
            if state.is_worth_trying(Side::Item) {
                return Err(call); // dropped after the lock is let go
            }
            Ok(state.stand(Side::Item, super::Who::Call(call), false))
        });
        ticket.ok().map(|ticket| Waiting { queue: self.clone(), ticket })
    }

    fn attempt<R>(
        &self,
        side: Side,
        patience: Patience,
        mut attempt: impl FnMut(&mut State<S, Call>) -> Option<R>,
    ) -> Option<R> {
        let deadline = match patience {
            Patience::None => return self.shared.with(attempt),
            Patience::Until(deadline) => deadline,
        };
        if let Some(gained) = self.shared.with(&mut attempt) {
            return Some(gained);
        }
        match wait(&*self.shared, side, deadline, attempt) {
            Ok(gained) => gained,
            Err(never) => match never {},
        }
    }
}

/// A callback that waits.
#[must_use = "it stays in line until it is called, or this is asked to forget it"]
pub struct Waiting<T, S: Store<Item = T> = Fifo<T>> {
    queue: Queue<T, S>,
    ticket: super::Ticket,
}

impl<T, S: Store<Item = T>> Waiting<T, S> {
    /// The callback is not wanted any more. If it was called already, the next one who waits is woken in its
    /// place; so who was called and does not take a value loses it for nobody.
    pub fn forget(self) {
        let shared = &*self.queue.shared;
        let left = shared.with(|state| match state.leave(Side::Item, self.ticket) {
            Some(who) => Ok(who),
            None => Err(state.pass_on(Side::Item)),
        });
        match left {
            Ok(who) => drop(who),
            Err(wake) => deliver(shared, Side::Item, wake),
        }
    }
}

/// What waits for a value sleeps on while there is none.
fn unless_empty<R>(got: Result<R, Refusal>) -> Option<Result<R, ()>> {
    match got {
        Ok(got) => Some(Ok(got)),
        Err(Refusal::Empty) => None,
        Err(_) => Some(Err(())),
    }
}

impl<T, S: Store<Item = T> + Default> Default for Queue<T, S> {
    fn default() -> Self {
        Queue { shared: Arc::new(Shared { state: Mutex::new(State::new(S::default())) }) }
    }
}

impl<T, S: Store<Item = T>> Clone for Queue<T, S> {
    fn clone(&self) -> Self {
        Queue { shared: Arc::clone(&self.shared) }
    }
}

impl<T, S: Store<Item = T>> fmt::Debug for Queue<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T, S: Store<Item = T>> fmt::Debug for Waiting<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
