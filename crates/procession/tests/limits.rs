//! Many, large, full, refused, scribbled over.
//!
//! Each test plays in a process of its own, with an arena of its own.
#![allow(missing_docs)]

mod support;

use std::num::NonZeroU64;

use procession::{ArenaError, Family, PutError, Queue, RawQueue, TryPutError};
use rustix::process::{Resource, Rlimit, setrlimit};
use support::{alone, argument, hex, role, say, start, unhex};

fn sound(family: Family) {
    family.sweep().unwrap();
    assert_eq!(family.check(), Vec::<String>::new());
}

alone!(ten_thousand_queues_are_cheap {
    let family = Family::current().unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let queues: Vec<Queue<u32>> = (0..10_000).map(|_| Queue::unbounded().unwrap()).collect();
    for (q, i) in queues.iter().zip(0..) {
        q.put(i).unwrap();
    }
    assert_eq!(descriptors(), before, "no descriptor for a queue");
    let status = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let pss = status.lines().find(|l| l.starts_with("Pss:")).unwrap();
    let kib: u64 = pss.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 100 << 10, "{kib} KiB for 10,000 queues");
    for (q, i) in queues.iter().zip(0..) {
        assert_eq!(q.get().unwrap(), i);
    }
    drop(queues);
    assert_eq!(family.stats().queues, 0);
    sound(family);
});

alone!(ten_million_small_messages_take_less_than_40_bytes_each {
    let q = Queue::unbounded().unwrap();
    let family = Family::current().unwrap();
    let before = family.stats().arena_bytes;
    const N: u64 = 10_000_000;
    for i in 0..N {
        q.put(i).unwrap();
    }
    let each = (family.stats().arena_bytes - before) / N;
    assert!(each < 40, "{each} bytes a message");
    for i in 0..N {
        assert_eq!(q.try_get().unwrap(), i);
    }
    drop(q);
    sound(family);
});

alone!(two_gibibytes_pass {
    let family = Family::current().unwrap();
    if family.memory_limit() < 5 << 30 {
        println!("skipped: this needs 5 GiB of memory");
        std::process::exit(0);
    }
    const SIZE: usize = 2 << 30;
    let q = RawQueue::create(family, None).unwrap();
    let mut block = family.alloc(SIZE, &[]).unwrap();
    block.write(0, b"begin");
    block.write(SIZE - 3, b"end");
    q.try_put(1, b"", Some(block)).unwrap();
    let block = q.try_get(&mut Vec::new()).unwrap().unwrap().block.unwrap();
    let mut ends = ([0; 5], [0; 3]);
    block.read(0, &mut ends.0);
    block.read(SIZE - 3, &mut ends.1);
    assert_eq!((&ends.0, &ends.1), (b"begin", b"end"));
    drop(block);
    assert!(family.stats().arena_bytes < 1 << 30, "large blocks are given back");
    sound(family);
});

alone!(a_full_arena_is_an_error_and_the_queue_goes_on {
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(32 << 20));
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    let mut n = 0;
    let back = loop {
        match q.put(vec![n as u8; 1 << 20]) {
            Ok(()) => n += 1,
            Err(PutError::Arena(back, ArenaError::Full { .. })) => break back,
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(back.len(), 1 << 20, "the value comes back");
    assert!((20..32).contains(&n), "{n} messages fit");
    assert_eq!(q.len(), n);
    for i in 0..n {
        assert_eq!(q.get().unwrap(), vec![i as u8; 1 << 20]);
    }
    q.put(back).unwrap();
    q.get().unwrap();
    // What is idle in blocks of one size serves another size.
    drop(family.alloc(25 << 20, &[]).unwrap());
    drop(q);
    sound(family);
});

alone!(small_messages_fill_the_arena_too {
    let family = Family::current().unwrap();
    family.set_memory_limit(Some(4 << 20));
    let q = RawQueue::create(family, None).unwrap();
    let mut n = 0u64;
    while q.try_put(1, &n.to_le_bytes(), None).is_ok() {
        n += 1;
    }
    assert!(matches!(q.try_put(1, b"more", None), Err(TryPutError::Arena(ArenaError::Full { .. }, None))));
    let mut bytes = Vec::new();
    for i in 0..n {
        q.try_get(&mut bytes).unwrap().unwrap();
        assert_eq!(bytes, i.to_le_bytes());
    }
    q.try_put(1, b"more", None).unwrap();
    drop(q);
    sound(family);
});

alone!(idle_memory_goes_back_to_the_kernel {
    let family = Family::current().unwrap();
    if family.memory_limit() < 600 << 20 {
        println!("skipped: this needs 600 MiB of memory");
        std::process::exit(0);
    }
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    for _ in 0..400 {
        q.put(vec![1; 1 << 20]).unwrap();
    }
    assert!(family.stats().arena_bytes > 400 << 20);
    for _ in 0..400 {
        q.get().unwrap();
    }
    let stats = family.stats();
    assert!(stats.arena_bytes < 300 << 20, "{stats:?}");
    drop(q);
    sound(family);
});

alone!(a_low_limit_of_address_space_after_attaching_is_no_obstacle {
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    let two = Some(2 << 30);
    setrlimit(Resource::As, Rlimit { current: two, maximum: two }).unwrap();
    for _ in 0..200 {
        q.put(vec![5; 1 << 20]).unwrap();
    }
    for _ in 0..200 {
        assert_eq!(q.get().unwrap(), vec![5; 1 << 20]);
    }
    let error = Family::current().unwrap().alloc(3 << 30, &[]).unwrap_err();
    assert!(matches!(error, ArenaError::Full { .. }), "{error}");
    q.put(vec![6]).unwrap();
});

alone!(a_low_limit_of_file_size_makes_a_smaller_arena {
    let limit = Some(1 << 30);
    setrlimit(Resource::Fsize, Rlimit { current: limit, maximum: limit }).unwrap();
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    q.put(vec![1; 10 << 20]).unwrap();
    assert_eq!(q.get().unwrap().len(), 10 << 20);
    let family = Family::current().unwrap();
    assert!(family.alloc(990 << 20, &[]).is_err(), "larger than the file");
});

alone!(no_file_at_all_is_one_sentence {
    setrlimit(Resource::Fsize, Rlimit { current: Some(4096), maximum: Some(4096) }).unwrap();
    let error = Queue::<u8>::unbounded().unwrap_err().to_string();
    assert!(error.contains("RLIMIT_FSIZE"), "{error}");
});

alone!(a_closed_descriptor_is_an_error_and_nobody_elses_file_is_touched {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    let family = Family::current().unwrap();
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    q.put(vec![1; 1 << 20]).unwrap();
    let number = family.fd().as_raw_fd();
    // SAFETY: what a program does that closes every descriptor; the number is another file then.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    let path = std::env::temp_dir().join(format!("procession-{}", std::process::id()));
    std::fs::write(&path, vec![7; 1 << 20]).unwrap();
    let other = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(other.as_raw_fd(), number);
    assert_eq!(q.get().unwrap(), vec![1; 1 << 20], "what is mapped goes on");
    q.put(vec![2; 1 << 20]).unwrap();
    assert_eq!(q.get().unwrap(), vec![2; 1 << 20]);
    let error = q.put(vec![2; 90 << 20]).unwrap_err().to_string();
    assert!(error.contains("was closed by this program"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 1 << 20]);
    std::fs::remove_file(path).unwrap();
});

alone!(a_scribbled_arena_is_an_error_never_a_crash {
    let family = Family::current().unwrap();
    let q = RawQueue::create(family, NonZeroU64::new(1 << 40)).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    // A message of one block, whose bytes are then read again as if they were a record's.
    let mut errors = 0;
    for _ in 0..2000 {
        q.try_put(1, &random().to_le_bytes(), None).unwrap();
        scribble(family, random());
        let mut bytes = Vec::new();
        match q.try_get(&mut bytes) {
            Ok(_) => {}
            Err(ArenaError::Corrupt(_) | ArenaError::Full { .. }) => {
                errors += 1;
                break;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(errors, 1, "no scribble was noticed");
});

/// Overwrites a word in the ring's first segments.
fn scribble(family: Family, random: u64) {
    // The data begins where the tables end; the first pages there are entries and segments.
    let data = 0x4_2400_0000u64;
    let at = data + 4096 + (random % 2048) * 8;
    rustix::io::pwrite(family.fd(), &random.rotate_left(17).to_le_bytes(), at).unwrap();
}

alone!(a_segfault_dumps_no_arena {
    use std::os::unix::process::ExitStatusExt;
    let q: Queue<Vec<u8>> = Queue::unbounded().unwrap();
    q.put(vec![1; 1 << 20]).unwrap();
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let arena: Vec<_> = maps.split_inclusive("VmFlags:").collect();
    let marked = arena
        .windows(2)
        .filter(|w| w[0].contains("memfd:procession"))
        .all(|w| w[1].lines().next().is_some_and(|flags| flags.contains(" dd")));
    assert!(marked, "every mapping of the arena is marked MADV_DONTDUMP");
    // And one that dies so leaves the others whole.
    let crash = start("segfault", "segfault", &[("QUEUE", hex(&q.handle()))]);
    let mut child = crash.child;
    assert_eq!(child.wait().unwrap().signal(), Some(11));
    assert_eq!(q.get().unwrap().len(), 1 << 20);
    drop(q);
    sound(Family::current().unwrap());
});

#[test]
fn segfault() {
    if role().as_deref() == Some("segfault") {
        let q: Queue<Vec<u8>> = Queue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
        let none = Some(0);
        setrlimit(Resource::Core, Rlimit { current: none, maximum: none }).unwrap();
        assert_eq!(q.len(), 1);
        // Rust's own handler sees the first one and stands aside.
        loop {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::SEGV).unwrap();
        }
    }
}

alone!(who_execs_away_is_gone {
    let family = Family::current().unwrap();
    let q: Queue<u8> = Queue::unbounded().unwrap();
    let mut child = start("exec_away", "exec_away", &[("QUEUE", hex(&q.handle()))]);
    assert_eq!(child.hear(), "attached");
    let begun = std::time::Instant::now();
    // Still the same process, but it has no arena any more.
    while family.stats().participants.len() > 1 {
        assert!(begun.elapsed() < support::LIMIT, "{:?}", family.stats());
        family.sweep().unwrap();
        std::thread::yield_now();
    }
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    drop(q);
    sound(family);
});

#[test]
fn exec_away() {
    use std::os::unix::process::CommandExt;
    if role().as_deref() == Some("exec_away") {
        let q: Queue<u8> = Queue::from_handle(&unhex(&argument("QUEUE"))).unwrap();
        say("attached");
        assert!(q.is_empty());
        panic!("{}", std::process::Command::new("sleep").arg("60").exec());
    }
}
