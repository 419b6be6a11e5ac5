//! Lines that you type go through a queue to a server process, which stores and echoes them:
//! `cargo run -p procession --example client_server FILE`. Ctrl-D ends it.

mod support;

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdin};
use std::process::{Stdio, exit};

use procession::{GetError, Queue};

fn serve(lines: &Queue<String>, path: &str) -> Result<(), Box<dyn Error>> {
    let mut file = File::options().append(true).create(true).open(path)?;
    loop {
        match lines.get() {
            Ok(line) => {
                writeln!(file, "{line}")?;
                println!("stored: {line}");
            }
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: client_server FILE")?;
    if let Some((_, handles)) = support::role() {
        return serve(&Queue::from_handle(&handles[0])?, &path);
    }

    let lines: Queue<String> = Queue::unbounded()?;
    let mut server = support::again("server", &[lines.handle()])?;
    let mut server = server.arg(path).stdin(Stdio::null()).spawn()?;
    for line in stdin().lines() {
        lines.put(line?)?;
    }
    lines.close(); // the server takes what is left, and ends
    exit(server.wait()?.code().unwrap_or(1));
}
