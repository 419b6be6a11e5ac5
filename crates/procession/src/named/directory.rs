//! The directory: names, what they stand for, and what keeps it alive.

use super::entry;
use super::{Named, NamedError};
use crate::arena::family::Family;
use crate::arena::lease::Lease;
use crate::codec;
use crate::collections::{Datum, Key, RawDict};
use crate::error::ArenaError;
use crate::handle;
use crate::sys::fault::crash_point;

/// What a name stands for: for bindings to other languages, and types of their own.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, NamedError, NamedObject, RawQueue};
/// let family = Family::current()?;
/// let made = family.object("jobs", "queue", |family| {
///     let queue = RawQueue::create(family, None)?;
///     Ok::<_, NamedError>(NamedObject::new("queue", vec![queue.lease()]).with_note(b"mine".to_vec()))
/// })?;
/// let found = family.find_object("jobs")?.unwrap();
/// assert!(made.is_new && !found.is_new);
/// assert_eq!((&found.kind[..], &found.note[..]), ("queue", &b"mine"[..]));
/// let queue = RawQueue::from_handle(&found.handles()[0])?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NamedObject {
    /// What it is called: `"queue"`, `"dict"`, …
    pub kind: String,
    /// The objects of the arena that it consists of, kept alive.
    pub leases: Vec<Lease>,
    /// What its maker says of it beside that.
    pub note: Vec<u8>,
    /// Whether it was made just now, by this process.
    pub is_new: bool,
}

impl NamedObject {
    /// One that was made for a name.
    #[must_use]
    pub fn new(kind: &str, leases: Vec<Lease>) -> NamedObject {
        NamedObject { kind: kind.into(), leases, note: Vec::new(), is_new: true }
    }

    /// The same with a note.
    #[must_use]
    pub fn with_note(self, note: Vec<u8>) -> NamedObject {
        NamedObject { note, ..self }
    }

    /// The objects' handles; the objects live at least as long as this value.
    #[must_use]
    pub fn handles(&self) -> Vec<Vec<u8>> {
        self.leases.iter().map(handle::encode).collect()
    }

    fn typed<N: Named>(&self, name: &str) -> Result<N, NamedError> {
        self.is_kind(name, N::KIND)?;
        Ok(N::open(&self.handles())?)
    }

    fn is_kind(&self, name: &str, wanted: &str) -> Result<(), NamedError> {
        if self.kind == wanted {
            return Ok(());
        }
        let (name, found, wanted) = (name.into(), self.kind.clone(), wanted.into());
        Err(NamedError::Kind { name, found, wanted })
    }
}

/// A name as a key of the directory.
fn key(name: &str) -> Result<Vec<u8>, NamedError> {
    codec::encode(&name).map_err(NamedError::Encode)
}

impl Family {
    fn directory(self) -> Result<RawDict, NamedError> {
        Ok(RawDict::of(self.inner().directory()?)?)
    }

    /// The object of this name, made by `params` if there is none.
    ///
    /// # Errors
    /// [`NamedError`]: `Kind` if the name stands for something else, `Differs` if the object is not as it
    /// should be, `Arena` if there is no memory.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, Queue};
    /// let jobs: Queue<String> = Family::current()?.named("jobs", &Some(8))?;
    /// assert_eq!(jobs.capacity(), Some(8));
    /// # Ok(()) }
    /// ```
    pub fn named<N: Named>(&self, name: &str, params: &N::Params) -> Result<N, NamedError> {
        let mut made = None;
        let object = self.object(name, N::KIND, |family| {
            let new = made.insert(N::create_in(family, params)?);
            Ok::<_, NamedError>(NamedObject::new(N::KIND, new.leases()))
        })?;
        match made {
            Some(made) if object.is_new => Ok(made),
            _ => {
                let found: N = object.typed(name)?;
                found.agrees(name, params)?;
                Ok(found)
            }
        }
    }

    /// The object of this name, if there is one.
    ///
    /// # Errors
    /// As [`Family::named`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, Queue};
    /// assert!(Family::current()?.find::<Queue<String>>("jobs")?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn find<N: Named>(&self, name: &str) -> Result<Option<N>, NamedError> {
        self.find_object(name)?.map(|object| object.typed(name)).transpose()
    }

    /// All names, oldest first, and the kinds of what they stand for.
    ///
    /// # Errors
    /// [`NamedError::Arena`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.event("ready")?;
    /// assert_eq!(family.names()?, [("ready".into(), "event".into())]);
    /// # Ok(()) }
    /// ```
    pub fn names(&self) -> Result<Vec<(String, String)>, NamedError> {
        let all = self.directory()?.snapshot()?;
        let text = |e| ArenaError::Corrupt(format!("a name in the directory: {e}"));
        let named = all.items.iter().map(|item| {
            let name = codec::decode(&all.bytes[item.key.clone()]).map_err(text)?;
            let (kind, _) = entry::decode(item.kind, &all.bytes[item.value.clone()])?;
            Ok((name, kind))
        });
        named.collect()
    }

    /// Removes a name, and says whether there was one. Who has the object goes on with it, and it is freed
    /// when nobody has it any more; who asks for the name gets another.
    ///
    /// # Errors
    /// [`NamedError::Arena`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let family = procession::Family::current()?;
    /// family.event("ready")?;
    /// assert!(family.remove("ready")? && !family.remove("ready")?);
    /// # Ok(()) }
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool, NamedError> {
        Ok(self.directory()?.remove(&Key::plain(&key(name)?))?)
    }

    /// What a name stands for, if there is such a name.
    ///
    /// # Errors
    /// [`NamedError::Arena`] if there is no memory for a handle, or the arena is damaged.
    pub fn find_object(&self, name: &str) -> Result<Option<NamedObject>, NamedError> {
        let mut bytes = Vec::new();
        let found = self.directory()?.get(&Key::plain(&key(name)?), &mut bytes)?;
        let Some(found) = found else { return Ok(None) };
        let (kind, note) = entry::decode(found.kind, &bytes)?;
        Ok(Some(NamedObject { kind, leases: found.holds, note, is_new: false }))
    }

    /// What a name stands for, which must be of this kind; `create` makes it if there is no such name, and
    /// is called at most once, under no lock. If another process is faster, that one's is given, and this
    /// one's is freed.
    ///
    /// # Errors
    /// That of `create`; [`NamedError`], as [`Family::named`].
    pub fn object<E: From<NamedError>>(
        &self,
        name: &str,
        kind: &str,
        create: impl FnOnce(Family) -> Result<NamedObject, E>,
    ) -> Result<NamedObject, E> {
        if let Some(found) = self.find_object(name)? {
            found.is_kind(name, kind)?;
            return Ok(found);
        }
        let made = create(*self)?;
        crash_point!("named.created");
        let given = self.give(name, made)?;
        given.is_kind(name, kind)?;
        Ok(given)
    }

    /// Gives a new object its name, or what has the name by now.
    fn give(self, name: &str, made: NamedObject) -> Result<NamedObject, NamedError> {
        let bytes = entry::encode(&made.kind, &made.note)?;
        let datum = Datum { kind: codec::PLAIN, bytes: &bytes, holds: &made.leases };
        let mut there = Vec::new();
        let key = key(name)?;
        let found = self.directory()?.set_default(&Key::plain(&key), &datum, &mut there)?;
        crash_point!("named.given");
        let Some(found) = found else { return Ok(NamedObject { is_new: true, ..made }) };
        let (kind, note) = entry::decode(found.kind, &there)?;
        Ok(NamedObject { kind, leases: found.holds, note, is_new: false })
    }
}
