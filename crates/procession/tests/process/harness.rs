//! A test runner: one test after the other, each with a time limit, with nothing left behind.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use procession::Family;

pub(crate) type Test = (&'static str, fn());

const LIMIT: Duration = Duration::from_secs(60);

/// The tests by name: `tests![a, b]`.
macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}
pub(crate) use tests;

/// Runs those whose names have what the command line says (all if it says nothing); or lists them, as
/// cargo-nextest asks of a test program (<https://nexte.st/docs/design/custom-test-harnesses>).
pub(crate) fn run(groups: &[&[Test]]) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let says = |option: &str| arguments.iter().any(|a| a == option);
    let all = || groups.iter().flat_map(|group| group.iter());
    if says("--list") {
        // None is ignored.
        let listed = all().filter(|_| !says("--ignored"));
        return listed.for_each(|(name, _)| println!("{name}: test"));
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let is_meant = |name: &str, filter: &str| {
        if says("--exact") { name == filter } else { name.contains(filter) }
    };
    let mut ran = 0;
    for (name, test) in all() {
        if !filters.is_empty() && !filters.iter().any(|filter| is_meant(name, filter)) {
            continue;
        }
        println!("test {name} ...");
        let watch = Watch::over(name);
        let before = Left::now();
        test();
        before.check(name);
        drop(watch);
        ran += 1;
    }
    println!("\ntest result: ok. {ran} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}

/// Ends the program if a test takes too long.
struct Watch(Option<mpsc::Sender<()>>, Option<std::thread::JoinHandle<()>>);

impl Watch {
    fn over(name: &'static str) -> Watch {
        let (over, end) = mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if end.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("test {name} takes more than {LIMIT:?}");
                std::process::abort();
            }
        });
        Watch(Some(over), Some(watch))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.take();
        self.1.take().unwrap().join().unwrap();
    }
}

/// What a test must not leave behind.
struct Left {
    objects: [u64; 4],
    descriptors: BTreeSet<String>,
}

impl Left {
    fn now() -> Left {
        let stats = Family::current().unwrap().stats();
        Left {
            objects: [stats.queues, stats.pipes, stats.primitives, stats.collections],
            descriptors: descriptors("self"),
        }
    }

    fn check(&self, name: &str) {
        // Those that were dropped are waited for by others. A zombie that never is, is found by the watch.
        while !children().is_empty() {
            procession::Process::spawn(|(): ()| (), ()).unwrap().join().unwrap();
        }
        let family = Family::current().unwrap();
        family.sweep().unwrap();
        assert_eq!(family.check(), Vec::<String>::new(), "{name}: the arena");
        let now = Left::now();
        assert_eq!(now.objects, self.objects, "{name}: queues, pipes, primitives, collections");
        assert_eq!(now.descriptors, self.descriptors, "{name}: descriptors");
        assert_eq!(family.stats().participants.len(), 1, "{name}: members");
    }
}

/// What a process has open. (The directory's own is always the same.)
pub(crate) fn descriptors(pid: &str) -> BTreeSet<String> {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The numbers of this process's children, zombies too.
pub(crate) fn children() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    tasks.map(|task| of(task.unwrap()).unwrap()).collect()
}
