//! A Rust worker for a Python program: takes jobs from a queue of the named family "primes", and puts
//! answers into another one. Start as many as there are cores, when you like, before or after this:
//!
//! ```python
//! import procession
//!
//! with procession.Family("primes", allow_pickle=False) as family:
//!     jobs, answers = family.queue("jobs", 1000), family.queue("answers")
//!     for n in range(2, 100):
//!         jobs.put({"id": n, "below": n * 1000})
//!     for _ in range(2, 100):
//!         print(answers.get())  # {'id': 2, 'primes': 303}
//!     jobs.put(None)            # one for each worker
//! ```

use procession::{Family, Queue};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Job {
    id: u64,
    below: usize,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    id: u64,
    primes: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let family = Family::open("primes")?;
    let jobs: Queue<Option<Job>> = family.queue("jobs", Some(1000))?;
    let answers: Queue<Answer> = family.queue("answers", None)?;
    let mut done = 0;
    while let Some(job) = jobs.get()? {
        answers.put(Answer { id: job.id, primes: primes_below(job.below) })?;
        done += 1;
    }
    println!("{done} jobs");
    Ok(())
}

/// The sieve of Eratosthenes.
fn primes_below(n: usize) -> usize {
    let mut composite = vec![false; n.max(2)];
    for i in 2..n {
        if !composite[i] {
            (i * i..n).step_by(i).for_each(|multiple| composite[multiple] = true);
        }
    }
    composite.iter().skip(2).take(n.saturating_sub(2)).filter(|c| !**c).count()
}
