//! A queue of three places: put and get that wait, wait for a while, or do not wait:
//! `cargo run -p procession --example put_timeouts`.

mod support;

use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use procession::Queue;

const A_WHILE: Duration = Duration::from_millis(200);
const A_LONG_WHILE: Duration = Duration::from_secs(60);

/// Prints what a call returned, and how long that took.
fn attempt<T: Debug, E: Debug>(what: &str, call: impl FnOnce() -> Result<T, E>) {
    let started = Instant::now();
    let result = call();
    println!("{what}: {result:?} after {:.1} s", started.elapsed().as_secs_f64());
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some((_, handles)) = support::role() {
        let queue: Queue<String> = Queue::from_handle(&handles[0])?;
        queue.get()?; // the child takes one
        return Ok(());
    }

    let queue: Queue<String> = Queue::bounded(3)?;
    for word in ["one", "two", "three"] {
        attempt("put", || queue.put(word.into()));
    }
    attempt("put_timeout", || queue.put_timeout("four".into(), A_WHILE));
    attempt("try_put", || queue.try_put("four".into()));

    let mut child = support::again("taker", &[queue.handle()])?.spawn()?;
    attempt("put_timeout, and a child takes one", || {
        queue.put_timeout("four".into(), A_LONG_WHILE)
    });
    child.wait()?;

    for _ in 0..3 {
        attempt("get", || queue.get());
    }
    attempt("get_timeout", || queue.get_timeout(A_WHILE));
    attempt("try_get", || queue.try_get());

    queue.close(); // for all processes
    attempt("put after close", || queue.put("five".into()));
    attempt("get after close", || queue.get());
    Ok(())
}
