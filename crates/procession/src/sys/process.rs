//! Who a process is, and whether it still lives: proc(5), pidfd_open(2).

use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

/// What tells a process from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks after boot: field 22 of /proc/PID/stat.
    pub(crate) start: u64,
    /// Inode of the pid namespace.
    pub(crate) namespace: u64,
}

/// This machine's name.
#[cfg(feature = "redis")]
pub(crate) fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// This process.
pub(crate) fn identity() -> Identity {
    let pid = rustix::process::getpid().as_raw_pid().cast_unsigned();
    Identity { pid, start: start_time(pid).unwrap_or(0), namespace: namespace() }
}

fn namespace() -> u64 {
    rustix::fs::stat("/proc/self/ns/pid").map_or(0, |s| s.st_ino)
}

fn read_small(path: &str) -> Option<Vec<u8>> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buf = vec![0u8; 1024];
    let n = rustix::io::read(&fd, &mut buf[..]).ok()?;
    buf.truncate(n);
    Some(buf)
}

/// When the process with this number started.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = read_small(&format!("/proc/{pid}/stat"))?;
    number(after_name(&stat)?.nth(19)?)
}

/// How the process ended: its wait status, if it is a zombie still.
pub(crate) fn wait_status_of_zombie(pid: u32, start: u64) -> Option<i32> {
    let stat = read_small(&format!("/proc/{pid}/stat"))?;
    let mut fields = after_name(&stat)?;
    let is_zombie = matches!(fields.next()?, b"Z" | b"X");
    let started = number(fields.nth(18)?);
    let status = number(fields.nth(29)?);
    (is_zombie && started == Some(start)).then_some(())?;
    i32::try_from(status?).ok()
}

/// The fields of /proc/PID/stat from the third on: the name before may hold blanks and brackets.
fn after_name(stat: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let tail = &stat[stat.iter().rposition(|&b| b == b')')? + 1..];
    Some(tail.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty()))
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Whether the process is gone for good. A stopped one lives, a zombie whose threads still run
/// lives, and what can't be read counts as alive.
pub(crate) fn is_gone(who: Identity) -> bool {
    if who.namespace != namespace() {
        return false; // another namespace's numbers mean nothing here
    }
    let Some(pid) = Pid::from_raw(who.pid.cast_signed()) else {
        return true;
    };
    if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return true;
    }
    match start_time(who.pid) {
        Some(start) if start != who.start => return true,
        Some(_) => {}
        None => return false,
    }
    let Ok(fd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0)
}

/// Whether the process has the file mapped; `None` if that can't be seen.
pub(crate) fn maps_file(pid: u32, file: (u64, u64), fd_hint: u32) -> Option<bool> {
    if rustix::fs::stat(format!("/proc/{pid}/fd/{fd_hint}"))
        .is_ok_and(|s| (s.st_dev, s.st_ino) == file)
    {
        return Some(true);
    }
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    if maps.is_empty() {
        return None; // a zombie, a kernel thread, or a process that is being set up
    }
    let inode = file.1.to_string();
    Some(maps.lines().any(|l| {
        l.split_ascii_whitespace().nth(4) == Some(inode.as_str()) && l.contains("memfd:procession")
    }))
}

/// The numbers of all processes that can be seen.
pub(crate) fn all_pids() -> Vec<u32> {
    let Ok(dir) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// Whether the process is a zombie or gone.
pub(crate) fn is_zombie(pid: u32) -> bool {
    read_small(&format!("/proc/{pid}/stat")).is_none_or(|stat| {
        let state = stat.iter().rposition(|&b| b == b')').and_then(|i| stat.get(i + 2));
        matches!(state, Some(b'Z' | b'X'))
    })
}

/// Whether another core can make progress while this one spins. Asked once: the answer takes several
/// system calls, and who is confined to one core later merely spins in vain a few times.
pub(crate) fn many_cores() -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    *MANY.get_or_init(|| std::thread::available_parallelism().is_ok_and(|n| n.get() > 1))
}

/// Lets another process run on this core, if one wants to.
pub(crate) fn yield_core() {
    rustix::thread::sched_yield();
}

/// Lets the others work for a while.
pub(crate) fn nap(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Milliseconds of the clock that all processes share.
pub(crate) fn now_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec.cast_unsigned() * 1000 + t.tv_nsec.cast_unsigned() / 1_000_000
}

/// 16 random bytes.
pub(crate) fn random_id() -> [u8; 16] {
    let mut id = [0u8; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    if rustix::rand::getrandom(&mut id[..], flags).map_or(0, |n| n) < 16 {
        id[..8].copy_from_slice(&now_ms().to_le_bytes());
        id[8..12].copy_from_slice(&identity().pid.to_le_bytes());
    }
    id
}

/// Stops this process until somebody continues it.
#[cfg(feature = "fault")]
pub(crate) fn stop_self() {
    // SAFETY: no memory is involved. To this very thread, which therefore goes no step further.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Ends this process as `kill -9` would.
pub(crate) fn kill_self() -> ! {
    loop {
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    }
}

/// What the kernel calls this process.
pub(crate) fn title() -> String {
    let name = read_small("/proc/self/comm").unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}
