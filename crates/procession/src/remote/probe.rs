//! Single commands, asked of a server outside of every call: what `procession doctor` looks at it with.
//!
//! Nothing is sent again, nothing is recorded, and no key is made but by the caller's own command. An
//! answer that is an error is an [`Answer::Refused`]: what a server does not let one do is a finding.

use std::time::Duration;

use redis::{Connection, ConnectionLike, ErrorKind, RedisError, Value};

use super::Address;
use super::error::plainly;

/// What came back. Maps, sets and numbers with a point arrive as the older protocol has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing.
    Nil,
    /// A whole number.
    Int(i64),
    /// A string.
    Bytes(Vec<u8>),
    /// Several.
    Many(Vec<Answer>),
    /// An error: its first word and the rest.
    Refused {
        /// `NOPERM`, `ERR`, `MISCONF`, …
        code: String,
        /// What the server says.
        text: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody answers there, or not in time.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody answers, and does not let us in.
    #[error("{0}")]
    Denied(String),
}

/// One connection.
pub struct Probe {
    connection: Connection,
    timeout: Duration,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Probe {
    /// Connects; every answer is waited for so long.
    ///
    /// # Errors
    ///
    /// Nobody answers in time, or the user or the password is refused.
    pub fn open(address: &Address, timeout: Duration) -> Result<Probe, ProbeError> {
        let connection = address.connect(timeout).map_err(|error| opening(&error))?;
        Ok(Probe { connection, timeout })
    }

    /// Sends one command.
    ///
    /// # Errors
    ///
    /// The connection has ended, or there is no answer in time.
    pub fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Answer, ProbeError> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        match self.connection.req_command(&command) {
            Ok(value) => Ok(answer(value)),
            Err(error) => refused(&error).ok_or_else(|| {
                let why = if error.is_timeout() {
                    format!("no answer within {:.1} s", self.timeout.as_secs_f64())
                } else {
                    plainly(&error.to_string()).into_owned()
                };
                ProbeError::Unreachable(why)
            }),
        }
    }
}

fn opening(error: &RedisError) -> ProbeError {
    let text = plainly(&error.to_string()).into_owned();
    if error.kind() == ErrorKind::AuthenticationFailed || error.code().is_some() {
        ProbeError::Denied(text)
    } else {
        ProbeError::Unreachable(text)
    }
}

fn refused(error: &RedisError) -> Option<Answer> {
    let code = error.code()?.to_owned();
    let text = error.detail().unwrap_or_default().to_owned();
    Some(Answer::Refused { code, text })
}

fn answer(value: Value) -> Answer {
    let many = |values: Vec<Value>| Answer::Many(values.into_iter().map(answer).collect());
    match value {
        Value::Nil => Answer::Nil,
        Value::Int(number) => Answer::Int(number),
        Value::BulkString(bytes) => Answer::Bytes(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            Answer::Bytes(text.into())
        }
        Value::Okay => Answer::Bytes(b"OK".to_vec()),
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            many(values)
        }
        Value::Map(pairs) => {
            many(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())
        }
        Value::Attribute { data, .. } => answer(*data),
        Value::Double(number) => Answer::Bytes(number.to_string().into()),
        Value::Boolean(is) => Answer::Int(is.into()),
        Value::ServerError(error) => Answer::Refused {
            code: error.code().to_owned(),
            text: error.details().unwrap_or_default().to_owned(),
        },
        other => Answer::Bytes(format!("{other:?}").into()),
    }
}
