//! Valkey or Redis servers of the tests' own: each on a free port, with its files in a temporary folder.
//!
//! Whoever is killed leaves no server behind: a shell holds the reading end of a pipe of this process, and
//! kills the server when the pipe breaks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::{LIMIT, random};

/// The server to test with: `PROCESSION_TEST_SERVER`, or what is on the `PATH`.
fn binary() -> String {
    if let Ok(told) = std::env::var("PROCESSION_TEST_SERVER") {
        return told;
    }
    let here = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    ["valkey-server", "redis-server"].iter().copied().find(here).map(str::to_owned).expect(
        "these tests need a Valkey or Redis server: set PROCESSION_TEST_SERVER to one, or run ci/rust.sh",
    )
}

/// A port outside the range for those who connect: there a client that tries again and again to reach a dead
/// server could be given the server's port for its own end, and be connected with itself.
fn free_port() -> u16 {
    let mut random = random::Random(random::seed() ^ u64::from(std::process::id()));
    loop {
        let port = 20_000 + u16::try_from(random.below(12_000)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub struct Server {
    folder: Folder,
    port: Option<u16>,
    options: Vec<String>,
    running: Option<(Child, Child)>,
}

impl Server {
    /// An ordinary one, which keeps nothing on the disk.
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// What it has answered is on its disk: a kill loses nothing.
    pub fn durable() -> Server {
        Server::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// On a Unix socket.
    pub fn on_socket() -> Server {
        let folder = Folder::new();
        let path = folder.0.join("socket").to_str().unwrap().to_owned();
        Server::run(folder, &["--port", "0", "--unixsocket", &path], false)
    }

    pub fn with(options: &[&str]) -> Server {
        Server::run(Folder::new(), options, true)
    }

    fn run(folder: Folder, options: &[&str], port: bool) -> Server {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Server { folder, port: None, options, running: None };
        loop {
            server.port = port.then(free_port);
            if server.launch() {
                return server;
            }
            // Somebody else took the port since it was looked for.
            assert!(server.log().contains("in use"), "no server: {}", server.log());
        }
    }

    /// Whether it serves; false if it ended instead.
    fn launch(&mut self) -> bool {
        let _ = std::fs::remove_file(self.log_file());
        let mut command = Command::new(binary());
        if let Some(port) = self.port {
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        }
        command
            .args(["--save", "", "--daemonize", "no", "--logfile", "log", "--dir"])
            .arg(&self.folder.0);
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + LIMIT;
        while !self.log().contains("eady to accept connections") {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "the server is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
        let guard = Command::new("sh")
            .args(["-c", "read line || kill -9 $1", "guard", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.running = Some((child, guard));
        true
    }

    fn log_file(&self) -> PathBuf {
        self.folder.0.join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its address, with a prefix and more of the address's query: `lease=2&timeout=5`.
    pub fn url(&self, prefix: &str, query: &str) -> String {
        let query = format!("?prefix={prefix}&{query}");
        let query = query.trim_end_matches('&');
        match self.port {
            Some(port) => format!("redis://127.0.0.1:{port}{query}"),
            None => format!("unix://{}/socket{query}", self.folder.0.to_str().unwrap()),
        }
    }

    /// The same through something that stands at another port.
    pub fn url_at(port: u16, prefix: &str, query: &str) -> String {
        format!("redis://127.0.0.1:{port}?prefix={prefix}&{query}").trim_end_matches('&').to_owned()
    }

    pub fn port(&self) -> u16 {
        self.port.expect("on a socket")
    }

    /// As a crash of its machine.
    pub fn kill(&mut self) {
        if let Some((mut child, mut guard)) = self.running.take() {
            // The guard first, while the server's number is still the server's.
            guard.stdin.take().unwrap().write_all(b"over\n").unwrap();
            guard.wait().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// On the same port, with what is on its disk.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "no server: {}", self.log());
    }

    /// Stops it (`SIGSTOP`): connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let pid = self.running.as_ref().unwrap().0.id().cast_signed();
        // SAFETY: no memory is involved; the server is this process's child and not reaped yet.
        unsafe { libc::kill(pid, signal) };
    }

    /// One command over a connection of its own; the reply's parts in the protocol's text, nested ones in a row.
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        let parts: String = words.iter().map(|w| format!("${}\r\n{w}\r\n", w.len())).collect();
        let text = format!("*{}\r\n{parts}", words.len());
        match self.port {
            Some(port) => converse(TcpStream::connect(("127.0.0.1", port)).unwrap(), &text),
            None => converse(UnixStream::connect(self.folder.0.join("socket")).unwrap(), &text),
        }
    }

    /// All keys of a prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = self.ask(&["KEYS", &format!("{prefix}:*")]);
        keys.sort();
        keys
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn converse(mut stream: impl Read + Write, text: &str) -> Vec<String> {
    stream.write_all(text.as_bytes()).unwrap();
    let mut parts = Vec::new();
    reply(&mut BufReader::new(stream), &mut parts);
    parts
}

fn reply(from: &mut impl BufRead, parts: &mut Vec<String>) {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    let (sort, rest) = line.trim_end().split_at(1);
    match (sort, rest.parse::<i64>()) {
        ("*", Ok(n)) => (0..n).for_each(|_| reply(from, parts)),
        ("$", Ok(n)) if n >= 0 => {
            let mut bytes = vec![0; usize::try_from(n).unwrap() + 2];
            from.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            parts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        ("-", _) => panic!("the server says: {rest}"),
        _ => parts.push(rest.to_owned()),
    }
}
