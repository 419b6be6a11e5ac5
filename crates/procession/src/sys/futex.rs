//! Sleeping on a word of shared memory: futex(2), always the shared (not `PRIVATE`) kind.

use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use super::atomic::AtomicU32;

/// Sleeps while `word == expected`, at most `limit`. `Ok` after a wake-up; otherwise `AGAIN` (the word
/// differs), `INTR` (a signal) or `TIMEDOUT`.
pub(crate) fn wait(word: &AtomicU32, expected: u32, limit: Duration) -> Result<(), Errno> {
    let limit = futex::Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    futex::wait(word, futex::Flags::empty(), expected, Some(&limit))
}

/// Wakes up to `count` sleepers and says how many there were.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
    futex::wake(word, futex::Flags::empty(), count)
        .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// Sleeps while `word == expected`, for ever without a `limit`. For a word of this process's own memory, which
/// the kernel finds without a look at who else maps it. The same results.
pub(crate) fn wait_private(
    word: &AtomicU32,
    expected: u32,
    limit: Option<Duration>,
) -> Result<(), Errno> {
    let limit = limit.map(|limit| futex::Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    futex::wait(word, futex::Flags::PRIVATE, expected, limit.as_ref())
}

/// Wakes whoever sleeps on a word of this process's own memory.
pub(crate) fn wake_private(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
}
