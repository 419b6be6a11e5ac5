//! This process's side of one server: its identity there, connections, and who waits.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, RedisError};

use super::life::Life;
use super::script::Script;
use super::waiters::Waiters;
use super::{Address, Patience, RemoteError};
use crate::sys::atomic::{AtomicBool, Ordering};

/// The shortest time between two looks at anything, and the longest sleep of who waits to be woken.
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(2);

/// One process's side of one server.
#[derive(Debug)]
pub(crate) struct Client {
    address: Arc<Address>,
    life: Mutex<Arc<Life>>,
    slots: Mutex<Slots>,
    pub(super) waiters: Waiters,
    /// The life whose wake-ups are heard.
    heard: Mutex<Option<String>>,
    hearing: Condvar,
    pub(super) kept: Mutex<HashMap<String, Kept>>,
    pub(super) graves: Mutex<Vec<Vec<String>>>,
    pub(super) unresolved: Mutex<Vec<Unresolved>>,
    pub(super) ended: AtomicBool,
    hangs: AtomicBool,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<Slot>,
    made: u32,
}

/// A connection, and the number of the last call that was made by it: the server keeps that one's reply.
pub(super) struct Slot {
    pub(super) index: u32,
    pub(super) seq: u64,
    /// A sending was not answered, and may arrive at any time until the server has a record of it or of a later one.
    pub(super) late: bool,
    pub(super) connection: Option<Connection>,
    /// How long that waits for an answer.
    pub(super) limit: Duration,
}

impl Slot {
    /// What a call is known by: by nothing, if it changes nothing and cannot be overtaken.
    pub(super) fn number(&self, changes: bool) -> Option<Number> {
        let (slot, seq, late) = (self.index, self.seq, self.late);
        (changes || late).then_some(Number { slot, seq, late })
    }
}

/// What the server knows a call by, and whether it is to keep the reply in any case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) slot: u32,
    pub(super) seq: u64,
    pub(super) late: bool,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// An object that somebody in this process has.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(super) handles: usize,
    pub(super) keys: Vec<String>,
    /// For how long it stays when nobody has it, in ms.
    pub(super) ttl: u64,
    /// Somebody else may have it, or be about to.
    pub(super) shared: bool,
    pub(super) forks: u32,
}

/// A call whose caller was told an error while it may have been done.
#[derive(Debug)]
pub(super) struct Unresolved {
    pub(super) slot: Slot,
    pub(super) life: Arc<Life>,
    pub(super) sending: super::call::Sending<'static>,
    /// What takes it back; none where that is what is left to be done.
    pub(super) undo: Option<&'static Script>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Connects, and has the server know this process.
    pub(super) fn open(address: Arc<Address>) -> Result<Client, RemoteError> {
        let began = Instant::now();
        let limit = Self::first_limit(&address);
        let begin = || {
            let left = address.timeout().saturating_sub(began.elapsed()).max(SOON);
            let limit = limit.min(left);
            let mut connection = address.connect(limit)?;
            check_version(&mut connection)?;
            let life = Life::begin(&address, &mut connection)?;
            // Who may not do this can wake nobody: he is told now, and not in the middle of something.
            redis::cmd("PUBLISH").arg(life.channel(&address)).arg("").exec(&mut connection)?;
            Ok((connection, life, limit))
        };
        let (connection, life, limit) = loop {
            match begin() {
                Ok(both) => break both,
                Err(error) if is_final(&error) => {
                    return Err(refused(&address, "the connection", &error));
                }
                Err(error) if began.elapsed() >= address.timeout() => {
                    return Err(RemoteError::Unreachable {
                        address: address.to_string(),
                        waited: began.elapsed(),
                        why: told(&error),
                    });
                }
                Err(_) if Patience::forever().is_interrupted() => {
                    return Err(RemoteError::Interrupted);
                }
                Err(_) => std::thread::sleep(SOON),
            }
        };
        let first = Slot { index: 0, seq: 0, late: false, connection: Some(connection), limit };
        Ok(Client {
            address,
            life: Mutex::new(Arc::new(life)),
            slots: Mutex::new(Slots { free: vec![first], made: 1 }),
            waiters: Waiters::default(),
            heard: Mutex::default(),
            hearing: Condvar::new(),
            kept: Mutex::default(),
            graves: Mutex::default(),
            unresolved: Mutex::default(),
            ended: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
        })
    }

    pub(crate) fn address(&self) -> &Arc<Address> {
        &self.address
    }

    /// What this client is known by now. It may be over.
    pub(crate) fn life(&self) -> Arc<Life> {
        Arc::clone(&locked(&self.life))
    }

    /// How long an attempt waits for the answer before the server is asked again: it may be at work at just that.
    pub(super) fn first_limit(address: &Address) -> Duration {
        (address.timeout() / 2).max(SOON)
    }

    /// Whether the server did not answer the last call in time.
    pub(super) fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }

    pub(super) fn set_hangs(&self, hangs: bool) {
        if self.hangs() != hangs {
            self.hangs.store(hangs, Ordering::Relaxed);
        }
    }

    pub(super) fn take_slot(&self) -> Slot {
        let mut slots = locked(&self.slots);
        slots.free.pop().unwrap_or_else(|| {
            let index = slots.made;
            slots.made += 1;
            let limit = Self::first_limit(&self.address);
            Slot { index, seq: 0, late: false, connection: None, limit }
        })
    }

    pub(super) fn give_slot(&self, slot: Slot) {
        locked(&self.slots).free.push(slot);
    }

    /// Begins another life in the place of one that is over. What was held under the old one is lost.
    pub(super) fn renew(
        &self,
        old: &Arc<Life>,
        on: &mut Connection,
    ) -> Result<Arc<Life>, RedisError> {
        old.end();
        let current = self.life();
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let fresh = Arc::new(Life::begin(&self.address, on)?);
        let current = {
            let mut life = locked(&self.life);
            if Arc::ptr_eq(&life, old) {
                *life = Arc::clone(&fresh);
            }
            Arc::clone(&life)
        };
        let unused = if Arc::ptr_eq(&current, &fresh) { old } else { &fresh };
        unused.leave(on);
        Ok(current)
    }

    /// Says which life's wake-ups are heard from now on.
    pub(super) fn hears(&self, life: Option<String>) {
        *locked(&self.heard) = life;
        self.hearing.notify_all();
    }

    /// Waits until wake-ups are heard, but not for long: who waits looks again by himself, too. False if it was
    /// interrupted.
    pub(super) fn until_heard(&self, life: &Life, patience: &Patience<'_>) -> bool {
        let end = Instant::now() + self.slice();
        let end = patience.until.map_or(end, |until| until.min(end));
        loop {
            let heard = locked(&self.heard);
            let left = end.saturating_duration_since(Instant::now());
            if heard.as_deref() == Some(life.id()) || left.is_zero() {
                return true;
            }
            let woken = self.hearing.wait_timeout(heard, left.min(SOON));
            drop(woken.unwrap_or_else(PoisonError::into_inner));
            if patience.is_interrupted() {
                return false;
            }
        }
    }

    /// How long who waits sleeps at most before he looks by himself.
    pub(super) fn slice(&self) -> Duration {
        (self.address.lease() / 4).clamp(SOON, LATE)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// The server must know what the scripts use: effects replication, ZPOPMIN, `UNLINK`, HELLO's fields.
fn check_version(on: &mut Connection) -> Result<(), RedisError> {
    let info: String = redis::cmd("INFO").arg("server").query(on)?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let mut parts = version.unwrap_or("").split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < (6, 2) {
        let why = "it is older than Redis 6.2 or Valkey 7.2";
        return Err((redis::ErrorKind::InvalidClientConfig, why).into());
    }
    Ok(())
}

/// Whether it is of no use to try again.
pub(super) fn is_final(error: &RedisError) -> bool {
    use redis::ErrorKind::{
        AuthenticationFailed, InvalidClientConfig, Server, UnexpectedReturnType,
    };
    let code = error.code().unwrap_or("");
    let passing = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY"];
    match error.kind() {
        AuthenticationFailed | InvalidClientConfig | UnexpectedReturnType => true,
        Server(_) | redis::ErrorKind::Extension => !passing.contains(&code),
        _ => false,
    }
}

/// What an error of the library says, which never knows a password.
pub(super) fn told(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

pub(super) fn refused(address: &Address, what: &'static str, error: &RedisError) -> RemoteError {
    RemoteError::Server { address: address.to_string(), what, why: told(error) }
}
