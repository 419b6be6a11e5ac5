//! Handles inside values: what they name lives as long as the bytes do, wherever these are.
#![allow(missing_docs)]

mod support;

use procession::{
    Connection, Family, GetError, PutError, Queue, RawBarrier, RawCondition, RawDict, RawEvent,
    RawList, RawLock, RawMemory, RawQueue, RawSemaphore, SharedDict, SharedList, SharedValue,
    Stats, codec, pipe,
};
use support::alone;

fn family() -> Family {
    Family::current().unwrap()
}

/// What exists, once the dead are buried.
fn stats() -> Stats {
    family().sweep().unwrap();
    assert_eq!(family().check(), Vec::<String>::new());
    family().stats()
}

alone!(a_queue_in_a_message_outlives_its_sender {
    let outer: Queue<(String, Queue<u32>)> = Queue::unbounded().unwrap();
    let inner = Queue::unbounded().unwrap();
    inner.put(7).unwrap();
    outer.put(("answers".into(), inner)).unwrap();
    assert_eq!(stats().queues, 2, "the message keeps the queue");
    let (name, inner) = outer.get().unwrap();
    assert_eq!((name.as_str(), inner.get().unwrap()), ("answers", 7));
    drop(inner);
    assert_eq!(stats().queues, 1);
});

alone!(the_sender_may_be_killed {
    let outer: Queue<Queue<u32>> = Queue::unbounded().unwrap();
    let child = support::fork(|| {
        let inner = Queue::unbounded().unwrap();
        inner.put(7).unwrap();
        outer.put(inner.clone()).unwrap();
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
    });
    child.wait();
    assert_eq!(stats().queues, 2, "the message keeps the queue, and nobody else");
    let inner = outer.get().unwrap();
    assert_eq!(stats().queues, 2, "the receiver has counted it");
    assert_eq!(inner.get().unwrap(), 7);
    drop(inner);
    assert_eq!(stats().queues, 1);
});

alone!(a_message_that_nobody_takes_lets_go {
    let outer: Queue<Vec<Queue<u32>>> = Queue::unbounded().unwrap();
    outer.put((0..5).map(|_| Queue::unbounded().unwrap()).collect()).unwrap();
    assert_eq!(stats().queues, 6);
    drop(outer);
    assert_eq!(stats().queues, 0);
});

alone!(a_put_that_fails_lets_go {
    let outer: Queue<Queue<u32>> = Queue::bounded(1).unwrap();
    outer.put(Queue::unbounded().unwrap()).unwrap();
    let back = outer.try_put(Queue::unbounded().unwrap()).unwrap_err().into_inner();
    assert_eq!(stats().queues, 3);
    drop(back);
    assert_eq!(stats().queues, 2);
});

alone!(queues_in_collections {
    let dict: SharedDict<String, Queue<u32>> = SharedDict::new().unwrap();
    let list: SharedList<Queue<u32>> = SharedList::new().unwrap();
    let fresh = || Queue::<u32>::unbounded().unwrap();
    let value = SharedValue::new(&fresh()).unwrap();
    let with = |n| { let q = fresh(); q.put(n).unwrap(); q };
    dict.insert("one", &with(1)).unwrap();
    dict.extend([("two".into(), with(2)), ("three".into(), with(3))]).unwrap();
    list.push(&with(4)).unwrap();
    list.extend([with(5), with(6)]).unwrap();
    value.set(&with(7)).unwrap();
    assert_eq!(stats().queues, 7, "the value's first queue is gone, all others are kept");

    assert_eq!(dict.get("two").unwrap().unwrap().get().unwrap(), 2);
    assert_eq!(dict.remove("three").unwrap().unwrap().get().unwrap(), 3);
    let entries = dict.entries().unwrap();
    assert_eq!(entries[0].1.get().unwrap(), 1);
    drop(entries);
    assert_eq!(dict.pop_last().unwrap().unwrap().0, "two");
    assert_eq!(list.pop(0).unwrap().unwrap().get().unwrap(), 4);
    let values = list.values().unwrap();
    assert_eq!(values[1].get().unwrap(), 6);
    drop(values);
    assert_eq!(value.get().unwrap().get().unwrap(), 7);
    assert_eq!(stats().queues, 4);
    drop((dict, list, value));
    assert_eq!(stats().queues, 0);
});

alone!(every_kind_of_handle_travels {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct All {
        queue: RawQueue,
        lock: RawLock,
        semaphore: RawSemaphore,
        event: RawEvent,
        condition: RawCondition,
        barrier: RawBarrier,
        memory: RawMemory,
        dict: RawDict,
        list: RawList,
        typed: SharedDict<String, u32>,
    }
    let here = family();
    let lock = RawLock::create(here, false).unwrap();
    let all = All {
        queue: RawQueue::create(here, None).unwrap(),
        semaphore: RawSemaphore::create(here, 3, 3).unwrap(),
        event: RawEvent::create(here).unwrap(),
        condition: RawCondition::create(here).unwrap(),
        barrier: RawBarrier::create(here, 2).unwrap(),
        memory: RawMemory::create(here, 16).unwrap(),
        dict: RawDict::create(here).unwrap(),
        list: RawList::create(here).unwrap(),
        typed: SharedDict::new().unwrap(),
        lock,
    };
    all.typed.insert("Ada", &36).unwrap();
    all.event.set();
    let before = stats();
    let line = Queue::unbounded().unwrap();
    line.put(all).unwrap();
    let all: All = line.get().unwrap();
    assert_eq!(all.typed.get("Ada").unwrap(), Some(36));
    assert!(all.event.is_set());
    drop(line);
    assert_eq!(stats().primitives, before.primitives);
    drop(all);
    let after = stats();
    assert_eq!((after.queues, after.primitives), (0, 0));
});

alone!(bare_bytes_keep_nothing_alive {
    let q: Queue<u32> = Queue::unbounded().unwrap();
    let bytes = codec::encode(&q).unwrap();
    codec::decode::<Queue<u32>>(&bytes).unwrap().put(1).unwrap();
    assert_eq!(q.get().unwrap(), 1);
    drop(q);
    let gone = codec::decode::<Queue<u32>>(&bytes).unwrap_err();
    assert!(gone.contains("the object is gone"), "{gone}");
});

alone!(what_is_no_handle_is_refused {
    let line: Queue<serde::de::IgnoredAny> = Queue::unbounded().unwrap();
    let into: Queue<Vec<u8>> = Queue::from_handle(&line.handle()).unwrap();
    let from: Queue<Queue<u8>> = Queue::from_handle(&line.handle()).unwrap();
    into.put(b"short".to_vec()).unwrap();
    assert!(matches!(from.get(), Err(GetError::Decode(_))));
    let lock = RawLock::create(family(), false).unwrap();
    let locks: Queue<RawLock> = Queue::from_handle(&line.handle()).unwrap();
    locks.put(lock).unwrap();
    assert!(matches!(from.get(), Err(GetError::Decode(_))), "a lock is no queue");
    assert_eq!(stats().primitives, 0);
});

alone!(a_connection_does_not_travel_in_a_message {
    let line: Queue<Connection<u8>> = Queue::unbounded().unwrap();
    let (a, b) = pipe().unwrap();
    let Err(PutError::Encode(a, why)) = line.put(a) else { panic!("it cannot go") };
    assert!(why.contains("Process::spawn"), "{why}");
    a.send(1).unwrap();
    assert_eq!(b.recv().unwrap(), 1);
});

#[test]
fn a_handle_of_another_family_is_not_counted() {
    match support::role().as_deref() {
        Some("other") => {
            let q: Queue<u8> = Queue::unbounded().unwrap();
            support::say(&support::hex(&q.handle()));
            // Until it is killed; at another queue, so that it takes nothing away from the asker.
            let _ = Queue::<u8>::unbounded().unwrap().get();
        }
        Some("asker") => {
            let line: Queue<Queue<u8>> = Queue::unbounded().unwrap();
            let handle = support::unhex(&support::argument("HANDLE"));
            let foreign: Queue<u8> = Queue::from_handle(&handle).unwrap();
            line.put(foreign.clone()).unwrap();
            let dict: SharedDict<u8, Queue<u8>> = SharedDict::new().unwrap();
            dict.insert(&1, &foreign).unwrap();
            drop(foreign);
            let foreign: Queue<u8> = line.get().unwrap();
            foreign.put(7).unwrap();
            assert_eq!(dict.get(&1).unwrap().unwrap().get().unwrap(), 7);
            assert!(foreign.is_empty());
            assert_eq!(stats().queues, 1);
            std::process::exit(0);
        }
        _ => {
            let name = "a_handle_of_another_family_is_not_counted";
            let mut other = support::start(name, "other", &[]);
            let handle = other.hear();
            support::start(name, "asker", &[("HANDLE", handle)]).finish();
            other.child.kill().unwrap();
            assert!(support::killed(other.finish().1));
        }
    }
}
