//! Claims on collections: others wait, but no longer than was said.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use procession::collections::Datum;
use procession::{Family, RawList};

const LONG: Duration = Duration::from_secs(60);

fn list() -> RawList {
    RawList::create(Family::current().unwrap()).unwrap()
}

#[test]
fn others_wait_until_it_is_given_up() {
    let list = list();
    let claim = list.claim(LONG).unwrap().expect("nobody else has one");
    let (other, (tell, told)) = (list.clone(), mpsc::channel());
    let waiter = thread::spawn(move || {
        assert!(other.claim(LONG).unwrap().is_none(), "there is one claim at a time");
        tell.send(other.is_stuck()).unwrap();
        other.push(&Datum::plain(b"second")).unwrap();
    });
    assert!(told.recv().unwrap(), "the other thread sees that it has to wait");
    list.push(&Datum::plain(b"first")).unwrap();
    drop(claim);
    waiter.join().unwrap();
    assert_eq!(list.snapshot().unwrap().bytes, b"firstsecond");
}

#[test]
fn its_time_runs_out() {
    let list = list();
    let patience = Duration::from_millis(30);
    let (claim, since) = (list.claim(patience).unwrap(), Instant::now());
    let other = list.clone();
    thread::spawn(move || other.push(&Datum::plain(b"in time")).unwrap()).join().unwrap();
    // The clock that it goes by has ticks of up to 10 ms.
    assert!(since.elapsed() >= patience / 2 && since.elapsed() < LONG);
    assert!(list.claim(patience).unwrap().is_some(), "what is over can be claimed anew");
    drop(claim);
    assert_eq!(list.len().unwrap(), 1);
}

#[test]
fn claims_of_one_thread_are_no_obstacle_to_it() {
    let (one, two) = (list(), list());
    let claims = (one.claim(LONG).unwrap(), two.claim(LONG).unwrap());
    one.push(&Datum::plain(b"1")).unwrap();
    two.push(&Datum::plain(b"2")).unwrap();
    drop(claims);
    assert!(!one.is_stuck() && !two.is_stuck());
}
