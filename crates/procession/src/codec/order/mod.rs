//! Order keys: bytes whose order, byte by byte, is the order of what they were made of.
//!
//! A [`PriorityQueue`](crate::PriorityQueue) compares keys and never decodes a value. A key is a row of
//! items; an item begins with a tag and ends by itself, so no key of one item is the beginning of
//! another's.
//!
//! | tag | then | what |
//! |---|---|---|
//! | `00` | | the end of a row |
//! | `10` | | nothing (Python's `None`), which is equal to itself and comparable with nothing else |
//! | `20`, `21` | –, an item | an option that is empty, that is not |
//! | `31` to `35` | see below | a number: −∞, negative, 0, positive, ∞ |
//! | `40`, `50` | the bytes, `00` as `00 FF`, then `00` | text by code points (UTF-8), bytes |
//! | `60` | items, then `00` | a row: a tuple, a list, a struct |
//! | `70` | four bytes, an item or none | a variant of an enum, by its number |
//! | `80` | | what has no order, and is equal to all that has none; what follows it is left out |
//!
//! A number is what it is worth, whatever its type: 1, 1.0 and `true` have the same key, and 2⁵³ + 1 is
//! more than 2.0⁵³. Behind the tag come the exponent *e* of 2ᵉ · 1.f, plus 2¹⁵, in two bytes, and the
//! bits of *f* in groups of seven, each with a bit behind it that says whether another follows. A
//! negative number has all these bits turned round.
//!
//! Tags whose first digits differ belong to what can't be compared: a number and a text, say.

mod serialize;

pub use serialize::order_key;

const END: u8 = 0x00;
const NOTHING: u8 = 0x10;
const ABSENT: u8 = 0x20;
const PRESENT: u8 = 0x21;
const MINUS_INFINITY: u8 = 0x31;
const NEGATIVE: u8 = 0x32;
const ZERO: u8 = 0x33;
const POSITIVE: u8 = 0x34;
const INFINITY: u8 = 0x35;
const TEXT: u8 = 0x40;
const BYTES: u8 = 0x50;
const ROW: u8 = 0x60;
const VARIANT: u8 = 0x70;
const UNORDERED: u8 = 0x80;

/// Behind a zero byte of a text: it does not end here.
const ESCAPED: u8 = 0xff;
const EXPONENT_ZERO: u32 = 1 << 15;
/// Bits of a float's fraction, and the exponent of the last of them in the smallest float.
const FRACTION: u32 = 52;
const SMALLEST: i32 = -1074;

/// A key being written, item by item.
///
/// # Examples
/// ```
/// use procession::codec::order::OrderKey;
/// let mut a = OrderKey::new();
/// a.begin_row();
/// a.signed(1);
/// a.text("b");
/// a.end_row();
/// let mut b = OrderKey::new();
/// b.begin_row();
/// assert!(b.float(1.5));
/// b.end_row();
/// assert!(a.as_bytes() < b.as_bytes()); // (1, "b") < (1.5,)
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderKey {
    bytes: Vec<u8>,
}

impl OrderKey {
    /// An empty one.
    #[must_use]
    pub fn new() -> OrderKey {
        OrderKey::default()
    }

    /// What was written so far.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all, to be written anew.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets all but so many bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// What is equal to itself and comparable with nothing else.
    pub fn nothing(&mut self) {
        self.bytes.push(NOTHING);
    }

    /// An empty option: less than one that is not.
    pub fn absent(&mut self) {
        self.bytes.push(ABSENT);
    }

    /// An option with the next item in it.
    pub fn present(&mut self) {
        self.bytes.push(PRESENT);
    }

    /// An integer.
    #[inline]
    pub fn signed(&mut self, n: i64) {
        self.word(n < 0, n.unsigned_abs(), 0);
    }

    /// An integer that is not negative.
    #[inline]
    pub fn unsigned(&mut self, n: u64) {
        self.word(false, n, 0);
    }

    /// An integer of any size: its sign, and the bytes of its amount, the most significant first. False,
    /// with nothing written, if it has more than 32,767 bits.
    pub fn big(&mut self, negative: bool, amount: &[u8]) -> bool {
        let first = amount.iter().take_while(|byte| **byte == 0).count();
        let amount = &amount[first..];
        let Some(&top) = amount.first() else {
            self.bytes.push(ZERO);
            return true;
        };
        let bits = 8 * amount.len() - top.leading_zeros() as usize;
        if bits >= EXPONENT_ZERO as usize {
            return false;
        }
        let flip = self.begin_number(negative, EXPONENT_ZERO + bits as u32 - 1);
        // Bits from the most significant on, that which is there in any case left out.
        let bit = |i: usize| {
            let i = 8 * amount.len() - bits + i;
            amount.get(i / 8).map_or(0, |byte| byte >> (7 - i % 8) & 1)
        };
        let last = (1..bits).rev().find(|i| bit(*i) == 1).unwrap_or(0);
        let mut at = 1;
        loop {
            let group =
                (at..at + 7).fold(0, |group, i| group << 1 | if i < bits { bit(i) } else { 0 });
            at += 7;
            let more = u8::from(at <= last);
            self.bytes.push((group << 1 | more) ^ flip);
            if more == 0 {
                return true;
            }
        }
    }

    /// A number with a fraction. False, with nothing written, if it is none: `NaN` has no order.
    #[inline]
    pub fn float(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            if x.is_nan() {
                return false;
            }
            self.bytes.push(if x > 0.0 { INFINITY } else { MINUS_INFINITY });
            return true;
        }
        let bits = x.to_bits();
        let (exponent, fraction) =
            ((bits >> FRACTION) as i32 & 0x7ff, bits & ((1 << FRACTION) - 1));
        let amount = if exponent == 0 { fraction } else { fraction | 1 << FRACTION };
        self.word(x.is_sign_negative(), amount, SMALLEST + (exponent - 1).max(0));
        true
    }

    /// Text: less or more by the first code point that differs.
    pub fn text(&mut self, text: &str) {
        self.text_bytes(text.as_bytes());
    }

    /// Text as UTF-8, which may have the codes of lone surrogates in it.
    pub fn text_bytes(&mut self, utf8: &[u8]) {
        self.bytes.push(TEXT);
        self.escaped(utf8);
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.push(BYTES);
        self.escaped(bytes);
    }

    /// A row of items begins: less or more by the first item that differs, or by its length.
    pub fn begin_row(&mut self) {
        self.bytes.push(ROW);
    }

    /// What has no order: equal to all else that has none, comparable with nothing that has one. Who writes it
    /// leaves out what would follow but the ends of rows.
    pub fn unordered(&mut self) {
        self.bytes.push(UNORDERED);
    }

    /// Whether there is an order in it so far: more than beginnings of rows.
    #[must_use]
    pub fn orders(&self) -> bool {
        self.bytes.iter().any(|byte| *byte != ROW)
    }

    /// The row ends.
    pub fn end_row(&mut self) {
        self.bytes.push(END);
    }

    /// A variant: less or more by its number, then by the next item, if it has one.
    pub fn variant(&mut self, number: u32) {
        self.bytes.push(VARIANT);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    /// Writes `amount · 2^scale`.
    #[inline]
    fn word(&mut self, negative: bool, amount: u64, scale: i32) {
        if amount == 0 {
            self.bytes.push(ZERO);
            return;
        }
        let zeros = amount.leading_zeros();
        let exponent = EXPONENT_ZERO.wrapping_add_signed(scale) + 63 - zeros;
        let flip = self.begin_number(negative, exponent);
        // Two shifts: of one bit that is set, nothing is left.
        let mut rest = amount << zeros << 1;
        loop {
            let group = (rest >> 57) as u8;
            rest <<= 7;
            let more = u8::from(rest != 0);
            self.bytes.push((group << 1 | more) ^ flip);
            if more == 0 {
                break;
            }
        }
    }

    #[inline]
    fn begin_number(&mut self, negative: bool, exponent: u32) -> u8 {
        let (tag, flip) = if negative { (NEGATIVE, 0xff) } else { (POSITIVE, 0) };
        let [.., high, low] = exponent.to_be_bytes();
        self.bytes.extend_from_slice(&[tag, high ^ flip, low ^ flip]);
        flip
    }

    fn escaped(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == 0) {
            self.bytes.extend_from_slice(part);
            if part.last() == Some(&0) {
                self.bytes.push(ESCAPED);
            }
        }
        self.bytes.push(0);
    }
}

/// Whether what two keys were made of can be compared: of the first items that differ, both must be
/// numbers, or texts, and so on.
///
/// # Examples
/// ```
/// use procession::codec::order::{OrderKey, are_comparable};
/// let (mut number, mut text) = (OrderKey::new(), OrderKey::new());
/// number.signed(1);
/// text.text("a");
/// assert!(!are_comparable(number.as_bytes(), text.as_bytes()));
/// ```
#[must_use]
pub fn are_comparable(a: &[u8], b: &[u8]) -> bool {
    let Some(differs) = a.iter().zip(b).position(|(a, b)| a != b) else {
        return true;
    };
    let mut at = 0;
    while at < differs {
        match end_of_item(a, at) {
            Some(end) => at = end,
            None => return true,
        }
    }
    let (a, b) = (a[differs], b[differs]);
    // If the item that begins before the difference does not end there, it is within that item; also
    // where only one of two texts ends there, and the other has a zero.
    let is_inside = at > differs || a == ESCAPED || b == ESCAPED;
    is_inside || a == END || b == END || a >> 4 == b >> 4
}

/// Whether two keys that begin with these bytes are comparable whatever comes behind: only rows and
/// what has an item inside need a second look.
#[inline]
pub(crate) fn are_plain_alike(a: u8, b: u8) -> bool {
    a >> 4 == b >> 4 && matches!(a & 0xf0, 0x30 | TEXT | BYTES)
}

/// What kinds of items a key is a row of, four bits each, the last one's lowest; 0: it is a longer row than
/// one of sixteen. Keys of one shape are comparable: where they first differ, both are in the same item.
#[inline]
pub(crate) fn shape(key: &[u8]) -> u64 {
    match key.first().map_or(0, |tag| tag >> 4) {
        alone @ 3..=5 => u64::from(alone),
        0 => 0,
        _ => shape_of_row(key),
    }
}

fn shape_of_row(key: &[u8]) -> u64 {
    let (mut shape, mut at) = (0, 0);
    while let Some(&tag) = key.get(at) {
        // The end of a row is an item here.
        let kind = if tag == END { 0xf } else { u64::from(tag >> 4) };
        if shape >> 60 != 0 {
            return 0;
        }
        shape = shape << 4 | kind;
        match end_of_item(key, at) {
            Some(end) => at = end,
            None => return 0,
        }
    }
    shape
}

/// Where an item that begins at `at` ends; of a row or what has an item inside, its first part.
fn end_of_item(key: &[u8], at: usize) -> Option<usize> {
    let inside = key.get(at + 1..)?;
    let len = match key[at] {
        tag @ (NEGATIVE | POSITIVE) => {
            let flip = u8::from(tag == NEGATIVE);
            2 + inside.get(2..)?.iter().position(|byte| (byte ^ flip) & 1 == 0)? + 1
        }
        TEXT | BYTES => {
            let mut from = 0;
            loop {
                let zero = from + inside.get(from..)?.iter().position(|byte| *byte == 0)?;
                if inside.get(zero + 1) != Some(&ESCAPED) {
                    break zero + 1;
                }
                from = zero + 2;
            }
        }
        VARIANT => 4,
        _ => 0,
    };
    Some(at + 1 + len)
}

#[cfg(test)]
mod tests;
