//! A one-way and a two-way pipe, each to its end: `cargo run -p procession --example pipes`.
//!
//! An end of a pipe is a descriptor and a handle. Here the child gets the descriptor as its standard
//! input. Each process keeps only its own end: an end is closed when its last copy is.

mod support;

use std::error::Error;
use std::io::stdin;
use std::os::fd::AsFd;
use std::process::Child;

use procession::{Connection, GetError, pipe, simplex};

/// Starts a child that gets a copy of this end.
fn start(role: &str, end: &Connection<String>) -> Result<Child, Box<dyn Error>> {
    let mut command = support::again(role, &[end.handle()])?;
    Ok(command.stdin(end.fd().try_clone_to_owned()?).spawn()?)
}

/// The child of the one-way pipe.
fn send(end: &Connection<String>) -> Result<(), Box<dyn Error>> {
    for word in ["one", "two", "three"] {
        end.send(word.into())?;
    }
    Ok(())
}

/// The child of the two-way pipe: answers until nobody can ask any more.
fn answer(end: &Connection<String>) -> Result<(), Box<dyn Error>> {
    loop {
        match end.recv() {
            Ok(word) => end.send(word.to_uppercase())?,
            Err(GetError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("child: nobody can ask any more");
    Ok(())
}

fn one_way() -> Result<(), Box<dyn Error>> {
    let (receiver, sender) = simplex()?;
    let mut child = start("sender", &sender)?;
    drop(sender); // now only the child has it
    loop {
        match receiver.recv() {
            Ok(word) => println!("received {word}"),
            Err(GetError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("the end");
    child.wait()?;
    Ok(())
}

fn two_ways() -> Result<(), Box<dyn Error>> {
    let (mine, childs) = pipe()?;
    let mut child = start("answerer", &childs)?;
    drop(childs);
    for word in ["one", "two", "three"] {
        mine.send(word.to_string())?;
        println!("parent: {word} -> {}", mine.recv()?);
    }
    drop(mine);
    child.wait()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some((role, handles)) = support::role() {
        let end = Connection::from_parts(&handles[0], stdin().as_fd().try_clone_to_owned()?)?;
        return if role == "sender" { send(&end) } else { answer(&end) };
    }
    one_way()?;
    two_ways()
}
