//! Futures of queues and connections of plain values.

use bytemuck::Pod;

use super::connection::PlainConnection;
use super::loan::{Loan, PlainSlice};
use super::message;
use super::queue::PlainQueue;
use crate::error::{GetError, PutError};

impl<T: Pod> PlainQueue<T> {
    /// As [`PlainQueue::put`], as a future: see [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    /// As [`PlainQueue::put`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_async(&7).await?;
    /// assert_eq!(b.get_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn put_async(&self, value: &T) -> Result<(), PutError<()>> {
        let mut loan = self.loan(1).map_err(|e| PutError::Arena((), e))?;
        loan[0] = *value;
        self.put_loan_async(loan).await.map_err(PutError::without_value)
    }

    /// As [`PlainQueue::put_loan`], as a future. If it is dropped before it is ready, so is the loan.
    ///
    /// # Errors
    /// As [`PlainQueue::put_loan`].
    ///
    /// # Panics
    /// As [`PlainQueue::put_loan`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_loan_async(a.loan(5000)?).await?;
    /// assert_eq!(b.get_slice_async().await?.len(), 5000);
    /// # Ok(()) }) }
    /// ```
    pub async fn put_loan_async(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        let put =
            async |kind, inline: &[u8], block| self.raw().put_message(kind, inline, block).await;
        loan.send_async(put).await
    }

    /// As [`PlainQueue::get`], as a future: see [`Queue::get_async`](crate::Queue::get_async).
    ///
    /// # Errors
    /// As [`PlainQueue::get`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put(&7)?;
    /// assert_eq!(b.get_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_async(&self) -> Result<T, GetError> {
        let (message, inline) = self.raw().get_message().await?;
        message::value(&message, &inline)
    }

    /// As [`PlainQueue::get_slice`], as a future.
    ///
    /// # Errors
    /// As [`PlainQueue::get_slice`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let a = procession::PlainQueue::<u32>::unbounded()?;
    /// # let b = a.clone();
    /// a.put_slice(&[1, 2, 3])?;
    /// assert_eq!(*b.get_slice_async().await?, [1, 2, 3]);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_slice_async(&self) -> Result<PlainSlice<T>, GetError> {
        let (message, inline) = self.raw().get_message().await?;
        message::slice(message, &inline)
    }
}

impl<T: Pod> PlainConnection<T> {
    /// As [`PlainConnection::send`], as a future: see [`Connection::send_async`](crate::Connection::send_async).
    ///
    /// # Errors
    /// As [`PlainConnection::send`].
    ///
    /// # Panics
    /// If this end does not send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_async(&7).await?;
    /// assert_eq!(b.recv_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn send_async(&self, value: &T) -> Result<(), PutError<()>> {
        let mut loan = self.loan(1).map_err(|e| PutError::Arena((), e))?;
        loan[0] = *value;
        self.send_loan_async(loan).await.map_err(PutError::without_value)
    }

    /// As [`PlainConnection::send_loan`], as a future. If it is dropped before it is ready, so is the loan.
    ///
    /// # Errors
    /// As [`PlainConnection::send_loan`].
    ///
    /// # Panics
    /// As [`PlainConnection::send_loan`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_loan_async(a.loan(5000)?).await?;
    /// assert_eq!(b.recv_slice_async().await?.len(), 5000);
    /// # Ok(()) }) }
    /// ```
    pub async fn send_loan_async(&self, loan: Loan<T>) -> Result<(), PutError<Loan<T>>> {
        let put =
            async |kind, inline: &[u8], block| self.raw().send_message(kind, inline, block).await;
        loan.send_async(put).await
    }

    /// As [`PlainConnection::recv`], as a future: see [`Connection::recv_async`](crate::Connection::recv_async).
    ///
    /// # Errors
    /// As [`PlainConnection::recv`].
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send(&7)?;
    /// assert_eq!(b.recv_async().await?, 7);
    /// # Ok(()) }) }
    /// ```
    pub async fn recv_async(&self) -> Result<T, GetError> {
        let (message, inline) = self.raw().recv_message().await?;
        message::value(&message, &inline)
    }

    /// As [`PlainConnection::recv_slice`], as a future.
    ///
    /// # Errors
    /// As [`PlainConnection::recv_slice`].
    ///
    /// # Panics
    /// If this end does not receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// let (a, b) = procession::plain_pipe::<u32>()?;
    /// a.send_slice(&[1, 2, 3])?;
    /// assert_eq!(*b.recv_slice_async().await?, [1, 2, 3]);
    /// # Ok(()) }) }
    /// ```
    pub async fn recv_slice_async(&self) -> Result<PlainSlice<T>, GetError> {
        let (message, inline) = self.raw().recv_message().await?;
        message::slice(message, &inline)
    }
}
