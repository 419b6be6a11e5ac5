//! Futures of queues, connections and events, on several executors: nothing is lost, whatever is
//! dropped, stolen or killed. Each test plays in a process of its own, which has a time limit.
#![allow(missing_docs)]

mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pollster::block_on;
use procession::{Family, GetError, PutError, Queue, RawEvent, pipe};
use support::executor::{Boxed, Count, Futures, a_few_polls, run_all, yield_now};
use support::random::Random;
use support::{alone, argument, fork, hex, role, say, start, unhex};

const TASKS: u64 = 1000;
const MESSAGES: u64 = 20_000;

/// Takes messages until the end, and drops many a future that was waiting, woken or not.
async fn take_and_cancel(queue: Queue<u64>, taken: Arc<Mutex<Vec<u64>>>, seed: u64) {
    let mut random = Random(seed);
    loop {
        let polls = [0, 0, 1, 3, u64::MAX][random.below(5) as usize];
        match a_few_polls(queue.get_async(), polls).await {
            Some(Ok(n)) => taken.lock().unwrap().push(n),
            Some(Err(GetError::Closed)) => return,
            Some(Err(e)) => panic!("{e}"),
            None => yield_now().await,
        }
    }
}

/// A thousand tasks, another process that puts, and one that takes as well: each message goes to one.
fn nothing_is_lost(entry: &str, run: impl FnOnce(Futures)) {
    let queue: Queue<u64> = Queue::bounded(100).unwrap();
    let stolen: Queue<Vec<u64>> = Queue::unbounded().unwrap();
    let handles = [("QUEUE", hex(&queue.handle())), ("STOLEN", hex(&stolen.handle()))];
    let putter = start(entry, "puts", &handles);
    let thief = start(entry, "steals", &handles);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let futures = (0..TASKS).map(|seed| {
        let task = take_and_cancel(queue.clone(), Arc::clone(&taken), seed + 1);
        Box::pin(task) as Boxed
    });
    run(futures.collect());
    let mut all = std::mem::take(&mut *taken.lock().unwrap());
    assert!(!all.is_empty());
    all.extend(stolen.get().unwrap());
    all.sort_unstable();
    assert!(all.into_iter().eq(0..MESSAGES));
    putter.finish();
    thief.finish();
    assert!(queue.is_empty());
}

/// What the other processes of a test do.
fn other(role: &str) {
    let queue: Queue<u64> = Queue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
    match role {
        "puts" => {
            queue.put_many(0..MESSAGES).unwrap();
            queue.close();
        }
        "steals" => {
            let mut stolen = Vec::new();
            // So many at most: some are left for the tasks, however slowly they start.
            while stolen.len() < MESSAGES as usize / 2
                && let Ok(n) = queue.get()
            {
                stolen.push(n);
            }
            let to: Queue<Vec<u64>> = Queue::from_handle(&unhex(&argument("STOLEN"))).unwrap();
            to.put(stolen).unwrap();
        }
        "puts for ever" => {
            say("putting");
            let mut n = 0;
            while queue.put(n).is_ok() {
                n += 1;
            }
        }
        "takes all" => while queue.get().is_ok() {},
        "echoes" => {
            let back: Queue<u64> = Queue::from_handle(&unhex(&argument("BACK"))).unwrap();
            while let Ok(n) = queue.get() {
                back.put(n).unwrap();
            }
        }
        _ => {}
    }
}

/// A test that plays alone, and whose other processes are [`other`].
macro_rules! played {
    ($name:ident $body:block) => {
        #[test]
        fn $name() {
            match role() {
                Some(role) if role == stringify!($name) => {
                    $body
                    std::process::exit(0);
                }
                Some(role) => other(&role),
                None => {
                    start(stringify!($name), stringify!($name), &[]).finish();
                }
            }
        }
    };
}

played!(nothing_is_lost_on_a_hand_written_executor {
    nothing_is_lost("nothing_is_lost_on_a_hand_written_executor", run_all);
});

played!(nothing_is_lost_on_many_threads {
    nothing_is_lost("nothing_is_lost_on_many_threads", |mut futures| {
        let rest = futures.split_off(futures.len() / 2);
        std::thread::scope(|scope| {
            scope.spawn(|| run_all(futures));
            scope.spawn(|| run_all(rest));
        });
    });
});

#[cfg(feature = "tokio")]
fn on(runtime: &tokio::runtime::Runtime, futures: Futures) {
    runtime.block_on(async {
        let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[cfg(feature = "tokio")]
fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cfg(feature = "tokio")]
played!(nothing_is_lost_on_tokio_with_one_thread {
    nothing_is_lost("nothing_is_lost_on_tokio_with_one_thread", |futures| on(&one_thread(), futures));
    assert_eq!(support::executor::own_threads(), 0, "tokio needs no thread of this crate's");
});

#[cfg(feature = "tokio")]
played!(nothing_is_lost_on_tokio_with_many_threads {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    nothing_is_lost("nothing_is_lost_on_tokio_with_many_threads", |futures| on(&runtime, futures));
    assert_eq!(support::executor::own_threads(), 0);
});

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Kills a writer at some instant, round for round; what it had put arrives in order, and who waits goes
/// on with the next one.
fn writers_are_killed(entry: &str, wait: impl Fn(&Queue<u64>) -> u64) {
    let queue: Queue<u64> = Queue::bounded(3).unwrap();
    let mut random = Random(7);
    for _ in 0..15 {
        let mut writer = start(entry, "puts for ever", &[("QUEUE", hex(&queue.handle()))]);
        assert_eq!(writer.hear(), "putting");
        let mut next = 0;
        let until = random.below(300);
        while next <= until {
            assert_eq!(wait(&queue), next);
            next += 1;
        }
        writer.child.kill().unwrap();
        writer.finish();
        while let Ok(n) = queue.try_get() {
            assert_eq!(n, next);
            next += 1;
        }
        // Somebody waits while the queue is empty; then there is another writer.
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut waiting = pin!(queue.get_async());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        queue.put(u64::MAX).unwrap();
        assert_eq!(block_on(waiting).unwrap(), u64::MAX);
    }
}

played!(a_killed_writer_disturbs_nobody {
    writers_are_killed("a_killed_writer_disturbs_nobody", |q| block_on(q.get_async()).unwrap());
});

#[cfg(feature = "tokio")]
played!(a_killed_writer_disturbs_nobody_in_tokio {
    let runtime = one_thread();
    writers_are_killed("a_killed_writer_disturbs_nobody_in_tokio", |q| {
        runtime.block_on(q.get_async()).unwrap()
    });
});

alone!(one_task_waits_for_many_queues {
    let before = descriptors();
    let queues: Vec<Queue<usize>> = (0..50).map(|_| Queue::unbounded().unwrap()).collect();
    let put = queues.clone();
    let putter = std::thread::spawn(move || {
        for n in 0..2000 {
            put[n * 7 % 50].put(n).unwrap();
        }
    });
    block_on(async {
        let mut all: Vec<_> = queues.iter().map(|q| Box::pin(q.get_async())).collect();
        let mut got = Vec::new();
        while got.len() < 2000 {
            let (at, n) = poll_fn(|cx| {
                let mut polls = all.iter_mut().enumerate();
                polls
                    .find_map(|(at, f)| match f.as_mut().poll(cx) {
                        Poll::Ready(n) => Some(Poll::Ready((at, n.unwrap()))),
                        Poll::Pending => None,
                    })
                    .unwrap_or(Poll::Pending)
            })
            .await;
            all[at] = Box::pin(queues[at].get_async());
            got.push(n);
        }
        got.sort_unstable();
        assert!(got.into_iter().eq(0..2000));
        assert!(descriptors() >= before + 100, "each queue has a bell while it is waited for");
    });
    putter.join().unwrap();
    // A few pipes are kept for the next ones.
    assert!(descriptors() <= before + 40, "{before} before, {} now", descriptors());
});

alone!(a_stolen_message_costs_one_look {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let mut waiting = pin!(queue.get_async());
    for round in 0..100 {
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        queue.put(round).unwrap();
        while count.0.load(Ordering::SeqCst) == round as usize {
            std::thread::yield_now();
        }
        assert_eq!(queue.try_get().unwrap(), round);
    }
    // A message that stays there is told of once, and nobody runs in circles about it.
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    queue.put(0).unwrap();
    while count.0.load(Ordering::SeqCst) == 100 {
        std::thread::yield_now();
    }
    let start = process_time();
    std::thread::sleep(Duration::from_millis(200)); // nothing is waited for: time is what is measured
    let busy = process_time().saturating_sub(start);
    assert!(busy < Duration::from_millis(50), "{busy:?}");
    assert_eq!(count.0.load(Ordering::SeqCst), 101);
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
});

/// The processor time of all threads.
fn process_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time to where it is told.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    Duration::from_secs(now.tv_sec.cast_unsigned())
        + Duration::from_nanos(now.tv_nsec.cast_unsigned())
}

alone!(a_woken_future_that_is_dropped_passes_it_on {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
    let mut futures: Vec<_> = counts.iter().map(|_| Some(Box::pin(queue.get_async()))).collect();
    for (future, count) in futures.iter_mut().zip(&counts) {
        let waker = Waker::from(Arc::clone(count));
        let future = future.as_mut().unwrap().as_mut();
        assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    queue.put(9).unwrap();
    for next in 0..2 {
        while counts[next].0.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(counts[next + 1].0.load(Ordering::SeqCst), 0, "one is woken, and not all");
        futures[next] = None;
    }
    assert_eq!(block_on(futures[2].take().unwrap()).unwrap(), 9);
});

alone!(closing_wakes_all_who_wait {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let counts: Vec<Arc<Count>> = (0..100).map(|_| Arc::default()).collect();
    let mut futures: Vec<_> = counts
        .iter()
        .map(|count| (Waker::from(Arc::clone(count)), Box::pin(queue.get_async())))
        .collect();
    for (waker, future) in &mut futures {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    let child = fork(|| queue.close()); // and nothing else rings
    assert_eq!(child.wait(), 0);
    for (n, ((waker, future), count)) in futures.iter_mut().zip(&counts).enumerate() {
        while count.0.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        match future.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(Err(GetError::Closed)) => {}
            other => panic!("{n}: {other:?}"),
        }
    }
    assert!(matches!(block_on(queue.get_async()), Err(GetError::Closed)));
    assert!(matches!(block_on(queue.put_async(1)), Err(PutError::Closed(1))));
});

alone!(a_fork_child_waits_for_itself {
    let (queue, back): (Queue<u64>, Queue<u64>) =
        (Queue::unbounded().unwrap(), Queue::unbounded().unwrap());
    let waker = Waker::from(Arc::new(Count::default()));
    let mut waiting = Box::pin(queue.get_async());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut inherited = Box::pin(back.get_async());
    assert!(inherited.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let (mut waiting, mut inherited) = (Some(waiting), Some(inherited));
    let child = fork(|| {
        drop(waiting.take()); // the parent's wait is untouched
        assert_eq!(block_on(inherited.take().unwrap()).unwrap(), 5);
        assert_eq!(block_on(back.get_async()).unwrap(), 6);
        back.put(7).unwrap();
    });
    drop(inherited);
    back.put_many([5, 6]).unwrap();
    assert_eq!(child.wait(), 0);
    queue.put(8).unwrap();
    assert_eq!(block_on(waiting.unwrap()).unwrap(), 8);
    assert_eq!(block_on(back.get_async()).unwrap(), 7);
});

played!(puts_wait_for_room_and_those_dropped_put_nothing {
    const NAME: &str = "puts_wait_for_room_and_those_dropped_put_nothing";
    let queue: Queue<u64> = Queue::bounded(1).unwrap();
    let back: Queue<u64> = Queue::unbounded().unwrap();
    let waker = Waker::from(Arc::new(Count::default()));
    queue.put(0).unwrap();
    {
        let mut dropped = pin!(queue.put_async(99));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let handles = [("QUEUE", hex(&queue.handle())), ("BACK", hex(&back.handle()))];
    let child = start(NAME, "echoes", &handles);
    let tasks = (1..=400).map(|n| {
        let queue = queue.clone();
        Box::pin(async move { queue.put_async(n).await.unwrap() })
            as Boxed
    });
    run_all(tasks.collect());
    let mut all: Vec<u64> = (0..=400).map(|_| back.get().unwrap()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..=400));
    queue.close();
    child.finish();
    assert!(back.is_empty());
});

alone!(connections_go_both_ways_and_end {
    const COUNT: u64 = 20_000; // more than may be under way
    let (a, b) = pipe::<(u64, Vec<u8>)>().unwrap();
    let echo = std::thread::spawn(move || {
        block_on(async {
            let mut count = 0;
            while let Ok((n, bytes)) = b.recv_async().await {
                assert_eq!(n, count);
                count += 1;
                if n % 100 == 0 {
                    b.send_async((n, bytes)).await.unwrap();
                }
            }
            count
        })
    });
    block_on(async {
        for n in 0..COUNT {
            a.send_async((n, vec![7; (n % 5000) as usize])).await.unwrap();
            if n % 100 == 0 {
                assert_eq!(a.recv_async().await.unwrap().0, n);
            }
        }
    });
    drop(a);
    assert_eq!(echo.join().unwrap(), COUNT);

    // Who sends to an end that nobody reads waits, and hears of its close.
    let (a, b) = pipe::<u64>().unwrap();
    while a.try_send(1).is_ok() {}
    let closing = std::thread::spawn(move || drop(b));
    block_on(async { while a.send_async(1).await.is_ok() {} });
    closing.join().unwrap();
});

alone!(a_killed_end_is_the_end {
    let (a, b) = pipe::<u64>().unwrap();
    let child = fork(|| {
        (0..1000).for_each(|n| b.send(n).unwrap());
        std::process::abort();
    });
    drop(b);
    block_on(async {
        for n in 0..1000 {
            assert_eq!(a.recv_async().await.unwrap(), n);
        }
        assert!(matches!(a.recv_async().await, Err(GetError::Closed)));
    });
    child.wait();

    let (a, b) = pipe::<u64>().unwrap();
    let child = fork(|| loop {
        std::thread::park();
    });
    drop(b);
    while a.try_send(1).is_ok() {}
    let waker = Waker::from(Arc::new(Count::default()));
    let mut sending = Box::pin(a.send_async(1));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    child.kill();
    assert!(matches!(block_on(sending), Err(PutError::Closed(1))));
});

alone!(events_and_finished_work_are_awaited {
    let family = Family::current().unwrap();
    let event = RawEvent::create(family).unwrap();
    let child = fork(|| {
        let event = RawEvent::from_handle(&event.handle()).unwrap();
        event.set();
    });
    block_on(event.wait_async()).unwrap();
    child.wait();
    // Set and cleared while it waits: it was set.
    event.clear();
    let waker = Waker::from(Arc::new(Count::default()));
    let mut waiting = Box::pin(event.wait_async());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    event.set();
    event.clear();
    block_on(waiting).unwrap();

    let queue: Queue<u64> = Queue::unbounded().unwrap();
    queue.put_many(0..3).unwrap();
    let raw = queue.raw().clone();
    let worker = std::thread::spawn(move || (0..3).for_each(|_| raw.done().unwrap()));
    block_on(queue.raw().wait_done_async()).unwrap();
    assert_eq!(queue.raw().unfinished(), 0);
    worker.join().unwrap();
});

#[cfg(feature = "tokio")]
alone!(tokio_selects_and_runtimes_come_and_go {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let first = one_thread();
    first.block_on(async {
        tokio::select! {
            _ = queue.get_async() => panic!("there is nothing"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    });
    // One that waits in the first runtime, which does not run, is in nobody's way.
    let (there, idle) = (queue.clone(), queue.clone());
    let task = first.spawn(async move { idle.get_async().await });
    first.block_on(tokio::task::yield_now());
    let second = std::thread::spawn(move || one_thread().block_on(there.get_async()));
    queue.put(1).unwrap();
    assert_eq!(second.join().unwrap().unwrap(), 1);
    queue.put(2).unwrap();
    assert_eq!(block_on(queue.get_async()).unwrap(), 2);
    assert!(!task.is_finished());
    drop(first);
    queue.put(3).unwrap();
    assert_eq!(one_thread().block_on(queue.get_async()).unwrap(), 3);
});
