//! The bare fork, for those who know why.

use std::io;

use super::Process;
use super::kid::Kid;
use crate::sys;
use crate::sys::child::Child;

/// In which of the two processes a [`fork`] returned.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made at a time, and taken apart at once")]
pub enum Fork {
    /// In the child.
    Child,
    /// In the parent; the child may be waited for. [`Process::join`] is `Ok` if it ends with exit
    /// code 0.
    Parent(Process<()>),
}

/// Makes a child that is a copy of this process, as fork(2) does.
///
/// What is Procession's is ready for that: the child is a member of the family from birth, has counted
/// handles of all that its parent has handles of, and blocks that the parent received are private
/// memory in both. Its locks are the parent's still: a lock that the parent holds is not the child's.
///
/// # Errors
/// The system's, if there can be no further process.
///
/// # Safety
/// If this process has other threads, the child has only the one that called, and whatever the others
/// had locked stays locked (the memory allocator and standard output are ready for that; a
/// `std::sync::Mutex` of yours is not) or half changed. Until it ends or executes another program, the
/// child must touch nothing of which another thread of the parent may have been in the middle. And it
/// must not return into code that would do once more what the parent does (flush a buffer, remove a
/// file): it should end by [`std::process::exit`], or by `libc::_exit`.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Fork, Queue, fork};
/// let numbers: Queue<u32> = Queue::unbounded()?;
/// // SAFETY: no other thread has anything that the child uses.
/// match unsafe { fork() }? {
///     Fork::Child => {
///         numbers.put(7).unwrap();
///         std::process::exit(0);
///     }
///     Fork::Parent(child) => child.join()?,
/// }
/// assert_eq!(numbers.get()?, 7);
/// # Ok(()) }
/// ```
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: the caller's promise.
    match unsafe { sys::fork::fork() }? {
        None => Ok(Fork::Child),
        Some(pid) => {
            let kid = Kid::new(Child::open(pid)?, None, Vec::new());
            Ok(Fork::Parent(Process::new(kid, format!("fork-{pid}"), false)))
        }
    }
}
