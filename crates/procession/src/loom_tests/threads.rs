//! Thread queues: `threads` as it is, over loom's mutex and condition variable. A lost wake-up is a deadlock,
//! which loom reports. A time-out is up at once, so that giving up is tried against everything else.

use std::time::{Duration, Instant};

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{bounded, exhaust};
use crate::threads::{
    Change, Fifo, GetError, Host, Parked, Parker, Queue, Refusal, Side, State, Store, deliver,
    deliver_all, wait,
};

const AT_ONCE: Duration = Duration::ZERO;

fn spawn<R: 'static>(
    queue: &Queue<u32>,
    act: impl FnOnce(&Queue<u32>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let queue = queue.clone();
    thread::spawn(move || act(&queue))
}

#[test]
fn threads_one_put_wakes_one_get() {
    exhaust(|| {
        let queue = Queue::new();
        let getter = spawn(&queue, |queue| queue.get());
        queue.put(7).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(7));
    });
}

#[test]
fn threads_every_value_finds_its_getter() {
    bounded(|| {
        let queue = Queue::new();
        let getters = [(); 2].map(|()| spawn(&queue, |queue| queue.get().unwrap()));
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(getters.map(|getter| getter.join().unwrap()).iter().sum::<u32>(), 3);
    });
}

#[test]
fn threads_every_place_finds_its_putter() {
    bounded(|| {
        let queue = Queue::bounded(1);
        let putters = [1, 2].map(|value| spawn(&queue, move |queue| queue.put(value).unwrap()));
        let mut sum = 0;
        for _ in 0..2 {
            sum += queue.get().unwrap();
            assert!(queue.len() <= 1);
        }
        assert_eq!(sum, 3);
        putters.into_iter().for_each(|putter| putter.join().unwrap());
    });
}

#[test]
fn threads_who_gives_up_passes_the_wake_up_on() {
    bounded(|| {
        let queue = Queue::new();
        let hasty = spawn(&queue, |queue| queue.get_timeout(AT_ONCE));
        let patient = spawn(&queue, |queue| queue.get().unwrap());
        queue.put(1).unwrap();
        match hasty.join().unwrap() {
            Ok(value) => {
                assert_eq!(value, 1);
                queue.put(2).unwrap();
                assert_eq!(patient.join().unwrap(), 2);
            }
            // The value is there, and so the patient one must come by it.
            Err(error) => {
                assert_eq!(error, GetError::Empty);
                assert_eq!(patient.join().unwrap(), 1);
            }
        }
    });
}

#[test]
fn threads_a_putter_that_gives_up_passes_the_wake_up_on() {
    bounded(|| {
        let queue = Queue::bounded(1);
        queue.put(1).unwrap();
        let hasty = spawn(&queue, |queue| queue.put_timeout(2, AT_ONCE).is_ok());
        let patient = spawn(&queue, |queue| queue.put(3).unwrap());
        assert_eq!(queue.get(), Ok(1));
        if hasty.join().unwrap() {
            queue.get().unwrap();
        }
        patient.join().unwrap();
        assert_eq!(queue.len(), 1);
    });
}

#[test]
fn threads_a_callback_that_is_forgotten_passes_the_wake_up_on() {
    bounded(|| {
        let queue = Queue::new();
        let rung = Arc::new(Mutex::new(0));
        let waiting = queue.when_item({
            let rung = rung.clone();
            move || *rung.lock().unwrap() += 1
        });
        let getter = spawn(&queue, |queue| queue.get());
        let putter = spawn(&queue, |queue| queue.put(5).unwrap());
        waiting.unwrap().forget();
        assert_eq!(getter.join().unwrap(), Ok(5));
        putter.join().unwrap();
        assert!(*rung.lock().unwrap() <= 1);
    });
}

#[test]
fn threads_shut_down_ends_every_wait() {
    bounded(|| {
        let queue = Queue::bounded(1);
        let getter = spawn(&queue, |queue| queue.iter().count());
        let putter = spawn(&queue, |queue| [1, 2].map(|value| queue.put(value).is_ok()));
        queue.shut_down();
        let put = putter.join().unwrap().iter().filter(|&&put| put).count();
        assert_eq!(getter.join().unwrap(), put, "what was put is taken, and no more");
    });
}

#[test]
fn threads_shut_down_now_releases_joiners() {
    bounded(|| {
        let queue = Queue::new();
        queue.put(1).unwrap();
        let joiner = spawn(&queue, |queue| queue.join());
        let getter = spawn(&queue, |queue| {
            queue.get().map(|value| {
                queue.task_done().unwrap();
                value
            })
        });
        let rest = queue.shut_down_now().into_iter().count();
        joiner.join().unwrap();
        let got = getter.join().unwrap();
        assert_eq!(rest, usize::from(got.is_err()), "the value is given once");
    });
}

#[test]
fn threads_the_last_task_done_releases_joiners() {
    bounded(|| {
        let queue = Queue::new();
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        let joiner = spawn(&queue, |queue| {
            queue.join();
            queue.len()
        });
        let worker = spawn(&queue, |queue| {
            queue.get().unwrap();
            queue.task_done().unwrap();
        });
        queue.get().unwrap();
        queue.task_done().unwrap();
        assert_eq!(joiner.join().unwrap(), 0);
        worker.join().unwrap();
    });
}

#[test]
fn threads_more_room_wakes_who_waits_for_it() {
    exhaust(|| {
        let queue = Queue::bounded(1);
        queue.put(1).unwrap();
        let putter = spawn(&queue, |queue| queue.put(2).unwrap());
        queue.set_capacity(2);
        putter.join().unwrap();
        assert_eq!(queue.get_many(9), Ok(vec![1, 2]));
    });
}

/// A queue whose store is taken away, as that of a priority queue of foreign objects.
struct Foreign(Mutex<State<Fifo<u32>, ()>>);

impl Host for Foreign {
    type Store = Fifo<u32>;
    type Call = ();
    type Stop = ();

    fn with<R>(&self, act: impl FnOnce(&mut State<Fifo<u32>, ()>) -> R) -> R {
        act(&mut self.0.lock().unwrap())
    }

    fn call(&self, (): ()) -> bool {
        true
    }

    fn sleep(&self, parker: &Parker, _deadline: Option<Instant>) -> Result<bool, ()> {
        Ok(parker.park(None) == Parked::Woken)
    }
}

impl Foreign {
    /// The store, once nobody else has it.
    fn take_away(&self, me: u64) -> Fifo<u32> {
        loop {
            match self.with(|state| state.take_away(me)) {
                Ok(store) => return store,
                Err(refusal) => assert_eq!(refusal, Refusal::Away),
            }
            let back = |state: &mut State<_, _>| state.holder().is_none().then_some(());
            wait(self, Side::Back, None, back).unwrap();
        }
    }

    fn bring_back(&self, store: Fifo<u32>, change: Change, side: Side) {
        deliver_all(self, self.with(|state| state.bring_back(store, change)));
        deliver(self, side, self.with(|state| state.pass_on(side)));
    }

    fn put(&self, value: u32) {
        let mut store = self.take_away(u64::from(value));
        store.push(value).unwrap();
        self.bring_back(store, Change::Put, Side::Item);
    }

    fn get(&self) -> u32 {
        loop {
            let got = wait(self, Side::Item, None, |state| match state.get() {
                Ok((value, wake)) => {
                    assert!(wake.is_none());
                    Some(Some(value))
                }
                Err(Refusal::Empty) => None,
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Away);
                    Some(None)
                }
            });
            if let Some(value) = got.unwrap().unwrap() {
                return value;
            }
            let back = |state: &mut State<_, _>| state.holder().is_none().then_some(());
            wait(self, Side::Back, None, back).unwrap();
        }
    }
}

#[test]
fn threads_a_store_that_is_away_comes_back_to_all_who_wait() {
    bounded(|| {
        let queue = Arc::new(Foreign(Mutex::new(State::new(Fifo::default()))));
        let putters = [1, 2].map(|value| {
            let queue = queue.clone();
            thread::spawn(move || queue.put(value))
        });
        assert_eq!(queue.get() + queue.get(), 3);
        putters.into_iter().for_each(|putter| putter.join().unwrap());
        assert_eq!(queue.with(|state| (state.len(), state.unfinished())), (0, 2));
    });
}
