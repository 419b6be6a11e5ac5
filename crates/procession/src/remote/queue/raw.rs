//! A queue of bytes: putting and taking.

use std::sync::Arc;

use super::delivery::Ticket;
use super::error::{GetError, PutError};
use super::limits::Limits;
use super::message::{NewMessage, Taken};
use super::scripts::{GETTERS, PUTTERS, QueueKind};
use crate::codec::order;
use crate::remote::object::{Object, Params};
use crate::remote::reply::Reply;
use crate::remote::{Patience, RemoteError, Server};

/// So many messages, and so many bytes, go in one step.
const STEP_MESSAGES: usize = 1000;
const STEP_BYTES: usize = 1 << 20;

/// A queue of messages on a server, which are bytes. Clones are the same queue.
///
/// Nothing here decodes a message: that is for the bindings of a language, and for [`Queue`](super::Queue) and the like.
#[derive(Debug, Clone)]
pub struct RemoteQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    object: Object,
    kind: QueueKind,
    limits: Limits,
}

/// What a script made of messages that it was to put.
enum Offered {
    Put(usize),
    Closed,
    /// The next one after these can't be compared with its neighbours.
    Unordered(usize),
}

impl RemoteQueue {
    /// The queue of that name; it is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`] if the name is that of something else, [`RemoteError::Differs`] if the queue has
    /// other limits than those that are asked for. Who asks for none takes what there is.
    pub fn named(
        server: &Server,
        kind: QueueKind,
        name: &str,
        limits: Limits,
    ) -> Result<RemoteQueue, RemoteError> {
        let made = Object::named(server, kind.object(), name, &params(limits))?;
        let queue = RemoteQueue::of(kind, made)?;
        if !limits.are_none() && queue.limits() != limits {
            let show = |limits: Limits| match (limits.messages, limits.bytes) {
                (0, 0) => "without bound".into(),
                (messages, 0) => messages.to_string(),
                (messages, bytes) => format!("{messages} messages, {bytes} bytes"),
            };
            return Err(RemoteError::Differs {
                name: name.into(),
                what: "capacity",
                found: show(queue.limits()),
                wanted: show(limits),
            });
        }
        Ok(queue)
    }

    /// A queue without a name, which is there as long as somebody has it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn anonymous(
        server: &Server,
        kind: QueueKind,
        limits: Limits,
    ) -> Result<RemoteQueue, RemoteError> {
        RemoteQueue::of(kind, Object::anonymous(server, kind.object(), &params(limits))?)
    }

    /// The queue that has that [`key`](RemoteQueue::key).
    ///
    /// # Errors
    /// [`RemoteError::Gone`] if there is none.
    pub fn attach(server: &Server, kind: QueueKind, key: &str) -> Result<RemoteQueue, RemoteError> {
        RemoteQueue::of(kind, Object::attach(server, kind.object(), key)?)
    }

    fn of(kind: QueueKind, (object, params): (Object, Params)) -> Result<RemoteQueue, RemoteError> {
        let number = |name: &str| {
            let text = params.get(name).map(Vec::as_slice).unwrap_or_default();
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| RemoteError::Corrupt(format!("a queue without {name}")))
        };
        let limits = Limits { messages: number("maxsize")?, bytes: number("maxbytes")? };
        Ok(RemoteQueue { inner: Arc::new(Inner { object, kind, limits }) })
    }

    pub(super) fn object(&self) -> &Object {
        &self.inner.object
    }

    /// What names the queue on its server.
    #[must_use]
    pub fn key(&self) -> &str {
        self.object().key()
    }

    /// The same, for a handle that travels: from now on others may have the queue.
    #[must_use]
    pub fn key_to_send(&self) -> &str {
        self.object().key_to_send()
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.object().name()
    }

    /// In which order it gives out what it has.
    #[must_use]
    pub fn kind(&self) -> QueueKind {
        self.inner.kind
    }

    /// How much may be in it.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Puts a message; waits while there is no room.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn put(
        &self,
        message: NewMessage<'_>,
        patience: &Patience<'_>,
    ) -> Result<(), PutError<()>> {
        self.put_many(&[message], patience).map_err(|error| error.map(|_| ()))
    }

    /// Puts messages in their order, as room comes. Others' may come between, where they don't go in one step.
    ///
    /// # Errors
    /// [`PutError`], with how many are in the queue: the first ones.
    pub fn put_many(
        &self,
        messages: &[NewMessage<'_>],
        patience: &Patience<'_>,
    ) -> Result<(), PutError<usize>> {
        let mut done = 0;
        while done < messages.len() {
            let step = one_step(&messages[done..]);
            let offered = self
                .object()
                .wait(PUTTERS, patience, |waiter| self.offer(step, waiter, patience))
                .map_err(|error| PutError::Remote(done, error))?;
            match offered {
                Some(Offered::Put(n)) => done += n,
                Some(Offered::Closed) => return Err(PutError::Closed(done)),
                Some(Offered::Unordered(n)) => {
                    let why = "it can't be compared with what is there";
                    return Err(PutError::Unordered(done + n, why.into()));
                }
                None => return Err(PutError::Full(done)),
            }
        }
        Ok(())
    }

    fn offer(
        &self,
        messages: &[NewMessage<'_>],
        waiter: Option<&str>,
        patience: &Patience<'_>,
    ) -> Result<Option<Offered>, RemoteError> {
        let limits = self.limits();
        let is_ordered = self.kind() == QueueKind::Priority;
        let call = self.object().call(self.kind().scripts().put)?;
        let call = call.arg(limits.messages.to_string()).arg(limits.bytes.to_string());
        let call = match self.kind() {
            QueueKind::Priority => call.arg(shape_of(messages).to_string()),
            QueueKind::Joinable | QueueKind::Lifo => call.arg("1"),
            QueueKind::Fifo | QueueKind::Delivery => call.arg(""),
        };
        let mut call = call.arg(waiter.unwrap_or(""));
        for message in messages {
            if is_ordered {
                call = call.arg(message.key);
            }
            call = call.parts(&[&[message.kind], message.body]);
        }
        let reply = call.run(patience)?;
        match reply.int(0)? {
            0 => Ok(None),
            -1 => Ok(Some(Offered::Closed)),
            -2 => Ok(Some(Offered::Unordered(count(reply.int(1)?)?))),
            n => Ok(Some(Offered::Put(count(n)?))),
        }
    }

    /// Takes the next message; waits while there is none.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get(&self, patience: &Patience<'_>) -> Result<Taken, GetError> {
        let taken = self.take(1, patience)?;
        taken.into_iter().next().ok_or(GetError::Empty)
    }

    /// Takes at least one message, for which it waits, and at most `max` that are there.
    ///
    /// # Errors
    /// As [`get`](RemoteQueue::get), for the first. Where the others can't be had, what was taken is given out.
    pub fn get_many(&self, max: usize, patience: &Patience<'_>) -> Result<Vec<Taken>, GetError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut all = self.take(max, patience)?;
        // A signal is kept for the caller: who asked for it here would have it, and no use for it.
        let deaf = Patience { interrupt: Some(&|| false), ..Patience::none() };
        while all.len() < max {
            match self.take(max - all.len(), &deaf) {
                Ok(more) => all.extend(more),
                Err(_) => break,
            }
        }
        Ok(all)
    }

    /// Takes one message or more, and not so many that a reply has no end.
    fn take(&self, max: usize, patience: &Patience<'_>) -> Result<Vec<Taken>, GetError> {
        let attempt = |waiter: Option<&str>| {
            let scripts = self.kind().scripts();
            let mut call = self.object().call(scripts.get)?.undo(scripts.unget);
            match self.kind() {
                QueueKind::Fifo | QueueKind::Joinable => call = call.arg("LPOP"),
                QueueKind::Lifo => call = call.arg("RPOP"),
                QueueKind::Priority | QueueKind::Delivery => {}
            }
            let call =
                call.arg(max.min(STEP_MESSAGES).to_string()).arg(self.limits().whom_to_wake());
            self.taken(call.arg(waiter.unwrap_or("")).run(patience)?)
        };
        received(self.object().wait(GETTERS, patience, attempt)?)
    }

    /// A copy of the message that would be taken next, which stays where it is; waits while there is none.
    ///
    /// # Errors
    /// As [`get`](RemoteQueue::get).
    pub fn peek(&self, patience: &Patience<'_>) -> Result<Taken, GetError> {
        let attempt = |waiter: Option<&str>| {
            let mut call = self.object().call(self.kind().scripts().peek)?;
            match self.kind() {
                QueueKind::Fifo | QueueKind::Joinable => call = call.arg("LINDEX").arg("0"),
                QueueKind::Lifo => call = call.arg("LINDEX").arg("-1"),
                QueueKind::Priority => call = call.arg("ZRANGE").arg(""),
                QueueKind::Delivery => {}
            }
            let mut reply = call.arg(waiter.unwrap_or("")).look(patience)?;
            match reply.int(0)? {
                0 => Ok(None),
                1 => self.message(whole(&mut reply, 1)?).map(|taken| Some(vec![taken])),
                _ => Ok(Some(Vec::new())),
            }
        };
        let seen = received(self.object().wait(GETTERS, patience, attempt)?)?;
        seen.into_iter().next().ok_or(GetError::Empty)
    }

    /// What a script has taken; nothing: wait; none: there will be none.
    fn taken(&self, mut reply: Reply) -> Result<Option<Vec<Taken>>, RemoteError> {
        let n = match reply.int(0)? {
            0 => return Ok(None),
            -1 => return Ok(Some(Vec::new())),
            n => count(n)?,
        };
        if self.kind() != QueueKind::Delivery {
            let all = (1..=n).map(|i| self.message(whole(&mut reply, i)?));
            return all.collect::<Result<_, _>>().map(Some);
        }
        let life: Arc<str> = reply.text(1)?.into();
        let mut all = Vec::with_capacity(n);
        for at in (2..).step_by(3).take(n) {
            let ticket = Ticket::new(reply.int(at)?, reply.int(at + 1)?, &life)?;
            all.push(Taken::in_flight(whole(&mut reply, at + 2)?, ticket)?);
        }
        Ok(Some(all))
    }

    fn message(&self, whole: Vec<u8>) -> Result<Taken, RemoteError> {
        match self.kind() {
            QueueKind::Priority => Taken::of_order(whole),
            _ => Taken::of_row(whole),
        }
    }

    /// Puts back what was taken, as if that had not been: to where it stood, in the order in which it was taken, also if
    /// the queue is full or was shut down. What is in flight no more is left where it is.
    ///
    /// # Errors
    /// [`RemoteError`]; then some may be back, the last ones.
    pub fn give_back(&self, taken: &[Taken]) -> Result<(), RemoteError> {
        // The last ones first: each step goes before what is there.
        for step in taken.rchunks(STEP_MESSAGES) {
            let is_other = |a: &Taken, b: &Taken| a.life() == b.life();
            for same in step.chunk_by(is_other).rev() {
                let call = self.object().call(self.kind().scripts().unget)?;
                let mut call = call.arg(same.len().to_string());
                if let Some(life) = same[0].life() {
                    call = call.arg(life);
                }
                for one in same {
                    call = match one.ticket() {
                        Some(it) => {
                            call.arg(it.number().to_string()).arg(it.count().to_string()).arg("")
                        }
                        None => call.arg(one.whole()),
                    };
                }
                call.run(&Patience::forever())?;
            }
        }
        Ok(())
    }
}

impl Taken {
    fn life(&self) -> Option<&str> {
        self.ticket().map(Ticket::life)
    }
}

/// None: time is up. No message: there will be none.
fn received(taken: Option<Vec<Taken>>) -> Result<Vec<Taken>, GetError> {
    match taken {
        None => Err(GetError::Empty),
        Some(none) if none.is_empty() => Err(GetError::Closed),
        Some(taken) => Ok(taken),
    }
}

fn params(limits: Limits) -> [(&'static str, Vec<u8>); 2] {
    let text = |number: u64| number.to_string().into_bytes();
    [("maxsize", text(limits.messages)), ("maxbytes", text(limits.bytes))]
}

/// The first messages, as many as go in one step.
fn one_step<'a, 'b>(messages: &'a [NewMessage<'b>]) -> &'a [NewMessage<'b>] {
    let mut bytes = 0;
    let fits = messages.iter().take(STEP_MESSAGES).take_while(|message| {
        bytes += message.body.len() + message.key.len();
        bytes <= STEP_BYTES
    });
    &messages[..fits.count().max(1)]
}

/// The shape that all keys have; 0: they have several.
fn shape_of(messages: &[NewMessage<'_>]) -> u64 {
    let mut shapes = messages.iter().map(|message| order::shape(message.key));
    let first = shapes.next().unwrap_or(0);
    if shapes.all(|shape| shape == first) { first } else { 0 }
}

fn count(n: i64) -> Result<usize, RemoteError> {
    usize::try_from(n).map_err(|_| RemoteError::Corrupt(format!("{n} messages")))
}

fn whole(reply: &mut Reply, at: usize) -> Result<Vec<u8>, RemoteError> {
    reply.bytes(at)?.ok_or_else(|| RemoteError::Corrupt("a message that is not there".into()))
}
