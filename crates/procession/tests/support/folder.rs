//! A folder of meeting places of a test's own, and processes that meet there.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Running, argument, inherited, say, start_with};

/// Removed at the end, with all that is in it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("procession-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => return Folder(path),
                // Of an earlier process with this number, which was killed.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// A family's file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("procession-{}.{name}", user()))
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    pub fn entries(&self) -> Vec<String> {
        let all = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Starts `entry` in a role; it stays until the [`Player`] is told to go.
    pub fn start(&self, entry: &str, role: &str, name: &str, more: &[(&str, String)]) -> Player {
        let mut arguments = vec![
            ("PROCESSION_FAMILY_DIR", self.0.to_str().unwrap().to_owned()),
            ("NAME", name.to_owned()),
        ];
        arguments.extend_from_slice(more);
        let (there, here) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let running = start_with(entry, role, &arguments, Some(there.as_fd()));
        Player { running, stay: here }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A process that stays as long as this test wants it to.
pub struct Player {
    pub running: Running,
    stay: OwnedFd,
}

impl Player {
    pub fn hear(&mut self) -> String {
        self.running.hear()
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Tells it to end in an orderly way, and waits for that.
    pub fn release(self) -> Vec<String> {
        self.go().finish().0
    }

    /// Tells it to end in an orderly way.
    pub fn go(self) -> Running {
        drop(self.stay);
        self.running
    }

    pub fn kill(mut self) {
        self.running.child.kill().unwrap();
        self.running.finish();
    }
}

/// In the process: stays until it is told to go.
pub fn stay() {
    std::fs::File::from(inherited()).read_to_end(&mut Vec::new()).unwrap();
}

/// Opens the family that this process was told of, and says its id, or what is wrong.
pub fn open() -> Option<procession::Family> {
    match procession::Family::open(&argument("NAME")) {
        Ok(family) => {
            say(&family.id().to_string());
            Some(family)
        }
        Err(e) => {
            say(&format!("error: {e}"));
            None
        }
    }
}
