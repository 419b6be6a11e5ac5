//! How fast plain messages go between two processes, beside the standard library's channel between two
//! threads: `cargo run --release --features bytemuck --example plain_speed`.
//!
//! All cases take turns, round for round, so that what else the machine does hits all of them. A round
//! of a case is the time for its messages divided by their number; printed are the median over the
//! rounds, and the fastest and slowest.

mod support;

use std::error::Error;
use std::process::Child;
use std::sync::mpsc;
use std::time::Instant;

use procession::{PlainQueue, Queue};

type Small = [u64; 8];
const SMALL: u64 = 200_000;
const LARGE: u64 = 2_000;
const MB: usize = 1 << 20;
const ROOM: u64 = 1024;
const ROUNDS: usize = 7;

/// What the other process does with each message that comes: nothing, or send it back.
fn answer(handles: &[Vec<u8>], role: &str) -> Result<(), Box<dyn Error>> {
    if role == "serde" {
        let (there, back) = (Queue::from_handle(&handles[0])?, Queue::from_handle(&handles[1])?);
        while let Ok((message, wanted)) = there.get() as Result<(Small, bool), _> {
            if wanted {
                back.put((message, false))?;
            }
        }
        return Ok(());
    }
    let there: PlainQueue<u64> = PlainQueue::from_handle(&handles[0])?;
    let back: PlainQueue<u64> = PlainQueue::from_handle(&handles[1])?;
    let small: (PlainQueue<Small>, PlainQueue<Small>) =
        (there.raw().clone().into(), back.raw().clone().into());
    if role == "small" {
        while let Ok(message) = small.0.get() {
            if message[0] == 1 {
                small.1.put(&message)?;
            }
        }
        return Ok(());
    }
    while let Ok(message) = there.get_slice() {
        if message[0] == 1 {
            let mut answer = back.loan(MB / 8)?;
            answer[0] = message[1];
            back.put_loan(answer)?;
        }
    }
    Ok(())
}

struct Other<Q> {
    there: Q,
    back: Q,
    child: Child,
}

fn other<Q>(
    role: &str,
    pair: (Q, Q),
    handle: fn(&Q) -> Vec<u8>,
) -> Result<Other<Q>, Box<dyn Error>> {
    let child = support::again(role, &[handle(&pair.0), handle(&pair.1)])?.spawn()?;
    Ok(Other { there: pair.0, back: pair.1, child })
}

/// Nanoseconds for each message.
fn per_message(
    count: u64,
    run: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}

fn threads_one_way() -> Result<f64, Box<dyn Error>> {
    let (there, came) = mpsc::sync_channel::<Small>(ROOM as usize);
    let (back, done) = mpsc::sync_channel::<u64>(1);
    let other = std::thread::spawn(move || {
        let sum = came.iter().map(|message| message[1]).fold(0, u64::wrapping_add);
        back.send(sum).is_ok()
    });
    let time = per_message(SMALL, || {
        for n in 0..SMALL {
            there.send([0, n, 0, 0, 0, 0, 0, 0])?;
        }
        drop(there);
        done.recv()?;
        Ok(())
    })?;
    other.join().map_err(|_| "the thread panicked")?;
    Ok(time)
}

fn threads_ping_pong() -> Result<f64, Box<dyn Error>> {
    let (there, came) = mpsc::sync_channel::<Small>(ROOM as usize);
    let (back, answers) = mpsc::sync_channel::<Small>(ROOM as usize);
    let other = std::thread::spawn(move || came.iter().all(|message| back.send(message).is_ok()));
    let time = per_message(SMALL, || {
        for n in 0..SMALL {
            there.send([1, n, 0, 0, 0, 0, 0, 0])?;
            assert_eq!(answers.recv()?[1], n);
        }
        Ok(())
    })?;
    drop(there);
    other.join().map_err(|_| "the thread panicked")?;
    Ok(time)
}

fn small_one_way(o: &Other<PlainQueue<Small>>) -> Result<f64, Box<dyn Error>> {
    per_message(SMALL, || {
        for n in 0..SMALL {
            o.there.put(&[u64::from(n == SMALL - 1), n, 0, 0, 0, 0, 0, 0])?;
        }
        o.back.get()?;
        Ok(())
    })
}

fn small_ping_pong(o: &Other<PlainQueue<Small>>) -> Result<f64, Box<dyn Error>> {
    per_message(SMALL, || {
        for n in 0..SMALL {
            o.there.put(&[1, n, 0, 0, 0, 0, 0, 0])?;
            assert_eq!(o.back.get()?[1], n);
        }
        Ok(())
    })
}

fn serde_one_way(o: &Other<Queue<(Small, bool)>>) -> Result<f64, Box<dyn Error>> {
    per_message(SMALL, || {
        for n in 0..SMALL {
            o.there.put(([0, n, 0, 0, 0, 0, 0, 0], n == SMALL - 1))?;
        }
        o.back.get()?;
        Ok(())
    })
}

fn serde_ping_pong(o: &Other<Queue<(Small, bool)>>) -> Result<f64, Box<dyn Error>> {
    per_message(SMALL, || {
        for n in 0..SMALL {
            o.there.put(([0, n, 0, 0, 0, 0, 0, 0], true))?;
            assert_eq!(o.back.get()?.0[1], n);
        }
        Ok(())
    })
}

/// Loans of 1 MB, all of which is written if `fill`, else the first words only.
fn large(o: &Other<PlainQueue<u64>>, fill: bool, ping_pong: bool) -> Result<f64, Box<dyn Error>> {
    per_message(LARGE, || {
        for n in 0..LARGE {
            let mut loan = o.there.loan(MB / 8)?;
            if fill {
                loan.fill(n);
            }
            loan[0] = u64::from(ping_pong || n == LARGE - 1);
            loan[1] = n;
            o.there.put_loan(loan)?;
            if ping_pong {
                assert_eq!(o.back.get_slice()?[0], n);
            }
        }
        if !ping_pong {
            o.back.get_slice()?;
        }
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some((role, handles)) = support::role() {
        return answer(&handles, &role);
    }
    let pair = (PlainQueue::bounded(ROOM)?, PlainQueue::bounded(ROOM)?);
    let mut small = other("small", pair, PlainQueue::handle)?;
    let pair = (PlainQueue::bounded(8)?, PlainQueue::bounded(8)?);
    let mut big = other("large", pair, PlainQueue::handle)?;
    let pair = (Queue::bounded(ROOM)?, Queue::bounded(ROOM)?);
    let mut serde = other("serde", pair, Queue::handle)?;

    type Case<'a> = (&'a str, Box<dyn Fn() -> Result<f64, Box<dyn Error>> + 'a>);
    let cases: [Case<'_>; 9] = [
        ("64 B one way, threads, std's channel", Box::new(threads_one_way)),
        ("64 B one way, PlainQueue", Box::new(|| small_one_way(&small))),
        ("64 B one way, Queue (serde)", Box::new(|| serde_one_way(&serde))),
        ("64 B ping-pong, threads, std's channel", Box::new(threads_ping_pong)),
        ("64 B ping-pong, PlainQueue", Box::new(|| small_ping_pong(&small))),
        ("64 B ping-pong, Queue (serde)", Box::new(|| serde_ping_pong(&serde))),
        ("1 MB loan one way, first words written", Box::new(|| large(&big, false, false))),
        ("1 MB loan one way, all written", Box::new(|| large(&big, true, false))),
        ("1 MB loan ping-pong, first words written", Box::new(|| large(&big, false, true))),
    ];
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in cases.iter().zip(&mut times) {
            times.push(run()?);
        }
    }
    for ((name, _), times) in cases.iter().zip(&mut times) {
        times.sort_unstable_by(f64::total_cmp);
        let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        println!("{name:<42} {median:>9.0} ns  ({least:.0} to {most:.0})");
    }
    drop(cases);
    for queue in [&small.there.raw(), &big.there.raw(), &serde.there.raw()] {
        queue.close();
    }
    for child in [&mut small.child, &mut big.child, &mut serde.child] {
        child.wait()?;
    }
    Ok(())
}
