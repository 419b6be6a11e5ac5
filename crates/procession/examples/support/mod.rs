//! What the examples share: this program again, as another process that is handed queues or pipes.
//!
//! A handle is a few bytes that mean the same in every process of the family, so it may travel in any
//! way; here it is the environment. The new process joins the family when it opens the first one.

use std::env;
use std::io;
use std::process::Command;

const ROLE: &str = "PROCESSION_EXAMPLE_ROLE";
const HANDLES: &str = "PROCESSION_EXAMPLE_HANDLES";

/// This program in a role, with handles; to be spawned.
pub(crate) fn again(role: &str, handles: &[Vec<u8>]) -> io::Result<Command> {
    let hex = |handle: &Vec<u8>| handle.iter().map(|byte| format!("{byte:02x}")).collect();
    let handles: Vec<String> = handles.iter().map(hex).collect();
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).env(HANDLES, handles.join(" "));
    Ok(command)
}

/// The role and the handles that this process was started with; `None`: it is the first one.
pub(crate) fn role() -> Option<(String, Vec<Vec<u8>>)> {
    let bytes = |hex: &str| {
        let digits = (0..hex.len()).step_by(2);
        digits.filter_map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok()).collect()
    };
    let handles = env::var(HANDLES).ok()?;
    Some((env::var(ROLE).ok()?, handles.split(' ').map(bytes).collect()))
}
