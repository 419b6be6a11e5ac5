//! Numbers without end, the same for the same seed.

/// Marsaglia's xorshift; the seed is not 0.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number less than `n`, which is small.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n.max(1)
    }
}

/// `PROCESSION_TEST_SEED`, or another one each time. Who uses it prints it.
pub fn seed() -> u64 {
    super::argument("SEED").parse().unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    })
}

/// Bytes of some length: most often few, now and then many.
pub fn some_bytes(random: &mut Random, n: u64) -> Vec<u8> {
    let len = match random.below(20) {
        0 => 4000 + random.below(6000),
        1..=4 => random.below(300),
        5..=9 => random.below(30),
        _ => random.below(7),
    };
    (0..len).map(|i| (n + i) as u8).collect()
}
