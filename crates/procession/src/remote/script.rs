//! Scripts that the server runs, each as one step.
//!
//! A script's text is the body of a function, in `lua/`; `lua/prelude.lua` stands around all of them and says
//! what they may use; functions that a script does not name are left out. A server is sent a script's hash (EVALSHA), and the text only if it does not know it.
//!
//! The first command of a body that writes must be one that needs memory, if any of its commands does: a server
//! without memory refuses it, and nothing was changed. What gives something back is never refused: it begins with
//! `whatever_memory()`.

use std::collections::HashSet;

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
            let text = without_unnamed(&PRELUDE.replacen("--BODY--", self.body, 1));
            let hash = redis::Script::new(&text).get_hash().to_string();
            (text, hash)
        })
    }

    /// Whether it looks by itself for the object that it is about.
    pub(crate) fn looks(&self) -> bool {
        self.body.contains("PROCESSIONGONE")
    }

    pub(crate) fn text(&self) -> &str {
        &self.made().0
    }

    pub(crate) fn hash(&self) -> &str {
        &self.made().1
    }
}

/// A text without the functions that begin at the start of a line and that nothing behind them names. A server makes
/// each one anew in each call, whether it is used or not: so many as stand in the prelude take longer than a command.
fn without_unnamed(text: &str) -> String {
    let mut pieces = Vec::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("local function ").and_then(|rest| words(rest).next());
        let mut piece = line.to_string();
        // The body is a function around all that stands in it.
        let name = name.filter(|name| *name != "body");
        if name.is_some() && !line.trim_end().ends_with(" end") {
            for line in lines.by_ref() {
                piece.push_str(line);
                if line.trim_end() == "end" {
                    break;
                }
            }
        }
        pieces.push((name, piece));
    }
    let mut named = HashSet::new();
    let mut kept = Vec::new();
    for (name, piece) in pieces.iter().rev() {
        if name.is_none_or(|name| named.contains(name)) {
            named.extend(
                piece
                    .lines()
                    .flat_map(|line| words(line.split_once("--").map_or(line, |(code, _)| code))),
            );
            kept.push(piece.as_str());
        }
    }
    kept.into_iter().rev().collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_nothing_names_are_left_out() {
        let made = without_unnamed(
            "local function a() return 1 end\nlocal function b()\n  return a()\nend\nlocal function c() b() end\n\
             local function body()\nlocal function d()\nend\nreturn b() -- c, d\nend\nbody()",
        );
        assert_eq!(
            made,
            "local function a() return 1 end\nlocal function b()\n  return a()\nend\nlocal function body()\nreturn b() -- c, d\nend\nbody()",
        );
    }
}
