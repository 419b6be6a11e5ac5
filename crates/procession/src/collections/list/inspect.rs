//! Does a list contradict itself? Asked by tests.

use std::collections::HashMap;

use super::super::heap::{self, Ref};
use super::chunks::CHUNK;
use super::dir::{self, Dir};
use super::{EVEN, LEN, RawList};
use crate::error::ArenaError;

impl RawList {
    /// Everything in the list that contradicts itself; empty if it is sound.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if it cannot even be read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList};
    /// assert!(RawList::create(Family::current()?)?.check()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<Vec<String>, ArenaError> {
        let step = self.stock.begin()?;
        let mut wrong = Vec::new();
        let mut segments: HashMap<u64, u64> = HashMap::new();
        let (n, mut len) = (dir::count(&step)?, 0);
        for k in 0..n {
            let chunk = Dir::there(&step)?.chunk(&step, k)?;
            step.inner.stocked(chunk.block, step.id)?;
            if step.root(EVEN) != 0 && k != 0 && k + 1 != n && chunk.count != CHUNK {
                wrong.push(format!("chunk {k} of {n} has {} values", chunk.count));
            }
            for i in 0..chunk.count {
                let value = Ref(step.load(chunk.at(i))?);
                if let Some((segment, size)) = heap::taken(&step, value)? {
                    *segments.entry(segment).or_default() += size;
                }
            }
            len += chunk.count;
        }
        if len != step.root(LEN) {
            wrong.push(format!("{len} values are there, {} are counted", step.root(LEN)));
        }
        wrong.extend(dir::differences(&step)?);
        wrong.extend(heap::differences(&step, &segments)?);
        Ok(wrong)
    }
}
