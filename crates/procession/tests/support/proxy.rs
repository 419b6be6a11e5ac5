//! A man in the middle: stands between clients and a server, and decides what becomes of each call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::LIMIT;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Pass,
    /// The connection breaks before the server sees it.
    CutBefore,
    /// It is carried out; the reply is lost with the connection.
    CutAfter,
    /// It is carried out; the reply never comes, and the connection stays.
    Hang,
    /// It is carried out, and something else comes in the place of the reply.
    Garbage,
    /// The connection breaks, and the call arrives when [`Proxy::deliver`] lets it.
    Late,
}

type Judge = Box<dyn Fn(&[Vec<u8>]) -> Fate + Send + Sync>;

struct Shared {
    target: u16,
    judge: Judge,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
    /// Whether late calls are delivered, and how many have arrived.
    late: Mutex<(bool, usize)>,
    changed: Condvar,
}

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Before the server at that port of this machine.
    pub fn new(target: u16, judge: impl Fn(&[Vec<u8>]) -> Fate + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            judge: Box::new(judge),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
            late: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::Acquire) {
                    break;
                }
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serving.serve(&client));
            }
        });
        Proxy { port, shared }
    }

    /// Only the nth script (from 1) meets that fate; the number of scripts so far is counted.
    pub fn once(target: u16, nth: usize, fate: Fate) -> (Proxy, Arc<AtomicUsize>) {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let judge = move |words: &[Vec<u8>]| {
            let hit = is_script(words) && count.fetch_add(1, Ordering::Relaxed) + 1 == nth;
            if hit { fate } else { Fate::Pass }
        };
        (Proxy::new(target, judge), seen)
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets the late calls arrive; returns when the server has answered `n` of them.
    pub fn deliver(&self, n: usize) {
        let mut late = self.shared.late.lock().unwrap();
        late.0 = true;
        self.shared.changed.notify_all();
        let too_few = |late: &mut (bool, usize)| late.1 < n;
        late = self.shared.changed.wait_timeout_while(late, LIMIT, too_few).unwrap().0;
        assert!(late.1 >= n, "the late calls did not arrive");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.cut();
        self.shared.late.lock().unwrap().0 = true;
        self.shared.changed.notify_all();
    }
}

/// Whether it is a step of the library's.
pub fn is_script(words: &[Vec<u8>]) -> bool {
    words.first().is_some_and(|word| word == b"EVALSHA")
}

impl Shared {
    fn serve(self: Arc<Self>, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ends = [client, &server].map(|end| end.try_clone().unwrap());
        self.open.lock().unwrap().extend(ends);
        let fate = Arc::new(Mutex::new(Fate::Pass));
        let (back, its) = (Arc::clone(&self), Arc::clone(&fate));
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let down = std::thread::spawn(move || back.down(from, to, &its));
        self.up(client, &server, &fate);
        if *fate.lock().unwrap() != Fate::Late {
            let _ = server.shutdown(Shutdown::Both);
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = down.join();
    }

    fn up(&self, client: &TcpStream, mut server: &TcpStream, fate: &Mutex<Fate>) {
        let mut from = BufReader::new(client);
        while let Some((words, raw)) = command(&mut from) {
            let decided = (self.judge)(&words);
            *fate.lock().unwrap() = decided;
            match decided {
                Fate::CutBefore => return,
                Fate::Late => {
                    let _ = client.shutdown(Shutdown::Both);
                    let late = self.late.lock().unwrap();
                    drop(self.changed.wait_while(late, |late| !late.0).unwrap());
                }
                _ => {}
            }
            if server.write_all(&raw).is_err() {
                return;
            }
            match decided {
                Fate::Pass => {}
                Fate::Late => return,
                // Until the client gives up.
                _ => drop(from.by_ref().read_to_end(&mut Vec::new())),
            }
        }
    }

    fn down(&self, mut server: TcpStream, mut client: TcpStream, fate: &Mutex<Fate>) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match server.read(&mut buffer) {
                Ok(n) if n > 0 => n,
                _ => break,
            };
            let fate = *fate.lock().unwrap();
            let written = match fate {
                Fate::Hang => Ok(()),
                Fate::Garbage => client.write_all(b"?!\0 no reply at all\r\n"),
                Fate::CutAfter => break,
                Fate::Late => {
                    self.late.lock().unwrap().1 += 1;
                    self.changed.notify_all();
                    break;
                }
                _ => client.write_all(&buffer[..n]),
            };
            if written.is_err() {
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    }
}

/// The next command that a client sends, as words and as it came.
fn command(from: &mut impl BufRead) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let mut raw = Vec::new();
    let number = |from: &mut dyn BufRead, raw: &mut Vec<u8>| {
        let start = raw.len();
        from.read_until(b'\n', raw).ok().filter(|n| *n > 0)?;
        std::str::from_utf8(&raw[start + 1..]).ok()?.trim_end().parse::<usize>().ok()
    };
    let count = number(from, &mut raw)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len = number(from, &mut raw)?;
        let mut word = vec![0; len + 2];
        from.read_exact(&mut word).ok()?;
        raw.extend_from_slice(&word);
        word.truncate(len);
        words.push(word);
    }
    Some((words, raw))
}
