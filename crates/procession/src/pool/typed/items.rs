//! The items of a call, of whichever type: how they are kept, sent, and sent once more.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::wire;
use crate::arena::lease::Lease;
use crate::codec;
use crate::travel;

/// Items in a row: a `Vec` of the type that the call's [`Pack`] knows.
pub(super) type Items = Box<dyn Any + Send>;

/// What can be done with a call's items.
pub(super) trait Pack: Send + Sync {
    /// Writes them as a task's body. Runs their code.
    fn pack(&self, items: &Items, out: &mut Vec<u8>) -> Result<Vec<Lease>, String>;
    /// Takes ranges out, in their order, and drops the others.
    fn cut(&self, items: Items, ranges: &[Range<u32>]) -> Vec<Items>;
}

pub(super) struct Packer<A>(PhantomData<fn(A)>);

impl<A> Packer<A> {
    pub(super) fn new() -> Packer<A> {
        Packer(PhantomData)
    }
}

impl<A: Serialize + Send + 'static> Pack for Packer<A> {
    fn pack(&self, items: &Items, out: &mut Vec<u8>) -> Result<Vec<Lease>, String> {
        let items = items.downcast_ref::<Vec<A>>().ok_or("items of another type")?;
        if let [item] = &items[..] {
            return encode(item, out);
        }
        let mut leases = Vec::new();
        for item in items {
            let at = wire::open_item(out);
            leases.append(&mut encode(item, out)?);
            if !wire::close_item(out, at) {
                return Err("an item of several is too long".into());
            }
        }
        Ok(leases)
    }

    fn cut(&self, items: Items, ranges: &[Range<u32>]) -> Vec<Items> {
        let Ok(items) = items.downcast::<Vec<A>>() else {
            return Vec::new();
        };
        let mut parts: Vec<Items> = Vec::with_capacity(ranges.len());
        let (mut rest, mut at) = (items.into_iter(), 0);
        for range in ranges {
            rest.by_ref().take((range.start - at) as usize).for_each(drop);
            at = range.end;
            let part: Vec<A> = rest.by_ref().take(range.len()).collect();
            parts.push(Box::new(part));
        }
        parts
    }
}

/// Appends a value as MessagePack; what it refers to comes back. A panic of its code is an error.
pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<Vec<Lease>, String> {
    let append = AssertUnwindSafe(|| travel::collect(|| codec::encode_into(out, value)));
    let (encoded, leases) = catch_unwind(append).map_err(|panic| panic_text(&*panic))?;
    encoded.map(|()| leases)
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is no text").to_owned()
}
