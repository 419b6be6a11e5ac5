//! Scripts that the server runs, each as one step.
//!
//! A script's text is the body of a function, in `lua/`; `lua/prelude.lua` stands around all of them and says
//! what they may use. A server is sent a script's hash (EVALSHA), and the text only if it does not know it.
//!
//! The first command of a body that writes must be one that needs memory, if any of its commands does: a server
//! without memory refuses it, and nothing was changed. What gives something back is never refused: it begins with
//! `whatever_memory()`.

use crate::sys::published::Published;

const PRELUDE: &str = include_str!("lua/prelude.lua");

/// A script, and what it is called in errors.
#[derive(Debug)]
pub(crate) struct Script {
    name: &'static str,
    body: &'static str,
    made: Published<(String, String)>,
    shown: Published<String>,
}

impl Script {
    pub(crate) const fn new(name: &'static str, body: &'static str) -> Script {
        Script { name, body, made: Published::new(), shown: Published::new() }
    }

    /// What it is called in errors: `QUEUE_GET` is "queue get".
    pub(crate) fn name(&'static self) -> &'static str {
        self.shown.get_or_make(|| self.name.to_lowercase().replace('_', " "))
    }

    fn made(&self) -> &(String, String) {
        self.made.get_or_make(|| {
            let text = PRELUDE.replacen("--BODY--", self.body, 1);
            let hash = redis::Script::new(&text).get_hash().to_string();
            (text, hash)
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.made().0
    }

    pub(crate) fn hash(&self) -> &str {
        &self.made().1
    }
}
