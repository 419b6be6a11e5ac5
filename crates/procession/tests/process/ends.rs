//! How processes end, and what their parents learn of it.

use std::io::Read;
use std::time::{Duration, Instant};

use procession::{Connection, Fork, JoinError, Process, ProcessBuilder, Queue, fork, pipe};

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

use crate::harness::{Test, tests};
use crate::{GATE, QUIT};

pub(crate) const TESTS: &[Test] = tests![
    panics,
    exit_codes,
    signals,
    time_limits,
    one_that_never_begins,
    one_that_is_killed_before_it_begins,
    killed_at_any_moment,
    killed_at_every_step,
    kill_on_drop,
    its_parent_is_killed,
    it_dies_with_its_parent,
    its_parent_dies_before_it_begins,
    children_that_nobody_may_wait_for,
    forked,
    a_fork_has_no_say,
];

fn endless(_: ()) -> u32 {
    loop {
        std::thread::park();
    }
}

fn unlucky(how: u32) -> u32 {
    match how {
        0 => panic!("a text"),
        1 => panic!("number {how}"),
        2 => std::panic::panic_any(how),
        3 => {
            // One that was caught is not the one that ends it.
            let caught = std::panic::catch_unwind(|| panic!("caught"));
            std::panic::resume_unwind(Box::new(format!("again, {}", caught.is_err())))
        }
        _ => panic!("{}", "long ".repeat(100_000)),
    }
}

fn panics() {
    let panicked = |how| {
        let (mut complaints, errors) = std::io::pipe().unwrap();
        let process = ProcessBuilder::new().stderr(errors).spawn(unlucky, how).unwrap();
        let mut printed = String::new();
        complaints.read_to_string(&mut printed).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(101));
        match (process.try_join(), process.join()) {
            (Err(JoinError::Panicked { .. }), Err(JoinError::Panicked { message, place })) => {
                (message, place, printed)
            }
            other => panic!("{other:?}"),
        }
    };
    for (how, text) in [(0, "a text"), (1, "number 1")] {
        let (message, place, printed) = panicked(how);
        assert_eq!(message, text);
        assert!(place.unwrap().contains("ends.rs:"));
        assert!(printed.contains("panicked at") && printed.contains(text), "{printed}");
    }
    assert_eq!(panicked(2).0, "a panic whose payload is no text");
    assert_eq!((panicked(3).0.as_str(), panicked(3).1), ("again, true", None));
    assert!(panicked(4).0.starts_with("long long"));
    let text = Process::spawn(unlucky, 0).unwrap().join().unwrap_err().to_string();
    assert!(text.starts_with("the process panicked at ") && text.ends_with(": a text"), "{text}");
}

fn exit_codes() {
    for code in [0, 3, 255] {
        let process =
            Process::spawn(|code: i32| -> u32 { std::process::exit(code) }, code).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(code));
        assert!(matches!(process.join(), Err(JoinError::Exited { code: c }) if c == code));
    }
}

fn signals() {
    let ended = Process::spawn(|(): ()| -> u32 { crate::end_by(Signal::USR1) }, ()).unwrap().join();
    assert!(matches!(ended, Err(JoinError::Killed { signal: libc::SIGUSR1 })));
    let process = Process::spawn(endless, ()).unwrap();
    assert!(process.is_alive());
    process.terminate().unwrap();
    let ended = process.join();
    // It may have been so early that it had not begun.
    use std::os::unix::process::ExitStatusExt;
    assert!(match ended {
        Err(JoinError::Killed { signal: libc::SIGTERM }) => true,
        Err(JoinError::NeverBegan { ended }) => ended.signal() == Some(libc::SIGTERM),
        _ => false,
    });
    // Kills one that has ended already.
    let process = Process::spawn(|(): ()| 7, ()).unwrap();
    process.wait().unwrap();
    process.kill().unwrap();
    assert!(!process.is_alive());
    assert_eq!(process.join().unwrap(), 7);
}

fn time_limits() {
    let (here, there) = pipe::<u32>().unwrap();
    let process = Process::spawn(|line: Connection<u32>| line.recv().unwrap(), there).unwrap();
    assert!(matches!(process.try_join(), Err(JoinError::TimedOut)));
    let start = Instant::now();
    let limit = Duration::from_millis(30);
    assert!(matches!(process.join_timeout(limit), Err(JoinError::TimedOut)));
    assert!(start.elapsed() >= limit);
    assert_eq!(process.try_wait().unwrap(), None);
    assert_eq!(process.wait_timeout(Duration::from_millis(1)).unwrap(), None);
    here.send(7).unwrap();
    assert_eq!(process.join_timeout(Duration::MAX).unwrap(), 7);
    assert!(matches!(process.try_join(), Err(JoinError::Taken)));
    assert!(process.wait_timeout(Duration::ZERO).unwrap().unwrap().success());
    assert!(matches!(process.join(), Err(JoinError::Taken)));
}

fn one_that_never_begins() {
    let process = ProcessBuilder::new().env(QUIT, "7").spawn(|_: Queue<u8>| (), fresh()).unwrap();
    match process.join() {
        Err(JoinError::NeverBegan { ended }) => assert_eq!(ended.code(), Some(7)),
        other => panic!("{other:?}"),
    }
}

fn fresh() -> Queue<u8> {
    Queue::unbounded().unwrap()
}

/// Whose children stay before `init` until the other end of their input is closed.
fn gated() -> (ProcessBuilder, std::io::PipeWriter) {
    let (input, gate) = std::io::pipe().unwrap();
    (ProcessBuilder::new().env(GATE, "").stdin(input), gate)
}

fn one_that_is_killed_before_it_begins() {
    let (builder, gate) = gated();
    let process = builder.spawn(|_: Queue<u8>| (), fresh()).unwrap();
    process.kill().unwrap();
    assert!(matches!(process.join(), Err(JoinError::NeverBegan { .. })));
    drop(gate);
}

fn busy((jobs, text): (Queue<String>, String)) -> String {
    for _ in 0..20 {
        jobs.put(text.clone()).unwrap();
        jobs.get().unwrap();
    }
    text
}

fn killed_at_any_moment() {
    let text = "some text ".repeat(10_000);
    let mut outcomes = [0; 3];
    for moment in 0..80 {
        let jobs = Queue::unbounded().unwrap();
        let process = Process::spawn(busy, (jobs, text.clone())).unwrap();
        let end = Instant::now() + Duration::from_micros(moment * 100);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        process.kill().unwrap();
        match process.join() {
            Err(JoinError::NeverBegan { .. }) => outcomes[0] += 1,
            Err(JoinError::Killed { signal: 9 }) => outcomes[1] += 1,
            Ok(whole) => outcomes[2] += u32::from(whole == text),
            other => panic!("{other:?}"),
        }
        let family = procession::Family::current().unwrap();
        family.sweep().unwrap();
        assert_eq!(family.check(), Vec::<String>::new());
    }
    assert_eq!(outcomes.iter().sum::<u32>(), 80);
    println!("  {outcomes:?}: not begun, in the midst of it, done");
}

#[cfg(not(feature = "fault"))]
fn killed_at_every_step() {}

#[cfg(feature = "fault")]
fn killed_at_every_step() {
    let points = procession::fault::POINTS.iter();
    let ours = ["put.", "get.", "alloc.", "free.", "attach.", "hold.", "redo.", "lock."];
    let mut killed = 0;
    for point in points.filter(|p| ours.iter().any(|start| p.starts_with(start))) {
        for pass in [1, 3] {
            let jobs = Queue::unbounded().unwrap();
            let builder =
                ProcessBuilder::new().env("PROCESSION_CRASH_AT", format!("{point}:{pass}"));
            let process = builder.spawn(busy, (jobs, "text ".repeat(10_000))).unwrap();
            match process.join() {
                Ok(text) => assert_eq!(text.len(), 50_000),
                Err(JoinError::NeverBegan { .. } | JoinError::Killed { signal: 9 }) => killed += 1,
                other => panic!("{point}: {other:?}"),
            }
        }
    }
    assert!(killed > 20, "{killed}");
}

fn kill_on_drop() {
    let (here, there) = pipe::<()>().unwrap();
    let hold = |there: Connection<()>| {
        there.send(()).unwrap();
        endless(());
    };
    let process = ProcessBuilder::new().kill_on_drop(true).spawn(hold, there).unwrap();
    here.recv().unwrap();
    drop(process);
    assert_eq!(crate::harness::children(), "");
    assert!(here.recv().is_err(), "its end of the pipe is gone");
}

type Line = (Connection<u32>, bool);

/// Says that it is there, and echoes until the other end is closed.
fn echo(line: Connection<u32>) {
    line.send(std::process::id()).unwrap();
    while let Ok(n) = line.recv() {
        line.send(n).unwrap();
    }
}

fn with_child((line, dies): Line) {
    let builder = ProcessBuilder::new().die_with_parent(dies);
    let child = builder.spawn(echo, line).unwrap();
    child.join().unwrap();
}

fn its_parent_is_killed() {
    let (here, there) = pipe().unwrap();
    let parent = Process::spawn(with_child, (there, false)).unwrap();
    assert_ne!(here.recv().unwrap(), parent.pid());
    parent.kill().unwrap();
    assert!(matches!(parent.join(), Err(JoinError::Killed { signal: 9 })));
    here.send(1).unwrap();
    assert_eq!(here.recv().unwrap(), 1, "the child lives on");
    drop(here);
    all_others_are_gone();
}

fn it_dies_with_its_parent() {
    let (here, there) = pipe().unwrap();
    let parent = Process::spawn(with_child, (there, true)).unwrap();
    here.recv().unwrap();
    here.send(1).unwrap();
    assert_eq!(here.recv().unwrap(), 1);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(here.recv().is_err(), "the child is gone, too");
    all_others_are_gone();
}

/// Waits until this process is alone in its family: one whose parent has died is nobody's child here.
fn all_others_are_gone() {
    let family = procession::Family::current().unwrap();
    while family.stats().participants.len() > 1 {
        family.sweep().unwrap();
        std::thread::yield_now();
    }
}

/// Starts a child that does not come to `init` while standard input is open, and says so.
fn with_gated_child((line, said): (Connection<()>, Queue<u32>)) {
    let child = ProcessBuilder::new().env(GATE, "").spawn(|q: Queue<u32>| q.put(1).unwrap(), said);
    line.send(()).unwrap();
    child.unwrap().join().unwrap();
}

fn its_parent_dies_before_it_begins() {
    let said: Queue<u32> = Queue::unbounded().unwrap();
    let (input, gate) = std::io::pipe().unwrap();
    let (mut complaints, errors) = std::io::pipe().unwrap();
    let (here, there) = pipe().unwrap();
    let builder = ProcessBuilder::new().stdin(input).stderr(errors);
    let parent = builder.spawn(with_gated_child, (there, said.clone())).unwrap();
    here.recv().unwrap();
    parent.kill().unwrap();
    // Until it has ended; but it is not waited for, so that it stays as a zombie.
    rustix::event::poll(&mut [PollFd::new(&parent, PollFlags::IN)], None).unwrap();
    drop(gate);
    let mut text = String::new();
    complaints.read_to_string(&mut text).unwrap(); // until the child has ended
    assert!(text.contains("does nothing: the process that started this one has ended"), "{text}");
    assert_eq!(said.len(), 0);
    assert!(matches!(parent.join(), Err(JoinError::Killed { signal: 9 })));
}

fn children_that_nobody_may_wait_for() {
    let line: Queue<u32> = Queue::unbounded().unwrap();
    let ignore = |line: Queue<u32>| {
        // SAFETY: no handler, so nothing that could be interrupted.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        line.put(Process::spawn(|n: u32| n + 1, 1).unwrap().join().unwrap()).unwrap();
        let lost = Process::spawn(endless, ()).unwrap();
        lost.kill().unwrap();
        assert!(matches!(lost.try_join(), Err(JoinError::Unknown | JoinError::TimedOut)));
        assert!(lost.wait().is_err());
        assert!(matches!(lost.join(), Err(JoinError::Unknown)));
    };
    Process::spawn(ignore, line.clone()).unwrap().join().unwrap();
    assert_eq!(line.get().unwrap(), 2);
}

/// A child of this process, which has a thread that only waits (the harness's watch).
fn forked_child(body: impl FnOnce() -> i32) -> Process<()> {
    // SAFETY: the child does what the body says and ends; the watch holds no lock.
    match unsafe { fork() }.unwrap() {
        Fork::Parent(child) => child,
        // SAFETY: ends without what this process's end would do.
        Fork::Child => unsafe { libc::_exit(body()) },
    }
}

fn forked() {
    let line: Queue<u32> = Queue::unbounded().unwrap();
    let put = forked_child(|| i32::from(line.put(std::process::id()).is_err()));
    let pid = put.pid();
    put.join().unwrap();
    assert_eq!(line.get().unwrap(), pid);
    assert!(matches!(forked_child(|| 3).join(), Err(JoinError::Exited { code: 3 })));
    let endless = forked_child(|| {
        line.put(0).unwrap();
        endless(()).cast_signed()
    });
    line.get().unwrap(); // it has entered the family: an embryo would be counted for half a second
    assert!(matches!(endless.try_join(), Err(JoinError::TimedOut)));
    endless.kill().unwrap();
    assert!(matches!(endless.join(), Err(JoinError::Killed { signal: 9 })));
}

fn a_fork_has_no_say() {
    let (here, there) = pipe().unwrap();
    let process = ProcessBuilder::new().kill_on_drop(true).spawn(echo, there).unwrap();
    here.recv().unwrap();
    let mut copy = Some(process);
    let child = forked_child(|| {
        drop(copy.take());
        0
    });
    child.join().unwrap();
    let process = copy.unwrap();
    here.send(5).unwrap();
    assert_eq!(here.recv().unwrap(), 5);
    drop(here);
    process.join().unwrap();
}
