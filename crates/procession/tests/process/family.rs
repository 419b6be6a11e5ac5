//! What travels to a process and back, and what it leaves behind in its family.

use std::io::BufRead;

use procession::sync::Ended;
use procession::{
    Acquired, Connection, Family, JoinError, Process, ProcessBuilder, Queue, RawLock, SharedDict,
    SharedList, pipe, simplex,
};

use rustix::process::Signal;

use crate::harness::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    handles_outlive_those_that_were_given,
    a_handle_as_the_value,
    a_value_that_nobody_takes,
    ends_of_pipes,
    the_same_end_twice,
    a_handle_of_another_family,
    a_lock_tells_who_left_it,
];

fn handles_outlive_those_that_were_given() {
    let copy = |(jobs, dict): (Queue<u32>, SharedDict<u32, String>)| {
        jobs.get_many(100).unwrap().iter().for_each(|n| {
            dict.insert(n, &n.to_string()).unwrap();
        });
        dict
    };
    let (jobs, dict) = (Queue::unbounded().unwrap(), SharedDict::new().unwrap());
    jobs.put_many(0..10).unwrap();
    let process = Process::spawn(copy, (jobs, dict)).unwrap();
    let dict = process.join().unwrap();
    assert_eq!(dict.len().unwrap(), 10);
    assert_eq!(dict.get(&7).unwrap().as_deref(), Some("7"));
}

fn lists(n: u32) -> Vec<SharedList<u32>> {
    let list = |n| {
        let list = SharedList::new().unwrap();
        list.push(&n).unwrap();
        list
    };
    (0..n).map(list).collect()
}

fn a_handle_as_the_value() {
    let lists = Process::spawn(lists, 3).unwrap().join().unwrap();
    let values: Vec<_> = lists.iter().map(|list| list.values().unwrap()).collect();
    assert_eq!(values, [[0], [1], [2]]);
}

fn a_value_that_nobody_takes() {
    let process = Process::spawn(lists, 3).unwrap();
    process.wait().unwrap();
    let family = Family::current().unwrap();
    family.sweep().unwrap();
    assert_eq!(family.stats().collections, 3);
    drop(process);
    family.sweep().unwrap();
    assert_eq!(family.stats().collections, 0);
}

fn ends_of_pipes() {
    type Ends = (Connection<u32>, Vec<Connection<String>>);
    let echo = |(asked, more): Ends| {
        while let Ok(n) = asked.recv() {
            asked.send(n + 1).unwrap();
        }
        more.iter().enumerate().for_each(|(i, end)| end.send(format!("end {i}")).unwrap());
    };
    let (ask, asked) = pipe().unwrap();
    let (readers, writers): (Vec<_>, Vec<_>) = (0..5).map(|_| simplex().unwrap()).unzip();
    let process = Process::spawn(echo, (asked, writers)).unwrap();
    ask.send(1).unwrap();
    assert_eq!(ask.recv().unwrap(), 2);
    drop(ask);
    for (i, reader) in readers.iter().enumerate() {
        assert_eq!(reader.recv().unwrap(), format!("end {i}"));
        assert!(reader.recv().is_err(), "there is no other copy of its other end");
    }
    process.join().unwrap();
}

fn the_same_end_twice() {
    let both = |(a, b): (Connection<u8>, Connection<u8>)| {
        a.send(1).unwrap();
        drop(a);
        b.send(2).unwrap();
    };
    let (here, there) = pipe().unwrap();
    let same = Connection::from_parts(&there.handle(), there.fd().try_clone_to_owned().unwrap());
    Process::spawn(both, (there, same.unwrap())).unwrap().join().unwrap();
    assert_eq!((here.recv().unwrap(), here.recv().unwrap()), (1, 2));
    assert!(here.recv().is_err());
}

fn a_handle_of_another_family() {
    // In a process of its own: it stays a member of both until it ends.
    let in_both = |(): ()| {
        let (mut other, lines) = crate::start::other_family();
        let mut lines = lines.lines().map(Result::unwrap);
        let hex = lines.next().unwrap();
        let digits = (0..hex.len()).step_by(2);
        let handle: Vec<u8> =
            digits.map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let foreign: Queue<u32> = Queue::from_handle(&handle).unwrap();
        let own: Queue<u32> = Queue::unbounded().unwrap();
        let put = |(foreign, own): (Queue<u32>, Queue<u32>)| {
            own.put(1).unwrap();
            foreign.put(7).unwrap();
        };
        let process = Process::spawn(put, (foreign, own.clone())).unwrap();
        assert_eq!(lines.next().unwrap(), "7");
        process.join().unwrap();
        assert!(other.wait().unwrap().success());
        own.get().unwrap()
    };
    assert_eq!(Process::spawn(in_both, ()).unwrap().join().unwrap(), 1);
}

fn take_and_end((lock, code): (RawLock, Option<i32>)) -> u32 {
    assert!(lock.try_acquire().unwrap().is_some());
    match code {
        Some(code) => std::process::exit(code),
        None => crate::end_by(Signal::USR1),
    }
}

fn a_lock_tells_who_left_it() {
    for (code, how) in [(Some(3), Ended::Exited(3)), (None, Ended::Signalled(libc::SIGUSR1))] {
        let lock = RawLock::create(Family::current().unwrap(), false).unwrap();
        let builder = ProcessBuilder::new().name("careless");
        let same = RawLock::from_handle(&lock.handle()).unwrap();
        let process = builder.spawn(take_and_end, (same, code)).unwrap();
        let pid = process.pid();
        assert!(matches!(process.join(), Err(JoinError::Exited { .. } | JoinError::Killed { .. })));
        match lock.try_acquire().unwrap() {
            Some(Acquired::Abandoned(by)) => {
                assert_eq!((by.pid, by.name.as_str(), by.ended), (pid, "careless", Some(how)));
            }
            other => panic!("{other:?}"),
        }
        lock.release().unwrap();
    }
}
