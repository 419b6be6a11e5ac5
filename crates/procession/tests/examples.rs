//! The examples: what each prints, and that it ends. Cargo builds them before it runs tests.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs an example and all that it starts; returns what they print and whether it succeeded.
fn run(name: &str, arguments: &[&str], input: &str) -> (String, bool) {
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{name} is missing: run all of cargo test, or build the examples");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn().unwrap();
    let group = Pid::from_child(&child);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let (send, done) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let Ok(output) = done.recv_timeout(LIMIT) else {
        let _ = kill_process_group(group, Signal::KILL);
        panic!("{name} did not end in {LIMIT:?}");
    };
    let output = output.unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

fn lines(name: &str) -> Vec<String> {
    let (out, success) = run(name, &[], "");
    assert!(success, "{out}");
    out.lines().map(str::to_owned).collect()
}

#[test]
fn fork_queue() {
    assert_eq!(lines("fork_queue"), ["the child answers [2, 4, 6]"]);
}

#[test]
fn writer_reader() {
    let lines = lines("writer_reader");
    let (all, end) = lines.split_at(6);
    assert_eq!(end, ["the reader was ended by signal 9", "the parent read four"]);
    for verb in ["write", "read"] {
        let said: Vec<_> = all.iter().filter(|line| line.starts_with(verb)).collect();
        assert_eq!(said, ["one", "two", "three"].map(|word| format!("{verb} {word}")).each_ref());
    }
}

#[test]
fn full_and_empty() {
    assert_eq!(
        lines("full_and_empty"),
        ["the producers stopped at 100 messages", "the consumers took 100 messages; 0 are left"]
    );
}

#[test]
fn put_timeouts() {
    let lines = lines("put_timeouts");
    let seen: Vec<(&str, f64)> = lines
        .iter()
        .map(|line| {
            let (what, seconds) = line.rsplit_once(" after ").unwrap();
            (what, seconds.trim_end_matches(" s").parse().unwrap())
        })
        .collect();
    let expected = [
        "put: Ok(())",
        "put: Ok(())",
        "put: Ok(())",
        "put_timeout: Err(Full(..))",
        "try_put: Err(Full(..))",
        "put_timeout, and a child takes one: Ok(())",
        "get: Ok(\"two\")",
        "get: Ok(\"three\")",
        "get: Ok(\"four\")",
        "get_timeout: Err(Empty)",
        "try_get: Err(Empty)",
        "put after close: Err(Closed(..))",
        "get after close: Err(Closed)",
    ];
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), expected);
    assert!(seen[3].1 >= 0.2 && seen[9].1 >= 0.2, "{seen:?}");
}

#[test]
fn pipes() {
    assert_eq!(
        lines("pipes"),
        [
            "received one",
            "received two",
            "received three",
            "the end",
            "parent: one -> ONE",
            "parent: two -> TWO",
            "parent: three -> THREE",
            "child: nobody can ask any more",
        ]
    );
}

#[test]
fn client_server() {
    let store = std::env::temp_dir().join(format!("procession-example-{}", std::process::id()));
    let (out, success) = run("client_server", &[store.to_str().unwrap()], "one\n\ntwo");
    let stored = std::fs::read_to_string(&store);
    let _ = std::fs::remove_file(&store);
    assert!(success);
    assert_eq!(out, "stored: one\nstored: \nstored: two\n");
    assert_eq!(stored.unwrap(), "one\n\ntwo\n");
    assert!(!run("client_server", &["/nowhere/at/all"], "one\n").1);
}

#[test]
fn ping_pong() {
    assert!(lines("ping_pong")[0].starts_with("100000 round trips: median "));
}

#[test]
fn work_pool() {
    assert_eq!(
        lines("work_pool"),
        [
            "1229 primes below 10000",
            "the lake: 8",
            "the bug: it bites",
            "the cliff: lost (Some(Exited(3)))",
            "the tar pit: longer than 300ms",
            "the inn: 7",
            "been at the lake",
            "been at the inn",
        ]
    );
}
