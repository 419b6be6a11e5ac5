//! A queue is closed while a put is under way: whoever is told that it has ended was told the truth, also
//! if a process is stopped or killed in the midst of it.
#![allow(missing_docs)]

mod support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use procession::{
    DeliveryQueue, GetError, JoinableQueue, LifoQueue, PriorityQueue, Queue, RawDeliveryQueue,
    fault,
};
use rustix::process::{Pid, Signal, kill_process};
use support::{Running, argument, hex, killed, role, say, start, state, stopped, unhex};

const SOON: Duration = Duration::from_secs(20);

fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < SOON, "it takes too long");
        std::thread::yield_now();
    }
}

#[test]
fn child() {
    let Some(role) = role() else {
        return;
    };
    let handle = unhex(&argument("QUEUE"));
    let put = match role.as_str() {
        "fifo" => {
            let queue: Queue<u64> = Queue::from_handle(&handle).unwrap();
            fault::arm("put.copied:1:stop");
            queue.put(7).is_ok()
        }
        "batch" => {
            let queue: Queue<u64> = Queue::from_handle(&handle).unwrap();
            fault::arm("put.run_copied:1:stop");
            queue.put_slice(&[7, 8, 9]).is_ok()
        }
        "lifo" => {
            let queue: LifoQueue<u64> = LifoQueue::from_handle(&handle).unwrap();
            queue.put(1).unwrap(); // another one was here last: this makes a stage
            say("staged");
            until(|| queue.is_empty());
            fault::arm("stage.written:1:stop");
            queue.put(7).is_ok()
        }
        "priority" => {
            let queue: PriorityQueue<u64> = PriorityQueue::from_handle(&handle).unwrap();
            queue.put(1).unwrap();
            say("staged");
            until(|| queue.is_empty());
            fault::arm("stage.written:1:stop");
            queue.put(7).is_ok()
        }
        "dropper" => {
            let queue = RawDeliveryQueue::from_handle(&handle).unwrap();
            fault::arm("delivery.shut_down:1");
            queue.shut_down_now().unwrap();
            return;
        }
        _ => return,
    };
    say(if put { "put" } else { "refused" });
    std::process::exit(0);
}

/// A process that was stopped in a put.
struct Putter(Running);

impl Putter {
    fn stopped_in(role: &str, handle: &[u8], drain: impl FnOnce()) -> Putter {
        let mut child = start("child", role, &[("QUEUE", hex(handle))]);
        if matches!(role, "lifo" | "priority") {
            assert_eq!(child.hear(), "staged");
        }
        drain();
        until(|| stopped(child.child.id()));
        Putter(child)
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Calls `look` on a thread, and goes on when that waits for this one, or has ended.
    fn looked_at<R: Send>(mut self, look: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            let (send, tid) = mpsc::channel();
            let looking = scope.spawn(move || {
                send.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
                look()
            });
            let tid = tid.recv_timeout(SOON).unwrap();
            let tid = tid.file_name().unwrap().to_str().unwrap().parse().unwrap();
            until(|| looking.is_finished() || state(tid) == Some('S'));
            self.send(Signal::CONT);
            assert_eq!(self.0.hear(), "put");
            self.0.finish();
            looking.join().unwrap()
        })
    }
}

fn ended<T: std::fmt::Debug>(got: &Result<T, GetError>) {
    assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
}

#[test]
fn a_put_under_way_is_got_before_the_end() {
    let looks: [fn(&Queue<u64>) -> u64; 6] = [
        |q| q.get().unwrap(),
        |q| q.try_get().unwrap(),
        |q| q.get_timeout(SOON).unwrap(),
        |q| q.get_many(10).unwrap()[0],
        |q| q.iter().next().unwrap().unwrap(),
        |q| {
            assert_eq!(q.peek().unwrap(), 7);
            q.try_iter().next().unwrap().unwrap()
        },
    ];
    for look in looks {
        let queue: Queue<u64> = Queue::unbounded().unwrap();
        let putter = Putter::stopped_in("fifo", &queue.handle(), || ());
        queue.close();
        assert_eq!(putter.looked_at(|| look(&queue)), 7);
        ended(&queue.try_get());
        ended(&queue.peek());
    }
}

#[cfg(feature = "async")]
#[test]
fn a_put_under_way_is_got_by_a_future() {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let putter = Putter::stopped_in("fifo", &queue.handle(), || ());
    queue.close();
    assert_eq!(putter.looked_at(|| pollster::block_on(queue.get_async()).unwrap()), 7);
    ended(&pollster::block_on(queue.get_async()));
}

#[test]
fn a_batch_under_way_is_got_before_the_end() {
    let queue: JoinableQueue<u64> = JoinableQueue::unbounded().unwrap();
    let putter = Putter::stopped_in("batch", &queue.handle(), || ());
    queue.close();
    let all = putter.looked_at(|| queue.iter().collect::<Result<Vec<u64>, _>>().unwrap());
    assert_eq!(all, [7, 8, 9]);
    (0..3).for_each(|_| queue.task_done().unwrap());
    assert!(queue.join_timeout(SOON), "nothing is left for nobody");
}

/// Who wants to know by himself asks whether it has ended, and not only whether it is closed.
#[test]
fn the_end_of_a_raw_queue() {
    let queue: Queue<u64> = Queue::unbounded().unwrap();
    let raw = queue.raw();
    assert!(!raw.has_ended().unwrap());
    let putter = Putter::stopped_in("fifo", &queue.handle(), || ());
    assert!(!raw.has_ended().unwrap(), "a queue that is open is not waited for");
    queue.close();
    assert_eq!(putter.looked_at(|| (raw.has_ended().unwrap(), raw.len())), (true, 1));
}

#[test]
fn a_staged_put_under_way_is_got_before_the_end() {
    let looks: [fn(&LifoQueue<u64>) -> u64; 4] = [
        |q| q.get().unwrap(),
        |q| q.try_get().unwrap(),
        |q| q.get_many(10).unwrap()[0],
        |q| {
            assert_eq!(q.peek().unwrap(), 7);
            q.iter().next().unwrap().unwrap()
        },
    ];
    for look in looks {
        let queue: LifoQueue<u64> = LifoQueue::unbounded().unwrap();
        queue.put(0).unwrap();
        let drain = || while queue.try_get().is_ok() {};
        let putter = Putter::stopped_in("lifo", &queue.handle(), drain);
        queue.close();
        assert_eq!(putter.looked_at(|| look(&queue)), 7);
        ended(&queue.try_get());
        ended(&queue.peek());
    }
}

#[test]
fn a_staged_put_by_priority_is_got_before_the_end() {
    let queue: PriorityQueue<u64> = PriorityQueue::unbounded().unwrap();
    queue.put(0).unwrap();
    let drain = || while queue.try_get().is_ok() {};
    let putter = Putter::stopped_in("priority", &queue.handle(), drain);
    queue.close();
    assert_eq!(putter.looked_at(|| queue.get().unwrap()), 7);
    ended(&queue.get());
}

/// Who is killed in a put keeps nobody from the end.
#[test]
fn a_killed_put_is_the_end() {
    let fifo: Queue<u64> = Queue::unbounded().unwrap();
    let putter = Putter::stopped_in("fifo", &fifo.handle(), || ());
    fifo.close();
    putter.send(Signal::KILL);
    assert!(killed(putter.0.finish().1));
    ended(&fifo.get());

    let lifo: LifoQueue<u64> = LifoQueue::unbounded().unwrap();
    lifo.put(0).unwrap();
    let drain = || while lifo.try_get().is_ok() {};
    let putter = Putter::stopped_in("lifo", &lifo.handle(), drain);
    lifo.close();
    putter.send(Signal::KILL);
    assert!(killed(putter.0.finish().1));
    ended(&lifo.get());
}

/// Whoever shuts a redelivering queue down at once is killed before anything was dropped: that is done by
/// whoever waits for all to be done, too.
#[test]
fn a_killed_shutdown_is_ended_by_who_joins() {
    let queue: DeliveryQueue<u64> = DeliveryQueue::unbounded().unwrap();
    (0..3000).for_each(|i| queue.put(i).unwrap());
    let working = queue.get().unwrap();
    let (_, status) = start("child", "dropper", &[("QUEUE", hex(&queue.handle()))]).finish();
    assert!(killed(status));
    assert!(queue.is_closed());
    assert_eq!((queue.len(), queue.raw().bytes(), queue.in_flight()), (0, 0, 1));
    assert!(!queue.join_timeout(Duration::ZERO), "one is being worked on");
    working.done().unwrap();
    assert!(queue.join_timeout(SOON));
    assert_eq!(queue.unfinished(), 0);

    let queue: DeliveryQueue<u64> = DeliveryQueue::unbounded().unwrap();
    queue.put(1).unwrap();
    let (_, status) = start("child", "dropper", &[("QUEUE", hex(&queue.handle()))]).finish();
    assert!(killed(status));
    assert!(queue.join_timeout(SOON), "nobody works on anything");

    // An event loop asks now and then.
    let queue: DeliveryQueue<u64> = DeliveryQueue::unbounded().unwrap();
    queue.put(1).unwrap();
    let (_, status) = start("child", "dropper", &[("QUEUE", hex(&queue.handle()))]).finish();
    assert!(killed(status));
    queue.raw().recover_if_due().unwrap();
    assert_eq!(queue.unfinished(), 0);
}
