//! Queues between threads: what a model checker does not see (clocks, drops, many values).

use std::thread;
use std::time::{Duration, Instant};

use procession::threads::{
    Fifo, GetError, LifoQueue, PutError, Queue, Refusal, Side, State, Store, TooManyDone, Who,
};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn each_value_comes_once_and_in_its_producers_order() {
    const EACH: usize = 20_000;
    let queue = Queue::bounded(7);
    thread::scope(|scope| {
        let producers = [0, 1, 2].map(|producer| {
            let queue = &queue;
            scope.spawn(move || {
                for n in 0..EACH {
                    queue.put((producer, n)).unwrap();
                }
            })
        });
        let consumers = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut next = [0; 3];
                let mut count = 0;
                for (producer, n) in queue.iter() {
                    assert!(n >= next[producer], "out of order");
                    next[producer] = n + 1;
                    count += 1;
                    queue.task_done().unwrap();
                }
                count
            })
        });
        for producer in producers {
            producer.join().unwrap();
        }
        queue.join();
        assert!(queue.is_empty());
        queue.shut_down();
        let counts = consumers.map(|consumer| consumer.join().unwrap());
        assert_eq!(counts.iter().sum::<usize>(), 3 * EACH);
    });
    assert_eq!(queue.task_done(), Err(TooManyDone));
}

#[test]
fn a_time_out_is_kept_to() {
    let queue = Queue::bounded(1);
    let began = Instant::now();
    assert_eq!(queue.get_timeout(SHORT), Err(GetError::Empty));
    queue.put(1).unwrap();
    assert!(matches!(queue.put_timeout(2, SHORT), Err(PutError::Full(2))));
    assert!(began.elapsed() >= 2 * SHORT);
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(queue.try_get(), Err(GetError::Empty));
}

/// Its drop uses the queue that it lay in.
struct Nosy(Queue<Nosy>);

impl Drop for Nosy {
    fn drop(&mut self) {
        assert!(self.0.is_shut_down());
        assert!(self.0.len() < 3);
    }
}

#[test]
fn values_are_dropped_without_the_lock() {
    let queue = Queue::new();
    for _ in 0..3 {
        queue.put(Nosy(queue.clone())).unwrap();
    }
    drop(queue.shut_down_now());
    assert!(queue.is_empty());
    // What cannot be put comes back, and is dropped by whoever has it.
    assert!(matches!(queue.put(Nosy(queue.clone())), Err(PutError::ShutDown(_))));
}

#[test]
fn the_newest_comes_first() {
    let queue = LifoQueue::default();
    for value in 0..5 {
        queue.put(value).unwrap();
    }
    assert_eq!(queue.get_many(3), Ok(vec![4, 3, 2]));
    queue.shut_down();
    assert_eq!(queue.iter().collect::<Vec<_>>(), [1, 0]);
    assert_eq!(queue.get(), Err(GetError::ShutDown));
}

#[test]
fn what_is_opened_refuses_everything_and_keeps_its_counts() {
    let mut state = State::<_, ()>::new(Fifo::default());
    state.put('a').unwrap();
    state.put('b').unwrap();
    let mut store = state.take_away(1).unwrap();
    assert!(state.hand_over().is_empty());
    assert!(state.is_opened() && state.holder().is_none());
    assert_eq!(store.pop(), Ok(Some('a')), "whoever took it away has it");
    assert_eq!(state.task_done().unwrap_err(), Refusal::Opened);
    assert_eq!(state.shut_down().unwrap_err(), Refusal::Opened);
    assert_eq!(state.get().unwrap_err(), Refusal::Opened);
    assert_eq!(state.put('c').unwrap_err(), (Refusal::Opened, 'c'));
    assert!(!state.is_shut_down());
    assert_eq!(state.unfinished(), 2);
}

#[test]
fn who_was_woken_in_vain_has_the_place_it_came_to_first() {
    let mut state = State::new(Fifo::<()>::default());
    let tickets = [1, 2, 3].map(|who| state.stand(Side::Item, Who::Call(who), false));
    assert_eq!(state.shut_down().unwrap().len(), 3);
    state.set_shut_down(false);
    let late = state.stand(Side::Item, Who::Call(4), false);
    for (ticket, who) in tickets.into_iter().zip([1, 2, 3]).rev() {
        state.stand_again(Side::Item, Who::Call(who), ticket);
    }
    assert_eq!(state.calls().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(matches!(state.leave(Side::Item, late), Some(Who::Call(4))));
}
