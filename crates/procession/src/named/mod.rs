//! Objects with names: how processes that share no handle find the same queue.
//!
//! Every [`Family`] has a directory, a dict in its arena. An entry says what kind of object the name
//! stands for, and holds it: so a queue that was made by name stays, with what is in it, until the name is
//! [removed](Family::remove) and nobody has a handle any more, or until the family ends. Unrelated
//! processes come to a family by [`Family::open`].
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use procession::{Family, Queue};
//! # let name = format!("named-{}", std::process::id());
//! # let name = name.as_str();
//! let family = Family::open(name)?; // "shop", say; in any process of this user
//! let jobs: Queue<String> = family.queue("jobs", Some(1000))?;
//! jobs.put("sweep the floor".into())?;
//! assert_eq!(family.queue::<String>("jobs", None)?.get()?, "sweep the floor");
//! # Ok(()) }
//! ```
//!
//! # Who makes it
//! Every such call finds the object or makes it; who comes first makes no difference. Of several
//! processes that make it at the same time one gives it its name, and the others take that one. A process
//! that is killed between making and naming leaves nothing.
//!
//! # Both languages
//! Names, kinds and objects are the same for Rust and Python programs; the values in a queue or dict are
//! MessagePack (see [`codec`](crate::codec)).

mod calls;
mod directory;
mod entry;
mod kinds;

pub use directory::NamedObject;

use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::collections::{FindError, NewValueError};
use crate::error::{ArenaError, HandleError};

/// An object was not found or made under a name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamedError {
    /// The name stands for something else.
    #[error("{name:?} is a {found}, and no {wanted}")]
    Kind {
        /// The name.
        name: String,
        /// What it stands for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The object is there, and made otherwise than this process wants it.
    #[error("{name:?} has {what} {found}, and not {wanted}")]
    Differs {
        /// The name.
        name: String,
        /// In what it differs: `"capacity"`, for example.
        what: &'static str,
        /// How it is.
        found: String,
        /// How it was asked for.
        wanted: String,
    },
    /// The first value could not be serialised.
    #[error("the value could not be serialised: {0}")]
    Encode(String),
    /// The object could not be opened.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// There is no memory, or the arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl From<FindError> for NamedError {
    fn from(error: FindError) -> NamedError {
        match error {
            FindError::Arena(error) => error.into(),
            FindError::Unsure => {
                ArenaError::Corrupt("the directory has a key that is no text".into()).into()
            }
        }
    }
}

impl From<NewValueError> for NamedError {
    fn from(error: NewValueError) -> NamedError {
        match error {
            NewValueError::Encode(text) => NamedError::Encode(text),
            NewValueError::Handle(error) => error.into(),
        }
    }
}

/// A type whose objects can have a name in a family: see [`Family::named`].
///
/// # Examples
/// ```
/// use procession::{Family, HandleError, Lease, Named, NamedError, Queue};
///
/// /// Questions, and the answers.
/// struct Desk(Queue<String>, Queue<String>);
///
/// impl Named for Desk {
///     const KIND: &'static str = "desk";
///     type Params = u64;
///
///     fn create_in(family: Family, places: &u64) -> Result<Desk, NamedError> {
///         Ok(Desk(Queue::bounded_in(family, *places)?, Queue::unbounded_in(family)?))
///     }
///     fn leases(&self) -> Vec<Lease> {
///         vec![self.0.raw().lease(), self.1.raw().lease()]
///     }
///     fn open(handles: &[Vec<u8>]) -> Result<Desk, HandleError> {
///         let [questions, answers] = handles else { return Err(HandleError::Malformed) };
///         Ok(Desk(Queue::from_handle(questions)?, Queue::from_handle(answers)?))
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let family = Family::current()?;
/// let desk: Desk = family.named("desk 1", &3)?;
/// desk.0.put("why?".into())?;
/// assert_eq!(family.named::<Desk>("desk 1", &3)?.0.get()?, "why?");
/// # Ok(()) }
/// ```
pub trait Named: Sized {
    /// What such an object is called: the same word for all who use it.
    const KIND: &'static str;

    /// What a new one is made of.
    type Params;

    /// Makes a new one.
    ///
    /// # Errors
    /// [`NamedError`].
    fn create_in(family: Family, params: &Self::Params) -> Result<Self, NamedError>;

    /// Leases on the objects of the arena that it consists of, always in the same order.
    fn leases(&self) -> Vec<Lease>;

    /// Opens one by the handles of these objects.
    ///
    /// # Errors
    /// [`HandleError`]; `Malformed` if these are not such handles.
    fn open(handles: &[Vec<u8>]) -> Result<Self, HandleError>;

    /// Whether one that was there already is as a new one would be: [`NamedError::Differs`] if not.
    ///
    /// # Errors
    /// [`NamedError`].
    fn agrees(&self, name: &str, params: &Self::Params) -> Result<(), NamedError> {
        let _ = (name, params);
        Ok(())
    }
}
