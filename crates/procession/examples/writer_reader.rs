//! One process writes, another reads for ever and is killed when there is nothing left to read:
//! `cargo run -p procession --example writer_reader`.
//!
//! It dies inside `get`, or just before. The queue is none the worse: others go on with it.

mod support;

use std::error::Error;
use std::os::unix::process::ExitStatusExt;

use procession::Queue;

const WORDS: [&str; 3] = ["one", "two", "three"];

fn write(words: &Queue<String>) -> Result<(), Box<dyn Error>> {
    for word in WORDS {
        println!("write {word}");
        words.put(word.into())?;
    }
    Ok(())
}

fn read(words: &Queue<String>, done: &Queue<()>) -> Result<(), Box<dyn Error>> {
    loop {
        println!("read {}", words.get()?);
        done.put(())?;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some((role, handles)) = support::role() {
        let words = Queue::from_handle(&handles[0])?;
        let done = Queue::from_handle(&handles[1])?;
        return if role == "writer" { write(&words) } else { read(&words, &done) };
    }

    let words: Queue<String> = Queue::unbounded()?;
    let done: Queue<()> = Queue::unbounded()?;
    let handles = [words.handle(), done.handle()];
    let mut writer = support::again("writer", &handles)?.spawn()?;
    let mut reader = support::again("reader", &handles)?.spawn()?;

    for _ in WORDS {
        done.get()?;
    }
    writer.wait()?;
    reader.kill()?;
    let signal = reader.wait()?.signal();
    println!("the reader was ended by signal {}", signal.unwrap_or(0));

    words.put("four".into())?;
    println!("the parent read {}", words.get()?);
    Ok(())
}
