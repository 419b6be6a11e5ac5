//! A queue across a bare fork: `cargo run -p procession --example fork_queue`.
//!
//! The child has the queues because it has all that its parent has.

use std::error::Error;
use std::io;
use std::process::exit;

use procession::Queue;
use rustix::process::{Pid, WaitOptions, waitpid};

/// The child: answers each number with its double, until the queue is closed.
fn double(numbers: &Queue<u32>, answers: &Queue<u32>) -> Result<(), Box<dyn Error>> {
    while let Ok(number) = numbers.get() {
        answers.put(2 * number)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers = Queue::unbounded()?;
    let answers = Queue::unbounded()?;

    // SAFETY: this process has one thread, so the child finds nothing that another one had locked.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => exit(double(&numbers, &answers).is_err().into()),
        1.. => {}
        _ => return Err(io::Error::last_os_error().into()),
    }

    numbers.put_many([1, 2, 3])?;
    let doubled = [answers.get()?, answers.get()?, answers.get()?];
    println!("the child answers {doubled:?}");
    numbers.close(); // for all processes: the child may go
    waitpid(Pid::from_raw(pid), WaitOptions::empty())?;
    Ok(())
}
