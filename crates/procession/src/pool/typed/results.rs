//! Outcomes of a call's items, and where they are gathered.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use super::error::{PoolError, TaskError, TaskId};
use super::items::panic_text;
use super::wire;
use crate::codec;

/// Outcomes as they came in.
pub(super) enum Piece<'a> {
    /// An item's, and of those behind it: `count` in all. See [`wire::take_outcome`].
    Run {
        first: usize,
        count: usize,
        bytes: &'a [u8],
    },
    One {
        item: usize,
        bytes: &'a [u8],
    },
    Failed {
        item: usize,
        error: TaskError,
    },
    /// They were not begun, since the call was cancelled.
    Skipped {
        first: usize,
        count: usize,
    },
}

impl Piece<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Run { count, .. } | Piece::Skipped { count, .. } => *count,
            Piece::One { .. } | Piece::Failed { .. } => 1,
        }
    }
}

/// Where a call's outcomes go, of whichever type its results are.
pub(super) trait Sink: Send + Sync {
    /// Takes outcomes, each item's once. Says how many of them are failures. Runs the results' code.
    fn put(&self, caller: &'static Location<'static>, pieces: Vec<Piece<'_>>) -> usize;
    /// The pool has ended.
    fn abort(&self, error: PoolError);
    /// What has failed and was not taken.
    fn failure(&self) -> Option<TaskError>;
}

/// How a call wants its results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// All at once.
    List,
    /// One by one, in the items' order.
    Items,
    /// One by one, as they come.
    Any,
}

pub(super) type Boxed<R> = Result<R, Box<TaskError>>;

pub(super) struct Results<R>(Mutex<Gathered<R>>);

struct Gathered<R> {
    order: Order,
    /// Of a list: results in a row, from an item on.
    runs: Vec<(usize, Vec<R>)>,
    /// The failure of the first item that has one.
    failure: Option<(usize, TaskError)>,
    /// One by one: what may be taken.
    there: VecDeque<(usize, Boxed<R>)>,
    /// What came before its turn, and whose turn it is.
    early: BTreeMap<usize, Part<R>>,
    at: usize,
    abandoned: bool,
}

enum Part<R> {
    Values(Vec<R>),
    Failed(Box<TaskError>),
    Skipped(usize),
}

impl<R: DeserializeOwned> Results<R> {
    pub(super) fn new(order: Order) -> Results<R> {
        Results(Mutex::new(Gathered {
            order,
            runs: Vec::new(),
            failure: None,
            there: VecDeque::new(),
            early: BTreeMap::new(),
            at: 0,
            abandoned: false,
        }))
    }
}

impl<R> Results<R> {
    fn gathered(&self) -> MutexGuard<'_, Gathered<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All results of a call that is over, in their order, or what failed.
    pub(super) fn take_all(&self) -> Result<Vec<R>, TaskError> {
        let (mut runs, failure) = {
            let mut gathered = self.gathered();
            (std::mem::take(&mut gathered.runs), gathered.failure.take())
        };
        if let Some((_, error)) = failure {
            return Err(error);
        }
        runs.sort_unstable_by_key(|(first, _)| *first);
        let mut all = Vec::new();
        for (_, run) in runs {
            if all.is_empty() {
                all = run;
            } else {
                all.extend(run);
            }
        }
        Ok(all)
    }

    /// Nobody will take results any more.
    pub(super) fn abandon(&self) {
        let mut gathered = self.gathered();
        gathered.abandoned = true;
        let dropped = (
            std::mem::take(&mut gathered.runs),
            std::mem::take(&mut gathered.there),
            std::mem::take(&mut gathered.early),
        );
        drop(gathered);
        drop(dropped); // without the lock: its code may do anything
    }

    /// The results that may be taken now.
    pub(super) fn take_there(&self) -> VecDeque<(usize, Boxed<R>)> {
        std::mem::take(&mut self.gathered().there)
    }
}

impl<R> Gathered<R> {
    fn put(&mut self, first: usize, part: Part<R>) {
        match (self.order, part) {
            (Order::List, Part::Values(values)) => self.runs.push((first, values)),
            (Order::List, Part::Failed(error)) => self.fail(first, *error),
            (Order::List, Part::Skipped(_)) => {
                if self.failure.is_none() {
                    self.fail(usize::MAX, TaskError::Cancelled);
                }
            }
            (Order::Items, part) if first != self.at => {
                self.early.insert(first, part);
            }
            (Order::Items, part) => {
                let mut next = Some(part);
                while let Some(part) = next {
                    let at = self.at;
                    self.at += self.give(at, part);
                    next = self.early.remove(&self.at);
                }
            }
            (Order::Any, part) => {
                self.give(first, part);
            }
        }
    }

    fn fail(&mut self, item: usize, error: TaskError) {
        if self.failure.as_ref().is_none_or(|(first, _)| item < *first) {
            self.failure = Some((item, error));
        }
    }

    /// Says how many items it was.
    fn give(&mut self, first: usize, part: Part<R>) -> usize {
        match part {
            Part::Values(values) => {
                let count = values.len();
                self.there.extend((first..).zip(values.into_iter().map(Ok)));
                count
            }
            Part::Failed(error) => {
                self.there.push_back((first, Err(error)));
                1
            }
            Part::Skipped(count) => count,
        }
    }
}

impl<R: DeserializeOwned + Send> Sink for Results<R> {
    fn put(&self, caller: &'static Location<'static>, pieces: Vec<Piece<'_>>) -> usize {
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            read(caller, piece, &mut parts);
        }
        let failed = parts.iter().filter(|(_, part)| matches!(part, Part::Failed(_))).count();
        let mut gathered = self.gathered();
        if gathered.abandoned {
            drop(gathered); // before the results, whose code may do anything
            return failed;
        }
        for (first, part) in parts {
            gathered.put(first, part);
        }
        failed
    }

    fn abort(&self, error: PoolError) {
        let mut gathered = self.gathered();
        match gathered.order {
            Order::List => gathered.fail(0, error.into()),
            Order::Items | Order::Any => {
                let at = gathered.at;
                gathered.there.push_back((at, Err(Box::new(error.into()))));
            }
        }
    }

    fn failure(&self) -> Option<TaskError> {
        let gathered = self.gathered();
        gathered.failure.as_ref().map(|(_, error)| error.clone())
    }
}

/// Runs the results' code.
fn read<R: DeserializeOwned>(
    caller: &'static Location<'static>,
    piece: Piece<'_>,
    parts: &mut Vec<(usize, Part<R>)>,
) {
    let failed = |item, message| {
        let task = TaskId { caller, item };
        (item, Part::Failed(Box::new(TaskError::Result { task, message })))
    };
    match piece {
        Piece::Run { first, count, mut bytes } => {
            let (mut start, mut values) = (first, Vec::with_capacity(count));
            for item in first..first + count {
                // That there are so many was seen when they came in.
                let outcome = wire::take_outcome(&mut bytes).unwrap_or_default();
                match decode(outcome) {
                    Ok(value) => values.push(value),
                    Err(message) => {
                        // An empty run would stand in the way of what begins at the same item.
                        if !values.is_empty() {
                            parts.push((start, Part::Values(std::mem::take(&mut values))));
                        }
                        parts.push(failed(item, message));
                        start = item + 1;
                    }
                }
            }
            if !values.is_empty() {
                parts.push((start, Part::Values(values)));
            }
        }
        Piece::One { item, bytes } => parts.push(match decode(bytes) {
            Ok(value) => (item, Part::Values(vec![value])),
            Err(message) => failed(item, message),
        }),
        Piece::Failed { item, error } => parts.push((item, Part::Failed(Box::new(error)))),
        Piece::Skipped { first, count } => parts.push((first, Part::Skipped(count))),
    }
}

/// A panic of the value's code is an error.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let decoded = catch_unwind(AssertUnwindSafe(|| codec::decode(bytes)));
    decoded.unwrap_or_else(|panic| Err(panic_text(&*panic)))
}
