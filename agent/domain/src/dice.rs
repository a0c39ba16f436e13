//! Chance for tests: small, and the same on every machine, so that a test is its seed.

pub struct Dice(pub u64);

impl Dice {
    /// Below `n`; 0 where that is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
