//! Commands as they are sent: an array of strings, each behind its length.

/// Strings of a command, as they are sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    count: usize,
    longest: usize,
}

impl Words {
    /// Another one, whose parts stand one behind the other.
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        word(&mut self.bytes, parts);
        self.count += 1;
        self.longest = self.longest.max(parts.iter().map(|part| part.len()).sum());
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// How many bytes are sent for all of them.
    pub(super) fn whole(&self) -> usize {
        self.bytes.len()
    }
}

impl FromIterator<Vec<u8>> for Words {
    fn from_iter<T: IntoIterator<Item = Vec<u8>>>(all: T) -> Words {
        let mut words = Words::default();
        all.into_iter().for_each(|word| words.push(&[&word]));
        words
    }
}

/// A command of so many words that stand before the others, so many behind, and these.
pub(super) fn command(
    before: usize,
    words: &Words,
    behind: usize,
    write_before: impl FnOnce(&mut Vec<u8>),
    write_behind: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(words.bytes.len() + 64 * (before + behind));
    head(&mut out, b'*', before + words.count + behind);
    write_before(&mut out);
    out.extend_from_slice(&words.bytes);
    write_behind(&mut out);
    out
}

/// Writes one word.
pub(super) fn word(out: &mut Vec<u8>, parts: &[&[u8]]) {
    head(out, b'$', parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a number as one word, and what stands behind it.
pub(super) fn number(out: &mut Vec<u8>, number: u64, behind: &[u8]) {
    let mut room = [0; 20];
    word(out, &[digits(number, &mut room), behind]);
}

fn head(out: &mut Vec<u8>, what: u8, number: usize) {
    out.push(what);
    out.extend_from_slice(digits(number as u64, &mut [0; 20]));
    out.extend_from_slice(b"\r\n");
}

fn digits(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_the_library_would_send() {
        let mut words = Words::default();
        words.push(&[b"ab", b"", b"c"]);
        words.push(&[b""]);
        let before = |out: &mut Vec<u8>| word(out, &[b"CMD"]);
        let behind = |out: &mut Vec<u8>| {
            for n in [0, 10, u64::MAX] {
                number(out, n, b"!");
            }
        };
        let (made, mut wanted) = (command(1, &words, 3, before, behind), redis::cmd("CMD"));
        wanted.arg("abc").arg("").arg("0!").arg("10!").arg(format!("{}!", u64::MAX));
        assert_eq!(made, wanted.get_packed_command());
    }
}
