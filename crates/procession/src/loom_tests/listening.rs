//! Listening at words instead of sleeping there, under loom.

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::words::Beds;
use super::{bounded, exhaust};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::wait::{Sleep, WaitWord, Woken};
use crate::words::listener::{RUNG, quiet, ring};
use crate::words::lock::{Debt, LockWord, Taking};

const ENTRY: u64 = 7;

/// How to wake those who sleep and the one who listens. He waits for his pipe without a limit: a ring
/// that is lost is a deadlock, which loom reports.
struct Ears {
    beds: Beds,
    entry: AtomicU64,
    pipe: Mutex<u32>,
    written: Condvar,
}

impl Ears {
    fn new() -> Ears {
        Ears {
            beds: Beds::new(),
            entry: AtomicU64::new(ENTRY),
            pipe: Mutex::new(0),
            written: Condvar::new(),
        }
    }

    /// Waits until it is told, as an event loop does.
    fn hear(&self) {
        let mut pipe = self.pipe.lock().unwrap();
        while *pipe == 0 {
            pipe = self.written.wait(pipe).unwrap();
        }
        assert_eq!(*pipe, 1, "told twice");
        *pipe = 0;
        drop(pipe);
        quiet(&self.entry, |seen| seen & !RUNG == ENTRY);
    }
}

impl Sleep for Ears {
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) -> Woken {
        self.beds.sleep(word, expected, limit)
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        let woken = self.beds.wake(word, count);
        fence(Ordering::SeqCst);
        if ring(&self.entry, |seen| seen & !RUNG == ENTRY).is_some() {
            *self.pipe.lock().unwrap() += 1;
            self.written.notify_one();
        }
        woken
    }
}

/// Things that are put and taken, and where one waits for them.
struct Stock {
    how: Ears,
    there: AtomicU32,
    word: WaitWord,
}

impl Stock {
    fn new() -> Arc<Stock> {
        Arc::new(Stock { how: Ears::new(), there: AtomicU32::new(0), word: WaitWord::new() })
    }

    fn put(&self) {
        self.there.fetch_add(1, Ordering::AcqRel);
        self.word.wake_one(&self.how);
    }

    fn try_take(&self) -> bool {
        let mut seen = self.there.load(Ordering::Relaxed);
        while seen > 0 {
            match self.there.compare_exchange(seen, seen - 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if seen > 1 && self.word.has_sleepers() {
                        self.word.wake_one(&self.how);
                    }
                    return true;
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    fn take_listening(&self) {
        while !self.try_take() {
            self.word.announce();
            if self.try_take() {
                return;
            }
            self.how.hear();
        }
    }

    fn take_sleeping(&self) {
        while !self.try_take() {
            let ready = || self.there.load(Ordering::Acquire) > 0;
            self.word.sleep(&self.how, Duration::MAX, ready);
        }
    }
}

#[test]
fn a_ring_is_never_lost() {
    exhaust(|| {
        let stock = Stock::new();
        let other = stock.clone();
        let thread = thread::spawn(move || other.put());
        stock.take_listening();
        thread.join().unwrap();
    });
}

#[test]
fn one_listens_for_what_two_put() {
    bounded(|| {
        let stock = Stock::new();
        let threads = [stock.clone(), stock.clone()].map(|s| thread::spawn(move || s.put()));
        stock.take_listening();
        stock.take_listening();
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// Who sleeps and who listens do not take each other's wake-ups.
#[test]
fn one_listens_where_another_sleeps() {
    bounded(|| {
        let stock = Stock::new();
        let (sleeper, putter) = (stock.clone(), stock.clone());
        let sleeper = thread::spawn(move || sleeper.take_sleeping());
        let putter = thread::spawn(move || {
            putter.put();
            putter.put();
        });
        stock.take_listening();
        sleeper.join().unwrap();
        putter.join().unwrap();
    });
}

#[test]
fn one_listens_at_a_lock() {
    bounded(|| {
        let shared = Arc::new((LockWord::new(), Ears::new()));
        let debt = Debt::none();
        assert!(shared.0.try_take(11, &debt));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let debt = Debt::none();
            while !matches!(other.0.take(12, &debt), Taking::Taken { .. }) {
                other.0.sleep(&other.1, Duration::MAX, &debt);
            }
            other.0.give(&other.1);
        });
        shared.0.give(&shared.1);
        loop {
            if matches!(shared.0.take(13, &debt), Taking::Taken { .. }) {
                break;
            }
            shared.0.announce();
            if matches!(shared.0.take(13, &debt), Taking::Taken { .. }) {
                break;
            }
            shared.1.hear();
        }
        shared.0.give(&shared.1);
        thread.join().unwrap();
    });
}
