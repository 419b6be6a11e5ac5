//! Connections as a program uses them: order, ends, descriptors, many, large, forged, scribbled over.
//!
//! What needs an arena or limits of its own plays in a process of its own.
#![allow(missing_docs)]

mod support;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use procession::{
    Connection, End, Family, GetError, HandleError, PutError, RawConnection, RawQueue,
    TrySendError, Wait, pipe, simplex,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{alone, argument, hex, inherited, role, say, start_with, unhex};

const LONG: Duration = Duration::from_secs(20);

fn raw_pair() -> (RawConnection, RawConnection) {
    RawConnection::pair(Family::current().unwrap(), true).unwrap()
}

fn is_readable(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
}

fn somebody_waits() -> bool {
    Family::current().unwrap().stats().participants.iter().any(|p| p.waiting_on.is_some())
}

#[test]
fn both_directions_keep_their_order() {
    let (a, b) = pipe::<(u32, String)>().unwrap();
    for i in 0..1000 {
        a.send((i, "to b".into())).unwrap();
        b.send((i, "to a".into())).unwrap();
    }
    for i in 0..1000 {
        assert_eq!(b.recv().unwrap(), (i, "to b".to_string()));
        assert_eq!(a.recv().unwrap(), (i, "to a".to_string()));
    }
}

#[test]
fn the_rest_comes_before_the_end() {
    let (receiver, sender) = simplex().unwrap();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    drop(sender);
    assert!(receiver.poll(Duration::ZERO));
    assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (1, 2));
    assert!(receiver.poll(Duration::ZERO), "the end can be received, too");
    for _ in 0..3 {
        assert!(matches!(receiver.recv(), Err(GetError::Closed)));
        assert!(matches!(receiver.try_recv(), Err(GetError::Closed)));
        assert!(matches!(receiver.recv_timeout(LONG), Err(GetError::Closed)));
    }
}

#[test]
fn nobody_reads_any_more() {
    let (receiver, sender) = simplex::<String>().unwrap();
    let copy = Connection::<String>::from_parts(
        &receiver.handle(),
        receiver.fd().try_clone_to_owned().unwrap(),
    )
    .unwrap();
    drop(receiver);
    sender.send("a copy is left".into()).unwrap();
    drop(copy);
    match sender.send("back".into()) {
        Err(PutError::Closed(value)) => assert_eq!(value, "back"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_pipe_makes_its_sender_wait() {
    let (receiver, sender) = simplex().unwrap();
    let big = vec![7u8; 100_000];
    let mut sent = 0u64;
    while sender.try_send(big.clone()).is_ok() {
        sent += 1;
    }
    assert!((4..100).contains(&sent), "{sent} messages of 100 kB");
    assert!(sender.send_timeout(big.clone(), Duration::from_millis(1)).unwrap_err().is_full());
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(vec![8u8; 3]));
        while !somebody_waits() && !blocked.is_finished() {
            thread::yield_now();
        }
        for _ in 0..sent {
            assert_eq!(receiver.recv().unwrap(), big);
        }
        assert_eq!(receiver.recv().unwrap(), [8; 3]);
        blocked.join().unwrap().unwrap();
    });
}

#[test]
fn a_blocked_sender_hears_of_the_close() {
    let (receiver, sender) = simplex().unwrap();
    while sender.try_send(vec![7u8; 100_000]).is_ok() {}
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(vec![0; 100_000]));
        while !somebody_waits() && !blocked.is_finished() {
            thread::yield_now();
        }
        drop(receiver);
        assert!(matches!(blocked.join().unwrap(), Err(PutError::Closed(_))));
    });
}

#[test]
fn a_message_that_is_alone_may_be_of_any_size() {
    let (a, b) = pipe::<Vec<u8>>().unwrap();
    let large = vec![9; 10 << 20];
    a.try_send(large.clone()).unwrap();
    assert!(a.try_send(vec![1]).unwrap_err().is_full());
    assert_eq!(b.recv().unwrap(), large);
    a.try_send(vec![1]).unwrap();
}

#[test]
fn threads_share_an_end() {
    const EACH: u64 = 5000;
    let (a, b) = pipe::<u64>().unwrap();
    let sum: u64 = thread::scope(|scope| {
        for t in 0..2 {
            let a = &a;
            scope.spawn(move || (0..EACH).for_each(|i| a.send(t * EACH + i).unwrap()));
        }
        let receivers = [(); 2].map(|()| {
            scope.spawn(|| (0..EACH).map(|_| b.recv_timeout(LONG).unwrap()).sum::<u64>())
        });
        receivers.into_iter().map(|r| r.join().unwrap()).sum()
    });
    assert_eq!(sum, (0..2 * EACH).sum());
    assert!(b.try_recv().is_err());
}

#[test]
fn the_descriptor_is_readable_while_there_is_a_message() {
    let (a, b) = raw_pair();
    a.try_send(1, b"before anybody asked", None).unwrap();
    let mut bytes = Vec::new();
    let fd = b.fd().try_clone_to_owned().unwrap();
    assert_eq!(b.selectable_fd().unwrap(), b.fd().as_raw_fd());
    assert!(is_readable(&fd));
    assert!(b.try_recv(&mut bytes).unwrap().is_some());
    for _ in 0..3 {
        assert!(!is_readable(&fd), "nothing to read");
        a.try_send(1, b"one", None).unwrap();
        a.try_send(1, b"two", None).unwrap();
        assert!(is_readable(&fd));
        assert!(b.try_recv(&mut bytes).unwrap().is_some());
        assert!(is_readable(&fd), "one of two was taken");
        assert!(b.try_recv(&mut bytes).unwrap().is_some());
    }
    assert!(!is_readable(&fd));
    drop(a);
    assert!(is_readable(&fd), "the end");
    assert_eq!(b.wait_for_message(None), Wait::HungUp);
}

#[test]
fn one_poll_costs_no_lasting_readiness() {
    let (a, b) = raw_pair();
    assert!(b.arm().unwrap());
    assert!(!is_readable(b.fd()));
    a.try_send(1, b"", None).unwrap();
    assert!(is_readable(b.fd()));
    assert!(!b.arm().unwrap(), "a message is there");
    b.try_recv(&mut Vec::new()).unwrap();
    assert!(b.arm().unwrap());
    assert!(!is_readable(b.fd()));
}

/// A program may send through the socket what only a socket carries.
#[test]
fn bytes_of_the_program_pass_beside_the_bell() {
    let (a, b) = raw_pair();
    rustix::net::send(a.fd(), b"D", rustix::net::SendFlags::empty()).unwrap();
    b.selectable_fd().unwrap(); // eats the bell's byte, and no other
    let mut byte = [0];
    let flags = rustix::net::RecvFlags::DONTWAIT;
    rustix::net::recv(b.fd(), &mut byte[..], flags).unwrap();
    assert_eq!(&byte, b"D");
    assert!(!is_readable(b.fd()));
    a.try_send(1, b"message", None).unwrap();
    assert!(is_readable(b.fd()));
}

#[test]
fn a_bare_descriptor_finds_its_pipe() {
    let (a, b) = raw_pair();
    a.try_send(1, b"there", None).unwrap();
    let copy = b.fd().try_clone_to_owned().unwrap();
    let found = RawConnection::find(copy).unwrap();
    let mut bytes = Vec::new();
    found.try_recv(&mut bytes).unwrap().unwrap();
    assert_eq!(bytes, b"there");
    let (reader, writer) = RawConnection::pair(Family::current().unwrap(), false).unwrap();
    let reader = RawConnection::find(reader.into_fd()).unwrap();
    assert!(reader.is_readable() && !reader.is_writable());
    writer.try_send(2, b"", None).unwrap();
    assert!(reader.has_message());
}

#[test]
fn other_descriptors_find_none() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let number = ours.as_raw_fd();
    let back = RawConnection::find(OwnedFd::from(ours)).unwrap_err();
    assert_eq!(back.as_raw_fd(), number);
    assert!(RawConnection::find(std::fs::File::open("/dev/null").unwrap().into()).is_err());
}

#[test]
fn forged_handles_are_errors() {
    let (a, b) = raw_pair();
    let copy = |c: &RawConnection| c.fd().try_clone_to_owned().unwrap();
    let parts = |bytes: &[u8], fd| RawConnection::from_parts(bytes, fd);
    assert!(matches!(parts(&a.handle(), copy(&b)), Err(HandleError::WrongSocket)));
    assert!(matches!(parts(b"", copy(&a)), Err(HandleError::Malformed)));
    assert!(matches!(parts(&[0], copy(&a)), Err(HandleError::Malformed)));
    let other = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(parts(&a.handle(), other.into()), Err(HandleError::WrongSocket)));
    let queue = RawQueue::create(Family::current().unwrap(), None).unwrap();
    let as_pipe = [&[1][..], &queue.handle()].concat();
    assert!(matches!(parts(&as_pipe, copy(&a)), Err(HandleError::Malformed)));
    assert!(matches!(RawQueue::from_handle(&a.handle()[1..65]), Err(HandleError::Malformed)));
    let good = a.handle();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // Some bits are only of use to a stranger; never a crash, and never another's end.
        if let Ok(same) = parts(&bad, copy(&a)) {
            assert!(same.is_readable() || same.is_writable());
        }
    }
    a.try_send(1, b"", None).unwrap();
    assert!(b.has_message());
}

alone!(a_thousand_pipes_have_two_descriptors_each {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let family = Family::current().unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let pipes: Vec<_> = (0..1000).map(|_| pipe::<u32>().unwrap()).collect();
    assert_eq!(descriptors(), before + 2000);
    for ((a, b), i) in pipes.iter().zip(0..) {
        a.send(i).unwrap();
        b.send(i + 1).unwrap();
    }
    for ((a, b), i) in pipes.iter().zip(0..) {
        assert_eq!((a.recv().unwrap(), b.recv().unwrap()), (i + 1, i));
    }
    assert_eq!(family.stats().pipes, 2000);
    drop(pipes);
    assert_eq!(descriptors(), before);
    assert_eq!(family.stats().pipes, 0);
    assert_eq!(family.check(), [""; 0]);
});

alone!(a_gibibyte_passes {
    let family = Family::current().unwrap();
    if family.memory_limit() < 3 << 30 {
        println!("skipped: this needs 3 GiB of memory");
        std::process::exit(0);
    }
    const SIZE: usize = 1 << 30;
    let (a, b) = raw_pair();
    let mut block = family.alloc(SIZE, &[]).unwrap();
    block.write(SIZE - 3, b"end");
    a.try_send(1, b"", Some(block)).unwrap();
    let block = b.try_recv(&mut Vec::new()).unwrap().unwrap().block.unwrap();
    let mut end = [0; 3];
    block.read(SIZE - 3, &mut end);
    assert_eq!(&end, b"end");
});

alone!(without_descriptors_there_is_an_error {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let (a, b) = pipe().unwrap();
    let limit = Rlimit { current: Some(u64::from(a.fd().as_raw_fd().cast_unsigned()) + 2), maximum: Some(4096) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let error = pipe::<u8>().unwrap_err().to_string();
    assert!(error.contains("no pair of sockets could be made"), "{error}");
    a.send(1).unwrap();
    assert_eq!(b.recv().unwrap(), 1);
    assert_eq!(Family::current().unwrap().stats().pipes, 2, "the failed one left nothing");
});

alone!(scribbled_rings_and_bells_are_errors_never_a_hang {
    let family = Family::current().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..300 {
        let (a, b) = raw_pair();
        let mut bytes = Vec::new();
        for _ in 0..4 {
            let _ = a.try_send(1, &[7; 100], None);
            scribble(family, &a, round, random());
            let _ = b.try_recv(&mut bytes);
            let _ = b.selectable_fd();
            let _ = b.arm();
            let _ = b.wait_for_message(Some(Instant::now()));
            match a.try_send(1, &[8; 60], None) {
                Ok(()) | Err(TrySendError::Arena(..)) => {}
                Err(TrySendError::Full(_)) => {
                    let soon = Instant::now() + Duration::from_millis(1);
                    let _ = a.wait_for_room(60, None, Some(soon));
                }
                Err(e) => panic!("{e:?}"),
            }
        }
        // What is damaged is not taken apart.
        std::mem::forget((a, b));
    }
});

/// Overwrites a word of the pipe's own data: its counts, cursors, bell and limits, or its first
/// segment. Locks and the life of the object are other tests' matter.
fn scribble(family: Family, a: &RawConnection, round: u64, random: u64) {
    const OBJECTS: u64 = 4 * 4096 + 4096 * 256;
    let index = u64::from(u32::from_le_bytes(a.handle()[29..33].try_into().unwrap()));
    let slot = OBJECTS + index * 512;
    let (at, value) = match round % 3 {
        // capacity …, tail (but its lock), head (but its lock)
        0 => (
            slot + [32, 40, 76, 136, 144, 152, 160, 168, 264, 272, 280][random as usize % 11],
            random,
        ),
        1 => (slot + [136, 144, 152, 264, 272, 280][random as usize % 6], random % (1 << 48)),
        _ => (0x4_2400_0000 + 4096 + (random % 2048) * 8, random.rotate_left(17)),
    };
    let bytes = value.to_le_bytes();
    let len = if at % 8 == 0 { 8 } else { 4 };
    rustix::io::pwrite(family.fd(), &bytes[..len], at).unwrap();
}

#[test]
fn child() {
    let Some(role) = role().filter(|r| r.starts_with("child ")) else {
        return;
    };
    let end = Connection::<u64>::from_parts(&unhex(&argument("END")), inherited()).unwrap();
    match role.as_str() {
        "child sends and hangs" => {
            (0..3).for_each(|i| end.send(i).unwrap());
            say("sent");
        }
        "child reads never" => say("here"),
        other => panic!("no role is called {other}"),
    }
    loop {
        thread::park();
    }
}

/// A process that has the only copy of an end, and is killed when it has said something.
fn killed_with(end: Connection<u64>, role: &str) -> impl FnOnce() {
    let arguments = [("END", hex(&end.handle()))];
    let mut child = start_with("child", role, &arguments, Some(end.fd()));
    drop(end);
    child.hear();
    move || {
        child.child.kill().unwrap();
        child.finish();
    }
}

#[test]
fn the_end_of_a_killed_process_is_the_end() {
    let (here, there) = pipe::<u64>().unwrap();
    let kill = killed_with(there, "child sends and hangs");
    assert_eq!(here.recv().unwrap(), 0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let rest = [here.recv().unwrap(), here.recv().unwrap()];
            (rest, here.recv())
        });
        kill();
        let (rest, end) = reader.join().unwrap();
        assert_eq!(rest, [1, 2], "what was sent before is still there");
        assert!(matches!(end, Err(GetError::Closed)));
    });
    assert!(matches!(here.send(1), Err(PutError::Closed(1))));
}

#[test]
fn a_blocked_sender_hears_that_its_reader_was_killed() {
    let (here, there) = pipe::<u64>().unwrap();
    let kill = killed_with(there, "child reads never");
    while here.try_send(7).is_ok() {}
    thread::scope(|scope| {
        let blocked = scope.spawn(|| here.send(8));
        while !somebody_waits() && !blocked.is_finished() {
            thread::yield_now();
        }
        kill();
        assert!(matches!(blocked.join().unwrap(), Err(PutError::Closed(8))));
    });
}

/// The child of a fork has both ends, whatever other threads were doing.
#[test]
fn a_fork_shares_the_ends() {
    if role().is_some() {
        return;
    }
    let (a, b) = pipe::<u64>().unwrap();
    thread::scope(|scope| {
        let busy = scope.spawn(|| (0..2000).for_each(|i| a.send(i).unwrap()));
        // SAFETY: the child uses only this library and then leaves at once.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let ok = b.send(77).is_ok() && b.raw().settle(End::Tail).is_ok();
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(i32::from(!ok)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0);
        assert_eq!(a.recv_timeout(LONG).unwrap(), 77);
        busy.join().unwrap();
    });
    assert!((0..2000).all(|i| b.recv().unwrap() == i));
}
