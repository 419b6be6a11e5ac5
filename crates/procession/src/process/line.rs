//! What parent and child say to one another: one order, and one answer.
//!
//! Both go through a queue of their own, so nothing is lost if either is killed: the parent looks at
//! it when the child has ended, and what it finds then says how far the child came.

use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::arena::objects::Kind;
use crate::channel::{Channel, Received, Refusal};
use crate::codec;
use crate::error::{ArenaError, HandleError, SpawnError};
use crate::ring::fifo::{INLINE_MAX, Limits, Record};
use crate::sys::image::Place;
use crate::travel;

use serde::Serialize;

/// The order; its block has the arguments.
const ORDER: u8 = 1;
/// The function's value, inline or in a block.
const VALUE: u8 = 2;
/// Text of a panic, and where.
const PANIC: u8 = 3;
/// Why the order was not carried out.
const REFUSED: u8 = 4;
/// Why the value could not be sent.
const UNSENT: u8 = 5;

/// What a child is to do.
#[derive(Debug)]
pub(super) struct Order {
    /// The function that decodes the arguments for [`Order::function`] and encodes its value.
    pub(super) entry: Place,
    pub(super) function: Place,
    pub(super) name: String,
    /// What the kernel calls the parent.
    pub(super) title: String,
    pub(super) dies_with_parent: bool,
    /// The numbers of the descriptors that are in the arguments.
    pub(super) descriptors: Vec<i32>,
}

type OrderWords = ([u64; 3], [u64; 3], String, String, bool, Vec<i32>);

/// What the parent finds.
#[derive(Debug)]
pub(super) enum Found {
    /// The order: nobody has taken it.
    Order,
    Value(Received, Vec<u8>),
    Panicked(String, Option<String>),
    Refused(String),
    Unsent(String),
}

/// The queue between the two.
#[derive(Debug)]
pub(super) struct Line(Channel);

impl Line {
    pub(super) fn new(family: Family) -> Result<Line, ArenaError> {
        Channel::create(family, Kind::Queue, Limits { messages: 0, bytes: 0 }).map(Line)
    }

    pub(super) fn open(handle: &[u8]) -> Result<Line, HandleError> {
        Channel::from_handle(handle, Kind::Queue).map(Line)
    }

    pub(super) fn handle(&self) -> Vec<u8> {
        self.0.handle()
    }

    fn put(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<(), ArenaError> {
        self.0.check(kind, inline, block.as_ref());
        let record = Record { kind, inline, block: block.as_ref().map(Block::reference) };
        match self.0.with_segments(|fresh| self.0.push(&record, fresh, || Ok(()))) {
            Ok(_) => {}
            Err(Refusal::Arena(e)) => return Err(e),
            Err(_) => unreachable!("neither bounded nor closed"),
        }
        if let Some(b) = block {
            b.given_away();
        }
        Ok(())
    }

    /// Gives the order; the arguments' block goes with it.
    pub(super) fn put_order(&self, order: &Order, arguments: Block) -> Result<(), SpawnError> {
        let Order { entry, function, name, title, dies_with_parent, descriptors } = order;
        let places = (entry.to_words(), function.to_words());
        let texts = (start_of(name), start_of(title));
        let all = (places.0, places.1, texts.0, texts.1, dies_with_parent, descriptors);
        let bytes = codec::encode(&all).map_err(SpawnError::Encode)?;
        if bytes.len() > INLINE_MAX {
            return Err(SpawnError::Encode("there are too many connections".into()));
        }
        Ok(self.put(ORDER, &bytes, Some(arguments))?)
    }

    /// The order, and the arguments' message; `None` if there is none, or it makes no sense.
    pub(super) fn take_order(&self) -> Result<Option<(Order, Received)>, ArenaError> {
        let mut inline = Vec::new();
        let message = self.0.pop(&mut inline)?;
        let Some(message) = message.filter(|m| m.kind == ORDER) else {
            return Ok(None);
        };
        let Ok(words) = codec::decode::<OrderWords>(&inline) else {
            return Ok(None);
        };
        let (entry, function, name, title, dies_with_parent, descriptors) = words;
        let [entry, function] = [entry, function].map(Place::from_words);
        Ok(Some((Order { entry, function, name, title, dies_with_parent, descriptors }, message)))
    }

    /// Sends the function's value, or why it cannot be sent.
    pub(super) fn put_value<R: Serialize>(&self, value: &R) -> Result<(), ArenaError> {
        let (encoded, leases) = travel::collect(|| codec::encode(value));
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(why) => return self.put_text(UNSENT, &why),
        };
        let sent = if bytes.len() <= INLINE_MAX && leases.is_empty() {
            self.put(VALUE, &bytes, None)
        } else {
            self.0.lease.family().alloc(bytes.len(), &leases).and_then(|mut block| {
                block.write(0, &bytes);
                self.put(VALUE, &[], Some(block))
            })
        };
        sent.or_else(|why| self.put_text(UNSENT, &why.to_string()))
    }

    pub(super) fn put_panic(&self, text: &str, place: Option<&str>) -> Result<(), ArenaError> {
        let bytes = codec::encode(&(start_of(text), place.map(start_of)));
        self.put(PANIC, &bytes.expect("texts can be encoded"), None)
    }

    pub(super) fn put_refusal(&self, why: &str) -> Result<(), ArenaError> {
        self.put_text(REFUSED, why)
    }

    fn put_text(&self, kind: u8, text: &str) -> Result<(), ArenaError> {
        self.put(kind, start_of(text).as_bytes(), None)
    }

    /// What there is. Asked when the child has ended.
    pub(super) fn take_found(&self) -> Result<Option<Found>, ArenaError> {
        let mut inline = Vec::new();
        let Some(message) = self.0.pop(&mut inline)? else {
            return Ok(None);
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Some(match message.kind {
            ORDER => Found::Order,
            VALUE => Found::Value(message, inline),
            PANIC => {
                let (text, place) = codec::decode(&inline).unwrap_or_default();
                Found::Panicked(text, place)
            }
            REFUSED => Found::Refused(text(&inline)),
            _ => Found::Unsent(text(&inline)),
        }))
    }
}

/// As much of a text as a message surely has room for.
fn start_of(text: &str) -> &str {
    let most = INLINE_MAX / 3;
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    if text.len() <= most { text } else { &text[..end] }
}
