//! What is known of a code that was read: by key through the places where a code can be, likeliest first.

use tamga_domain::code::Identity;
use tamga_domain::ids::RunId;
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::record::{CodeFacts, Known};
use tamga_domain::time::Wall;

use super::error::Fault;
use super::rows::{CodeRow, Key};
use super::tx::Tx;

impl Tx<'_> {
    pub(super) fn find(&self, identity: &Identity) -> Result<Known, Fault> {
        let Some(gtin) = self.gtin_id(&identity.gtin)? else {
            return Ok(Known::Unknown);
        };
        let key = Key { gtin, identity };
        if let Some(row) = self.code(&key)? {
            return Ok(Known::Coded(self.facts(row)?));
        }
        if let Some((_, tail, _)) = self.pooled(&key)? {
            return Ok(Known::Waiting { state: State::Pooled, tail });
        }
        if let Some((tail, _)) = self.stocked(&key)? {
            return Ok(Known::Waiting { state: State::Stock, tail });
        }
        let sql = "SELECT tail FROM set_aside WHERE gtin_id = ?1 AND serial = ?2 LIMIT 1";
        let tail: Option<Vec<u8>> = self.one(sql, (gtin, key.serial()), |r| r.get(0))?;
        Ok(match tail {
            Some(tail) => Known::Waiting { state: State::SetAside, tail },
            None => Known::Unknown,
        })
    }

    /// The state with what the reports say: passed is `Applied` when a report in effect carries the pass.
    pub(super) fn state_now(&self, row: &CodeRow) -> Result<State, Fault> {
        if let (State::Verified(Whereabouts::Passed), Some(run), Some(pass)) = (row.state, row.run, row.pass)
            && let Some((_, true)) = self.carried_by(run, pass)?
        {
            return Ok(State::Applied);
        }
        Ok(row.state)
    }

    pub(super) fn facts(&self, row: CodeRow) -> Result<CodeFacts, Fault> {
        let state = self.state_now(&row)?;
        // A code that was spoiled out of the pool belongs to no run: 0, which no run is.
        let run = row.run.unwrap_or(RunId(0));
        let verified_at = match (row.run, row.verified_after) {
            (Some(run), Some(after)) => Some(Wall(self.run_row(run)?.opened_at).plus_ms(after)),
            _ => None,
        };
        let CodeRow { tail, printer, issue, outcome, tag, .. } = row;
        Ok(CodeFacts { state, tail, run, printer, issue, outcome, tag, verified_at })
    }
}
