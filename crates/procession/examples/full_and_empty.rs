//! Producers stop when the queue is full, consumers when it is empty:
//! `cargo run -p procession --example full_and_empty`.
//!
//! `try_put` and `try_get` ask and act in one step, so that no other process can come between.

mod support;

use std::error::Error;

use procession::{GetError, Queue};

fn produce(queue: &Queue<String>) -> Result<(), Box<dyn Error>> {
    loop {
        match queue.try_put("a message".into()) {
            Ok(()) => {}
            Err(error) if error.is_full() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn consume(queue: &Queue<String>, taken: &Queue<u64>) -> Result<(), Box<dyn Error>> {
    let mut count = 0;
    loop {
        match queue.try_get() {
            Ok(_) => count += 1,
            Err(GetError::Empty) => return Ok(taken.put(count)?),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs three processes in a role, to their end.
fn run(role: &str, handles: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(support::again(role, handles)?.spawn()?);
    }
    for mut process in processes {
        process.wait()?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some((role, handles)) = support::role() {
        let queue = Queue::from_handle(&handles[0])?;
        let taken = Queue::from_handle(&handles[1])?;
        return if role == "producer" { produce(&queue) } else { consume(&queue, &taken) };
    }

    let queue: Queue<String> = Queue::bounded(100)?;
    let taken: Queue<u64> = Queue::unbounded()?;
    let handles = [queue.handle(), taken.handle()];

    run("producer", &handles)?;
    println!("the producers stopped at {} messages", queue.len());

    run("consumer", &handles)?;
    let total = taken.get()? + taken.get()? + taken.get()?;
    println!("the consumers took {total} messages; {} are left", queue.len());
    Ok(())
}
