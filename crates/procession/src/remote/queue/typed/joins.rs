//! Queues whose work can be waited for.

/// What says that values are done with, and waits for it.
macro_rules! joins {
    ($type:ident) => {
        impl<T> $type<T> {
            /// Says that a value that was taken is done with. A worker that is killed before it says so does
            /// not say it: somebody must for it. False, and nothing is changed, if that was said for every value
            /// already.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn task_done(&self) -> Result<bool, RemoteError> {
                self.raw.task_done(1)
            }

            /// How many values were put and are not done with.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn unfinished(&self) -> Result<u64, RemoteError> {
                self.raw.unfinished()
            }

            /// Waits until every value that was put is done with.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn join(&self) -> Result<(), RemoteError> {
                self.raw.join(&Patience::forever()).map(|_| ())
            }

            /// The same, at most so long. Whether it was so.
            ///
            /// # Errors
            /// [`RemoteError`].
            pub fn join_timeout(&self, timeout: Duration) -> Result<bool, RemoteError> {
                self.raw.join(&Patience::of(timeout))
            }
        }
    };
}
pub(super) use joins;
