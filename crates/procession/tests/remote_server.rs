//! The servers that the tests of the network start: that they serve, die, come back and leave nothing.
#![cfg(feature = "redis")]

mod support;

use std::os::unix::process::ExitStatusExt;

use support::server::Server;
use support::{role, say, start};

#[test]
fn a_server_serves_dies_and_comes_back() {
    for (mut server, keeps) in
        [(Server::start(), false), (Server::durable(), true), (Server::on_socket(), false)]
    {
        assert_eq!(server.ask(&["SET", "p:key", "1"]), ["OK"]);
        assert_eq!(server.keys("p"), ["p:key"]);
        assert!(server.keys("other").is_empty());
        server.restart();
        assert_eq!(server.keys("p").is_empty(), !keeps);
        server.freeze();
        server.thaw();
        assert_eq!(server.ask(&["PING"]), ["PONG"]);
    }
}

#[test]
fn a_server_ends_with_the_process_that_started_it() {
    if role().is_some() {
        let server = Server::start();
        say(server.ask(&["CONFIG", "GET", "dir"]).last().unwrap());
        say(&server.ask(&["INFO", "server"]).join("\n").replace(['\r', '\n'], " "));
        loop {
            std::thread::park();
        }
    }
    let mut child = start("a_server_ends_with_the_process_that_started_it", "server", &[]);
    let folder = child.hear();
    let info = child.hear();
    let pid = info.split("process_id:").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    child.child.kill().unwrap();
    let (_, status) = child.finish();
    assert_eq!(status.signal(), Some(9));
    let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let deadline = std::time::Instant::now() + support::LIMIT;
    while !gone() && support::state(pid.parse().unwrap()) != Some('Z') {
        assert!(std::time::Instant::now() < deadline, "the server lives on");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = std::fs::remove_dir_all(folder);
}
