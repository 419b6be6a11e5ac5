//! Memory that several processes write: sizes, lives, crashes.
#![allow(missing_docs)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use procession::{Family, HandleError, RawMemory, RawQueue};
use support::{argument, hex, role, say, start, unhex};

const SIZES: [usize; 7] = [0, 8, 240, 241, 4096, 1 << 20, 65 << 20];

/// The tests look at the whole arena: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sound(family: Family) {
    family.sweep().unwrap();
    assert_eq!(family.check(), Vec::<String>::new());
}

/// The last 8 bytes, as a counter.
fn counter(memory: &RawMemory) -> &AtomicU64 {
    let at = (memory.len() - 8) / 8 * 8;
    // SAFETY: 8 bytes of the memory at a multiple of 8, used as an atomic by everyone.
    unsafe { AtomicU64::from_ptr(memory.as_mut_ptr().add(at).cast()) }
}

fn add_for_ever() {
    let memory = RawMemory::from_handle(&unhex(&argument("HANDLE"))).unwrap();
    counter(&memory).fetch_add(1, Ordering::Relaxed);
    say("added");
    loop {
        std::thread::park();
    }
}

#[test]
fn processes_see_the_same_bytes_as_long_as_one_has_them() {
    const NAME: &str = "processes_see_the_same_bytes_as_long_as_one_has_them";
    if role().as_deref() == Some(NAME) {
        return add_for_ever();
    } else if role().is_some() {
        return;
    }
    let _one = alone();
    let family = Family::current().unwrap();
    for size in SIZES.into_iter().filter(|size| *size >= 8) {
        let memory = RawMemory::create(family, size).unwrap();
        assert_eq!(memory.as_mut_ptr().align_offset(16), 0);
        assert_eq!(counter(&memory).fetch_add(1, Ordering::Relaxed), 0, "zero at first");
        let handle = memory.handle();
        let mut child = start(NAME, NAME, &[("HANDLE", hex(&handle))]);
        assert_eq!(child.hear(), "added");
        assert_eq!(counter(&memory).load(Ordering::Relaxed), 2);
        // The child alone keeps it; when that is killed, it is gone.
        drop(memory);
        assert!(RawMemory::from_handle(&handle).is_ok());
        child.child.kill().unwrap();
        child.finish();
        family.sweep().unwrap();
        assert!(matches!(RawMemory::from_handle(&handle), Err(HandleError::Gone)));
        sound(family);
    }
}

#[test]
fn used_again_it_is_zero() {
    let _one = alone();
    let family = Family::current().unwrap();
    for _ in 0..3 {
        for size in SIZES {
            let memory = RawMemory::create(family, size).unwrap();
            // SAFETY: the memory's own bytes, which this test alone has.
            let bytes = unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr(), size) };
            assert!(bytes.iter().all(|b| *b == 0));
            bytes.fill(0xff);
        }
    }
}

#[test]
fn other_objects_are_no_memory() {
    let _one = alone();
    let family = Family::current().unwrap();
    let queue = RawQueue::create(family, None).unwrap();
    assert!(matches!(RawMemory::from_handle(&queue.handle()), Err(HandleError::Malformed)));
    let memory = RawMemory::create(family, 8).unwrap();
    assert!(matches!(RawQueue::from_handle(&memory.handle()), Err(HandleError::Malformed)));
}

#[test]
fn too_much_is_an_error() {
    let _one = alone();
    let family = Family::current().unwrap();
    assert!(RawMemory::create(family, 1 << 45).is_err());
    assert!(RawMemory::create(family, usize::MAX).is_err());
}

#[cfg(feature = "fault")]
#[test]
fn killed_while_it_is_made() {
    const NAME: &str = "killed_while_it_is_made";
    const SIZE: usize = 1 << 20;
    if role().as_deref() == Some(NAME) {
        // In the parent's family.
        let _queue = RawQueue::from_handle(&unhex(&argument("HANDLE"))).unwrap();
        procession::fault::arm(&argument("PLAN"));
        let _memory = RawMemory::create(Family::current().unwrap(), SIZE);
        return say("passed");
    } else if role().is_some() {
        return;
    }
    let _one = alone();
    let family = Family::current().unwrap();
    let queue = RawQueue::create(family, None).unwrap();
    let used = |family: Family| family.stats().arena_bytes - family.stats().idle_bytes;
    let before = used(family);
    let points = procession::fault::POINTS.iter().filter(|p| p.starts_with("memory."));
    for point in points.chain(&["object.created", "alloc.owned", "redo.committed"]) {
        let arguments = [("HANDLE", hex(&queue.handle())), ("PLAN", format!("{point}:1"))];
        let (said, status) = start(NAME, NAME, &arguments).finish();
        assert!(said.is_empty() && !status.success(), "{point} was not passed: {said:?}");
        sound(family);
        assert_eq!(used(family), before, "{point}: the memory is not lost");
    }
}
