//! Families with a name: how processes meet that share no ancestor, and what they find there.
#![allow(missing_docs)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use procession::{Family, Queue};
use support::folder::{Folder, Player, open, stay, user};
use support::random::{Random, seed};
use support::{argument, fork, fork_for_good, hex, role, say, unhex};

/// The children of all tests.
#[test]
fn plays() {
    match role().as_deref() {
        Some("member") => {
            open();
            stay();
        }
        Some("member at the signal") => {
            while !Path::new(&argument("SIGNAL")).exists() {
                std::thread::yield_now();
            }
            open();
            stay();
        }
        Some("parent") => {
            open();
            let child = fork_for_good(stay);
            say(&child.pid().to_string());
            stay();
        }
        Some("guest") => {
            let queue: Queue<i32> = Queue::from_handle(&unhex(&argument("HANDLE"))).unwrap();
            let family = queue.raw().family();
            say(&format!("{:?} {}", family.name(), Family::existing().is_none()));
            stay();
        }
        Some("host") => {
            let queue: Queue<i32> = open().unwrap().queue("numbers", None).unwrap();
            say(&hex(&queue.handle()));
            stay();
        }
        Some("opens twice") => {
            open();
            let file = std::fs::read_dir(argument("FOLDER")).unwrap().next().unwrap().unwrap();
            std::fs::remove_file(file.path()).unwrap();
            open();
            stay();
        }
        Some("forks while it opens") => {
            let (name, done) = (argument("NAME"), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        Family::open(&name).unwrap();
                    }
                });
                for _ in 0..50 {
                    let child = fork(|| assert_eq!(descriptors_in(&argument("FOLDER")), [""; 0]));
                    assert_eq!(child.wait(), 0);
                }
                done.store(true, Ordering::Relaxed);
            });
        }
        Some("ordinary user") => {
            become_ordinary(argument("SHY").is_empty());
            open();
            stay();
        }
        _ => return,
    }
    std::process::exit(0);
}

/// Becomes a process without privileges, which others of its user may look at or not.
fn become_ordinary(may_be_seen: bool) {
    // SAFETY: no memory is involved.
    unsafe {
        assert!(user() != 0 || libc::setuid(65534) == 0);
        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(may_be_seen)), 0);
    }
}

/// What this process has open in a folder.
fn descriptors_in(folder: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = all.filter_map(|e| std::fs::read_link(e.path()).ok()?.to_str().map(String::from));
    links.filter(|link| link.starts_with(folder)).collect()
}

fn member(folder: &Folder, name: &str) -> Player {
    folder.start("plays", "member", name, &[])
}

/// What a process hears that opens the family and goes.
fn visit(folder: &Folder, name: &str) -> String {
    let mut visitor = member(folder, name);
    let heard = visitor.hear();
    visitor.release();
    heard
}

fn assert_error(heard: &str, parts: &[&str]) {
    assert!(heard.starts_with("error: "), "{heard}");
    for part in parts {
        assert!(heard.contains(part), "{part:?} is not in {heard:?}");
    }
}

#[test]
fn processes_that_open_at_once_meet_and_the_last_one_removes_the_file() {
    let folder = Folder::new();
    let signals = Folder::new();
    for round in 0..5 {
        let signal = signals.0.join(round.to_string());
        let told = [("SIGNAL", signal.to_str().unwrap().to_owned())];
        let mut all: Vec<_> =
            (0..8).map(|_| folder.start("plays", "member at the signal", "crowd", &told)).collect();
        std::fs::write(&signal, "").unwrap();
        let ids: Vec<_> = all.iter_mut().map(Player::hear).collect();
        assert!(ids.iter().all(|id| id.len() == 32 && *id == ids[0]), "{ids:?}");
        assert_eq!(folder.entries(), [format!("procession-{}.crowd", user())]);
        // All are told before any has ended: one of them finds that it is the last.
        let ending: Vec<_> = all.into_iter().map(Player::go).collect();
        for running in ending {
            running.finish();
        }
        assert_eq!(folder.entries(), [""; 0], "round {round}");
    }
}

#[test]
fn the_file_can_be_read_by_anybody_who_has_the_same_user() {
    let folder = Folder::new();
    let mut one = member(&folder, "plain.text");
    let id = one.hear();
    let text = folder.text("plain.text");
    let pid = format!("pid {}", one.pid());
    for line in ["procession-family 1", &pid, &format!("family {id}"), "end"] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in {text:?}");
    }
    let mode = std::fs::metadata(folder.file("plain.text")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut two = member(&folder, "plain.text");
    assert_eq!(two.hear(), id);
    assert!(folder.text("plain.text").contains(&format!("pid {}", two.pid())), "the newest");
    two.release();
    assert_eq!(visit(&folder, "plain.text"), id, "whoever is named has ended");
    one.release();
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn a_family_of_killed_processes_is_over_and_its_file_is_used_again() {
    let folder = Folder::new();
    let mut all: Vec<_> = (0..3).map(|_| member(&folder, "fate")).collect();
    let ids: Vec<_> = all.iter_mut().map(Player::hear).collect();
    all.into_iter().for_each(Player::kill);
    assert!(folder.file("fate").exists());
    let id = visit(&folder, "fate");
    assert!(id.len() == 32 && !ids.contains(&id), "{id} {ids:?}");
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn who_makes_a_family_removes_what_the_killed_have_left() {
    let folder = Folder::new();
    for name in ["a", "b.c", "d"] {
        let mut one = member(&folder, name);
        one.hear();
        one.kill();
    }
    let mut living = member(&folder, "e");
    living.hear();
    assert_eq!(folder.entries(), [format!("procession-{}.e", user())]);
    std::fs::write(folder.file(".draft"), "half of").unwrap();
    std::fs::write(folder.file("empty"), "").unwrap();
    std::fs::write(folder.file("foreign"), "not ours").unwrap();
    std::fs::write(folder.0.join("procession-4294967295.d"), "another user's").unwrap();
    visit(&folder, "f");
    let mut left = ["e", "foreign"].map(|name| format!("procession-{}.{name}", user())).to_vec();
    left.push("procession-4294967295.d".into());
    left.sort();
    assert_eq!(folder.entries(), left);
    living.release();
}

#[test]
fn a_family_is_found_by_a_fork_child_when_its_opener_is_dead() {
    let folder = Folder::new();
    let mut parent = folder.start("plays", "parent", "heirs", &[]);
    let (id, child) = (parent.hear(), parent.hear());
    parent.running.child.kill().unwrap();
    parent.running.child.wait().unwrap();
    assert_eq!(visit(&folder, "heirs"), id);
    assert!(folder.file("heirs").exists(), "the child lives");
    // It ends by `_exit`, so it leaves the file.
    drop(parent);
    while Path::new(&format!("/proc/{child}")).exists() {
        std::thread::yield_now();
    }
    assert_ne!(visit(&folder, "heirs"), id);
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn who_came_by_a_handle_is_a_member_and_found_by_the_name() {
    let folder = Folder::new();
    let mut host = folder.start("plays", "host", "inn", &[]);
    let (id, handle) = (host.hear(), host.hear());
    let mut guest = folder.start("plays", "guest", "inn", &[("HANDLE", handle)]);
    // Not its current one: a family where strangers meet is that only if a program says so.
    assert_eq!(guest.hear(), "Some(\"inn\") true");
    host.release();
    assert!(folder.file("inn").exists(), "the guest lives");
    assert_eq!(visit(&folder, "inn"), id);
    guest.release();
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn who_comes_by_a_handle_makes_a_lost_file_again() {
    let folder = Folder::new();
    let mut host = folder.start("plays", "host", "inn", &[]);
    let (id, handle) = (host.hear(), host.hear());
    std::fs::remove_file(folder.file("inn")).unwrap();
    let mut guest = folder.start("plays", "guest", "inn", &[("HANDLE", handle)]);
    guest.hear();
    host.kill();
    assert_eq!(visit(&folder, "inn"), id);
    guest.release();
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn a_family_goes_on_when_its_file_was_removed() {
    let folder = Folder::new();
    let path = folder.0.to_str().unwrap().to_owned();
    let mut one = folder.start("plays", "opens twice", "tidied", &[("FOLDER", path)]);
    let id = one.hear();
    assert_eq!(one.hear(), id);
    assert_eq!(visit(&folder, "tidied"), id);
    one.release();
    assert_eq!(folder.entries(), [""; 0]);
}

/// A child that had a copy of the lock would keep it as long as it lives.
#[test]
fn a_fork_never_copies_the_lock() {
    let folder = Folder::new();
    let path = folder.0.to_str().unwrap().to_owned();
    let one = folder.start("plays", "forks while it opens", "forked", &[("FOLDER", path)]);
    assert_eq!(one.release(), [""; 0]);
}

#[test]
fn a_stopped_process_that_has_the_lock_is_told_of() {
    let folder = Folder::new();
    let file = std::fs::File::create(folder.file("stuck")).unwrap();
    std::fs::set_permissions(folder.file("stuck"), PermissionsExt::from_mode(0o600)).unwrap();
    file.lock().unwrap();
    let mut one = member(&folder, "stuck");
    assert_error(&one.hear(), &["locked it all the time"]);
    assert_eq!(visit(&folder, "else").len(), 32, "other families do not care");
    file.unlock().unwrap();
    assert_eq!(visit(&folder, "stuck").len(), 32);
    one.release();
}

#[test]
fn names_that_are_none() {
    let long = "x".repeat(101);
    for name in ["", ".", ".hidden", "a/b", "../x", "a b", "é", "a\nb", &long] {
        let error = Family::open(name).unwrap_err();
        assert!(matches!(&error, procession::FamilyError::Name(n) if n == name), "{error}");
        assert!(error.to_string().contains("1 to 100"));
    }
    let folder = Folder::new();
    for name in ["a", "A.b_c-9", "-", &long[..100]] {
        assert_eq!(visit(&folder, name).len(), 32, "{name}");
    }
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let folder = Folder::new();
    let file = folder.file("place");
    std::fs::write(&file, "").unwrap();
    assert_eq!(visit(&folder, "place").len(), 32, "an empty one was never finished");

    std::fs::write(&file, "somebody's notes").unwrap();
    assert_error(&visit(&folder, "place"), &["not what Procession writes", "remove it"]);
    assert_eq!(folder.text("place"), "somebody's notes");

    std::fs::write(&file, "procession-family 2\nvery new\n").unwrap();
    assert_error(&visit(&folder, "place"), &["format 2", "another version"]);

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o622)).unwrap();
    assert_error(&visit(&folder, "place"), &["others may write to it", "622"]);
    if user() == 0 {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        assert_error(&visit(&folder, "place"), &["belongs to user 12345", "user 0's"]);
    }
    std::fs::remove_file(&file).unwrap();

    let target = folder.0.join("target");
    std::fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    assert_error(&visit(&folder, "place"), &["symbolic link"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"");
    std::fs::remove_file(&file).unwrap();

    std::fs::create_dir(&file).unwrap();
    assert_error(&visit(&folder, "place"), &["no regular file"]);
    std::fs::remove_dir(&file).unwrap();
    let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: a path that ends with a zero byte.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    assert_error(&visit(&folder, "place"), &["no regular file"]);

    let nowhere = Folder(folder.0.join("nowhere"));
    assert_error(&visit(&nowhere, "place"), &["No such file", "PROCESSION_FAMILY_DIR", "nowhere"]);
}

/// The file as another program would have written it.
fn rewrite(folder: &Folder, name: &str, key: &str, value: &str) {
    let changed = |line: &str| match line.strip_prefix(key) {
        Some(rest) if rest.starts_with(' ') => format!("{key} {value}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = folder.text(name).lines().map(changed).collect();
    std::fs::write(folder.file(name), text).unwrap();
}

#[test]
fn a_living_family_of_another_version_is_not_destroyed() {
    let folder = Folder::new();
    let mut one = member(&folder, "old");
    let id = one.hear();
    rewrite(&folder, "old", "layout", "999");
    let before = folder.text("old");
    let pid = format!("process {}", one.pid());
    assert_error(&visit(&folder, "old"), &["\"old\"", "layout 999", &pid, "same version"]);
    assert_eq!(folder.text("old"), before);
    visit(&folder, "another");
    assert_eq!(folder.text("old"), before, "nor when another one is made");
    one.kill();
    let new = visit(&folder, "old");
    assert!(new.len() == 32 && new != id, "{new}");
}

#[test]
fn another_pid_namespace_is_out_of_reach() {
    let folder = Folder::new();
    let mut one = member(&folder, "far");
    one.hear();
    rewrite(&folder, "far", "namespace", "1");
    let before = folder.text("far");
    assert_error(&visit(&folder, "far"), &["another pid namespace", "remove it"]);
    assert_eq!(folder.text("far"), before);
    one.kill();
}

#[test]
fn what_the_system_refuses_is_named_and_nothing_is_destroyed() {
    let folder = Folder::new();
    std::fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o777)).unwrap();
    let ordinary =
        |shy: &str| folder.start("plays", "ordinary user", "shy", &[("SHY", shy.to_owned())]);
    let mut one = ordinary("yes");
    one.hear();
    let [file] = &folder.entries()[..] else { panic!("{:?}", folder.entries()) };
    let before = std::fs::read_to_string(folder.0.join(file)).unwrap();
    let pid = format!("/proc/{}/fd/", one.pid());
    let mut two = ordinary("");
    assert_error(&two.hear(), &[&pid, "Permission denied", "PR_SET_DUMPABLE", "hidepid"]);
    two.release();
    assert_eq!(std::fs::read_to_string(folder.0.join(file)).unwrap(), before);
    one.kill();
    let mut open_one = ordinary("");
    let id = open_one.hear();
    let mut other = ordinary("");
    assert_eq!(other.hear(), id);
    other.release();
    open_one.release();
    assert_eq!(folder.entries(), [""; 0]);
}

#[test]
fn a_pid_that_is_anothers_by_now_names_nobody() {
    let folder = Folder::new();
    let mut one = member(&folder, "reborn");
    let id = one.hear();
    rewrite(&folder, "reborn", "start", "1");
    assert_eq!(visit(&folder, "reborn"), id, "found by looking at all");
    rewrite(&folder, "reborn", "fd", "0");
    assert_eq!(visit(&folder, "reborn"), id);
    one.kill();
    assert_ne!(visit(&folder, "reborn"), id);
}

/// Processes come, end and are killed at random, many of them in the middle of coming or going: whoever
/// is there is in the same family as all others who are there.
#[test]
fn there_is_one_family_at_a_time() {
    let seed = seed();
    println!("seed {seed}");
    let (mut random, folder) = (Random(seed), Folder::new());
    let mut there: Vec<Player> = Vec::new();
    let mut ending = Vec::new();
    let mut now: Option<String> = None;
    for round in 0..100 {
        let mut new: Vec<_> = (0..=random.below(3)).map(|_| member(&folder, "churn")).collect();
        if random.below(3) == 0 {
            // Killed while it opens the family, or before, or just after.
            let unlucky = new.pop().unwrap();
            for _ in 0..random.below(200) {
                std::thread::yield_now();
            }
            unlucky.kill();
        }
        for one in &mut new {
            let id = one.hear();
            assert_eq!(id.len(), 32, "{id}");
            assert_eq!(*now.get_or_insert_with(|| id.clone()), id, "round {round}, seed {seed}");
        }
        there.extend(new);
        let leaving = if random.below(4) == 0 { there.len() as u64 } else { random.below(4) };
        for _ in 0..leaving.min(there.len() as u64) {
            let one = there.swap_remove(random.below(there.len() as u64) as usize);
            if random.below(2) == 0 { one.kill() } else { ending.push(one.go()) }
        }
        if there.is_empty() {
            // Who is on his way out may keep the family, or not.
            for running in ending.drain(..) {
                running.finish();
            }
            now = None;
        }
    }
    there.into_iter().for_each(Player::kill);
    for running in ending {
        running.finish();
    }
    visit(&folder, "next");
    assert_eq!(folder.entries(), [""; 0]);
}
