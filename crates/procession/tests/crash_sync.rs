//! A process is killed at every crash point of every operation on a lock, semaphore, event, condition
//! or barrier. Then locks are taken over and their takers told, permits are counted right, no
//! notification is lost, everyone's wait at a barrier ends, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use procession::{
    Acquired, Arrival, Broken, Family, RawBarrier, RawCondition, RawEvent, RawLock, RawSemaphore,
    fault,
};
use support::primitives::{abandoned, acquire, notified, somebody_waits, take, until, wait};
use support::{Running, argument, hex, killed, role, say, start, unhex};

const PASSES: u64 = 3;
const SURVIVE: Duration = Duration::from_secs(1);

/// One of each.
struct Scene {
    lock: RawLock,
    reentrant: RawLock,
    permits: RawSemaphore,
    event: RawEvent,
    condition: RawCondition,
    barrier: RawBarrier,
}

impl Scene {
    fn new() -> Scene {
        let family = Family::current().unwrap();
        Scene {
            lock: RawLock::create(family, false).unwrap(),
            reentrant: RawLock::create(family, true).unwrap(),
            permits: RawSemaphore::create(family, 0, 9).unwrap(),
            event: RawEvent::create(family).unwrap(),
            condition: RawCondition::create(family).unwrap(),
            barrier: RawBarrier::create(family, 2).unwrap(),
        }
    }

    fn handles(&self) -> String {
        [
            self.lock.handle(),
            self.reentrant.handle(),
            self.permits.handle(),
            self.event.handle(),
            self.condition.handle(),
            self.barrier.handle(),
        ]
        .map(|handle| hex(&handle))
        .join(",")
    }

    fn open(handles: &str) -> Scene {
        let handles: Vec<_> = handles.split(',').map(unhex).collect();
        Scene {
            lock: RawLock::from_handle(&handles[0]).unwrap(),
            reentrant: RawLock::from_handle(&handles[1]).unwrap(),
            permits: RawSemaphore::from_handle(&handles[2]).unwrap(),
            event: RawEvent::from_handle(&handles[3]).unwrap(),
            condition: RawCondition::from_handle(&handles[4]).unwrap(),
            barrier: RawBarrier::from_handle(&handles[5]).unwrap(),
        }
    }
}

fn meet(barrier: &RawBarrier) -> Result<u32, Broken> {
    match barrier.arrive()? {
        Arrival::Last(runner) => runner.release(),
        Arrival::Wait(waiter) => {
            say("arrived");
            wait(|| waiter.outcome(), |deadline| waiter.wait(deadline))
        }
        Arrival::Busy => panic!("{barrier:?}"),
    }
}

#[test]
fn child() {
    let Some(role) = role().filter(|r| r != "survivor") else {
        return;
    };
    let scene = Scene::open(&argument("SCENE"));
    fault::arm(&argument("PLAN"));
    play(&role, &scene);
    for (name, n) in fault::hits() {
        say(&format!("hit {name} {n}"));
    }
    // Without destructors and without leaving cleanly: as a crash.
    std::process::exit(0);
}

fn play(role: &str, s: &Scene) {
    match role {
        "victim" => {
            acquire(&s.lock);
        }
        "lock" | "wait" | "bury" => {
            acquire(&s.lock);
            say("holds");
            if role == "lock" {
                until(somebody_waits);
            }
            s.lock.release().unwrap();
            say("free");
        }
        "again" => {
            acquire(&s.reentrant);
            acquire(&s.reentrant);
            s.reentrant.release().unwrap();
            s.reentrant.release().unwrap();
            say("free");
        }
        "put back" => s.lock.put_back(&abandoned(acquire(&s.lock))),
        "leave" => {
            acquire(&s.lock);
            acquire(&s.reentrant);
            s.family().leave_cleanly();
        }
        "permits" => {
            s.permits.release(2).unwrap();
            say("gave");
            assert!(s.permits.try_acquire());
            say("took");
        }
        "event" => {
            s.event.set();
            s.event.clear();
            say("set");
        }
        "enlist" => {
            let waiter = s.condition.enlist().unwrap();
            say("enlisted");
            assert!(notified(waiter));
            say("left");
        }
        "notify" => assert_eq!(s.condition.notify(2).unwrap(), 2),
        "arrive" | "run" => drop(meet(&s.barrier)),
        "abort" => s.barrier.abort(),
        "reset" => s.barrier.reset(),
        "victim of all" => {
            acquire(&s.lock);
            let waiter = s.condition.enlist().unwrap();
            say("enlisted");
            until(|| waiter.is_notified());
            std::mem::forget((waiter, s.barrier.arrive().unwrap()));
        }
        "sweep" => s.family().sweep().unwrap(),
        other => panic!("no role is called {other}"),
    }
}

impl Scene {
    fn family(&self) -> Family {
        self.lock.family()
    }

    fn start(&self, role: &str, plan: &str) -> Child {
        let arguments = [("PLAN", plan.to_owned()), ("SCENE", self.handles())];
        let point = plan.split(':').next().unwrap_or_default().to_owned();
        Child { running: start("child", role, &arguments), said: Vec::new(), point }
    }
}

struct Child {
    running: Running,
    said: Vec<String>,
    /// Where it is to be killed.
    point: String,
}

impl Child {
    /// Hears one line, unless the child has ended before.
    fn hear(&mut self) {
        self.said.extend(self.running.hear_if_any());
    }

    fn end(mut self) -> Ended {
        let pid = self.running.child.id();
        let (lines, status) = self.running.finish();
        self.said.extend(lines);
        Ended {
            pid,
            died: Instant::now(),
            killed: killed(status),
            said: self.said,
            point: self.point,
        }
    }
}

struct Ended {
    pid: u32,
    died: Instant,
    killed: bool,
    said: Vec<String>,
    point: String,
}

impl Ended {
    fn said(&self, line: &str) -> bool {
        self.said.iter().any(|l| l == line)
    }

    /// Whether it had released the lock.
    fn is_free(&self) -> bool {
        self.said("free") || self.at(&["sync.lock_free"])
    }

    /// Whether it was killed at one of these points.
    fn at(&self, points: &[&str]) -> bool {
        self.killed && points.contains(&self.point.as_str())
    }
}

#[test]
fn survivor() {
    if role().as_deref() != Some("survivor") {
        return;
    }
    let (name, plan) = (argument("SCENARIO"), argument("PLAN"));
    let scene = Scene::new();
    let ended = survive(&name, &plan, &scene);
    assert!(ended.died.elapsed() < SURVIVE, "it took {:?}", ended.died.elapsed());
    let family = scene.family();
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    drop(scene);
    assert_eq!(family.stats().primitives, 0, "something is left");
    assert_eq!(family.check(), [""; 0]);
    ended.said.iter().filter(|line| line.starts_with("hit ")).for_each(|line| say(line));
    say(if ended.killed { "killed" } else { "lived" });
    std::process::exit(0);
}

fn survive(name: &str, plan: &str, s: &Scene) -> Ended {
    match name {
        "lock" => {
            let mut child = s.start(name, plan);
            child.hear();
            // It has the lock now, or died with it.
            let (acquired, ended) = thread::scope(|scope| {
                let waiter = scope.spawn(|| acquire(&s.lock));
                let ended = child.end();
                (waiter.join().unwrap(), ended)
            });
            assert_eq!(acquired == Acquired::Clean, ended.is_free());
            ended
        }
        "wait" => {
            acquire(&s.lock);
            let child = s.start(name, plan);
            until(somebody_waits);
            s.lock.release().unwrap();
            told(&s.lock, child.end())
        }
        "again" => told(&s.reentrant, s.start(name, plan).end()),
        "bury" => {
            s.start("victim", "").end();
            told(&s.lock, s.start(name, plan).end())
        }
        "put back" => {
            let victim = s.start("victim", "").end();
            let ended = s.start(name, plan).end();
            let by = abandoned(acquire(&s.lock));
            assert!([victim.pid, ended.pid].contains(&by.pid));
            assert!(ended.killed || by.pid == victim.pid, "what was put back is as it was");
            ended
        }
        "leave" => left(s, s.start(name, plan).end()),
        "permits" => permits(s, plan),
        "event" => thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let passed = || (s.event.is_set() || s.event.epoch() != 0).then_some(());
                wait(passed, |deadline| s.event.wait(0, deadline));
            });
            until(somebody_waits);
            let ended = s.start(name, plan).end();
            let was_set = !ended.killed || ended.at(&["sync.event_set", "wake.before"]);
            assert_eq!(s.event.epoch(), u32::from(was_set));
            if !was_set {
                s.event.set();
            }
            waiter.join().unwrap();
            ended
        }),
        "enlist" | "notify" | "sweep" => conditions(name, plan, s),
        _ => barriers(name, plan, s),
    }
}

/// Who takes the lock next is told, unless the child said that it had released it.
fn told(lock: &RawLock, ended: Ended) -> Ended {
    match acquire(lock) {
        Acquired::Clean => assert!(ended.is_free(), "{:?}", ended.said),
        Acquired::Abandoned(by) => {
            assert!(ended.killed && !ended.is_free(), "{:?}", ended.said);
            let buried_only =
                ended.at(&["sync.lock_described", "sync.lock_buried", "lock.acquired"]);
            assert!(by.pid == ended.pid || buried_only, "{by:?} at {}", ended.point);
        }
    }
    lock.release().unwrap();
    ended
}

/// The child took the plain lock, then the reentrant one, and left.
fn left(s: &Scene, ended: Ended) -> Ended {
    s.family().sweep().unwrap();
    let plain = s.lock.try_acquire().unwrap();
    let reentrant = s.reentrant.try_acquire().unwrap();
    if ended.at(&["sync.lock_taken", "sync.lock_noted"]) {
        assert_eq!(abandoned(plain.unwrap()).pid, ended.pid);
    } else {
        assert_eq!((plain, reentrant), (None, Some(Acquired::Clean)));
        assert!(s.lock.is_held() && s.lock.holder().is_none(), "held by nobody");
    }
    ended
}

fn permits(s: &Scene, plan: &str) -> Ended {
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            take(&s.permits);
        });
        until(somebody_waits);
        let ended = s.start("permits", plan).end();
        let gave = ended.said("gave") || ended.at(&["sync.permit_given", "wake.before"]);
        let took = ended.said("took") || ended.at(&["sync.permit_taken"]);
        if !gave {
            s.permits.release(2).unwrap();
        }
        waiter.join().unwrap();
        assert_eq!(s.permits.value(), 2 - 1 - u32::from(took));
        ended
    })
}

fn conditions(name: &str, plan: &str, s: &Scene) -> Ended {
    match name {
        "enlist" => {
            let mut child = s.start(name, plan);
            child.hear();
            let second = s.condition.enlist().unwrap();
            assert_eq!(s.condition.notify(1).unwrap(), 1, "the first, dead or alive");
            let ended = child.end();
            if ended.said("left") || ended.at(&["sync.unlisted"]) {
                assert_eq!(s.condition.notify(1).unwrap(), 1);
            }
            assert!(notified(second));
            ended
        }
        "notify" => thread::scope(|scope| {
            let waiters = [s.condition.enlist().unwrap(), s.condition.enlist().unwrap()];
            let waiters = waiters.map(|waiter| scope.spawn(|| assert!(notified(waiter))));
            until(somebody_waits);
            let ended = s.start(name, plan).end();
            let passes = if ended.at(&["sync.notified"]) {
                plan.rsplit(':').next().unwrap().parse().unwrap()
            } else {
                2
            };
            assert_eq!(s.condition.notify(2).unwrap(), 2 - passes);
            for waiter in waiters {
                waiter.join().unwrap();
            }
            ended
        }),
        _ => {
            let mut victim = s.start("victim of all", "");
            victim.hear();
            let second = s.condition.enlist().unwrap();
            assert_eq!(s.condition.notify(1).unwrap(), 1);
            assert!(!second.is_notified());
            let victim = victim.end();
            let ended = s.start(name, plan).end();
            assert!(notified(second));
            assert_eq!(s.condition.waiting(), 0);
            assert_eq!(abandoned(acquire(&s.lock)).pid, victim.pid);
            s.family().sweep().unwrap();
            assert!(s.barrier.is_broken());
            ended
        }
    }
}

fn barriers(name: &str, plan: &str, s: &Scene) -> Ended {
    let ended = if name == "arrive" {
        let mut child = s.start(name, plan);
        child.hear();
        let met = meet(&s.barrier);
        let ended = child.end();
        let never_counted = ended.at(&["sync.arriving"]);
        assert!(met.is_ok() || ended.killed, "nobody died");
        assert!(met.is_err() || !never_counted, "it met nobody");
        ended
    } else {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| meet(&s.barrier));
            until(|| s.barrier.waiting() == 1 && somebody_waits());
            let ended = s.start(name, plan).end();
            let met = waiter.join().unwrap();
            let released = !ended.at(&["sync.arriving", "sync.arrived"]);
            assert_eq!(met.is_ok(), name == "run" && released, "{met:?} at {}", ended.point);
            ended
        })
    };
    s.barrier.reset();
    thread::scope(|scope| {
        let other = scope.spawn(|| meet(&s.barrier));
        assert_eq!(meet(&s.barrier).unwrap() + other.join().unwrap().unwrap(), 1);
    });
    ended
}

/// Runs a scenario with a plan, in a survivor of its own. Whether the child was killed, and its hits.
fn run(name: &str, plan: &str) -> (bool, BTreeMap<String, u64>) {
    let arguments = [("SCENARIO", name.to_owned()), ("PLAN", plan.to_owned())];
    let (lines, _) = start("survivor", "survivor", &arguments).finish();
    let (verdict, _) = lines.split_last().expect("the survivor says how it went");
    let hits = lines.iter().filter_map(|line| line.strip_prefix("hit ")?.split_once(' '));
    let hits = hits.map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect();
    (verdict == "killed", hits)
}

fn passes(name: &str) -> BTreeMap<String, u64> {
    let (killed, hits) = run(name, "");
    assert!(!killed);
    hits
}

fn everywhere(name: &str) {
    for (point, n) in passes(name) {
        for pass in 1..=n.min(PASSES) {
            let plan = format!("{point}:{pass}");
            println!("{name} {plan}");
            let (killed, _) = run(name, &plan);
            // Whether somebody sleeps already is up to the scheduler.
            let varies = ["sync.lock_free", "sync.lock_in_debt", "wake.before"];
            assert!(killed || varies.contains(&point.as_str()), "{plan} was not passed");
        }
    }
}

macro_rules! scenario {
    ($($test:ident: $name:literal)*) => {
        const SCENARIOS: &[&str] = &[$($name),*];
        $(#[test] fn $test() { everywhere($name); })*
    };
}

scenario! {
    killed_with_a_lock: "lock"
    killed_with_a_lock_that_it_waited_for: "wait"
    killed_with_a_reentrant_lock: "again"
    killed_taking_a_dead_ones_lock: "bury"
    killed_putting_a_dead_ones_lock_back: "put back"
    killed_in_leaving: "leave"
    killed_giving_and_taking_permits: "permits"
    killed_setting_an_event: "event"
    killed_waiting_for_a_notification: "enlist"
    killed_notifying: "notify"
    killed_at_a_barrier: "arrive"
    killed_running_a_barriers_action: "run"
    killed_breaking_a_barrier: "abort"
    killed_resetting_a_barrier: "reset"
    killed_sweeping: "sweep"
}

/// A crash point that nothing passes proves nothing.
#[test]
fn every_point_of_primitives_is_passed() {
    let ours = |p: &&&str| p.starts_with("sync.") || **p == "sweep.primitives_done";
    let mut missing: Vec<_> = fault::POINTS.iter().filter(ours).collect();
    // Whether somebody sleeps already when he is to be woken is up to the scheduler.
    for _ in 0..5 {
        for name in SCENARIOS {
            let seen = passes(name);
            missing.retain(|p| !seen.contains_key(**p));
        }
    }
    assert!(missing.is_empty(), "no scenario passes {missing:?}");
}
