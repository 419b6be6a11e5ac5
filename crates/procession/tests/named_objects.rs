//! What processes find in a family by its name.
#![allow(missing_docs)]

mod support;

use procession::{Family, GetError, NamedError, Queue, SharedList};
use support::folder::{Folder, Player, open, stay};
use support::{fork, role, say, start};

/// The children of all tests.
#[test]
fn plays() {
    match role().as_deref() {
        Some("member") => {
            open();
            stay();
        }
        Some("producer") => {
            let family = open().unwrap();
            let queue = family.queue("numbers", None).unwrap();
            queue.put_many(0..3).unwrap();
            say("done");
            stay();
        }
        Some("consumer") => {
            let queue: Queue<i32> = open().unwrap().queue("numbers", None).unwrap();
            say(&format!("{:?}", queue.get_many(10)));
        }
        Some("names") => {
            let family = open().unwrap();
            names_of_all(family);
            stay();
        }
        _ => return,
    }
    std::process::exit(0);
}

#[test]
fn what_a_killed_process_left_in_a_queue_is_there_for_the_next() {
    let folder = Folder::new();
    let mut keeper = folder.start("plays", "member", "shop", &[]);
    keeper.hear();
    let mut producer = folder.start("plays", "producer", "shop", &[]);
    producer.hear();
    assert_eq!(producer.hear(), "done");
    producer.kill();
    let consumer = folder.start("plays", "consumer", "shop", &[]);
    assert_eq!(consumer.release()[1], "Ok([0, 1, 2])");
    keeper.release();
}

const QUEUES: u32 = 40;

/// Makes or finds all names, and leaves a word behind each.
fn names_of_all(family: Family) {
    let me = std::process::id();
    for n in 0..QUEUES {
        let name = format!("queue {n}");
        family.queue::<u32>(&name, Some(100)).unwrap().put(me).unwrap();
        family.value(&format!("value {n}"), &me).unwrap();
    }
    say("done");
}

#[test]
fn names_that_many_make_at_once_stand_for_one_object_each() {
    let folder = Folder::new();
    let told = [("PROCESSION_FAMILY_DIR", folder.0.to_str().unwrap().to_owned())];
    let (lines, status) = start("looks_at_names", "looks_at_names", &told).finish();
    assert!(status.success() && lines.last().is_some_and(|l| l == "sound"), "{lines:?}");
    assert_eq!(folder.entries(), [""; 0]);
}

/// Of the test above: a process whose arena is looked at as a whole.
#[test]
fn looks_at_names() {
    if role().as_deref() != Some("looks_at_names") {
        return;
    }
    let folder = Folder(argument_of_library());
    let family = Family::open("naming").unwrap();
    let mut all: Vec<_> = (0..6).map(|_| folder.start("plays", "names", "naming", &[])).collect();
    let mut pids: Vec<u32> = all.iter().map(Player::pid).collect();
    pids.sort_unstable();
    for one in &mut all {
        assert_eq!(one.hear(), family.id().to_string());
        assert_eq!(one.hear(), "done");
    }
    all.pop().unwrap().kill();
    for one in all {
        one.release();
    }
    for n in 0..QUEUES {
        let queue = family.queue::<u32>(&format!("queue {n}"), None).unwrap();
        let mut found = queue.get_many(100).unwrap();
        found.sort_unstable();
        assert_eq!(found, pids, "queue {n}");
        let value = family.value::<u32>(&format!("value {n}"), &0).unwrap().get().unwrap();
        assert!(pids.contains(&value));
    }
    family.sweep().unwrap();
    assert_eq!(family.check(), [""; 0]);
    let stats = family.stats();
    assert_eq!((stats.queues, stats.collections), (QUEUES.into(), u64::from(QUEUES) + 1));
    assert_eq!(family.names().unwrap().len(), 2 * QUEUES as usize);
    for (name, _) in family.names().unwrap() {
        assert!(family.remove(&name).unwrap());
    }
    assert_eq!((family.stats().queues, family.stats().collections), (0, 1));
    assert_eq!(family.check(), [""; 0]);
    say("sound");
    std::mem::forget(folder); // it is the other's
    std::process::exit(0);
}

fn argument_of_library() -> std::path::PathBuf {
    std::env::var_os("PROCESSION_FAMILY_DIR").unwrap().into()
}

support::alone!(names_of_every_kind {
    let family = Family::current().unwrap();
    family.queue::<i32>("queue", Some(7)).unwrap();
    family.joinable_queue("joinable_queue", None).unwrap().put(6).unwrap();
    family.lifo_queue("lifo_queue", Some(3)).unwrap().put_many([1, 2]).unwrap();
    family.priority_queue("priority_queue", None).unwrap().put_many([2, 1]).unwrap();
    family.dict::<String, i32>("dict").unwrap().insert("a", &1).unwrap();
    family.list::<i32>("list").unwrap().push(&2).unwrap();
    family.value("value", &3).unwrap();
    *family.mutex("mutex", &8).unwrap().lock().unwrap() += 1;
    *family.rwlock("rwlock", &9).unwrap().write().unwrap() += 1;
    family.lock("lock").unwrap().acquire().unwrap().leak();
    family.rlock("rlock").unwrap();
    family.semaphore("semaphore", 4).unwrap();
    family.bounded_semaphore("bounded_semaphore", 4).unwrap();
    family.event("event").unwrap().set();
    family.condition("condition").unwrap();
    family.barrier("barrier", 5).unwrap();
    let kinds: Vec<_> = family.names().unwrap();
    assert_eq!(kinds.len(), 16);
    assert!(kinds.iter().all(|(name, kind)| name == kind), "in this test only: {kinds:?}");

    assert_eq!(family.queue::<i32>("queue", None).unwrap().capacity(), Some(7));
    let jobs = family.joinable_queue::<i32>("joinable_queue", None).unwrap();
    assert_eq!((jobs.get().unwrap(), jobs.unfinished()), (6, 1));
    assert_eq!(family.lifo_queue::<i32>("lifo_queue", Some(3)).unwrap().get().unwrap(), 2);
    assert_eq!(family.priority_queue::<i32>("priority_queue", None).unwrap().get().unwrap(), 1);
    assert!(family.lifo_queue::<i32>("lifo_queue", Some(4)).is_err());
    assert_eq!(family.dict::<String, i32>("dict").unwrap().get("a").unwrap(), Some(1));
    assert_eq!(family.list::<i32>("list").unwrap().values().unwrap(), [2]);
    assert_eq!(family.value("value", &30).unwrap().get().unwrap(), 3);
    assert_eq!(*family.mutex("mutex", &80).unwrap().lock().unwrap(), 9);
    assert_eq!(*family.rwlock("rwlock", &90).unwrap().read().unwrap(), 10);
    assert!(family.lock("lock").unwrap().is_held());
    assert_eq!(family.rlock("rlock").unwrap().depth(), 0);
    assert_eq!(family.semaphore("semaphore", 40).unwrap().value(), 4);
    assert!(family.bounded_semaphore("bounded_semaphore", 4).unwrap().release(1).is_err());
    assert!(family.event("event").unwrap().is_set());
    assert_eq!(family.condition("condition").unwrap().1.depth(), 0);
    assert_eq!(family.barrier("barrier", 5).unwrap().parties(), 5);
    family.lock("lock").unwrap().release().unwrap();
    assert_eq!(family.check(), [""; 0]);
});

support::alone!(what_a_name_does_not_stand_for {
    let family = Family::current().unwrap();
    family.queue::<i32>("it", Some(7)).unwrap();
    let text = |e: NamedError| e.to_string();
    let error = family.dict::<i32, i32>("it").unwrap_err();
    assert!(matches!(&error, NamedError::Kind { found, wanted, .. }
        if found == "queue" && wanted == "dict"));
    assert_eq!(text(error), "\"it\" is a queue, and no dict");
    assert!(matches!(family.find::<SharedList<i32>>("it"), Err(NamedError::Kind { .. })));
    assert!(family.find::<SharedList<i32>>("that").unwrap().is_none());
    let error = family.queue::<i32>("it", Some(8)).unwrap_err();
    assert_eq!(text(error), "\"it\" has capacity 7, and not 8");
    family.queue::<i32>("wide", None).unwrap();
    let error = family.queue::<i32>("wide", Some(8)).unwrap_err();
    assert_eq!(text(error), "\"wide\" has capacity without bound, and not 8");
    family.barrier("start", 2).unwrap();
    assert_eq!(text(family.barrier("start", 3).unwrap_err()), "\"start\" has parties 2, and not 3");
    family.bounded_semaphore("seats", 2).unwrap();
    let error = family.bounded_semaphore("seats", 3).unwrap_err();
    assert_eq!(text(error), "\"seats\" has permits 2, and not 3");
    family.lock("printer").unwrap();
    assert!(matches!(family.rlock("printer"), Err(NamedError::Kind { .. })));
    assert_eq!(family.stats().queues, 2, "what failed made nothing");
    assert_eq!(family.check(), [""; 0]);
});

support::alone!(an_object_outlives_its_name_as_long_as_somebody_has_it {
    let family = Family::current().unwrap();
    let queue = family.queue("jobs", None).unwrap();
    queue.put(1).unwrap();
    assert!(family.remove("jobs").unwrap());
    assert!(family.find::<Queue<i32>>("jobs").unwrap().is_none());
    let other: Queue<i32> = family.queue("jobs", None).unwrap();
    assert!(matches!(other.try_get(), Err(GetError::Empty)));
    assert_eq!(queue.get().unwrap(), 1);
    let handle = queue.handle();
    drop(queue);
    assert!(Queue::<i32>::from_handle(&handle).is_err());
    drop(other);
    assert_eq!(family.queue::<i32>("jobs", None).unwrap().len(), 0, "a name keeps it");
    assert_eq!((family.stats().queues, family.check()), (1, vec![]));
});

support::alone!(the_directory_lives_as_long_as_its_family {
    let family = Family::current().unwrap();
    let (died, id) = (fork(|| drop(family.event("set").map(|e| e.set()))), family.id());
    assert_eq!(died.wait(), 0);
    family.sweep().unwrap();
    assert!(family.find_object("set").unwrap().is_some() && family.event("set").unwrap().is_set());
    assert_eq!((family.id(), family.check()), (id, vec![]));
});
