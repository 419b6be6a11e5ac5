//! What becomes of a queue, a lock and a pool's task when `kill -9` hits whoever uses them.

use procession::{LockError, Mutex, Pool, Process, Queue, TaskError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    procession::init();
    let (results, account) = (Queue::unbounded()?, Mutex::new(&100i64)?);

    // It dies while it holds the lock and has changed its copy of the value.
    let victim = Process::spawn(work_and_die, (results.clone(), account.clone()))?;
    println!("join: {}", victim.join().unwrap_err());

    // What its put had returned for is there.
    println!("in the queue: {:?}", results.try_iter().collect::<Result<Vec<u32>, _>>()?);

    // Whoever takes the lock next is told, and finds the value as it was saved last.
    match account.lock() {
        Err(LockError::Abandoned(abandoned)) => {
            println!(
                "abandoned by pid {}",
                if abandoned.holder().pid == 0 { "?" } else { "of the dead" }
            );
            println!("the account has {}", *abandoned.into_guard());
        }
        other => println!("unexpected: {other:?}"),
    }

    // A pool reports the task that a worker died of, and does the others.
    let pool = Pool::new(2)?;
    let outcomes = pool.map_unordered(reciprocal, [1, 2, 0, 4]);
    let mut told: Vec<String> = outcomes
        .map(|(item, outcome)| match outcome {
            Ok(x) => format!("item {item}: {x}"),
            Err(TaskError::WorkerLost { .. }) => format!("item {item}: its worker was killed"),
            Err(e) => format!("item {item}: {e}"),
        })
        .collect();
    told.sort();
    println!("{}", told.join("\n"));
    Ok(())
}

fn work_and_die((results, account): (Queue<u32>, Mutex<i64>)) {
    for n in 1..=3 {
        results.put(n).expect("it is open");
    }
    let mut balance = account.lock().expect("it is free");
    *balance -= 1000;
    kill_this_process();
}

fn reciprocal(n: i32) -> f64 {
    if n == 0 {
        kill_this_process();
    }
    1.0 / f64::from(n)
}

/// As `kill -9` would.
fn kill_this_process() {
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("it is ours");
    std::thread::park();
}
