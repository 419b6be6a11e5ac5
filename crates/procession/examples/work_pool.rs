//! A pool of processes: one of its tasks panics, one is killed, and the others are done all the same.

use std::time::Duration;

use procession::pool::TaskOptions;
use procession::{Pool, Queue, TaskError};

fn is_prime(n: u64) -> bool {
    n > 1 && (2..=n.isqrt()).all(|d| !n.is_multiple_of(d))
}

fn visit((log, place): (Queue<String>, String)) -> usize {
    match place.as_str() {
        "the bug" => panic!("it bites"),
        "the cliff" => std::process::exit(3),
        "the tar pit" => std::thread::sleep(Duration::MAX),
        _ => {}
    }
    let _ = log.put(format!("been at {place}"));
    place.len()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    procession::init();
    let pool = Pool::new(2)?;

    let primes = pool.map(is_prime, 0..10_000)?;
    println!("{} primes below 10000", primes.into_iter().filter(|&is| is).count());

    let log = Queue::unbounded()?;
    let hurried = pool.with(TaskOptions::new().timeout(Duration::from_millis(300)));
    let places = ["the lake", "the bug", "the cliff", "the tar pit", "the inn"];
    let each = places.map(|place| (log.clone(), place.to_owned()));
    for (place, result) in places.iter().zip(hurried.imap(visit, each)) {
        match result {
            Ok(letters) => println!("{place}: {letters}"),
            Err(TaskError::Panicked { message, .. }) => println!("{place}: {message}"),
            Err(TaskError::WorkerLost { ended, .. }) => println!("{place}: lost ({ended:?})"),
            Err(TaskError::TimedOut { limit, .. }) => println!("{place}: longer than {limit:?}"),
            Err(other) => return Err(other.into()),
        }
    }
    while let Ok(line) = log.try_get() {
        println!("{line}");
    }
    pool.join()?;
    Ok(())
}
