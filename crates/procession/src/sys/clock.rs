//! A clock that costs nothing to look at: vdso(7).

use rustix::time::{ClockId, clock_gettime};

use super::atomic::{AtomicU64, Ordering};

/// Rations a system call on a hot path: who comes seldom is always allowed, who comes all the time
/// hardly ever. `LOOKS` is how many a caller may take in one tick of the coarse clock (1 to 10 ms).
#[derive(Debug)]
pub(crate) struct Pulse<const LOOKS: u64 = 16>(AtomicU64);

impl<const LOOKS: u64> Pulse<LOOKS> {
    pub(crate) const fn new() -> Pulse<LOOKS> {
        Pulse(AtomicU64::new(0))
    }

    /// Whether this caller may look. Threads that race may take a look more, or one less.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let tick = now.tv_sec.cast_unsigned() << 30 | now.tv_nsec.cast_unsigned();
        let seen = self.0.load(Ordering::Relaxed);
        // The tick stands in the upper bits, the looks in the lower ones.
        let (then, looks) = (seen / (LOOKS * 2), seen % (LOOKS * 2));
        let tick = tick & (u64::MAX / (LOOKS * 2));
        if then != tick {
            self.0.store(tick * LOOKS * 2 + 1, Ordering::Relaxed);
            return true;
        }
        if looks >= LOOKS {
            return false;
        }
        self.0.store(seen + 1, Ordering::Relaxed);
        true
    }
}

/// Milliseconds of the coarse monotonic clock, whose tick is 1 to 10 ms.
#[cfg(not(loom))]
#[inline]
pub(crate) fn coarse_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
