//! Runs of messages under loom.

use loom::thread;

use super::{Fifo, bounded};
use crate::lock::Serial;
use crate::ring::batch::Batch;
use crate::ring::fifo::PushError;

impl Fifo {
    /// Puts what goes in, and says how many.
    fn try_put_run(&self, me: Serial, values: &[u64]) -> usize {
        let bytes: Vec<u8> =
            values.iter().flat_map(|v| [v.to_le_bytes(), (!v).to_le_bytes()].concat()).collect();
        let ends: Vec<usize> = (1..=values.len()).map(|n| 16 * n).collect();
        let (mut done, mut fresh) = (0, None);
        while done < values.len() {
            let batch = Batch { kind: 1, bytes: &bytes, start: 16 * done, ends: &ends[done..] };
            let held = self.tail_lock.lock(me, &self.how);
            let (limits, head) = (self.limits(), &self.head);
            let pushed = self.tail.push_run(&self.words, head, limits, batch, &mut fresh);
            drop(held);
            match pushed {
                Ok(n) => done += n as usize,
                Err(PushError::Full) => break,
                Err(PushError::NeedSegment(_)) => fresh = Some(self.words.fresh()),
                Err(PushError::Memory(e)) => panic!("{e}"),
            }
        }
        if done > 0 {
            self.items.wake_one(&self.how);
        }
        done
    }

    fn try_get_run(&self, me: Serial) -> Vec<u64> {
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        let held = self.head_lock.lock(me, &self.how);
        let to = (&mut out, &mut ends);
        let popped = self.head.pop_run(&self.words, &self.tail, 1, 9, to).unwrap();
        drop(held);
        if popped.is_some() && self.capacity != 0 {
            self.room.wake_one(&self.how);
        }
        if self.items.has_sleepers() && self.tail.count() != self.head.count() {
            self.items.wake_one(&self.how);
        }
        assert_eq!(popped.map_or(0, |run| run.count), ends.len() as u64);
        out.chunks(16)
            .map(|m| {
                let value = u64::from_le_bytes(m[..8].try_into().unwrap());
                assert_eq!(m[8..], (!value).to_le_bytes(), "torn");
                value
            })
            .collect()
    }
}

/// Runs of two, since a segment has no room for more: an even number, which takes two commits.
#[test]
fn runs_across_segments() {
    bounded(|| {
        let q = Fifo::new(0);
        let p = q.clone();
        let producer = thread::spawn(move || assert_eq!(p.try_put_run(1, &[1, 2, 3]), 3));
        let mut got = vec![q.get(2)];
        while got.len() < 3 {
            got.extend(q.try_get_run(2));
            thread::yield_now();
        }
        assert_eq!(got, [1, 2, 3]);
        producer.join().unwrap();
    });
}

#[test]
fn runs_are_bounded() {
    bounded(|| {
        let q = Fifo::new(2);
        q.put(1, 1);
        let c = q.clone();
        let consumer = thread::spawn(move || c.get(2));
        // Room for one, or by now for two.
        let put = q.try_put_run(1, &[2, 3]);
        assert!((1..=2).contains(&put), "{put}");
        assert_eq!(consumer.join().unwrap(), 1);
        assert_eq!(q.try_get_run(1), [2, 3][..put]);
    });
}

#[test]
fn a_run_wakes_two_consumers() {
    bounded(|| {
        let q = Fifo::new(0);
        let (a, b) = (q.clone(), q.clone());
        let one = thread::spawn(move || a.get(1));
        let two = thread::spawn(move || b.get(2));
        assert_eq!(q.try_put_run(3, &[1, 2]), 2);
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 3);
    });
}

#[test]
fn a_run_and_a_single_get_share() {
    bounded(|| {
        let q = Fifo::new(0);
        assert_eq!(q.try_put_run(3, &[1, 2, 3]), 3);
        let a = q.clone();
        let one = thread::spawn(move || a.try_get_run(1));
        let mut got: Vec<u64> = q.try_get(2).into_iter().collect();
        got.extend(one.join().unwrap());
        while got.len() < 3 {
            got.extend(q.try_get_run(2));
        }
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
    });
}
