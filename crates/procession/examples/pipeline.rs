//! Producer and consumers: one process reads, two count words, and this one adds up.
//!
//! The queues go into the arguments of the processes; closing one says that there is no more.

use std::collections::BTreeMap;

use procession::{Process, Queue};

type Failure = Box<dyn std::error::Error>;

const TEXT: &str = "the quick brown fox\njumps over\nthe lazy dog\nand the dog sleeps";

fn main() -> Result<(), Failure> {
    procession::init();
    let lines: Queue<String> = Queue::bounded(2)?;
    let counts: Queue<BTreeMap<String, u32>> = Queue::unbounded()?;

    let producer = Process::spawn(produce, lines.clone())?;
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.push(Process::spawn(consume, (lines.clone(), counts.clone()))?);
    }
    let produced = producer.join()?;
    lines.close(); // the consumers take what is left, and end
    for consumer in consumers {
        consumer.join()?;
    }
    counts.close();

    let mut total = BTreeMap::new();
    for part in &counts {
        for (word, n) in part? {
            *total.entry(word).or_insert(0) += n;
        }
    }
    println!(
        "{produced} lines, {} words, {} times \"the\"",
        total.values().sum::<u32>(),
        total["the"]
    );
    Ok(())
}

/// Puts the lines, and says how many. Waits while two of them lie there.
#[expect(clippy::needless_pass_by_value, reason = "arguments come by value into a process")]
fn produce(lines: Queue<String>) -> usize {
    let sent = TEXT.lines().map(|line| lines.put(line.to_string()).expect("the queue is open"));
    sent.count()
}

fn consume((lines, counts): (Queue<String>, Queue<BTreeMap<String, u32>>)) {
    for line in &lines {
        let mut words = BTreeMap::new();
        for word in line.expect("it is a line").split_whitespace() {
            *words.entry(word.to_string()).or_insert(0) += 1;
        }
        counts.put(words).expect("the queue is open");
    }
}
