//! One process is stopped between two steps while another goes on.
#![allow(missing_docs)]

mod support;

use procession::{Acquired, RawBarrier, RawCondition, RawEvent, RawLock, RawMemory, fault};
use support::primitives::{abandoned, acquire, family, sound, until};
use support::{alone, fork, stopped};

alone!(a_taker_is_not_taken_for_the_dead_ones_thread {
    for leaves in [false, true] {
        let lock = RawLock::create(family(), true).unwrap();
        fork(|| {
            acquire(&lock);
            if leaves {
                family().leave_cleanly();
            }
        })
        .wait();
        let taker = fork(|| {
            fault::arm("sync.lock_taken:1:stop");
            acquire(&lock);
            assert!(lock.is_mine());
            lock.release().unwrap();
        });
        until(|| stopped(taker.pid()));
        let holder = lock.holder().unwrap();
        taker.signal(libc::SIGCONT);
        assert_eq!(taker.wait(), 0);
        // In a forked family one thread's token is another's in the next process.
        assert_eq!((holder.pid, holder.thread), (taker.pid(), 0), "which thread it has yet to say");
        assert_eq!(lock.try_acquire().unwrap(), Some(Acquired::Clean));
    }
});

const SLOT: usize = 512;
/// Of the slot's own words: the lock's word, and the first entry of a list.
const LOCK: usize = 64;
const ENTRY: usize = 88;
/// What a bare memory object in the slot does not use: all but these.
const LEFT_ALONE: [std::ops::Range<usize>; 4] = [0..64, 80..88, 128..136, 256..264];

fn at(handle: &[u8]) -> u64 {
    const OBJECTS: u64 = 4 * 4096 + 4096 * 256;
    OBJECTS + u64::from(u32::from_le_bytes(handle[28..32].try_into().unwrap())) * SLOT as u64
}

fn slot(handle: &[u8]) -> [u8; SLOT] {
    let mut bytes = [0; SLOT];
    assert_eq!(rustix::io::pread(family().fd(), &mut bytes[..], at(handle)).unwrap(), SLOT);
    bytes
}

fn write(handle: &[u8], bytes: &[u8; SLOT]) {
    let mut from = 0;
    for gap in LEFT_ALONE.iter().chain([&(SLOT..SLOT)]) {
        let part = &bytes[from..gap.start];
        rustix::io::pwrite(family().fd(), part, at(handle) + from as u64).unwrap();
        from = gap.end;
    }
}

/// The serial of a member.
fn serial(pid: u32) -> u32 {
    const PARTICIPANTS: u64 = 4 * 4096;
    let mut head = [0; 12];
    (0..4096)
        .find_map(|slot| {
            rustix::io::pread(family().fd(), &mut head[..], PARTICIPANTS + slot * 256).unwrap();
            (head[8..] == pid.to_le_bytes())
                .then(|| u32::from_le_bytes(head[4..8].try_into().unwrap()))
        })
        .unwrap()
}

// A primitive that names the dead is gone, and its slot is memory with the same bytes, when the
// sweep that had found it goes on.
alone!(a_sweep_does_not_touch_what_a_slot_has_become {
    for kind in 0..3 {
        let begin = RawEvent::create(family()).unwrap();
        let victim = fork(|| loop {
            std::thread::park();
        });
        let sweeper = fork(|| {
            until(|| begin.is_set());
            fault::arm("sync.left_behind:1:stop");
            family().sweep().unwrap();
        });
        until(|| family().stats().participants.len() == 3);
        let serial = serial(victim.pid());
        let owner = (serial & 0xfff) + 1;
        // Made after the forks, so that only this process has a handle.
        let (primitive, handle, place, word): (Box<dyn std::any::Any>, _, _, _) = match kind {
            0 => {
                let lock = RawLock::create(family(), false).unwrap();
                let handle = lock.handle();
                (Box::new(lock), handle, LOCK, serial)
            }
            1 => {
                let condition = RawCondition::create(family()).unwrap();
                let handle = condition.handle();
                (Box::new(condition), handle, ENTRY, owner | 1 << 13)
            }
            _ => {
                let barrier = RawBarrier::create(family(), 2).unwrap();
                let handle = barrier.handle();
                (Box::new(barrier), handle, ENTRY, owner)
            }
        };
        let mut bytes = slot(&handle);
        bytes[place..place + 4].copy_from_slice(&word.to_le_bytes());
        write(&handle, &bytes);
        victim.kill();
        begin.set();
        until(|| stopped(sweeper.pid()));
        drop(primitive);
        let memory = RawMemory::create(family(), 240).unwrap();
        write(&handle, &bytes);
        let before = slot(&handle);
        sweeper.signal(libc::SIGCONT);
        assert_eq!(sweeper.wait(), 0);
        assert_eq!(at(&memory.handle()), at(&handle), "the same slot");
        assert_eq!(slot(&handle), before, "kind {kind}");
        drop(memory);
        sound();
    }
});

// As above, but nothing has changed meanwhile: then it is seen to.
alone!(a_sweep_that_was_stopped_goes_on {
    let (lock, begin) = (RawLock::create(family(), false).unwrap(), RawEvent::create(family()).unwrap());
    let sweeper = fork(|| {
        until(|| begin.is_set());
        fault::arm("sync.left_behind:1:stop");
        family().sweep().unwrap();
    });
    let victim = fork(|| drop(acquire(&lock)));
    victim.wait();
    begin.set();
    until(|| stopped(sweeper.pid()));
    sweeper.signal(libc::SIGCONT);
    assert_eq!(sweeper.wait(), 0);
    assert!(!lock.is_held(), "the sweep has seen to it");
    assert_eq!(abandoned(acquire(&lock)).pid, victim.pid());
    lock.release().unwrap();
    sound();
});
