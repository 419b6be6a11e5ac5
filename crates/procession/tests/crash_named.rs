//! `kill -9` at each step of opening and leaving a named family, and of giving names in it.
//!
//! A process is killed at the nth pass of each crash point of these, for n = 1, 2, … until it lives; then
//! another must come in, find what is there, and leave nothing behind.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use procession::{Family, fault};
use support::folder::{Folder, Player, open, stay};
use support::{killed, role, say, stopped};

/// In what the victim comes to: nobody is there; a killed family's file is; a living one.
const SCENES: [&str; 3] = ["alone", "stale", "in company"];
/// Points of other parts are passed often: so many passes of each will do.
const OFTEN: u64 = 4;

fn ours() -> impl Iterator<Item = &'static str> {
    fault::POINTS.iter().copied().filter(|p| p.starts_with("family.") || p.starts_with("named."))
}

#[test]
fn plays() {
    match role().as_deref() {
        Some("victim") => {
            let family = open().unwrap();
            use_names(family);
            Family::depart();
            for (point, n) in fault::hits() {
                say(&format!("hit {point} {n}"));
            }
        }
        Some("survivor") => {
            let family = open().unwrap();
            use_names(family);
            family.sweep().unwrap();
            say(&format!("{:?}", family.check()));
            say(&format!("{:?}", family.names().unwrap().len()));
        }
        Some("slow") => {
            let family = open().unwrap();
            let queue = family.queue::<i32>("queue", None).unwrap();
            say(&format!("{:?}", queue.try_get().ok()));
            stay();
        }
        Some("quick") => {
            let family = open().unwrap();
            family.queue::<i32>("queue", None).unwrap().put(7).unwrap();
            say("put");
            stay();
        }
        Some("member") => {
            open();
            stay();
        }
        _ => return,
    }
    std::process::exit(0);
}

fn use_names(family: Family) {
    family.queue("queue", None).unwrap().put(1).unwrap();
    family.dict::<i32, i32>("dict").unwrap().insert(&1, &1).unwrap();
    family.condition("condition").unwrap();
    family.event("passing").unwrap();
    family.remove("passing").unwrap();
}

/// One run with the victim killed at the nth pass of a point, if it passes that so often. Gives what it passed
/// if it was not killed.
fn run(scene: &str, point: &str, n: u64) -> Option<Vec<(String, u64)>> {
    let folder = Folder::new();
    let mut company = (scene == "in company").then(|| folder.start("plays", "member", "it", &[]));
    let id = company.as_mut().map(Player::hear);
    if scene == "stale" {
        for name in ["it", "other"] {
            let mut gone = folder.start("plays", "member", name, &[]);
            gone.hear();
            gone.kill();
        }
        std::fs::write(folder.file(".other"), "half of").unwrap();
    }
    let plan = [("PROCESSION_CRASH_AT", format!("{point}:{n}"))];
    let victim = folder.start("plays", "victim", "it", &plan);
    let (said, status) = victim.go().finish();

    let heard = folder.start("plays", "survivor", "it", &[]).release();
    let at = format!("{scene}, {point}:{n}: {heard:?}");
    assert_eq!(heard.len(), 3, "{at}");
    assert!(id.as_ref().is_none_or(|id| *id == heard[0]), "{at}");
    assert_eq!((&heard[1][..], &heard[2][..]), ("[]", "3"), "{at}");
    if let Some(company) = company {
        assert!(folder.file("it").exists(), "{at}");
        company.release();
    }
    let left: Vec<_> = folder.entries().into_iter().filter(|e| !e.contains("..")).collect();
    assert_eq!(left, [""; 0], "{at}");
    // A draft is used up or removed by whoever makes a family next.
    folder.start("plays", "member", "next", &[]).release();
    assert_eq!(folder.entries(), [""; 0], "{at}");
    let hit = |line: &String| {
        let (point, n) = line.strip_prefix("hit ")?.split_once(' ')?;
        Some((point.to_owned(), n.parse().unwrap()))
    };
    (!killed(status)).then(|| said.iter().filter_map(hit).collect())
}

#[test]
fn killed_everywhere() {
    if role().is_some() {
        return;
    }
    let mut seen = BTreeSet::new();
    for scene in SCENES {
        let passed = run(scene, "family.locked", 1000).expect("it goes by fewer often");
        for (point, n) in passed {
            let is_ours = ours().any(|p| p == point);
            for n in 1..=if is_ours { n } else { n.min(OFTEN) } {
                assert!(run(scene, &point, n).is_none(), "{scene}, {point}:{n} was not passed");
            }
            seen.insert(point);
        }
    }
    // A crash point that nothing passes proves nothing.
    let missing: Vec<_> = ours().filter(|p| !seen.contains(*p)).collect();
    assert!(missing.is_empty(), "no scene passes {missing:?}");
}

/// A process that is stopped at this point, and goes on when it is told to.
fn stopped_at(folder: &Folder, point: &str) -> Player {
    let plan = [("PROCESSION_CRASH_AT", format!("{point}:1:stop"))];
    let slow = folder.start("plays", "slow", "it", &plan);
    while !stopped(slow.pid()) {
        std::thread::yield_now();
    }
    slow
}

fn go_on(player: &Player) {
    // SAFETY: no memory is involved; the child is this process's own and not reaped yet.
    assert_eq!(unsafe { libc::kill(player.pid().cast_signed(), libc::SIGCONT) }, 0);
}

#[test]
fn of_two_objects_the_first_to_be_named_is_taken() {
    let folder = Folder::new();
    let mut slow = stopped_at(&folder, "named.created");
    let id = slow.hear();
    let mut quick = folder.start("plays", "quick", "it", &[]);
    assert_eq!((quick.hear(), quick.hear()), (id, "put".into()));
    go_on(&slow);
    assert_eq!(slow.hear(), "Some(7)");
    let heard = folder.start("plays", "survivor", "it", &[]).release();
    assert_eq!(heard[1], "[]", "what nobody uses is freed");
    quick.release();
    slow.release();
}

#[test]
fn a_lock_on_a_file_that_was_replaced_is_none() {
    let folder = Folder::new();
    let mut first = folder.start("plays", "member", "it", &[]);
    let id = first.hear();
    let mut slow = stopped_at(&folder, "family.opened");
    first.release();
    let mut second = folder.start("plays", "member", "it", &[]);
    let new = second.hear();
    assert_ne!(new, id);
    go_on(&slow);
    assert_eq!(slow.hear(), new);
    slow.release();
    second.release();
    assert_eq!(folder.entries(), [""; 0]);
}
