//! What comes out of a queue or a connection, as iterators.

use crate::error::GetError;

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// Where values come from: the queues and connections of this crate.
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

/// An iterator over a `Source` by its method `$next`; `item` says what comes of an error.
macro_rules! iterator {
    ($(#[$doc:meta])* $name:ident<$($life:lifetime,)? $s:ident>, $from:ty, $next:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use = "an iterator does nothing unless it is asked"]
        pub struct $name<$($life,)? $s: Source> {
            source: $from,
            over: bool,
        }

        impl<$($life,)? $s: Source> $name<$($life,)? $s> {
            pub(crate) fn new(source: $from) -> Self {
                $name { source, over: false }
            }
        }

        impl<$($life,)? $s: Source> Iterator for $name<$($life,)? $s> {
            type Item = Result<$s::Item, GetError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.over { None } else { item(self.source.$next(), &mut self.over) }
            }
        }

        impl<$($life,)? $s: Source> std::iter::FusedIterator for $name<$($life,)? $s> {}
    };
}
#[cfg(feature = "redis")]
pub(crate) use iterator;

iterator! {
    /// What comes until the source is closed and empty; waits for each.
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

/// The iterators of a type that has `get` and `try_get`, or what they are called there.
macro_rules! iterates {
    ($type:ident<$t:ident>, $get:ident, $try_get:ident, $one:literal, $made:literal) => {
        impl<$t> crate::channel::iter::Sealed for $type<$t> {}

        impl<$t: serde::de::DeserializeOwned> crate::channel::iter::Source for $type<$t> {
            type Item = $t;

            fn next_item(&self) -> Result<$t, GetError> {
                self.$get()
            }

            fn next_item_if_any(&self) -> Result<$t, GetError> {
                self.$try_get()
            }
        }

        impl<$t: serde::de::DeserializeOwned> $type<$t> {
            #[doc = concat!("What comes until ", $one, " is closed and empty. It waits for each; what it gives is taken.")]
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = $made]
            /// let all: Vec<i32> = taken.iter().collect::<Result<_, _>>()?;
            /// assert_eq!(all, [1, 2]);
            /// # Ok(()) }
            /// ```
            pub fn iter(&self) -> crate::channel::iter::Iter<'_, Self> {
                crate::channel::iter::Iter::new(self)
            }

            /// What is there now; it waits for nothing.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = $made]
            /// assert_eq!(taken.try_iter().count(), 2);
            /// # Ok(()) }
            /// ```
            pub fn try_iter(&self) -> crate::channel::iter::TryIter<'_, Self> {
                crate::channel::iter::TryIter::new(self)
            }
        }

        impl<'a, $t: serde::de::DeserializeOwned> IntoIterator for &'a $type<$t> {
            type Item = Result<$t, GetError>;
            type IntoIter = crate::channel::iter::Iter<'a, $type<$t>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<$t: serde::de::DeserializeOwned> IntoIterator for $type<$t> {
            type Item = Result<$t, GetError>;
            type IntoIter = crate::channel::iter::IntoIter<$type<$t>>;

            fn into_iter(self) -> Self::IntoIter {
                crate::channel::iter::IntoIter::new(self)
            }
        }
    };
}
pub(crate) use iterates;
