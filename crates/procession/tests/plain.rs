//! Messages of plain types: what arrives, what is refused, and whose memory it is.
#![allow(missing_docs)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use procession::{
    ArenaError, Family, GetError, PlainConnection, PlainQueue, PutError, Queue, RawQueue,
    plain_pipe,
};
use support::{argument, hex, role, say, start, unhex};

/// In bytes: around what is copied, a page, what is inline at most, and an extent.
const SIZES: [usize; 11] =
    [0, 8, 64, 1016, 1024, 1032, 4096, 32 << 10, (32 << 10) + 8, 1 << 20, 65 << 20];

/// The tests look at the whole arena: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_use(family: Family) -> u64 {
    family.sweep().unwrap();
    assert_eq!(family.check(), Vec::<String>::new());
    family.stats().arena_bytes - family.stats().idle_bytes
}

fn pattern(len: usize) -> impl Iterator<Item = u64> {
    (0..len as u64).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ len as u64)
}

#[test]
fn slices_and_loans_of_all_sizes_arrive_by_queue_and_connection() {
    let _one = alone();
    let queue = PlainQueue::<u64>::unbounded().unwrap();
    let (a, b) = plain_pipe::<u64>().unwrap();
    for size in SIZES {
        let values: Vec<u64> = pattern(size / 8).collect();
        queue.put_slice(&values).unwrap();
        let mut loan = queue.loan(values.len()).unwrap();
        loan.copy_from_slice(&values);
        queue.put_loan(loan).unwrap();
        for _ in 0..2 {
            assert!(*queue.get_slice().unwrap() == *values, "{size}");
        }
        a.send_slice(&values).unwrap();
        assert!(*b.recv_slice().unwrap() == *values, "{size}");
        let mut loan = b.loan(values.len()).unwrap();
        loan.copy_from_slice(&values);
        b.send_loan(loan).unwrap();
        assert!(*a.recv_slice().unwrap() == *values, "{size}");
    }
}

#[test]
fn large_messages_are_received_where_they_lie_and_may_be_written() {
    let _one = alone();
    let queue = PlainQueue::<u8>::unbounded().unwrap();
    for (len, in_arena) in [(1024, false), (1025, true)] {
        queue.put_slice(&vec![3; len]).unwrap();
        let mut got = queue.get_slice().unwrap();
        let expected = format!("PlainSlice {{ len: {len}, in_arena: {in_arena}, .. }}");
        assert_eq!(format!("{got:?}"), expected);
        got[len - 1] = 4;
        assert_eq!(got.iter().map(|&byte| usize::from(byte)).sum::<usize>(), 3 * len + 1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Wide {
    words: [u64; 8],
}

#[test]
fn values_keep_their_alignment() {
    let _one = alone();
    let queue = PlainQueue::<Wide>::unbounded().unwrap();
    let wide = |n: u64| Wide { words: [n; 8] };
    queue.put(&wide(1)).unwrap();
    assert_eq!(queue.get().unwrap(), wide(1));
    for len in [1, 16, 17, 1000] {
        queue.put_slice(&vec![wide(2); len]).unwrap();
        let got = queue.get_slice().unwrap();
        assert!(got.as_ptr().is_aligned());
        assert_eq!(*got, *vec![wide(2); len]);
    }
    // One value of a page and more is in a block, and is read as one all the same.
    let pages = PlainQueue::<[u64; 1024]>::unbounded().unwrap();
    pages.put(&[7; 1024]).unwrap();
    assert_eq!(pages.get().unwrap(), [7; 1024]);
}

#[test]
fn another_length_is_an_error_that_says_both() {
    let _one = alone();
    let bytes = PlainQueue::<u8>::unbounded().unwrap();
    let words = PlainQueue::<u64>::from_handle(&bytes.handle()).unwrap();
    let decode = |e: GetError| match e {
        GetError::Decode(text) => text,
        other => panic!("{other:?}"),
    };
    for len in [12, 5001] {
        bytes.put_slice(&vec![0; len]).unwrap();
        let text = decode(words.get_slice().unwrap_err());
        assert_eq!(
            text,
            format!("a message of {len} bytes is not a whole number of u64 (8 bytes)")
        );
        bytes.put_slice(&vec![0; len]).unwrap();
        let text = decode(words.get().unwrap_err());
        assert_eq!(text, format!("a message of {len} bytes is not one u64 (8 bytes)"));
    }
    // They were taken, and the queue goes on.
    assert!(words.is_empty());
    words.put(&1).unwrap();
    assert_eq!(words.get().unwrap(), 1);
}

#[test]
fn bytes_of_other_senders_are_received_and_other_messages_refused() {
    let _one = alone();
    let plain = PlainQueue::<u32>::unbounded().unwrap();
    let raw = plain.raw();
    // As `bytes` in MessagePack, whose lead is no multiple of four; also in a block.
    for len in [4_usize, 200, 300, 4000, 70_000] {
        let values: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut message = match len {
            ..256 => vec![0xc4, len as u8],
            256..65536 => vec![0xc5, (len >> 8) as u8, len as u8],
            _ => vec![0xc6, 0, (len >> 16) as u8, (len >> 8) as u8, len as u8],
        };
        message.extend(&values);
        if len > 1000 {
            let mut block = raw.family().alloc(message.len(), &[]).unwrap();
            block.write(0, &message);
            raw.try_put(1, &[], Some(block)).unwrap();
        } else {
            raw.try_put(1, &message, None).unwrap();
        }
        let got = plain.get_slice().unwrap();
        let bytes: Vec<u8> = got.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes, values);
    }
    raw.try_put(5, &7_u32.to_ne_bytes(), None).unwrap(); // what `send_bytes` sends
    assert_eq!(plain.get().unwrap(), 7);

    let encoded: Queue<String> = raw.clone().into();
    encoded.put("text".into()).unwrap();
    assert!(matches!(plain.get(), Err(GetError::Decode(_))));
    raw.try_put(2, b"pickle", None).unwrap();
    assert!(matches!(plain.get_slice(), Err(GetError::Decode(_))));
    for torn in [&b"\xc4\x08\x01"[..], b"\xc5", b"\xc4\x01\x01\x01", b""] {
        raw.try_put(1, torn, None).unwrap();
        assert!(matches!(plain.get_slice(), Err(GetError::Decode(_))));
    }
    // And the other way round.
    plain.put(&1).unwrap();
    assert!(matches!(encoded.get(), Err(GetError::Decode(_))));
}

#[test]
fn a_loan_that_was_refused_comes_back_as_it_was() {
    let _one = alone();
    let queue = PlainQueue::<u32>::bounded(1).unwrap();
    for len in [10, 10_000] {
        queue.put(&0).unwrap();
        let mut loan = queue.loan(len).unwrap();
        loan.fill(9);
        let Err(PutError::Full(loan)) = queue.try_put_loan(loan) else { panic!("not full") };
        assert_eq!(queue.get().unwrap(), 0);
        assert_eq!(*loan, *vec![9; len]);
        queue.put_loan(loan).unwrap();
        assert_eq!(*queue.get_slice().unwrap(), *vec![9; len]);
    }
    let loan = queue.loan(10_000).unwrap();
    queue.close();
    assert!(matches!(queue.put_loan(loan), Err(PutError::Closed(loan)) if loan.len() == 10_000));
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn a_loan_goes_to_any_queue_or_connection_of_the_family() {
    let _one = alone();
    let queue = PlainQueue::<u32>::unbounded().unwrap();
    let (a, b) = plain_pipe::<u32>().unwrap();
    a.send_loan(queue.loan(10_000).unwrap()).unwrap();
    queue.put_loan(a.loan(10_000).unwrap()).unwrap();
    assert_eq!(b.recv_slice().unwrap().len(), 10_000);
    assert_eq!(queue.get_slice().unwrap().len(), 10_000);
}

#[test]
fn absurd_lengths_are_refused() {
    let _one = alone();
    let queue = PlainQueue::<u64>::unbounded().unwrap();
    for len in [usize::MAX, usize::MAX / 8, 1 << 50] {
        queue.loan(len).unwrap_err();
    }
}

#[test]
fn memory_comes_back_whatever_becomes_of_a_message() {
    let _one = alone();
    let family = Family::current().unwrap();
    let queue = PlainQueue::<u8>::unbounded().unwrap();
    queue.put(&1).unwrap(); // its first segment
    queue.get().unwrap();
    let before = in_use(family);
    drop(queue.loan(1 << 20).unwrap());
    queue.put_loan(queue.loan(1 << 20).unwrap()).unwrap();
    assert_eq!(in_use(family), before + (1 << 20));
    let got = queue.get_slice().unwrap();
    assert_eq!(in_use(family), before + (1 << 20));
    drop(got);
    assert_eq!(in_use(family), before);
    // One that is not what was expected, too.
    let words = PlainQueue::<u64>::from_handle(&queue.handle()).unwrap();
    queue.put_slice(&[0; 4097]).unwrap();
    words.get_slice().unwrap_err();
    assert_eq!(in_use(family), before);
}

fn play(name: &str) {
    let there: PlainQueue<u64> = PlainQueue::from_handle(&unhex(&argument("THERE"))).unwrap();
    let back: PlainQueue<u64> = PlainQueue::from_handle(&unhex(&argument("BACK"))).unwrap();
    if name == "killed" {
        let _loan = there.loan(1 << 17).unwrap();
        let _got = there.get_slice().unwrap();
        say("have both");
        loop {
            std::thread::park();
        }
    }
    while let Ok(got) = there.get_slice() {
        let mut answer = back.loan(got.len()).unwrap();
        for (to, from) in answer.iter_mut().zip(got.iter()) {
            *to = !from;
        }
        drop(got);
        back.put_loan(answer).unwrap();
    }
}

#[test]
fn another_process_reads_and_writes_in_place() {
    const NAME: &str = "another_process_reads_and_writes_in_place";
    if role().is_some() {
        return play("answering");
    }
    let _one = alone();
    let (there, back) = (PlainQueue::<u64>::bounded(4).unwrap(), PlainQueue::bounded(4).unwrap());
    let arguments = [("THERE", hex(&there.handle())), ("BACK", hex(&back.handle()))];
    let child = start(NAME, NAME, &arguments);
    for size in SIZES {
        for _ in 0..3 {
            let values: Vec<u64> = pattern(size / 8).collect();
            there.put_slice(&values).unwrap();
            let got: procession::PlainSlice<u64> = back.get_slice().unwrap();
            assert!(got.iter().map(|n| !n).eq(values.into_iter()), "{size}");
        }
    }
    there.close();
    child.finish();
}

#[test]
fn what_a_killed_process_had_comes_back() {
    const NAME: &str = "what_a_killed_process_had_comes_back";
    if role().is_some() {
        return play("killed");
    }
    let _one = alone();
    let family = Family::current().unwrap();
    let (there, back) =
        (PlainQueue::<u64>::bounded(4).unwrap(), PlainQueue::<u64>::bounded(4).unwrap());
    there.put(&1).unwrap();
    there.get().unwrap();
    let before = in_use(family);
    there.put_loan(there.loan(1 << 17).unwrap()).unwrap();
    let arguments = [("THERE", hex(&there.handle())), ("BACK", hex(&back.handle()))];
    let mut child = start(NAME, NAME, &arguments);
    assert_eq!(child.hear(), "have both");
    assert!(in_use(family) >= before + (2 << 20));
    child.child.kill().unwrap();
    child.finish();
    assert_eq!(in_use(family), before);
}

support::alone!(a_fork_shares_no_message_and_no_loan {
    let queue = PlainQueue::<u64>::unbounded().unwrap();
    queue.put_slice(&[1; 1024]).unwrap();
    let mut got = queue.get_slice().unwrap();
    let mut loan = Some(queue.loan(1024).unwrap());
    loan.as_mut().unwrap().fill(5);
    std::panic::set_hook(Box::new(|_| {})); // the child's panics are wanted
    let child = support::fork(|| {
        assert_eq!(*got, [1; 1024]);
        got.fill(2);
        let mut loan = loan.take().unwrap();
        catch_unwind(AssertUnwindSafe(|| loan.fill(6))).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| loan[0])).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| queue.put_loan(loan))).unwrap_err();
        queue.put(&7).unwrap(); // but the queue is as usable as before
    });
    assert_eq!(child.wait(), 0);
    assert_eq!(*got, [1; 1024]);
    queue.put_loan(loan.unwrap()).unwrap();
    assert_eq!(queue.get().unwrap(), 7);
    assert_eq!(*queue.get_slice().unwrap(), [5; 1024]);
    drop(got);
    let family = Family::current().unwrap();
    family.sweep().unwrap();
    assert_eq!(family.check(), Vec::<String>::new());
});

#[test]
fn handles_open_the_same_queue_and_connection() {
    let _one = alone();
    let family = Family::current().unwrap();
    let queue = PlainQueue::<u16>::bounded_in(family, 0).unwrap();
    assert_eq!(queue.capacity(), Some(1));
    let same: PlainQueue<u16> = RawQueue::from_handle(&queue.handle()).unwrap().into();
    same.put(&9).unwrap();
    assert_eq!(queue.clone().get().unwrap(), 9);
    let (a, b) = plain_pipe::<u16>().unwrap();
    let socket = a.fd().try_clone_to_owned().unwrap();
    let again = PlainConnection::<u16>::from_parts(&a.handle(), socket).unwrap();
    again.send(&3).unwrap();
    drop((a, again));
    assert_eq!(b.recv().unwrap(), 3);
    assert!(matches!(b.recv(), Err(GetError::Closed)));
    assert!(matches!(b.send(&1), Err(PutError::Closed(()))));
}

support::alone!(a_message_that_names_anothers_block_is_not_taken {
    const DATA: u64 = 0x4_2400_0000; // where the data begins: see docs/memory-layout.md
    const LEN: usize = 70_001; // stands nowhere else
    let family = Family::current().unwrap();
    let (first, second) =
        (PlainQueue::<u8>::unbounded().unwrap(), PlainQueue::<u8>::unbounded().unwrap());
    let mut places = Vec::new();
    for (queue, value) in [(&first, 1), (&second, 2)] {
        queue.put_slice(&vec![value; LEN]).unwrap();
        let mut bytes = vec![0; 8 << 20];
        rustix::io::pread(family.fd(), &mut bytes, DATA).unwrap();
        let words: Vec<u64> =
            bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let at = |i: usize| DATA + 8 * i as u64;
        places = (1..words.len())
            .filter(|&i| words[i] == LEN as u64)
            .map(|i| (at(i - 1), words[i - 1]))
            .collect();
    }
    let &[a, b] = &places[..] else { panic!("records: {places:?}") };
    // Whichever of them is the second queue's: each names the other's.
    rustix::io::pwrite(family.fd(), &b.1.to_le_bytes(), a.0).unwrap();
    rustix::io::pwrite(family.fd(), &a.1.to_le_bytes(), b.0).unwrap();
    for queue in [&first, &second] {
        assert!(matches!(queue.get_slice(), Err(GetError::Arena(ArenaError::Corrupt(_)))));
    }
    rustix::io::pwrite(family.fd(), &a.1.to_le_bytes(), a.0).unwrap();
    rustix::io::pwrite(family.fd(), &b.1.to_le_bytes(), b.0).unwrap();
    for (queue, value) in [(&first, 1), (&second, 2)] {
        assert_eq!(*queue.get_slice().unwrap(), *vec![value; LEN]);
    }
});

#[cfg(feature = "async")]
#[test]
fn futures_carry_the_same_and_may_change_threads() {
    fn sent<F: Future + Send>(future: F) -> F::Output {
        pollster::block_on(future)
    }
    let _one = alone();
    let queue = PlainQueue::<u32>::bounded(1).unwrap();
    let (a, b) = plain_pipe::<u32>().unwrap();
    for len in [1, 10_000] {
        sent(queue.put_loan_async(queue.loan(len).unwrap())).unwrap();
        assert_eq!(sent(queue.get_slice_async()).unwrap().len(), len);
        sent(a.send_loan_async(a.loan(len).unwrap())).unwrap();
        assert_eq!(sent(b.recv_slice_async()).unwrap().len(), len);
    }
    sent(queue.put_async(&1)).unwrap();
    // One that waits for room, and gets it.
    let taker = queue.clone();
    let mut full = queue.loan(10_000).unwrap();
    full.fill(3);
    let taking = std::thread::spawn(move || taker.get());
    sent(queue.put_loan_async(full)).unwrap();
    assert_eq!(taking.join().unwrap().unwrap(), 1);
    assert_eq!(*sent(queue.get_slice_async()).unwrap(), *vec![3; 10_000]);
    sent(a.send_async(&7)).unwrap();
    assert_eq!(sent(b.recv_async()).unwrap(), 7);
    queue.close();
    let loan = queue.loan(10_000).unwrap();
    assert!(
        matches!(sent(queue.put_loan_async(loan)), Err(PutError::Closed(l)) if l.len() == 10_000)
    );
    let typed: Queue<String> = queue.raw().clone().into();
    assert!(matches!(sent(typed.get_async()), Err(GetError::Closed)));
    assert!(matches!(sent(typed.put_async("x".into())), Err(PutError::Closed(_))));
}
