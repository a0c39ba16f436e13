//! Every bound of the store, with its reason.

/// The most codes that one record issues, or spoils at a close: some milliseconds of the processor.
pub const ISSUE_MAX: u32 = 100;
/// Codes in one record that unpacks a block or imports a list: about a millisecond of the processor.
pub const SLICE_MAX: usize = 100;

/// Children of waiting packs looked at in one transaction, with those of the last pack on top: 3 ms of the processor.
pub const CHILDREN_LOOKED_MAX: u32 = 1_000;

/// Names of packs looked at for one that is free: those before it were on labels that were printed before.
pub const NAMES_PASSED_MAX: u32 = 100;

/// Codes spoiled in one transaction while a stopped agent is settled: nobody waits for the writer then.
pub const SETTLE_SLICE: u32 = 5_000;

/// Bytes of a block's body that one transaction writes: 16 pages, under a millisecond. A body of a block of 150,000
/// codes has some 120 pieces.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Pieces of a spent body that one transaction frees.
pub const PIECES_FREED_MAX: u32 = 4;

/// Answers of upstream that are kept: an engineer looks at the last days, not at years.
pub const ANSWERS_MAX: u32 = 1_000;
/// The bytes kept of each: all of them are 64 MiB at most.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters kept of a detail or a reason in words: more is a fault of the writer of it.
pub const TEXT_CHARS_MAX: usize = 4_000;

/// The most rows that one query for people answers.
pub const ROWS_MAX: u32 = 1_000;
/// The most findings of one check of [`super::verify`]: a thousand more would say the same.
pub const FINDINGS_MAX: u32 = 100;

/// Requests in one group: more would let the first of them wait longer than they gain.
pub const GROUP_MAX: usize = 64;
/// Work in one group, in codes touched or pages written: 32 verdicts of four records. The request that reaches it is
/// the last of its group, so the heaviest group is this and one slice.
pub const GROUP_WEIGHT_MAX: usize = 128;
/// Requests waiting in the queue: a full queue of verdicts is eight groups.
pub const QUEUE_MAX: usize = 4 * GROUP_MAX;
/// Requests of one port without an answer. A line has a few per item on its belt; a thousand is a fault.
pub const OUTSTANDING_MAX: usize = 1_024;

/// Pages new in the WAL from which an idle moment is used to checkpoint: half a millisecond of the processor.
pub const WAL_PAGES_IDLE: u32 = 128;
/// Pages new in the WAL from which it is checkpointed even while work waits: some three milliseconds of the processor.
/// (Thirty-two times as many, in one go, held the writer for a tenth of a second.)
pub const WAL_PAGES_MAX: u32 = 512;
/// What is left of the WAL file after a checkpoint that reset it.
pub const WAL_BYTES_KEPT: i64 = 16 * 1024 * 1024;
/// Pages in memory by connection, in KiB: the inner pages of ten million codes are some 10 MiB.
pub const CACHE_KIB: i64 = 32 * 1024;
/// Statements kept prepared by connection: all that the records need, with room.
pub const STATEMENTS_MAX: usize = 256;
/// Readers never lock the writer out in WAL mode; this covers the moments in which a checkpoint does.
pub const BUSY_MS: u64 = 5_000;
