//! A dict of messages.
//!
//! A key of plain data is found by its bytes. Of any other key only who made it can tell what it equals: such a key has
//! a *group*, the plain key that it may be equal to, or none if it may equal any. Where a group is concerned an
//! operation answers that it is *unsure*: the caller compares with the group's keys ([`RemoteDict::candidates`]) and
//! says what he found ([`RemoteDict::settle`], or by the field).

use std::sync::Arc;
use std::time::Duration;

use super::{PAGE, PAGED_TRIES, change, claim, handle, lock_key, pack, scripts};
use crate::remote::call::Call;
use crate::remote::object::{Kind, Object};
use crate::remote::script::Script;
use crate::remote::{Patience, RemoteError, Server};

static KIND: Kind =
    Kind { name: "dict", parts: &["entries", "order", "odd", "waiters", "lock", "lock:waiters"] };
/// The places of the waiters and of the lock among the keys.
const WAITERS: usize = 5;
const LOCK: i64 = 6;

scripts! { reads: "dict_common.lua";
    LEN = "dict_len.lua" "asking a dict's length";
    GET = "dict_get.lua" "reading from a dict";
    CONTAINS = "dict_contains.lua" "looking for a key of a dict";
    CANDIDATES = "dict_candidates.lua" "reading a dict's keys";
    PAGES = "dict_page.lua" "reading a dict";
    AWAIT = "dict_await.lua" "waiting for a dict";
}

scripts! { changes: "dict_common.lua";
    SET = "dict_set.lua" "setting a dict's value";
    REPLACE = "dict_replace.lua" "replacing a dict's value";
    DEFAULT = "dict_default.lua" "setting a dict's default";
    POP = "dict_pop.lua" "removing from a dict";
    POPITEM = "dict_popitem.lua" "removing a dict's newest entry";
    EXCHANGE = "dict_exchange.lua" "exchanging a dict's value";
    ADD = "dict_add.lua" "adding to a dict's value";
    UPDATE = "dict_update.lua" "updating a dict";
    SETTLE = "dict_settle.lua" "setting compared keys of a dict";
    CLEAR = "dict_clear.lua" "emptying a dict";
}

/// A dict of messages on a server, in the order of insertion. Keys are messages, too: see [`key_in_field`].
///
/// Each operation is one step. It waits for the server as long as the address's `timeout` says.
#[derive(Debug, Clone)]
pub struct RemoteDict {
    object: Arc<Object>,
}

handle!(RemoteDict);

/// What a dict has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// This value.
    Value(Vec<u8>),
    /// Only who made the keys can tell.
    Unsure,
}

/// What came of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchanged {
    /// It was as expected, and is the new one.
    Done,
    /// It is another one, or none, and stays.
    Is(Option<Vec<u8>>),
    /// Only who made the keys can tell.
    Unsure,
}

/// What came of an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The sum, as a message.
    Sum(Vec<u8>),
    /// The server can't add these two exactly: whole numbers beyond 2⁵³, or no numbers. It is this one still, or none.
    NotHere(Option<Vec<u8>>),
    /// Only who made the keys can tell.
    Unsure,
}

/// The keys that may be equal to another one.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Says whether they are still the same.
    pub mark: Vec<u8>,
    /// Their fields.
    pub fields: Vec<Vec<u8>>,
}

/// What is set for a key that was compared.
#[derive(Debug, Clone, Copy)]
pub enum Settled<'a> {
    /// The field with an equal key.
    There(&'a [u8]),
    /// None is equal: the key's message, its group, and the candidates' mark.
    New(&'a [u8], &'a [u8], &'a [u8]),
}

/// Entries that were copied out.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// Counts replaced values; another number: something may be another.
    pub version: i64,
    /// The same for keys that are added or removed.
    pub shape: i64,
    /// Behind which number the next ones are; `None`: there are none.
    pub next: Option<Vec<u8>>,
    /// The keys' fields, in order.
    pub fields: Vec<Vec<u8>>,
    /// Their values, if these were asked for.
    pub values: Vec<Vec<u8>>,
}

/// A field and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// The kind and the body of the key that a field stands for.
///
/// A plain key's field is its message. With a kind from 64 on a number of eight bytes stands before the body, and the
/// group behind a length of four bytes.
#[must_use]
pub fn key_in_field(field: &[u8]) -> Option<(u8, &[u8])> {
    let (&kind, rest) = field.split_first()?;
    if kind < 64 {
        return Some((kind, rest));
    }
    let (head, rest) = rest.split_at_checked(12)?;
    let group = u32::from_be_bytes(head[8..].try_into().ok()?);
    Some((kind, rest.get(group as usize..)?))
}

impl RemoteDict {
    /// The dict of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn named(server: &Server, name: &str) -> Result<RemoteDict, RemoteError> {
        Ok(RemoteDict { object: Object::named(server, &KIND, name, &[])?.0.into() })
    }

    /// A new one without a name.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(server: &Server) -> Result<RemoteDict, RemoteError> {
        Ok(RemoteDict { object: Object::anonymous(server, &KIND, &[])?.0.into() })
    }

    fn call(&self, script: &'static Script) -> Result<Call<'_>, RemoteError> {
        self.object.call(script)
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

    /// How many entries there are.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn len(&self) -> Result<u64, RemoteError> {
        Ok(self.call(&LEN)?.read(&Patience::forever())?.int(0)?.cast_unsigned())
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn is_empty(&self) -> Result<bool, RemoteError> {
        Ok(self.len()? == 0)
    }

    /// A field's value.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn get(&self, field: &[u8]) -> Result<Seen, RemoteError> {
        seen(self.call(&GET)?.arg(field).read(&Patience::forever())?)
    }

    /// Whether there is such a field; `None`: only who made the keys can tell.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn contains(&self, field: &[u8]) -> Result<Option<bool>, RemoteError> {
        let reply = self.call(&CONTAINS)?.arg(field).read(&Patience::forever())?;
        Ok(unless_unsure(reply.int(0)?).map(|found| found == 1))
    }

    /// Sets the value of a plain key. Whether there was none; `None`: only who made the keys can tell.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn set(&self, field: &[u8], value: Vec<u8>) -> Result<Option<bool>, RemoteError> {
        let reply = change(&self.call(&SET)?.arg(field).arg(value))?;
        Ok(unless_unsure(reply.int(0)?).map(|found| found == 0))
    }

    /// Replaces the value of a field. Whether it was there.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn replace(&self, field: &[u8], value: Vec<u8>) -> Result<bool, RemoteError> {
        Ok(change(&self.call(&REPLACE)?.arg(field).arg(value))?.int(0)? == 1)
    }

    /// The value of a plain key, which is set if there was [`Seen::Nothing`].
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn set_default(&self, field: &[u8], value: Vec<u8>) -> Result<Seen, RemoteError> {
        seen(change(&self.call(&DEFAULT)?.arg(field).arg(value))?)
    }

    /// Removes a field, and gives its value.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn pop(&self, field: &[u8]) -> Result<Seen, RemoteError> {
        seen(change(&self.call(&POP)?.arg(field))?)
    }

    /// Removes the newest entry: its field and value.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn pop_last(&self) -> Result<Option<Entry>, RemoteError> {
        let mut reply = change(&self.call(&POPITEM)?)?;
        if reply.int(0)? == 0 {
            return Ok(None);
        }
        Ok(Some((reply.bytes(1)?.unwrap_or_default(), reply.bytes(2)?.unwrap_or_default())))
    }

    /// Sets a field's value to `new` if it is `old`; no `old`: if there is none; no `new`: removes it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn exchange(
        &self,
        field: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchanged, RemoteError> {
        let mut call = self.call(&EXCHANGE)?.arg(field);
        for value in [old, new] {
            call = call.int(value.is_some().into()).arg(value.unwrap_or_default());
        }
        let mut reply = change(&call)?;
        Ok(match reply.int(0)? {
            0 => Exchanged::Is(if reply.len() > 1 { reply.bytes(1)? } else { None }),
            1 => Exchanged::Done,
            _ => Exchanged::Unsure,
        })
    }

    /// Adds to the number of a plain key, which is 0 if there is none. With `whole` only whole ones count as numbers.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn add(&self, field: &[u8], summand: &[u8], whole: bool) -> Result<Added, RemoteError> {
        let call = self.call(&ADD)?.arg(field).arg(summand).int(whole.into());
        let mut reply = change(&call)?;
        Ok(match reply.int(0)? {
            1 => Added::Sum(reply.bytes(1)?.unwrap_or_default()),
            2 => Added::Unsure,
            _ => Added::NotHere(if reply.len() > 1 { reply.bytes(1)? } else { None }),
        })
    }

    /// Sets the values of many plain keys; of those with the same key the last counts. `false`: only who made the keys
    /// can tell, and none is set.
    ///
    /// It is one step, in which the server serves nobody else: several microseconds for each entry. A step that takes
    /// longer than the lease ends all clients' leases.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn update<'a>(
        &self,
        entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<bool, RemoteError> {
        let packed = pack(entries.into_iter().flat_map(|(field, value)| [field, value]));
        Ok(change(&self.call(&UPDATE)?.arg(packed))?.int(0)? == 1)
    }

    /// Sets the values of keys that the caller has compared. `false`: a key has come or gone meanwhile, and none is set.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn settle<'a>(
        &self,
        entries: impl IntoIterator<Item = (Settled<'a>, &'a [u8])>,
    ) -> Result<bool, RemoteError> {
        let five = |(what, value): (Settled<'a>, &'a [u8])| match what {
            Settled::There(field) => [&b"1"[..], field, b"", b"", value],
            Settled::New(key, group, mark) => [b"0", key, group, mark, value],
        };
        let packed = pack(entries.into_iter().flat_map(five));
        Ok(change(&self.call(&SETTLE)?.arg(packed))?.int(0)? == 1)
    }

    /// The fields of keys that may be equal to one of this group; empty: all.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn candidates(&self, group: &[u8]) -> Result<Candidates, RemoteError> {
        let mut reply = self.call(&CANDIDATES)?.arg(group).read(&Patience::forever())?;
        let mark = reply.bytes(0)?.unwrap_or_default();
        let fields = (1..reply.len()).map(|i| Ok(reply.bytes(i)?.unwrap_or_default()));
        Ok(Candidates { mark, fields: fields.collect::<Result<_, RemoteError>>()? })
    }

    /// Copies entries out, in order, behind the one with this number: so many, and about so many bytes; 0: any.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn page(
        &self,
        after: &[u8],
        with_values: bool,
        most: u32,
        bytes: i64,
    ) -> Result<Entries, RemoteError> {
        let call = self.call(&PAGES)?.arg(after).int(with_values.into());
        let mut reply = call.int(most.into()).int(bytes).read(&Patience::forever())?;
        let next = reply.bytes(2)?.filter(|next| !next.is_empty());
        let mut all =
            Entries { version: reply.int(0)?, shape: reply.int(1)?, next, ..Entries::default() };
        let mut i = 3;
        while i < reply.len() {
            all.fields.push(reply.bytes(i)?.unwrap_or_default());
            if with_values {
                all.values.push(reply.bytes(i + 1)?.unwrap_or_default());
            }
            i += 1 + usize::from(with_values);
        }
        Ok(all)
    }

    /// Copies all entries out, as they are at one moment.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn snapshot(&self, with_values: bool) -> Result<Entries, RemoteError> {
        for _ in 0..PAGED_TRIES {
            if let Some(all) = self.in_pages(with_values)? {
                return Ok(all);
            }
        }
        self.page(b"0", with_values, 0, 0)
    }

    /// All entries, page by page; `None` if they were changed meanwhile.
    fn in_pages(&self, with_values: bool) -> Result<Option<Entries>, RemoteError> {
        let mut all = self.page(b"0", with_values, 0, PAGE)?;
        while let Some(next) = &all.next {
            let more = self.page(next, with_values, 0, PAGE)?;
            if (more.shape, with_values.then_some(more.version))
                != (all.shape, with_values.then_some(all.version))
            {
                return Ok(None);
            }
            all.fields.extend(more.fields);
            all.values.extend(more.values);
            all.next = more.next;
        }
        Ok(Some(all))
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn clear(&self) -> Result<(), RemoteError> {
        change(&self.call(&CLEAR)?).map(drop)
    }

    /// Its shape: see [`Entries::shape`].
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn shape(&self) -> Result<i64, RemoteError> {
        self.call(&AWAIT)?.arg("").arg("").read(&Patience::forever())?.int(1)
    }

    /// Waits until the shape is another one; `false`: patience ended first.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn wait_for_change(
        &self,
        since: i64,
        patience: &Patience<'_>,
    ) -> Result<bool, RemoteError> {
        let changed = self.object.wait(WAITERS, patience, |waiter| {
            let call = self.call(&AWAIT)?.int(since).arg(waiter.unwrap_or_default());
            let reply = if waiter.is_some() { call.look(patience) } else { call.read(patience) };
            Ok((reply?.int(0)? == 1).then_some(()))
        })?;
        Ok(changed.is_some())
    }
}

fn unless_unsure(status: i64) -> Option<i64> {
    (status != 2).then_some(status)
}

fn seen(mut reply: crate::remote::reply::Reply) -> Result<Seen, RemoteError> {
    Ok(match reply.int(0)? {
        0 => Seen::Nothing,
        1 => Seen::Value(reply.bytes(1)?.unwrap_or_default()),
        _ => Seen::Unsure,
    })
}
