//! What a server takes at once. One that is sent more cuts the line, mostly before it has said why.

use std::collections::HashMap;

use redis::{Connection, RedisError};

use super::resp::Words;
use super::{Address, RemoteError};

/// No server can be set up to take less.
const LEAST: usize = 1 << 20;
/// The longest argument, and all that was sent and not yet run.
const OF_ONE: &str = "proto-max-bulk-len";
const OF_ALL: &str = "client-query-buffer-limit";

/// How much is sent: the longest argument, and all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    longest: usize,
    whole: usize,
}

impl Size {
    pub(super) fn of(arguments: &Words) -> Size {
        Size { longest: arguments.longest(), whole: arguments.whole() }
    }

    /// Whether a server may be set up to refuse it.
    pub(super) fn may_be_too_large(self) -> bool {
        self.whole >= LEAST
    }

    /// The error that it is, if the server says so much of its settings. Else, if it could not be asked, why not.
    pub(super) fn check(
        self,
        address: &Address,
        what: &'static str,
        on: &mut Connection,
    ) -> Result<Option<RemoteError>, RedisError> {
        for (setting, bytes) in [(OF_ONE, self.longest), (OF_ALL, self.whole)] {
            if let Some(limit) = ask(setting, on)?.filter(|limit| bytes > *limit) {
                let (address, setting) = (address.to_string(), format!("its {setting} is {limit}"));
                return Ok(Some(RemoteError::TooLarge { address, what, bytes, setting }));
            }
        }
        Ok(None)
    }

    /// The error that it is, if these are the server's words for that.
    pub(super) fn refused(
        self,
        address: &Address,
        what: &'static str,
        error: &RedisError,
    ) -> Option<RemoteError> {
        let says = error.detail().is_some_and(|text| text.contains("invalid bulk length"));
        let setting = format!("that is more than its {OF_ONE}");
        let (address, bytes) = (address.to_string(), self.longest);
        says.then_some(RemoteError::TooLarge { address, what, bytes, setting })
    }

    /// What is to be said if nobody knows why the line was cut.
    pub(super) fn hint(self) -> String {
        if !self.may_be_too_large() {
            return String::new();
        }
        let longest = self.longest;
        format!(
            " (of the {longest} bytes that were sent: perhaps its {OF_ONE} or {OF_ALL} is less)"
        )
    }
}

/// A setting, in bytes; none where one may not ask.
fn ask(setting: &str, on: &mut Connection) -> Result<Option<usize>, RedisError> {
    let found = redis::cmd("CONFIG").arg("GET").arg(setting).query::<HashMap<String, String>>(on);
    match found {
        Ok(found) => Ok(found.get(setting).and_then(|value| value.parse().ok())),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}
