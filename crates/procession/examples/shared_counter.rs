//! A counter that four processes share, behind a `Mutex` and as an entry of a dict.

use procession::{LockError, Mutex, Process, SharedDict};

const TIMES: u64 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    procession::init();
    let counter = Mutex::new(&0u64)?;
    let dict: SharedDict<String, i64> = SharedDict::new()?;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(Process::spawn(count, (counter.clone(), dict.clone()))?);
    }
    for process in processes {
        process.join()?;
    }
    println!("the mutex says {}, the dict {}", counter.get()?, dict.get("n")?.unwrap_or(0));
    Ok(())
}

fn count((counter, dict): (Mutex<u64>, SharedDict<String, i64>)) {
    for _ in 0..TIMES {
        // Had another one died in the midst of it: its change would not have happened, and we go on.
        let mut n = counter.lock().or_else(LockError::into_guard).expect("a lock");
        *n += 1;
        drop(n); // writes it back
        dict.add("n", 1).expect("a number"); // a step of its own, without a lock
    }
}
