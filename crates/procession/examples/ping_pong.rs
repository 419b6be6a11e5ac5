//! Two processes throw a number back and forth: `cargo run --release --example ping_pong`.
//!
//! The second process is this program again; it finds the queues by their handles, which it gets as
//! arguments.

use std::process::Command;
use std::time::Instant;

use procession::Queue;

const ROUNDS: u64 = 100_000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .filter_map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok())
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, there, back] = &args[..] {
        let there: Queue<u64> = Queue::from_handle(&unhex(there))?;
        let back: Queue<u64> = Queue::from_handle(&unhex(back))?;
        while let Ok(n) = there.get() {
            back.put(n)?;
        }
        return Ok(());
    }
    let there: Queue<u64> = Queue::unbounded()?;
    let back: Queue<u64> = Queue::unbounded()?;
    let mut other = Command::new(std::env::current_exe()?)
        .args([hex(&there.handle()), hex(&back.handle())])
        .spawn()?;
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let start = Instant::now();
        there.put(n)?;
        assert_eq!(back.get()?, n);
        times.push(start.elapsed());
    }
    there.close();
    other.wait()?;
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    println!(
        "{ROUNDS} round trips: median {:?}, 99 % {:?}, 99.9 % {:?}",
        at(500),
        at(990),
        at(999)
    );
    Ok(())
}
