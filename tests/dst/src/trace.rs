//! What happened in a seed, as text, and a fingerprint of all of it: the same seed gives the same.

/// Lines kept for people; the fingerprint goes on.
const LINES_MAX: usize = 2_000_000;

/// A log of events. It makes text only where somebody wants to read it.
#[derive(Default)]
pub struct Trace {
    wanted: bool,
    at_ms: u64,
    pub lines: Vec<String>,
    print: u64,
}

impl Trace {
    pub fn new(wanted: bool) -> Trace {
        Trace { wanted, print: 0xcbf2_9ce4_8422_2325, ..Trace::default() }
    }

    pub fn at(&mut self, ms: u64) {
        self.at_ms = ms;
    }

    /// Somebody wants to read it.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Something happened.
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if self.wanted && self.lines.len() < LINES_MAX {
            self.lines.push(format!("{:>8}.{:03} {}", self.at_ms / 1000, self.at_ms % 1000, what()));
        }
    }

    /// Takes bytes into the fingerprint (FNV-1a).
    pub fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&self.at_ms.to_le_bytes()) {
            self.print = (self.print ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub fn fingerprint(&self) -> u64 {
        self.print
    }
}
