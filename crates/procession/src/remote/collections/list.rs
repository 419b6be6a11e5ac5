//! A list of messages.
//!
//! It is a list of the server's own: its ends cost nothing, an index some microseconds among millions, since the server
//! leaps over nodes of many values. What is put in or removed in the middle has the server look through the nodes up to
//! there, or move the shorter side; no other structure of a server's knows indices at all.

use std::sync::Arc;
use std::time::Duration;

use super::{PAGE, PAGED_TRIES, change, claim, handle, lock_key, pack, scripts};
use crate::remote::call::Call;
use crate::remote::object::{Kind, Object};
use crate::remote::reply::Reply;
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static KIND: Kind = Kind { name: "list", parts: &["values", "lock", "lock:waiters"] };
/// The place of the lock among the keys.
const LOCK: i64 = 3;

scripts! { reads: "list_common.lua";
    LEN = "list_len.lua" "asking a list's length";
    GET = "list_get.lua" "reading from a list";
    SLICE = "list_slice.lua" "reading a list";
    STRIDE = "list_stride.lua" "reading a list";
}

scripts! { changes: "list_common.lua";
    SET = "list_set.lua" "setting a list's value";
    POP = "list_pop.lua" "removing from a list";
    SPLICE = "list_splice.lua" "changing a list";
    STRIDE_SET = "list_stride_set.lua" "changing a list";
    STRIDE_DEL = "list_stride_del.lua" "removing from a list";
    REORDER = "list_reorder.lua" "sorting a list";
    REVERSE = "list_reverse.lua" "reversing a list";
    REPEAT = "list_repeat.lua" "repeating a list";
    CLEAR = "list_clear.lua" "emptying a list";
}

/// A list becomes no longer than this by repetition.
const LONGEST: i64 = 1 << 26;

/// A list of messages on a server. A negative index counts from the end.
///
/// Each operation is one step. It waits for the server as long as the address's `timeout` says.
#[derive(Debug, Clone)]
pub struct RemoteList {
    object: Arc<Object>,
}

handle!(RemoteList);

/// Values that were copied out.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Counts the list's changes.
    pub version: i64,
    /// How long the list is.
    pub len: u64,
    /// The first one's index.
    pub from: u64,
    /// Where the slice that was asked for ends.
    pub to: u64,
    /// The values.
    pub items: Vec<Vec<u8>>,
}

/// A slice with steps, as Python has them.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// Where it begins.
    pub start: Option<i64>,
    /// Before what it ends.
    pub stop: Option<i64>,
    /// Its step, which is not 0.
    pub step: i64,
}

impl RemoteList {
    /// The list of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn named(server: &Server, name: &str) -> Result<RemoteList, RemoteError> {
        Ok(RemoteList { object: Object::named(server, &KIND, name, &[])?.0.into() })
    }

    /// A new one without a name.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(server: &Server) -> Result<RemoteList, RemoteError> {
        Ok(RemoteList { object: Object::anonymous(server, &KIND, &[])?.0.into() })
    }

    fn call(&self, script: &'static Script) -> Result<Call<'_>, RemoteError> {
        self.object.call(script)
    }

    /// A call about a slice with steps.
    fn strides(&self, script: &'static Script, slice: Slice) -> Result<Call<'_>, RemoteError> {
        let said = |bound: Option<i64>| bound.map_or_else(String::new, |at| at.to_string());
        Ok(self.call(script)?.arg(said(slice.start)).arg(said(slice.stop)).int(slice.step))
    }

    /// The key of its own lock, a reentrant one.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn lock_key(&self) -> Result<String, RemoteError> {
        lock_key(&self.object, LOCK)
    }

    /// Asks other clients to change nothing for so long; zero ends that. `false`: one of them has asked for it himself.
    /// For who makes something of what he reads, and is outrun each time: nothing of his own process waits for it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn claim(&self, time: Duration) -> Result<bool, RemoteError> {
        claim(&self.object, time)
    }

    /// How long it is.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn len(&self) -> Result<u64, RemoteError> {
        Ok(self.call(&LEN)?.read(&Patience::forever())?.int(0)?.cast_unsigned())
    }

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_empty(&self) -> Result<bool, RemoteError> {
        Ok(self.len()? == 0)
    }

    /// The value with this index.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn get(&self, index: i64) -> Result<Option<Vec<u8>>, RemoteError> {
        found(&mut self.call(&GET)?.int(index).read(&Patience::forever())?)
    }

    /// Replaces the value with this index. Whether there is one.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn set(&self, index: i64, value: Vec<u8>) -> Result<bool, RemoteError> {
        Ok(change(&self.call(&SET)?.int(index).arg(value))?.int(0)? == 1)
    }

    /// Removes the value with this index, and gives it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn pop(&self, index: i64) -> Result<Option<Vec<u8>>, RemoteError> {
        found(&mut change(&self.call(&POP)?.int(index))?)
    }

    /// Replaces the values from one index to another, not included, by these.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn splice<'a>(
        &self,
        from: i64,
        to: i64,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), RemoteError> {
        let call = self.call(&SPLICE)?.int(from).int(to).arg(pack(values));
        change(&call.arg("")).map(drop)
    }

    /// Removes the values from one index to another, if the list has this version still. Whether it has.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn cut_if(&self, version: i64, from: i64, to: i64) -> Result<bool, RemoteError> {
        let call = self.call(&SPLICE)?.int(from).int(to).arg("").int(version);
        Ok(change(&call)?.int(0)? == 1)
    }

    /// Copies the values from one index to another out, as they are at one moment.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn slice(&self, from: i64, to: i64) -> Result<Values, RemoteError> {
        for _ in 0..PAGED_TRIES {
            if let Some(all) = self.in_pages(from, to)? {
                return Ok(all);
            }
        }
        self.page(from, to, 0)
    }

    /// The same, page by page; `None` if the list was changed meanwhile.
    fn in_pages(&self, from: i64, to: i64) -> Result<Option<Values>, RemoteError> {
        let mut all = self.page(from, to, PAGE)?;
        loop {
            let at = all.from + all.items.len() as u64;
            if at >= all.to {
                return Ok(Some(all));
            }
            let more = self.page(at.cast_signed(), all.to.cast_signed(), PAGE)?;
            if more.version != all.version || more.items.is_empty() {
                return Ok(None);
            }
            all.items.extend(more.items);
        }
    }

    /// Copies values out as long as they make fewer than so many bytes, 0: all; and one at least if there is one.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn page(&self, from: i64, to: i64, bytes: i64) -> Result<Values, RemoteError> {
        let mut reply =
            self.call(&SLICE)?.int(from).int(to).int(bytes).read(&Patience::forever())?;
        Ok(Values {
            version: reply.int(0)?,
            len: reply.int(1)?.cast_unsigned(),
            from: reply.int(2)?.cast_unsigned(),
            to: reply.int(3)?.cast_unsigned(),
            items: items(&mut reply, 4)?,
        })
    }

    /// The values of a slice with steps.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn stride(&self, slice: Slice) -> Result<Vec<Vec<u8>>, RemoteError> {
        items(&mut self.strides(&STRIDE, slice)?.read(&Patience::forever())?, 0)
    }

    /// Replaces them by as many others. `Err`: there are so many.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn set_stride<'a>(
        &self,
        slice: Slice,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Result<(), u64>, RemoteError> {
        let reply = change(&self.strides(&STRIDE_SET, slice)?.arg(pack(values)))?;
        Ok(if reply.int(0)? == 1 { Ok(()) } else { Err(reply.int(1)?.cast_unsigned()) })
    }

    /// Removes them.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn cut_stride(&self, slice: Slice) -> Result<(), RemoteError> {
        change(&self.strides(&STRIDE_DEL, slice)?).map(drop)
    }

    /// Puts the values in another order, if the list has this version still: for each place the index of its value.
    /// Whether it has.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn reorder(&self, version: i64, order: &[u32]) -> Result<bool, RemoteError> {
        let order: Vec<u8> = order.iter().flat_map(|index| index.to_be_bytes()).collect();
        Ok(change(&self.call(&REORDER)?.int(version).arg(order))?.int(0)? == 1)
    }

    /// Turns it round.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn reverse(&self) -> Result<(), RemoteError> {
        change(&self.call(&REVERSE)?).map(drop)
    }

    /// Makes it so many times as long by repetition. `false`: that is more than 2²⁶ values, and it stays as it is.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn repeat(&self, times: i64) -> Result<bool, RemoteError> {
        Ok(change(&self.call(&REPEAT)?.int(times).int(LONGEST))?.int(0)? == 1)
    }

    /// Removes all values.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn clear(&self) -> Result<(), RemoteError> {
        change(&self.call(&CLEAR)?).map(drop)
    }

    /// A number that moves with each change.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn version(&self) -> Result<i64, RemoteError> {
        self.call(&LEN)?.read(&Patience::forever())?.int(1)
    }
}

fn found(reply: &mut Reply) -> Result<Option<Vec<u8>>, RemoteError> {
    if reply.int(0)? == 1 { reply.bytes(1) } else { Ok(None) }
}

fn items(reply: &mut Reply, from: usize) -> Result<Vec<Vec<u8>>, RemoteError> {
    (from..reply.len()).map(|i| Ok(reply.bytes(i)?.unwrap_or_default())).collect()
}
