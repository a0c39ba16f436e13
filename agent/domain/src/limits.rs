//! Bounds of the domain's queues, each with its sum.

/// Codes left behind by gaps that a tracker still remembers for a re-feed: with a gap of 3 at every tenth item of the
/// fastest line (33 a second) that is two minutes. Older ones stay in doubt in the store.
pub const LEFT_BEHIND_MAX: usize = 1024;

/// Items between trigger and gate that a line follows. The gate's pass ring holds 32; the rest is for items whose end
/// the gate has not told yet.
pub const ITEMS_MAX: usize = 1024;

/// Results of a reader that wait for their item. The gate is asked every few milliseconds.
pub const WAITING_READS_MAX: usize = 64;

/// Codes issued in one commit: a commit of 64 takes the same fsync as one.
pub const ISSUE_MAX: u32 = 64;

/// Codes spoiled in one commit at a run's close (no transaction holds the writer above 5 ms).
pub const SPOIL_SLICE: u32 = 100;

/// How long a record that nobody waits for may stay in memory before it is committed, in milliseconds. A crash in
/// between loses nothing: the gate remembers what became of its tags.
pub const LAZY_MS: u64 = 20;
