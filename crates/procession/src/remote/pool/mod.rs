//! Pools whose workers are on any machine.
//!
//! The *owner* of a pool puts tasks; *workers* anywhere take them and report what became of them. Where they meet is
//! a *board*: a name on the server. Each step is one script, so a task is at every moment ready, held by one worker,
//! or reported, and nobody has to be asked which:
//!
//! ```text
//! put ─► ready ─► held by a worker ─► done: a report to the owner
//!          ▲           │    ╰───────► the worker's life is over: a report that it is lost
//!          ╰─ given back, not begun
//! ```
//!
//! Whoever finds a dead worker or a dead owner sweeps what it has left, and everybody looks now and then: workers,
//! and each owner. Whether what was lost is tried again is the owner's to say, who has the items.
//!
//! What a task's body is the owner and the workers agree on. Results have positions: an owner says how many it has
//! had when it asks for more, so that asking twice does no harm.

mod calls;
mod owner;
mod serve;
mod wire;
mod worker;

pub use calls::{CallError, Pool, Task};
pub use owner::{NewTask, RawOwner, Report};
pub use serve::{Stopper, Worker};
pub use wire::Who;
pub use worker::{Outcome, RawTask, RawWorker, Told};

use std::time::{Duration, Instant};

use super::object::{Kind, Object};
use super::{Patience, RemoteError, Server};

/// A pool, and where pools meet workers. The order of the parts is that in which scripts see them.
static POOL: Kind =
    Kind { name: "pool", parts: &["ready", "bodies", "held", "results", "blobs", "waiters"] };
static BOARD: Kind = Kind { name: "pools", parts: &["turn", "pools", "workers", "idle"] };

/// A task's number has its place above, by what it needs.
const SPAN: u64 = 1 << 40;

/// How soon it is tried again what the server refused for now.
const AGAIN: Duration = Duration::from_millis(100);

/// What is to be done although the server may refuse it for a while: it has no memory, or its disk is full. That is
/// borne for as long as one that can't be reached.
fn persist<T>(
    server: &Server,
    patience: &Patience<'_>,
    mut attempt: impl FnMut() -> Result<T, RemoteError>,
) -> Result<T, RemoteError> {
    let limit = Instant::now() + server.address().timeout();
    loop {
        match attempt() {
            Err(error @ RemoteError::Server { .. }) => {
                let never = error.to_string().contains("NOPERM");
                if never || Instant::now() >= limit || patience.is_over() {
                    return Err(error);
                }
                if !patience.sleep(AGAIN) {
                    return Err(RemoteError::Interrupted);
                }
            }
            other => return other,
        }
    }
}

/// The board of that name.
fn board(server: &Server, name: &str) -> Result<Object, RemoteError> {
    Ok(Object::named(server, &BOARD, &format!("pools:{name}"), &[])?.0)
}

/// A script with what all of them share before its body.
macro_rules! script {
    ($what:literal, $file:literal) => {
        crate::remote::script::Script::new(
            $what,
            concat!(
                include_str!("../lua/pool_common.lua"),
                "\n",
                include_str!(concat!("../lua/", $file))
            ),
        )
    };
}
use script;
