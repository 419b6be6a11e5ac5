//! Outcomes of items, and where those of a call are gathered.

use std::collections::{HashMap, VecDeque};

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::tasks::Task;

/// A value, or the exception instead of it.
pub(super) type Value = Result<Py<PyAny>, Py<PyAny>>;

/// What became of an item.
pub(super) enum Outcome {
    Good(Py<PyAny>),
    Failed(Py<PyAny>),
    /// It was not begun, since one before it had failed.
    Skipped,
}

impl Outcome {
    pub(super) fn into_object(self) -> Option<Py<PyAny>> {
        match self {
            Self::Good(object) | Self::Failed(object) => Some(object),
            Self::Skipped => None,
        }
    }
}

/// Outcomes that came together.
pub(super) enum Batch {
    One(usize, Outcome),
    /// What an item and those behind it gave.
    Run(usize, Vec<Py<PyAny>>),
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Run(_, values) => values.len(),
        }
    }

    /// Notes which items of a task they are of. Those that are new go to `fresh`, as items of the call;
    /// the others to `surplus`. Drops nothing.
    pub(super) fn note(
        self,
        task: &mut Task,
        first: usize,
        fresh: &mut Vec<Self>,
        surplus: &mut Vec<Self>,
    ) {
        match self {
            Self::One(item, outcome) => {
                let there = if task.note(item as u32) { fresh } else { surplus };
                there.push(Self::One(first + item, outcome));
            }
            Self::Run(item, values) if task.note_run(item as u32, values.len()) => {
                fresh.push(Self::Run(first + item, values));
            }
            Self::Run(item, values) => {
                for (item, value) in (item..).zip(values) {
                    Self::One(item, Outcome::Good(value)).note(task, first, fresh, surplus);
                }
            }
        }
    }
}

/// Where results go.
pub(super) enum Gather {
    /// Into a list, all at once. `single`: it is the list's one item that is wanted.
    List { values: Option<Py<PyList>>, single: bool, failure: Option<(usize, Py<PyAny>)> },
    /// One by one, as they are taken.
    Stream {
        ordered: bool,
        there: VecDeque<Value>,
        early: HashMap<usize, Option<Value>>,
        /// The next that may be taken, and how many were.
        at: usize,
        taken: usize,
        /// Nobody will take any more.
        abandoned: bool,
    },
}

impl Gather {
    /// Puts the outcomes of items that follow each other where they belong, and says how many. What is
    /// to be dropped goes into `surplus`.
    pub(super) fn put_run(
        &mut self,
        first: usize,
        run: Vec<Py<PyAny>>,
        surplus: &mut Vec<Py<PyAny>>,
    ) -> usize {
        let run = (first..).zip(run);
        run.map(|(at, value)| self.put(at, Outcome::Good(value), surplus)).sum()
    }

    /// The same for one. The values of a list have their place already.
    #[inline]
    pub(super) fn put(
        &mut self,
        item: usize,
        outcome: Outcome,
        surplus: &mut Vec<Py<PyAny>>,
    ) -> usize {
        match self {
            Self::List { failure, .. } => {
                if let Outcome::Failed(error) = outcome {
                    let first = failure.as_ref().is_none_or(|(index, _)| item < *index);
                    let old =
                        if first { failure.replace((item, error)) } else { Some((item, error)) };
                    surplus.extend(old.map(|(_, error)| error));
                }
            }
            Self::Stream { abandoned: true, .. } => surplus.extend(outcome.into_object()),
            Self::Stream { ordered, there, early, at, abandoned, .. } => {
                let result = match outcome {
                    Outcome::Good(value) => Some(Ok(value)),
                    Outcome::Failed(error) => Some(Err(error)),
                    Outcome::Skipped => None,
                };
                if *ordered && *at != item {
                    early.insert(item, result);
                    return 1;
                }
                let mut next = Some(result);
                while let Some(result) = next {
                    // Behind one that was passed over there are no more results.
                    *abandoned = *ordered && result.is_none();
                    there.extend(result);
                    *at += 1;
                    next = if *ordered && !*abandoned { early.remove(at) } else { None };
                }
                if *abandoned {
                    let rest = early.drain().filter_map(|(_, result)| result);
                    surplus.extend(rest.map(|(Ok(object) | Err(object))| object));
                }
            }
        }
        1
    }
}
