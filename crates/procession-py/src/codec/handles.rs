//! Which queues' handles a message carries.
//!
//! While pickle runs for a message, `QueueBase._handle()` notes its queue here, so that the message
//! can count it: the queue then lives as long as the message does. Encodings nest, since Python
//! code that pickle runs may put.

use std::cell::RefCell;

use procession::RawQueue;

thread_local! {
    static TAKEN: RefCell<Option<Vec<RawQueue>>> = const { RefCell::new(None) };
}

/// Notes that `queue`'s handle is being written into the message under way, if there is one.
pub(crate) fn note(queue: &RawQueue) {
    TAKEN.with_borrow_mut(|taken| {
        if let Some(list) = taken {
            list.push(queue.clone());
        }
    });
}

/// Runs `encode` and returns with it the queues whose handles it took.
pub(super) fn collect<T>(encode: impl FnOnce() -> T) -> (T, Vec<RawQueue>) {
    let frame = Frame(TAKEN.replace(Some(Vec::new())));
    let result = encode();
    let taken = TAKEN.take().unwrap_or_default();
    drop(frame);
    (result, taken)
}

/// Puts the outer encoding's list back, whatever happens.
struct Frame(Option<Vec<RawQueue>>);

impl Drop for Frame {
    fn drop(&mut self) {
        TAKEN.set(self.0.take());
    }
}
