//! How a process is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Process;
use super::birth;
use super::kid::{self, Kid};
use super::line::{Line, Order};
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::codec;
use crate::error::SpawnError;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::child::Child;
use crate::sys::image::Place;
use crate::sys::{process, spawn};
use crate::travel;

/// How many were started: their names.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// A process that is about to be started, and how it shall differ from its parent.
///
/// # Examples
/// ```
/// use procession::ProcessBuilder;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     procession::init();
///     let process = ProcessBuilder::new()
///         .name("greeter")
///         .env("GREETING", "hello")
///         .kill_on_drop(true)
///         .spawn(|name: String| format!("{} {name}", std::env::var("GREETING").unwrap()), "you".into())?;
///     assert_eq!(process.join()?, "hello you");
///     Ok(())
/// }
/// ```
#[derive(Debug, Default)]
pub struct ProcessBuilder {
    name: Option<String>,
    environment: BTreeMap<OsString, Option<OsString>>,
    standard: [Option<OwnedFd>; 3],
    kill_on_drop: bool,
    die_with_parent: bool,
}

impl ProcessBuilder {
    /// One that differs in nothing: it inherits the environment, the working directory, input and
    /// output. It lives on when its parent ends or its [`Process`] is dropped.
    #[must_use]
    pub fn new() -> ProcessBuilder {
        ProcessBuilder::default()
    }

    /// What it is called: by those who find a lock that it left behind, and in `ps` (15 bytes).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> ProcessBuilder {
        self.name = Some(name.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> ProcessBuilder {
        self.environment.insert(name.as_ref().into(), Some(value.as_ref().into()));
        self
    }

    /// Leaves a variable out of its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> ProcessBuilder {
        self.environment.insert(name.as_ref().into(), None);
        self
    }

    /// What it reads as its standard input: a file, or an end of [`std::io::pipe`].
    #[must_use]
    pub fn stdin(mut self, from: impl Into<OwnedFd>) -> ProcessBuilder {
        self.standard[0] = Some(from.into());
        self
    }

    /// Where its standard output goes.
    #[must_use]
    pub fn stdout(mut self, to: impl Into<OwnedFd>) -> ProcessBuilder {
        self.standard[1] = Some(to.into());
        self
    }

    /// Where its error output goes.
    #[must_use]
    pub fn stderr(mut self, to: impl Into<OwnedFd>) -> ProcessBuilder {
        self.standard[2] = Some(to.into());
        self
    }

    /// Whether it is killed, and waited for, when its [`Process`] is dropped.
    #[must_use]
    pub fn kill_on_drop(mut self, whether: bool) -> ProcessBuilder {
        self.kill_on_drop = whether;
        self
    }

    /// Whether it is killed when the process that starts it has ended, however that ends. A thread in
    /// the child waits for that.
    #[must_use]
    pub fn die_with_parent(mut self, whether: bool) -> ProcessBuilder {
        self.die_with_parent = whether;
        self
    }

    /// Starts it: see [`Process::spawn`].
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn<A, R>(self, function: fn(A) -> R, arguments: A) -> Result<Process<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        if !birth::is_ready() {
            let privileged = crate::sys::spawn::is_privileged();
            return Err(if privileged {
                SpawnError::Privileged
            } else {
                SpawnError::NotInitialised
            });
        }
        let entry = Place::of(birth::entry::<A, R> as fn(birth::Task));
        let places = entry.zip(Place::of(function)).ok_or(SpawnError::NoSuchFunction)?;
        let (encoded, luggage) = travel::collect_for_process(|| codec::encode(&arguments));
        let bytes = encoded.map_err(SpawnError::Encode)?;
        let (name, kill_on_drop) = (self.take_name(), self.kill_on_drop);
        let kid = self.start(name.clone(), places, &bytes, luggage)?;
        // Now the child has what was in the arguments: ends of pipes here are closed.
        drop(arguments);
        Ok(Process::new(kid, name, kill_on_drop))
    }

    fn take_name(&self) -> String {
        let number = STARTED.fetch_add(1, Ordering::Relaxed) + 1;
        self.name.clone().unwrap_or_else(|| format!("process-{number}"))
    }

    fn start(
        self,
        name: String,
        (entry, function): (Place, Place),
        arguments: &[u8],
        luggage: travel::Luggage,
    ) -> Result<Kid, SpawnError> {
        kid::bury_the_ended();
        let family = Family::current()?;
        let (ours, foreign): (Vec<Lease>, _) =
            luggage.leases.into_iter().partition(|lease| lease.family().id() == family.id());
        let mut block = family.alloc(arguments.len(), &ours)?;
        block.write(0, arguments);
        let descriptors = luggage.descriptors.unwrap_or_default();
        let order = Order {
            entry,
            function,
            title: self.name.clone().unwrap_or_else(process::title),
            name,
            dies_with_parent: self.die_with_parent,
            descriptors: descriptors.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect(),
        };
        let line = Line::new(family)?;
        line.put_order(&order, block)?;
        let mut inherited: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        inherited.push(family.fd());
        let launch = spawn::Launch {
            arguments: std::env::args_os().collect(),
            environment: self.environment(birth::describe(family, &line)),
            inherited,
            standard: self.standard.each_ref().map(|fd| fd.as_ref().map(AsFd::as_fd)),
        };
        let child = Child::open(launch.start()?)?;
        Ok(Kid::new(child, Some(line), foreign))
    }

    fn environment(&self, order: String) -> Vec<(OsString, OsString)> {
        let inherited =
            std::env::vars_os().filter(|(name, _)| !self.environment.contains_key(name));
        let set = self.environment.iter().filter_map(|(n, v)| Some((n.clone(), v.clone()?)));
        let all = inherited.chain(set).filter(|(name, _)| name != birth::VARIABLE);
        all.chain([(birth::VARIABLE.into(), order.into())]).collect()
    }
}
