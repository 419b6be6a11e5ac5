//! The lock with many readers under loom.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::bounded;
use super::words::Beds;
use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::words::entries::Entries;
use crate::words::lock::{ABANDONED, Debt, LockWord, Taking};
use crate::words::rwlock::{Doors, Reading, RwWords};

struct Shared {
    how: Beds,
    word: LockWord,
    phase: AtomicU32,
    doors: Doors,
    entries: Vec<AtomicU32>,
    /// Always equal for who reads or writes: only the lock makes it so.
    pair: [AtomicU64; 2],
}

impl Shared {
    fn new(entries: usize) -> Arc<Shared> {
        Arc::new(Shared {
            how: Beds::new(),
            word: LockWord::new(),
            phase: AtomicU32::new(0),
            doors: Doors::new(),
            entries: (0..entries).map(|_| AtomicU32::new(0)).collect(),
            pair: [AtomicU64::new(0), AtomicU64::new(0)],
        })
    }

    fn words(&self) -> RwWords<'_> {
        let readers = Entries([&self.entries, &[], &[]]);
        RwWords { word: &self.word, phase: &self.phase, doors: &self.doors, readers }
    }

    fn pair(&self) -> u64 {
        let [one, two] = self.pair.each_ref().map(|n| n.load(Ordering::Relaxed));
        assert_eq!(one, two, "somebody writes");
        one
    }

    /// Reads once; whether it was told that the lock is abandoned.
    fn read(&self, owner: u32) -> (u64, bool) {
        loop {
            match self.words().try_read(owner, owner, &self.how) {
                Reading::Taken { abandoned } => {
                    let seen = self.pair();
                    assert!(self.words().end_read(owner, owner, &self.how));
                    return (seen, abandoned);
                }
                Reading::Refused | Reading::NoPlace => {
                    self.words().sleep_to_read(&self.how, Duration::MAX, owner);
                }
            }
        }
    }

    /// Takes the lock to write; whether it was abandoned.
    fn begin(&self, me: Serial) -> bool {
        let debt = Debt::none();
        let abandoned = loop {
            match self.words().claim(me, &debt) {
                Taking::Taken { abandoned } => break abandoned,
                Taking::HeldBy(_) => drop(self.word.sleep(&self.how, Duration::MAX, &debt)),
            }
        };
        while !self.words().try_begin() {
            self.words().sleep_to_write(&self.how, Duration::MAX);
        }
        abandoned
    }

    fn write(&self, me: Serial) -> bool {
        let abandoned = self.begin(me);
        let next = self.pair() + 1;
        self.pair.iter().for_each(|n| n.store(next, Ordering::Relaxed));
        self.words().end_write(&self.how);
        abandoned
    }

    /// As the sweep does.
    fn bury(&self, gone: Serial) {
        let heir = self.words().heir(|| ());
        self.word.bury(gone, heir, &self.how);
        self.words().opened(&self.how);
    }
}

#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    bounded(|| {
        let lock = Shared::new(1);
        let other = lock.clone();
        let writer = thread::spawn(move || other.write(11));
        lock.read(1);
        assert!(!writer.join().unwrap());
        assert_eq!(lock.read(1), (1, false));
    });
}

#[test]
fn two_writers_and_a_reader() {
    bounded(|| {
        let lock = Shared::new(1);
        let (one, two) = (lock.clone(), lock.clone());
        let writers = [thread::spawn(move || one.write(11)), thread::spawn(move || two.write(12))];
        lock.read(1);
        writers.into_iter().for_each(|w| assert!(!w.join().unwrap()));
        assert_eq!(lock.read(1), (2, false));
    });
}

/// Of two processes, for which there is one place.
#[test]
fn who_finds_no_place_gets_one() {
    bounded(|| {
        let lock = Shared::new(1);
        let other = lock.clone();
        let reader = thread::spawn(move || other.read(2));
        lock.read(1);
        assert!(!reader.join().unwrap().1);
        assert_eq!(lock.words().owners().count(), 0);
    });
}

#[test]
fn two_threads_of_one_process_share_a_place() {
    bounded(|| {
        let lock = Shared::new(1);
        let other = lock.clone();
        let reader = thread::spawn(move || other.read(1));
        lock.read(1);
        reader.join().unwrap();
        assert_eq!(lock.words().owners().count(), 0);
    });
}

#[test]
fn a_dead_readers_place_lets_the_writer_go_on() {
    bounded(|| {
        let lock = Shared::new(2);
        assert_eq!(lock.words().try_read(9, 0, &lock.how), Reading::Taken { abandoned: false });
        let (sweeps, reads) = (lock.clone(), lock.clone());
        let sweeper = thread::spawn(move || sweeps.words().bury_readers(9, &sweeps.how));
        let reader = thread::spawn(move || reads.read(1));
        assert!(!lock.write(11));
        sweeper.join().unwrap();
        assert!(!reader.join().unwrap().1);
    });
}

/// One dies writing, or before it writes.
#[test]
fn a_dead_writer_is_told_of_and_one_that_only_waited_is_not() {
    for wrote in [true, false] {
        bounded(move || {
            let lock = Shared::new(1);
            if wrote {
                lock.begin(99);
            } else {
                lock.words().claim(99, &Debt::none());
            }
            let (sweeps, reads) = (lock.clone(), lock.clone());
            let sweeper = thread::spawn(move || sweeps.bury(99));
            let reader = thread::spawn(move || reads.read(1));
            sweeper.join().unwrap();
            assert_eq!(lock.write(11), wrote);
            let (seen, told) = reader.join().unwrap();
            assert_eq!(told, wrote && seen == 0);
            assert_eq!(lock.read(1), (1, false), "until somebody has written");
        });
    }
}

/// One gives up who had it as abandoned.
#[test]
fn what_is_given_back_is_as_it_was() {
    bounded(|| {
        let lock = Shared::new(1);
        lock.begin(99);
        lock.bury(99);
        assert_eq!(lock.words().claim(11, &Debt::none()), Taking::Taken { abandoned: true });
        let other = lock.clone();
        let reader = thread::spawn(move || other.read(1));
        lock.words().give_back(11, &lock.how);
        assert!(reader.join().unwrap().1);
        assert_eq!(lock.word.holder(), ABANDONED);
        assert!(lock.write(12));
    });
}
