//! What a process may be at when it is killed, beside putting and getting.

use procession::{Family, Queue, RawQueue};

use super::say;

/// A queue of its own, with small and large messages and a queue inside a message, is dropped.
pub fn destroy() {
    let family = Family::current().unwrap();
    let inner = RawQueue::create(family, None).unwrap();
    let outer = RawQueue::create(family, None).unwrap();
    inner.try_put(1, &[7; 3000], None).unwrap();
    inner.try_put(1, &[7; 3000], None).unwrap();
    let block = family.alloc(40_000, &[inner.lease()]).unwrap();
    outer.try_put(1, b"", Some(block)).unwrap();
    outer.try_put(1, b"small", None).unwrap();
    drop(inner);
    drop(outer);
}

/// A child is born that has a copy of a received block and of all handles; both let go of them.
pub fn fork(queue: &Queue<Vec<u8>>) {
    let Ok(Some(received)) = queue.raw().try_get(&mut Vec::new()) else {
        return;
    };
    say("taken");
    let block = received.block;
    // SAFETY: the child uses only this library and then leaves at once.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        if let Some(b) = &block {
            b.read(0, &mut [0; 64]);
        }
        drop(block);
        assert!(queue.raw().clone().capacity().is_none());
        // SAFETY: ends the child without running the parent's destructors.
        unsafe { libc::_exit(0) };
    }
    drop(block);
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) {
        say("hit grandchild-killed 1");
    }
}

/// Much memory becomes idle, so that it is given back.
pub fn idle() {
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(64 << 20));
    let blocks: Vec<_> = (0..6).map(|_| family.alloc(3 << 20, &[]).unwrap()).collect();
    let runs: Vec<_> = (0..2).map(|_| family.alloc(9 << 20, &[]).unwrap()).collect();
    drop(blocks);
    drop(runs);
    // More than is left: idle blocks of other sizes are taken.
    drop(family.alloc(60 << 20, &[]).unwrap());
}
