//! The loop of a worker: take a task, and for each item unpack it, call the function, and log or
//! report what came out. A panic is an outcome like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::code::{Code, Runner};
use super::wire::{self, FAILED, Fault, GOOD, Head, LEFT, SKIPPED};
use crate::arena::lease::Lease;
use crate::codec;
use crate::error::ArenaError;
use crate::pool::{PushError, RawTask, RawWorker, Spent};
use crate::process;
use crate::ring::fifo::INLINE_MAX;
use crate::travel;

/// Outcomes up to this size are logged, and reported together.
const LOGGED: usize = 4096;
/// What is logged is reported after so many milliseconds.
const FLUSH_MS: u64 = 4;
/// A buffer that grew beyond this is not kept.
const KEPT: usize = 8 << 20;
/// How often one without memory for a report tries again.
const RETRY: Duration = Duration::from_millis(20);

/// So often memory for a large result is asked for, before that is the result's failure.
const TRIES: u32 = 100;

/// Does tasks until the pool is closed, its owner has ended, or `limit` items are done.
pub(super) fn work(worker: &RawWorker, limit: Option<u64>) -> Result<(), ArenaError> {
    worker.ready();
    let (mut left, mut functions) = (limit.unwrap_or(u64::MAX), Functions::default());
    let (mut inline, mut out) = (Vec::new(), Vec::new());
    while left > 0 {
        let waited = Instant::now();
        let Some(task) = next(worker, &mut inline)? else { break };
        let waited = waited.elapsed();
        let begun = Instant::now();
        let number = task.number;
        let mut turn = Turn::begin(worker, &task, (&inline, &mut out), begun, left)?;
        turn.run(&mut functions)?;
        let done = turn.done;
        left -= u64::from(done).min(left);
        // What came with the task is held until now: items may name what only the message keeps.
        drop(task);
        let spent = Spent { busy: begun.elapsed(), coding: Duration::ZERO, waited };
        worker.count(u64::from(done), &spent);
        if out.capacity() > KEPT {
            out = Vec::new();
        }
        if !patiently(worker, || worker.finish(number, begun.elapsed()))? {
            break; // condemned
        }
    }
    worker.leave();
    Ok(())
}

/// The next task; None if there will be none.
fn next(worker: &RawWorker, inline: &mut Vec<u8>) -> Result<Option<RawTask>, ArenaError> {
    loop {
        // Closed is asked before empty: what was pushed before the closing is there by then.
        let closed = worker.is_closed();
        match worker.take(inline) {
            Ok(None) if closed || worker.is_orphan() => return Ok(None),
            Ok(None) => {
                let _ = worker.wait_for_task(None);
            }
            // Others end, and then there is address space.
            Err(ArenaError::Full { .. }) if !worker.is_orphan() => std::thread::sleep(RETRY),
            taken => return taken,
        }
    }
}

/// Waits for memory, which the owner frees by and by.
fn patiently<T>(
    worker: &RawWorker,
    mut report: impl FnMut() -> Result<T, ArenaError>,
) -> Result<T, ArenaError> {
    loop {
        match report() {
            Err(ArenaError::Full { .. }) if !worker.is_orphan() => std::thread::sleep(RETRY),
            done => return done,
        }
    }
}

/// The functions that were found so far: to look for one takes as long as some tasks.
#[derive(Default)]
struct Functions(Vec<(Code, Box<dyn Runner>)>);

impl Functions {
    fn find(&mut self, code: &Code) -> Option<&dyn Runner> {
        let known = self.0.iter().position(|(known, _)| known == code);
        let at = if let Some(at) = known {
            at
        } else {
            self.0.push((*code, code.find()?));
            self.0.len() - 1
        };
        Some(&*self.0[at].1)
    }
}

/// A task under way.
pub(super) struct Turn<'a> {
    worker: &'a RawWorker,
    number: u64,
    head: Head,
    /// Items that were not taken.
    body: &'a [u8],
    /// The next item.
    index: u32,
    /// Items that were begun, and how many may be.
    done: u32,
    limit: u64,
    begun: Instant,
    flushed: Option<u64>,
    /// A packed result, behind room for its length.
    out: &'a mut Vec<u8>,
}

impl<'a> Turn<'a> {
    fn begin(
        worker: &'a RawWorker,
        task: &'a RawTask,
        (inline, out): (&'a [u8], &'a mut Vec<u8>),
        begun: Instant,
        limit: u64,
    ) -> Result<Turn<'a>, ArenaError> {
        let head = Head::read(inline)?;
        let body: &[u8] = match &task.message.block {
            None => inline.get(wire::HEAD..).unwrap_or_default(),
            Some(block) => block.bytes(),
        };
        let number = task.number;
        Ok(Turn { worker, number, head, body, index: 0, done: 0, limit, begun, flushed: None, out })
    }

    fn run(&mut self, functions: &mut Functions) -> Result<(), ArenaError> {
        if self.worker.is_cancelled(self.head.call) {
            return self.log(0, SKIPPED, &[]);
        }
        if let Some(runner) = functions.find(&self.head.code) {
            return runner.run(self);
        }
        while self.next()?.is_some() {
            let text = "the worker is of another build of this program, or has other libraries";
            self.send(Err((Fault::Arguments, text.into())))?;
        }
        Ok(())
    }

    /// Begins with the next item, if there is one that is to be done.
    #[inline]
    fn next(&mut self) -> Result<Option<&'a [u8]>, ArenaError> {
        let index = self.index;
        if index == self.head.items {
            return Ok(None);
        }
        if index > 0 && self.worker.is_cancelled(self.head.call) {
            self.log(index, SKIPPED, &[])?;
            return Ok(None);
        }
        if u64::from(self.done) == self.limit {
            self.log(index, LEFT, &[])?;
            return Ok(None);
        }
        let Some(now) = self.worker.start(index) else {
            return Ok(None); // condemned: `finish` says so as well
        };
        if now.saturating_sub(*self.flushed.get_or_insert(now)) >= FLUSH_MS {
            let (worker, number, begun) = (self.worker, self.number, self.begun);
            patiently(worker, || worker.flush(number, begun.elapsed()))?;
            self.flushed = Some(now);
        }
        let short = || ArenaError::Corrupt("a task has fewer items than it says".into());
        let item = wire::take_item(&mut self.body, self.head.alone).ok_or_else(short)?;
        self.index += 1;
        self.done += 1;
        Ok(Some(item))
    }

    /// Sends the outcome of the item that was begun last: what is packed in `out`, or a failure.
    #[inline]
    fn send(&mut self, outcome: Result<Vec<Lease>, (Fault, String)>) -> Result<(), ArenaError> {
        let leases = match outcome {
            Ok(leases) => leases,
            Err((fault, text)) => return self.fail(fault, &text),
        };
        let len = self.out.len() - wire::LEN_MAX;
        if !leases.is_empty() || len > LOGGED {
            return self.report(GOOD, &leases);
        }
        let mut out = std::mem::take(self.out);
        let mut head = [0; wire::LEN_MAX];
        let used = wire::write_len(len, &mut head);
        out[..wire::LEN_MAX].copy_from_slice(&head);
        let logged = self.log(self.index - 1, GOOD, &out[wire::LEN_MAX - used..]);
        *self.out = out;
        logged
    }

    fn fail(&mut self, fault: Fault, text: &str) -> Result<(), ArenaError> {
        let mut bytes = Vec::new();
        fault.write(text, &mut bytes);
        if bytes.len() <= LOGGED {
            return self.log(self.index - 1, FAILED, &bytes);
        }
        self.out.clear();
        self.out.resize(wire::LEN_MAX, 0);
        self.out.extend_from_slice(&bytes);
        self.report(FAILED, &[])
    }

    fn log(&self, item: u32, tag: u8, bytes: &[u8]) -> Result<(), ArenaError> {
        let joins = tag == GOOD;
        if !self.worker.log(item, tag, bytes, joins)? {
            patiently(self.worker, || self.worker.flush(self.number, self.begun.elapsed()))?;
            self.worker.log(item, tag, bytes, joins)?;
        }
        Ok(())
    }

    /// Reports an outcome as a message of its own.
    fn report(&self, tag: u8, leases: &[Lease]) -> Result<(), ArenaError> {
        let bytes = &self.out[wire::LEN_MAX..];
        let is_inline = leases.is_empty() && bytes.len() <= INLINE_MAX;
        let at = (self.number, self.index - 1, tag);
        if is_inline {
            let report = || self.worker.report(at, (wire::KIND, bytes, None));
            return patiently(self.worker, || report().map_err(|PushError(error, _)| error));
        }
        let family = self.worker.family();
        let mut tries = 0;
        let mut block = loop {
            match family.alloc(bytes.len(), leases) {
                Ok(block) => break Some(block),
                Err(ArenaError::Full { .. }) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(RETRY);
                }
                // Too large, or what it refers to belongs to another family.
                Err(error) => {
                    let mut text = Vec::new();
                    Fault::Result.write(&error.to_string(), &mut text);
                    text.truncate(LOGGED);
                    return self.log(self.index - 1, FAILED, &text);
                }
            }
        };
        if let Some(block) = &mut block {
            block.write(0, bytes);
        }
        patiently(self.worker, || {
            let reported = self.worker.report(at, (wire::KIND, &[], block.take()));
            reported.map_err(|PushError(error, back)| {
                block = back;
                error
            })
        })
    }
}

/// Calls a function of this type.
pub(super) struct Calling<A, R>(pub(super) fn(A) -> R);

impl<A: DeserializeOwned, R: Serialize> Runner for Calling<A, R> {
    fn run(&self, turn: &mut Turn<'_>) -> Result<(), ArenaError> {
        while let Some(bytes) = turn.next()? {
            turn.out.clear();
            turn.out.resize(wire::LEN_MAX, 0);
            let out = &mut *turn.out;
            let called = catch_unwind(AssertUnwindSafe(|| {
                let item = codec::decode(bytes).map_err(|text| (Fault::Arguments, text))?;
                let result = (self.0)(item);
                let (encoded, leases) = travel::collect(|| codec::encode_into(out, &result));
                encoded.map(|()| leases).map_err(|text| (Fault::Result, text))
            }));
            let outcome = called.unwrap_or_else(|panic| {
                let (text, place) = process::panic_said(&*panic);
                Err((Fault::Panic, wire::panic_words(&text, place.as_deref())))
            });
            turn.send(outcome)?;
        }
        Ok(())
    }
}
