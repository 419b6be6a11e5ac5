//! The dict in which an arena's objects have names. It lives as long as the arena, whoever dies.
//!
//! A word of the header is its hold entry, which nobody ever releases. Dict and entry come into being by
//! one redo record, under the arena lock: so there is never a second one, and none that nobody holds.

use std::mem::offset_of;

use super::family::{Family, Inner};
use super::holds::entry_object;
use super::layout::Header;
use super::lease::Lease;
use super::objects::Kind;
use crate::error::{ArenaError, HandleError};
use crate::ring::fifo::Limits;
use crate::sys::atomic::Ordering;

impl Inner {
    /// The directory, made now if there is none.
    pub(crate) fn directory(&'static self) -> Result<Lease, HandleError> {
        let entry = &self.header().directory;
        if entry.load(Ordering::Acquire) == 0 {
            let guard = self.guard()?;
            if entry.load(Ordering::Acquire) == 0 {
                let (none, at) =
                    (Limits { messages: 0, bytes: 0 }, offset_of!(Header, directory) as u64);
                self.create_object_under(&guard, Kind::Dict, none, at)?;
            }
        }
        let id = entry_object(entry.load(Ordering::Acquire))
            .ok_or_else(|| ArenaError::Corrupt("the directory's entry names no object".into()))?;
        self.open_handle(id)?;
        Ok(Lease::of_counted(self, id)?)
    }
}

impl Family {
    /// What the family was called when it was made by [`Family::open`]; `None`: it has no name.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(procession::Family::current()?.name(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<String> {
        Some(super::estate::text(&self.inner().header().name)).filter(|name| !name.is_empty())
    }
}
