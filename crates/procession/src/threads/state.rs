//! A queue without its lock: what is in it, who waits for it, and what each operation does to both.
//!
//! Invariants, wherever the lock is free:
//! - Who stands in a line has found nothing to gain, and whoever makes something to gain takes one out of the
//!   line, to be woken. Who was woken tries, and stands in front again if another was faster. Who was woken
//!   and does not try passes the wake-up on ([`State::pass_on`]). So no item lies there beside a line of
//!   sleepers none of whom is on his way.
//! - No foreign code runs under the lock: items are moved, never dropped, and compared only by [`Store`]s
//!   that know what they compare. Where they do not, the whole store is taken [away](State::take_away).

use super::line::{Line, Ticket, Wake, Who, process};
use super::store::Store;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// An item to take.
    Item,
    /// Room for another.
    Room,
    /// That all that was put is done.
    Done,
    /// That the store is back.
    Back,
}

const SIDES: [Side; 4] = [Side::Item, Side::Room, Side::Done, Side::Back];

/// Why an operation did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room: wait for it.
    Full,
    /// There is no item: wait for one.
    Empty,
    /// The queue was shut down (and is empty).
    ShutDown,
    /// It was handed over to its owner ([`State::hand_over`]).
    Opened,
    /// Somebody has taken the store away: wait until it is back.
    Away,
    /// A thread of the parent had it at a fork: it never comes back.
    Lost,
    /// There is no item that is not done.
    NoneToDo,
    /// The order cannot be told here: take the store away.
    Unsure,
}

/// Bits of `State::odd`; zero is the common case.
const SHUT: u8 = 1;
const OPENED: u8 = 2;
const AWAY: u8 = 4;

/// What is taken away and brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing was changed.
    None,
    /// An item was put in.
    Put,
    /// An item was taken out.
    Got,
}

/// So often a queue is found empty before its store gives back memory: who is emptied now and then, by a
/// consumer that was waited for, would only need it again.
const FOUND_EMPTY: u32 = 64;

/// What a queue's lock protects.
#[derive(Debug)]
pub struct State<S, C> {
    store: S,
    /// `usize::MAX` is no bound.
    capacity: usize,
    unfinished: usize,
    odd: u8,
    /// Of the store, while it is away.
    len_away: usize,
    /// Who has it, and in which process.
    holder: u64,
    process: u32,
    last_ticket: Ticket,
    found_empty: u32,
    lines: [Line<C>; SIDES.len()],
}

impl<S: Store, C> State<S, C> {
    /// An empty queue over this store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self {
            store,
            capacity: usize::MAX,
            unfinished: 0,
            odd: 0,
            len_away: 0,
            holder: 0,
            process: 0,
            last_ticket: 0,
            found_empty: 0,
            lines: Default::default(),
        }
    }

    /// Puts an item in; whom to wake.
    ///
    /// # Errors
    /// The item, and why not.
    #[inline]
    pub fn put(&mut self, item: S::Item) -> Result<Option<Wake<C>>, (Refusal, S::Item)> {
        if self.odd != 0 {
            return Err((self.no_put(), item));
        }
        if self.store.len() >= self.capacity {
            return Err((Refusal::Full, item));
        }
        self.store.push(item).map_err(|item| (Refusal::Unsure, item))?;
        self.unfinished += 1;
        Ok(self.next(Side::Item))
    }

    #[cold]
    fn no_put(&self) -> Refusal {
        if self.odd & OPENED != 0 {
            Refusal::Opened
        } else if self.odd & SHUT != 0 {
            Refusal::ShutDown
        } else {
            self.gone()
        }
    }

    #[cold]
    fn gone(&self) -> Refusal {
        if self.process == process() { Refusal::Away } else { Refusal::Lost }
    }

    /// Takes the next item; whom to wake.
    ///
    /// # Errors
    /// Why not.
    #[inline]
    pub fn get(&mut self) -> Result<(S::Item, Option<Wake<C>>), Refusal> {
        if self.odd & (OPENED | AWAY) != 0 {
            return Err(self.no_get());
        }
        match self.store.pop() {
            Ok(Some(item)) => Ok((item, self.next(Side::Room))),
            Ok(None) => Err(self.nothing()),
            Err(_) => Err(Refusal::Unsure),
        }
    }

    #[cold]
    fn no_get(&self) -> Refusal {
        if self.odd & OPENED != 0 { Refusal::Opened } else { self.gone() }
    }

    #[cold]
    fn nothing(&mut self) -> Refusal {
        self.found_empty = self.found_empty.wrapping_add(1);
        if self.found_empty.is_multiple_of(FOUND_EMPTY) {
            self.store.relax();
        }
        if self.odd & SHUT == 0 { Refusal::Empty } else { Refusal::ShutDown }
    }

    /// Takes what is there, at most `max` items; whom to wake is added to `wakes`.
    ///
    /// # Errors
    /// Why there was nothing for it; an order that cannot be told is no error after the first item.
    pub fn get_many(
        &mut self,
        max: usize,
        wakes: &mut Vec<Wake<C>>,
    ) -> Result<Vec<S::Item>, Refusal> {
        let mut items = Vec::new();
        items.reserve_exact(max.min(self.len()));
        while items.len() < max {
            match self.get() {
                Ok((item, wake)) => {
                    items.push(item);
                    wakes.extend(wake);
                }
                Err(refusal) if items.is_empty() => return Err(refusal),
                Err(_) => break,
            }
        }
        Ok(items)
    }

    /// What `get` would take.
    ///
    /// # Errors
    /// Why there is none.
    pub fn peek(&mut self) -> Result<&S::Item, Refusal> {
        if self.odd & (OPENED | AWAY) != 0 {
            return Err(self.no_get());
        }
        if self.store.is_empty() {
            return Err(self.nothing());
        }
        self.store.first().ok_or(Refusal::Empty)
    }

    /// How many items are in it.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        if self.odd & AWAY == 0 { self.store.len() } else { self.len_away }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is bounded, and full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Whether there is a bound.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.capacity != usize::MAX
    }

    /// Sets the bound; `None` is no bound, and so is zero. Whom to wake.
    #[must_use]
    pub fn set_capacity(&mut self, capacity: Option<usize>) -> Vec<Wake<C>> {
        self.capacity = capacity.filter(|&capacity| capacity > 0).unwrap_or(usize::MAX);
        self.all(&[Side::Room])
    }

    /// One of the items that were put is done; whom to wake.
    ///
    /// # Errors
    /// [`Refusal::NoneToDo`], [`Refusal::Opened`].
    pub fn task_done(&mut self) -> Result<Vec<Wake<C>>, Refusal> {
        if self.is_opened() {
            return Err(Refusal::Opened);
        }
        self.unfinished = self.unfinished.checked_sub(1).ok_or(Refusal::NoneToDo)?;
        Ok(if self.unfinished == 0 { self.all(&[Side::Done]) } else { Vec::new() })
    }

    /// How many items were put and are not done.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Sets how many there are; whom to wake.
    #[must_use]
    pub fn set_unfinished(&mut self, unfinished: usize) -> Vec<Wake<C>> {
        self.unfinished = unfinished;
        if unfinished == 0 { self.all(&[Side::Done]) } else { Vec::new() }
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.odd & SHUT != 0
    }

    /// No more is put from now on; what is there may still be taken. Whom to wake.
    ///
    /// # Errors
    /// [`Refusal::Opened`].
    pub fn shut_down(&mut self) -> Result<Vec<Wake<C>>, Refusal> {
        if self.is_opened() {
            return Err(Refusal::Opened);
        }
        self.odd |= SHUT;
        Ok(self.all(&[Side::Item, Side::Room]))
    }

    /// After that: nothing is taken either. Here is what was in it, each item of which counts as done; whom to
    /// wake.
    ///
    /// # Errors
    /// [`Refusal::Away`], [`Refusal::Lost`], [`Refusal::Opened`]: then it is not emptied.
    pub fn drain(&mut self) -> Result<(S, Vec<Wake<C>>), Refusal> {
        if self.odd & (OPENED | AWAY) != 0 {
            return Err(self.no_get());
        }
        let store = self.store.take();
        self.unfinished = self.unfinished.saturating_sub(store.len());
        Ok((store, self.all(&[Side::Done])))
    }

    /// Takes it as if it had never been shut down.
    pub fn set_shut_down(&mut self, shut: bool) {
        self.odd = if shut { self.odd | SHUT } else { self.odd & !SHUT };
    }

    /// Whoever has taken the store away keeps the items, and owns the queue from now on: every operation is
    /// refused. The counts stay. Whom to wake: everybody.
    #[must_use]
    pub fn hand_over(&mut self) -> Vec<Wake<C>> {
        self.odd = self.odd & !AWAY | OPENED;
        self.all(&SIDES)
    }

    /// Whether it was handed over.
    #[inline]
    #[must_use]
    pub fn is_opened(&self) -> bool {
        self.odd & OPENED != 0
    }

    /// Empties it, as if it were new but for its bound and whoever waits: here is what was in it. So a queue
    /// whose items are lost is one again.
    ///
    /// # Errors
    /// [`Refusal::Away`], [`Refusal::Opened`].
    pub fn clear(&mut self) -> Result<(S, Vec<Wake<C>>), Refusal> {
        if self.odd & (OPENED | AWAY) != 0 && self.no_get() != Refusal::Lost {
            return Err(self.no_get());
        }
        self.odd = 0;
        self.unfinished = 0;
        Ok((self.store.take(), self.all(&[Side::Room, Side::Done])))
    }

    /// Takes the store away, so that foreign code may look into it without the lock. `holder` is whoever asks.
    ///
    /// # Errors
    /// [`Refusal::Away`] if somebody has it, [`Refusal::Lost`], [`Refusal::Opened`].
    pub fn take_away(&mut self, holder: u64) -> Result<S, Refusal> {
        if self.odd & (OPENED | AWAY) != 0 {
            return Err(self.no_get());
        }
        self.odd |= AWAY;
        (self.holder, self.process) = (holder, process());
        self.len_away = self.store.len();
        Ok(self.store.take())
    }

    /// Who has the store, if somebody of this process has.
    #[must_use]
    pub fn holder(&self) -> Option<u64> {
        (self.odd & AWAY != 0 && self.process == process()).then_some(self.holder)
    }

    /// Whether a thread of the parent had it at a fork.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.odd & AWAY != 0 && self.process != process()
    }

    /// Brings the store back, with what was done to it; whom to wake: all who waited for it. One more may
    /// gain by the change ([`State::pass_on`]).
    #[must_use]
    pub fn bring_back(&mut self, store: S, change: Change) -> Vec<Wake<C>> {
        self.odd &= !AWAY;
        self.store = store;
        if change == Change::Put {
            self.unfinished += 1;
        }
        self.all(&[Side::Back])
    }

    /// Whether who waits there would gain something by trying.
    #[must_use]
    pub fn is_worth_trying(&self, side: Side) -> bool {
        if self.odd & OPENED != 0 {
            return true;
        }
        let shut = self.odd & SHUT != 0;
        match side {
            Side::Item => shut || !self.is_empty(),
            Side::Room => shut || !self.is_full(),
            Side::Done => self.unfinished == 0,
            Side::Back => self.odd & AWAY == 0,
        }
    }

    /// Stands in line, after an attempt that gained nothing and under the same lock.
    pub fn stand(&mut self, side: Side, who: Who<C>, in_front: bool) -> Ticket {
        self.last_ticket += 1;
        self.lines[side as usize].stand(self.last_ticket, who, in_front);
        self.last_ticket
    }

    /// The same for who was woken in vain: before all who came after it first stood there.
    pub fn stand_again(&mut self, side: Side, who: Who<C>, ticket: Ticket) {
        self.lines[side as usize].stand_again(ticket, who);
    }

    /// Leaves the line. `None` if it was woken already: then it tries, or [passes that on](Self::pass_on).
    pub fn leave(&mut self, side: Side, ticket: Ticket) -> Option<Who<C>> {
        self.lines[side as usize].leave(ticket)
    }

    /// Whom to wake in place of somebody who was woken and does not try.
    pub fn pass_on(&mut self, side: Side) -> Option<Wake<C>> {
        if self.is_worth_trying(side) { self.next(side) } else { None }
    }

    /// The store, unless it is away.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The callbacks that wait.
    pub fn calls(&self) -> impl Iterator<Item = &C> {
        self.lines.iter().flat_map(Line::calls)
    }

    /// Takes out whatever may be part of a cycle of references: items and callbacks.
    pub fn tear_down(&mut self) -> (S, Vec<C>) {
        let mut calls = Vec::new();
        for line in &mut self.lines {
            line.take_calls(&mut calls);
        }
        (self.store.take(), calls)
    }

    #[inline]
    fn next(&mut self, side: Side) -> Option<Wake<C>> {
        let line = &mut self.lines[side as usize];
        if line.is_empty() { None } else { line.next() }
    }

    fn all(&mut self, sides: &[Side]) -> Vec<Wake<C>> {
        let mut wakes = Vec::new();
        for &side in sides {
            self.lines[side as usize].all(&mut wakes);
        }
        wakes
    }
}
