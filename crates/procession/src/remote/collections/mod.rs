//! Dicts, lists and single values on a server.
//!
//! - [`RemoteDict`], [`RemoteList`], [`RemoteValue`]: of *messages*, a byte that says the kind and a body, as they
//!   travel in queues. For bindings.
//! - [`SharedDict`], [`SharedList`], [`SharedValue`]: of what serde can write.
//!
//! Each operation is one script, and so is done as a whole or not at all. Where a value is made of what stands there,
//! by a function or a comparison that no server knows, it is read, made, and stored if nobody came in between.

mod dict;
mod family;
mod list;
mod typed;
mod value;

pub use dict::{Added, Candidates, Entries, Exchanged, RemoteDict, Seen, Settled, key_in_field};
pub use list::{RemoteList, Slice, Values};
pub use typed::{CollectionError, SharedDict, SharedList, SharedValue};
pub use value::RemoteValue;

use std::time::Duration;

use super::call::Call;
use super::object::Object;
use super::reply::Reply;
use super::script::Script;
use super::{Patience, RemoteError};

/// Of a long dict or list about so many bytes are copied out in one script: a server does nothing else meanwhile.
const PAGE: i64 = 1 << 20;
/// How often a long one is copied out in pages before it is in one piece, because others change it meanwhile.
const PAGED_TRIES: u32 = 3;

/// Strings as one argument: each behind its length.
fn pack<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut packed = Vec::new();
    for one in all {
        // No string on a server has four gigabytes.
        packed.extend_from_slice(&u32::try_from(one.len()).unwrap_or(u32::MAX).to_be_bytes());
        packed.extend_from_slice(one);
    }
    packed
}

/// Scripts with what stands before each of a kind.
macro_rules! scripts {
    (reads: $common:literal; $($name:ident = $file:literal $what:literal;)*) => {
        $(static $name: Script = Script::new(
            $what,
            concat!(
                include_str!(concat!("../lua/", $common)),
                include_str!(concat!("../lua/", $file)),
            ),
        );)*
    };
    (changes: $common:literal; $($name:ident = $file:literal $what:literal;)*) => {
        $(static $name: Script = Script::new(
            $what,
            concat!(
                include_str!("../lua/unless_claimed.lua"),
                include_str!("../lua/packed.lua"),
                include_str!(concat!("../lua/", $common)),
                include_str!(concat!("../lua/", $file)),
            ),
        );)*
    };
}
use scripts;

/// What handles of all kinds have.
macro_rules! handle {
    ($type:ident) => {
        impl $type {
            /// The one that a handle names, by its key.
            ///
            /// # Errors
            /// [`RemoteError::Gone`] if it is there no more.
            pub fn attach(server: &Server, key: &str) -> Result<$type, RemoteError> {
                Ok($type { object: Object::attach(server, &KIND, key)?.0.into() })
            }

            /// Its key on the server.
            #[must_use]
            pub fn key(&self) -> &str {
                self.object.key()
            }

            /// The same, to be sent to others: it stays when this handle goes.
            #[must_use]
            pub fn key_to_send(&self) -> &str {
                self.object.key_to_send()
            }

            /// Its server.
            #[must_use]
            pub fn server(&self) -> &Server {
                self.object.server()
            }
        }
    };
}
use handle;

static CLAIM: Script = Script::new("claiming an object", include_str!("../lua/claim.lua"));

/// What a script answers that changes nothing because another client has claimed the object.
const CLAIMED: i64 = -1;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

fn claim(object: &Object, time: Duration) -> Result<bool, RemoteError> {
    let call = object.call(&CLAIM)?.int(time.as_millis() as i64);
    Ok(call.run(&Patience::forever())?.int(0)? == 1)
}

/// Makes a change, again and again while another client has claimed the object: that ends by itself, after seconds.
fn change(call: &Call<'_>) -> Result<Reply, RemoteError> {
    let (patience, mut pause) = (Patience::forever(), FIRST_PAUSE);
    loop {
        let reply = call.run(&patience)?;
        if reply.int(0)? != CLAIMED {
            return Ok(reply);
        }
        if patience.is_interrupted() {
            return Err(RemoteError::Interrupted);
        }
        std::thread::sleep(pause);
        pause = LAST_PAUSE.min(2 * pause);
    }
}

static LOCK: Script = Script::new("opening a lock", include_str!("../lua/lock_of.lua"));

/// The key of the reentrant lock that belongs to an object, whose first key is the object's so-manieth.
fn lock_key(object: &Object, place: i64) -> Result<String, RemoteError> {
    object.call(&LOCK)?.int(place).run(&Patience::forever())?;
    Ok(format!("{}:lock", object.key_to_send()))
}
