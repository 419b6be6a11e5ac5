//! The foundation against a real server, and a line to it that can be cut.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::call::Call;
use super::object::{self, Kind, Object};
use super::script::Script;
use super::{Address, Patience, RemoteError, Server};

static COUNTER: Kind = Kind { name: "counter", parts: &["waiters"] };
static ADD: Script =
    Script::new("adding", "local n = call('HINCRBY', K[1], 'n', A[1]) ring(K[2], 1) return {n}");
static MAKE: Script =
    Script::new("making a part", "call('ZADD', K[2], 'NX', 1, 'nobody:1') return {1}, false");
static GET: Script = Script::new(
    "getting",
    "local n = tonumber(call('HGET', K[1], 'n') or '0')
     if n < tonumber(A[2]) then wait(K[2], A[1]) return {0}, false end
     leave(K[2], A[1]) return {n}, false",
);

struct Running {
    child: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    fn start() -> Running {
        let id: String =
            crate::sys::process::random_id().iter().map(|b| format!("{b:02x}")).collect();
        let folder = std::env::temp_dir().join(format!("procession-{id}"));
        std::fs::create_dir(&folder).unwrap();
        let named = std::env::var_os("PROCESSION_TEST_SERVER");
        let names = named.into_iter().chain(["valkey-server".into(), "redis-server".into()]);
        let child = names.into_iter().find_map(|name| {
            Command::new(name)
                .args(["--port", "0", "--save", "", "--unixsocket"])
                .arg(folder.join("socket"))
                .arg("--dir")
                .arg(&folder)
                .stdout(Stdio::null())
                .spawn()
                .ok()
        });
        let child = child.expect("valkey-server or redis-server, or PROCESSION_TEST_SERVER");
        Running { child, folder }
    }

    fn url(&self, query: &str) -> String {
        format!("unix://{}/socket?{query}", self.folder.display())
    }

    fn server(&self, query: &str) -> Server {
        Server::open(&Address::parse(&self.url(query)).unwrap()).unwrap()
    }
}

/// A line to a server that can lose answers.
struct Line {
    port: u16,
    lose: Arc<Mutex<usize>>,
}

impl Line {
    fn to(socket: PathBuf) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lose = Arc::new(Mutex::new(0));
        let losing = Arc::clone(&lose);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let far = std::os::unix::net::UnixStream::connect(&socket).unwrap();
                let near = near.unwrap();
                let (mut up, mut down) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || copy(&mut up, &mut down, None));
                let losing = Arc::clone(&losing);
                std::thread::spawn(move || {
                    let (mut far, mut near) = (far, near);
                    copy(&mut far, &mut near, Some(&losing));
                    let _ = near.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Line { port, lose }
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write, losing: Option<&Mutex<usize>>) {
    let mut buffer = vec![0; 65536];
    while let Ok(n) = from.read(&mut buffer)
        && n > 0
    {
        if let Some(losing) = losing {
            let mut left = losing.lock().unwrap();
            if *left > 0 && buffer.starts_with(b"*") {
                *left -= 1;
                return;
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

fn add(object: &Object, n: i64) -> i64 {
    object.call(&ADD).unwrap().int(n).run(&Patience::forever()).unwrap().int(0).unwrap()
}

fn at_least(object: &Object, n: i64, patience: &Patience<'_>) -> Result<Option<i64>, RemoteError> {
    object.wait(2, patience, |member| {
        let call = object.call(&GET)?.arg(member.unwrap_or("")).int(n);
        let found = call.run(patience)?.int(0)?;
        Ok((found > 0).then_some(found))
    })
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    let running = Running::start();
    let near = running.server("prefix=p");
    let line = Line::to(running.folder.join("socket"));
    let url = format!("redis://127.0.0.1:{}?prefix=p&lease=5", line.port);
    let server = Server::open(&Address::parse(&url).unwrap()).unwrap();
    let (object, _) = Object::named(&server, &COUNTER, "x", &[]).unwrap();
    let (same, _) = Object::named(&near, &COUNTER, "x", &[]).unwrap();
    for n in 1..=50 {
        if n % 5 == 0 {
            *line.lose.lock().unwrap() = 1;
        }
        assert_eq!(add(&object, 1), n);
    }
    assert_eq!(add(&same, 0), 50);
    *line.lose.lock().unwrap() = 0;
}

#[test]
fn who_waits_is_woken() {
    let running = Running::start();
    let server = running.server("prefix=p&lease=60");
    let (object, _) = Object::anonymous(&server, &COUNTER, &[]).unwrap();
    let other = object.another().unwrap();
    let waiting = std::thread::spawn(move || {
        let began = Instant::now();
        (at_least(&other, 3, &Patience::forever()).unwrap(), began.elapsed())
    });
    while at_least(&object, 3, &Patience::of(Duration::from_millis(20))).unwrap().is_none() {
        add(&object, 1);
    }
    assert_eq!(waiting.join().unwrap().0, Some(3));
}

#[test]
fn who_was_woken_for_nothing_keeps_his_place() {
    let running = Running::start();
    let server = running.server("prefix=p&lease=60");
    let (object, _) = Object::named(&server, &COUNTER, "x", &[]).unwrap();
    let mut connection = server.address().connect(Duration::from_secs(1)).unwrap();
    let mut line = |length: usize| loop {
        let all: Vec<String> = redis::cmd("ZRANGE")
            .arg("p:n:x:waiters")
            .arg(0)
            .arg(-1)
            .query(&mut connection)
            .unwrap();
        if all.len() == length {
            break all;
        }
    };
    let mut waiting = Vec::new();
    for length in 1..=3 {
        let other = object.another().unwrap();
        let wait = move || at_least(&other, 10, &Patience::forever()).unwrap();
        waiting.push(std::thread::spawn(wait));
        line(length);
    }
    let before = line(3);
    for _ in 0..5 {
        add(&object, 1); // wakes the first one, who finds too little
        assert_eq!(line(3), before);
    }
    // From ten on each finds enough, and wakes nobody: each call wakes one.
    while !waiting.iter().all(std::thread::JoinHandle::is_finished) {
        add(&object, 1);
    }
    assert!(line(0).is_empty());
}

#[test]
fn what_has_no_name_has_a_time_to_live_in_all_its_parts() {
    let running = Running::start();
    let server = running.server("prefix=p&lease=60&keep=1000");
    let (object, _) = Object::anonymous(&server, &COUNTER, &[]).unwrap();
    let mut connection = server.address().connect(Duration::from_secs(1)).unwrap();
    let parts = [object.key().to_string(), format!("{}:waiters", object.key())];
    let mut left = |set: Option<u64>| {
        parts.each_ref().map(|key| {
            if let Some(left) = set {
                redis::cmd("PEXPIRE").arg(key).arg(left).exec(&mut connection).unwrap();
            }
            redis::cmd("PTTL").arg(key).query::<i64>(&mut connection).unwrap()
        })
    };
    assert!(left(None)[0] > 900_000);
    assert!(at_least(&object, 9, &Patience::of(Duration::from_millis(1))).unwrap().is_none());
    // A part that is made gets one of its own, by whichever call.
    for script in [&MAKE, &ADD] {
        object.call(script).unwrap().int(1).run(&Patience::forever()).unwrap();
        let [hash, part] = left(None);
        assert!(hash > 0 && (part == -2 || part >= hash), "{hash} {part}");
    }
    // With a tenth over, all begin anew, also where nothing is changed.
    object.call(&MAKE).unwrap().int(1).run(&Patience::forever()).unwrap();
    left(Some(800_000));
    object.call(&GET).unwrap().arg("").int(0).read(&Patience::forever()).unwrap();
    assert!(left(None).iter().all(|left| *left > 900_000));
    // And before that the hash is left as it is.
    left(Some(990_000));
    object.call(&GET).unwrap().arg("").int(0).read(&Patience::forever()).unwrap();
    assert!(left(None)[0] <= 990_000);
}

#[test]
fn who_waits_for_what_can_be_seen() {
    let running = Running::start();
    let server = running.server("prefix=a*b&lease=60");
    let (object, _) = Object::named(&server, &COUNTER, "x:y", &[]).unwrap();
    let other = object.another().unwrap();
    let waiting = std::thread::spawn(move || at_least(&other, 1, &Patience::forever()).unwrap());
    let expected = [("x:y".to_string(), "waiters".to_string())];
    let stats = loop {
        let stats = server.stats().unwrap();
        if stats.clients[0].waits == expected {
            break stats;
        }
    };
    assert_eq!(
        (stats.objects, stats.clients.len(), stats.clients[0].pid),
        (1, 1, std::process::id())
    );
    add(&object, 1);
    waiting.join().unwrap();
    assert!(server.stats().unwrap().clients[0].waits.is_empty());
}

#[test]
fn a_life_that_is_over_is_followed_by_another() {
    let running = Running::start();
    let server = running.server("prefix=p&lease=60");
    let (object, _) = Object::named(&server, &COUNTER, "x", &[]).unwrap();
    let client = server.client().unwrap();
    let life = client.life();
    let mut connection = client.address().connect(Duration::from_secs(1)).unwrap();
    redis::cmd("DEL").arg(life.key()).exec(&mut connection).unwrap();
    let held = object.call(&ADD).unwrap().of_life(&life).int(1).run(&Patience::forever());
    assert!(matches!(held, Err(RemoteError::LeaseLost { .. })), "{held:?}");
    assert!(life.is_over());
    assert_eq!(add(&object, 1), 1);
    assert!(!client.life().is_over());
}

#[test]
fn what_nobody_has_is_removed_and_names_are_listed() {
    let running = Running::start();
    let server = running.server("prefix=p");
    let (object, _) = Object::anonymous(&server, &COUNTER, &[("n", b"7".to_vec())]).unwrap();
    let (named, params) = Object::named(&server, &COUNTER, "a:b%3A", &[]).unwrap();
    assert_eq!(params["kind"], b"counter");
    assert_eq!(named.name().unwrap(), "a:b%3A");
    assert_eq!(object::names(&server).unwrap(), [("a:b%3A".into(), "counter".into())]);
    let key = object.key().to_string();
    let (again, params) = Object::attach(&server, &COUNTER, &key).unwrap();
    assert_eq!(params["n"], b"7");
    drop(again);
    drop(object);
    assert!(object::remove(&server, "a:b%3A").unwrap());
    assert!(!object::remove(&server, "a:b%3A").unwrap());
    let gone = named.call(&ADD).unwrap().int(1).run(&Patience::forever());
    assert!(matches!(gone, Err(RemoteError::Gone(_))), "{gone:?}");
}

#[test]
fn a_server_that_is_away_is_named_after_the_time_out() {
    let url = "redis://me:geheim@127.0.0.1:1?timeout=0.3";
    let error = Server::open(&Address::parse(url).unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{text}");
    assert!(text.contains("127.0.0.1:1/0") && !text.contains("geheim"), "{text}");

    let running = Running::start();
    let server = running.server("timeout=0.3");
    let (object, _) = Object::named(&server, &COUNTER, "x", &[]).unwrap();
    drop(running);
    let lost = object.call(&ADD).unwrap().int(1).run(&Patience::forever()).unwrap_err();
    assert!(lost.to_string().contains("socket"), "{lost}");
}

#[test]
fn a_server_that_forgot_the_scripts_is_told_again() {
    let running = Running::start();
    let server = running.server("");
    let (object, _) = Object::named(&server, &COUNTER, "x", &[]).unwrap();
    add(&object, 1);
    let mut connection = server.address().connect(Duration::from_secs(1)).unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).unwrap();
    assert_eq!(add(&object, 1), 2);
    let keys: [String; 0] = [];
    static BAD: Script = Script::new("erring", "return call('NO')");
    let error = Call::new(server.client().unwrap(), &BAD, &keys, 0).run(&Patience::forever());
    assert!(matches!(error, Err(RemoteError::Server { .. })), "{error:?}");
}
