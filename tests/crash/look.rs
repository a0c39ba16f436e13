//! A look into a data folder that nobody has open: it opens, it is whole, its counts balance, and all that anybody
//! outside was told is in it.
//!
//! What was told is known from outside: a label that left the print head says that its code's issue was durable, an
//! item behind the gate that its verdict was, an answer of the API that the run was opened.

use std::path::Path;

use rusqlite::Connection;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::store::open::database_path;
use tamga::store::read::View;
use tamga::store::verify;
use tamga_domain::code::{Identity, Serial};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::RunId;
use tamga_domain::lifecycle::State;
use tamga_simulators::model::truth::Truth;

use super::ledgers;
use super::table::Told;
use super::tally::Tally;

/// The newest of each kind that one look asks for. Older ones were there at an earlier look, and the ledgers at the end
/// compare all.
pub const NEWEST: usize = 400;

/// What people and devices outside were told, which only a durable record allows.
#[derive(Clone, Debug, Default)]
pub struct Acks {
    /// Codes on labels, as element strings of their identity.
    pub printed: Vec<String>,
    /// Codes on items behind the gate.
    pub passed: Vec<String>,
    /// Runs that the operator was told are open.
    pub runs: Vec<u64>,
    /// What people at the packing table were told.
    pub table: Told,
}

impl Acks {
    pub fn of(plant: &Truth, runs: Vec<u64>) -> Acks {
        let labels = plant.labels.iter().rev().filter_map(|l| l.symbol.as_deref());
        let behind = plant.passed.iter().rev().filter_map(|no| plant.item(*no));
        let marks = behind.flat_map(|i| i.marks.iter().filter_map(|m| m.readable()));
        Acks {
            printed: labels.take(NEWEST).map(ledgers::identity).collect(),
            passed: marks.take(NEWEST).map(ledgers::identity).collect(),
            runs,
            table: Told::default(),
        }
    }

    pub fn count(&self) -> u64 {
        (self.printed.len() + self.passed.len() + self.runs.len()) as u64 + self.table.count()
    }

    /// What was told and is not in the books.
    fn missing(&self, view: &View<'_>) -> Result<Vec<String>, StoreError> {
        let state = |code: &String| Ok(view.story(&identity(code))?.map(|story| story.state));
        let mut missing = Vec::new();
        for code in &self.printed {
            let told = state(code)?;
            let out = matches!(
                told,
                Some(
                    State::Issued
                        | State::Verified(_)
                        | State::Applied
                        | State::Spoiled(_)
                        | State::WrittenOff
                )
            );
            if !out {
                missing.push(format!("{code} is printed and is {told:?} in the books"));
            }
        }
        for code in &self.passed {
            let told = state(code)?;
            if !matches!(told, Some(State::Verified(_) | State::Applied | State::WrittenOff)) {
                missing.push(format!("{code} is behind the gate and is {told:?} in the books"));
            }
        }
        for run in &self.runs {
            let no = RunId(u32::try_from(*run).unwrap());
            if view.run_plan(no)?.is_none() {
                missing.push(format!("run {run} was answered and is not in the books"));
            }
        }
        missing.extend(self.table.missing(view)?);
        Ok(missing)
    }
}

/// `01` GTIN `21` serial.
pub fn identity(code: &str) -> Identity {
    let bytes = code.as_bytes();
    Identity { gtin: Gtin::parse(&bytes[2..16]).unwrap(), serial: Serial::new(&bytes[18..]).unwrap() }
}

/// Copies a data folder whose agent is dead, as it lies there.
pub fn copy(data: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(data).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Copies the data folder in `dir` and looks into the copy on a thread of its own, while the campaign goes on.
pub fn aside(looks: &mut tokio::task::JoinSet<()>, dir: &Path, no: usize, acks: Acks, tally: &Tally) {
    let copied = dir.join(format!("look-{no}"));
    copy(&dir.join("data"), &copied);
    let tally = tally.clone();
    looks.spawn_blocking(move || {
        for wrong in into(&copied, &acks) {
            tally.violation(format!("{}: {wrong}", copied.display()));
        }
        tally.compared("acknowledgements looked up at once", acks.count());
        drop(std::fs::remove_dir_all(&copied));
    });
}

/// Opens the folder as the agent does, which may move its WAL, and says what is wrong.
pub fn into(data: &Path, acks: &Acks) -> Vec<String> {
    let store = match Store::open(data, "00000000") {
        Ok(store) => store,
        Err(e) => return vec![format!("the store does not open: {}", tamga::chain::chain(&e))],
    };
    let mut wrong = Vec::new();
    let whole = Connection::open(database_path(data))
        .and_then(|conn| conn.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)));
    if whole.as_deref() != Ok("ok") {
        wrong.push(format!("integrity_check: {whole:?}"));
    }
    match verify::verify(&store.view()) {
        Ok(findings) => wrong.extend(findings.iter().map(|f| format!("verify finds {f:?}"))),
        Err(e) => wrong.push(format!("verify fails: {}", tamga::chain::chain(&e))),
    }
    match acks.missing(&store.view()) {
        Ok(missing) => wrong.extend(missing),
        Err(e) => wrong.push(format!("what was told cannot be looked up: {}", tamga::chain::chain(&e))),
    }
    wrong
}

/// The schema of the database as it lies there; none when there is no database yet.
pub fn schema(data: &Path) -> Option<u32> {
    let path = database_path(data);
    if !path.exists() {
        return None;
    }
    let conn = Connection::open(path).unwrap();
    conn.pragma_query_value(None, "user_version", |r| r.get(0)).ok()
}
