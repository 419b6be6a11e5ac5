//! Many messages at once.

use super::raw::{RawQueue, TryPutError};
use crate::channel::Refusal;
use crate::error::{ArenaError, PutError};
use crate::ring::batch::Batch;

impl RawQueue {
    /// Puts messages of one kind that have no block: their bytes stand in `bytes` one after the other, and
    /// `ends` says where each ends. The first `done` are left out. Says how many more were put: at least
    /// one, and perhaps not all, so that others get their turn; then call it again.
    ///
    /// They are put under one lock, become visible together (or all but the last, and the last), and wake
    /// once. Who is killed meanwhile has put the first ones or none.
    ///
    /// # Errors
    /// [`TryPutError`] if not even the first could be put.
    ///
    /// # Panics
    /// If `kind` is not in 1 to 14, there is no message, one is longer than [`RawQueue::INLINE_MAX`], or
    /// `ends` does not say where messages in `bytes` end.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.try_put_many(1, b"onetwo", &[3, 6], 0).unwrap(), 2);
    /// # Ok(()) }
    /// ```
    pub fn try_put_many(
        &self,
        kind: u8,
        bytes: &[u8],
        ends: &[usize],
        done: usize,
    ) -> Result<usize, TryPutError> {
        let first = if done > 0 { ends[done - 1] } else { 0 };
        let ends = &ends[done..];
        let mut start = first;
        for &end in ends {
            self.channel.check(kind, &bytes[start..end], None);
            start = end;
        }
        assert!(!ends.is_empty(), "no message");
        self.try_put_run(Batch { kind, bytes, start: first, ends })
    }

    /// The same of messages that were checked.
    pub(super) fn try_put_run(&self, batch: Batch<'_>) -> Result<usize, TryPutError> {
        match self.put_run(batch) {
            Ok(count) => {
                self.was_put();
                Ok(count as usize)
            }
            Err(Refusal::Arena(e)) => Err(TryPutError::Arena(e, None)),
            Err(Refusal::Full) if !self.is_closed() => Err(TryPutError::Full(None)),
            Err(_) => Err(TryPutError::Closed(None)),
        }
    }

    /// Puts all of them; waits while the queue is full. The error says how many were put.
    pub(super) fn put_all(
        &self,
        kind: u8,
        bytes: &[u8],
        ends: &[usize],
    ) -> Result<(), PutError<usize>> {
        let (mut done, mut start) = (0, 0);
        while let Some(&end) = ends.get(done) {
            match self.try_put_run(Batch { kind, bytes, start, ends: &ends[done..] }) {
                Ok(n) => {
                    done += n;
                    start = ends[done - 1];
                }
                Err(TryPutError::Full(_)) => {
                    let _ = self.wait_for_room_of(end - start, None, None);
                }
                Err(TryPutError::Closed(_)) => return Err(PutError::Closed(done)),
                Err(TryPutError::Arena(e, _)) => return Err(PutError::Arena(done, e)),
            }
        }
        Ok(())
    }

    fn put_run(&self, batch: Batch<'_>) -> Result<u64, Refusal> {
        self.with_bells(|fresh, bells| self.channel.push_run(batch, fresh, || self.admit(bells)))
    }

    /// Takes the oldest messages, at most `max`, as long as they are of this kind and have no block:
    /// `bytes` gets what they are one after the other, `ends` where each ends. Says how many.
    ///
    /// `None`: the queue is empty. 0: the oldest is another one, for [`RawQueue::try_get`]. Fewer than
    /// `max` does not say that there are no more. They are taken under one lock; who is killed meanwhile
    /// has taken the first ones or none.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put_many(1, b"onetwo", &[3, 6], 0).unwrap();
    /// q.try_put(2, b"three", None).unwrap();
    /// let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    /// assert_eq!(q.try_get_many(1, 10, &mut bytes, &mut ends)?, Some(2));
    /// assert_eq!((&bytes[..], &ends[..]), (&b"onetwo"[..], &[3, 6][..]));
    /// assert_eq!(q.try_get_many(1, 10, &mut bytes, &mut ends)?, Some(0));
    /// # Ok(()) }
    /// ```
    pub fn try_get_many(
        &self,
        kind: u8,
        max: usize,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<Option<usize>, ArenaError> {
        bytes.clear();
        ends.clear();
        let taken = self.channel.pop_run(kind, max, (bytes, ends))?;
        if taken.is_some() {
            self.pass_on();
        }
        self.quiet_bell()?;
        Ok(taken.map(|count| count as usize))
    }
}
