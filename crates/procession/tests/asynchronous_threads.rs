//! Futures of what has no descriptor: how many threads wait for them.
#![allow(missing_docs)]

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use pollster::block_on;
use procession::{Family, Queue, RawEvent};
use support::alone;
use support::executor::own_threads;

// As a loop that selects does, which drops what was not ready.
alone!(futures_that_come_and_go_share_a_thread {
    let event = RawEvent::create(Family::current().unwrap()).unwrap();
    let full = Queue::bounded(1).unwrap();
    full.put(0u8).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2000 {
        assert!(pin!(event.wait_async()).poll(&mut cx).is_pending());
        assert!(pin!(full.put_async(1)).poll(&mut cx).is_pending());
        assert!(own_threads() <= 2, "{} threads", own_threads());
    }
    let setter = RawEvent::from_handle(&event.handle()).unwrap();
    let mut waiting = Box::pin(event.wait_async());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    let setting = std::thread::spawn(move || setter.set());
    block_on(waiting).unwrap();
    setting.join().unwrap();
    let taker = full.clone();
    let mut putting = Box::pin(full.put_async(2));
    assert!(putting.as_mut().poll(&mut cx).is_pending());
    let taking = std::thread::spawn(move || taker.get().unwrap());
    block_on(putting).unwrap();
    assert_eq!((taking.join().unwrap(), full.get().unwrap()), (0, 2));
});
