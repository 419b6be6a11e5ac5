//! How many tasks a pool does in a second, and how many bytes.
//!
//! `pool_speed [workers]`: the median of five rounds, and their spread.

use std::time::{Duration, Instant};

use procession::Pool;

fn double(n: u64) -> u64 {
    2 * n
}

fn letters(n: usize) -> String {
    "x".repeat(n)
}

/// Runs something five times and says how much of it was done in a second.
fn measure(what: &str, unit: &str, amount: f64, mut run: impl FnMut()) {
    run();
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            run();
            amount / begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{what}: {:.2} {unit}/s ({:.2} to {:.2})", rates[2], rates[0], rates[4]);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    procession::init();
    let workers = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let pool = Pool::new(workers)?;
    measure("map of a million trivial items", "million", 1.0, || {
        assert_eq!(pool.map(double, 0..1_000_000).unwrap().len(), 1_000_000);
    });
    measure("map of 100,000 trivial items", "million", 0.1, || {
        assert_eq!(pool.map(double, 0..100_000).unwrap().len(), 100_000);
    });
    measure("map_unordered of 100,000", "million", 0.1, || {
        assert_eq!(pool.map_unordered(double, 0..100_000).count(), 100_000);
    });
    measure("imap of 100,000", "million", 0.1, || {
        assert_eq!(pool.imap(double, 0..100_000).count(), 100_000);
    });
    measure("10,000 submitted, then joined", "million", 0.01, || {
        let tasks: Vec<_> = (0..10_000).map(|n| pool.submit(double, n)).collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
    measure("submit and join, one by one", "thousand", 2.0, || {
        for n in 0..2000 {
            assert_eq!(pool.submit(double, n).join().unwrap(), 2 * n);
        }
    });
    measure("results of 1 MB", "GB", 0.2, || {
        let all = pool.imap(letters, std::iter::repeat_n(1_000_000, 200));
        assert_eq!(all.map(|text| text.unwrap().len()).sum::<usize>(), 200_000_000);
    });
    let text = letters(1_000_000);
    measure("items of 1 MB", "GB", 0.2, || {
        let items = (0..200).map(|_| text.clone());
        assert_eq!(pool.map(|text: String| text.len(), items).unwrap().len(), 200);
    });
    pool.join()?;
    Ok(())
}
