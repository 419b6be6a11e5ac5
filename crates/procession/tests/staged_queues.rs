//! Queues in other orders that two processes use in turn: what one leaves in the stage is there for the other,
//! in its place, and counted.
#![allow(missing_docs)]

mod support;

use std::num::NonZeroU64;

use procession::codec::order::order_key;
use procession::collections::{Datum, OfferError};
use procession::{ArenaError, Family, Queue, RawLifoQueue, RawPriorityQueue};
use support::random::{Random, seed};
use support::{Running, alone, argument, hex, role, start_with, unhex};

/// What the other process is told to put: a key, and a number.
type Order = (u64, u64);

trait Subject: Sized {
    const NAME: &'static str;
    fn create(capacity: u64) -> Self;
    fn open(handle: &[u8]) -> Self;
    fn handle(&self) -> Vec<u8>;
    /// Puts what is ordered by a number, or by a text.
    fn put(&self, key: u64, n: u64) -> Result<(), OfferError>;
    fn get(&self) -> Option<Vec<u8>>;
    fn peek(&self) -> Option<Vec<u8>>;
    fn counts(&self) -> (u64, u64, bool);
    fn faults(&self) -> Vec<String>;
    /// Where a message with this key belongs.
    fn place(model: &[(u64, u64)], key: u64) -> usize;
}

macro_rules! subject {
    ($type:ident, $name:literal, $put:expr, $place:expr) => {
        impl Subject for $type {
            const NAME: &'static str = $name;
            fn create(capacity: u64) -> Self {
                $type::create(Family::current().unwrap(), NonZeroU64::new(capacity)).unwrap()
            }
            fn open(handle: &[u8]) -> Self {
                $type::from_handle(handle).unwrap()
            }
            fn handle(&self) -> Vec<u8> {
                $type::handle(self)
            }
            fn put(&self, key: u64, n: u64) -> Result<(), OfferError> {
                $put(self, key, &n.to_le_bytes())
            }
            fn get(&self) -> Option<Vec<u8>> {
                let mut out = Vec::new();
                self.try_get(&mut out).unwrap().map(|_| out)
            }
            fn peek(&self) -> Option<Vec<u8>> {
                let mut out = Vec::new();
                $type::peek(self, &mut out).unwrap().map(|_| out)
            }
            fn counts(&self) -> (u64, u64, bool) {
                (self.len(), self.unfinished(), self.is_full())
            }
            fn faults(&self) -> Vec<String> {
                self.check().unwrap()
            }
            fn place(model: &[(u64, u64)], key: u64) -> usize {
                $place(model, key)
            }
        }
    };
}
subject!(
    RawLifoQueue,
    "lifo",
    |q: &RawLifoQueue, _, n: &[u8]| q.try_put(&Datum::plain(n)),
    |_: &[(u64, u64)], _| 0
);
subject!(
    RawPriorityQueue,
    "priority",
    |q: &RawPriorityQueue, key, n: &[u8]| q
        .try_put(order_key(&(key, "same")).unwrap().as_bytes(), &Datum::plain(n)),
    |model: &[(u64, u64)], key| model.partition_point(|(other, _)| *other <= key)
);

/// Another process, which puts what it is told to.
struct Other {
    orders: Queue<Order>,
    done: Queue<bool>,
    child: Running,
}

fn start<S: Subject>(q: &S) -> Other {
    let (orders, done) = (Queue::unbounded().unwrap(), Queue::unbounded().unwrap());
    let arguments = [
        ("QUEUE", hex(&q.handle())),
        ("ORDERS", hex(&orders.handle())),
        ("DONE", hex(&done.handle())),
    ];
    let child = start_with("other", S::NAME, &arguments, Some(Family::current().unwrap().fd()));
    Other { orders, done, child }
}

fn play<S: Subject>() {
    let q = S::open(&unhex(&argument("QUEUE")));
    let orders: Queue<Order> = Queue::from_handle(&unhex(&argument("ORDERS"))).unwrap();
    let done = Queue::from_handle(&unhex(&argument("DONE"))).unwrap();
    for order in &orders {
        let (key, n) = order.unwrap();
        let put = match q.put(key, n) {
            Ok(()) => true,
            Err(OfferError::Full) => false,
            Err(e) => panic!("{e}"),
        };
        done.put(put).unwrap();
    }
    std::process::exit(0);
}

#[test]
fn other() {
    let Some(role) = role().filter(|role| ["lifo", "priority"].contains(&&**role)) else {
        return;
    };
    let _family = Family::attach_fd(support::inherited()).unwrap();
    if role == "lifo" { play::<RawLifoQueue>() } else { play::<RawPriorityQueue>() }
}

/// Both put and this one takes, in turn, so that a model knows what comes.
fn as_the_model_says<S: Subject>(capacity: u64) {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let q = S::create(capacity);
    let other = start(&q);
    let mut model: Vec<(u64, u64)> = Vec::new();
    let mut unfinished = 0;
    for n in 0..6000 {
        // It is filled and emptied in turns, also beyond what a stage has room for.
        let puts = if n / 300 % 2 == 0 { 8 } else { 3 };
        let is_full = capacity != 0 && model.len() as u64 == capacity;
        match random.below(12) {
            what if what < puts => {
                let key = random.below(50);
                let is_in = if what % 4 == 0 {
                    let put = q.put(key, n);
                    assert!(matches!(put, Ok(()) | Err(OfferError::Full)));
                    put.is_ok()
                } else {
                    other.orders.put((key, n)).unwrap();
                    other.done.get().unwrap()
                };
                assert_eq!(is_in, !is_full);
                if is_in {
                    model.insert(S::place(&model, key), (key, n));
                    unfinished += 1;
                }
            }
            11 => {
                let next = model.first().map(|(_, n)| n.to_le_bytes().to_vec());
                assert_eq!(q.peek(), next);
            }
            _ => {
                let next = (!model.is_empty()).then(|| model.remove(0).1.to_le_bytes().to_vec());
                assert_eq!(q.get(), next);
            }
        }
        let is_full = capacity != 0 && model.len() as u64 == capacity;
        assert_eq!(q.counts(), (model.len() as u64, unfinished, is_full));
        if n % 500 == 0 {
            assert_eq!(q.faults(), [""; 0]);
        }
    }
    other.orders.close();
    assert!(other.child.finish().1.success());
    assert_eq!(q.faults(), [""; 0]);
}

alone!(a_stack_is_as_the_model_says {
    as_the_model_says::<RawLifoQueue>(0);
    as_the_model_says::<RawLifoQueue>(20);
});

alone!(by_priority_it_is_as_the_model_says {
    as_the_model_says::<RawPriorityQueue>(0);
    as_the_model_says::<RawPriorityQueue>(100);
});

/// One process alone, with few messages in it or none: then it stages, too.
fn alone_and_almost_empty<S: Subject>(capacity: u64) {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let q = S::create(capacity);
    let mut model: Vec<(u64, u64)> = Vec::new();
    let mut unfinished = 0;
    for n in 0..5000 {
        let is_full = capacity != 0 && model.len() as u64 == capacity;
        if random.below(4) > model.len() as u64 {
            let key = random.below(5);
            let put = q.put(key, n);
            assert_eq!(matches!(put, Err(OfferError::Full)), is_full);
            assert_eq!(put.is_ok(), !is_full);
            if put.is_ok() {
                model.insert(S::place(&model, key), (key, n));
                unfinished += 1;
            }
        } else {
            let next = (!model.is_empty()).then(|| model.remove(0).1.to_le_bytes().to_vec());
            assert_eq!(q.get(), next);
        }
        let is_full = capacity != 0 && model.len() as u64 == capacity;
        assert_eq!(q.counts(), (model.len() as u64, unfinished, is_full));
    }
    assert_eq!(q.faults(), [""; 0]);
}

alone!(in_one_process_it_is_as_the_model_says {
    for capacity in [0, 1, 2] {
        alone_and_almost_empty::<RawLifoQueue>(capacity);
        alone_and_almost_empty::<RawPriorityQueue>(capacity);
    }
});

/// What comes out of `q`, in which the other process puts 40 numbers while no memory is left.
fn without_memory<S: Subject>() -> Vec<u64> {
    let family = Family::current().unwrap();
    let q = S::create(0);
    let other = start(&q);
    let tell = |key| {
        other.orders.put((key, key)).unwrap();
        assert!(other.done.get().unwrap());
    };
    // The other one makes the stage, and is told of this one's steps from then on.
    q.put(1000, 1000).unwrap();
    tell(1001);
    q.put(1002, 1002).unwrap();
    family.set_memory_limit(Some(1));
    // Until what is there has no room for one more.
    let mut more = 2000;
    while !matches!(q.put(more, more), Err(OfferError::Arena(ArenaError::Full { .. }))) {
        more += 1;
    }
    (0..40).map(|n| n * 7 % 40).for_each(tell);
    let mut all = Vec::new();
    while let Some(bytes) = q.get() {
        all.push(u64::from_le_bytes(bytes.try_into().unwrap()));
        assert_eq!(q.counts().0, 43 + (more - 2000) - all.len() as u64);
    }
    family.set_memory_limit(None);
    other.orders.close();
    assert!(other.child.finish().1.success());
    assert_eq!(q.faults(), [""; 0]);
    all
}

alone!(what_is_staged_can_be_taken_without_memory {
    let all = without_memory::<RawPriorityQueue>();
    assert!(all.len() > 43 && all.is_sorted());
    let all = without_memory::<RawLifoQueue>();
    assert!(all[..40].iter().copied().eq((0..40).map(|n| n * 7 % 40).rev()));
    assert!(all[40..].iter().is_sorted_by(|a, b| a > b));
});

alone!(another_kind_of_key_is_refused_with_one_staged {
    let q: RawPriorityQueue = Subject::create(0);
    let other = start(&q);
    q.put(5, 5).unwrap();
    for n in 0..5 {
        other.orders.put((n, n)).unwrap();
        assert!(other.done.get().unwrap());
    }
    let key = order_key(&("text", "same")).unwrap();
    let refused = q.try_put(key.as_bytes(), &Datum::plain(b"a"));
    assert!(matches!(refused, Err(OfferError::Unordered(_))));
    assert_eq!((q.len(), q.shut_down_now().unwrap(), q.unfinished()), (6, 6, 0));
    assert!(matches!(q.put(1, 1), Err(OfferError::Closed)));
    assert!(q.get().is_none() && q.faults().is_empty());
    other.orders.close();
    assert!(other.child.finish().1.success());
});
