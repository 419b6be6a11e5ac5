//! The peers.

use iceoryx2::prelude::*;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};

use crate::{Lane, Link, check, depth, ready};

/// Messages that fit into a cache line go by value.
type Small = [u8; 64];

enum Crossbeam {
    Small(crossbeam_channel::Sender<Small>, crossbeam_channel::Receiver<Small>),
    Large(usize, crossbeam_channel::Sender<Vec<u8>>, crossbeam_channel::Receiver<Vec<u8>>),
}

impl Lane for Crossbeam {
    fn send(&mut self, fill: u8) {
        match self {
            Crossbeam::Small(to, _) => to.send([fill; 64]).expect("it is open"),
            Crossbeam::Large(size, to, _) => to.send(vec![fill; *size]).expect("it is open"),
        }
    }

    fn recv(&mut self) -> u8 {
        match self {
            Crossbeam::Small(_, from) => check(&from.recv().expect("it is open"), 64),
            Crossbeam::Large(size, _, from) => check(&from.recv().expect("it is open"), *size),
        }
    }
}

pub(crate) fn crossbeam(size: usize) -> Link {
    if size == 64 {
        let (there, from_here) = crossbeam_channel::bounded(depth(size));
        let (here, from_there) = crossbeam_channel::bounded(depth(size));
        let other = Crossbeam::Small(here, from_here);
        return Link::with_thread(Crossbeam::Small(there, from_there), other);
    }
    let (there, from_here) = crossbeam_channel::bounded(depth(size));
    let (here, from_there) = crossbeam_channel::bounded(depth(size));
    let other = Crossbeam::Large(size, here, from_here);
    Link::with_thread(Crossbeam::Large(size, there, from_there), other)
}

struct Ipc {
    buffer: Vec<u8>,
    to: IpcBytesSender,
    from: IpcBytesReceiver,
}

impl Lane for Ipc {
    fn send(&mut self, fill: u8) {
        self.buffer.fill(fill);
        self.to.send(&self.buffer).expect("it is open");
    }

    fn recv(&mut self) -> u8 {
        check(&self.from.recv().expect("it is open"), self.buffer.len())
    }
}

type Ends = (IpcBytesSender, IpcBytesReceiver);

pub(crate) fn ipc(size: usize) -> Link {
    let (server, name) = IpcOneShotServer::<IpcSender<Ends>>::new().expect("a server");
    Link::with_process("ipc-channel", size, &name, |_| {
        let (_, child) = server.accept().expect("the other side lives");
        let (to, from_here) = ipc::bytes_channel().expect("a channel");
        let (to_here, from) = ipc::bytes_channel().expect("a channel");
        child.send((to_here, from_here)).expect("it is open");
        Ipc { buffer: vec![0; size], to, from }
    })
}

pub(crate) fn ipc_there(size: usize, server: &str) -> impl Lane + use<> {
    let (send_here, mine) = ipc::channel::<Ends>().expect("a channel");
    let hello = IpcSender::connect(server.to_string()).expect("the server is there");
    hello.send(send_here).expect("it is open");
    let (to, from) = mine.recv().expect("the ends");
    ready();
    Ipc { buffer: vec![0; size], to, from }
}

/// As in its own benchmark, the receiver looks until there is something.
struct Iceoryx {
    size: usize,
    to: Publisher<iceoryx2::prelude::ipc::Service, [u8], ()>,
    from: Subscriber<iceoryx2::prelude::ipc::Service, [u8], ()>,
}

impl Lane for Iceoryx {
    fn send(&mut self, fill: u8) {
        let mut sample = self.to.loan_slice_uninit(self.size).expect("memory");
        sample.payload_mut().fill(std::mem::MaybeUninit::new(fill));
        // SAFETY: every byte was written.
        unsafe { sample.assume_init() }.send().expect("a subscriber");
    }

    fn recv(&mut self) -> u8 {
        loop {
            if let Some(sample) = self.from.receive().expect("it is open") {
                return check(sample.payload(), self.size);
            }
            std::hint::spin_loop();
        }
    }
}

fn iceoryx_end(size: usize, to: &str, from: &str) -> Iceoryx {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<iceoryx2::prelude::ipc::Service>().expect("a node");
    let service = |name: &str| {
        node.service_builder(&name.try_into().expect("a name"))
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(depth(size))
            .history_size(0)
            .open_or_create()
            .expect("a service")
    };
    let (to, from) = (service(to), service(from));
    let to = to
        .publisher_builder()
        .initial_max_slice_len(size)
        .max_loaned_samples(2)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .expect("a publisher");
    let from = from.subscriber_builder().buffer_size(depth(size)).create().expect("a subscriber");
    Iceoryx { size, to, from }
}

pub(crate) fn iceoryx(size: usize) -> Link {
    let name = format!("procession-bench/{}", std::process::id());
    let here = iceoryx_end(size, &format!("{name}/{size}/there"), &format!("{name}/{size}/here"));
    Link::with_process("iceoryx2", size, &name, |_| here)
}

pub(crate) fn iceoryx_there(size: usize, name: &str) -> impl Lane + use<> {
    let end = iceoryx_end(size, &format!("{name}/{size}/here"), &format!("{name}/{size}/there"));
    ready();
    end
}
