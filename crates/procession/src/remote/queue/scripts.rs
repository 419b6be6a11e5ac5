//! The scripts of each kind of queue.

use crate::remote::object::Kind;
use crate::remote::script::Script;

/// In which order a queue gives out what it has, and what it knows of what it has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// The oldest first.
    Fifo,
    /// The oldest first; how much is not done can be waited for.
    Joinable,
    /// The newest first; joinable.
    Lifo,
    /// The lowest first; joinable.
    Priority,
    /// The oldest first; what is not reported as done comes back.
    Delivery,
}

/// Of the parts of each kind: who waits for a message, for room, and until all is done.
pub(super) const GETTERS: usize = 3;
pub(super) const PUTTERS: usize = 4;
pub(super) const JOINERS: usize = 5;

const PARTS: &[&str] = &["items", "getters", "putters", "joiners"];
const DELIVERY_PARTS: &[&str] =
    &["items", "getters", "putters", "joiners", "bodies", "flight", "held"];

static FIFO: Kind = Kind { name: "queue", parts: PARTS };
static JOINABLE: Kind = Kind { name: "joinable_queue", parts: PARTS };
static LIFO: Kind = Kind { name: "lifo_queue", parts: PARTS };
static PRIORITY: Kind = Kind { name: "priority_queue", parts: PARTS };
static DELIVERY: Kind = Kind { name: "delivery_queue", parts: DELIVERY_PARTS };

/// What a kind of queue does what by.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) put: &'static Script,
    pub(super) get: &'static Script,
    pub(super) unget: &'static Script,
    pub(super) peek: &'static Script,
    pub(super) info: &'static Script,
    pub(super) join: &'static Script,
    pub(super) shutdown: &'static Script,
}

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        pub(super) static $name: Script =
            Script::new(stringify!($name), concat!($(include_str!(concat!("../lua/", $file, ".lua"))),+));
    };
}

script!(QUEUE_PUT, "queue_room", "queue_put");
script!(QUEUE_GET, "queue_take", "queue_get");
script!(QUEUE_UNGET, "queue_drop", "fifo_unget", "queue_unget");
script!(QUEUE_PEEK, "queue_take", "queue_look", "queue_peek");
script!(QUEUE_INFO, "queue_info");
script!(QUEUE_DONE, "queue_done");
script!(QUEUE_JOIN, "queue_join");
script!(QUEUE_SHUTDOWN, "queue_drop", "queue_shutdown");
script!(LIFO_UNGET, "queue_drop", "lifo_unget", "queue_unget");
script!(PRIORITY_PUT, "queue_room", "queue_order", "priority_put");
script!(PRIORITY_GET, "queue_take", "priority_get");
script!(PRIORITY_UNGET, "queue_drop", "priority_unget");
script!(DELIVERY_PUT, "queue_room", "delivery_put");
script!(DELIVERY_GET, "queue_take", "delivery_common", "delivery_get");
script!(DELIVERY_UNGET, "delivery_common", "delivery_unget");
script!(DELIVERY_PEEK, "queue_take", "queue_look", "delivery_common", "delivery_peek");
script!(DELIVERY_INFO, "delivery_info");
script!(DELIVERY_SETTLE, "delivery_common", "delivery_settle");
script!(DELIVERY_FLIGHTS, "delivery_flights");
script!(DELIVERY_JOIN, "delivery_join");
script!(DELIVERY_SHUTDOWN, "delivery_common", "delivery_shutdown");

static ROW: Scripts = Scripts {
    put: &QUEUE_PUT,
    get: &QUEUE_GET,
    unget: &QUEUE_UNGET,
    peek: &QUEUE_PEEK,
    info: &QUEUE_INFO,
    join: &QUEUE_JOIN,
    shutdown: &QUEUE_SHUTDOWN,
};
static STACK: Scripts = Scripts { unget: &LIFO_UNGET, ..ROW };
static ORDER: Scripts =
    Scripts { put: &PRIORITY_PUT, get: &PRIORITY_GET, unget: &PRIORITY_UNGET, ..ROW };
static AGAIN: Scripts = Scripts {
    put: &DELIVERY_PUT,
    get: &DELIVERY_GET,
    unget: &DELIVERY_UNGET,
    peek: &DELIVERY_PEEK,
    info: &DELIVERY_INFO,
    join: &DELIVERY_JOIN,
    shutdown: &DELIVERY_SHUTDOWN,
};

impl QueueKind {
    /// What it is called on the server.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.object().name
    }

    /// The kind of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<QueueKind> {
        use QueueKind::{Delivery, Fifo, Joinable, Lifo, Priority};
        [Fifo, Joinable, Lifo, Priority, Delivery].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn object(self) -> &'static Kind {
        match self {
            QueueKind::Fifo => &FIFO,
            QueueKind::Joinable => &JOINABLE,
            QueueKind::Lifo => &LIFO,
            QueueKind::Priority => &PRIORITY,
            QueueKind::Delivery => &DELIVERY,
        }
    }

    pub(super) fn scripts(self) -> &'static Scripts {
        match self {
            QueueKind::Fifo | QueueKind::Joinable => &ROW,
            QueueKind::Lifo => &STACK,
            QueueKind::Priority => &ORDER,
            QueueKind::Delivery => &AGAIN,
        }
    }

    /// The command that says how many wait.
    pub(super) fn counts_by(self) -> &'static str {
        match self {
            QueueKind::Priority | QueueKind::Delivery => "ZCARD",
            _ => "LLEN",
        }
    }
}
