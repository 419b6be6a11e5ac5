//! The algorithms under loom, which tries every interleaving: `ci/loom.sh` runs them.
//!
//! Segments are tiny (64 bytes), so that two or three messages cross a boundary. Blocking is modelled
//! by a loom condition variable; what is checked is the production code of `wait`, `lock`, `ring`,
//! `words` and of a pipe's bell.
//!
//! Each algorithm alone is checked exhaustively. All three together have too many interleavings for
//! that: those models are bounded by the number of preemptions, 2 unless `LOOM_MAX_PREEMPTIONS` says
//! otherwise.

mod listening;
mod runs;
mod rwlock;
mod threads;
mod words;

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::lock::{Lock, Owners, Serial};
use crate::pipe::bell::{Bell, Wire};
use crate::ring::fifo::{BlockRef, Cursor, Head, Limits, Memory, PushError, Record, Tail};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::wait::{Sleep, WaitWord, Woken};

/// Sleeping by a condition variable. A sleep never times out: a lost wake-up is a deadlock, which
/// loom reports.
struct Model {
    sleepers: Mutex<u32>,
    bell: Condvar,
    dead: Serial,
}

impl Model {
    fn new(dead: Serial) -> Model {
        Model { sleepers: Mutex::new(0), bell: Condvar::new(), dead }
    }
}

impl Sleep for Model {
    fn sleep(&self, word: &AtomicU32, expected: u32, _limit: Duration) -> Woken {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.load(Ordering::SeqCst) != expected {
            return Woken::Changed;
        }
        if self.is_dead(expected & 0x7fff_ffff) {
            return Woken::TimedOut;
        }
        *sleepers += 1;
        drop(self.bell.wait(sleepers).unwrap());
        Woken::Wake
    }

    fn wake(&self, _word: &AtomicU32, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let n = count.min(*sleepers);
        *sleepers -= n;
        for _ in 0..n {
            self.bell.notify_one();
        }
        n
    }
}

impl Owners for Model {
    fn is_dead(&self, serial: Serial) -> bool {
        serial == self.dead
    }
}

const SEGMENT: u64 = 64;
const SEGMENTS: u64 = 4;

/// Memory of a few words; segments are handed out in turn.
struct Words {
    words: Vec<AtomicU64>,
    next: AtomicU64,
}

impl Words {
    fn new() -> Words {
        let words = (0..=SEGMENTS * SEGMENT / 8).map(|_| AtomicU64::new(0)).collect();
        Words { words, next: AtomicU64::new(1) }
    }

    fn fresh(&self) -> Cursor {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(n < SEGMENTS, "the model has too few segments");
        Cursor::new(n * SEGMENT, 6)
    }
}

impl Memory for Words {
    type Error = &'static str;
    fn load(&self, at: u64) -> Result<u64, &'static str> {
        Ok(self.words[(at / 8) as usize].load(Ordering::Relaxed))
    }
    fn store(&self, at: u64, value: u64) -> Result<(), &'static str> {
        self.words[(at / 8) as usize].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn copy_in(&self, at: u64, bytes: &[u8]) -> Result<(), &'static str> {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(at + 8 * i as u64, u64::from_le_bytes(word))?;
        }
        Ok(())
    }
    fn copy_out(&self, at: u64, len: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        for i in 0..len.div_ceil(8) {
            let word = self.load(at + 8 * i as u64)?.to_le_bytes();
            out.extend_from_slice(&word[..(len - 8 * i).min(8)]);
        }
        Ok(())
    }
    fn check(&self, c: Cursor) -> Result<(), &'static str> {
        if c.segment() >= SEGMENT { Ok(()) } else { Err("a cursor to nowhere") }
    }
    fn note_given(&self, _: Cursor, _: u64) -> Result<(), &'static str> {
        Ok(())
    }
    fn note_left(&self, _: Cursor, _: u64) -> Result<(), &'static str> {
        Ok(())
    }
    fn note_taken(&self, _: BlockRef, _: u64) -> Result<(), &'static str> {
        Ok(())
    }
    fn corrupt(&self, what: &'static str) -> &'static str {
        what
    }
}

const NO_LIMITS: Limits = Limits { messages: 0, bytes: 0 };

struct Fifo {
    how: Model,
    words: Words,
    tail_lock: Lock,
    head_lock: Lock,
    tail: Tail,
    head: Head,
    items: WaitWord,
    room: WaitWord,
    capacity: u64,
}

impl Fifo {
    fn new(capacity: u64) -> Arc<Fifo> {
        Arc::new(Fifo {
            how: Model::new(0),
            words: Words::new(),
            tail_lock: Lock::new(),
            head_lock: Lock::new(),
            tail: Tail::new(),
            head: Head::new(),
            items: WaitWord::new(),
            room: WaitWord::new(),
            capacity,
        })
    }

    fn try_put(&self, me: Serial, value: u64) -> bool {
        let bytes = [value.to_le_bytes(), (!value).to_le_bytes()].concat();
        let record = Record { kind: 1, inline: &bytes, block: None };
        let mut fresh = None;
        loop {
            let held = self.tail_lock.lock(me, &self.how);
            let pushed =
                self.tail.push(&self.words, &self.head, self.limits(), &record, &mut fresh);
            drop(held);
            match pushed {
                Ok(_) => break,
                Err(PushError::Full) => return false,
                Err(PushError::NeedSegment(_)) => fresh = Some(self.words.fresh()),
                Err(PushError::Memory(e)) => panic!("{e}"),
            }
        }
        self.items.wake_one(&self.how);
        true
    }

    fn limits(&self) -> Limits {
        Limits { messages: self.capacity, ..NO_LIMITS }
    }

    fn put(&self, me: Serial, value: u64) {
        while !self.try_put(me, value) {
            let room = || self.tail.count() - self.head.count() < self.capacity;
            self.room.sleep(&self.how, Duration::MAX, room);
        }
    }

    fn try_get(&self, me: Serial) -> Option<u64> {
        let mut out = Vec::new();
        let held = self.head_lock.lock(me, &self.how);
        let popped = self.head.pop(&self.words, &self.tail, &mut out).unwrap();
        drop(held);
        popped?;
        if self.capacity != 0 {
            self.room.wake_one(&self.how);
        }
        if self.items.has_sleepers() && self.tail.count() != self.head.count() {
            self.items.wake_one(&self.how);
        }
        let value = u64::from_le_bytes(out[..8].try_into().unwrap());
        assert_eq!(out[8..], (!value).to_le_bytes(), "torn");
        Some(value)
    }

    fn get(&self, me: Serial) -> u64 {
        loop {
            if let Some(value) = self.try_get(me) {
                return value;
            }
            let ready = || self.tail.count() != self.head.count();
            self.items.sleep(&self.how, Duration::MAX, ready);
        }
    }
}

/// Every interleaving.
fn exhaust(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.check(model);
}

/// Every interleaving with few preemptions.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.check(model);
}

#[test]
fn a_wake_up_is_never_lost() {
    exhaust(|| {
        let shared = Arc::new((WaitWord::new(), AtomicU64::new(0), Model::new(0)));
        let other = shared.clone();
        let waker = thread::spawn(move || {
            other.1.store(1, Ordering::Release);
            other.0.wake_one(&other.2);
        });
        let ready = || shared.1.load(Ordering::Acquire) == 1;
        while !ready() {
            shared.0.sleep(&shared.2, Duration::MAX, ready);
        }
        waker.join().unwrap();
    });
}

#[test]
fn a_ring_without_locks_has_one_writer_and_one_reader() {
    exhaust(|| {
        let shared = Arc::new((Tail::new(), Head::new(), Words::new()));
        let other = shared.clone();
        let push = |s: &(Tail, Head, Words), value: u8, fresh: &mut Option<Cursor>| {
            let record = Record { kind: 1, inline: &[value; 30], block: None };
            s.0.push(&s.2, &s.1, NO_LIMITS, &record, fresh).is_ok()
        };
        let (one, two) = (shared.2.fresh(), shared.2.fresh());
        let writer = thread::spawn(move || {
            // The second does not fit behind the first: it jumps to the second segment.
            assert!(push(&other, 1, &mut Some(one)) && push(&other, 2, &mut Some(two)));
        });
        let mut got = Vec::new();
        let mut pop = || {
            let mut out = Vec::new();
            if shared.1.pop(&shared.2, &shared.0, &mut out).unwrap().is_some() {
                assert_eq!(out, [out[0]; 30], "torn");
                got.push(out[0]);
            }
        };
        (0..2).for_each(|_| pop());
        writer.join().unwrap();
        (0..2).for_each(|_| pop());
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn one_to_one_across_segments() {
    bounded(|| {
        let q = Fifo::new(0);
        let p = q.clone();
        let producer = thread::spawn(move || (1..=3).for_each(|i| p.put(1, i)));
        assert_eq!([q.get(2), q.get(2), q.get(2)], [1, 2, 3]);
        producer.join().unwrap();
    });
}

#[test]
fn bounded_by_one() {
    bounded(|| {
        let q = Fifo::new(1);
        let p = q.clone();
        let producer = thread::spawn(move || (1..=2).for_each(|i| p.put(1, i)));
        assert_eq!([q.get(2), q.get(2)], [1, 2]);
        producer.join().unwrap();
    });
}

#[test]
fn two_producers() {
    bounded(|| {
        let q = Fifo::new(0);
        let (a, b) = (q.clone(), q.clone());
        let one = thread::spawn(move || a.put(1, 1));
        let two = thread::spawn(move || b.put(2, 2));
        let mut got = [q.get(3), q.get(3)];
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn two_consumers() {
    bounded(|| {
        let q = Fifo::new(0);
        let (a, b) = (q.clone(), q.clone());
        let one = thread::spawn(move || a.get(1));
        let two = thread::spawn(move || b.get(2));
        q.put(3, 1);
        q.put(3, 2);
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 3);
    });
}

#[test]
fn lock_excludes() {
    exhaust(|| {
        let shared = Arc::new((Lock::new(), AtomicU64::new(0), Model::new(0)));
        let other = shared.clone();
        let add = |s: &(Lock, AtomicU64, Model), me| {
            let _held = s.0.lock(me, &s.2);
            // Not atomic: only the lock makes it so.
            s.1.store(s.1.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        };
        let thread = thread::spawn(move || add(&other, 1));
        add(&shared, 2);
        thread.join().unwrap();
        assert_eq!(shared.1.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn lock_of_the_dead_is_taken_over_once() {
    exhaust(|| {
        let shared = Arc::new((Lock::new(), AtomicU64::new(0), AtomicU64::new(0), Model::new(9)));
        std::mem::forget(shared.0.lock(9, &shared.3)); // its owner dies
        let other = shared.clone();
        let take = |s: &(Lock, AtomicU64, AtomicU64, Model), me| {
            let held = s.0.lock(me, &s.3);
            s.1.store(s.1.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            if held.inherited {
                s.2.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = thread::spawn(move || take(&other, 1));
        take(&shared, 2);
        thread.join().unwrap();
        assert_eq!(shared.1.load(Ordering::Relaxed), 2);
        assert_eq!(shared.2.load(Ordering::Relaxed), 1, "inherited by one");
    });
}

/// A pair of sockets of which only the number of bytes matters.
struct Bytes {
    there: Mutex<u32>,
    arrival: Condvar,
}

impl Wire for Bytes {
    fn ring(&self) {
        *self.there.lock().unwrap() += 1;
        self.arrival.notify_all();
    }
    fn eat(&self, all: bool) {
        let mut there = self.there.lock().unwrap();
        *there = if all { 0 } else { there.saturating_sub(1) };
    }
}

/// A pipe: what the tail lock guards, messages there, the bell's word, and the socket.
struct Pipe {
    lock: Mutex<()>,
    sent: AtomicU64,
    taken: AtomicU64,
    bell: AtomicU32,
    socket: Bytes,
}

impl Pipe {
    fn new() -> Arc<Pipe> {
        Arc::new(Pipe {
            lock: Mutex::new(()),
            sent: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            bell: AtomicU32::new(0),
            socket: Bytes { there: Mutex::new(1), arrival: Condvar::new() },
        })
    }

    fn send(&self) {
        let _held = self.lock.lock().unwrap();
        Bell(&self.bell).ring(&self.socket);
        self.sent.store(self.sent.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    fn is_empty(&self) -> bool {
        self.sent.load(Ordering::Acquire) == self.taken.load(Ordering::Acquire)
    }

    fn arm(&self) {
        let _held = self.lock.lock().unwrap();
        if self.is_empty() {
            Bell(&self.bell).arm(&self.socket);
        }
    }

    /// As one reader of several: takes a message, asleep in the socket until there is one.
    fn recv(&self) {
        loop {
            let taken = self.taken.load(Ordering::Acquire);
            if taken < self.sent.load(Ordering::Acquire) {
                let next = (taken, taken + 1);
                let order = (Ordering::AcqRel, Ordering::Relaxed);
                if self.taken.compare_exchange(next.0, next.1, order.0, order.1).is_ok() {
                    return;
                }
                continue;
            }
            self.arm();
            if self.is_empty() {
                let mut there = self.socket.there.lock().unwrap();
                while *there == 0 {
                    there = self.socket.arrival.wait(there).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_bell_is_never_missed() {
    bounded(|| {
        let pipe = Pipe::new();
        let threads = [pipe.clone(), pipe.clone()].map(|p| thread::spawn(move || p.recv()));
        pipe.send();
        pipe.send();
        threads.into_iter().for_each(|t| t.join().unwrap());
        pipe.arm();
        assert_eq!(*pipe.socket.there.lock().unwrap(), 0, "readable with nothing to read");
        pipe.send();
        assert_eq!(*pipe.socket.there.lock().unwrap(), 1);
    });
}
