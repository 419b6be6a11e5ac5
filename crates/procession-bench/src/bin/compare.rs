//! Compares in rounds, in which the implementations take turns. Prints medians with their spread, and
//! by how much Procession is faster, computed within each round.
//!
//! `cargo run --release --bin compare [ROUNDS [SECONDS]]`

use std::time::Duration;

use procession_bench::{Link, NAMES, link};

type Measure = fn(&mut Link, u64) -> Duration;

const CASES: [(&str, usize, Measure); 4] = [
    ("one way, 64 bytes", 64, Link::one_way),
    ("ping-pong, 64 bytes", 64, Link::ping_pong),
    ("one way, 1 MB", 1 << 20, Link::one_way),
    ("ping-pong, 1 MB", 1 << 20, Link::ping_pong),
];

fn main() {
    procession_bench::run_child();
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(5, |a| a.parse().expect("rounds"));
    let seconds: f64 = arguments.next().map_or(0.3, |a| a.parse().expect("seconds"));
    println!("nanoseconds a message (ping-pong: there and back), median of {rounds} (min-max)");
    for (case, size, measure) in CASES {
        let mut times = vec![Vec::new(); NAMES.len()];
        for _ in 0..rounds {
            for (name, times) in NAMES.iter().zip(&mut times) {
                times.push(once(name, size, measure, seconds));
            }
        }
        println!("\n{case}");
        for (name, own) in NAMES.iter().zip(&times) {
            let ratios: Vec<f64> = own.iter().zip(&times[0]).map(|(t, p)| t / p).collect();
            println!("  {name:18} {:>24}   {:>20}", shown(own, 0), shown(&ratios, 2));
        }
    }
}

/// Nanoseconds a message, measured for about so long, after a warm-up.
fn once(name: &str, size: usize, measure: Measure, seconds: f64) -> f64 {
    let mut link = link(name, size);
    let mut n = 64;
    loop {
        let took = measure(&mut link, n).as_secs_f64();
        if took > seconds / 10.0 {
            n = (n as f64 * seconds / took) as u64 + 1;
            break;
        }
        n *= 4;
    }
    measure(&mut link, n).as_nanos() as f64 / n as f64
}

fn shown(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{:.digits$} ({low:.digits$}-{high:.digits$})", sorted[sorted.len() / 2])
}
