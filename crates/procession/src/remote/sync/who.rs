//! Who holds a lock, and who held it.

use std::fmt;

use crate::sys::process;
use crate::sys::published::Published;

// A fork child is called as its parent was, until it says otherwise.
static NAME: Published<String> = Published::new();

/// Says what this process is called, to those who find a lock that it has left behind.
pub fn set_name(name: &str) {
    if NAME.get().is_none_or(|old| old != name) {
        NAME.set(name.to_string());
    }
}

/// What the others are to know of this process.
pub(super) fn this() -> String {
    let name = NAME.get().map_or("", String::as_str);
    format!("{} {} {}", std::process::id(), process::host(), name)
}

/// Who holds a lock on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process id, on its own host.
    pub pid: u32,
    /// Its host's name.
    pub host: String,
    /// What it calls itself: see [`set_name`].
    pub name: String,
}

impl Holder {
    pub(super) fn parse(text: &str) -> Holder {
        let mut parts = text.splitn(3, ' ');
        let pid = parts.next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
        let mut next = || parts.next().unwrap_or("").to_string();
        Holder { pid, host: next(), name: next() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => write!(f, "a process of which nothing is known")?,
            pid => write!(f, "process {pid}")?,
        }
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        if !self.host.is_empty() {
            write!(f, " on {}", self.host)?;
        }
        Ok(())
    }
}

/// The last holder of a lock, who did not release it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// Who it was.
    pub holder: Holder,
    /// Whether it lives, and one of its threads panicked with the lock. Else its lease ran out: it was killed, it ended,
    /// it was stopped, or it was cut off from the server.
    pub panicked: bool,
    /// What the server knew it by, and wrote down of it.
    pub(super) id: String,
    pub(super) who: String,
}

/// In the place of a client that panicked. No client has such a name, so it does not live.
const PANICKED: &str = "panicked";

impl Abandoned {
    pub(super) fn new(id: String, who: String, why: &str) -> Abandoned {
        Abandoned { holder: Holder::parse(&who), panicked: why == PANICKED, id, who }
    }

    /// Of this process, which panics.
    pub(super) fn here() -> Abandoned {
        Abandoned::new(PANICKED.to_string(), this(), PANICKED)
    }

    pub(super) fn why(&self) -> &'static str {
        if self.panicked { PANICKED } else { "" }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.panicked {
            "panicked"
        } else {
            "has let its lease run out: it has ended, is stopped, or does not reach the server"
        };
        write!(f, "{} {what}", self.holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_read_back() {
        set_name("the big importer");
        let holder = Holder::parse(&this());
        assert_eq!((holder.pid, holder.name.as_str()), (std::process::id(), "the big importer"));
        assert_eq!(holder.host, process::host());
        let nobody = Holder::parse("");
        assert_eq!(nobody.to_string(), "a process of which nothing is known");
    }
}
