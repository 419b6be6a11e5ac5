//! Which thread this is, without asking anybody.

/// A number that no other thread of this process has at the same time: its thread pointer. A later
/// thread may have it again.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[inline]
pub(crate) fn token() -> u64 {
    let pointer: u64;
    // SAFETY: reads the thread control block's first word, which is its own address (System V ABI,
    // "Thread-local storage"); a library's thread-local variable would cost a call.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    pointer
}

/// As above: where its thread-local memory lies.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[inline]
pub(crate) fn token() -> u64 {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place).addr() as u64)
}

/// Whether this is the process's first thread (of a fork child: the one that forked).
pub(crate) fn is_main() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// What `ps` calls this thread; of the main thread: the process. The first 15 bytes count.
pub(crate) fn set_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
