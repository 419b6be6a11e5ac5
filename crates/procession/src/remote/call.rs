//! One call of a script, which is done exactly once however often it has to be sent.
//!
//! Each call has its slot's next number. The server keeps the reply of a slot's last call with the client's
//! lease, so a call that is sent again is answered from there if it was done, and one that arrives late is
//! refused: the idea is RIFL's (Lee and others, "Implementing Linearizability at Large Scale and Low Latency",
//! SOSP 2015).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Connection, ConnectionLike, RedisError, Value};

use super::bounds::Size;
use super::client::{Client, Number, Slot, Unresolved, is_final, locked, refused, told};
use super::life::Life;
use super::reply::Reply;
use super::resp::{self, Words};
use super::script::Script;
use super::{Patience, RemoteError};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// A link may be as slow as this and a server that hangs is not told from it before.
const SHORTEST: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// A call that is being put together.
#[derive(Debug)]
#[must_use]
pub(crate) struct Call<'a> {
    client: Arc<Client>,
    sending: Sending<'a>,
    undo: Option<&'static Script>,
    life: Option<Arc<Life>>,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Sending<'a> {
    script: &'static Script,
    keys: Cow<'a, [String]>,
    arguments: Words,
    ttl: u64,
    must_be: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        client: Arc<Client>,
        script: &'static Script,
        keys: &'a [String],
        ttl: u64,
    ) -> Self {
        let must_be = !keys.is_empty();
        let (keys, arguments) = (Cow::Borrowed(keys), Words::default());
        let sending = Sending { script, keys, arguments, ttl, must_be };
        Call { client, sending, undo: None, life: None }
    }

    /// The object need not be there.
    pub(super) fn of_maybe_none(mut self) -> Self {
        self.sending.must_be = false;
        self
    }

    /// The next argument.
    pub(crate) fn arg(self, argument: impl AsRef<[u8]>) -> Self {
        self.parts(&[argument.as_ref()])
    }

    /// The next argument, whose parts stand one behind the other.
    pub(crate) fn parts(mut self, parts: &[&[u8]]) -> Self {
        self.sending.arguments.push(parts);
        self
    }

    /// The next argument, a number.
    pub(crate) fn int(self, argument: i64) -> Self {
        self.arg(argument.to_string())
    }

    /// What is run, with the parts of the reply as its arguments, if the caller was told an error and the call turns out
    /// to have been done.
    pub(crate) fn undo(mut self, script: &'static Script) -> Self {
        self.undo = Some(script);
        self
    }

    /// It is about something that was held under that life, and a `LeaseLost` if that is over.
    pub(crate) fn of_life(mut self, life: &Arc<Life>) -> Self {
        self.life = Some(Arc::clone(life));
        self
    }

    /// Does it, once.
    pub(crate) fn run(&self, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        self.go(true, patience)
    }

    /// Does it; it changes nothing, so the server keeps no reply.
    pub(crate) fn read(&self, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        self.go(false, patience)
    }

    fn go(&self, changes: bool, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        let mut slot = self.client.take_slot();
        slot.seq += 1;
        let size = Size::of(&self.sending.arguments);
        let (began, pause) = (Instant::now(), FIRST_PAUSE);
        let mut tries = Tries { began, failing: None, pause, sent: None, size, cut: false };
        let result = self.attempts(&mut slot, changes, &mut tries, patience);
        let unknown = result.is_err() && tries.sent.is_some() && changes;
        match (unknown, self.undo, tries.sent.take()) {
            (true, Some(undo), Some(life)) => {
                slot.connection = None;
                let unresolved =
                    Unresolved { slot, life, sending: self.sending.to_keep(), undo: Some(undo) };
                locked(&self.client.unresolved).push(unresolved);
            }
            _ => self.client.give_slot(slot),
        }
        Reply::of(result?)
    }

    fn attempts(
        &self,
        slot: &mut Slot,
        changes: bool,
        tries: &mut Tries,
        patience: &Patience<'_>,
    ) -> Result<Value, RemoteError> {
        let (client, what) = (&*self.client, self.sending.script.name());
        loop {
            let used = slot.connection.is_some();
            let error = match self.attempt(slot, changes, tries, patience)? {
                Ok(value) => {
                    tries.sent = None;
                    return Ok(value);
                }
                Err(error) => error,
            };
            slot.connection = None;
            if patience.is_interrupted() {
                return Err(RemoteError::Interrupted);
            }
            if used && error.code().is_none() {
                // A connection that was cut while nobody used it says nothing of the server.
                tries.failing.get_or_insert_with(Instant::now);
                continue;
            }
            slot.limit = (slot.limit * 2).min(client.address().timeout());
            let failing = *tries.failing.get_or_insert(tries.began);
            let over = |until: Instant| Instant::now() >= until;
            if over(failing + client.address().timeout()) || patience.until.is_some_and(over) {
                let why = told(&error) + &tries.size.hint();
                let address = client.address().to_string();
                return Err(if tries.sent.is_some() && changes {
                    RemoteError::OutcomeUnknown { address, what, why }
                } else {
                    RemoteError::Unreachable { address, waited: tries.began.elapsed(), why }
                });
            }
            let left = patience.until.map(|until| until.saturating_duration_since(Instant::now()));
            if !patience.sleep(tries.pause.min(left.unwrap_or(LAST_PAUSE))) {
                return Err(RemoteError::Interrupted);
            }
            tries.pause = (tries.pause * 2).min(LAST_PAUSE);
        }
    }

    /// One attempt. The inner error is one after which another may succeed.
    fn attempt(
        &self,
        slot: &mut Slot,
        changes: bool,
        tries: &mut Tries,
        patience: &Patience<'_>,
    ) -> Result<Result<Value, RedisError>, RemoteError> {
        let client = &*self.client;
        let what = self.sending.script.name();
        let failed = |error: RedisError| {
            if is_final(&error) {
                Err(refused(client.address(), what, &error))
            } else {
                Ok(Err(error))
            }
        };
        // A server that hangs takes no more time than the caller has, if he has any.
        let left = patience.until.map(|until| until.saturating_duration_since(Instant::now()));
        let short = left.filter(|left| !left.is_zero()).map(|left| left.max(SHORTEST));
        let short = short.filter(|short| *short < slot.limit);
        if slot.connection.is_none() {
            match client.address().connect(short.unwrap_or(slot.limit)) {
                Ok(connection) => slot.connection = Some(connection),
                Err(error) => return failed(error),
            }
        }
        let seq = slot.number(changes);
        let size = tries.size;
        let Some(connection) = &mut slot.connection else { unreachable!("it was made above") };
        if short.is_some() || slot.short {
            slot.short = short.is_some();
            if let Err(error) = connection.set_read_timeout(short.or(Some(slot.limit))) {
                return failed(error);
            }
        }
        if tries.cut {
            match size.check(client.address(), what, connection) {
                Ok(None) => tries.cut = false,
                Ok(Some(error)) => {
                    tries.sent = None;
                    return Err(error);
                }
                Err(error) => return failed(error),
            }
        }
        let mut life = client.life();
        if let Some(held) = &self.life
            && (held.is_over() || !Arc::ptr_eq(held, &life))
        {
            return Err(self.lost());
        }
        loop {
            if life.is_over() {
                self.check_outcome(tries, &life)?;
                life = match client.renew(&life, connection) {
                    Ok(life) => life,
                    Err(error) => return failed(error),
                };
            }
            self.check_outcome(tries, &life)?;
            let before = tries.sent.replace(Arc::clone(&life));
            let error = match self.sending.send(connection, &life, client.address().prefix(), seq) {
                Ok(value) => {
                    slot.late = false;
                    return Ok(Ok(value));
                }
                Err(error) => error,
            };
            // An answer says that this sending was not done, and garbage is none.
            let answered = error.code().is_some();
            slot.late |= !answered;
            if answered {
                tries.sent = before;
            } else {
                tries.cut = size.may_be_too_large();
            }
            if let Some(error) = size.refused(client.address(), what, &error) {
                tries.sent = None;
                return Err(error);
            }
            match error.code() {
                Some("PROCESSIONOVER") => {
                    life.end();
                    if self.life.is_some() {
                        return Err(self.lost());
                    }
                }
                Some("PROCESSIONGONE") => {
                    tries.sent = None;
                    return Err(RemoteError::Gone(self.sending.keys[0].clone()));
                }
                _ => {
                    if is_final(&error) {
                        tries.sent = None;
                    }
                    return failed(error);
                }
            }
        }
    }

    /// A call that may have been done under another life is not done under this one.
    fn check_outcome(&self, tries: &Tries, life: &Arc<Life>) -> Result<(), RemoteError> {
        match &tries.sent {
            Some(before) if !Arc::ptr_eq(before, life) || life.is_over() => {
                Err(RemoteError::OutcomeUnknown {
                    address: self.client.address().to_string(),
                    what: self.sending.script.name(),
                    why: "this client's lease ended meanwhile".into(),
                })
            }
            _ => Ok(()),
        }
    }

    fn lost(&self) -> RemoteError {
        let what = self.sending.keys.first().cloned().unwrap_or_default();
        RemoteError::LeaseLost { what, lease: self.client.address().lease() }
    }
}

struct Tries {
    began: Instant,
    /// Since when no attempt has succeeded.
    failing: Option<Instant>,
    pause: Duration,
    /// The life under which it may have been done.
    sent: Option<Arc<Life>>,
    size: Size,
    /// The line was cut while much was sent: perhaps that is why.
    cut: bool,
}

impl Sending<'_> {
    /// Sends it once and reads the answer. `seq`: what the call is known by, if it must not be done twice.
    pub(super) fn send(
        &self,
        on: &mut Connection,
        life: &Life,
        prefix: &str,
        seq: Option<Number>,
    ) -> Result<Value, RedisError> {
        let before = |out: &mut Vec<u8>| {
            resp::word(out, &[b"EVALSHA"]);
            resp::word(out, &[self.script.hash().as_bytes()]);
            resp::number(out, self.keys.len() as u64 + 1, b"");
            self.keys.iter().for_each(|key| resp::word(out, &[key.as_bytes()]));
            resp::word(out, &[life.key().as_bytes()]);
        };
        let behind = |out: &mut Vec<u8>| {
            if let Some(Number { slot, seq, late }) = seq {
                resp::number(out, slot.into(), b"");
                resp::number(out, seq, if late { b"!" } else { b"" });
            } else {
                resp::word(out, &[]);
                resp::word(out, &[]);
            }
            resp::number(out, self.ttl, b"");
            resp::word(out, &[prefix.as_bytes()]);
            resp::word(out, &[if self.must_be && !self.script.looks() { b"1" } else { b"0" }]);
        };
        let command = resp::command(4 + self.keys.len(), &self.arguments, 5, before, behind);
        let query = |on: &mut Connection| on.req_packed_command(&command)?.extract_error();
        match query(on) {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                redis::cmd("SCRIPT").arg("LOAD").arg(self.script.text()).exec(on)?;
                query(on)
            }
            other => other,
        }
    }

    /// The script that takes back what this one did.
    pub(super) fn undone_by(
        &self,
        undo: &'static Script,
        arguments: Vec<Vec<u8>>,
    ) -> Sending<'static> {
        let arguments = arguments.into_iter().collect();
        Sending { script: undo, arguments, ..self.to_keep() }
    }

    /// The same, which outlives the call.
    fn to_keep(&self) -> Sending<'static> {
        let keys = Cow::Owned(self.keys.to_vec());
        let Sending { script, ttl, must_be, .. } = *self;
        Sending { script, keys, arguments: self.arguments.clone(), ttl, must_be }
    }
}
