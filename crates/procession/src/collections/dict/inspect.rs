//! Does a dict contradict itself? Asked by tests.

use std::collections::HashMap;

use super::super::heap::{self, Ref};
use super::steps::is_found;
use super::{LEN, RawDict, index, table};
use crate::error::ArenaError;

impl RawDict {
    /// Everything in the dict that contradicts itself; empty if it is sound.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if it cannot even be read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawDict};
    /// assert!(RawDict::create(Family::current()?)?.check()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<Vec<String>, ArenaError> {
        let step = self.stock.begin()?;
        let mut wrong = Vec::new();
        let mut segments: HashMap<u64, u64> = HashMap::new();
        let mut live = 0;
        let mut take = |r: Ref, wrong: &mut Vec<String>| match heap::taken(&step, r) {
            Ok(Some((segment, size))) => *segments.entry(segment).or_default() += size,
            Ok(None) => {}
            Err(e) => wrong.push(e.to_string()),
        };
        for pos in 0..table::end(&step)? {
            let Some(found) = table::read(&step, pos)? else {
                continue;
            };
            live += 1;
            take(found.entry.key, &mut wrong);
            take(found.entry.value, &mut wrong);
            if index::find(&step, found.entry.hash, |p| Ok(p == pos))?.is_none() {
                wrong.push(format!("the entry at {pos} is not in the index"));
            }
            if !is_found(&step, &found)? {
                wrong.push(format!("another entry has the key of the one at {pos}"));
            }
        }
        if live != step.root(LEN) {
            wrong.push(format!("{live} entries are alive, {} are counted", step.root(LEN)));
        }
        wrong.extend(heap::differences(&step, &segments)?);
        Ok(wrong)
    }
}
