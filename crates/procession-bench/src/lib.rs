//! The same work for Procession and for its peers: messages of plain bytes between two processes
//! (crossbeam-channel: two threads), one way and as ping-pong.
//!
//! The sender writes every byte of a message, the receiver looks at its first and its last. Where a
//! library can lend memory (Procession from a page on, iceoryx2 always), the message is written in
//! place; elsewhere it is copied or moved. All queues hold as many messages, and nothing is dropped.

pub mod lanes;
mod procession_lane;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// One side of a two-way link.
pub trait Lane {
    /// Sends a message whose bytes are all `fill`.
    fn send(&mut self, fill: u8);
    /// Receives one, and says what it is filled with.
    fn recv(&mut self) -> u8;
}

/// How many messages may be under way.
pub fn depth(size: usize) -> usize {
    if size > 64 << 10 { 8 } else { 1024 }
}

/// What a message is filled with, as its receiver sees it.
///
/// # Panics
/// If it is not the message that was sent.
pub fn check(message: &[u8], size: usize) -> u8 {
    assert_eq!(message.len(), size);
    assert_eq!(message[0], message[size - 1]);
    message[0]
}

/// What the other side is asked to do, so many times.
#[derive(Clone, Copy)]
pub enum Order {
    Receive(u64),
    Echo(u64),
}

/// The other side: does what it is told until nobody tells it anything.
pub fn serve(mut lane: impl Lane, mut order: impl FnMut() -> Option<Order>) {
    while let Some(order) = order() {
        match order {
            Order::Receive(n) => {
                for i in 0..n {
                    assert_eq!(lane.recv(), i as u8);
                }
                lane.send(1);
            }
            Order::Echo(n) => {
                for _ in 0..n {
                    let fill = lane.recv();
                    lane.send(fill);
                }
            }
        }
    }
}

/// How the other side is told.
enum Control {
    Process(Child, Option<ChildStdin>),
    Thread(mpsc::Sender<Order>),
}

/// A link that is ready to be measured.
pub struct Link {
    lane: Box<dyn Lane>,
    control: Control,
}

impl Link {
    fn tell(&mut self, order: Order) {
        match &mut self.control {
            Control::Process(_, stdin) => {
                let (what, n) = match order {
                    Order::Receive(n) => ("receive", n),
                    Order::Echo(n) => ("echo", n),
                };
                let stdin = stdin.as_mut().expect("it is open until the drop");
                writeln!(stdin, "{what} {n}").expect("the other side lives");
            }
            Control::Thread(orders) => orders.send(order).expect("the other side lives"),
        }
    }

    /// How long it takes to send so many messages until the last is received.
    pub fn one_way(&mut self, n: u64) -> Duration {
        self.tell(Order::Receive(n));
        let began = Instant::now();
        for i in 0..n {
            self.lane.send(i as u8);
        }
        self.lane.recv();
        began.elapsed()
    }

    /// How long so many messages take there and back, one after the other.
    pub fn ping_pong(&mut self, n: u64) -> Duration {
        self.tell(Order::Echo(n));
        let began = Instant::now();
        for i in 0..n {
            self.lane.send(i as u8);
            assert_eq!(self.lane.recv(), i as u8);
        }
        began.elapsed()
    }

    /// With another thread of this process.
    pub(crate) fn with_thread<L: Lane + Send + 'static>(here: impl Lane + 'static, there: L) -> Link {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || serve(there, || told.recv().ok()));
        Link { lane: Box::new(here), control: Control::Thread(tell) }
    }

    /// With another process: this very program, which [`run_child`] leads to its side. `here` is made
    /// when that one has begun.
    pub(crate) fn with_process<L: Lane + 'static>(
        name: &str,
        size: usize,
        papers: &str,
        here: impl FnOnce(&mut dyn BufRead) -> L,
    ) -> Link {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([CHILD, name, &size.to_string(), papers])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process can be started");
        let stdin = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let lane = Box::new(here(&mut answers));
        let mut line = String::new();
        answers.read_line(&mut line).expect("the other side lives");
        assert_eq!(line.trim(), "ready");
        Link { lane, control: Control::Process(child, stdin) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Control::Process(child, stdin) = &mut self.control {
            drop(stdin.take());
            let _ = child.wait();
        }
    }
}

const CHILD: &str = "--other-side";

/// In a process that [`Link::with_process`] started: is the other side, and then ends.
pub fn run_child() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, flag, name, size, papers] = arguments.as_slice() else { return };
    if flag != CHILD {
        return;
    }
    let size = size.parse().expect("a number");
    let orders = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).ok().filter(|&n| n > 0)?;
        let (what, n) = line.trim().split_once(' ')?;
        let n = n.parse().ok()?;
        Some(if what == "echo" { Order::Echo(n) } else { Order::Receive(n) })
    };
    match name.as_str() {
        "procession" => serve(procession_lane::there(size, papers), orders),
        "ipc-channel" => serve(lanes::ipc_there(size, papers), orders),
        "iceoryx2" => serve(lanes::iceoryx_there(size, papers), orders),
        other => panic!("no such peer: {other}"),
    }
    std::process::exit(0);
}

/// What the other side says when it can be measured.
pub(crate) fn ready() {
    println!("ready");
}

/// The implementations by name.
pub const NAMES: [&str; 4] = ["procession", "crossbeam-channel", "ipc-channel", "iceoryx2"];

/// A link of one of [`NAMES`] for messages of `size` bytes.
pub fn link(name: &str, size: usize) -> Link {
    match name {
        "procession" => procession_lane::link(size),
        "crossbeam-channel" => lanes::crossbeam(size),
        "ipc-channel" => lanes::ipc(size),
        "iceoryx2" => lanes::iceoryx(size),
        other => panic!("no such implementation: {other}"),
    }
}
