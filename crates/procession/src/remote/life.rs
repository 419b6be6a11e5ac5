//! A client's identity on its server, which lasts as long as it is renewed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, RedisError};

use super::Address;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::process::random_id;

const BEGIN: &str = "redis.call('HSET', KEYS[1], 'pid', ARGV[1], 'host', ARGV[2]) \
                     return redis.call('PEXPIRE', KEYS[1], ARGV[3])";

/// A time for which a client is known to its server by one name. What it holds there, it holds under this name.
#[derive(Debug)]
pub(crate) struct Life {
    id: String,
    key: String,
    lease: Duration,
    over: AtomicBool,
    /// When the renewal that the server last confirmed was sent: so it never ends later here than there.
    renewed: Mutex<Instant>,
}

impl Life {
    /// Has the server know a new one.
    pub(super) fn begin(address: &Address, on: &mut Connection) -> Result<Life, RedisError> {
        let id: String = random_id()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("{}:client:{id}", address.prefix());
        let sent = Instant::now();
        let node = rustix::system::uname();
        // A script and no transaction, whose errors have no code that says whether it is of use to try again.
        redis::cmd("EVAL")
            .arg(BEGIN)
            .arg(1)
            .arg(&key)
            .arg(std::process::id())
            .arg(node.nodename().to_bytes())
            .arg(address.lease().as_millis() as u64)
            .exec(on)?;
        let lease = address.lease();
        Ok(Life { id, key, lease, over: AtomicBool::new(false), renewed: Mutex::new(sent) })
    }

    /// What the server knows this client by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Where this client hears that one of its threads may go on.
    pub(super) fn channel(&self, address: &Address) -> String {
        format!("{}:wake:{}", address.prefix(), self.id)
    }

    /// Whether it has ended, and what was held under it may be others' by now. It never begins again.
    pub(crate) fn is_over(&self) -> bool {
        let late = || {
            let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            renewed.elapsed() >= self.lease
        };
        if !self.over.load(Ordering::Acquire) && late() {
            self.end();
        }
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Asks the server for another lease. False if it is over.
    pub(super) fn renew(&self, on: &mut Connection) -> Result<bool, RedisError> {
        let sent = Instant::now();
        let lease = self.lease.as_millis() as u64;
        let known: i64 = redis::cmd("PEXPIRE").arg(&self.key).arg(lease).query(on)?;
        if known == 0 || self.is_over() {
            self.end();
            return Ok(false);
        }
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
        Ok(true)
    }

    /// Tells the server that it is over: what was held under it is free at once.
    pub(super) fn leave(&self, on: &mut Connection) {
        self.end();
        let _: Result<(), _> = redis::cmd("UNLINK").arg(&self.key).exec(on);
    }
}
