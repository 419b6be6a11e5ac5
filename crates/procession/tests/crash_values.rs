//! A process is killed at every crash point of taking, writing, and letting go of locks with values. Then
//! the value is the old one or the new one, who takes the lock next is told what is true, and the arena is
//! sound.
//!
//! A scenario is first played to its end to learn which points it passes, then once for each point and
//! pass: in a fork child of a process of the scenario's own.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use procession::{LockError, Mutex, Queue, RwLock, fault};
use support::primitives::{family, sound, until};
use support::{alone, fork, say};

const PASSES: u64 = 3;
const LONG: Duration = Duration::from_secs(20);
const SURVIVE: Duration = Duration::from_secs(1);

fn ours(point: &str) -> bool {
    point.starts_with("rw.") || point.starts_with("cell.")
}

/// How the child ended.
struct End {
    pid: u32,
    /// Where it was killed.
    point: Option<&'static str>,
    died: Instant,
}

impl End {
    fn at(&self, points: &[&str]) -> bool {
        self.point.is_some_and(|point| points.contains(&point))
    }
}

/// Plays `act` in a child to its end, and then once for each point where it can be killed; `check` looks
/// at what is left each time. Says the points of ours that were passed.
fn everywhere<S>(make: impl Fn() -> S, act: impl Fn(&S), check: impl Fn(S, End)) {
    let hits: Queue<(String, u64)> = Queue::unbounded().unwrap();
    let play = |plan: &str, point| {
        let scene = make();
        let child = fork(|| {
            fault::arm(plan);
            act(&scene);
            if plan.is_empty() {
                let all = fault::hits();
                hits.put_many(all.into_iter().map(|(name, n)| (name.to_owned(), n))).unwrap();
            }
        });
        let status = child.wait();
        assert!(status == 0 || status & 0x7f == 9, "{plan}: {status:x}");
        let point = (status != 0).then_some(point);
        let end = End { pid: child.pid(), point, died: Instant::now() };
        let died = end.died;
        check(scene, end);
        assert!(died.elapsed() < SURVIVE, "{plan}: it took {:?}", died.elapsed());
        sound();
        status != 0
    };
    assert!(!play("", ""));
    let mut passed = Vec::new();
    while let Ok((name, n)) = hits.try_get() {
        let point = fault::POINTS.iter().find(|p| **p == name).unwrap();
        passed.extend((1..=n.min(PASSES)).map(|pass| (*point, pass)));
    }
    sound();
    for (point, pass) in passed {
        // Whether somebody sleeps, and when memory is asked for, is up to others.
        let varies = ["wake.", "alloc.", "sync.lock_free"].iter().any(|p| point.starts_with(p));
        assert!(play(&format!("{point}:{pass}"), point) || varies, "{point}:{pass} was not passed");
        if ours(point) {
            say(&format!("passed {point}"));
        }
    }
}

fn long(n: u64) -> Vec<u64> {
    vec![n; 1000]
}

/// A mutex whose value becomes another one.
fn changes(from: &[u64], to: &[u64]) {
    everywhere(
        || Mutex::new(&from.to_vec()).unwrap(),
        |mutex| *mutex.lock().unwrap() = to.to_vec(),
        |mutex, end| {
            let seen = mutex.get().unwrap();
            assert!(seen == from || seen == to, "torn: {seen:?}");
            assert!(end.point.is_some() || seen == to);
            assert!(!end.at(&["cell.written", "cell.filled"]) || seen == from);
            assert!(!end.at(&["cell.stored", "cell.replaced"]) || seen == to);
            // What was committed and not done yet, whoever takes the lock does.
            let is = |value: &[u64]| {
                let late = end.point.is_some_and(|point| point.starts_with("redo."));
                value == seen || (late && value == to)
            };
            match mutex.lock_timeout(LONG) {
                Ok(guard) => assert!(!end.at(&["cell.written", "cell.stored"]) && is(&guard)),
                Err(LockError::Abandoned(left)) => {
                    assert_eq!(left.holder().pid, end.pid);
                    let mut guard = left.into_guard();
                    assert!(is(&guard), "{:?}", end.point);
                    guard.push(1);
                }
                Err(error) => panic!("{error}"),
            }
            drop(mutex.try_lock().unwrap());
        },
    );
}

alone!(killed_changing_a_short_value { changes(&[1], &[2]) });
alone!(killed_making_a_value_long { changes(&[1], &long(2)) });
alone!(killed_changing_a_long_value { changes(&long(1), &long(2)) });
alone!(killed_making_a_value_short { changes(&long(1), &[2]) });

alone!(killed_taking_a_value_apart {
    everywhere(
        || (),
        |()| drop((Mutex::new(&long(1)).unwrap(), RwLock::new(&long(2)).unwrap())),
        |(), _| {
            family().sweep().unwrap();
            assert_eq!(family().stats().primitives, 0);
        },
    );
});

alone!(killed_reading_a_snapshot {
    everywhere(
        || Mutex::new(&long(1)).unwrap(),
        |mutex| assert_eq!(mutex.get().unwrap(), long(1)),
        |mutex, _| {
            *mutex.try_lock().unwrap() = long(2);
            assert_eq!(mutex.get().unwrap(), long(2));
        },
    );
});

alone!(killed_reading {
    everywhere(
        || RwLock::new(&1).unwrap(),
        |lock| assert_eq!(*lock.read().unwrap(), 1),
        |lock, _| {
            // Not abandoned, by no reader.
            *lock.write_timeout(LONG).unwrap() = 2;
            assert_eq!(*lock.read().unwrap(), 2);
        },
    );
});

alone!(killed_writing {
    everywhere(
        || RwLock::new(&1).unwrap(),
        |lock| *lock.write().unwrap() = 2,
        |lock, end| {
            let seen = lock.get().unwrap();
            assert!(seen == 1 || seen == 2);
            assert!(!end.at(&["rw.claimed", "rw.writing", "cell.written"]) || seen == 1);
            assert!(!end.at(&["cell.stored", "rw.finished", "rw.free"]) || seen == 2);
            let told = match lock.read_timeout(LONG) {
                Ok(guard) => {
                    assert_eq!(*guard, seen);
                    false
                }
                Err(LockError::Abandoned(left)) => left.holder().pid == end.pid,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(told, end.at(&["rw.writing", "cell.written", "cell.stored"]), "{:?}", end.point);
            let written = lock.write_timeout(LONG).or_else(LockError::into_guard);
            assert_eq!(*written.unwrap(), seen);
            drop(lock.try_read().unwrap());
        },
    );
});

alone!(killed_waiting_to_write {
    everywhere(
        || {
            let lock = RwLock::new(&1).unwrap();
            let guard = lock.read().unwrap();
            std::mem::forget(guard);
            lock
        },
        |lock| {
            let late = lock.write_timeout(Duration::from_millis(1));
            assert!(matches!(late, Err(LockError::Held)));
        },
        |lock, _| {
            drop(lock.read_timeout(LONG).unwrap());
            // The guard that was forgotten; another one ends its reading.
            until(|| lock.readers() == 1);
            drop(lock);
        },
    );
});

// Who comes after a dead writer, and is killed in turn.
alone!(killed_burying_a_writer {
    let victims = std::cell::Cell::new(0);
    everywhere(
        || {
            let lock = RwLock::new(&1).unwrap();
            let victim = fork(|| std::mem::forget(lock.write().unwrap()));
            victim.wait();
            victims.set(victim.pid());
            lock
        },
        |lock| {
            let Err(LockError::Abandoned(left)) = lock.write() else { panic!("not told") };
            drop(left.into_guard());
        },
        |lock, end| match lock.read_timeout(LONG) {
            Ok(_) => assert!(end.point.is_none() || end.at(&["rw.finished", "rw.free"])),
            Err(LockError::Abandoned(left)) => {
                let by = left.holder().pid;
                // Until it writes itself it is the first one that is told of.
                let wrote = end.at(&["rw.writing"]);
                assert_eq!(by, if wrote { end.pid } else { victims.get() }, "{:?}", end.point);
            }
            Err(error) => panic!("{error}"),
        },
    );
});

alone!(killed_sweeping_after_a_reader_and_a_writer {
    everywhere(
        || {
            let (read, written) = (RwLock::new(&1).unwrap(), RwLock::new(&1).unwrap());
            let victim = fork(|| std::mem::forget((read.read().unwrap(), written.write().unwrap())));
            victim.wait();
            (read, written, victim.pid())
        },
        |_| family().sweep().unwrap(),
        |(read, written, victim), _| {
            drop(read.write_timeout(LONG).unwrap());
            let Err(LockError::Abandoned(left)) = written.write_timeout(LONG) else { panic!("not told") };
            assert_eq!(left.holder().pid, victim);
            drop(left.into_guard());
        },
    );
});

/// A crash point that nothing passes proves nothing.
#[test]
fn every_point_of_values_is_passed() {
    if support::role().is_some() {
        return;
    }
    let mut missing: Vec<_> = fault::POINTS.iter().filter(|p| ours(p)).collect();
    for scenario in [
        "killed_changing_a_short_value",
        "killed_making_a_value_long",
        "killed_taking_a_value_apart",
        "killed_reading",
        "killed_writing",
        "killed_sweeping_after_a_reader_and_a_writer",
    ] {
        let (lines, _) = support::start(scenario, scenario, &[]).finish();
        let passed: Vec<_> = lines.iter().filter_map(|l| l.strip_prefix("passed ")).collect();
        missing.retain(|p| !passed.contains(p));
    }
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
