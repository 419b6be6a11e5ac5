//! The receiving half of a queue of plain values.

use std::time::Duration;

use bytemuck::Pod;

use super::loan::PlainSlice;
use super::message;
use super::queue::PlainQueue;
use crate::channel::message::Patience;
use crate::error::GetError;

impl<T: Pod> PlainQueue<T> {
    /// Takes the oldest message, which is one value; waits for one.
    ///
    /// # Errors
    /// [`GetError`]: `Closed` (and nothing is left), `Decode` (the message has another length, or is no
    /// plain data; it is taken), `Arena`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put(&7)?;
    /// assert_eq!(b.get()?, 7);
    /// a.put_slice(&[7, 8])?;
    /// assert!(b.get().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        message::get(self.raw(), Patience::Endless)
    }

    /// As [`PlainQueue::get`], if there is a message.
    ///
    /// # Errors
    /// As [`PlainQueue::get`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// assert!(b.try_get().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, GetError> {
        message::get(self.raw(), Patience::None)
    }

    /// As [`PlainQueue::get`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainQueue::get`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// assert!(b.get_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        message::get(self.raw(), Patience::of(timeout))
    }

    /// Takes the oldest message, which is any number of values, where it lies; waits for one.
    ///
    /// # Errors
    /// As [`PlainQueue::get`]; `Decode` if it is no whole number of values.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_slice(&[1; 5000])?;
    /// let message = b.get_slice()?;
    /// assert_eq!((message.len(), message[0]), (5000, 1));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_slice(&self) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(self.raw(), Patience::Endless)
    }

    /// As [`PlainQueue::get_slice`], if there is a message.
    ///
    /// # Errors
    /// As [`PlainQueue::get_slice`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// assert!(b.try_get_slice().is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_get_slice(&self) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(self.raw(), Patience::None)
    }

    /// As [`PlainQueue::get_slice`]; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`PlainQueue::get_slice`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// assert!(b.get_slice_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_slice_timeout(&self, timeout: Duration) -> Result<PlainSlice<T>, GetError> {
        message::get_slice(self.raw(), Patience::of(timeout))
    }
}
