//! Queues that are stocks of blocks, whose words were overwritten: an error, never a crash, never a hang.
#![allow(missing_docs)]

mod support;

use procession::codec::order::order_key;
use procession::collections::{Datum, OfferError, Ticket};
use procession::{ArenaError, Family, RawDeliveryQueue, RawLifoQueue, RawPriorityQueue};
use support::random::{Random, seed, some_bytes};
use support::scribble::scribble;
use support::{alone, argument, role, say, start};

const ROUNDS: u64 = 120;

/// Whether damage was noticed.
fn noticed<T>(done: Result<T, impl Into<OfferError>>) -> u64 {
    match done.map_err(Into::into) {
        Ok(_)
        | Err(
            OfferError::Arena(ArenaError::Full { .. })
            | OfferError::Unsure
            | OfferError::Outdated
            | OfferError::Unordered(_)
            | OfferError::Full
            | OfferError::Closed,
        ) => 0,
        Err(OfferError::Arena(ArenaError::Corrupt(_))) => 1,
        Err(e) => panic!("{e}"),
    }
}

fn with_lifo(q: &RawLifoQueue, random: &mut Random) -> u64 {
    let value = some_bytes(random, 1);
    match random.below(40) {
        0..=18 => noticed(q.try_put(&Datum::plain(&value))),
        19..=34 => noticed(q.try_get(&mut Vec::new())),
        35..=36 => noticed(q.peek(&mut Vec::new())),
        37 => noticed(q.done()),
        38 => noticed(q.snapshot()),
        _ => noticed(q.check()),
    }
}

fn with_priority(q: &RawPriorityQueue, random: &mut Random) -> u64 {
    let value = some_bytes(random, 1);
    let name = (random.below(4), "x".repeat(random.below(40) as usize));
    let key = order_key(&name).unwrap();
    match random.below(40) {
        0..=17 => noticed(q.try_put(key.as_bytes(), &Datum::plain(&value))),
        18..=33 => noticed(q.try_get(&mut Vec::new())),
        34 => noticed(q.peek(&mut Vec::new())),
        35 => noticed(q.done()),
        36 => noticed(q.snapshot()),
        37 if random.below(10) == 0 => {
            match q.place(|_, other| Ok::<_, ArenaError>(value.len() < other.len())) {
                Ok(Ok(place)) => noticed(q.try_put_at(&place, &Datum::plain(&value))),
                done => noticed(done),
            }
        }
        _ => noticed(q.check()),
    }
}

fn with_delivery(q: &RawDeliveryQueue, taken: &mut Vec<Ticket>, random: &mut Random) -> u64 {
    let value = some_bytes(random, 1);
    match random.below(42) {
        0..=15 => noticed(q.try_put(&Datum::plain(&value))),
        16..=27 => match q.try_take(&mut Vec::new()) {
            Ok(Some((_, ticket))) => {
                taken.push(ticket);
                0
            }
            other => noticed(other),
        },
        which @ 28..=37 if !taken.is_empty() => {
            let ticket = taken.swap_remove(random.below(taken.len() as u64) as usize);
            noticed(if which == 28 { q.give_back(&ticket) } else { q.done(&ticket) })
        }
        38 => noticed(q.peek(&mut Vec::new())),
        39 => noticed(q.recover()),
        40 => noticed(q.in_flights()),
        41 => noticed(q.check()),
        _ => 0,
    }
}

#[test]
fn scribbled() {
    if role().as_deref() != Some("scribbled") {
        return;
    }
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(64 << 20));
    let mut random = Random(argument("SEED").parse().unwrap());
    let mut act: Box<dyn FnMut(&mut Random) -> u64> = match random.below(3) {
        0 => {
            let q = RawLifoQueue::create(family, None).unwrap();
            Box::new(move |random| with_lifo(&q, random))
        }
        1 => {
            let q = RawPriorityQueue::create(family, None).unwrap();
            Box::new(move |random| with_priority(&q, random))
        }
        _ => {
            let q = RawDeliveryQueue::create(family, None).unwrap();
            let mut taken = Vec::new();
            Box::new(move |random| with_delivery(&q, &mut taken, random))
        }
    };
    (0..3000).for_each(|_| assert_eq!(act(&mut random), 0));
    let mut errors = 0;
    for _ in 0..40 {
        scribble(family, &mut random, 0);
        errors += (0..40).map(|_| act(&mut random)).sum::<u64>();
    }
    let _ = family.check();
    say(&errors.to_string());
    std::process::exit(0);
}

alone!(a_scribbled_queue_is_an_error_never_a_crash {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut noticed = 0;
    for round in 0..ROUNDS {
        let seed =
            (seed.wrapping_add(round).wrapping_mul(2) | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        eprintln!("round {round}: {seed}");
        let (lines, _) = start("scribbled", "scribbled", &[("SEED", seed.to_string())]).finish();
        noticed += u64::from(lines[0] != "0");
    }
    assert!(noticed > ROUNDS / 2, "in {noticed} rounds the damage was noticed");
});
