//! Queues whose work is waited for, iterators, and the blocking primitives between processes.
#![allow(missing_docs)]

mod support;

use std::thread;
use std::time::Duration;

use procession::{Barrier, Event, GetError, JoinableQueue, Mutex, Queue, Semaphore, simplex};
use support::primitives::{family, somebody_waits, sound, until};
use support::{alone, fork};

const MOMENT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(20);

alone!(a_join_ends_when_all_work_is_done {
    let (jobs, sum) = (JoinableQueue::bounded(8).unwrap(), Mutex::new(&0u64).unwrap());
    let workers: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                for job in &jobs {
                    let job: u64 = job.unwrap();
                    *sum.lock().unwrap() += job;
                    jobs.task_done().unwrap();
                }
            })
        })
        .collect();
    jobs.put_many(1..=300).unwrap();
    assert!(jobs.join_timeout(LONG));
    assert_eq!((jobs.unfinished(), *sum.lock().unwrap()), (0, 45_150));
    assert!(jobs.task_done().is_err());
    jobs.close();
    assert!(workers.iter().all(|w| w.wait() == 0), "the iterators have ended");
    sound();
});

alone!(work_of_the_dead_stays_to_be_done {
    let jobs = JoinableQueue::unbounded().unwrap();
    jobs.put(1).unwrap();
    fork(|| assert_eq!(jobs.get().unwrap(), 1)).wait();
    assert!(!jobs.join_timeout(MOMENT));
    let joiner = fork(|| jobs.join());
    until(somebody_waits);
    jobs.task_done().unwrap();
    assert_eq!(joiner.wait(), 0);
    sound();
});

#[test]
fn an_iterator_goes_on_after_another_type_and_ends_for_good() {
    let texts: Queue<String> = Queue::unbounded().unwrap();
    let numbers: Queue<u32> = Queue::from_handle(&texts.handle()).unwrap();
    numbers.put(1).unwrap();
    texts.put("two".into()).unwrap();
    numbers.put(3).unwrap();
    let mut rest = numbers.try_iter();
    assert_eq!(rest.next().unwrap().unwrap(), 1);
    assert!(matches!(rest.next(), Some(Err(GetError::Decode(_)))));
    assert_eq!(rest.next().unwrap().unwrap(), 3);
    assert!(rest.next().is_none());
    numbers.put(4).unwrap();
    assert!(rest.next().is_none(), "it is over");
    numbers.close();
    assert_eq!(numbers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [4]);
}

alone!(a_connections_iterator_ends_with_the_other_end {
    let (receiver, sender) = simplex().unwrap();
    let child = fork(|| (0..100).for_each(|n| sender.send(n).unwrap()));
    drop(sender);
    let all: Vec<i32> = receiver.into_iter().collect::<Result<_, _>>().unwrap();
    assert!(all.into_iter().eq(0..100));
    child.wait();
});

alone!(primitives_travel_in_messages {
    let gate: Queue<(Event, Semaphore, Barrier, Mutex<u32>)> = Queue::unbounded().unwrap();
    let child = fork(|| {
        let (event, permits, barrier, mutex) = gate.get().unwrap();
        permits.acquire().forget();
        *mutex.lock().unwrap() += 1;
        event.set();
        assert!(barrier.wait().is_ok());
    });
    let (event, permits) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
    let (barrier, mutex) = (Barrier::new(2).unwrap(), Mutex::new(&1).unwrap());
    let all = (event.clone(), permits.clone(), barrier.clone(), mutex.clone());
    gate.put(all).unwrap();
    assert!(permits.try_acquire().is_none());
    permits.release(1).unwrap();
    assert!(event.wait_timeout(LONG));
    assert_eq!(*mutex.lock().unwrap(), 2);
    barrier.wait().unwrap();
    assert_eq!(child.wait(), 0);
    drop((event, permits, barrier, mutex));
    family().sweep().unwrap();
    assert_eq!(family().stats().primitives, 0);
    sound();
});

alone!(a_barrier_at_which_one_died_is_broken_for_all {
    let barrier = Barrier::new(3).unwrap();
    let child = fork(|| assert!(barrier.wait().is_err()));
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 2);
        child.kill();
        assert!(other.join().unwrap().is_err());
    });
    assert!(barrier.is_broken() && barrier.wait().is_err());
    barrier.reset();
    let children: Vec<_> = (0..2).map(|_| fork(|| assert!(barrier.wait().is_ok()))).collect();
    assert!(barrier.wait_timeout(LONG).is_ok());
    assert!(children.iter().all(|c| c.wait() == 0));
    sound();
});

#[test]
fn permits_come_back_and_are_bounded() {
    let permits = Semaphore::bounded(2).unwrap();
    let (one, two) = (permits.acquire(), permits.try_acquire().unwrap());
    assert!(permits.acquire_timeout(MOMENT).is_none());
    two.forget();
    drop(one);
    assert_eq!(permits.value(), 1);
    permits.release(1).unwrap();
    assert!(permits.release(1).is_err());
    assert!(Semaphore::new(1).unwrap().release(5).is_ok());
}
