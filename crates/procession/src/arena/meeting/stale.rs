//! Removing the meeting places of families in which nobody lives any more.
//!
//! A killed process leaves its file behind. It is small, and does no harm; so it is looked for only by
//! who makes a family, which costs more than that.

use super::{Place, folder, is_name};
use crate::sys::fault::crash_point;
use crate::sys::file;

/// Removes those of this user in this folder, but for `new`. What can't be decided at once stays.
pub(super) fn clean(new: &Place) {
    let (folder, prefix) = folder();
    for found in file::names_in(&folder) {
        let Some(rest) = found.to_str().and_then(|n| n.strip_prefix(&prefix)) else {
            continue;
        };
        let name = rest.strip_prefix('.').unwrap_or(rest);
        if is_name(name) && name != new.name {
            let place = Place { path: folder.join(format!("{prefix}{name}")), name: name.into() };
            if rest == name { place.remove_if_stale() } else { place.remove_draft() }
        }
    }
}

impl Place {
    fn remove_if_stale(&self) {
        let _ = self.turn(0, false, |_, locked| {
            let is_stale = match self.read(locked)? {
                Some(record) => self.find(&record)?.is_none(),
                None => true,
            };
            if is_stale && file::remove(&self.path).is_ok() {
                crash_point!("family.stale_removed");
            }
            Ok(())
        });
    }

    /// Removes what is written beside the file, if nobody is writing. Who begins to, because there is no
    /// file at all, notices and writes it again.
    fn remove_draft(&self) {
        let remove = || file::remove(&self.draft()).map_err(|e| self.trouble(e.to_string()));
        if matches!(self.turn(0, false, |_, _| remove()), Ok(None)) {
            let _ = remove();
        }
    }
}
