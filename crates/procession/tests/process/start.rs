//! How processes start, what they are given, and what they give back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use procession::{Family, JoinError, Process, ProcessBuilder, Queue, SpawnError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    typed_arguments_and_values,
    many_kinds_of_functions,
    a_hundred_megabytes,
    what_cannot_be_written_or_read,
    a_value_without_room,
    environment,
    input_and_output,
    names,
    nothing_else_is_inherited,
    from_threads,
    nested,
    two_hundred,
    dropped_ones_are_waited_for,
    named_families,
    a_file_that_is_gone,
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    sizes: BTreeMap<String, Option<f64>>,
    bytes: Vec<u8>,
    way: Way,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Way {
    Plain,
    Named { speed: i64 },
}

fn turn(mut job: Job) -> Result<Job, String> {
    if job.way == Way::Plain {
        return Err(format!("{} is plain", job.name));
    }
    job.bytes.reverse();
    Ok(job)
}

fn typed_arguments_and_values() {
    let mut job = Job {
        name: "ünï".into(),
        sizes: [("a".into(), Some(-0.5)), ("b".into(), None)].into(),
        bytes: vec![0, 1, 255],
        way: Way::Named { speed: i64::MIN },
    };
    let turned = Process::spawn(turn, job.clone()).unwrap().join().unwrap().unwrap();
    assert_eq!(turned, Job { bytes: vec![255, 1, 0], ..job.clone() });
    job.way = Way::Plain;
    let failed = Process::spawn(turn, job).unwrap().join().unwrap();
    assert_eq!(failed, Err("ünï is plain".into()));
}

fn largest<T: PartialOrd + Default>(all: Vec<T>) -> T {
    all.into_iter().fold(T::default(), |a, b| if b > a { b } else { a })
}

fn many_kinds_of_functions() {
    assert_eq!(Process::spawn(largest::<u8>, vec![1, 3, 2]).unwrap().join().unwrap(), 3);
    assert_eq!(Process::spawn(largest::<char>, vec!['b', 'a']).unwrap().join().unwrap(), 'b');
    assert_eq!(Process::spawn(i32::abs, -3).unwrap().join().unwrap(), 3);
    assert_eq!(Process::spawn(|n: u8| n + 1, 1).unwrap().join().unwrap(), 2);
    assert_eq!(Process::spawn(|n: u8| n + 2, 1).unwrap().join().unwrap(), 3);
    Process::spawn(drop::<String>, "nothing".into()).unwrap().join().unwrap();
    // In another process its address is another, as a rule; it is found all the same.
    let address = |(): ()| many_kinds_of_functions as *const () as usize as u64;
    assert_ne!(Process::spawn(address, ()).unwrap().join().unwrap(), 0);
}

fn a_hundred_megabytes() {
    let text: String = "0123456789".repeat(2_000_000);
    let longer = Process::spawn(|text: String| text.repeat(5), text.clone()).unwrap();
    assert!(longer.join().unwrap() == text.repeat(5));
    // Nobody asks for it: its memory goes back all the same.
    drop(Process::spawn(|text: String| text.repeat(5), text).unwrap());
}

const PANICS: u32 = u32::MAX;

/// Can be written or read only by the process with this number, or by none.
#[derive(Debug)]
struct Fussy {
    written_by: u32,
    read_by: u32,
}

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        assert!(self.written_by != PANICS, "out of luck while writing");
        if self.written_by != std::process::id() {
            return Err(serde::ser::Error::custom("not by me"));
        }
        (self.written_by, self.read_by).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Fussy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (written_by, read_by) = Deserialize::deserialize(from)?;
        assert!(read_by != PANICS, "out of luck while reading");
        if read_by == written_by {
            return Err(serde::de::Error::custom("not for anybody"));
        }
        Ok(Fussy { written_by, read_by })
    }
}

fn what_cannot_be_written_or_read() {
    let me = std::process::id();
    let spawn = |fussy| Process::spawn(|_: Fussy| (), fussy);
    let refused = spawn(Fussy { written_by: 0, read_by: 0 });
    assert!(matches!(refused, Err(SpawnError::Encode(why)) if why.contains("not by me")));
    let refused = spawn(Fussy { written_by: me, read_by: me }).unwrap().join();
    assert!(matches!(refused, Err(JoinError::Refused(why)) if why.contains("not for anybody")));

    let panicked = spawn(Fussy { written_by: me, read_by: PANICS }).unwrap().join();
    assert!(
        matches!(panicked, Err(JoinError::Panicked { message, .. }) if message.ends_with("reading"))
    );
    let panicked = Process::spawn(|(): ()| Fussy { written_by: PANICS, read_by: 0 }, ()).unwrap();
    let panicked = panicked.join();
    assert!(
        matches!(panicked, Err(JoinError::Panicked { message, .. }) if message.ends_with("writing"))
    );

    let unsent = Process::spawn(|(): ()| Fussy { written_by: 0, read_by: 0 }, ()).unwrap().join();
    assert!(matches!(unsent, Err(JoinError::Unsent(why)) if why.contains("not by me")));
    let unread = |(): ()| Fussy { written_by: std::process::id(), read_by: std::process::id() };
    let process = Process::spawn(unread, ()).unwrap();
    process.wait().unwrap();
    assert!(matches!(process.try_join(), Err(JoinError::Decode(why)) if why.contains("not for")));
    assert!(matches!(process.join(), Err(JoinError::Taken)));
}

fn a_value_without_room() {
    let family = procession::Family::current().unwrap();
    family.set_memory_limit(Some(32 << 20));
    let unsent = Process::spawn(|(): ()| "x".repeat(50_000_000), ()).unwrap().join();
    family.set_memory_limit(None);
    assert!(matches!(unsent, Err(JoinError::Unsent(why)) if why.contains("the arena is full")));
}

fn variable(name: String) -> Option<String> {
    std::env::var(name).ok()
}

fn environment() {
    let own = || ProcessBuilder::new().env("PROCESSION_TEST_COLOUR", "blue");
    let get = |builder: ProcessBuilder, name: &str| {
        builder.spawn(variable, name.to_owned()).unwrap().join().unwrap()
    };
    assert_eq!(get(own(), "PROCESSION_TEST_COLOUR").as_deref(), Some("blue"));
    assert_eq!(get(ProcessBuilder::new(), "PROCESSION_TEST_COLOUR"), None);
    assert_eq!(get(own().env_remove("PROCESSION_TEST_COLOUR"), "PROCESSION_TEST_COLOUR"), None);
    assert_eq!(get(ProcessBuilder::new(), "PATH"), variable("PATH".into()));
    assert_eq!(get(ProcessBuilder::new().env_remove("PATH"), "PATH"), None);
    // What makes a process a child is not there for those that it starts.
    let names = |(): ()| std::env::vars().map(|(name, _)| name).collect::<Vec<_>>();
    let names = Process::spawn(names, ()).unwrap().join().unwrap();
    assert!(!names.iter().any(|name| name == "PROCESSION_CHILD"), "{names:?}");
    let arguments = |(): ()| std::env::args().collect::<Vec<_>>();
    let arguments = Process::spawn(arguments, ()).unwrap().join().unwrap();
    assert_eq!(arguments, std::env::args().collect::<Vec<_>>());
}

fn input_and_output() {
    let (input, mut to_child) = std::io::pipe().unwrap();
    let (mut from_child, output) = std::io::pipe().unwrap();
    let (mut complaints, errors) = std::io::pipe().unwrap();
    let builder = ProcessBuilder::new().stdin(input).stdout(output).stderr(errors);
    let echo = |(): ()| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        print!("out: {line}without an end");
        eprintln!("err: {line}");
    };
    let process = builder.spawn(echo, ()).unwrap();
    std::io::Write::write_all(&mut to_child, b"hello\n").unwrap();
    process.join().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    from_child.read_to_string(&mut out).unwrap();
    complaints.read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("out: hello\nwithout an end", "err: hello\n\n"));
}

fn names() {
    type Names = (String, Vec<String>);
    let names = |(): ()| -> Names {
        let title = std::fs::read_to_string("/proc/self/comm").unwrap();
        let members = procession::Family::current().unwrap().stats().participants;
        (title.trim_end().to_owned(), members.into_iter().map(|m| m.name).collect())
    };
    let process = ProcessBuilder::new().name("a child of long name").spawn(names, ()).unwrap();
    assert_eq!(process.name(), "a child of long name");
    assert!(format!("{process:?}").contains("name: \"a child of"), "{process:?}");
    let (title, members) = process.join().unwrap();
    assert_eq!(title, "a child of long");
    assert!(members.contains(&"a child of long name".into()), "{members:?}");

    let process = Process::spawn(names, ()).unwrap();
    let name = process.name().to_owned();
    assert!(name.starts_with("process-"), "{name}");
    let (title, members) = process.join().unwrap();
    assert_eq!(title, std::fs::read_to_string("/proc/self/comm").unwrap().trim_end());
    assert!(members.contains(&name), "{members:?}");
}

/// Flags of what this process has open and a program that it executes would have, too.
fn not_closed_on_exec(_: ()) -> Vec<i32> {
    let all = crate::harness::descriptors("self");
    let numbers = all.iter().map(|n| n.parse::<i32>().unwrap());
    // SAFETY: fcntl(2) only looks at the number.
    let flags = |n| unsafe { libc::fcntl(n, libc::F_GETFD) };
    numbers.filter(|&n| flags(n) >= 0 && flags(n) & libc::FD_CLOEXEC == 0).collect()
}

fn nothing_else_is_inherited() {
    let (_kept, _here) = procession::pipe::<u8>().unwrap();
    let (given, _other) = procession::pipe::<u8>().unwrap();
    let count = |(_, ()): (procession::Connection<u8>, ())| not_closed_on_exec(());
    let there = Process::spawn(count, (given, ())).unwrap().join().unwrap();
    assert_eq!(there, not_closed_on_exec(()));
}

fn from_threads() {
    let start = |n: u64| move || Process::spawn(|n: u64| n * n, n).unwrap().join().unwrap();
    let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(start(n))).collect();
    let squares: Vec<u64> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49]);
}

fn descend(depth: u32) -> Vec<u32> {
    let mut pids = match depth {
        0 => Vec::new(),
        _ => Process::spawn(descend, depth - 1).unwrap().join().unwrap(),
    };
    pids.push(std::process::id());
    pids
}

fn nested() {
    let mut pids = Process::spawn(descend, 3).unwrap().join().unwrap();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4);
}

fn two_hundred() {
    let sum = |(n, line): (u64, Queue<u64>)| line.put(n).unwrap();
    let line = Queue::unbounded().unwrap();
    for ten in 0..20_u64 {
        let spawn = |n| Process::spawn(sum, (ten * 10 + n, line.clone())).unwrap();
        let all: Vec<_> = (0..10).map(spawn).collect();
        for process in all {
            process.join().unwrap();
        }
    }
    let mut numbers = line.get_many(1000).unwrap();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..200));
}

fn dropped_ones_are_waited_for() {
    let line: Queue<u32> = Queue::unbounded().unwrap();
    let (hold, held) = procession::pipe::<()>().unwrap();
    for _ in 0..5 {
        drop(Process::spawn(|line: Queue<u32>| line.put(1).unwrap(), line.clone()).unwrap());
    }
    // It has a copy of the end until it is gone.
    drop(Process::spawn(|_held: procession::Connection<()>| (), held).unwrap());
    line.get_many(1).unwrap();
    assert!(hold.recv().is_err());
}

/// This program as another process, which begins in a role.
fn in_role(program: &std::path::Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PROCESSION_TEST_ROLE", role);
    command
}

/// Plays the role that the environment says, if it says one.
pub(crate) fn play_role() -> bool {
    match std::env::var("PROCESSION_TEST_ROLE").as_deref() {
        Ok("gone") => {
            std::fs::remove_file(std::env::current_exe().unwrap()).unwrap();
            let answer = Process::spawn(|n: u32| n + 1, 41).unwrap().join().unwrap();
            println!("{answer}");
        }
        Ok("other family") => {
            let line: Queue<u32> = Queue::unbounded().unwrap();
            println!("{}", line.handle().iter().map(|b| format!("{b:02x}")).collect::<String>());
            println!("{}", line.get().unwrap());
        }
        Ok("named family") => in_a_named_family(),
        _ => return false,
    }
    true
}

/// A process of another family: its first line is a queue's handle, its second what it gets from it.
pub(crate) fn other_family() -> (std::process::Child, impl BufRead) {
    let mut command = in_role(&std::env::current_exe().unwrap(), "other family");
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

/// Its current family and another one have names; children are of the first, and find the second.
fn in_a_named_family() {
    let [family, other] = ["process-test", "process-test-2"].map(|n| Family::open(n).unwrap());
    family.make_current().unwrap();
    let jobs: Queue<u32> = other.queue("jobs", None).unwrap();
    let put = |jobs: Queue<u32>| {
        jobs.put(1).unwrap();
        let own: Queue<u32> = Family::current().unwrap().queue("own", None).unwrap();
        own.put(2).unwrap();
        let other = Family::open("process-test-2").unwrap();
        other.queue::<u32>("jobs", None).unwrap().put(3).unwrap();
        Family::current().unwrap().name()
    };
    let name = Process::spawn(put, jobs.clone()).unwrap().join().unwrap();
    let own: Queue<u32> = family.queue("own", None).unwrap();
    println!("{name:?} {:?} {:?}", jobs.get_many(9).unwrap(), own.get_many(9).unwrap());
}

fn named_families() {
    let here = std::env::current_exe().unwrap();
    let folder = here.with_file_name(format!("process-test-{}.d", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let output = in_role(&here, "named family").env("PROCESSION_FAMILY_DIR", &folder).output();
    let left = std::fs::remove_dir(&folder);
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(output, "Some(\"process-test\") [1, 3] [2]\n");
    left.unwrap(); // it is empty
}

fn a_file_that_is_gone() {
    let here = std::env::current_exe().unwrap();
    let copy = here.with_file_name(format!("process-test-{}", std::process::id()));
    std::fs::copy(&here, &copy).unwrap();
    let output = in_role(&copy, "gone").output();
    let left = std::fs::remove_file(&copy);
    assert!(left.is_err(), "it was to remove itself");
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), "42\n");
}
