//! A fresh process: posix_spawn(3), what it inherits, and how it learns of its parent.
//!
//! Not by fork: the handlers of `pthread_atfork` would make a member of it that it never becomes.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags};

use super::{memory, process};

/// This program's own file, even if another one has its name by now.
const SELF: &CStr = c"/proc/self/exe";

/// What a new process gets.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Its arguments, the first of which is its name.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Descriptors that it has under the same numbers.
    pub(crate) inherited: Vec<BorrowedFd<'a>>,
    /// What is its input, output and error output; `None`: this process's.
    pub(crate) standard: [Option<BorrowedFd<'a>>; 3],
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

fn text(bytes: Vec<u8>) -> io::Result<CString> {
    CString::new(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

/// The addresses of texts, with the end's mark behind.
fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    texts.iter().map(|t| t.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Actions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises it, or fails.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it is.
        Ok(Actions(unsafe { actions.assume_init() }))
    }

    /// In the child `from` becomes `to`, which stays open in what is executed, also if it is the same.
    fn add(&mut self, from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
        // SAFETY: it is initialised; the numbers are used in the child only.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from.as_raw_fd(), to)
        })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: it is initialised, and of no use after this.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// As the standard library does it: no signal is blocked, and SIGPIPE is what it is by default.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises it, or fails.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it is.
        let mut attributes = Attributes(unsafe { attributes.assume_init() });
        let mut set = MaybeUninit::uninit();
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: all are initialised when they are used.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, set.as_ptr()))?;
            libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, set.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as libc::c_short))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it is initialised, and of no use after this.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

impl Launch<'_> {
    /// Starts this program anew; gives the child's number.
    pub(crate) fn start(self) -> io::Result<u32> {
        let argument = |a: OsString| text(a.into_vec());
        let arguments = self.arguments.into_iter().map(argument).collect::<io::Result<Vec<_>>>()?;
        let variable = |(name, value): (OsString, OsString)| {
            text([name.into_vec(), value.into_vec()].join(&b'='))
        };
        let variables = self.environment.into_iter().map(variable);
        let variables = variables.collect::<io::Result<Vec<_>>>()?;
        let mut actions = Actions::new()?;
        for fd in self.inherited {
            actions.add(fd, fd.as_raw_fd())?;
        }
        for (number, fd) in (0..).zip(self.standard) {
            fd.map_or(Ok(()), |fd| actions.add(fd, number))?;
        }
        let attributes = Attributes::new()?;
        let mut pid = 0;
        // SAFETY: all are initialised, and the lists are ended by null.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                SELF.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                pointers(&arguments).as_ptr(),
                pointers(&variables).as_ptr(),
            )
        })?;
        Ok(pid.cast_unsigned())
    }
}

/// A descriptor that this process was started with, if it has one of that number that nobody has
/// adopted, and it is that file. From now on it is closed on exec.
pub(crate) fn adopt(number: RawFd, file: Option<(u64, u64)>) -> Option<OwnedFd> {
    // SAFETY: fcntl(2) with a number that may be anything fails or tells.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 || number <= libc::STDERR_FILENO {
        return None;
    }
    // SAFETY: it is open, and without the flag: nobody in this process opened it (all that Rust opens
    // has it) and nobody adopted it before.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    if file.is_some_and(|file| memory::identity(&fd) != Some(file)) {
        let _ = std::os::fd::IntoRawFd::into_raw_fd(fd); // somebody else's
        return None;
    }
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(fd)
}

/// Whether this program runs with more rights than its caller has (setuid, or file capabilities): then
/// it takes nothing from that one's environment.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads what the kernel told this process at its start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The value of an environment variable, which is removed if this process has one thread only: while
/// another may be reading the environment, nothing may change there.
pub(crate) fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1) {
        // SAFETY: there is no other thread, so none that reads the environment at this moment.
        unsafe { std::env::remove_var(name) };
    }
    Some(value)
}

/// Whether this is the thread that the process began with.
pub(crate) fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// The process that this one is a child of.
pub(crate) fn parent() -> u32 {
    rustix::process::getppid().map_or(0, |p| p.as_raw_pid().cast_unsigned())
}

/// From now on this process is killed when its parent has ended. False: it has already.
///
/// By a thread that waits for it: the kernel's own signal (`PR_SET_PDEATHSIG`) comes when the parent's
/// *thread* ends that started the child.
pub(crate) fn die_with(pid: u32) -> io::Result<bool> {
    let Some(number) = Pid::from_raw(pid.cast_signed()) else {
        return Ok(false);
    };
    let fd = match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        fd => fd?,
    };
    // Asked after it was opened: if it is the parent now, it was no other process then.
    if parent() != pid {
        return Ok(false);
    }
    let watch = move || {
        block_signals();
        while poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).is_err() {}
        process::kill_self();
    };
    std::thread::Builder::new().name("parent's life".into()).spawn(watch)?;
    Ok(true)
}

/// Lets signals go to the threads that the program knows of.
fn block_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used; of this thread only.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
    }
}
