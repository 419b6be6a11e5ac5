//! Queues whose work can be waited for.

/// What says that values are done with, and waits for it.
macro_rules! joins {
    ($type:ident) => {
        impl<T> $type<T> {
            /// Says that a value that was taken is done with. A worker that is killed before it says so does
            /// not say it: somebody must for it.
            ///
            /// # Errors
            /// [`TaskDoneError`] if that was said for every value already, or the arena is damaged.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            #[doc = concat!("let q = procession::", stringify!($type), "::unbounded()?;")]
            /// q.put(1)?;
            /// let _: i32 = q.get()?;
            /// assert_eq!(q.unfinished(), 1);
            /// q.task_done()?;
            /// q.join();
            /// assert!(q.task_done().is_err());
            /// # Ok(()) }
            /// ```
            pub fn task_done(&self) -> Result<(), TaskDoneError> {
                Ok(self.raw.done()??)
            }

            /// How many values were put and are not done with.
            #[must_use]
            pub fn unfinished(&self) -> u64 {
                self.raw.unfinished()
            }

            /// Waits until every value that was put is done with.
            pub fn join(&self) {
                self.join_with(Patience::Endless);
            }

            /// The same, at most so long. Whether it was so.
            #[must_use]
            pub fn join_timeout(&self, timeout: Duration) -> bool {
                self.join_with(Patience::of(timeout))
            }

            fn join_with(&self, patience: Patience) -> bool {
                while self.unfinished() != 0 {
                    if !patience.wait(|deadline| self.raw.wait_done(deadline)) {
                        return self.unfinished() == 0;
                    }
                }
                true
            }
        }
    };
}
pub(super) use joins;
