//! Rows as the domain's words: how states and outcomes are numbered, and a code as it lies in `codes`.
//!
//! The numbers are part of the schema: they are never given another meaning.

use rusqlite::Row;
use tamga_domain::code::{Code, Identity, Serial, Tail};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, IssueNo, OrderNo, PackNo, PassNo, PrinterNo, RunId, Tag};
use tamga_domain::lifecycle::{Happening, NoSuchStep, SpoilReason, State, Whereabouts, next};
use tamga_domain::record::{JobOutcome, PackageKind, RunState};

use super::error::{Fault, Rule};
use super::tx::{Heap, Tx};

/// The number of a state in `codes.state`. Pooled, stock and set-aside codes are rows of other tables, and `Applied`
/// is derived from the reports.
pub(super) fn state_number(state: State) -> Option<i64> {
    match state {
        State::Issued => Some(0),
        State::Verified(Whereabouts::Passed) => Some(1),
        State::Verified(Whereabouts::Unknown) => Some(2),
        State::Verified(Whereabouts::Rejected) => Some(3),
        State::WrittenOff => Some(4),
        State::Returned => Some(5),
        State::Spoiled(reason) => Some(10 + spoil_number(reason)),
        State::Pooled | State::Stock | State::SetAside | State::Applied => None,
    }
}

pub(super) fn state_of(number: i64) -> Result<State, Fault> {
    Ok(match number {
        0 => State::Issued,
        1 => State::Verified(Whereabouts::Passed),
        2 => State::Verified(Whereabouts::Unknown),
        3 => State::Verified(Whereabouts::Rejected),
        4 => State::WrittenOff,
        5 => State::Returned,
        10 => State::Spoiled(SpoilReason::Unseen),
        11 => State::Spoiled(SpoilReason::BadMark),
        12 => State::Spoiled(SpoilReason::Declared),
        13 => State::Spoiled(SpoilReason::Restored),
        14 => State::Spoiled(SpoilReason::Expired),
        15 => State::Spoiled(SpoilReason::Rejected),
        16 => State::Spoiled(SpoilReason::Slipped),
        other => return Err(Fault::Damaged(format!("a code in state {other}"))),
    })
}

fn spoil_number(reason: SpoilReason) -> i64 {
    match reason {
        SpoilReason::Unseen => 0,
        SpoilReason::BadMark => 1,
        SpoilReason::Declared => 2,
        SpoilReason::Restored => 3,
        SpoilReason::Expired => 4,
        SpoilReason::Rejected => 5,
        SpoilReason::Slipped => 6,
    }
}

pub(super) fn outcome_number(outcome: JobOutcome) -> i64 {
    match outcome {
        JobOutcome::Open => 0,
        JobOutcome::Printed => 1,
        JobOutcome::Refused => 2,
        JobOutcome::Doubtful => 3,
    }
}

pub(super) fn outcome_of(number: i64) -> Result<JobOutcome, Fault> {
    Ok(match number {
        0 => JobOutcome::Open,
        1 => JobOutcome::Printed,
        2 => JobOutcome::Refused,
        3 => JobOutcome::Doubtful,
        other => return Err(Fault::Damaged(format!("a job outcome {other}"))),
    })
}

pub(super) fn run_state_number(state: RunState) -> i64 {
    match state {
        RunState::Running => 0,
        RunState::Stopped => 1,
        RunState::Closing => 2,
        RunState::Closed => 3,
    }
}

pub(super) fn run_state_of(number: i64) -> Result<RunState, Fault> {
    Ok(match number {
        0 => RunState::Running,
        1 => RunState::Stopped,
        2 => RunState::Closing,
        3 => RunState::Closed,
        other => return Err(Fault::Damaged(format!("a run in state {other}"))),
    })
}

pub(super) fn kind_number(kind: PackageKind) -> i64 {
    match kind {
        PackageKind::Unit => 0,
        PackageKind::Group => 1,
        PackageKind::Set => 2,
    }
}

pub(super) fn kind_of(number: i64) -> Result<PackageKind, Fault> {
    Ok(match number {
        0 => PackageKind::Unit,
        1 => PackageKind::Group,
        2 => PackageKind::Set,
        other => return Err(Fault::Damaged(format!("a package kind {other}"))),
    })
}

/// A count as SQLite has numbers.
pub(super) fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number of SQLite that counts something.
pub(super) fn count_of(n: i64) -> Result<u64, Fault> {
    u64::try_from(n).map_err(|_| Fault::Damaged(format!("the count {n}")))
}

pub(super) fn gtin_of(text: &str) -> Result<Gtin, Fault> {
    Gtin::parse(text.as_bytes()).map_err(|e| Fault::Damaged(format!("the GTIN {text}: {e}")))
}

pub(super) fn serial_of(bytes: &[u8]) -> Result<Serial, Fault> {
    Serial::new(bytes).map_err(|e| Fault::Damaged(format!("a serial: {e}")))
}

pub(super) fn code_of(gtin: Gtin, serial: &[u8], tail: &[u8]) -> Result<Code, Fault> {
    let tail = Tail::new(tail).map_err(|e| Fault::Damaged(format!("a tail: {e}")))?;
    Ok(Code { identity: Identity { gtin, serial: serial_of(serial)? }, tail })
}

/// One row of `codes`.
pub(super) struct CodeRow {
    pub(super) tail: Vec<u8>,
    pub(super) block: BlockNo,
    pub(super) state: State,
    /// None for a code that was spoiled out of the pool or the stock.
    pub(super) run: Option<RunId>,
    pub(super) printer: PrinterNo,
    pub(super) issue: IssueNo,
    pub(super) issued_after: Option<i64>,
    pub(super) outcome: JobOutcome,
    pub(super) tag: Option<Tag>,
    pub(super) verified_after: Option<i64>,
    pub(super) pass: Option<PassNo>,
    pub(super) ended_after: Option<i64>,
    /// The pack that its item lies in.
    pub(super) pack: Option<PackNo>,
}

impl CodeRow {
    /// Reads the columns in the order of [`Tx::code`].
    pub(super) fn read(row: &Row<'_>) -> Result<CodeRow, Fault> {
        let tag = match (row.get(8)?, row.get(9)?) {
            (Some(boot), Some(number)) => Some(Tag { boot, number }),
            _ => None,
        };
        Ok(CodeRow {
            tail: row.get(0)?,
            block: BlockNo(row.get(1)?),
            state: state_of(row.get(2)?)?,
            run: row.get::<_, Option<u32>>(3)?.map(RunId),
            printer: PrinterNo(row.get::<_, Option<u8>>(4)?.unwrap_or(0)),
            issue: IssueNo(row.get::<_, Option<u32>>(5)?.unwrap_or(0)),
            issued_after: row.get(6)?,
            outcome: outcome_of(row.get(7)?)?,
            tag,
            verified_after: row.get(10)?,
            pass: row.get::<_, Option<u32>>(11)?.map(PassNo),
            ended_after: row.get(12)?,
            pack: row.get::<_, Option<u32>>(13)?.map(PackNo),
        })
    }
}

/// A code as a key of the tables.
pub(super) struct Key<'a> {
    pub(super) gtin: i64,
    pub(super) identity: &'a Identity,
}

impl Key<'_> {
    pub(super) fn serial(&self) -> &[u8] {
        self.identity.serial.as_bytes()
    }
}

impl Tx<'_> {
    /// The key of a code; a GTIN never seen makes it unknown.
    pub(super) fn key<'i>(&self, identity: &'i Identity) -> Result<Key<'i>, Fault> {
        match self.gtin_id(&identity.gtin)? {
            Some(gtin) => Ok(Key { gtin, identity }),
            None => Err(Rule::UnknownCode(*identity).into()),
        }
    }

    pub(super) fn code(&self, key: &Key<'_>) -> Result<Option<CodeRow>, Fault> {
        let sql = "SELECT tail, block_no, state, run, printer, issue_no, issued_after, outcome, boot, tag, \
                   verified_after, pass_no, ended_after, pack_no FROM codes WHERE gtin_id = ?1 AND serial = ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query((key.gtin, key.serial()))?;
        match rows.next()? {
            Some(row) => Ok(Some(CodeRow::read(row)?)),
            None => Ok(None),
        }
    }

    /// The code in the pool, if it is there: its order, tail and block.
    pub(super) fn pooled(&self, key: &Key<'_>) -> Result<Option<(OrderNo, Vec<u8>, BlockNo)>, Fault> {
        // CROSS JOIN fixes the order of the loops: the few orders that have codes left, then one probe each.
        let sql = "SELECT o.order_no, p.tail, p.block_no FROM orders o CROSS JOIN pool p \
                   ON p.order_no = o.order_no AND p.serial = ?2 WHERE o.gtin_id = ?1 AND o.left_n > 0 LIMIT 1";
        self.one(sql, (key.gtin, key.serial()), |r| Ok((OrderNo(r.get(0)?), r.get(1)?, BlockNo(r.get(2)?))))
    }

    /// The code in the stock, if it is there: its tail and roll.
    pub(super) fn stocked(&self, key: &Key<'_>) -> Result<Option<(Vec<u8>, BlockNo)>, Fault> {
        let sql = "SELECT tail, block_no FROM stock WHERE gtin_id = ?1 AND serial = ?2";
        self.one(sql, (key.gtin, key.serial()), |r| Ok((r.get(0)?, BlockNo(r.get(1)?))))
    }

    /// Sets the state of a code by compare-and-set, and moves it in the counts of its block and run.
    pub(super) fn set_state(&self, key: &Key<'_>, row: &CodeRow, to: State) -> Result<(), Fault> {
        let numbers = (state_number(row.state), state_number(to));
        let (Some(from_number), Some(to_number)) = numbers else {
            return Err(Fault::Damaged(format!("a code going from {:?} to {to:?}", row.state)));
        };
        let sql = "UPDATE codes SET state = ?4 WHERE gtin_id = ?1 AND serial = ?2 AND state = ?3";
        self.must("the state of a code", 1, sql, (key.gtin, key.serial(), from_number, to_number))?;
        self.move_in_block(row.block, Heap::of(row.state), Heap::of(to), 1)?;
        match row.run {
            Some(run) => self.move_in_run(run, Heap::of(row.state), Heap::of(to), 1),
            None => Ok(()),
        }
    }
}

/// The table of the lives of codes, with the code's name in the refusal.
pub(super) fn step(code: &Identity, from: State, happening: Happening) -> Result<State, Fault> {
    next(from, happening).map_err(|step| Rule::Step { code: *code, step }.into())
}

/// The refusal of a step that the table does not have.
pub(super) fn no_step(code: &Identity, from: State, happening: Happening) -> Fault {
    Rule::Step { code: *code, step: NoSuchStep { from, happening } }.into()
}
