//! Child processes for tests: this test binary again, with a role to play.
//!
//! A child is told by the environment what to do, and answers in lines that begin with `@`. Each has
//! a time limit, after which it is killed and the test fails.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod deeds;
pub mod executor;
pub mod folder;
pub mod primitives;
pub mod proxy;
pub mod random;
#[cfg(feature = "redis")]
pub mod scene;
pub mod scribble;
pub mod server;

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_secs(30);

/// Bytes as text for the environment.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// What a child is to do, if this process is one.
pub fn role() -> Option<String> {
    std::env::var("PROCESSION_TEST_ROLE").ok()
}

pub fn argument(name: &str) -> String {
    std::env::var(format!("PROCESSION_TEST_{name}")).unwrap_or_default()
}

/// The descriptor that [`start_with`] left to this child.
pub fn inherited() -> OwnedFd {
    // SAFETY: it was made for this process, and this is called once.
    let fd = unsafe { OwnedFd::from_raw_fd(argument("FD").parse().unwrap()) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).unwrap();
    fd
}

/// Answers the parent.
pub fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

pub struct Running {
    pub child: Child,
    lines: mpsc::Receiver<String>,
    started: Instant,
}

/// Starts this binary's test `entry` in a role.
pub fn start(entry: &str, role: &str, arguments: &[(&str, String)]) -> Running {
    start_with(entry, role, arguments, None)
}

/// As [`start`]; the child inherits `fd` under its number.
pub fn start_with(
    entry: &str,
    role: &str,
    arguments: &[(&str, String)],
    fd: Option<BorrowedFd<'_>>,
) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([entry, "--exact", "--nocapture", "--test-threads=1"])
        .env("PROCESSION_TEST_ROLE", role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in arguments {
        // What the library reads itself goes by its own name.
        let own = name.starts_with("PROCESSION_");
        command.env(if own { (*name).into() } else { format!("PROCESSION_TEST_{name}") }, value);
    }
    if let Some(fd) = fd {
        let number = fd.as_raw_fd();
        command.env("PROCESSION_TEST_FD", number.to_string());
        // SAFETY: between fork and exec only fcntl(2) is called, on a descriptor that is open.
        unsafe {
            command.pre_exec(move || {
                let failed = libc::fcntl(number, libc::F_SETFD, 0) < 0;
                if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
    }
    let mut child = command.spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(said) = line.strip_prefix('@')
                && send.send(said.to_owned()).is_err()
            {
                break;
            }
        }
    });
    Running { child, lines, started: Instant::now() }
}

impl Running {
    /// The next line that the child says.
    pub fn hear(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).expect("the child said nothing in time")
    }

    /// The next line that the child says; `None` if it ends without another.
    pub fn hear_if_any(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child said nothing in time"),
        }
    }

    /// Waits for the end; gives the lines not heard yet and the status.
    pub fn finish(mut self) -> (Vec<String>, ExitStatus) {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                let _ = self.child.kill();
                let status = self.child.wait().unwrap();
                panic!("the child did not end within {LIMIT:?} ({status}): {}", self.complaint());
            }
            // Waiting for another process's end; there is nothing else to wait on without a handler.
            std::thread::sleep(Duration::from_millis(1));
        };
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv() {
            lines.push(line);
        }
        assert!(
            status.success() || status.signal() == Some(9),
            "the child failed ({status}): {}",
            self.complaint()
        );
        (lines, status)
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut text);
        }
        text
    }
}

/// Whether a child was killed with -9.
pub fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// Whether a process was stopped by a signal.
pub fn stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// The kernel's letter for what a process does, or a thread of this one: `S` if it sleeps.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Runs the body in a fresh process, with an arena and limits of its own.
#[allow(unused_macros)]
macro_rules! alone {
    ($name:ident $body:block) => {
        #[test]
        fn $name() {
            if support::role().as_deref() == Some(stringify!($name)) {
                $body
                std::process::exit(0);
            } else if support::role().is_none() {
                let (lines, status) =
                    support::start(stringify!($name), stringify!($name), &[]).finish();
                for line in lines {
                    println!("{line}");
                }
                assert!(status.success(), "{status}");
            }
        }
    };
}
#[allow(unused_imports)]
pub(crate) use alone;

/// How long this thread has been working: whoever else uses the processors, too.
pub fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time to where it is told.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::from_secs(now.tv_sec.cast_unsigned())
        + Duration::from_nanos(now.tv_nsec.cast_unsigned())
}

/// The longest of many, and all together.
#[derive(Debug, Default, Clone, Copy)]
pub struct Longest {
    pub one: Duration,
    pub all: Duration,
}

impl Longest {
    pub fn of<R>(&mut self, act: impl FnOnce() -> R) -> R {
        let start = cpu_time();
        let done = act();
        let took = cpu_time().saturating_sub(start);
        self.one = self.one.max(took);
        self.all += took;
        done
    }
}

/// A fork child of a test that plays alone.
pub struct Forked(i32);

/// Runs `body` in a fork child, which then ends at once, without destructors: as a crash does.
pub fn fork(body: impl FnOnce()) -> Forked {
    fork_for_good(|| {
        // A test that fails or is ended leaves nobody behind who goes on for ever.
        // SAFETY: no memory is involved.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        body();
    })
}

/// The same; the child may outlive this process.
pub fn fork_for_good(body: impl FnOnce()) -> Forked {
    // SAFETY: the child runs the body, which must not rely on other threads, and leaves at once.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: ends the child without running the parent's destructors.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    Forked(pid)
}

impl Forked {
    pub fn pid(&self) -> u32 {
        self.0.cast_unsigned()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the child is this process's own and not reaped yet.
        unsafe { libc::kill(self.0, signal) };
    }

    /// Its wait status.
    pub fn wait(&self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for the child made above.
        while unsafe { libc::waitpid(self.0, &raw mut status, 0) } != self.0 {}
        status
    }

    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }
}
