//! A function of this program, by which workers know it.
//!
//! Workers are processes of the same executable, so a function is named by where it stands in there.
//! With it goes its *maker*, which knows the function's types: it makes what decodes items, calls the
//! function, and encodes results.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::work::{Calling, Turn};
use crate::codec;
use crate::error::ArenaError;
use crate::sys::image::Place;

/// Does a task whose function is of some type.
pub(super) trait Runner {
    fn run(&self, turn: &mut Turn<'_>) -> Result<(), ArenaError>;
}

/// Calls an initializer whose argument is of some type.
pub(super) trait Initial {
    fn call(&self, arguments: &[u8]) -> Result<(), String>;
}

impl<A: DeserializeOwned> Initial for fn(A) {
    fn call(&self, arguments: &[u8]) -> Result<(), String> {
        let arguments = codec::decode(arguments)
            .map_err(|why| format!("the initializer's arguments could not be decoded: {why}"))?;
        self(arguments);
        Ok(())
    }
}

type Maker<T> = fn(Place) -> Option<Box<T>>;

fn runner<A: DeserializeOwned + 'static, R: Serialize + 'static>(
    function: Place,
) -> Option<Box<dyn Runner>> {
    Some(Box::new(Calling(function.function::<A, R>()?)))
}

fn initial<A: DeserializeOwned + 'static>(function: Place) -> Option<Box<dyn Initial>> {
    Some(Box::new(function.function::<A, ()>()?))
}

/// A function and its maker, as they travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code([u8; Code::LEN]);

impl Code {
    pub(super) const LEN: usize = 48;

    /// Of a task's function. One that stands in no file that is loaded is known by no worker.
    pub(super) fn of<A, R>(function: fn(A) -> R) -> Code
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        Code::pack(Place::of(runner::<A, R> as Maker<dyn Runner>), Place::of(function))
    }

    /// Of an initializer.
    pub(super) fn of_initializer<A: DeserializeOwned + 'static>(function: fn(A)) -> Code {
        Code::pack(Place::of(initial::<A> as Maker<dyn Initial>), Place::of(function))
    }

    fn pack(maker: Option<Place>, function: Option<Place>) -> Code {
        let mut bytes = [0; Code::LEN];
        if let (Some(maker), Some(function)) = (maker, function) {
            let words = [maker.to_words(), function.to_words()];
            for (to, word) in bytes.chunks_exact_mut(8).zip(words.as_flattened()) {
                to.copy_from_slice(&word.to_le_bytes());
            }
        }
        Code(bytes)
    }

    /// What calls the function, in this process; None if this is another program.
    pub(super) fn find<T: ?Sized>(&self) -> Option<Box<T>> {
        let mut words = self
            .0
            .chunks_exact(8)
            .filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)));
        let mut place = || Some(Place::from_words([words.next()?, words.next()?, words.next()?]));
        let (maker, function) = (place()?, place()?);
        maker.function::<Place, Option<Box<T>>>()?(function)
    }

    pub(super) fn bytes(&self) -> &[u8; Code::LEN] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: [u8; Code::LEN]) -> Code {
        Code(bytes)
    }
}

/// The functions that a pool was asked for so far: to look for their places takes as long as some
/// tasks.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<(usize, usize), Code>>);

impl Codes {
    pub(super) fn of<A, R>(&self, function: fn(A) -> R) -> Code
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        let maker: Maker<dyn Runner> = runner::<A, R>;
        let key = (maker as usize, function as usize);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(key).or_insert_with(|| Code::of(function))
    }
}
