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
use super::{Address, Patience, RemoteError};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// How long a call that has no time left, or less than this, asks a server that hangs, in all.
const SHORTEST: Duration = Duration::from_secs(1);
/// Limits are rounded up to these, so that a connection's is seldom set.
const STEP: Duration = Duration::from_millis(125);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// What is larger may not fit into the buffers on the way, and is given time for that: for so many bytes at the most, at so many a second.
const LARGE: usize = 64 << 10;
const VERY_LARGE: usize = 1 << 20;
const MOST_ON_THE_WAY: usize = 8 << 20;
const SLOWEST: f64 = 500e3;

/// A call that is being put together.
#[derive(Debug)]
#[must_use]
pub(crate) struct Call<'a> {
    client: Arc<Client>,
    sending: Sending<'a>,
    undo: Option<&'static Script>,
    life: Option<Arc<Life>>,
    parting: bool,
    harmless: bool,
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
        Call { client, sending, undo: None, life: None, parting: false, harmless: false }
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

    /// Who calls goes away: if the server does not answer at once, the pulse sees to it.
    pub(crate) fn parting(mut self) -> Self {
        self.parting = true;
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

    /// The same, of what changes nothing but who is woken: whether it was done need not be known.
    pub(crate) fn look(mut self, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        self.harmless = true;
        self.go(true, patience)
    }

    /// Does it; it changes nothing, so the server keeps no reply.
    pub(crate) fn read(&self, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        self.go(false, patience)
    }

    fn go(&self, changes: bool, patience: &Patience<'_>) -> Result<Reply, RemoteError> {
        let client = &*self.client;
        let mut slot = client.take_slot();
        slot.seq += 1;
        let mut tries = Tries::new(client.address(), Size::of(&self.sending.arguments));
        tries.matters = changes && !self.harmless;
        let result = if self.parting && client.hangs() {
            let address = client.address().to_string();
            let why = "it did not answer a moment ago".to_string();
            Err(RemoteError::Unreachable { address, waited: Duration::ZERO, why })
        } else {
            self.attempts(&mut slot, changes, &mut tries, patience)
        };
        match &result {
            Ok(_) => client.set_hangs(false),
            Err(RemoteError::Unreachable { .. } | RemoteError::OutcomeUnknown { .. }) => {
                client.set_hangs(true);
            }
            Err(_) => {}
        }
        let unknown = result.is_err() && tries.sent.is_some() && changes;
        let unreached = |error: &RemoteError| {
            use RemoteError::{Interrupted, OutcomeUnknown, Unreachable};
            matches!(error, Interrupted | OutcomeUnknown { .. } | Unreachable { .. })
        };
        let undo = if unknown { self.undo } else { None };
        if undo.is_some() || self.parting && result.as_ref().is_err_and(unreached) {
            slot.connection = None;
            let life = tries.sent.take().or_else(|| self.life.clone());
            let life = life.unwrap_or_else(|| client.life());
            let unresolved = Unresolved { slot, life, sending: self.sending.to_keep(), undo };
            locked(&client.unresolved).push(unresolved);
        } else {
            client.give_slot(slot);
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
        let timeout = client.address().timeout();
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
            if used && error.code().is_none() && !error.is_timeout() {
                // A connection that was cut while nobody used it says nothing of the server.
                tries.good.get_or_insert_with(Instant::now);
                continue;
            }
            tries.limit = (tries.limit * 2).min(timeout);
            let end = tries.end(client.address(), patience);
            if Instant::now() >= end {
                let why = told(&error) + &tries.size.hint();
                let address = client.address().to_string();
                return Err(if tries.sent.is_some() && tries.matters {
                    RemoteError::OutcomeUnknown { address, what, why }
                } else {
                    RemoteError::Unreachable { address, waited: tries.began.elapsed(), why }
                });
            }
            let left = end.saturating_duration_since(Instant::now());
            if !patience.sleep(tries.pause.min(left)) {
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
        // A server that hangs takes no more time than the caller has, and an old connection half of it: it may be that one
        // which hangs.
        let timeout = client.address().timeout();
        let end = tries.end(client.address(), patience);
        let used = slot.connection.is_some();
        let limit = || {
            let left = end.saturating_duration_since(Instant::now());
            let left = if used { left / 2 } else { left };
            let steps = left.as_millis().div_ceil(STEP.as_millis()).max(1);
            tries.limit.min(STEP * u32::try_from(steps).unwrap_or(u32::MAX))
        };
        if !used {
            let (began, limit) = (Instant::now(), limit());
            match client.address().connect(limit) {
                Ok(connection) => slot.connection = Some(connection),
                Err(error) => return failed(error),
            }
            slot.limit = limit;
            if began.elapsed() >= limit {
                // The library takes a server that says nothing for connected.
                return failed(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
            }
        }
        // Who was so slow to connect may answer as slowly.
        let limit = limit().max((SHORTEST / 2).min(tries.limit));
        let seq = slot.number(changes);
        let size = tries.size;
        let Some(connection) = &mut slot.connection else { unreachable!("it was made above") };
        if slot.limit != limit {
            if let Err(error) = connection.set_read_timeout(Some(limit)) {
                return failed(error);
            }
            slot.limit = limit;
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
            let mut pace = Pace { limit, most: timeout, written: None };
            let prefix = client.address().prefix();
            let sent = self.sending.send(connection, &life, prefix, seq, &mut pace);
            tries.good = pace.written.or(tries.good);
            let error = match sent {
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
            Some(before) if tries.matters && (!Arc::ptr_eq(before, life) || life.is_over()) => {
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
    /// When something of it went right at last: a connection was found cut, and not the server away, or it was written.
    good: Option<Instant>,
    pause: Duration,
    /// How long an attempt waits for the answer at most.
    limit: Duration,
    /// The life under which it may have been done.
    sent: Option<Arc<Life>>,
    /// Whether it must be known if it was done.
    matters: bool,
    size: Size,
    /// The line was cut while much was sent: perhaps that is why.
    cut: bool,
}

impl Tries {
    fn new(address: &Address, size: Size) -> Tries {
        let (began, limit) = (Instant::now(), Client::first_limit(address));
        let pause = FIRST_PAUSE;
        Tries { began, good: None, pause, limit, sent: None, matters: true, size, cut: false }
    }

    /// When a call of that patience is given up, if nothing goes right any more.
    fn end(&self, address: &Address, patience: &Patience<'_>) -> Instant {
        let since = self.good.unwrap_or(self.began);
        let end = since + address.timeout();
        // One that has no time left has this much all the same, and what it took to write it.
        patience.until.map_or(end, |until| until.max(since + SHORTEST).min(end))
    }
}

/// How long an answer may take, which is more for what is large: it may be under way for long after it was written.
pub(super) struct Pace {
    /// For what is small.
    pub(super) limit: Duration,
    /// What is not exceeded for the sake of size alone.
    pub(super) most: Duration,
    /// When it was written, if it is large.
    pub(super) written: Option<Instant>,
}

impl Pace {
    /// Sends it and reads the answer.
    fn query(&mut self, command: &[u8], on: &mut Connection) -> Result<Value, RedisError> {
        if command.len() < LARGE {
            return on.req_packed_command(command)?.extract_error();
        }
        let kept = command.len().min(MOST_ON_THE_WAY) as f64 / SLOWEST;
        let limit = self.limit + Duration::from_secs_f64(kept).min(self.most);
        on.set_write_timeout(Some(limit))?;
        let began = Instant::now();
        on.send_packed_command(command)?;
        self.written = Some(Instant::now());
        on.set_read_timeout(Some(limit + 2 * began.elapsed()))?;
        let answer = on.recv_response()?;
        on.set_read_timeout(Some(self.limit))?;
        answer.extract_error()
    }
}

impl Sending<'_> {
    /// Sends it once and reads the answer. `seq`: what the call is known by, if it must not be done twice.
    pub(super) fn send(
        &self,
        on: &mut Connection,
        life: &Life,
        prefix: &str,
        seq: Option<Number>,
        pace: &mut Pace,
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
        let mut query = |on: &mut Connection| pace.query(&command, on);
        let load =
            |on: &mut Connection| redis::cmd("SCRIPT").arg("LOAD").arg(self.script.text()).exec(on);
        // What is very large is not sent in vain.
        if command.len() >= VERY_LARGE {
            let asked =
                redis::cmd("SCRIPT").arg("EXISTS").arg(self.script.hash()).query::<(bool,)>(on);
            match asked {
                Ok((false,)) => load(on)?,
                // Who may not ask does without.
                Err(error) if error.code().is_none() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        match query(on) {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                load(on)?;
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
