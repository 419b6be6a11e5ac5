//! A list made anew of what it has and of new values.

use super::super::heap::{Datum, Ready};
use super::super::stock::Outdated;
use super::dir::{self, Dir};
use super::{LEN, RawList, chunks, empty};
use crate::arena::family::Inner;
use crate::error::ArenaError;
use crate::sys::fault::crash_point;

/// One value of a list that [`RawList::assemble`] makes.
///
/// # Examples
/// ```
/// use procession::collections::{Datum, Part};
/// let parts = [Part::Old(2), Part::New(Datum::plain(b"new"))];
/// assert!(matches!(parts[0], Part::Old(2)));
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The value that has this index now.
    Old(u64),
    /// A new one.
    New(Datum<'a>),
}

enum Source<'a> {
    Old(usize),
    New(Ready<'a>),
}

impl<'a> Source<'a> {
    fn of(inner: &'static Inner, part: &Part<'a>) -> Result<Source<'a>, ArenaError> {
        Ok(match part {
            Part::Old(index) => Source::Old(*index as usize),
            Part::New(datum) => Source::New(Ready::new(inner, datum)?),
        })
    }
}

impl RawList {
    /// The version, and how long the list is, at one moment.
    ///
    /// # Errors
    /// [`ArenaError::Corrupt`] if shared memory was scribbled over.
    pub fn glance(&self) -> Result<(u64, u64), ArenaError> {
        let step = self.stock.begin()?;
        Ok((step.version(), step.root(LEN)))
    }

    /// Makes the list into these parts, if the version is `version` still. Values of it that are no part
    /// are removed.
    ///
    /// # Errors
    /// As [`RawList::set_if`].
    ///
    /// # Panics
    /// If a part names a value twice, or one that was not there at that version.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawList, collections::{Datum, Part}};
    /// let list = RawList::create(Family::current()?)?;
    /// list.extend(&[Datum::plain(b"a"), Datum::plain(b"b"), Datum::plain(b"c")])?;
    /// let parts = [Part::Old(2), Part::New(Datum::plain(b"x")), Part::Old(0)];
    /// list.assemble(list.version(), &parts)?.unwrap();
    /// assert_eq!(list.snapshot()?.bytes, b"cxa");
    /// # Ok(()) }
    /// ```
    pub fn assemble(
        &self,
        version: u64,
        parts: &[Part<'_>],
    ) -> Result<Result<(), Outdated>, ArenaError> {
        let inner = self.stock.lease.inner;
        self.stock.attempt(|| {
            let sources: Result<Vec<_>, _> =
                parts.iter().map(|part| Source::of(inner, part)).collect();
            let mut sources = sources?;
            let mut step = self.stock.begin()?;
            if step.version() != version {
                return Ok(Err(Outdated));
            }
            if sources.is_empty() {
                empty(&mut step)?;
                step.commit()?;
                return Ok(Ok(()));
            }
            let (n, mut old) = (dir::count(&step)?, Vec::new());
            for k in 0..n {
                let chunk = Dir::there(&step)?.chunk(&step, k)?;
                old.extend(chunk.refs(&step, 0..chunk.count)?.into_iter().map(Some));
                step.free(chunk.block)?;
            }
            if old.len() as u64 != step.root(LEN) {
                return Err(step.corrupt("the chunks' counts"));
            }
            let mut new = Vec::with_capacity(sources.len());
            for source in &mut sources {
                new.push(match source {
                    Source::Old(i) => old[*i].take().expect("a part names a value once"),
                    Source::New(ready) => ready.put(&mut step)?,
                });
            }
            old.into_iter().flatten().try_for_each(|gone| gone.drop(&mut step))?;
            let made = chunks::full(&mut step, &new)?;
            dir::replace(&mut step, 0..n, &made)?;
            step.set_root(LEN, new.len() as u64);
            crash_point!("list.assembling");
            step.commit()?;
            Ok(Ok(()))
        })
    }
}
