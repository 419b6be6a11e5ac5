//! A claim on a collection: for whoever does several steps as if they were one, and finds again and
//! again that the collection was changed in between.
//!
//! It is courtesy, not mutual exclusion: others wait before they begin, until the claim is given up, its
//! time has run out, or its owner has died. What depends on the version asks for it still.
//!
//! The word: the participant, and the millisecond (modulo 2^32) at which it ends.

use std::cell::RefCell;
use std::time::Duration;

use crate::arena::layout::stock::StockSlot;
use crate::arena::lease::Lease;
use crate::error::ArenaError;
use crate::lock::Owners;
use crate::sys::atomic::Ordering;
use crate::sys::clock;

/// No claim is for longer: what says so was scribbled there.
const LONGEST: u32 = 10_000;
/// How long one sleeps who waits for a claim to end.
const PAUSE: Duration = Duration::from_millis(1);
/// After so many one looks whether its owner lives.
const LOOK_AFTER: u32 = 16;

thread_local! {
    /// The slots that this thread has claimed.
    static MINE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// A claim, until it is dropped or its time has run out.
#[derive(Debug)]
#[must_use = "it is given up when it is dropped"]
pub struct Claim {
    lease: Lease,
    slot: &'static StockSlot,
    word: u64,
    // A thread's own.
    _not_send: std::marker::PhantomData<*const ()>,
}

fn now() -> u32 {
    clock::coarse_ms() as u32
}

fn ends(word: u64) -> u32 {
    word as u32
}

fn is_over(word: u64) -> bool {
    !(1..=LONGEST).contains(&ends(word).wrapping_sub(now()))
}

fn address(slot: &'static StockSlot) -> usize {
    std::ptr::from_ref(slot).addr()
}

impl Claim {
    pub(super) fn stake(
        lease: &Lease,
        slot: &'static StockSlot,
        patience: Duration,
    ) -> Result<Option<Claim>, ArenaError> {
        let me = lease.inner.me()?;
        let millis = u32::try_from(patience.as_millis()).unwrap_or(LONGEST).min(LONGEST);
        let word = u64::from(me) << 32 | u64::from(now().wrapping_add(millis));
        let seen = slot.claim.load(Ordering::Relaxed);
        if (seen != 0 && !is_over(seen))
            || slot
                .claim
                .compare_exchange(seen, word, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return Ok(None);
        }
        MINE.with_borrow_mut(|mine| mine.push(address(slot)));
        let lease = lease.clone();
        Ok(Some(Claim { lease, slot, word, _not_send: std::marker::PhantomData }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (at, _alive) = (address(self.slot), &self.lease);
        MINE.with_borrow_mut(|mine| {
            if let Some(i) = mine.iter().rposition(|slot| *slot == at) {
                mine.swap_remove(i);
            }
        });
        // Another's by now, if its time had run out.
        let _ =
            self.slot.claim.compare_exchange(self.word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether somebody else has a claim that is not over.
#[inline]
pub(super) fn is_anothers(lease: &Lease, slot: &'static StockSlot) -> bool {
    let word = slot.claim.load(Ordering::Relaxed);
    word != 0 && is_to_be_heeded(lease, slot, word)
}

#[cold]
fn is_to_be_heeded(lease: &Lease, slot: &'static StockSlot, word: u64) -> bool {
    let by_me = lease.inner.me().is_ok_and(|me| u64::from(me) == word >> 32)
        && MINE.with_borrow(|mine| mine.contains(&address(slot)));
    !by_me && !is_over(word)
}

/// Sleeps while somebody else has a claim.
#[cold]
pub(super) fn give_way(lease: &Lease, slot: &'static StockSlot) {
    let owner_is_dead = || lease.inner.is_dead((slot.claim.load(Ordering::Relaxed) >> 32) as u32);
    let mut pauses = 0;
    while is_anothers(lease, slot) {
        std::thread::sleep(PAUSE);
        pauses += 1;
        if pauses % LOOK_AFTER == 0 && owner_is_dead() {
            break;
        }
    }
    let word = slot.claim.load(Ordering::Relaxed);
    if word != 0 && (is_over(word) || owner_is_dead()) {
        let _ = slot.claim.compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}
