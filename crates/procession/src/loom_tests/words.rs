//! The primitives' algorithms under loom.

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{bounded, exhaust};
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::wait::{Sleep, Woken};
use crate::words::barrier::{Arrived, Barrier, Broken, Gate};
use crate::words::condition::{Condition, Desk, Place};
use crate::words::entries::Entries;
use crate::words::event::EventWords;
use crate::words::lock::{ABANDONED, Debt, KEPT, LockWord, Taking};
use crate::words::permits::Permits;

const DEAD: Serial = 99;

/// Sleeping as futexes do it: a wake-up reaches those who sleep on the same word. No sleep times out,
/// but on a lock that the dead one holds: a lost wake-up is a deadlock, which loom reports.
pub(super) struct Beds {
    asleep: Mutex<Vec<(usize, bool)>>,
    bell: Condvar,
}

impl Beds {
    pub(super) fn new() -> Beds {
        Beds { asleep: Mutex::new(Vec::new()), bell: Condvar::new() }
    }
}

fn place_of(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}

impl Sleep for Beds {
    fn sleep(&self, word: &AtomicU32, expected: u32, _limit: Duration) -> Woken {
        let mut asleep = self.asleep.lock().unwrap();
        if word.load(Ordering::SeqCst) != expected {
            return Woken::Changed;
        }
        if expected & 0x7fff_ffff == DEAD {
            return Woken::TimedOut;
        }
        let bed = asleep.len();
        asleep.push((place_of(word), false));
        while !asleep[bed].1 {
            asleep = self.bell.wait(asleep).unwrap();
        }
        Woken::Wake
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        let mut asleep = self.asleep.lock().unwrap();
        let here = |bed: &&mut (usize, bool)| bed.0 == place_of(word) && !bed.1;
        let n = asleep.iter_mut().filter(here).take(count as usize).map(|bed| bed.1 = true).count();
        if n > 0 {
            self.bell.notify_all();
        }
        n as u32
    }
}

struct Locked {
    how: Beds,
    word: LockWord,
    /// Not atomic: only the lock makes it so.
    count: AtomicU64,
    told: AtomicU64,
}

impl Locked {
    fn new() -> Arc<Locked> {
        Arc::new(Locked {
            how: Beds::new(),
            word: LockWord::new(),
            count: AtomicU64::new(0),
            told: AtomicU64::new(0),
        })
    }

    fn acquire(&self, me: Serial, debt: &Debt) {
        loop {
            if self.word.try_take(me, debt) {
                return;
            }
            match self.word.take(me, debt) {
                Taking::Taken { abandoned } => {
                    if abandoned {
                        self.told.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
                Taking::HeldBy(DEAD) => drop(self.word.bury(DEAD, ABANDONED, &self.how)),
                Taking::HeldBy(_) => drop(self.word.sleep(&self.how, Duration::MAX, debt)),
            }
        }
    }

    fn once(&self, me: Serial, debt: &Debt) {
        self.acquire(me, debt);
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.word.give(&self.how);
    }
}

#[test]
fn a_users_lock_excludes() {
    exhaust(|| {
        let lock = Locked::new();
        let other = lock.clone();
        let thread = thread::spawn(move || other.once(11, &Debt::none()));
        lock.once(12, &Debt::none());
        thread.join().unwrap();
        assert_eq!(lock.count.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn three_want_a_users_lock() {
    bounded(|| {
        let lock = Locked::new();
        // Two are threads of one process, with one handle.
        let debt = Arc::new(Debt::none());
        let threads = [(11, debt.clone()), (11, debt), (12, Arc::new(Debt::none()))];
        let [one, two, three] = threads.map(|(me, debt)| {
            let lock = lock.clone();
            move || lock.once(me, &debt)
        });
        let threads = [thread::spawn(one), thread::spawn(two)];
        three();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(lock.count.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_dead_ones_lock_is_abandoned_to_one() {
    exhaust(|| {
        let lock = Locked::new();
        assert!(lock.word.try_take(DEAD, &Debt::none()));
        let other = lock.clone();
        let thread = thread::spawn(move || other.once(11, &Debt::none()));
        lock.once(12, &Debt::none());
        thread.join().unwrap();
        assert_eq!(lock.count.load(Ordering::Relaxed), 2);
        assert_eq!(lock.told.load(Ordering::Relaxed), 1, "told to one");
    });
}

#[test]
fn a_kept_lock_wakes_who_waits_when_it_is_released() {
    exhaust(|| {
        let lock = Locked::new();
        assert!(lock.word.try_take(13, &Debt::none()));
        let other = lock.clone();
        let thread = thread::spawn(move || other.once(11, &Debt::none()));
        assert!(lock.word.bury(13, KEPT, &lock.how));
        lock.word.give(&lock.how);
        thread.join().unwrap();
        assert_eq!(lock.count.load(Ordering::Relaxed), 1);
    });
}

/// As when a sweep finds the holder dead: two may sleep, and both get the lock.
#[test]
fn what_a_sweep_abandons_wakes_all_in_turn() {
    bounded(|| {
        let lock = Locked::new();
        assert!(lock.word.try_take(13, &Debt::none()));
        let threads = [11, 12].map(|me| {
            let lock = lock.clone();
            thread::spawn(move || lock.once(me, &Debt::none()))
        });
        assert!(lock.word.bury(13, ABANDONED, &lock.how));
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(lock.count.load(Ordering::Relaxed), 2);
        assert_eq!(lock.told.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn every_permit_lets_one_through() {
    bounded(|| {
        let shared = Arc::new((Permits::new(0), Beds::new()));
        let take = |s: &(Permits, Beds)| {
            while !s.0.try_take(&s.1) {
                s.0.sleep(&s.1, Duration::MAX);
            }
        };
        let threads = [shared.clone(), shared.clone()].map(|s| thread::spawn(move || take(&s)));
        assert!(shared.0.give(2, 2, &shared.1));
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(shared.0.value(), 0);
    });
}

#[test]
fn a_set_and_a_clear_let_through_who_waited() {
    exhaust(|| {
        let shared = Arc::new((EventWords::new(), Beds::new()));
        let since = shared.0.epoch();
        let other = shared.clone();
        let waiter = thread::spawn(move || {
            while !other.0.has_passed(since) {
                other.0.sleep(&other.1, Duration::MAX, since);
            }
        });
        shared.0.set(&shared.1);
        shared.0.clear();
        waiter.join().unwrap();
    });
}

struct List {
    how: Beds,
    desk: Desk,
    entries: Vec<AtomicU32>,
}

impl List {
    fn new(entries: usize) -> Arc<List> {
        let entries = (0..entries).map(|_| AtomicU32::new(0)).collect();
        Arc::new(List { how: Beds::new(), desk: Desk::new(), entries })
    }

    fn condition(&self) -> Condition<'_> {
        Condition { desk: &self.desk, entries: Entries([&self.entries, &[], &[]]) }
    }

    fn wait(&self, place: Place<'_>) {
        while !self.condition().is_notified(place) {
            self.condition().sleep(&self.how, Duration::MAX, place);
        }
        assert!(self.condition().leave(place));
    }
}

/// Waiters that were on the list before, of which the last has no entry.
#[test]
fn a_notification_wakes_who_waited() {
    for entries in [2, 1] {
        bounded(move || {
            let list = List::new(entries);
            let other = list.clone();
            let enlisted = Arc::new(AtomicU32::new(0));
            let there = enlisted.clone();
            let waiter = thread::spawn(move || {
                let places = [other.condition().enlist(1), other.condition().enlist(1)];
                there.store(1, Ordering::Release);
                places.into_iter().for_each(|place| other.wait(place));
            });
            while enlisted.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            let notified =
                list.condition().notify(1, &list.how) + list.condition().notify(1, &list.how);
            assert_eq!(notified, entries as u32);
            waiter.join().unwrap();
            assert_eq!(list.condition().owners().count(), 0);
        });
    }
}

#[test]
fn a_notification_of_one_who_leaves_is_passed_on() {
    bounded(|| {
        let list = List::new(2);
        let hasty = list.condition().enlist(1);
        assert!(matches!(hasty, Place::Entry(..)));
        let (leaves, waits) = (list.clone(), list.clone());
        let patient = thread::spawn(move || waits.wait(waits.condition().enlist(2)));
        while list.condition().waiting() < 2 {
            thread::yield_now();
        }
        let notifier = thread::spawn(move || leaves.condition().notify(1, &leaves.how));
        if list.condition().leave(hasty) {
            list.condition().notify(1, &list.how);
        }
        notifier.join().unwrap();
        patient.join().unwrap();
    });
}

#[test]
fn a_notification_of_the_dead_is_passed_on() {
    bounded(|| {
        let list = List::new(2);
        list.condition().enlist(9); // who dies here
        let (sweeps, waits) = (list.clone(), list.clone());
        let patient = thread::spawn(move || waits.wait(waits.condition().enlist(2)));
        while list.condition().waiting() < 2 {
            thread::yield_now();
        }
        let sweeper = thread::spawn(move || sweeps.condition().bury(9, &sweeps.how));
        list.condition().notify(1, &list.how);
        sweeper.join().unwrap();
        patient.join().unwrap();
        assert!(list.entries.iter().all(|e| e.load(Ordering::Relaxed) == 0));
    });
}

struct Meeting {
    how: Beds,
    gate: Gate,
    entries: Vec<AtomicU32>,
}

impl Meeting {
    fn new() -> Arc<Meeting> {
        let entries = (0..3).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Meeting { how: Beds::new(), gate: Gate::new(), entries })
    }

    fn barrier(&self) -> Barrier<'_> {
        Barrier { gate: &self.gate, entries: Entries([&self.entries, &[], &[]]), parties: 2 }
    }

    fn arrive(&self, owner: u32) -> Result<Arrived<'_>, Broken> {
        loop {
            if let Some(arrived) = self.barrier().arrive(owner)? {
                return Ok(arrived);
            }
            self.barrier().sleep_while_busy(&self.how, Duration::MAX);
        }
    }

    fn meet(&self, owner: u32) -> Result<u32, Broken> {
        let arrived = self.arrive(owner)?;
        let outcome = if arrived.is_last {
            if self.barrier().release(&arrived, &self.how) { Ok(()) } else { Err(Broken) }
        } else {
            loop {
                match self.barrier().outcome(&arrived) {
                    Some(outcome) => break outcome,
                    None => drop(self.barrier().sleep(&self.how, Duration::MAX, &arrived)),
                }
            }
        };
        Barrier::leave(&arrived);
        outcome.map(|()| arrived.index)
    }
}

#[test]
fn two_meet_again_and_again() {
    bounded(|| {
        let meeting = Meeting::new();
        let other = meeting.clone();
        let thread = thread::spawn(move || [other.meet(1), other.meet(1)]);
        let here = [meeting.meet(2), meeting.meet(2)];
        let there = thread.join().unwrap();
        for (a, b) in here.into_iter().zip(there) {
            assert_eq!(a.unwrap() + b.unwrap(), 1, "each index once");
        }
        assert_eq!(meeting.barrier().owners().count(), 0);
    });
}

#[test]
fn all_learn_the_same_if_one_gives_up() {
    bounded(|| {
        let meeting = Meeting::new();
        let (other, third) = (meeting.clone(), meeting.clone());
        let thread = thread::spawn(move || other.meet(1));
        let breaker = thread::spawn(move || third.barrier().abort(None, &third.how));
        let here = meeting.meet(2);
        let there = thread.join().unwrap();
        breaker.join().unwrap();
        assert_eq!(here.is_ok(), there.is_ok());
        assert!(meeting.barrier().is_broken());
        meeting.barrier().reset(&meeting.how);
        assert!(!meeting.barrier().is_broken());
    });
}

/// Two reset it at once, perhaps one after the other: who waited knows, and the list is as it was.
#[test]
fn who_waits_learns_of_a_reset() {
    bounded(|| {
        let meeting = Meeting::new();
        let arrived = meeting.arrive(1).unwrap();
        let other = meeting.clone();
        let thread = thread::spawn(move || other.barrier().reset(&other.how));
        meeting.barrier().reset(&meeting.how);
        let late = meeting.arrive(2);
        let early = meeting.barrier().outcome(&arrived);
        assert_eq!(early, Some(Err(Broken)), "it was reset here");
        thread.join().unwrap();
        if let Ok(late) = late {
            // The other's reset came before or after this arrival.
            let outcome = meeting.barrier().outcome(&late);
            assert!(matches!(outcome, None | Some(Err(Broken))), "nobody came");
            Barrier::leave(&late);
        }
        Barrier::leave(&arrived);
        assert_eq!(meeting.barrier().owners().count(), 0);
        assert!(!meeting.barrier().is_broken());
    });
}

#[test]
fn a_reset_wakes_who_waits() {
    bounded(|| {
        let meeting = Meeting::new();
        let arrived = meeting.arrive(1).unwrap();
        let other = meeting.clone();
        let thread = thread::spawn(move || other.barrier().reset(&other.how));
        let outcome = loop {
            match meeting.barrier().outcome(&arrived) {
                Some(outcome) => break outcome,
                None => drop(meeting.barrier().sleep(&meeting.how, Duration::MAX, &arrived)),
            }
        };
        assert_eq!(outcome, Err(Broken));
        thread.join().unwrap();
        Barrier::leave(&arrived);
        assert_eq!((meeting.barrier().owners().count(), meeting.barrier().waiting()), (0, 0));
    });
}

#[test]
fn the_death_of_one_who_waits_is_the_end_of_the_others_wait() {
    bounded(|| {
        let meeting = Meeting::new();
        let dead = meeting.arrive(9).unwrap();
        assert!(!dead.is_last);
        let other = meeting.clone();
        let sweeper = thread::spawn(move || other.barrier().bury(9, false, &other.how));
        // The dead one was there, so either both met before it was known, or the barrier is broken.
        let met = meeting.meet(2).is_ok();
        sweeper.join().unwrap();
        assert_eq!(met, !meeting.barrier().is_broken());
        assert_eq!(meeting.barrier().owners().count(), 0);
    });
}
