//! Procession's side: two queues of plain data.

use procession::PlainQueue;

use crate::{Lane, Link, check, depth, ready};

enum Ends {
    Small(PlainQueue<[u8; 64]>, PlainQueue<[u8; 64]>),
    Large(usize, PlainQueue<u8>, PlainQueue<u8>),
}

impl Lane for Ends {
    fn send(&mut self, fill: u8) {
        match self {
            Ends::Small(to, _) => to.put(&[fill; 64]).expect("it is open"),
            Ends::Large(size, to, _) => {
                let mut loan = to.loan(*size).expect("memory");
                loan.fill(fill);
                to.put_loan(loan).expect("it is open");
            }
        }
    }

    fn recv(&mut self) -> u8 {
        match self {
            Ends::Small(_, from) => check(&from.get().expect("it is open"), 64),
            Ends::Large(size, _, from) => check(&from.get_slice().expect("it is open"), *size),
        }
    }
}

pub(crate) fn link(size: usize) -> Link {
    fn two<T: bytemuck::Pod>(size: usize) -> (PlainQueue<T>, PlainQueue<T>, String) {
        let make = || PlainQueue::bounded(depth(size) as u64).expect("shared memory");
        let (to, from) = (make(), make());
        let papers = format!("{} {}", hex(&to.handle()), hex(&from.handle()));
        (to, from, papers)
    }
    if size == 64 {
        let (to, from, papers) = two(size);
        return Link::with_process("procession", size, &papers, |_| Ends::Small(to, from));
    }
    let (to, from, papers) = two(size);
    Link::with_process("procession", size, &papers, |_| Ends::Large(size, to, from))
}

pub(crate) fn there(size: usize, papers: &str) -> impl Lane + use<> {
    let (from, to) = papers.split_once(' ').expect("two handles");
    let (from, to) = (unhex(from), unhex(to));
    ready();
    if size == 64 {
        let open = |h: &[u8]| PlainQueue::from_handle(h).expect("a handle");
        return Ends::Small(open(&to), open(&from));
    }
    let open = |h: &[u8]| PlainQueue::from_handle(h).expect("a handle");
    Ends::Large(size, open(&to), open(&from))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(|pair| digits(pair).expect("hex digits")).collect()
}
