use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{OrderKey, are_comparable, order_key};

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

/// A number as sign and amount in units of 2^-1074, by digits, the least significant first: exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact(bool, Vec<u32>);

const UNIT: usize = 1074;

impl Exact {
    fn new(negative: bool, amount: u128, shift: usize) -> Exact {
        let mut digits = vec![0; shift / 32];
        let mut rest = amount;
        let mut carry = 0u64;
        while rest != 0 || carry != 0 {
            let wide = u64::from(rest as u32) << (shift % 32) | carry;
            digits.push(wide as u32);
            carry = wide >> 32;
            rest >>= 32;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Exact(negative && !digits.is_empty(), digits)
    }
    fn int(n: i128) -> Exact {
        Exact::new(n < 0, n.unsigned_abs(), UNIT)
    }
    fn float(x: f64) -> Exact {
        let bits = x.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = u128::from(bits & ((1 << 52) - 1));
        if exponent == 0 {
            return Exact::new(x < 0.0, fraction, 0);
        }
        Exact::new(x < 0.0, fraction | 1 << 52, exponent - 1)
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Exact) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Exact) -> Ordering {
        let amount = |x: &Exact| (x.1.len(), x.1.iter().rev().copied().collect::<Vec<_>>());
        match (self.0, other.0) {
            (false, false) => amount(self).cmp(&amount(other)),
            (true, true) => amount(other).cmp(&amount(self)),
            (a, b) => b.cmp(&a),
        }
    }
}

fn some_number(r: &mut Random) -> (OrderKey, Exact, String) {
    let mut key = OrderKey::new();
    let near = |r: &mut Random| (1i128 << r.below(127)).wrapping_add(i128::from(r.below(5)) - 2);
    let n = match r.below(4) {
        0 => i128::from(r.below(9)) - 4,
        1 => near(r) * (1 - 2 * i128::from(r.below(2))),
        2 => i128::from(r.next().cast_signed() >> r.below(64)),
        _ => (i128::from(r.next()) << 64 | i128::from(r.next())) >> r.below(127),
    };
    if r.below(2) == 0 {
        match i64::try_from(n) {
            Ok(n) if r.below(2) == 0 => key.signed(n),
            _ => assert!(key.big(n < 0, &n.unsigned_abs().to_be_bytes())),
        }
        return (key, Exact::int(n), n.to_string());
    }
    let x = match r.below(5) {
        0 => f64::from_bits(r.next()),
        1 => n as f64 / (1u64 << r.below(60)) as f64,
        2 => f64::from_bits(r.below(100)),
        3 => -0.0,
        _ => n as f64,
    };
    let x = if x.is_finite() { x } else { f64::MAX };
    assert!(key.float(x));
    (key, Exact::float(x), format!("{x:e}"))
}

#[test]
fn numbers_are_ordered_by_what_they_are_worth() {
    let mut r = Random(0x9e37_79b9_7f4a_7c15);
    let mut equal = 0;
    for _ in 0..60_000 {
        let (a, b) = (some_number(&mut r), some_number(&mut r));
        assert_eq!(a.0.cmp(&b.0), a.1.cmp(&b.1), "{} {}", a.2, b.2);
        assert!(are_comparable(a.0.as_bytes(), b.0.as_bytes()));
        equal += u32::from(a.1 == b.1);
    }
    assert!(equal > 100, "some are equal, or nothing was shown of them: {equal}");
}

#[test]
fn the_ends_of_the_numbers() {
    let float = |x: f64| order_key(&x).unwrap();
    let mut huge = OrderKey::new();
    assert!(huge.big(false, &[0xff; 4095]));
    assert!(float(f64::MAX) < huge && huge < float(f64::INFINITY));
    let mut minus_huge = OrderKey::new();
    assert!(minus_huge.big(true, &[0xff; 4095]));
    assert!(float(f64::NEG_INFINITY) < minus_huge && minus_huge < float(f64::MIN));
    assert!(!OrderKey::new().big(false, &[0xff; 4096]) && !OrderKey::new().float(f64::NAN));
    assert!(order_key(&i128::MIN).unwrap() < order_key(&i64::MIN).unwrap());
    assert!(order_key(&u128::MAX).unwrap() > order_key(&i128::MAX).unwrap());
    assert_eq!(order_key(&true).unwrap(), float(1.0));
    assert_eq!(float(-0.0), order_key(&0u8).unwrap());
    assert_eq!(order_key(&u64::MAX).unwrap(), order_key(&u128::from(u64::MAX)).unwrap());
    assert!(order_key(&[f32::NAN]).unwrap_err().contains("NaN"));
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Choice {
    First,
    Second(i16),
    Third(u8, String),
    Fourth { a: Option<i8>, b: Vec<u8> },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Whole {
    choice: Choice,
    text: String,
    letter: char,
    #[allow(clippy::option_option)] // what is tested
    maybe: Option<Option<u8>>,
    pair: (bool, i128),
    map: BTreeMap<u8, String>,
    unit: (),
}

fn some_text(r: &mut Random) -> String {
    const LETTERS: [char; 6] = ['\0', 'a', 'b', '\u{7f}', '\u{ffff}', '\u{10000}'];
    (0..r.below(4)).map(|_| LETTERS[r.below(6) as usize]).collect()
}

fn some_whole(r: &mut Random) -> Whole {
    let few = |r: &mut Random| r.below(3) as u8;
    Whole {
        choice: match r.below(4) {
            0 => Choice::First,
            1 => Choice::Second(i16::from(few(r)) - 1),
            2 => Choice::Third(few(r), some_text(r)),
            _ => Choice::Fourth {
                a: (r.below(2) == 0).then(|| few(r).cast_signed() - 1),
                b: (0..r.below(3)).map(|_| few(r)).collect(),
            },
        },
        text: some_text(r),
        letter: some_text(r).chars().next().unwrap_or('z'),
        maybe: match r.below(3) {
            0 => None,
            1 => Some(None),
            _ => Some(Some(few(r))),
        },
        pair: (r.below(2) == 0, i128::from(r.below(5)) - 2),
        map: (0..r.below(3)).map(|_| (few(r), some_text(r))).collect(),
        unit: (),
    }
}

#[test]
fn what_derive_orders_is_ordered_as_derive_does() {
    let mut r = Random(0xdead_beef_cafe_f00d);
    let mut all: Vec<Whole> = (0..400).map(|_| some_whole(&mut r)).collect();
    let simple = all[0].clone();
    // Such as differ in one field only, so that every field decides.
    for _ in 0..400 {
        let mut one = simple.clone();
        let other = some_whole(&mut r);
        match r.below(6) {
            0 => one.choice = other.choice,
            1 => one.text = other.text,
            2 => one.letter = other.letter,
            3 => one.maybe = other.maybe,
            4 => one.pair = other.pair,
            _ => one.map = other.map,
        }
        all.push(one);
    }
    let keys: Vec<_> = all.iter().map(|one| order_key(one).unwrap()).collect();
    for (a, key_a) in all.iter().zip(&keys) {
        for (b, key_b) in all.iter().zip(&keys) {
            assert_eq!(key_a.cmp(key_b), a.cmp(b), "{a:?} {b:?}");
            assert!(are_comparable(key_a.as_bytes(), key_b.as_bytes()), "{a:?} {b:?}");
        }
    }
}

#[test]
fn what_python_would_refuse_is_not_comparable() {
    let row = |items: &[&dyn Fn(&mut OrderKey)]| {
        let mut key = OrderKey::new();
        key.begin_row();
        for item in items {
            item(&mut key);
        }
        key.end_row();
        key
    };
    let one = |k: &mut OrderKey| k.signed(1);
    let minus = |k: &mut OrderKey| k.signed(-300);
    let text = |k: &mut OrderKey| k.text("a\0b");
    let none = |k: &mut OrderKey| k.nothing();
    let bytes = |k: &mut OrderKey| k.bytes(b"a\0b");
    let inner = |k: &mut OrderKey| {
        k.begin_row();
        k.signed(2);
        k.end_row();
    };
    let comparable = |a: &OrderKey, b: &OrderKey| {
        assert_eq!(
            are_comparable(a.as_bytes(), b.as_bytes()),
            are_comparable(b.as_bytes(), a.as_bytes())
        );
        are_comparable(a.as_bytes(), b.as_bytes())
    };
    assert!(!comparable(&row(&[&one, &text]), &row(&[&one, &one])));
    assert!(!comparable(&row(&[&minus, &text]), &row(&[&minus, &bytes])));
    assert!(!comparable(&row(&[&text, &none]), &row(&[&text, &one])));
    assert!(!comparable(&row(&[&inner, &inner]), &row(&[&inner, &one])));
    assert!(comparable(&row(&[&one, &text]), &row(&[&minus, &one])), "the first one decides");
    assert!(comparable(&row(&[&text, &none]), &row(&[&text, &none])));
    assert!(comparable(&row(&[&text]), &row(&[&text, &none])), "the shorter one is less");
    assert!(comparable(&row(&[&inner]), &row(&[&inner, &inner])));
    assert!(comparable(&row(&[]), &row(&[&text])));
}

#[test]
fn bytes_that_are_no_key_do_no_harm() {
    let mut r = Random(77);
    for _ in 0..20_000 {
        let mut some = || -> Vec<u8> {
            const TAGS: [u8; 9] = [0, 0x10, 0x21, 0x32, 0x34, 0x40, 0x60, 0x70, 0xff];
            (0..r.below(12)).map(|_| TAGS[r.below(9) as usize]).collect()
        };
        let (a, b) = (some(), some());
        assert_eq!(are_comparable(&a, &b), are_comparable(&b, &a), "{a:?} {b:?}");
    }
}
