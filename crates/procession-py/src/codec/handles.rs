//! Whose handles a message carries.
//!
//! While pickle runs for a message, `QueueBase._handle()` and `ConnectionBase._ring_handle()` note
//! here what their handles name, so that the message can count it: it then lives as long as the
//! message does. Encodings nest, since Python code that pickle runs may put.

use std::cell::RefCell;

use procession::Lease;

thread_local! {
    static TAKEN: RefCell<Option<Vec<Lease>>> = const { RefCell::new(None) };
}

/// Notes that handles of what `leases` gives are being written into the message under way, if there
/// is one.
pub(crate) fn note<L: IntoIterator<Item = Lease>>(leases: impl FnOnce() -> L) {
    TAKEN.with_borrow_mut(|taken| {
        if let Some(list) = taken {
            list.extend(leases());
        }
    });
}

/// Runs `encode` and returns with it leases on that whose handles it took.
pub(super) fn collect<T>(encode: impl FnOnce() -> T) -> (T, Vec<Lease>) {
    let frame = Frame(TAKEN.replace(Some(Vec::new())));
    let result = encode();
    let taken = TAKEN.take().unwrap_or_default();
    drop(frame);
    (result, taken)
}

/// Puts the outer encoding's list back, whatever happens.
struct Frame(Option<Vec<Lease>>);

impl Drop for Frame {
    fn drop(&mut self) {
        TAKEN.set(self.0.take());
    }
}
