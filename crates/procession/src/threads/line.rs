//! Those who wait for one thing, in the order in which they came.
//!
//! Who waits is a thread, which sleeps on its [`Parker`], or a callback, which is called once. A line is only
//! touched under its queue's lock; a wake-up is taken out of it there and delivered after the lock is let go.
//!
//! After a fork the child has the lines of its parent, but none of the threads: whoever stood in line before
//! the fork is passed over there.

use std::collections::VecDeque;
use std::sync::Arc;

use super::park::Parker;

/// Names a place in a line.
pub type Ticket = u64;

/// Somebody who waits.
#[derive(Debug)]
pub enum Who<C> {
    /// A thread.
    Thread(Arc<Parker>),
    /// A callback.
    Call(C),
}

/// A wake-up on its way: deliver it after the lock is let go.
#[derive(Debug)]
#[must_use = "dropped, it leaves somebody asleep for ever"]
pub struct Wake<C>(pub(super) Who<C>);

#[derive(Debug)]
struct Place<C> {
    ticket: Ticket,
    /// The process in which it waits.
    process: u32,
    who: Who<C>,
}

#[derive(Debug)]
pub(super) struct Line<C> {
    places: VecDeque<Place<C>>,
    /// Callbacks of the parent, which are not dropped here: that could run foreign code.
    strangers: Vec<C>,
}

/// This process, among its parents and children.
#[cfg(not(loom))]
pub(super) fn process() -> u32 {
    crate::sys::fork::generation()
}

#[cfg(loom)]
pub(super) fn process() -> u32 {
    0
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self { places: VecDeque::new(), strangers: Vec::new() }
    }
}

impl<C> Line<C> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Stands in line: at its end, or in front, which is for callbacks that were called in vain.
    pub(super) fn stand(&mut self, ticket: Ticket, who: Who<C>, in_front: bool) {
        let place = Place { ticket, process: process(), who };
        if in_front {
            self.places.push_front(place);
        } else {
            self.places.push_back(place);
        }
    }

    /// Stands where its ticket belongs, among those who came when it first stood there.
    pub(super) fn stand_again(&mut self, ticket: Ticket, who: Who<C>) {
        let at = self.places.iter().take_while(|place| place.ticket < ticket).count();
        self.places.insert(at, Place { ticket, process: process(), who });
    }

    /// Leaves the line; `None` if it was woken already.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Who<C>> {
        let at = self.places.iter().position(|place| place.ticket == ticket)?;
        self.places.remove(at).map(|place| place.who)
    }

    /// The first one, who is now to be woken.
    #[cold]
    pub(super) fn next(&mut self) -> Option<Wake<C>> {
        let here = process();
        while let Some(place) = self.places.pop_front() {
            if place.process == here {
                return Some(Wake(place.who));
            }
            if let Who::Call(call) = place.who {
                self.strangers.push(call);
            }
        }
        None
    }

    /// All of them.
    pub(super) fn all(&mut self, into: &mut Vec<Wake<C>>) {
        while let Some(wake) = self.next() {
            into.push(wake);
        }
    }

    /// The callbacks in it.
    pub(super) fn calls(&self) -> impl Iterator<Item = &C> {
        let waiting = self.places.iter().filter_map(|place| match &place.who {
            Who::Call(call) => Some(call),
            Who::Thread(_) => None,
        });
        waiting.chain(&self.strangers)
    }

    /// Takes the callbacks out; the threads stay.
    pub(super) fn take_calls(&mut self, into: &mut Vec<C>) {
        into.append(&mut self.strangers);
        for place in std::mem::take(&mut self.places) {
            match place.who {
                Who::Call(call) => into.push(call),
                Who::Thread(_) => self.places.push_back(place),
            }
        }
    }
}
