//! What comes out of a queue, as iterators.

use super::error::GetError;
use crate::channel::iter::iterator;

mod sealed {
    pub trait Sealed {}
}
pub(super) use sealed::Sealed;

/// Where values come from: the queues of this module.
pub trait Source: Sealed {
    /// What they are.
    type Item;

    /// Takes the next one; waits for it.
    ///
    /// # Errors
    /// [`GetError`].
    fn next_item(&self) -> Result<Self::Item, GetError>;

    /// Takes the next one, if it is there.
    ///
    /// # Errors
    /// [`GetError`].
    fn next_item_if_any(&self) -> Result<Self::Item, GetError>;
}

/// What an iterator gives for that; `over`: whether it was the last.
fn item<T>(taken: Result<T, GetError>, over: &mut bool) -> Option<Result<T, GetError>> {
    *over = !matches!(taken, Ok(_) | Err(GetError::Decode(_)));
    match taken {
        Err(GetError::Closed | GetError::Empty) => None,
        taken => Some(taken),
    }
}

iterator! {
    /// What comes until the queue is closed and empty; waits for each.
    ///
    /// A message that is of another type is an error, and the next one follows; any other error is the
    /// last item.
    Iter<'a, S>, &'a S, next_item
}
iterator! {
    /// What is there now; waits for nothing. Errors as of [`Iter`].
    TryIter<'a, S>, &'a S, next_item_if_any
}
iterator! {
    /// As [`Iter`], with the handle inside.
    IntoIter<S>, S, next_item
}

/// The iterators of a type that has `get` and `try_get`, which give an `$item`.
macro_rules! iterates {
    ($type:ident<$t:ident>, $item:ty) => {
        impl<$t> $crate::remote::queue::iter::Sealed for $type<$t> {}

        impl<$t: serde::de::DeserializeOwned> $crate::remote::queue::iter::Source for $type<$t> {
            type Item = $item;

            fn next_item(&self) -> Result<$item, GetError> {
                self.get()
            }

            fn next_item_if_any(&self) -> Result<$item, GetError> {
                self.try_get()
            }
        }

        impl<$t: serde::de::DeserializeOwned> $type<$t> {
            /// What comes until the queue is closed and empty. It waits for each; what it gives is taken.
            pub fn iter(&self) -> Iter<'_, Self> {
                Iter::new(self)
            }

            /// What is there now; it waits for nothing.
            pub fn try_iter(&self) -> TryIter<'_, Self> {
                TryIter::new(self)
            }
        }

        impl<'a, $t: serde::de::DeserializeOwned> IntoIterator for &'a $type<$t> {
            type Item = Result<$item, GetError>;
            type IntoIter = Iter<'a, $type<$t>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<$t: serde::de::DeserializeOwned> IntoIterator for $type<$t> {
            type Item = Result<$item, GetError>;
            type IntoIter = IntoIter<$type<$t>>;

            fn into_iter(self) -> Self::IntoIter {
                IntoIter::new(self)
            }
        }
    };
}
pub(super) use iterates;
